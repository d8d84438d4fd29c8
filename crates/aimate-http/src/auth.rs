//! `/api/v1/auth`: registering, signing in and out, oneself, and the password.

use aimate_accounts::{Accounts, Registration, SignedIn};
use aimate_core::user::User;
use aimate_core::{Error, ErrorKind, Secret};
use axum::extract::{FromRequest as _, FromRequestParts, OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::cookie::{self, CookieScope};
use crate::error::{Failure, Result};
use crate::json::{Json, MaxBody, OptionalJson, not_stored};
use crate::origin;
use crate::principal::{self, Known};

/// Bytes that a body may have whose sender nobody knows.
const MAX_BODY: usize = 64 * 1024;

/// Somebody who registers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterBody {
    /// The e-mail address.
    email: String,
    /// The password, 8 to 1,024 bytes.
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// The name to show; default: what stands before the `@`.
    name: Option<String>,
    /// An invite, where registration needs one.
    #[schema(value_type = Option<String>)]
    invite: Option<Secret>,
    /// Whether the tokens come as cookies that no script can read, instead of in the
    /// answer; default false.
    #[serde(default)]
    cookie: bool,
}

/// Somebody who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    /// The e-mail address.
    email: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// Whether the tokens come as cookies that no script can read, instead of in the
    /// answer; default false.
    #[serde(default)]
    cookie: bool,
}

/// A refresh token; a browser has it in its cookie.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshBody {
    /// The refresh token, unless it comes in the cookie.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<Secret>,
}

/// Another password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    /// The password so far.
    #[schema(value_type = String, format = Password)]
    current_password: Secret,
    /// The one from now on, 8 to 1,024 bytes.
    #[schema(value_type = String, format = Password)]
    new_password: Secret,
}

/// What to change about oneself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeBody {
    /// The name to show, 1 to 200 characters.
    name: Option<String>,
    /// All settings of a front end, replaced as a whole; at most 64 KiB as JSON.
    #[schema(value_type = Option<Object>)]
    settings: Option<serde_json::Value>,
}

/// Somebody who is signed in, and the tokens of their session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedInBody {
    /// The user.
    user: User,
    /// What requests are sent with, as `Authorization: Bearer`; absent with cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// What `POST /api/v1/auth/refresh` takes for the next tokens, once; absent with
    /// cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds that the access token is good.
    expires_in: u64,
}

/// Whether a credential came as a cookie.
struct IsCookie(bool);

/// What a request of accounts needs of its head.
pub(crate) struct Visitor {
    accounts: Accounts,
    pub(crate) client: aimate_accounts::Client,
    pub(crate) cookies: CookieScope,
    pub(crate) head: Parts,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self> {
        head.extensions.insert(MaxBody(MAX_BODY));
        let whole = head.extensions.get::<OriginalUri>().map_or("", |original| original.0.path());
        let prefix = whole.strip_suffix(head.uri.path()).unwrap_or_default().to_owned();
        Ok(Self {
            accounts: principal::accounts(app)?.clone(),
            client: principal::client(app, head),
            cookies: CookieScope::of(&app.options, &head.headers, prefix),
            head: head.clone(),
        })
    }
}

impl Visitor {
    /// Whether a page of this server's own asks, as far as a browser tells.
    fn check_origin(&self, app: &App) -> Result<()> {
        Ok(origin::check_cookie(&app.options, &self.head.method, &self.head.headers)?)
    }

    /// The refresh token of a body, or else of the cookie, whose page has to be this
    /// server's own.
    fn refresh_token(&self, app: &App, body: RefreshBody) -> Result<Option<(Secret, IsCookie)>> {
        if let Some(token) = body.refresh_token {
            return Ok(Some((token, IsCookie(false))));
        }
        let in_cookie = cookie::read(&self.head.headers, cookie::REFRESH).map(Secret::new);
        if in_cookie.is_some() {
            self.check_origin(app)?;
        }
        Ok(in_cookie.map(|token| (token, IsCookie(true))))
    }

