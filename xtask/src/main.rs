//! The project's own tasks. `cargo xtask` alone lists them.
//!
//! Runs on Linux and macOS; asks of the machine Rust, a C compiler, and Python
//! with pip (only to fetch the PostgreSQL and the model the tests run on).
#![allow(
    clippy::disallowed_methods,
    reason = "a developer's tool: it reads its environment as any binary does"
)]

mod folder;
mod model;
mod package;
mod postgres;
mod process;
mod project;
mod tasks;
mod tidy;

use std::env;
use std::process::ExitCode;

use process::{Failure, Result};
use project::Project;

const HELP: &str = "\
cargo xtask COMMAND

  check           format, clippy, tidy, and the tests that need neither PostgreSQL
                  nor a model
  lint            only the first three of these
  test [ARG…]     every test, on SQLite and on two PostgreSQL servers of its own,
                  and with a model to embed with; ARGs go to the test runner, and
                  then doc tests are left out
  tidy            the project's own rules: crate boundaries, names, file lengths
  fuzz [SECONDS]  every fuzz target for 60 s, or as long as said, each
  bench [ARG…]    the benchmark suite, on a PostgreSQL with durable settings
  model           fetches the model of `test` and prints its folder
  postgres up     the servers of `test`, until Ctrl-C, for use by hand
  help            this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(arguments: &[String]) -> Result {
    process::catch_signals()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["check"] => tasks::check(&Project::find()?),
        ["lint"] => tasks::lint(&Project::find()?),
        ["test", rest @ ..] => tasks::test(&Project::find()?, rest),
        ["tidy"] => tasks::tidy(&Project::find()?),
        ["fuzz"] => tasks::fuzz(&Project::find()?, "60"),
        ["fuzz", seconds] => tasks::fuzz(&Project::find()?, seconds),
        ["bench", rest @ ..] => tasks::bench(&Project::find()?, rest),
        ["model"] => tasks::model(&Project::find()?),
        ["postgres", "up"] => tasks::postgres_up(&Project::find()?),
        _ => Err(Failure { message: format!("no command `{}`\n\n{HELP}", words.join(" ")), code: 2 }),
    }
}
