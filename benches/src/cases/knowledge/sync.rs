//! The memory that bringing a collection in step with a large folder takes.

use std::fs;
use std::path::Path;

use super::super::Bench;
use super::child::{self, Arguments, Ingested, Work};
use super::random::Random;
use super::words::Vocabulary;
use crate::Result;
use crate::report::{Report, Short};

/// Megabytes that the process may have at most.
const GOAL: f64 = 300.0;
const MEGA: usize = 1_000_000;

pub(in super::super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let folder = bench.folder.join("sync");
    let files = tokio::task::block_in_place(|| write(&folder, bench.sizes.folder * MEGA))?;
    let (mut rows, mut goals) = (Vec::new(), Vec::new());
    for store in bench.databases() {
        let name = format!("sync-{}", store.name());
        let arguments = Arguments {
            work: Work::Sync { folder: folder.clone() },
            database: bench.database(store, &name).await?,
            blobs: bench.folder.join(&format!("{name}-blobs")),
        };
        let done: Ingested = child::start(&arguments).await?;
        let peak = done.peak_kib as f64 / 1024.0;
        rows.push(vec![
            store.title().to_owned(),
            done.documents.to_string(),
            done.chunks.to_string(),
            Short((done.chunks as f64 / done.seconds).round()).to_string(),
            Short(done.bytes as f64 / 1e6 / done.seconds).to_string(),
            format!("{:.2}", done.cpu_seconds / done.seconds),
            format!("{:.0}", done.idle_kib as f64 / 1024.0),
            format!("{peak:.0}"),
        ]);
        goals.push((format!("sync of {} MB, {}: peak memory", bench.sizes.folder, store.title()), peak));
    }
    report.table(
        &format!(
            "Sync of a folder: {} MB of text and Markdown in {files} files, text search alone",
            bench.sizes.folder
        ),
        &["store", "documents", "chunks", "chunks a second", "MB a second", "cores", "idle MB", "peak MB"],
        &rows,
    );
    for (name, peak) in goals {
        report.at_most(name, peak.round(), GOAL, " MB");
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Writes files of 20 kB to 1 MB and returns how many.
fn write(folder: &Path, bytes: usize) -> Result<usize> {
    let (vocabulary, mut random) = (Vocabulary::new(), Random::new(200));
    let (mut left, mut count) = (bytes, 0);
    while left > 0 {
        // One in twenty is large.
        let max = if random.below(20) == 0 { MEGA } else { 120_000 };
        let size = (20_000 + random.below(max)).min(left);
        let mut text = String::with_capacity(size + 1_000);
        let is_markdown = count % 2 == 0;
        if is_markdown {
            text.push_str("# ");
            text.push_str(&vocabulary.text(&mut random, 5));
            text.push_str("\n\n");
        }
        while text.len() < size {
            if is_markdown {
                text.push_str("## ");
                let heading = vocabulary.text(&mut random, 4);
                text.push_str(&heading);
                text.push_str("\n\n");
            }
            vocabulary.paragraphs(&mut random, 4_000.min(size), &mut text);
        }
        let beside = folder.join(format!("{}", count / 100));
        fs::create_dir_all(&beside)?;
        fs::write(beside.join(format!("{count}.{}", if is_markdown { "md" } else { "txt" })), &text)?;
        left = left.saturating_sub(text.len());
        count += 1;
    }
    Ok(count)
}
