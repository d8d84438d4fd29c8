//! What an operator says of a provider.

use aimate_core::{EmailAddress, Error, Result, Secret};
use url::Url;

use crate::settings::RegistrationRule;

/// An OpenID provider, as the operator names it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OidcSettings {
    /// What it is called in addresses: lower-case letters, digits and `-`.
    pub name: String,
    /// Its issuer, exactly as it calls itself: an `https:` address.
    pub issuer: String,
    /// Under what it knows this server.
    pub client_id: String,
    /// What this server proves that with; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// The address of this server to which it sends browsers back, as it is registered there.
    pub redirect_url: String,
    /// What is asked for beyond `openid`. Default: `email` and `profile`.
    pub scopes: Vec<String>,
    /// The domains of verified addresses that may come in; empty for all. Default: empty.
    pub allowed_domains: Vec<String>,
    /// Whether somebody whose verified address an account has gets that account. Whoever made the
    /// account may be another, who never had that address: its password, sessions and API tokens
    /// end. Right only for a provider that the operator trusts with every address. Default: no.
    pub links_by_email: bool,
    /// Who gets an account that has none, by the rule for registration; invites do not come this
    /// way. The first account is an admin's only if the rule of the accounts themselves is `Open`
    /// or `First`. Default: by that of the accounts.
    pub registration: Option<RegistrationRule>,
}

impl OidcSettings {
    /// A provider with every default, to which this server is a public client.
    pub fn new(
        name: impl Into<String>,
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: None,
            redirect_url: redirect_url.into(),
            scopes: vec!["email".to_owned(), "profile".to_owned()],
            allowed_domains: Vec::new(),
            links_by_email: false,
            registration: None,
        }
    }

    /// Sets [`OidcSettings::client_secret`].
    #[must_use]
    pub fn client_secret(self, secret: Option<Secret>) -> Self {
        Self { client_secret: secret, ..self }
    }

    /// Sets [`OidcSettings::scopes`].
    #[must_use]
    pub fn scopes<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`OidcSettings::allowed_domains`].
    #[must_use]
    pub fn allowed_domains<T: Into<String>>(self, domains: impl IntoIterator<Item = T>) -> Self {
        let domains = domains.into_iter().map(|domain| domain.into().trim().to_ascii_lowercase());
        Self { allowed_domains: domains.filter(|domain| !domain.is_empty()).collect(), ..self }
    }

    /// Sets [`OidcSettings::links_by_email`].
    #[must_use]
    pub fn links_by_email(self, links: bool) -> Self {
        Self { links_by_email: links, ..self }
    }

    /// Sets [`OidcSettings::registration`].
    #[must_use]
    pub fn registration(self, rule: Option<RegistrationRule>) -> Self {
        Self { registration: rule, ..self }
    }

    /// Checks what is not plain from the types.
    pub(super) fn check(&self) -> Result<()> {
        let name = &self.name;
        let wrong = |what: &str| Err(Error::invalid(format!("OpenID provider `{name}`: {what}")));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_name) {
            return wrong("its name has other characters than lower-case letters, digits and `-`");
        }
        for (what, url) in [("issuer", &self.issuer), ("address to come back to", &self.redirect_url)] {
            let parsed = Url::parse(url).ok();
            let is_plain = parsed.as_ref().is_some_and(|url| {
                is_safe(url)
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none()
            });
            if !is_plain {
                return wrong(&format!(
                    "its {what} is not an address such as `https://login.example.org`; `http:` is for this \
                     machine alone"
                ));
            }
        }
        if self.client_id.is_empty() {
            return wrong("the client id is missing");
        }
        Ok(())
    }

    /// The issuer's host.
    pub(super) fn host(&self) -> Option<String> {
        Url::parse(&self.issuer).ok()?.host_str().map(str::to_owned)
    }

    /// Whether somebody of this verified address may come in.
    pub(super) fn allows(&self, email: Option<&EmailAddress>) -> bool {
        let domain = email.and_then(|email| email.as_str().rsplit_once('@'));
        self.allowed_domains.is_empty()
            || domain.is_some_and(|(_, domain)| {
                self.allowed_domains.iter().any(|allowed| domain.eq_ignore_ascii_case(allowed))
            })
    }
}

/// Whether nobody on the way to `url` reads or changes what is said: TLS, or this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_here
}

/// `path`, if it is one of this server: browsers read `//` and `/\` as another's address.
pub(super) fn own_path(path: Option<&str>) -> &str {
    let is_own = |path: &&str| {
        let rest = path.strip_prefix('/');
        let is_plain = path.len() <= 500 && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        is_plain && rest.is_some_and(|rest| !rest.starts_with('/'))
    };
    path.filter(is_own).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_t38_only_safe_addresses_are_taken() {
        let of = |issuer: &str, back: &str| OidcSettings::new("acme", issuer, "aimate", back).check();
        let back = "https://chat.example.org/api/v1/auth/oidc/acme/callback";
        for issuer in ["https://login.example.org", "http://127.0.0.1:9", "http://localhost:9/x"] {
            of(issuer, back).unwrap();
        }
        for issuer in [
            "http://login.example.org",
            "http://localhost.example.org",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "login.example.org",
            "https://me:secret@login.example.org",
            "https://login.example.org?x=1",
            "https://login.example.org#x",
            "",
        ] {
            assert!(of(issuer, back).is_err(), "{issuer}");
            assert!(of("https://login.example.org", issuer).is_err(), "{issuer}");
        }
        for name in ["", "A", "a/b", "a b", "..", "ä"] {
            assert!(OidcSettings::new(name, "https://login.example.org", "aimate", back).check().is_err());
        }
    }

    #[test]
    fn only_paths_of_this_server_are_returned_to() {
        for path in ["/", "/chat?x=1#y", "/a//b"] {
            assert_eq!(own_path(Some(path)), path);
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil",
            "/a\r\nx: y",
            "chat",
            "/ä",
        ] {
            assert_eq!(own_path(Some(path)), "/", "{path}");
        }
        assert_eq!(own_path(None), "/");
        assert_eq!(own_path(Some(&"/x".repeat(300))), "/");
    }

    #[test]
    fn domain_is_the_whole_one() {
        let settings = OidcSettings::new("a", "https://a.example", "c", "https://b.example")
            .allowed_domains([" Corp.com ", ""]);
        let allows = |email: &str| settings.allows(Some(&email.parse().unwrap()));
        assert!(allows("ada@corp.com"));
        for other in ["ada@evilcorp.com", "ada@mail.corp.com", "ada@corp.com.evil.org", "corp.com@evil.org"] {
            assert!(!allows(other), "{other}");
        }
        assert!(!settings.allows(None));
    }
}
