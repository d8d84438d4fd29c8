//! Who asks, by a credential of accounts: the only place that reads one.
//!
//! Whatever carries it (`Authorization: Bearer`, `x-api-key`, a cookie), the same checks
//! follow.

use std::sync::{Arc, OnceLock};

use aimate_accounts::{Accounts, Client, Credential, Principal};
use aimate_core::api_token::TokenScope;
use aimate_core::rate_limit::{RateBucket, RequestClass};
use aimate_core::{Error, ErrorKind, Result};
use axum::extract::{FromRequestParts, MatchedPath};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::access::{self, Access};
use crate::app::App;
use crate::callers::Callers;
use crate::error::Failure;
use crate::{client_address, cookie, origin, request_class};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who was let in, for what surrounds the handler.
#[derive(Clone, Default)]
pub(crate) struct PrincipalSlot(Arc<OnceLock<LetIn>>);

/// Somebody who was let in, and for what.
#[derive(Clone)]
pub(crate) struct LetIn {
    pub(crate) principal: Principal,
    pub(crate) needed: TokenScope,
}

impl PrincipalSlot {
    pub(crate) fn get(&self) -> Option<&LetIn> {
        self.0.get()
    }
}

/// The principal of a request, and where it comes from; for routes of accounts.
pub(crate) struct Known {
    pub(crate) accounts: Accounts,
    pub(crate) principal: Principal,
}

impl FromRequestParts<App> for Known {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, Failure> {
        let accounts = accounts(app)?.clone();
        let principal = authenticate(app, &accounts, head).await?;
        let class = request_class::of(&head.method, head.uri.path());
        app.pass(RateBucket::of_user(&principal.scope, class)).await?;
        Ok(Self { accounts, principal })
    }
}

/// The accounts of a router that has any.
pub(crate) fn accounts(app: &App) -> Result<&Accounts> {
    match &app.options.callers {
        Callers::Accounts(accounts) => Ok(accounts),
        _ => Err(Error::not_found("this server has no accounts")),
    }
}

/// Where a request comes from.
pub(crate) fn client(app: &App, head: &Parts) -> Client {
    let ip = client_address::of(&app.options, &head.extensions, &head.headers);
    Client::new(ip, head.headers.get(USER_AGENT).and_then(|name| name.to_str().ok()))
}

/// Lets the sender of a request in.
///
/// # Errors
/// `Unauthenticated` for nobody, and `RateLimited` for who guesses; `Forbidden` if the credential is not good for this route,
/// or a page of another origin may have sent it.
pub(crate) async fn authenticate(
    app: &App,
    accounts: &Accounts,
    head: &mut Parts,
) -> Result<Principal, Failure> {
    let (credential, is_cookie) = credential(&head.headers)?;
    let principal = match accounts.authenticate(credential).await {
        Err(error) if error.kind() == ErrorKind::Unauthenticated && !accounts.was_good(credential) => {
            count_guess(app, head).await?;
            return Err(error.into());
        }
        known => known?,
    };
    let path = head.extensions.get::<MatchedPath>().map_or("", |path| in_router(path.as_str(), head));
    let needed = match access::of(&head.method, path) {
        Access::Scope(needed) => needed,
        Access::Open => TokenScope::Read,
    };
    check(&principal, needed)?;
    if is_cookie {
        origin::check_cookie(&app.options, &head.method, &head.headers)?;
    }
    if let Some(PrincipalSlot(slot)) = head.extensions.get::<PrincipalSlot>() {
        let _ = slot.set(LetIn { principal: principal.clone(), needed });
    }
    Ok(principal)
}

/// Counts a credential that may be guessed for the machine that it comes from, with the logins:
/// who is known spends nothing of that.
///
/// # Errors
/// `RateLimited` if there were too many; what the store says.
pub(crate) async fn count_guess(app: &App, head: &Parts) -> Result<(), Failure> {
    match client_address::of(&app.options, &head.extensions, &head.headers) {
        Some(address) => app.pass(RateBucket::of_address(address, RequestClass::Auth)).await,
        None => Ok(()),
    }
}

/// Whether a credential is good for what needs `needed`. A session is good for all that
/// its user may, which the engine says.
pub(crate) fn check(principal: &Principal, needed: TokenScope) -> Result<()> {
    let is_session = matches!(principal.credential, Credential::Session(_));
    if is_session || principal.may(needed) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "this needs an API token with the scope `{needed}`, which this one has not"
    )))
}

/// The path of a route as the router has it, whatever prefix it is nested under: a
/// prefix may have parameters, so it is taken off by the number of its parts.
fn in_router<'p>(matched: &'p str, head: &Parts) -> &'p str {
    let original = head.extensions.get::<axum::extract::OriginalUri>();
    let whole = original.map_or(head.uri.path(), |original| original.0.path());
    let prefix = whole.strip_suffix(head.uri.path()).unwrap_or_default();
    let parts = prefix.matches('/').count();
    let mut rest = matched;
    for _ in 0..parts {
        let next = rest.get(1..).and_then(|tail| tail.find('/')).map(|at| at + 1);
        rest = next.and_then(|at| rest.get(at..)).unwrap_or_default();
    }
    rest
}

/// The credential of a request, and whether it came as a cookie.
fn credential(headers: &HeaderMap) -> Result<(&str, bool)> {
    let nobody = || {
        Error::unauthenticated("nobody is signed in with this request; send `Authorization: Bearer TOKEN`")
    };
    let bearer = single(headers, &AUTHORIZATION)?.map(|value| {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token).ok_or_else(nobody)
    });
    let key = single(headers, &API_KEY)?.map(str::trim).filter(|key| !key.is_empty());
    match (bearer.transpose()?, key) {
        (Some(bearer), Some(key)) if bearer != key => Err(Error::unauthenticated(
            "`Authorization` and `x-api-key` have different tokens; send one of them",
        )),
        (Some(token), _) | (None, Some(token)) => Ok((token, false)),
        (None, None) => Ok((cookie::read(headers, cookie::ACCESS).ok_or_else(nobody)?, true)),
    }
}

/// The only value of a header.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::unauthenticated(format!("the request has more than one `{name}`")));
    }
    let unreadable = || Error::unauthenticated(format!("`{name}` is no plain text"));
    first.map(|value| value.to_str().map_err(|_| unreadable())).transpose()
}
