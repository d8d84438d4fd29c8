//! What the commands about accounts share: the accounts of the database, and passwords
//! from a terminal.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::time::Duration;

use aimate::accounts::{AccountSettings, Accounts, SigningSecret};
use aimate::{Engine, Error, Result, Secret};

use crate::config::Config;

/// Bytes of a password that are read at most: more than any may have.
const MAX_PASSWORD: u64 = 4_096;

/// Does `work` with the accounts of the database, beside a server that may run.
pub(crate) async fn with_accounts<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Accounts) -> Result<T>,
) -> Result<T> {
    let store = config.connect(true).await?;
    let engine = Engine::builder().store(store.clone()).readers(0).build().await?;
    // It signs nothing here.
    let settings = AccountSettings::new(SigningSecret::generate()?);
    let outcome = work(&Accounts::new(engine.clone(), store, settings)).await;
    engine.drain(Duration::ZERO).await;
    outcome
}

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct PasswordArguments {
    /// Read the password from standard input, one line, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// The new password: asked for twice on a terminal, or a line of standard input.
    ///
    /// # Errors
    /// `Invalid` if there is neither, or the two differ.
    pub(crate) fn read(&self) -> Result<Secret> {
        if self.password_stdin {
            return line();
        }
        if !std::io::stdin().is_terminal() {
            return Err(Error::invalid(
                "there is no terminal to ask for a password on; give it by `--password-stdin`",
            ));
        }
        let first = ask("Password: ")?;
        let second = ask("Again: ")?;
        if first.expose() != second.expose() {
            return Err(Error::invalid("the two passwords are not the same; nothing was changed"));
        }
        Ok(first)
    }
}

fn ask(prompt: &str) -> Result<Secret> {
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "{prompt}").and_then(|()| terminal.flush());
    let hidden = Hidden::begin();
    let read = line();
    drop(hidden);
    let _ = writeln!(terminal);
    read
}

fn line() -> Result<Secret> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_PASSWORD).read_line(&mut line);
    read.map_err(|error| Error::invalid("the password cannot be read, or is no UTF-8").with_source(error))?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
}

/// What is typed is not shown, until it is dropped.
struct Hidden {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

#[cfg(unix)]
impl Hidden {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let input = std::io::stdin();
        let before = tcgetattr(&input).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(&input, OptionalActions::Flush, &hidden);
        }
        Self { before }
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> Self {
        Self {}
    }
}
