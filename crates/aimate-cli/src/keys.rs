//! `aimate keys`.

use aimate::engine::KeyState;
use aimate::{Engine, Result};

use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::terminal::{counted, plain, say};

/// What `keys` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Say what is sealed with each encryption key
    Status {
        #[command(flatten)]
        config: Config,
    },
    /// Seal everything with the first key of AIMATE_KEYS, while servers go on
    Rotate {
        #[command(flatten)]
        config: Config,
    },
}

/// Shows the encryption keys, or seals everything with the active one. It fails if
/// something cannot be opened.
pub(crate) async fn keys(arguments: &KeysArguments) -> Result<ExitCode> {
    let (KeysCommand::Status { config } | KeysCommand::Rotate { config }) = &arguments.command;
    let store = config.connect(true).await?;
    let keys = config.keys(&store).await?;
    let engine = Engine::builder().store(store.clone()).keys(keys).readers(0).build().await?;
    let outcome = match arguments.command {
        KeysCommand::Status { .. } => engine.key_states().await,
        KeysCommand::Rotate { .. } => rotate(&engine).await,
    };
    engine.drain(std::time::Duration::ZERO).await;
    let states = outcome?;
    states.iter().for_each(|state| say(&told(state)));
    store.close().await;
    let is_lost = states.iter().any(|state| !state.is_configured);
    Ok(if is_lost { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn rotate(engine: &Engine) -> Result<Vec<KeyState>> {
    let rotation = engine.rotate_keys().await?;
    say(&format!("{} sealed anew", counted(rotation.resealed, "secret")));
    if rotation.unopened > 0 {
        say(&format!("{} cannot be opened and were left:", counted(rotation.unopened, "secret")));
    }
    for stored in &rotation.examples {
        let (table, _) = stored.kind.place();
        say(&format!(
            "  {table} `{}` ({}), sealed with key {}",
            plain(&stored.name),
            stored.row,
            stored.sealed.key_id
        ));
    }
    Ok(rotation.keys)
}

fn told(state: &KeyState) -> String {
    let sealed = counted(state.secrets, "secret");
    let what = match state {
        KeyState { is_configured: false, .. } => {
            "is not configured: put it back into AIMATE_KEYS, or enter what it sealed again"
        }
        KeyState { is_active: true, .. } => "is active",
        KeyState { secrets: 0, .. } => "may be removed from AIMATE_KEYS",
        _ => "opens; `aimate keys rotate` seals its secrets with the active key",
    };
    format!("key {}: {sealed}; it {what}", state.key_id)
}
