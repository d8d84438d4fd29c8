//! `aimate serve`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aimate::accounts::{Accounts, Oidc, RegistrationRule};
use aimate::store::Store;
use aimate::{Engine, Error, Result, http};

use crate::config::Config;
use crate::descriptors::Room;
use crate::find::FoundServer;
use crate::limits::UserLimits;
use crate::metrics;
use crate::mode::{self, Mode, Secrets, SignInArguments};
use crate::oidc::{self, Asked};
use crate::terminal::{plain, say};

/// What `serve` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    /// The address to listen on
    #[arg(long, env = "AIMATE_ADDR", default_value = "127.0.0.1:3000")]
    addr: String,
    /// The port to listen on, at the host of `--addr`
    #[arg(long, env = "PORT")]
    port: Option<u16>,
    /// Origins whose pages may call the server, separated by commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    allowed_origins: Vec<String>,
    /// Hosts that requests may name in server mode, separated by commas, such as `chat.example.org` [default: any]
    #[arg(long, env = "AIMATE_ALLOWED_HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// Proxies of yours before the server, each of which adds to `X-Forwarded-For`
    #[arg(long, env = "AIMATE_PROXIES", default_value_t = 0)]
    proxies: usize,
    /// Whether the cookies of browsers go over TLS alone [default: unless a request names this machine itself]
    #[arg(long, env = "AIMATE_SECURE_COOKIES", value_name = "true|false")]
    secure_cookies: Option<bool>,
    #[command(flatten)]
    sign_in: SignInArguments,
    /// Open connections at most [default: what the limit of file descriptors leaves, at most 10,000]
    #[arg(long, env = "AIMATE_MAX_CONNECTIONS")]
    max_connections: Option<usize>,
    /// Seconds that running answers have to finish at shutdown
    #[arg(long, default_value_t = 25)]
    drain: u64,
    #[command(flatten)]
    limits: UserLimits,
    #[command(flatten)]
    config: Config,
}

/// Starts the server and runs it until SIGTERM or Ctrl-C.
pub(crate) async fn serve(mut arguments: ServeArguments) -> Result<()> {
    let address = address(&arguments.addr, arguments.port).await?;
    let room = room(&arguments);
    let mode = Mode::of(address, &Secrets::of_environment(), &arguments.sign_in)?;
    if !mode.is_local() {
        mode::check_encryption_key(&arguments.config)?;
        mode::check_database_password(&arguments.config.database_url())?;
    }
    let options = arguments.limits.options(options(&arguments, room)?, mode.is_local())?;
    arguments.config.serves_others = !mode.is_local();
    let (builder, found, store) = arguments.config.engine_and_store().await?;
    let recorded = metrics::install()?;
    let options = options.more_metrics(move || recorded.render());
    let engine = arguments.limits.engine(builder.max_runs(room.runs), mode.is_local()).build().await?;
    let (options, told) = admit(options, mode, &engine, store, &arguments.config).await?;
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        Error::unavailable(format!(
            "cannot listen on {address}: {}; is another server running? Choose a port with `--addr 127.0.0.1:{}`",
            error.kind(),
            port.wrapping_add(1).max(1024)
        ))
        .with_source(error)
    })?;
    let address = listener.local_addr().unwrap_or(address);
    // Caught before anybody is told that the server is there: they may stop it at once.
    let stop = stop_signal()?;
    tell(&arguments, address, &found, &told);
    run(listener, engine, options, stop).await
}

/// Lets in whom the mode says, and says who that is.
async fn admit(
    options: http::Options,
    mode: Mode,
    engine: &Engine,
    store: Store,
    config: &Config,
) -> Result<(http::Options, String)> {
    match mode {
        Mode::Local => {
            let told = "whoever is at this machine, without a login".to_owned();
            Ok((options.callers(http::Callers::Local), told))
        }
        Mode::Server(settings) => {
            let keys = config.keys(&store).await?;
            let accounts = Accounts::new(engine.clone(), store, *settings);
            let providers = oidc::providers(|name| std::env::var(name).ok())?;
            let asked = Arc::new(Asked(config.transport()?));
            let oidc = Oidc::new(accounts.clone(), keys, asked, providers)?;
            let told = match (accounts.settings().registration, accounts.is_open().await?) {
                (RegistrationRule::First, true) => {
                    "accounts: none yet; the first who registers becomes the admin (`aimate user add --admin` makes one)"
                }
                (RegistrationRule::Open, _) => {
                    "accounts: anybody may register (AIMATE_REGISTRATION: first, invite or closed)"
                }
                (RegistrationRule::Closed, _) => "accounts: `aimate user add` makes them",
                _ => "accounts: who has an invite may register",
            };
            let names: Vec<_> = oidc.names().collect();
            let told = match names.is_empty() {
                true => told.to_owned(),
                false => format!("{told}; sign in with {} too", names.join(", ")),
            };
            Ok((options.oidc(oidc).callers(http::Callers::Accounts(accounts)), told))
        }
    }
}

