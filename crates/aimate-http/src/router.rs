//! Every route, and nothing else.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use http::{Method, StatusCode, Uri};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use aimate_core::{Engine, Error};

use crate::app::App;
use crate::error::Failure;
use crate::knowledge::{collection, document, original, search};
use crate::openai::{file, responses, upload, vector_store};
use crate::options::Options;
use crate::{
    audit, budget, connection, conversation, event_socket, group, health, message, middleware, model, mount,
    openai, openapi, origin, price, prompt, run, server_info, share, tool, usage, workspace,
};

/// Returns the routes of `engine`, to serve, to merge into another router or to nest
/// in one under a prefix, whatever state that router has.
///
/// They are `/api/v1/…`, `/v1/…`, `/health`, `/ready`, `/metrics`,
/// `/openapi.json`, (feature `mcp`) `/mcp`, (feature `docs`) `/docs` and, with `Options::web_page`
/// of the feature `page`, those of the page; every other path is left to the application. Who asks, [`Options::callers`] says: by default, the
/// [`Scope`](aimate_core::Scope) that a middleware of the application puts into a
/// request's extensions. A request without one is answered with `401`.
///
/// ```
/// use aimate_core::{Engine, Scope};
/// use aimate_http::Options;
/// use axum::Router;
/// use axum::extract::{Request, State};
/// use axum::middleware::{Next, from_fn_with_state};
/// use axum::response::Response;
///
/// # #[derive(Clone)]
/// # struct Helpdesk { engine: Engine }
/// # impl Helpdesk { fn signed_in(&self, _: &Request) -> Option<Scope> { None } }
/// async fn sign_in(State(app): State<Helpdesk>, mut request: Request, next: Next) -> Response {
///     if let Some(scope) = app.signed_in(&request) {
///         request.extensions_mut().insert(scope);
///     }
///     next.run(request).await
/// }
///
/// fn routes(app: Helpdesk) -> Router {
///     let ai = aimate_http::router(app.engine.clone(), Options::default())
///         .layer(from_fn_with_state(app.clone(), sign_in));
///     Router::<Helpdesk>::new().nest("/ai", ai).with_state(app)
/// }
/// ```
pub fn router<S>(engine: Engine, options: Options) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let app = App::new(engine, options);
    with_middleware(app.clone(), routes(app))
}

/// Returns the routes of [`router`] with a fallback, for a server of its own.
pub(crate) fn standalone(app: App) -> Router {
    let mut router = routes::<()>(app.clone()).fallback(not_found);
    if cfg!(all(feature = "docs", not(feature = "page"))) {
        let docs = || async { axum::response::Redirect::temporary("/docs/") };
        router = router.route("/", get(docs));
    }
    with_middleware(app, router)
}

