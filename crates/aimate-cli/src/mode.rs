//! Whom the server serves: in local mode whoever sits at this machine, in server mode
//! those who have an account.

use std::net::SocketAddr;
use std::time::Duration;

use aimate::accounts::{AccountSettings, RegistrationRule, SigningSecret, check_strength, is_well_known};
use aimate::{Error, Result};

use crate::config::Config;
use crate::lifetime::lifetime;
use crate::registration::registration;

const MAKE_ONE: &str = "make one with `openssl rand -base64 32`";

/// How people sign in, in server mode.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SignInArguments {
    /// Who may register: `open` (anybody; the first account is an admin's), `first` (that one, later ones with an
    /// invite), `invite` or `closed`
    #[arg(long, env = "AIMATE_REGISTRATION", default_value = "open", value_parser = registration)]
    registration: RegistrationRule,
    /// How long an access token is good, at most `15m`
    #[arg(long, env = "AIMATE_ACCESS_LIFETIME", default_value = "15m", value_parser = access_lifetime)]
    access_lifetime: Duration,
    /// How long a session lasts without being used
    #[arg(long, env = "AIMATE_SESSION_LIFETIME", default_value = "30d", value_parser = lifetime)]
    session_lifetime: Duration,
    /// How long a session lasts at most
    #[arg(long, env = "AIMATE_SESSION_MAX", default_value = "180d", value_parser = lifetime)]
    session_max: Duration,
    /// How long an invite is good
    #[arg(long, env = "AIMATE_INVITE_LIFETIME", default_value = "7d", value_parser = lifetime)]
    invite_lifetime: Duration,
}

impl SignInArguments {
    fn settings(&self, secret: SigningSecret) -> AccountSettings {
        AccountSettings::new(secret)
            .registration(self.registration)
            .access_ttl(self.access_lifetime)
            .refresh_ttl(self.session_lifetime)
            .max_session(self.session_max)
            .invite_ttl(self.invite_lifetime)
    }
}

/// Whom the server serves.
#[derive(Debug)]
pub(crate) enum Mode {
    /// One user, no login; on the loopback interface alone.
    Local,
    /// Accounts, on any address.
    Server(Box<AccountSettings>),
}

/// What the environment says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    /// `JWT_SECRET`.
    pub(crate) jwt: Option<String>,
    /// `JWT_SECRET_PREVIOUS`.
    pub(crate) previous_jwt: Option<String>,
}

impl Secrets {
    /// Of the environment. An empty one is none.
    pub(crate) fn of_environment() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self { jwt: read("JWT_SECRET"), previous_jwt: read("JWT_SECRET_PREVIOUS") }
    }
}

impl Mode {
    /// Local mode is a loopback address without `JWT_SECRET`; everything else needs
    /// accounts.
    ///
    /// # Errors
    /// `Invalid` if there is no secret, or one that can be guessed.
    pub(crate) fn of(address: SocketAddr, secrets: &Secrets, sign_in: &SignInArguments) -> Result<Self> {
        let Some(jwt) = &secrets.jwt else {
            if address.ip().is_loopback() {
                return Ok(Self::Local);
            }
            return Err(Error::invalid(format!(
                "other machines can reach {address}, so people sign in there and JWT_SECRET is needed: {MAKE_ONE}; \
                 or listen on 127.0.0.1, for this machine alone"
            )));
        };
        let secret = |name: &str, text: &str| {
            SigningSecret::parse(text).map_err(|error| Error::invalid(format!("{name} {error}")))
        };
        let mut settings = sign_in.settings(secret("JWT_SECRET", jwt)?);
        if let Some(previous) = &secrets.previous_jwt {
            settings = settings.previous_secret(secret("JWT_SECRET_PREVIOUS", previous)?);
        }
        Ok(Self::Server(Box::new(settings)))
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }
}