    /// The answer to somebody who is signed in: with the tokens in it, or in cookies.
    fn answer(&self, status: StatusCode, signed_in: SignedIn, in_cookies: bool) -> Response {
        let mut cookies = http::HeaderMap::new();
        if in_cookies {
            self.cookies.set(&mut cookies, &signed_in);
        }
        let token = |token: &Secret| (!in_cookies).then(|| token.expose().to_owned());
        let body = SignedInBody {
            access_token: token(&signed_in.access_token),
            refresh_token: token(&signed_in.refresh_token),
            expires_in: signed_in.expires_in.as_secs(),
            user: signed_in.user,
        };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().extend(cookies);
        not_stored(response)
    }
}

/// Makes an account and signs it in. The first one of the server becomes an admin.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "auth", request_body = RegisterBody,
    responses((status = 201, body = SignedInBody)))]
pub(crate) async fn register(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<RegisterBody>,
) -> Result<Response> {
    if body.cookie {
        visitor.check_origin(&app)?;
    }
    let new = Registration::new(body.email, body.password).name(body.name).invite(body.invite);
    let signed_in = visitor.accounts.register(new, &visitor.client).await?;
    Ok(visitor.answer(StatusCode::CREATED, signed_in, body.cookie))
}

/// Signs in. Too many failures cost a wait, by address and by network.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = LoginBody,
    responses((status = 200, body = SignedInBody)))]
pub(crate) async fn login(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<LoginBody>,
) -> Result<Response> {
    if body.cookie {
        visitor.check_origin(&app)?;
    }
    let signed_in = visitor.accounts.login(&body.email, &body.password, &visitor.client).await?;
    Ok(visitor.answer(StatusCode::OK, signed_in, body.cookie))
}

/// Gives the next tokens for a refresh token, which is good once. One that was used
/// before ends the session; of two requests at once, one is answered with `409` and nobody is
/// signed out.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Option<RefreshBody>,
    responses((status = 200, body = SignedInBody)))]
pub(crate) async fn refresh(
    State(app): State<App>,
    visitor: Visitor,
    OptionalJson(body): OptionalJson<RefreshBody>,
) -> Result<Response> {
    let token = visitor.refresh_token(&app, body)?;
    let (token, IsCookie(is_cookie)) = token.ok_or_else(|| Error::field("refresh_token", "is missing"))?;
    let signed_in = visitor.accounts.refresh(token.expose(), &visitor.client).await?;
    Ok(visitor.answer(StatusCode::OK, signed_in, is_cookie))
}

/// Signs out: the session's tokens are good for nothing from now on, and its streams
/// end. Where the access token is over, the refresh token says whose session it is, in the body
/// or in its cookie.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", request_body = Option<RefreshBody>,
    responses((status = 204)))]
pub(crate) async fn logout(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    match Known::from_request_parts(&mut head, &app).await {
        Ok(known) => {
            app.begin_work()?;
            known.accounts.logout(&known.principal).await?;
        }
        Err(failure) if failure.error.kind() == ErrorKind::Unauthenticated => {
            let body = OptionalJson::from_request(Request::from_parts(head, body), &app).await;
            // Whoever is not known is told that, whatever they sent along.
            let Ok(OptionalJson(body)) = body else { return Err(failure) };
            let Some((token, _)) = visitor.refresh_token(&app, body)? else { return Err(failure) };
            principal::count_guess(&app, &visitor.head).await?;
            visitor.accounts.logout_by_refresh_token(token.expose()).await?;
        }
        Err(failure) => return Err(failure),
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    visitor.cookies.clear(response.headers_mut());
    Ok(not_stored(response))
}

/// Returns who asks.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "auth", responses((status = 200, body = User)))]
pub(crate) async fn me(known: Known) -> Result<Json<User>> {
    Ok(Json(known.accounts.me(&known.principal).await?))
}

/// Changes the fields that are present of who asks.
#[utoipa::path(patch, path = "/api/v1/auth/me", tag = "auth", request_body = MeBody,
    responses((status = 200, body = User)))]
pub(crate) async fn change_me(known: Known, Json(body): Json<MeBody>) -> Result<Json<User>> {
    Ok(Json(known.accounts.change_me(&known.principal, body.name, body.settings).await?))
}

/// Changes the password and ends all other sessions. API tokens stay good.
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "auth", request_body = PasswordBody,
    responses((status = 204)))]
pub(crate) async fn password(
    known: Known,
    visitor: Visitor,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode> {
    let (current, new) = (&body.current_password, &body.new_password);
    known.accounts.change_password(&known.principal, current, new, &visitor.client).await?;
    Ok(StatusCode::NO_CONTENT)
}