/// What the descriptors of this process leave, and no more than was asked for.
fn room(arguments: &ServeArguments) -> Room {
    let room = Room::of_process();
    let most = arguments.max_connections.unwrap_or(room.connections).clamp(1, room.connections);
    Room { connections: most, listeners: room.listeners.min(most.div_ceil(4) * 3), ..room }
}

fn options(arguments: &ServeArguments, room: Room) -> Result<http::Options> {
    let origins = arguments.allowed_origins.iter().map(|origin| origin.trim());
    let hosts = arguments.allowed_hosts.iter().map(|host| host.trim());
    let options = http::Options::default()
        .allowed_hosts(hosts.filter(|host| !host.is_empty()))
        .proxies(arguments.proxies)
        .allowed_origins(origins.filter(|origin| !origin.is_empty()))
        .max_connections(room.connections)
        .max_listeners(room.listeners)
        .drain(Duration::from_secs(arguments.drain));
    let options = match arguments.secure_cookies {
        Some(are_secure) => options.secure_cookies(are_secure),
        None => options,
    };
    options.check().map_err(|error| Error::invalid(format!("ALLOWED_ORIGINS: {error}")))?;
    Ok(options)
}

async fn run(
    listener: tokio::net::TcpListener,
    engine: Engine,
    options: http::Options,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    http::serve(listener, engine, options, stop)
        .await
        .map_err(|error| Error::internal("the server failed").with_source(error))?;
    tracing::info!("stopped");
    Ok(())
}

async fn address(addr: &str, port: Option<u16>) -> Result<SocketAddr> {
    let wrong =
        |why: String| Error::invalid(format!("--addr {addr}: {why}; it should be like 127.0.0.1:3000"));
    let mut found = tokio::net::lookup_host(addr).await.map_err(|error| wrong(error.to_string()))?;
    let mut address = found.next().ok_or_else(|| wrong("it has no address".to_owned()))?;
    if let Some(port) = port {
        address.set_port(port);
    }
    Ok(address)
}

fn tell(arguments: &ServeArguments, address: SocketAddr, found: &[FoundServer], users: &str) {
    say(&format!("aiMate {}", env!("CARGO_PKG_VERSION")));
    let url = arguments.config.database_url();
    // A server's address may hold a password.
    let place = if url.starts_with("sqlite:") { url.as_str() } else { "PostgreSQL (DATABASE_URL)" };
    say(&format!("  data    {place}"));
    if found.is_empty() {
        say(
            "  models  none found: start Ollama, set OPENAI_API_KEY or OPENROUTER_API_KEY, or add a connection;",
        );
        say("          until then `builtin` answers and says how");
    }
    for FoundServer { told, .. } in found {
        say(&format!("  models  {}", plain(told)));
    }
    arguments.config.tell_search();
    say(&format!("  users   {users}"));
    say(&format!("  open    http://{address}/"));
    say(&format!("  OpenAI  http://{address}/v1"));
}

/// What ends with the first signal to stop. They are caught from the call on.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let (mut terminate, mut interrupt) = {
        use tokio::signal::unix::{SignalKind, signal};
        let caught = |kind| {
            signal(kind).map_err(|error| Error::internal("signals cannot be caught").with_source(error))
        };
        (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?)
    };
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        tracing::info!("stopping: running answers may finish");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_replaces_the_one_of_the_address() {
        assert_eq!(address("127.0.0.1:3000", Some(8080)).await.unwrap().port(), 8080);
        assert!(address("nonsense", None).await.is_err());
    }
}
