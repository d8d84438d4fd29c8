//! Finding model servers: where they usually listen, and what the environment
//! says.

use std::time::Duration;

use aimate::connection::NewConnection;
use aimate::provider::{AddressSource, Endpoint, ProviderId};
use aimate::providers::{self, BUILTIN, OLLAMA, OPENAI, OPENROUTER, Transport};
use aimate::{Error, Result, Secret};

use crate::env_file::key_for;

/// How long a server on this machine has to answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A model server that was found or configured.
#[derive(Debug)]
pub(crate) struct FoundServer {
    /// The connection to it.
    pub(crate) connection: NewConnection,
    /// What to tell of it, in a line.
    pub(crate) told: String,
}

/// The model servers of the environment and of this machine, the one of
/// `AI_PROVIDER` first.
///
/// # Errors
/// `Invalid` if `AI_PROVIDER` is no provider.
pub(crate) async fn find(transport: &Transport) -> Result<Vec<FoundServer>> {
    let wanted = preferred()?;
    let ollama = variable("OLLAMA_HOST");
    let (ollama, lmstudio) = tokio::join!(
        local(transport, "ollama", OLLAMA, ollama_url(ollama.as_deref()), ollama.is_some()),
        local(transport, "lmstudio", OPENAI, "http://127.0.0.1:1234/v1".to_owned(), false),
    );
    let mut found: Vec<_> = [ollama, lmstudio, openai(), openrouter()].into_iter().flatten().collect();
    if let Some(wanted) = wanted {
        if wanted == BUILTIN {
            return Ok(Vec::new());
        }
        if !found.iter().any(|found| found.connection.provider == wanted) {
            found.push(FoundServer {
                connection: NewConnection::new(wanted.as_str(), wanted.clone()),
                told: format!("{wanted}: set by AI_PROVIDER, but nothing answers and no key is set"),
            });
        }
        found.sort_by_key(|found| found.connection.provider != wanted);
    }
    Ok(found)
}

/// The addresses of model servers that the environment gives, by its names.
pub(crate) fn configured() -> impl Iterator<Item = (&'static str, String)> {
    let ollama = variable("OLLAMA_HOST").map(|host| ("OLLAMA_HOST", ollama_url(Some(&host))));
    let openai = variable("OPENAI_BASE_URL").map(|url| ("OPENAI_BASE_URL", url));
    ollama.into_iter().chain(openai)
}

/// The provider that `AI_PROVIDER` names.
pub(crate) fn preferred() -> Result<Option<ProviderId>> {
    let Some(name) = variable("AI_PROVIDER") else { return Ok(None) };
    let known = [OLLAMA, OPENAI, OPENROUTER, BUILTIN];
    match known.iter().find(|id| id.as_str() == name) {
        Some(id) => Ok(Some(id.clone())),
        None => Err(Error::invalid(format!(
            "AI_PROVIDER: `{name}` is not one of {}",
            known.each_ref().map(ProviderId::as_str).join(", ")
        ))),
    }
}

/// A server on this machine, if it answers; a configured one in any case.
async fn local(
    transport: &Transport,
    name: &str,
    provider: ProviderId,
    url: String,
    configured: bool,
) -> Option<FoundServer> {
    let connection = NewConnection::new(name, provider.clone()).url(&url);
    let endpoint = Endpoint {
        name: name.to_owned(),
        provider: provider.clone(),
        url: url.clone(),
        address_source: AddressSource::Operator,
        api_key: None,
        settings: connection.settings.clone(),
    };
    let providers = providers::with(transport);
    let models = tokio::time::timeout(PATIENCE, providers.get(&provider)?.models(&endpoint)).await;
    match models {
        Ok(Ok(models)) => {
            let told = format!("{name} at {} ({} models)", shown(&url), models.len());
            Some(FoundServer { connection, told })
        }
        _ if configured => {
            let told = format!("{name} at {}: does not answer (yet)", shown(&url));
            Some(FoundServer { connection, told })
        }
        _ => None,
    }
}

fn openai() -> Option<FoundServer> {
    let url = variable("OPENAI_BASE_URL");
    let key = match url {
        Some(_) => key_for("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        None => variable("OPENAI_API_KEY"),
    };
    if key.is_none() && url.is_none() {
        return None;
    }
    let told = format!(
        "openai at {} (from the environment{})",
        shown(url.as_deref().unwrap_or("https://api.openai.com/v1")),
        if key.is_some() { ", with a key" } else { ", without a key" }
    );
    let mut connection = NewConnection::new("openai", OPENAI);
    connection.url = url;
    connection.api_key = key.map(Secret::new);
    Some(FoundServer { connection, told })
}

fn openrouter() -> Option<FoundServer> {
    let key = variable("OPENROUTER_API_KEY")?;
    let connection = NewConnection::new("openrouter", OPENROUTER).api_key(Secret::new(key));
    Some(FoundServer { connection, told: "openrouter (key from the environment)".to_owned() })
}

/// An address as it is told: without a user and password, and without a query,
/// which may hold a key.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    // A password may have any character in it.
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{rest}")
}

/// `OLLAMA_HOST` as an address: it may lack the scheme or the port, and may be
/// the address that Ollama listens on.
fn ollama_url(host: Option<&str>) -> String {
    let host = host.unwrap_or("127.0.0.1").trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let rest = rest.replace("0.0.0.0", "127.0.0.1");
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port || scheme == "https" {
        format!("{scheme}://{rest}")
    } else {
        format!("{scheme}://{rest}:11434")
    }
}

/// A variable of the environment; an empty one is none.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollama_host_takes_every_form() {
        assert_eq!(ollama_url(None), "http://127.0.0.1:11434");
        assert_eq!(ollama_url(Some("0.0.0.0:11434")), "http://127.0.0.1:11434");
        assert_eq!(ollama_url(Some("gpu-box")), "http://gpu-box:11434");
        assert_eq!(ollama_url(Some("https://ollama.example.org/")), "https://ollama.example.org");
        assert_eq!(ollama_url(Some("http://[::1]:9999")), "http://[::1]:9999");
    }

    #[test]
    fn address_is_told_without_its_password() {
        assert_eq!(shown("https://me:hunter2@host:8080/v1?key=hunter2"), "https://host:8080/v1");
        assert_eq!(shown("https://me:hunt/e?r2@host/v1#hunter2"), "https://host/v1");
        assert_eq!(shown("http://[::1]:9999"), "http://[::1]:9999");
    }
}
