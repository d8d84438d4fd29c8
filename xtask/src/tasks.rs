//! The commands, one function each.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::api::api;
use crate::archive::package;
use crate::deny::deny;
use crate::model;
use crate::page;
use crate::postgres::{Durability, Postgres, Server, Version};
use crate::process::{Result, pause, run, stop};
use crate::project::Project;
use crate::python;
use crate::tidy::violations;

/// Names the servers to the tests: URLs, separated by commas.
const TEST_POSTGRES: &str = "AIMATE_TEST_POSTGRES";
/// Names the folder of a sentence-transformer to the tests and the benchmarks.
const TEST_MODEL: &str = "AIMATE_TEST_MODEL";
/// Says for how long each fuzz target runs.
const FUZZ_SECONDS: &str = "AIMATE_FUZZ_SECONDS";

/// One choice of packages and features for clippy, tests and CI: another choice
/// would build every dependency a second time.
const WORKSPACE: [&str; 2] = ["--workspace", "--all-features"];

/// Everything that can be said without PostgreSQL and a model.
pub(crate) fn check(project: &Project) -> Result {
    lint(project)?;
    run_tests(project, &[], None)
}

/// Format, clippy, tidy, and the public interface.
pub(crate) fn lint(project: &Project) -> Result {
    run(project.cargo().args(["fmt", "--all", "--check"]))?;
    tidy(project)?;
    api(&project.root, false)?;
    let mut clippy = project.cargo();
    clippy.arg("clippy").args(WORKSPACE).arg("--all-targets");
    run(clippy.args(["--", "-D", "warnings"]))
}

/// What a change must pass.
pub(crate) fn ci(project: &Project) -> Result {
    timed("lint", || lint(project))?;
    timed("deny", || deny(project))?;
    timed("building the tests", || build_tests(project))?;
    // Tests wait more than they compute, and these compute alone.
    let checks = SideChecks::start(project)?;
    let tested = timed("test", || test(project, &[]));
    let checked = timed("waiting for the checks", || checks.finish());
    tested.and(checked)
}

/// What is checked beside the tests: documentation, features, archives.
pub(crate) fn checks(project: &Project) -> Result {
    timed("doc", || doc(project))?;
    timed("features", || features(project))?;
    timed("package", || package(project))
}

/// [`checks`] in a process of its own, which leaves the processor to others.
struct SideChecks {
    child: Child,
    /// Where it says what it does.
    log: PathBuf,
}

impl SideChecks {
    fn start(project: &Project) -> Result<Self> {
        let log = project.target.join("checks.log");
        let start = || {
            let output = File::create(&log)?;
            let mut checks = Command::new("nice");
            checks.args(["-n", "10"]).arg(env::current_exe()?).arg("checks").current_dir(&project.root);
            checks.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
            checks.process_group(0).spawn()
        };
        let child = start().map_err(|error: io::Error| format!("cannot start the checks: {error}"))?;
        Ok(Self { child, log })
    }

    /// Waits for its end, and says what it said.
    fn finish(mut self) -> Result {
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            pause()?;
        };
        eprint!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        if status.success() { Ok(()) } else { Err("the checks beside the tests failed".into()) }
    }
}

impl Drop for SideChecks {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            stop(&mut self.child, "TERM");
        }
    }
}

/// Builds what [`test()`] runs.
fn build_tests(project: &Project) -> Result {
    let mut build = project.cargo();
    if has_nextest(project) {
        build.args(["nextest", "run"]);
    } else {
        build.args(["test", "--all-targets"]);
    }
    run(build.args(WORKSPACE).arg("--no-run"))
}

/// Does the work and says how long it took.
fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work();
    eprintln!("xtask: {name} took {} s", start.elapsed().as_secs());
    done
}

/// The documentation: each link leads somewhere.
pub(crate) fn doc(project: &Project) -> Result {
    let mut doc = project.cargo();
    doc.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps", "--quiet"]);
    run(doc.args(WORKSPACE))
}

/// Crates whose features are those of the crates below them.
const FACADES: [&str; 2] = ["aimate", "aimate-cli"];
/// A crate that is nothing without one of its features.
const NEEDS_A_FEATURE: &str = "aimate-store";

/// Each crate with each of its features alone, and with none; facades with none and with
/// their default, since whatever stands behind their features is checked below them.
pub(crate) fn features(project: &Project) -> Result {
    for package in project.packages()?.iter().filter(|package| package.is_published) {
        let is_facade = FACADES.contains(&package.name.as_str());
        if is_facade {
            check_features(project, &package.name, &[])?;
        }
        let features = package.features.iter().filter(|name| !is_facade && *name != "default");
        if !package.features.is_empty() {
            let none = (package.name != NEEDS_A_FEATURE).then_some("");
            for feature in none.into_iter().chain(features.map(String::as_str)) {
                check_features(project, &package.name, &["--no-default-features", "--features", feature])?;
            }
        }
    }
    Ok(())
}

