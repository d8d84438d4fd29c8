//! The tables, and what must be reached.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;

const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";

/// What a run of the suite found.
#[derive(Default)]
pub(crate) struct Report {
    sections: Vec<String>,
    goals: Vec<Goal>,
}

struct Goal {
    what: String,
    must: String,
    measured: String,
    reached: bool,
}

impl Report {
    /// Adds a table under a heading; says it at once, for who is waiting.
    pub(crate) fn table(&mut self, heading: &str, columns: &[&str], rows: &[Vec<String>]) {
        let mut text = format!("#### {heading}\n\n| {} |\n|", columns.join(" | "));
        text.push_str(&"---|".repeat(columns.len()));
        for row in rows {
            let _ = write!(text, "\n| {} |", row.join(" | "));
        }
        println!("\n{text}");
        self.sections.push(text);
    }

    /// Adds a sentence below the last table.
    pub(crate) fn note(&mut self, note: &str) {
        println!("\n{note}");
        self.sections.push(note.to_owned());
    }

    /// `measured` must be at most `max`.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, measured: f64, max: f64, unit: &str) {
        self.goal(what, format!("≤ {}{unit}", Short(max)), measured, unit, measured <= max);
    }

    /// `measured` must be at least `least`.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, measured: f64, least: f64, unit: &str) {
        self.goal(what, format!("≥ {}{unit}", Short(least)), measured, unit, measured >= least);
    }

    /// A case broke off.
    pub(crate) fn failed(&mut self, case: &str, error: &dyn std::error::Error) {
        eprintln!("{case} failed: {}", chain(error));
        self.goals.push(Goal {
            what: format!("case {case}"),
            must: "run".to_owned(),
            measured: "failed".to_owned(),
            reached: false,
        });
    }

    fn goal(&mut self, what: impl Into<String>, must: String, measured: f64, unit: &str, reached: bool) {
        self.goals.push(Goal {
            what: what.into(),
            must,
            measured: format!("{}{unit}", Short(measured)),
            reached,
        });
    }

    /// Whether every goal was reached.
    pub(crate) fn is_reached(&self) -> bool {
        self.goals.iter().all(|goal| goal.reached)
    }

    /// The list of goals as Markdown.
    pub(crate) fn goals(&self) -> String {
        let mut text = "#### Must reach\n\n| | must | measured | |\n|---|---|---|---|".to_owned();
        for Goal { what, must, measured, reached } in &self.goals {
            let verdict = if *reached { "reached" } else { "**missed**" };
            let _ = write!(text, "\n| {what} | {must} | {measured} | {verdict} |");
        }
        text
    }

    /// Puts everything between the markers of a file.
    pub(crate) fn write(&self, file: &Path) -> Result {
        let text = fs::read_to_string(file)?;
        let parts = text.split_once(BEGIN);
        let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = parts.ok_or_else(|| format!("{} has no {BEGIN} … {END}", file.display()))?;
        let sections = self.sections.join("\n\n");
        let text = format!("{before}{BEGIN}\n{}\n\n{}\n\n{sections}\n{END}{after}", machine(), self.goals());
        Ok(fs::write(file, text)?)
    }
}

/// An error and what is behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(said, ": {error}");
        source = error.source();
    }
    said
}

/// A number with as many digits as say something.
pub(crate) struct Short(pub(crate) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            size if size >= 100.0 || size.fract() == 0.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            _ => 3,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

/// What the figures are from: day, commit, machine.
fn machine() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        let output = output.filter(|output| output.status.success());
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    };
    let commit = said("git", &["describe", "--always", "--dirty"]);
    let commit = if commit.is_empty() { "no commit".to_owned() } else { format!("commit {commit}") };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    format!(
        "{}, {commit}; {cores} cores of {processor}, {} GB, Linux {}; model server, load, database and aimate on this one machine.",
        said("date", &["+%Y-%m-%d"]),
        memory / 1_000_000,
        said("uname", &["-r"]),
    )
}
