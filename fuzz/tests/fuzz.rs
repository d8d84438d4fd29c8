//! Runs every fuzz target with the inputs that once failed, then for a while with
//! new ones.
//!
//! `AIMATE_FUZZ_SECONDS` (2) sets for how long each, `AIMATE_FUZZ_SEED` (1)
//! repeats or changes the inputs. An input that fails is saved; to keep it as a
//! test, move it to `fuzz/regressions/TARGET/`.
#![allow(clippy::disallowed_methods, reason = "a test reads its settings from the environment")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aimate_fuzz::{Outcome, Plan, Target, replay, run};
use libtest_mimic::{Arguments, Failed, Trial};

const SECONDS: u64 = 2;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let trials = aimate_fuzz::targets::ALL.iter().map(|target| Trial::test(target.name, || fuzz(target)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn fuzz(target: &'static Target) -> Result<(), Failed> {
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target.name);
    let Outcome { executions: replayed, failure } = replay(target, &regressions)?;
    if let Some(failure) = failure {
        return Err(format!("{failure}").into());
    }
    let plan = Plan {
        time: Duration::from_secs(setting("AIMATE_FUZZ_SECONDS", SECONDS)),
        seed: setting("AIMATE_FUZZ_SEED", SEED),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz"),
    };
    let Outcome { executions, failure } = run(target, &plan)?;
    println!("{}: {replayed} replayed, {executions} executions, AIMATE_FUZZ_SEED={}", target.name, plan.seed);
    match failure {
        Some(failure) => Err(format!("AIMATE_FUZZ_SEED={}: {failure}", plan.seed).into()),
        None => Ok(()),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