fn check_features(project: &Project, name: &str, arguments: &[&str]) -> Result {
    eprintln!("checking {name} {}", arguments.join(" "));
    run(project.cargo().args(["check", "--quiet", "-p", name]).args(arguments))
}

/// The project's own rules.
pub(crate) fn tidy(project: &Project) -> Result {
    let found = violations(&project.root)?;
    for violation in &found {
        eprintln!("{violation}");
    }
    match found.len() {
        0 => Ok(()),
        count => Err(format!("tidy found {count} violation(s)").into()),
    }
}

/// Every test, with PostgreSQL 18 and 16 and a model beside it.
pub(crate) fn test(project: &Project, arguments: &[&str]) -> Result {
    let model = model::install(project)?;
    let servers = test_servers(project)?;
    timed("Rust's tests", || {
        run_tests(project, arguments, Some(&Beside { postgres: urls(&servers), model }))
    })?;
    if arguments.is_empty() {
        timed("Python's tests", || python::test(project))?;
        timed("the page's tests", || page::test(project, &[]))?;
    }
    Ok(())
}

/// Every fuzz target for `seconds`.
pub(crate) fn fuzz(project: &Project, seconds: &str) -> Result {
    let mut fuzz = project.cargo();
    // Not through nextest, which would end a long run.
    fuzz.arg("test").args(WORKSPACE).args(["--test", "fuzz", "--", "--nocapture"]);
    run(fuzz.env(FUZZ_SECONDS, seconds))
}

/// Fetches the model of [`test()`] and says where it is.
pub(crate) fn model(project: &Project) -> Result {
    println!("{}", model::install(project)?.display());
    Ok(())
}

/// The benchmark suite.
pub(crate) fn bench(project: &Project, arguments: &[&str]) -> Result {
    let mut build = project.cargo();
    run(build.args(["build", "--release", "-p", "aimate-cli", "-p", "aimate-bench"]))?;
    let model = model::install(project)?;
    let server = Postgres::install(project)?.start(Version::V18, Durability::Durable)?;
    let release = project.target.join("release");
    let mut suite = Command::new(release.join("aimate-bench"));
    suite
        .current_dir(&project.root)
        .args(arguments)
        .env("AIMATE_BIN", release.join("aimate"))
        .env("AIMATE_BENCH_POSTGRES", server.url())
        .env(TEST_MODEL, model);
    run(&mut suite)
}

/// The servers of [`test()`], until a signal comes.
pub(crate) fn postgres_up(project: &Project) -> Result {
    let mut servers = test_servers(project)?;
    println!("{TEST_POSTGRES}={}", urls(&servers));
    eprintln!("running until Ctrl-C");
    while pause().is_ok() {
        for server in &mut servers {
            server.check_running()?;
        }
    }
    Ok(())
}

fn test_servers(project: &Project) -> Result<Vec<Server>> {
    let postgres = Postgres::install(project)?;
    [Version::V18, Version::V16]
        .into_iter()
        .map(|version| postgres.start(version, Durability::Fast))
        .collect()
}

fn urls(servers: &[Server]) -> String {
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    urls.join(",")
}

/// What some tests need beside them, and pass without.
struct Beside {
    postgres: String,
    model: PathBuf,
}

fn run_tests(project: &Project, arguments: &[&str], beside: Option<&Beside>) -> Result {
    let cargo = || {
        let mut cargo = project.cargo();
        match beside {
            Some(Beside { postgres, model }) => cargo.env(TEST_POSTGRES, postgres).env(TEST_MODEL, model),
            None => cargo.env_remove(TEST_POSTGRES).env_remove(TEST_MODEL),
        };
        cargo
    };
    if has_nextest(project) {
        // Tests wait for disks, servers and each other more than they compute.
        let at_once = std::thread::available_parallelism().map_or(2, |cores| 2 * cores.get());
        let mut tests = cargo();
        tests.env("NEXTEST_TEST_THREADS", at_once.to_string());
        run(tests.args(["nextest", "run"]).args(WORKSPACE).args(arguments))?;
    } else {
        let mut tests = cargo();
        tests.arg("test").args(WORKSPACE).args(["--all-targets", "--no-fail-fast"]);
        run(tests.args(arguments))?;
    }
    // Neither command above runs doc tests, and a filter is not about them.
    if arguments.is_empty() {
        run(cargo().args(["test", "--doc"]).args(WORKSPACE))?;
    }
    Ok(())
}

fn has_nextest(project: &Project) -> bool {
    let probe = project.cargo().args(["nextest", "--version"]).output();
    probe.is_ok_and(|output| output.status.success())
}
