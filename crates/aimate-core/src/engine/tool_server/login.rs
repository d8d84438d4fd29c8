//! Logins of users at tool servers (OAuth 2.1), through their browsers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::Engine;
use super::{ToolServers, no_keys};
use crate::audit::{AuditEvent, action};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{TenantId, ToolServerId, UserId};
use crate::sealing::{Binding, Purpose, Sealed};
use crate::secret::Secret;
use crate::tool::{ToolAuthType, ToolServer};

/// How long somebody may take at the server.
const LASTS: Duration = Duration::from_secs(600);
/// Characters of a cookie: browsers keep no larger ones.
const MAX_COOKIE: usize = 3_900;
/// Bytes of an address that a browser came back to.
const MAX_CALLBACK: usize = 16_384;

/// A login at a tool server that has begun.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolLogin {
    /// Where the user's browser is to go.
    pub location: String,
    /// What that browser is to keep until it comes back, as a cookie that no script reads: sealed,
    /// good for ten minutes and this user and server alone.
    pub cookie: Secret,
}

/// What the browser keeps.
#[derive(Serialize, Deserialize)]
struct ToolLoginAttempt {
    tenant: Uuid,
    user: Uuid,
    server: Uuid,
    /// What the client wants back.
    attempt: String,
    /// In microseconds since 1970.
    begun_at: i64,
}

impl ToolServers {
    /// Begins a login of the user at a server. Afterwards the server sends the browser to
    /// `redirect_url`; give the address with all that it has then to [`Engine::end_tool_login`].
    ///
    /// # Errors
    /// `Invalid` if the server is authorized otherwise; `NotFound`; `Unavailable` if no encryption
    /// key is configured or the server does not answer; `Unsupported` if it has no such login.
    pub async fn begin_login(&self, id: ToolServerId, redirect_url: &str) -> Result<ToolLogin> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let server = inner.stores.tool_servers.get(&self.scope, id).await?;
        check_oauth(&server)?;
        let sealer = inner.keys.as_ref().ok_or_else(no_keys)?;
        let endpoint = self.engine.tool_endpoint(&self.scope, &server).await?;
        let (location, attempt) = self.engine.tool_client()?.begin_login(&endpoint, redirect_url).await?;
        check_location(&location)?;
        let attempt = ToolLoginAttempt {
            tenant: self.scope.tenant.uuid(),
            user: self.scope.user.uuid(),
            server: id.uuid(),
            attempt: attempt.expose().to_owned(),
            begun_at: inner.sources.now().0,
        };
        let failed = |error| Error::internal("a login could not be written").with_source(error);
        let text = Zeroizing::new(serde_json::to_string(&attempt).map_err(failed)?);
        let sealed = sealer.seal(&Secret::new(text.as_str()), &binding()).await?;
        let cookie = Secret::new(URL_SAFE_NO_PAD.encode(sealed.bytes));
        if cookie.expose().len() > MAX_COOKIE {
            return Err(Error::upstream("the login at the tool server takes more than a browser keeps"));
        }
        Ok(ToolLogin { location, cookie })
    }

    /// Forgets the user's own login at a server.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn end_session(&self, id: ToolServerId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.tool_servers;
        store.get(&self.scope, id).await?;
        store.delete_grants(&self.scope, id, None).await?;
        self.engine.forget_sessions(id).await;
        Ok(())
    }
}

impl Engine {
    /// Ends a login at a tool server: `cookie` is what the browser kept, `callback` the whole
    /// address that it came back to. Who signed in is who began it, in this browser; nothing else
    /// says who asks. Returns the server.
    ///
    /// # Errors
    /// `Invalid` if the two do not belong together, or it began more than ten minutes ago;
    /// `NotFound` if the server is gone; `Upstream` if it refuses the login.
    pub async fn end_tool_login(&self, cookie: &str, callback: &str) -> Result<ToolServer> {
        let attempt = self.opened_attempt(cookie).await?;
        let (tenant, user) = (TenantId(attempt.tenant), UserId(attempt.user));
        let scope = self.scope_of(tenant, user).await?;
        if callback.len() > MAX_CALLBACK {
            return Err(Error::invalid("the address that the browser came back to is too long"));
        }
        let store = &self.inner.stores.tool_servers;
        let server = store.get(&scope, ToolServerId(attempt.server)).await?;
        check_oauth(&server)?;
        let endpoint = self.tool_endpoint(&scope, &server).await?;
        self.tool_client()?.end_login(&endpoint, &Secret::new(attempt.attempt), callback).await?;
        self.forget_sessions(server.id).await;
        self.inner.tool_catalogs.forget(scope.tenant);
        let event = AuditEvent::new(action::TOOL_LOGIN).target("tool_server", server.id);
        self.audit_of(&scope, event).await;
        // The tools, which the server may have kept to itself until now; a failure is in its status.
        let _ = self.read_tools(&scope, &server).await;
        Ok(server)
    }

    async fn opened_attempt(&self, cookie: &str) -> Result<ToolLoginAttempt> {
        let none = || {
            Error::invalid("this browser began no login at a tool server, or one that is over; begin again")
        };
        let sealer = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        if cookie.is_empty() || cookie.len() > MAX_COOKIE {
            return Err(none());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cookie).map_err(|_| none())?;
        // The key is the one that the bytes name.
        let sealed = Sealed { key_id: 0, bytes };
        let text = sealer.open(&sealed, &binding()).await.map_err(|error| match error.reason() {
            Some(_) => none(),
            // The keys cannot be asked now.
            None => error,
        })?;
        let attempt: ToolLoginAttempt = serde_json::from_str(text.expose()).map_err(|_| none())?;
        if self.inner.sources.now().since(Timestamp(attempt.begun_at)) > LASTS {
            return Err(Error::invalid("the login began more than ten minutes ago; begin again"));
        }
        Ok(attempt)
    }
}

fn binding() -> Binding<'static> {
    Binding {
        purpose: Purpose::LOGIN,
        table: "tool_login",
        column: "attempt",
        row: Uuid::nil(),
        owner: Uuid::nil(),
        origin: "",
    }
}

fn check_oauth(server: &ToolServer) -> Result<()> {
    match server.auth_type {
        ToolAuthType::Oauth => Ok(()),
        other => Err(Error::invalid(format!(
            "tool server `{}` has `auth_type` `{other}`; users sign in at those with `oauth`",
            server.name
        ))),
    }
}

/// Where a browser is sent: a page, never a script (CVE-2025-58747).
fn check_location(location: &str) -> Result<()> {
    let parsed = url::Url::parse(location).ok();
    let is_loopback = |url: &url::Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match parsed {
        Some(url) if url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url) => Ok(()),
        _ => Err(Error::upstream("the tool server sends browsers to an address that is no `https:` page")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn sec_t38_browser_is_sent_to_pages_alone() {
        for good in ["https://login.example/authorize?a=b", "http://127.0.0.1:1/a", "http://localhost/a"] {
            check_location(good).unwrap();
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "http://login.example/",
            "file:///etc/passwd",
            "http://localhost.evil.example/",
            "",
            "//evil.example",
        ] {
            assert_eq!(check_location(bad).unwrap_err().kind(), ErrorKind::Upstream, "{bad}");
        }
    }
}
