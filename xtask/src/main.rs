//! The project's own tasks. `cargo xtask` alone lists them.
//!
//! Runs on Linux and macOS; asks of the machine Rust, a C compiler, and Python
//! with pip (only to fetch the PostgreSQL and the model the tests run on).
#![allow(
    clippy::disallowed_methods,
    reason = "a developer's tool: it reads its environment as any binary does"
)]

mod api;
mod archive;
mod deny;
mod folder;
mod model;
mod package;
mod page;
mod postgres;
mod process;
mod project;
mod python;
mod source;
mod tasks;
mod tidy;

use std::env;
use std::process::ExitCode;

use process::{Failure, Result};
use project::Project;

const HELP: &str = "\
cargo xtask COMMAND

  check           format, clippy, tidy, the public interface, and the tests that need
                  neither PostgreSQL nor a model
  lint            all of these but the tests
  ci              what a change must pass: lint, deny, test, and checks beside the tests
  checks          doc, features, package
  test [ARG…]     every test, on SQLite and on two PostgreSQL servers of its own,
                  and with a model to embed with; ARGs go to the test runner, and
                  then doc tests and those of the Python package and the page are left out
  python          the tests and type checks of the Python package alone
  page [ARG…]     the tests of the web page in Chromium; ARGs go to pytest
  wheel           the Python package as a wheel, tried in an environment of its own
  fuzz [SECONDS]  every fuzz target for 60 s, or as long as said, each
  tidy            the project's own rules: crate boundaries, names, circles of imports,
                  file lengths
  api [--write]   compares the public interface with api/, or writes it there
  package         the archive of every crate, compiled out of the checkout
  deny            what deny.toml says of the dependencies
  doc             the documentation, without warnings
  features        each crate with each of its features alone, and with none
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
        ["checks"] => tasks::checks(&Project::find()?),
        ["ci"] => tasks::ci(&Project::find()?),
        ["api"] => api::api(&Project::find()?.root, false),
        ["api", "--write"] => api::api(&Project::find()?.root, true),
        ["package"] => archive::package(&Project::find()?),
        ["deny"] => deny::deny(&Project::find()?),
        ["doc"] => tasks::doc(&Project::find()?),
        ["features"] => tasks::features(&Project::find()?),
        ["tidy"] => tasks::tidy(&Project::find()?),
        ["fuzz"] => tasks::fuzz(&Project::find()?, "60"),
        ["fuzz", seconds] => tasks::fuzz(&Project::find()?, seconds),
        ["bench", rest @ ..] => tasks::bench(&Project::find()?, rest),
        ["python"] => python::test(&Project::find()?),
        ["page", rest @ ..] => page::test(&Project::find()?, rest),
        ["wheel"] => python::wheel(&Project::find()?),
        ["model"] => tasks::model(&Project::find()?),
        ["postgres", "up"] => tasks::postgres_up(&Project::find()?),
        _ => Err(Failure { message: format!("no command `{}`\n\n{HELP}", words.join(" ")), code: 2 }),
    }
}