/// The documented routes. Lists and single resources are compressed on request;
/// answers and streams are not, since compression would hold their events back.
pub(crate) fn documented_routes(with_accounts: bool) -> OpenApiRouter<App> {
    let resources = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(connection::list, connection::create))
        .routes(routes!(connection::get, connection::update, connection::delete))
        .routes(routes!(connection::test))
        .routes(routes!(connection::refresh_models))
        .routes(routes!(model::list))
        .routes(routes!(tool::list))
        .routes(routes!(tool::list_servers, tool::create_server))
        .routes(routes!(tool::get_server, tool::update_server, tool::delete_server))
        .routes(routes!(tool::test))
        .routes(routes!(tool::set_policy))
        .routes(routes!(tool::resources))
        .routes(routes!(tool::read_resource))
        .routes(routes!(tool::prompts, tool::prompt))
        .routes(routes!(tool::begin_login, tool::end_login))
        .routes(routes!(tool::login_callback))
        .routes(routes!(conversation::list, conversation::create))
        .routes(routes!(conversation::search))
        .routes(routes!(conversation::get, conversation::update, conversation::delete))
        .routes(routes!(conversation::fork))
        .routes(routes!(share::list, share::create))
        .routes(routes!(share::revoke))
        .routes(routes!(share::shared))
        .routes(routes!(run::get))
        .routes(routes!(run::cancel))
        .routes(routes!(run::approve))
        .routes(routes!(run::input))
        .routes(routes!(workspace::list, workspace::create))
        .routes(routes!(workspace::get, workspace::update, workspace::delete))
        .routes(routes!(workspace::members, workspace::put_member))
        .routes(routes!(workspace::remove_member))
        .routes(routes!(group::list, group::create))
        .routes(routes!(group::get, group::update, group::delete))
        .routes(routes!(group::members))
        .routes(routes!(group::add_member, group::remove_member))
        .routes(routes!(prompt::list, prompt::create))
        .routes(routes!(prompt::get, prompt::update, prompt::delete))
        .routes(routes!(collection::list, collection::create))
        .routes(routes!(collection::get, collection::update, collection::delete))
        .routes(routes!(collection::spaces))
        .routes(routes!(document::create))
        .routes(routes!(document::list))
        .routes(routes!(document::get, document::delete))
        .routes(routes!(document::cancel))
        .routes(routes!(document::retry))
        .routes(routes!(document::chunks))
        .routes(routes!(search::search))
        .routes(routes!(usage::summarize))
        .routes(routes!(usage::records))
        .routes(routes!(audit::list))
        .routes(routes!(budget::list, budget::create))
        .routes(routes!(budget::get, budget::update, budget::delete))
        .routes(routes!(price::list, price::create))
        .routes(routes!(price::delete))
        .routes(routes!(openai::models))
        .routes(routes!(openai::conversation::create))
        .routes(routes!(
            openai::conversation::get,
            openai::conversation::update,
            openai::conversation::delete
        ))
        .routes(routes!(openai::conversation_item::list_items, openai::conversation_item::create))
        .routes(routes!(openai::conversation_item::get, openai::conversation_item::delete))
        .routes(routes!(file::list, file::create))
        .routes(routes!(file::get, file::delete))
        .routes(routes!(upload::create))
        .routes(routes!(upload::add_part))
        .routes(routes!(upload::complete))
        .routes(routes!(upload::cancel))
        .routes(routes!(vector_store::list, vector_store::create))
        .routes(routes!(vector_store::get, vector_store::update, vector_store::delete))
        .routes(routes!(vector_store::search::search))
        .routes(routes!(vector_store::file::list, vector_store::file::create))
        .routes(routes!(vector_store::file::get, vector_store::file::update, vector_store::file::delete))
        .routes(routes!(vector_store::file::content))
        .routes(routes!(vector_store::batch::create))
        .routes(routes!(vector_store::batch::get))
        .routes(routes!(vector_store::batch::cancel))
        .routes(routes!(vector_store::batch::files))
        .routes(routes!(server_info::get))
        .merge(markdown_routes())
        .merge(account_routes(with_accounts))
        .layer(compression());
    let streams = OpenApiRouter::new()
        .routes(routes!(message::start))
        .routes(routes!(message::list, message::create))
        .routes(routes!(message::regenerate))
        .routes(routes!(message::edit))
        .routes(routes!(run::events))
        .routes(routes!(document::events))
        .routes(routes!(original::content))
        .routes(routes!(openai::stored_completion))
        .routes(routes!(openai::completion))
        .routes(routes!(openai::text_completion))
        .routes(routes!(openai::embeddings))
        .routes(routes!(responses::routes::create, responses::socket::connect))
        .routes(routes!(event_socket::connect))
        .routes(routes!(responses::routes::input_tokens))
        .routes(routes!(responses::compaction::compact))
        .routes(routes!(responses::routes::retrieve, responses::routes::delete))
        .routes(routes!(responses::routes::cancel))
        .routes(routes!(responses::routes::input_items))
        .routes(routes!(file::content))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics));
    resources.merge(streams)
}

