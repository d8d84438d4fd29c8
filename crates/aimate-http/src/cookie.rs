//! What a browser keeps in cookies that no script can read: the same tokens as those of other
//! clients, and logins elsewhere that have begun.

#[cfg(feature = "accounts")]
use aimate_accounts::SignedIn;
use aimate_core::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::options::Options;
use crate::origin;

/// What proxies say of how a request came to them. Who lies in it gets a safer cookie.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The cookie of the access token.
#[cfg(feature = "accounts")]
pub(crate) const ACCESS: &str = "aimate_access";
/// The cookie of the refresh token, which goes to the routes of accounts alone.
#[cfg(feature = "accounts")]
pub(crate) const REFRESH: &str = "aimate_refresh";

/// The cookie of a login at an OpenID provider, which goes to the routes of that provider alone.
#[cfg(feature = "accounts")]
pub(crate) const ATTEMPT: &str = "aimate_oidc";
/// The cookie of a login at a tool server, which goes to where browsers come back to from those.
pub(crate) const TOOL_LOGIN: &str = "aimate_tool_login";
/// The cookie of where the browser goes after a login at a tool server.
const TOOL_RETURN: &str = "aimate_tool_return";
/// Seconds that a login elsewhere may take.
const ATTEMPT_LASTS: u64 = 600;

/// The value of the only cookie of this name: of two, either may be a stranger's.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none()).filter(|value| !value.is_empty())
}

/// Where the browser goes after a login at a tool server, as its cookie says.
pub(crate) fn tool_return(headers: &HeaderMap) -> Option<String> {
    let path = URL_SAFE_NO_PAD.decode(read(headers, TOOL_RETURN)?).ok()?;
    String::from_utf8(path).ok()
}

/// Where the cookies go, and whether over TLS alone.
pub(crate) struct CookieScope {
    /// The prefix that the router is nested under.
    pub(crate) prefix: String,
    is_secure: bool,
}

impl CookieScope {
    /// For a request: over TLS alone, as [`Options::secure_cookies`] says.
    pub(crate) fn of(options: &Options, headers: &HeaderMap, prefix: String) -> Self {
        let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let is_here = host.as_ref().is_some_and(origin::is_loopback);
        let came_over_tls = headers.get(FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
        let is_secure = options.secure_cookies.unwrap_or(!is_here || came_over_tls);
        Self { prefix, is_secure }
    }

    /// The scheme by which the browser that asks knows this server.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// Sets the cookie of a login that begins at a tool server, or takes it away.
    pub(crate) fn set_tool_login(&self, headers: &mut HeaderMap, attempt: Option<&Secret>) {
        let path = format!("{}/api/v1/tools/login", self.prefix);
        match attempt {
            Some(attempt) => self.add_at(headers, &path, TOOL_LOGIN, attempt.expose(), ATTEMPT_LASTS),
            None => self.add_at(headers, &path, TOOL_LOGIN, "", 0),
        }
    }

    /// Sets the cookie of where the browser goes after a login at a tool server, or takes it away.
    pub(crate) fn set_tool_return(&self, headers: &mut HeaderMap, path: Option<&str>) {
        let at = format!("{}/api/v1/tools/login", self.prefix);
        let value = path.map(|path| URL_SAFE_NO_PAD.encode(path)).unwrap_or_default();
        self.add_at(headers, &at, TOOL_RETURN, &value, if path.is_some() { ATTEMPT_LASTS } else { 0 });
    }

    /// Sets the cookies of somebody who signed in.
    #[cfg(feature = "accounts")]
    pub(crate) fn set(&self, headers: &mut HeaderMap, signed_in: &SignedIn) {
        let session = signed_in.session.expires_at.since(signed_in.session.renewed_at).as_secs();
        let access = signed_in.access_token.expose();
        self.add(headers, ACCESS, access, signed_in.expires_in.as_secs());
        self.add(headers, REFRESH, signed_in.refresh_token.expose(), session);
    }

    /// Takes the cookies away.
    #[cfg(feature = "accounts")]
    pub(crate) fn clear(&self, headers: &mut HeaderMap) {
        self.add(headers, ACCESS, "", 0);
        self.add(headers, REFRESH, "", 0);
    }

    /// Sets the cookie of a login that begins at an OpenID provider, or takes it away.
    #[cfg(feature = "accounts")]
    pub(crate) fn set_attempt(&self, headers: &mut HeaderMap, provider: &str, attempt: Option<&Secret>) {
        let path = format!("{}/api/v1/auth/oidc/{provider}", self.prefix);
        match attempt {
            Some(attempt) => self.add_at(headers, &path, ATTEMPT, attempt.expose(), ATTEMPT_LASTS),
            None => self.add_at(headers, &path, ATTEMPT, "", 0),
        }
    }

    #[cfg(feature = "accounts")]
    fn add(&self, headers: &mut HeaderMap, name: &str, value: &str, max_age: u64) {
        let path = match name {
            REFRESH => format!("{}/api/v1/auth", self.prefix),
            _ => format!("{}/", self.prefix),
        };
        self.add_at(headers, &path, name, value, max_age);
    }

    fn add_at(&self, headers: &mut HeaderMap, path: &str, name: &str, value: &str, max_age: u64) {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
        // Invariant: tokens are base64url, and a path has come in as one.
        if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
            cookie.set_sensitive(true);
            headers.append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(all(test, feature = "accounts"))]
mod tests {
    use super::*;

    #[test]
    fn cookie_is_read_if_there_is_one() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; aimate_access=x.y.z;b=2".parse().unwrap());
        assert_eq!(read(&headers, ACCESS), Some("x.y.z"));
        assert_eq!(read(&headers, REFRESH), None);
        headers.append(COOKIE, "aimate_access=other".parse().unwrap());
        assert_eq!(read(&headers, ACCESS), None);
    }
}
