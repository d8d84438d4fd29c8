//! Reading files, in this process and in aimate's worker process.

use std::time::{Duration, Instant};

use aimate_text::extract::{Extractor, Limits};

use super::super::Bench;
use super::files::{self, Sample};
use crate::Result;
use crate::load::Millis;
use crate::report::{Report, Short};

const ROUNDS: usize = 5;

pub(in super::super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let bytes = if bench.quick { 500_000 } else { 8_000_000 };
    let folder = bench.folder.join("extract");
    let samples = tokio::task::block_in_place(|| files::samples(&folder, bytes))?;
    let here = Extractor::in_process(Limits::default());
    let worker = bench.aimate.clone().map(|aimate| Extractor::with_worker(aimate, Limits::default()));
    let mut rows = Vec::new();
    for sample in &samples {
        let size = std::fs::metadata(&sample.path)?.len() as f64;
        let (text, time) = read(&here, sample).await?;
        let text = text as f64;
        let kilo = |bytes: f64| format!("{:.1}", bytes / 1e3);
        let mut row = vec![sample.title.clone(), kilo(size), kilo(text)];
        let mut add = |time: Duration| {
            row.push(Millis::from(time).to_string());
            row.push(Short(text / 1e6 / time.as_secs_f64()).to_string());
        };
        add(time);
        if let Some(worker) = &worker {
            add(read(worker, sample).await?.1);
        }
        row.resize(7, String::new());
        rows.push(row);
    }
    report.table(
        "Reading files (median of five)",
        &[
            "file",
            "kB",
            "kB of text",
            "in process, ms",
            "MB of text a second",
            "with the worker process, ms",
            "MB of text a second",
        ],
        &rows,
    );
    report.note("Plain text, Markdown, CSV and JSON are read in process in either case.");
    Ok(())
}

/// The bytes of text and the median time.
async fn read(extractor: &Extractor, sample: &Sample) -> Result<(usize, Duration)> {
    let name = sample.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let text = extractor.extract(&sample.path, &name, None).await;
        let text = text.map_err(|error| format!("{}: {error:?}", sample.title))?;
        times.push(begun.elapsed());
        bytes = text.text.len();
    }
    times.sort_unstable();
    Ok((bytes, times.get(ROUNDS / 2).copied().unwrap_or_default()))
}