/// The routes of accounts, for a router that has any.
#[cfg(feature = "accounts")]
fn account_routes(are_there: bool) -> OpenApiRouter<App> {
    use crate::{api_token, auth, invite, oidc, session, user};
    if !are_there {
        return OpenApiRouter::new();
    }
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(oidc::list))
        .routes(routes!(oidc::start))
        .routes(routes!(oidc::callback))
        .routes(routes!(auth::me, auth::change_me))
        .routes(routes!(auth::password))
        .routes(routes!(session::list, session::delete_others))
        .routes(routes!(session::delete))
        .routes(routes!(api_token::list, api_token::create))
        .routes(routes!(api_token::delete))
        .routes(routes!(user::list))
        .routes(routes!(user::get, user::update, user::delete))
        .routes(routes!(user::unlock))
        .routes(routes!(invite::list, invite::create))
        .routes(routes!(invite::delete))
}

#[cfg(not(feature = "accounts"))]
fn account_routes(_: bool) -> OpenApiRouter<App> {
    OpenApiRouter::new()
}

/// Rendering, where it is built in.
#[cfg(feature = "markdown")]
fn markdown_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(crate::markdown::render))
}

#[cfg(not(feature = "markdown"))]
fn markdown_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}

/// The MCP server, which describes itself to its clients and is not in the document.
#[cfg(feature = "mcp")]
fn mcp_routes() -> Router<App> {
    use crate::mcp;
    Router::new().route("/mcp", get(mcp::listen).post(mcp::send).delete(mcp::end))
}

#[cfg(not(feature = "mcp"))]
fn mcp_routes() -> Router<App> {
    Router::new()
}

fn routes<S: Clone + Send + Sync + 'static>(app: App) -> Router<S> {
    let with_accounts = app.options.callers.are_accounts();
    #[cfg(feature = "page")]
    let page = app.options.web_page.then(|| crate::web_page::routes(app.options.callers.is_local()));
    let (router, document) = documented_routes(with_accounts).split_for_parts();
    let document = openapi::finish(document, with_accounts);
    let router = router
        // Model ids contain slashes, which a route can only match by a wildcard;
        // `openapi::Base` documents these routes under their public paths.
        .route("/api/v1/models/{*rest}", post(model::switch))
        .route("/v1/models/{*id}", get(openai::model))
        .route("/openapi.json", get(move |request: Request| async move { document.under(mount::prefix(&request)) }))
        .merge(mcp_routes())
        .method_not_allowed_fallback(not_allowed)
        .with_state(app);
    let router = ["/api/v1", "/v1"].into_iter().fold(router, |router, root| {
        let below = [root.to_owned(), format!("{root}/"), format!("{root}/{{*rest}}")];
        below.iter().fold(router, |router, path| router.route(path, any(not_found)))
    });
    #[cfg(feature = "page")]
    let router = if let Some(page) = page { router.merge(page) } else { router };
    #[cfg(feature = "docs")]
    let router = router.route("/docs", get(openapi::page)).route("/docs/", get(openapi::page));
    router
}

fn with_middleware<S: Clone + Send + Sync + 'static>(app: App, router: Router<S>) -> Router<S> {
    let cors = origin::cors(&app.options);
    let router = router.layer(from_fn_with_state(app, middleware::handle));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Gzip for JSON that is long enough to gain by it.
fn compression() -> CompressionLayer<impl Predicate> {
    let long = SizeAbove::new(1_024).and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(long)
}

async fn not_found(uri: Uri) -> Failure {
    let path = uri.path();
    let path = path.get(..200).unwrap_or(path);
    Error::not_found(format!("there is no {path}; `GET /openapi.json` lists all paths")).into()
}

async fn not_allowed(method: Method, uri: Uri) -> Failure {
    let path = uri.path();
    let path = path.get(..200).unwrap_or(path);
    Failure::with_status(
        Error::invalid(format!("{path} does not support {method}; see the header `Allow`")),
        StatusCode::METHOD_NOT_ALLOWED,
    )
}
