//! The tests of the web page, in a real browser.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{Result, capture, run};
use crate::project::Project;
use crate::python::environment;

/// What Chromium is called on PATH.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// What is said where there is none.
const MISSING: &str = "SKIPPED: the tests of the page, since no Chromium is on PATH: install one (on Debian: \
                       `apt-get install --no-install-recommends chromium`), or name one in CHROMIUM";

/// The tests of the page against the server of the workspace's build; skipped, with a sentence
/// that says so, where there is no browser and none can be installed.
pub(crate) fn test(project: &Project, arguments: &[&str]) -> Result {
    let Some(browser) = find().or_else(|| install().and_then(|()| find())) else {
        eprintln!("{MISSING}");
        return Ok(());
    };
    let folder = project.root.join("web/tests");
    let packages = fs::read_to_string(folder.join("requirements.txt")).map_err(|error| error.to_string())?;
    let python = environment(project, "page", &packages)?;
    project.build()?;
    let mut tests = Command::new(&python);
    tests
        .current_dir(&folder)
        .env("CHROMIUM", browser)
        .env("AIMATE_BIN", project.target.join("debug/aimate"))
        .env("AIMATE_PAGE_OUTPUT", project.target.join("page"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    tests.args(["-m", "pytest"]).args(arguments);
    if arguments.is_empty() {
        // Much of their time is waiting. The tests of a file share a server.
        tests.args(["--numprocesses=2", "--dist=loadfile"]);
    }
    // As the Rust tests do.
    if env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "ci") {
        tests.args(["--reruns", "1"]);
    }
    run(&mut tests)
}

/// A Chromium that starts: `CHROMIUM`, else the first on PATH.
fn find() -> Option<String> {
    let starts = |name: &String| capture(Command::new(name).arg("--version")).is_ok();
    let named = env::var("CHROMIUM").ok();
    named.into_iter().chain(NAMES.map(str::to_owned)).find(starts)
}

/// Installs Chromium where that needs nobody's password: on Debian and its kin, as root.
fn install() -> Option<()> {
    let is_root = capture(Command::new("id").arg("-u")).is_ok_and(|user| user == "0");
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    let steps: [&[&str]; 2] = [&["update"], &["install", "-y", "--no-install-recommends", "chromium"]];
    for step in steps {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2").args(step);
        if let Err(failure) = run(&mut apt) {
            eprintln!("Chromium could not be installed: {}", failure.message);
            return None;
        }
    }
    Some(())
}
