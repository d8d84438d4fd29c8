//! The command `aimate`: what each subcommand takes, and its way from arguments
//! and environment to the engine.
//!
//! It is a library of one function, [`run`], so that the binary and the Python package have
//! the same command.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![expect(clippy::disallowed_methods, reason = "the command is the one place that reads the environment")]

mod account;
mod backup;
mod chat;
mod config;
mod descriptors;
mod doctor;
mod embedder;
mod env_file;
mod eval;
mod exit_code;
mod extract;
mod find;
mod ingest;
mod keys;
mod lifetime;
mod limits;
mod log;
mod mcp;
mod metrics;
mod mode;
mod model;
mod oidc;
mod reading;
mod registration;
mod reranker;
mod search;
mod serve;
mod terminal;
mod token;
mod tool;
mod tool_file;
mod user;
mod wait;

use std::ffi::OsString;

use aimate::{Error, ErrorReason, Result};
use clap::{Parser, Subcommand};

use config::Config;
use exit_code::ExitCode;
use terminal::{complain, say};

/// An embeddable chat and RAG engine: `aimate` starts its server.
#[derive(Debug, Parser)]
#[command(name = "aimate", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    /// A file of settings, a `NAME=value` on each line, instead of `.env` in the data folder
    #[arg(long, global = true, value_name = "FILE")]
    #[allow(dead_code, reason = "it is read before the arguments take their defaults from it")]
    env_file: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the HTTP server (the default command)
    Serve(Box<serve::ServeArguments>),
    /// Apply pending migrations and say which
    Migrate {
        #[command(flatten)]
        config: Config,
        /// PostgreSQL: also put policies on all tables that keep tenants apart, and let this role,
        /// which the server runs as, work within them
        #[arg(long, value_name = "ROLE")]
        row_level_security_for: Option<String>,
    },
    /// Write everything that is stored into one file, while a server may go on
    Backup(backup::BackupArguments),
    /// Bring a backup back into the data folder
    Restore(backup::RestoreArguments),
    /// Chat on the terminal, interactively without PROMPT
    Chat(chat::ChatArguments),
    /// Read files and folders into a collection; what did not change is left alone
    Ingest(ingest::IngestArguments),
    /// Find passages in the documents
    Search(search::SearchArguments),
    /// Print what is read of files, with their headings and warnings; nothing is stored
    Extract(extract::ExtractArguments),
    /// Measure how well search finds, on a test collection with known answers
    Eval(eval::EvalArguments),
    /// Show the encryption keys and what they seal, or seal everything with the active one
    Keys(keys::KeysArguments),
    /// Serve one MCP client over standard input and output: search, documents, conversations, prompts
    Mcp(mcp::McpArguments),
    /// Manage accounts
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage API tokens of accounts
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// List, test and call the tools of tool servers
    #[command(subcommand)]
    Tools(tool::ToolCommand),
    /// List, fetch, choose and remove the models that run in this process
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Check the database, the keys, the documents and the model servers, and say what to do
    Doctor(doctor::DoctorArguments),
}

/// Runs the command with these arguments, of which the first is the program's name, and
/// returns its exit code. Arguments that are none end the process.
///
/// `worker` is a program and its arguments that read a document, as `aimate extract-worker`
/// does; default: this process' own program.
pub fn run(arguments: impl IntoIterator<Item = OsString>, worker: Option<Vec<OsString>>) -> u8 {
    command(arguments, worker).number()
}

fn command(arguments: impl IntoIterator<Item = OsString>, worker: Option<Vec<OsString>>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // It reads one document for another process and has nothing else of it.
    if arguments.get(1).is_some_and(|command| command == "extract-worker") {
        return aimate::text::extract::worker_main().into();
    }
    if let Some(worker) = worker {
        config::set_worker(worker);
    }
    // Before the arguments are read: they take their defaults from it.
    let env_file = env_file::load(arguments.iter().cloned());
    let arguments = Cli::parse_from(arguments);
    let _log = match log::start() {
        Ok(log) => log,
        Err(error) => {
            eprintln!("aimate: {error}");
            return ExitCode::FAILURE;
        }
    };
    match env_file {
        Ok(None) => {}
        Ok(Some(left)) => {
            tracing::warn!(
                "{}: no settings of aiMate, left alone: {}",
                left.file.display(),
                left.names.join(", ")
            );
        }
        Err(error) => {
            eprintln!("aimate: {error}");
            return ExitCode::FAILURE;
        }
    }
    config::warn_unknown(std::env::vars().map(|(name, _)| name));
    match execute(arguments) {
        Ok(code) => code,
        Err(error) => {
            tracing::debug!(cause = ?error, "the command failed");
            let error = match advice(&error) {
                Some(advice) => error.with_advice(advice),
                None => error,
            };
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// What to do about an error, in terms of this command's environment.
fn advice(error: &Error) -> Option<&'static str> {
    match error.reason()? {
        ErrorReason::EmbedderNotLoaded => {
            Some("`aimate model use NAME` sets the model to load, or AIMATE_MODEL_DIR names its folder")
        }
        ErrorReason::NoEncryptionKey => Some("ENCRYPTION_KEY holds one"),
        _ => None,
    }
}

fn execute(arguments: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("the async runtime does not start").with_source(error))?;
    let code = runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve(Box::new(arguments.serve))) {
            Command::Serve(arguments) => serve::serve(*arguments).await.map(|()| ExitCode::SUCCESS),
            Command::Migrate { config, row_level_security_for } => {
                migrate(&config, row_level_security_for.as_deref()).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Backup(arguments) => backup::backup(arguments).await,
            Command::Restore(arguments) => backup::restore(arguments).await,
            Command::Chat(arguments) => chat::chat(arguments).await.map(|()| ExitCode::SUCCESS),
            Command::Ingest(arguments) => ingest::ingest(arguments).await,
            Command::Search(arguments) => search::search(arguments).await.map(|()| ExitCode::SUCCESS),
            Command::Extract(arguments) => extract::extract(arguments).await,
            Command::Eval(arguments) => eval::eval(arguments).await.map(|()| ExitCode::SUCCESS),
            Command::Keys(arguments) => keys::keys(&arguments).await,
            Command::Mcp(arguments) => Box::pin(mcp::mcp(arguments)).await.map(|()| ExitCode::SUCCESS),
            Command::User(command) => user::user(command).await.map(|()| ExitCode::SUCCESS),
            Command::Token(command) => token::token(command).await.map(|()| ExitCode::SUCCESS),
            Command::Tools(command) => Box::pin(tool::tools(command)).await.map(|()| ExitCode::SUCCESS),
            Command::Model(command) => Box::pin(model::model(command)).await.map(|()| ExitCode::SUCCESS),
            Command::Doctor(arguments) => doctor::doctor(&arguments).await,
        }
    });
    // A terminal read that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn migrate(config: &Config, role: Option<&str>) -> Result<()> {
    let store = config.connect(false).await?;
    let applied = store.migrate().await?;
    for name in &applied {
        say(&format!("applied {name}"));
    }
    if let Some(role) = role {
        let secured = store.secure_rows(role).await?;
        say(&format!("{secured} tables keep tenants apart by row-level security; `{role}` works within it"));
    }
    say(&format!("{}: the schema is up to date", store.info().await?.address));
    store.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
