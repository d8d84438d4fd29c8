//! `/api/v1/tools`: what models may call, the servers it is of, and logins at them.

use std::collections::BTreeMap;

use aimate_core::engine::{ToolServerDetail, ToolServerTest, UsableTool};
use aimate_core::tool::{
    NewToolServer, PolicyChange, ResourceInfo, ServerPrompt, ToolContent, ToolPolicy, ToolServer,
    ToolServerChange,
};
use aimate_core::{Error, ToolServerId};
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::cookie::{self, CookieScope};
use crate::error::Result;
use crate::json::{self, Json, OptionalJson};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "tool_servers";
/// Where browsers come back to from a login at a tool server.
const CALLBACK: &str = "/api/v1/tools/login/callback";

/// Lists the tools that the caller's turns may choose, and those of their servers that nobody
/// has approved yet, or that changed since.
#[utoipa::path(get, path = "/api/v1/tools", tag = "tools", responses((status = 200, body = List<UsableTool>)))]
pub(crate) async fn list(State(app): State<App>, Caller(scope): Caller) -> Result<List<UsableTool>> {
    Ok(List::single_page(app.engine.tool_servers(&scope).usable().await?))
}

/// Lists the caller's tool servers, those of their workspaces and the shared ones, by name.
#[utoipa::path(get, path = "/api/v1/tools/servers", tag = "tools", params(PageQuery),
    responses((status = 200, body = List<ToolServer>)))]
pub(crate) async fn list_servers(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<ToolServer>> {
    let page = app.engine.tool_servers(&scope).list(query.page(LIST)?).await?;
    Ok(List::of(LIST, page))
}

/// Adds a tool server. Its tools are read at their first use, or by a test; what it lists then
/// is approved, each call asking first.
#[utoipa::path(post, path = "/api/v1/tools/servers", tag = "tools", request_body = NewToolServer,
    responses((status = 201, body = ToolServerDetail)))]
pub(crate) async fn create_server(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(new): Json<NewToolServer>,
) -> Result<Response> {
    let created = app.engine.tool_servers(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/tools/servers/{}", created.server.id), created))
}

/// Returns one tool server with its tools. Of a tool that its server describes otherwise than was
/// approved, both are shown.
#[utoipa::path(get, path = "/api/v1/tools/servers/{id}", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 200, body = ToolServerDetail)))]
pub(crate) async fn get_server(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<Json<ToolServerDetail>> {
    Ok(Json(app.engine.tool_servers(&scope).get(id).await?))
}

/// Changes the fields that are present. A `url` of another origin drops the token, the headers and
/// all logins: they must not reach a server that they were not meant for; and its tools have to be
/// approved anew.
#[utoipa::path(method(put, patch), path = "/api/v1/tools/servers/{id}", tag = "tools",
    params(("id" = ToolServerId, Path)), request_body = ToolServerChange,
    responses((status = 200, body = ToolServerDetail)))]
pub(crate) async fn update_server(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
    Json(change): Json<ToolServerChange>,
) -> Result<Json<ToolServerDetail>> {
    Ok(Json(app.engine.tool_servers(&scope).update(id, change).await?))
}

/// Deletes a tool server and all logins at it.
#[utoipa::path(delete, path = "/api/v1/tools/servers/{id}", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 204)))]
pub(crate) async fn delete_server(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<StatusCode> {
    app.engine.tool_servers(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Connects to a tool server, reads its tools and returns them.
#[utoipa::path(post, path = "/api/v1/tools/servers/{id}/test", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 200, body = ToolServerTest)))]
pub(crate) async fn test(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<Json<ToolServerTest>> {
    Ok(Json(app.engine.tool_servers(&scope).test(id).await?))
}

/// Sets whether calls of tools are made, each by its own name: `allow`, `ask`, `deny`, or `null` for
/// the default. That approves each as its server describes it now.
#[utoipa::path(method(put, patch), path = "/api/v1/tools/servers/{id}/policy", tag = "tools",
    params(("id" = ToolServerId, Path)), request_body = BTreeMap<String, ToolPolicy>,
    responses((status = 200, body = ToolServerDetail)))]
pub(crate) async fn set_policy(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
    Json(change): Json<PolicyChange>,
) -> Result<Json<ToolServerDetail>> {
    Ok(Json(app.engine.tool_servers(&scope).set_policy(id, &change).await?))
}

/// Lists the resources of a tool server, and templates of them.
#[utoipa::path(get, path = "/api/v1/tools/servers/{id}/resources", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 200, body = List<ResourceInfo>)))]
pub(crate) async fn resources(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<List<ResourceInfo>> {
    Ok(List::single_page(app.engine.tool_servers(&scope).resources(id).await?))
}

/// Which resource.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResourceQuery {
    /// Its address at the server.
    uri: String,
}

/// Reads a resource of a tool server.
#[utoipa::path(get, path = "/api/v1/tools/servers/{id}/resources/content", tag = "tools",
    params(("id" = ToolServerId, Path), ResourceQuery), responses((status = 200, body = List<ToolContent>)))]
pub(crate) async fn read_resource(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
    Query(query): Query<ResourceQuery>,
) -> Result<List<ToolContent>> {
    Ok(List::single_page(app.engine.tool_servers(&scope).read_resource(id, &query.uri).await?))
}

/// Lists the prompts of a tool server.
#[utoipa::path(get, path = "/api/v1/tools/servers/{id}/prompts", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 200, body = List<ServerPrompt>)))]
pub(crate) async fn prompts(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<List<ServerPrompt>> {
    Ok(List::single_page(app.engine.tool_servers(&scope).prompts(id).await?))
}

/// A prompt to fill in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilledPrompt {
    /// Its name.
    name: String,
    /// Its arguments.
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

/// A message of a prompt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromptMessage {
    /// `user` or `assistant`.
    role: String,
    /// What it says.
    content: ToolContent,
}

