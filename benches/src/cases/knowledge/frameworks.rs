//! The vector stores of LangChain and LlamaIndex, in Python, on the same server
//! and vectors.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use crate::Result;
use crate::report::chain;

/// What came of all of them.
#[derive(Deserialize)]
pub(super) struct Frameworks {
    pub(super) stores: Vec<Framework>,
}

/// What came of one.
#[derive(Deserialize)]
pub(super) struct Framework {
    pub(super) title: String,
    /// Why it could not be measured.
    pub(super) error: Option<String>,
    /// Rows that were added through its own interface; the rest came by COPY.
    #[serde(default)]
    pub(super) rows: usize,
    #[serde(default)]
    pub(super) rows_per_second: f64,
    #[serde(default)]
    pub(super) searches: Vec<Searched>,
}

#[derive(Deserialize)]
pub(super) struct Searched {
    pub(super) hybrid: bool,
    pub(super) filtered: bool,
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) recall: Option<f64>,
}

impl Frameworks {
    /// None, for this reason.
    pub(super) fn none(error: &dyn std::error::Error) -> Self {
        let framework = Framework {
            title: "LangChain and LlamaIndex".to_owned(),
            error: Some(chain(error).replace(['\n', '|'], " ")),
            rows: 0,
            rows_per_second: 0.0,
            searches: Vec::new(),
        };
        Self { stores: vec![framework] }
    }
}

/// Where the Python files are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// A Python with what the stores need, made the first time: in the target
/// folder, out of the package registry alone, in the versions of
/// `requirements.txt`.
pub(super) async fn install() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("the program is in no target folder")?;
    let folder = target.join("bench-python");
    let python = folder.join("bin/python");
    let wanted = tokio::fs::read(sources().join("requirements.txt")).await?;
    let mark = folder.join("installed.txt");
    if tokio::fs::read(&mark).await.is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    eprintln!("installing the vector stores of other frameworks into {}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).await?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--retries=1",
        "-r",
    ]);
    run(pip.arg(sources().join("requirements.txt"))).await?;
    tokio::fs::write(mark, wanted).await?;
    Ok(python)
}

/// Measures all of them on an empty database with the data that is in `folder`.
pub(super) async fn measure(
    python: &Path,
    database: &str,
    folder: &Path,
    seconds: f64,
) -> Result<Frameworks> {
    let mut command = Command::new(python);
    command
        .arg(sources().join("vector_stores.py"))
        .args(["--database", database, "--seconds", &seconds.to_string()])
        .arg("--data")
        .arg(folder);
    let output = run(&mut command).await?;
    let line = output.lines().last().ok_or("vector_stores.py said nothing")?;
    Ok(serde_json::from_str(line)?)
}

/// Runs to the end and returns what it printed.
async fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output.await.map_err(|error| format!("python3 cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("Python ended with {}: {last}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
