//! `aimate user`: accounts, for the operator of the server.

use aimate::accounts::{Accounts, InviteRequest};
use aimate::user::User;
use aimate::{EmailAddress, PageRequest, Result, Role};

use crate::account::{PasswordArguments, with_accounts};
use crate::config::Config;
use crate::terminal::{plain, say};

/// What `user` takes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account, or an invite with which somebody makes it themself
    Add {
        /// The e-mail address
        email: EmailAddress,
        /// As an admin
        #[arg(long)]
        admin: bool,
        /// The name to show [default: what stands before the `@`]
        #[arg(long)]
        name: Option<String>,
        /// Print an invite for this address instead of asking for a password
        #[arg(long, conflicts_with_all = ["name", "password_stdin"])]
        invite: bool,
        #[command(flatten)]
        password: PasswordArguments,
        #[command(flatten)]
        config: Config,
    },
    /// List the users
    List {
        /// Print each as one line of JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Keep somebody out: their sessions end, their API tokens are good for nothing
    Disable(Of),
    /// Let somebody in again
    Enable(Of),
    /// Delete an account with all it has, and print a receipt
    Delete(Of),
    /// Forgive failed attempts to sign in
    Unlock(Of),
    /// Make the user of local mode, with all they have, this account's user
    Adopt(WithPassword),
    /// Set another password and end all sessions
    ResetPassword(WithPassword),
}

/// An account.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// The e-mail address
    email: EmailAddress,
    #[command(flatten)]
    config: Config,
}

/// An account and its new password.
#[derive(Debug, clap::Args)]
pub(crate) struct WithPassword {
    /// The e-mail address
    email: EmailAddress,
    #[command(flatten)]
    password: PasswordArguments,
    #[command(flatten)]
    config: Config,
}

/// Does what is asked for with accounts.
pub(crate) async fn user(command: UserCommand) -> Result<()> {
    match command {
        UserCommand::Add { email, admin, name, invite, password, config } => {
            let role = if admin { Role::Admin } else { Role::User };
            if invite {
                return with_accounts(&config, async |accounts| print_invite(accounts, email, role).await)
                    .await;
            }
            let password = password.read()?;
            let work = async |accounts: &Accounts| {
                let user = accounts.add_user(email, name, role, &password).await?;
                say(&format!("added {}", told(&user)));
                Ok(())
            };
            with_accounts(&config, work).await
        }
        UserCommand::List { json, config } => {
            with_accounts(&config, async |accounts| list(accounts, json).await).await
        }
        UserCommand::Disable(of) => set_active(&of, false).await,
        UserCommand::Enable(of) => set_active(&of, true).await,
        UserCommand::Delete(of) => {
            with_accounts(&of.config, async |accounts| delete(accounts, &of.email).await).await
        }
        UserCommand::Unlock(of) => {
            let work = async |accounts: &Accounts| {
                accounts.unlock_account(&of.email).await?;
                say(&format!("unlocked {}", of.email));
                Ok(())
            };
            with_accounts(&of.config, work).await
        }
        UserCommand::Adopt(of) => {
            with_accounts(&of.config, async |accounts| adopt(accounts, &of).await).await
        }
        UserCommand::ResetPassword(of) => {
            let password = of.password.read()?;
            let work = async |accounts: &Accounts| {
                accounts.reset_password(&of.email, &password).await?;
                say(&format!("set the password of {}; all its sessions are over", of.email));
                Ok(())
            };
            with_accounts(&of.config, work).await
        }
    }
}

async fn print_invite(accounts: &Accounts, email: EmailAddress, role: Role) -> Result<()> {
    let made = accounts.invite_user(InviteRequest::new(Some(email.clone()), role)).await?;
    say(&format!("an invite for {email}, good once until {}:", made.invite.expires_at));
    say(made.token.expose());
    say("it goes into POST /api/v1/auth/register as `invite`, with this address and a password");
    Ok(())
}

async fn list(accounts: &Accounts, json: bool) -> Result<()> {
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let users = accounts.list_users(page).await?;
        for user in &users.data {
            match serde_json::to_string(user) {
                Ok(line) if json => say(&line),
                _ => say(&told(user)),
            }
        }
        let Some(next) = users.next else { return Ok(()) };
        page.after = Some(next);
    }
}

async fn set_active(of: &Of, is_active: bool) -> Result<()> {
    let work = async |accounts: &Accounts| {
        say(&told(&accounts.set_active(&of.email, is_active).await?));
        Ok(())
    };
    with_accounts(&of.config, work).await
}

async fn delete(accounts: &Accounts, email: &EmailAddress) -> Result<()> {
    let receipt = accounts.remove_user(email).await?;
    say(&format!("deleted {email} with"));
    let counts = serde_json::to_value(receipt.counts).unwrap_or_default();
    for (noun, count) in counts.as_object().into_iter().flatten() {
        let count = count.as_u64().unwrap_or_default();
        if count > 0 {
            say(&format!("  {count} {}", noun.replace('_', " ")));
        }
    }
    Ok(())
}

async fn adopt(accounts: &Accounts, of: &WithPassword) -> Result<()> {
    let is_new = accounts.find_user(&of.email).await.is_err();
    let password = is_new.then(|| of.password.read()).transpose()?;
    let user = accounts.adopt(&of.email, password.as_ref()).await?;
    say(&format!("what local mode has is now that of {}", told(&user)));
    Ok(())
}

fn told(user: &User) -> String {
    let email = user.email.as_deref().unwrap_or("(no login)");
    let state = if user.is_active { "" } else { ", disabled" };
    format!("{} {}: {}{state}", user.id, plain(email), user.role)
}
