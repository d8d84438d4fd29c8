//! `aimate token`: API tokens of accounts, for the operator of the server.

use std::time::Duration;

use aimate::accounts::{Accounts, ApiTokenRequest};
use aimate::api_token::{ApiToken, TokenScope};
use aimate::{ApiTokenId, Clock as _, EmailAddress, PageRequest, Result, SystemClock};

use crate::account::with_accounts;
use crate::config::Config;
use crate::lifetime::lifetime;
use crate::terminal::{plain, say};

/// What `token` takes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API token and print it: nobody can show it again
    Create {
        /// The e-mail address of the account
        email: EmailAddress,
        /// What the token is for
        #[arg(long)]
        name: String,
        /// What its bearer may do: `read`, `write`, `admin`, several with commas between
        #[arg(long, value_delimiter = ',', required = true)]
        scope: Vec<TokenScope>,
        /// How long it is good, such as `90d`, `12h` or `30m` [default: until it is revoked]
        #[arg(long, value_parser = lifetime)]
        expires: Option<Duration>,
        #[command(flatten)]
        config: Config,
    },
    /// List the API tokens of an account
    List {
        /// The e-mail address of the account
        email: EmailAddress,
        #[command(flatten)]
        config: Config,
    },
    /// Revoke an API token; it is good for nothing from now on
    Revoke {
        /// The e-mail address of the account
        email: EmailAddress,
        /// The token's id, as `list` shows it
        id: ApiTokenId,
        #[command(flatten)]
        config: Config,
    },
}

/// Does what is asked for with API tokens.
pub(crate) async fn token(command: TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Create { email, name, scope, expires, config } => {
            let expires_at = expires.map(|lifetime| SystemClock.now().plus(lifetime));
            let new = ApiTokenRequest::new(name, scope).expires_at(expires_at);
            let work = async |accounts: &Accounts| {
                let made = accounts.create_token_for(&email, new).await?;
                // Alone on its line, for scripts.
                say(made.secret.expose());
                Ok(())
            };
            with_accounts(&config, work).await
        }
        TokenCommand::List { email, config } => {
            with_accounts(&config, async |accounts| list(accounts, &email).await).await
        }
        TokenCommand::Revoke { email, id, config } => {
            let work = async |accounts: &Accounts| {
                accounts.revoke_token_of(&email, id).await?;
                say(&format!("revoked {id}"));
                Ok(())
            };
            with_accounts(&config, work).await
        }
    }
}

async fn list(accounts: &Accounts, email: &EmailAddress) -> Result<()> {
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let tokens = accounts.tokens_of(email, page).await?;
        tokens.data.iter().for_each(|token| say(&told(token)));
        let Some(next) = tokens.next else { return Ok(()) };
        page.after = Some(next);
    }
}

fn told(token: &ApiToken) -> String {
    let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
    let ends = token.expires_at.map_or("never ends".to_owned(), |at| format!("ends {at}"));
    let used = token.last_used_at.map_or("never used".to_owned(), |at| format!("last used {at}"));
    format!("{} aim_{}_… {}: {scopes}, {ends}, {used}", token.id, token.prefix, plain(&token.name))
}
