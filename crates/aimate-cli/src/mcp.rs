//! `aimate mcp`.

use std::time::Duration;

use aimate::accounts::{AccountSettings, Accounts, SigningSecret};
use aimate::mcp::server::{McpCaller, serve_stdio};
use aimate::store::Store;
use aimate::{EmailAddress, Engine, Error, Result, Scope};

use crate::config::Config;

/// What `mcp` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct McpArguments {
    /// Serve the user with this e-mail address, of a server with accounts [default: the user of local mode]
    #[arg(long, value_name = "EMAIL")]
    user: Option<EmailAddress>,
    /// Offer only what stores nothing: not `ask`
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    config: Config,
}

/// Serves the client that started this process, until it closes standard input. The log
/// goes to standard error, as ever.
pub(crate) async fn mcp(arguments: McpArguments) -> Result<()> {
    let (builder, _, store) = arguments.config.engine_and_store().await?;
    // Documents that wait are read by `ingest` and by the server.
    let engine = builder.readers(0).build().await?;
    let outcome = Box::pin(serve(&engine, store, &arguments)).await;
    engine.drain(Duration::from_secs(5)).await;
    outcome
}

async fn serve(engine: &Engine, store: Store, arguments: &McpArguments) -> Result<()> {
    let scope = match &arguments.user {
        None => engine.local_scope().await?,
        Some(email) => scope_of(engine, store, email).await?,
    };
    let caller = McpCaller::new(scope);
    let caller = if arguments.read_only { caller.read_only() } else { caller };
    Box::pin(serve_stdio(engine, caller)).await
}

/// The scope of an account. Who has the database may act for anybody in it.
async fn scope_of(engine: &Engine, store: Store, email: &EmailAddress) -> Result<Scope> {
    // It signs nothing here.
    let settings = AccountSettings::new(SigningSecret::generate()?);
    let tenant = settings.tenant;
    let user = Accounts::new(engine.clone(), store, settings).find_user(email).await?;
    if !user.is_active {
        return Err(Error::forbidden(format!(
            "{email} is disabled; `aimate user enable` lets them in again"
        )));
    }
    Ok(Scope { tenant, user: user.id, role: user.role })
}
