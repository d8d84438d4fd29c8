//! Accounts for aiMate: passwords, sessions, API tokens and login through an OpenID
//! provider, for applications that have no login of their own.
//!
//! [`Accounts`] is a service over an [`Engine`](aimate_core::Engine) and its stores:
//! it makes accounts, signs people in and out, and says of each credential whose it is
//! ([`Accounts::authenticate`]). It knows neither HTTP nor a database. An application
//! with a login of its own needs none of it: it brings its own scopes
//! ([`Engine::scope`](aimate_core::Engine::scope)).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aimate_core::Result<()> {
//! use aimate_accounts::{AccountSettings, Accounts, Client, Registration, SigningSecret};
//! use aimate_core::{Engine, Secret};
//!
//! let store = aimate_store::connect("sqlite::memory:").await?;
//! let engine = Engine::builder().store(store.clone()).build().await?;
//! let secret = SigningSecret::generate()?;
//! let accounts = Accounts::new(engine, store, AccountSettings::new(secret));
//!
//! let ada = Registration::new("ada@example.org", Secret::new("correct horse battery"));
//! let signed_in = accounts.register(ada, &Client::default()).await?;
//! let principal = accounts.authenticate(signed_in.access_token.expose()).await?;
//! assert_eq!(principal.scope.user, signed_in.user.id);
//! # Ok(()) }
//! ```
//!
//! # What is kept
//! Passwords as Argon2id hashes, tokens as SHA-256 of their random part; nothing that is
//! given out can be made again from the database.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
mod accounts;
mod event;
mod fresh;
mod lockout;
#[cfg(feature = "oidc")]
mod oidc;
mod password;
mod settings;
mod signing_secret;
mod token;

pub use accounts::{
    Accounts, ApiTokenRequest, Client, Credential, InviteRequest, MadeApiToken, MadeInvite, Principal,
    Registration, SignedIn,
};
#[cfg(feature = "oidc")]
pub use oidc::{
    Oidc, OidcAnswer, OidcClient, OidcRequest, OidcResponse, OidcSettings, OidcSignedIn, OidcStart,
};
pub use settings::{AccountSettings, RegistrationRule};
pub use signing_secret::{SigningSecret, check_strength, is_well_known};
