//! OpenID providers, as the environment names them.

use aimate::accounts::{OidcClient, OidcRequest, OidcResponse, OidcSettings};
use aimate::provider::AddressSource;
use aimate::providers::Transport;
use aimate::{Error, Result, Secret, async_trait};

use crate::env_file::may_be_sent;
use crate::registration::registration;

/// The providers' names, separated by commas.
const NAMES: &str = "AIMATE_OIDC";
/// Where browsers find this server.
const PUBLIC_URL: &str = "AIMATE_PUBLIC_URL";
/// What each provider's variables begin with; then its name in capitals, `_`, and one of
/// [`PARTS`].
const PREFIX: &str = "AIMATE_OIDC_";
const PARTS: [&str; 7] =
    ["ISSUER", "CLIENT_ID", "CLIENT_SECRET", "SCOPES", "DOMAINS", "LINK_BY_EMAIL", "REGISTRATION"];

/// Whether a variable is one of a provider.
pub(crate) fn is_known(variable: &str) -> bool {
    let rest = variable.strip_prefix(PREFIX);
    rest.is_some_and(|rest| {
        PARTS.iter().any(|part| rest.strip_suffix(part).is_some_and(|name| name.ends_with('_')))
    })
}

/// The providers of the environment, which `read` reads.
///
/// # Errors
/// `Invalid`, naming the variable.
pub(crate) fn providers(read: impl Fn(&str) -> Option<String>) -> Result<Vec<OidcSettings>> {
    let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let names = read(NAMES).unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| provider(name, &read)).collect()
}

fn provider(name: &str, read: &impl Fn(&str) -> Option<String>) -> Result<OidcSettings> {
    let variable = |part: &str| format!("{PREFIX}{}_{part}", name.to_ascii_uppercase().replace('-', "_"));
    let of = |part: &str| read(&variable(part));
    let needed = |variable: &str, like: &str| {
        read(variable).ok_or_else(|| {
            Error::invalid(format!("{variable} is missing, which {NAMES}={name} needs; it is like `{like}`"))
        })
    };
    let list = |part: &str| {
        let values = of(part).unwrap_or_default();
        values.split([',', ' ']).filter(|value| !value.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let public = needed(PUBLIC_URL, "https://chat.example.org")?;
    let back = format!("{}/api/v1/auth/oidc/{name}/callback", public.trim_end_matches('/'));
    let issuer = needed(&variable("ISSUER"), "https://login.example.org")?;
    let client_id = needed(&variable("CLIENT_ID"), "aimate")?;
    let secret = of("CLIENT_SECRET")
        .filter(|_| may_be_sent(&variable("CLIENT_SECRET"), &variable("ISSUER")))
        .map(Secret::new);
    let mut settings = OidcSettings::new(name, issuer.trim(), client_id.trim(), back)
        .client_secret(secret)
        .allowed_domains(list("DOMAINS"));
    let scopes = list("SCOPES");
    if !scopes.is_empty() {
        settings = settings.scopes(scopes);
    }
    if let Some(links) = of("LINK_BY_EMAIL") {
        let wrong =
            || Error::invalid(format!("{}: it should be `true` or `false`", variable("LINK_BY_EMAIL")));
        settings = settings.links_by_email(links.trim().parse().map_err(|_| wrong())?);
    }
    if let Some(rule) = of("REGISTRATION") {
        let wrong = |error: Error| Error::invalid(format!("{}: {error}", variable("REGISTRATION")));
        settings = settings.registration(Some(registration(rule.trim()).map_err(wrong)?));
    }
    Ok(settings)
}

/// Asks providers through the same client as model servers, with its rules for addresses.
pub(crate) struct Asked(pub(crate) Transport);

#[async_trait]
impl OidcClient for Asked {
    async fn send(&self, request: OidcRequest, source: AddressSource) -> Result<OidcResponse> {
        self.0.exchange(request, source).await
    }
}

#[cfg(test)]
mod tests {
    use aimate::accounts::RegistrationRule;

    use super::*;

    const ENVIRONMENT: [(&str, &str); 9] = [
        ("AIMATE_OIDC", "acme, my-google"),
        ("AIMATE_PUBLIC_URL", "https://chat.example.org/"),
        ("AIMATE_OIDC_ACME_ISSUER", "https://login.example.org"),
        ("AIMATE_OIDC_ACME_CLIENT_ID", "aimate"),
        ("AIMATE_OIDC_ACME_CLIENT_SECRET", "cs-Hd7KxQz2"),
        ("AIMATE_OIDC_ACME_LINK_BY_EMAIL", "true"),
        ("AIMATE_OIDC_ACME_REGISTRATION", "open"),
        ("AIMATE_OIDC_MY_GOOGLE_ISSUER", "https://accounts.google.com"),
        ("AIMATE_OIDC_MY_GOOGLE_CLIENT_ID", "x"),
    ];

    fn of(changes: &[(&str, &str)]) -> Result<Vec<OidcSettings>> {
        providers(|name| {
            let found = changes.iter().chain(&ENVIRONMENT).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn providers_are_read_by_name() {
        let found = of(&[]).unwrap();
        let [acme, google] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(acme.redirect_url, "https://chat.example.org/api/v1/auth/oidc/acme/callback");
        assert_eq!(google.redirect_url, "https://chat.example.org/api/v1/auth/oidc/my-google/callback");
        assert_eq!((acme.links_by_email, google.links_by_email), (true, false));
        assert_eq!((acme.registration, google.registration), (Some(RegistrationRule::Open), None));
        assert_eq!(acme.client_secret.as_ref().map(Secret::expose), Some("cs-Hd7KxQz2"));
        assert!(!format!("{found:?}").contains("cs-Hd7KxQz2"));
        assert_eq!(google.scopes, ["email", "profile"]);
        assert!(of(&[("AIMATE_OIDC", "")]).unwrap().is_empty());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variable, value) in [
            ("AIMATE_PUBLIC_URL", ""),
            ("AIMATE_OIDC_ACME_ISSUER", " "),
            ("AIMATE_OIDC_MY_GOOGLE_CLIENT_ID", ""),
            ("AIMATE_OIDC_ACME_LINK_BY_EMAIL", "yes"),
            ("AIMATE_OIDC_ACME_REGISTRATION", "all"),
        ] {
            let error = of(&[(variable, value)]).unwrap_err();
            assert!(error.message().starts_with(variable), "{error}");
        }
    }

    #[test]
    fn variables_of_a_provider_are_known() {
        assert!(ENVIRONMENT[2..].iter().all(|(name, _)| is_known(name)));
        for name in ["AIMATE_OIDC_ACME_ISSUE", "AIMATE_OIDC_ISSUER", "AIMATE_OIDC", "AIMATE_ADDR"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
