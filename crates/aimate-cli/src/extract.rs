//! `aimate extract`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aimate::Result;
use aimate::text::extract::{ExtractError, Extracted, Extractor};
use serde_json::{Value, json};

use crate::config::extractor;
use crate::exit_code::ExitCode;
use crate::reading::Reading;
use crate::terminal::{counted, plain, say};

/// What `extract` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExtractArguments {
    /// Files to read
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Its media type, as an uploader would declare it; the content takes precedence
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// Print one line of JSON for each file, with the places of its pages and headings
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Prints what would be taken in of files: the text to standard output; what they
/// are, their headings and warnings to standard error. Nothing is stored.
pub(crate) async fn extract(arguments: ExtractArguments) -> Result<ExitCode> {
    let extractor = extractor(&arguments.reading)?;
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.files {
        let start = Instant::now();
        let outcome = read(&extractor, path, arguments.media_type.as_deref()).await;
        if outcome.is_err() {
            code = ExitCode::FAILURE;
        }
        if arguments.json {
            say(&line(path, start.elapsed().as_secs_f64(), &outcome).to_string());
            continue;
        }
        match outcome {
            Ok(document) => {
                tell(path, &document);
                say(&document.text);
            }
            Err(error) => eprintln!("aimate: `{}`: {error}", plain(&path.to_string_lossy())),
        }
    }
    Ok(code)
}

async fn read(
    extractor: &Extractor,
    path: &Path,
    media_type: Option<&str>,
) -> std::result::Result<Extracted, ExtractError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    extractor.extract(path, &name, media_type).await
}

fn line(path: &Path, seconds: f64, outcome: &std::result::Result<Extracted, ExtractError>) -> Value {
    let path = path.to_string_lossy();
    match outcome {
        Ok(document) => json!({ "path": path, "seconds": seconds, "document": document }),
        Err(error) => json!({ "path": path, "seconds": seconds, "error": error }),
    }
}

fn tell(path: &Path, document: &Extracted) {
    let characters = counted(document.text.chars().count() as u64, "character");
    let pages = match document.pages.len() {
        0 => String::new(),
        pages => format!(", {}", counted(pages as u64, "page")),
    };
    eprintln!("{}: {}, {characters}{pages}", plain(&path.to_string_lossy()), plain(&document.media_type));
    if let Some(title) = &document.title {
        eprintln!("title: {}", plain(title));
    }
    for heading in &document.headings {
        let level = usize::from(heading.level.clamp(1, 6));
        let page = document.pages.iter().rfind(|page| page.start <= heading.start);
        let page = page.map(|page| format!(" (page {})", page.number)).unwrap_or_default();
        eprintln!("{:1$}{2}{page}", "", 2 * level, plain(&heading.title));
    }
    for warning in &document.warnings {
        eprintln!("warning: {}", plain(warning));
    }
}