/// In server mode, the encryption key is one that somebody chose to keep: of the
/// environment, and none that can be guessed, or the file that is there.
///
/// # Errors
/// `Invalid`, with how to make one.
pub(crate) fn check_encryption_key(config: &Config) -> Result<()> {
    if let Some(name) = Config::environment_keys() {
        let keys = std::env::var(name).unwrap_or_default();
        for key in keys.split(',') {
            let key = key.split_once(':').map_or(key, |(_, key)| key);
            check_strength(key).map_err(|error| Error::invalid(format!("{name} {error}")))?;
        }
        return Ok(());
    }
    let path = config.key_path();
    if path.exists() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a server with accounts needs an encryption key that is kept: {MAKE_ONE} and set ENCRYPTION_KEY, or put it at {}",
        path.display()
    )))
}

/// In server mode, the database's password is none that everybody knows.
///
/// # Errors
/// `Invalid`, without the password.
pub(crate) fn check_database_password(url: &str) -> Result<()> {
    let user_info = url.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    let password =
        user_info.and_then(|(user_info, _)| user_info.split_once(':')).map(|(_, password)| password);
    if password.is_some_and(is_well_known) {
        return Err(Error::invalid(format!(
            "DATABASE_URL has a password that is, or contains, one that everybody knows; give the database user another \
             one: {MAKE_ONE}"
        )));
    }
    Ok(())
}

/// A lifetime of access tokens.
///
/// # Errors
/// `Invalid` for more than 15 minutes.
fn access_lifetime(text: &str) -> Result<Duration> {
    const MOST: Duration = Duration::from_secs(15 * 60);
    let lifetime = lifetime(text)?;
    match lifetime > MOST {
        true => Err(Error::invalid("the most is 15m: a session renews its access tokens by itself")),
        false => Ok(lifetime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(address: &str, jwt: Option<&str>) -> Result<Mode> {
        let secrets = Secrets { jwt: jwt.map(str::to_owned), previous_jwt: None };
        let day = Duration::from_secs(86_400);
        let sign_in = SignInArguments {
            registration: RegistrationRule::First,
            access_lifetime: Duration::from_secs(900),
            session_lifetime: day,
            session_max: day,
            invite_lifetime: day,
        };
        Mode::of(address.parse().unwrap(), &secrets, &sign_in)
    }

    #[test]
    fn sec_t21_database_password_that_everybody_knows_is_refused() {
        for url in [
            "postgres://aimate:aimate_dev_secret@db/aimate",
            "postgres://a:change_me_in_production@db:5432/x",
        ] {
            let error = check_database_password(url).unwrap_err();
            assert!(error.message().contains("openssl rand -base64 32"), "{error}");
            assert!(!error.message().contains("aimate_dev_secret"), "{error}");
        }
        for url in [
            "postgres://db/aimate",
            "postgres://aimate@db/x",
            "postgres://a:q0Zr5n2J8mYw@db/x",
            "sqlite:a@b:password",
        ] {
            check_database_password(url).unwrap();
        }
    }

    #[test]
    fn access_token_is_good_for_minutes() {
        assert_eq!(access_lifetime("5m").unwrap(), Duration::from_secs(300));
        assert!(access_lifetime("1h").unwrap_err().message().contains("15m"));
    }

    #[test]
    fn sec_t21_other_machines_need_a_secret_that_cannot_be_guessed() {
        let good = SigningSecret::generate().unwrap();
        for loopback in ["127.0.0.1:3000", "[::1]:3000", "127.8.9.1:1"] {
            assert!(mode(loopback, None).unwrap().is_local());
            assert!(!mode(loopback, Some(good.expose())).unwrap().is_local());
        }
        for open in ["0.0.0.0:3000", "[::]:3000", "192.0.2.1:3000"] {
            assert!(mode(open, None).unwrap_err().message().contains("openssl rand -base64 32"));
            assert!(!mode(open, Some(good.expose())).unwrap().is_local());
        }
        for weak in [
            "x",
            "change_me_in_production",
            "aimate_dev_secret",
            "secret",
            "change_me_change_me_change_me_change_me",
        ] {
            for address in ["127.0.0.1:3000", "0.0.0.0:3000"] {
                let error = mode(address, Some(weak)).unwrap_err();
                assert!(error.message().starts_with("JWT_SECRET "), "{error}");
                assert!(error.message().contains("openssl rand -base64 32"), "{error}");
            }
        }
    }
}