/// Fills a prompt of a tool server in and returns its messages.
#[utoipa::path(post, path = "/api/v1/tools/servers/{id}/prompts", tag = "tools",
    params(("id" = ToolServerId, Path)), request_body = FilledPrompt,
    responses((status = 200, body = List<PromptMessage>)))]
pub(crate) async fn prompt(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
    Json(filled): Json<FilledPrompt>,
) -> Result<List<PromptMessage>> {
    let messages = app.engine.tool_servers(&scope).prompt(id, &filled.name, &filled.arguments).await?;
    let message = |(role, content)| PromptMessage { role, content };
    Ok(List::single_page(messages.into_iter().map(message).collect()))
}

/// Where the browser is to go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolLoginBegun {
    /// The page of the tool server on which the user signs in.
    location: String,
}

/// What a request says of where it came to.
pub(crate) struct Arrival {
    cookies: CookieScope,
    headers: HeaderMap,
    /// The path and query that it came to, with the prefix of the router.
    whole: String,
}

impl axum::extract::FromRequestParts<App> for Arrival {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        head: &mut http::request::Parts,
        app: &App,
    ) -> std::result::Result<Self, Self::Rejection> {
        let original = head.extensions.get::<OriginalUri>().map_or(&head.uri, |original| &original.0);
        let prefix = original.path().strip_suffix(head.uri.path()).unwrap_or_default().to_owned();
        let whole = original.path_and_query().map_or("", |whole| whole.as_str()).to_owned();
        let cookies = CookieScope::of(&app.options, &head.headers, prefix);
        Ok(Self { cookies, headers: head.headers.clone(), whole })
    }
}

impl Arrival {
    /// The address of a path, as the browser that asks knows this server.
    fn address_of(&self, path: &str) -> Result<String> {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if host.is_empty() {
            return Err(Error::invalid(
                "the request has no `Host`, so the browser could not be sent back here",
            )
            .into());
        }
        Ok(format!("{}://{host}{path}", self.cookies.scheme()))
    }
}

/// Where the browser is to go afterwards.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolLoginBody {
    /// The path of this server that the browser comes to when it is signed in; default: a page that
    /// says so.
    return_to: Option<String>,
}

impl ToolLoginBody {
    /// A path of this server, and of no other: of `//` and `/\` browsers make hosts.
    fn checked(&self) -> Result<Option<&str>> {
        let Some(path) = self.return_to.as_deref() else { return Ok(None) };
        let is_path = path.starts_with('/') && !path.starts_with("//") && path.len() <= 1_024;
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_path && is_plain {
            return Ok(Some(path));
        }
        Err(Error::field("return_to", "is no path of this server, such as `/settings`").into())
    }
}

/// Begins a login of the caller at a tool server with `auth_type` `oauth`: send the browser that
/// asked to `location` within ten minutes. A cookie tells that it is this browser which comes back.
/// The body is optional.
#[utoipa::path(post, path = "/api/v1/tools/servers/{id}/login", tag = "tools",
    params(("id" = ToolServerId, Path)), request_body = Option<ToolLoginBody>,
    responses((status = 200, body = ToolLoginBegun)))]
pub(crate) async fn begin_login(
    State(app): State<App>,
    Caller(scope): Caller,
    arrival: Arrival,
    Path(id): Path<ToolServerId>,
    OptionalJson(body): OptionalJson<ToolLoginBody>,
) -> Result<Response> {
    let return_to = body.checked()?;
    let redirect_url = arrival.address_of(&format!("{}{CALLBACK}", arrival.cookies.prefix))?;
    let login = app.engine.tool_servers(&scope).begin_login(id, &redirect_url).await?;
    let mut response = Json(ToolLoginBegun { location: login.location }).into_response();
    arrival.cookies.set_tool_login(response.headers_mut(), Some(&login.cookie));
    arrival.cookies.set_tool_return(response.headers_mut(), return_to);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Forgets the caller's own login at a tool server.
#[utoipa::path(delete, path = "/api/v1/tools/servers/{id}/login", tag = "tools",
    params(("id" = ToolServerId, Path)), responses((status = 204)))]
pub(crate) async fn end_login(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ToolServerId>,
) -> Result<StatusCode> {
    app.engine.tool_servers(&scope).end_session(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the browser is shown: nothing that a server said.
const SIGNED_IN: &str = "<!doctype html><meta charset=utf-8><title>Signed in</title>\
    <p>You are signed in at the tool server. You can close this page.";

/// Ends a login at a tool server, to which it sent the browser back. Whose login it is, the cookie
/// of the browser that began it says alone.
#[utoipa::path(get, path = "/api/v1/tools/login/callback", tag = "tools",
    responses((status = 200, description = "A page that says so", content_type = "text/html", body = String),
        (status = 303, description = "The path that the login was begun with, as `Location`")))]
pub(crate) async fn login_callback(State(app): State<App>, arrival: Arrival) -> Result<Response> {
    let kept = cookie::read(&arrival.headers, cookie::TOOL_LOGIN).unwrap_or_default();
    app.engine.end_tool_login(kept, &arrival.address_of(&arrival.whole)?).await?;
    let return_to = cookie::tool_return(&arrival.headers);
    // The cookie may be anything by now.
    let return_to = ToolLoginBody { return_to };
    let mut response = match return_to.checked() {
        Ok(Some(path)) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        _ => axum::response::Html(SIGNED_IN).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    arrival.cookies.set_tool_login(headers, None);
    arrival.cookies.set_tool_return(headers, None);
    Ok(response)
}
