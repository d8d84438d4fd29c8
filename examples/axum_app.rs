//! Helpdesk: a service for several companies, with users, a login and a database of
//! its own, and aiMate within it: chat, documents and bills, each company apart.
//!
//! `cargo run --example axum_app --features http`, then as two companies:
//! `curl -N localhost:3200/tickets/7/ask -H 'authorization: Bearer ann' -d 'Why is it cold?'`,
//! `curl localhost:3200/ai/api/v1/conversations -H 'authorization: Bearer bob'`,
//! `curl localhost:3200/bill -H 'authorization: Bearer ann'`,
//! `curl -X DELETE localhost:3200/company -H 'authorization: Bearer ann'`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aimate::knowledge::SourcePassage;
use aimate::observer::{Observer, TurnSummary};
use aimate::usage::UsageRecord;
use aimate::{Engine, Error, Result, Role, Scope, TenantId, Turn, async_trait, http};
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// What the service had before: its own users, in a table of its own.
const OURS: &str = "CREATE TABLE IF NOT EXISTS users (token TEXT PRIMARY KEY, company TEXT, name TEXT, boss INTEGER);
    INSERT OR IGNORE INTO users VALUES ('ann', 'acme', 'Ann', 1), ('al', 'acme', 'Al', 0), ('bob', 'bolt', 'Bob', 1);";

#[derive(Clone)]
struct Helpdesk {
    engine: Engine,
    users: SqlitePool,
    bills: Arc<Bills>,
}

/// Turns of each company, of which a plan has so many.
struct Bills {
    plan: u64,
    turns: Mutex<HashMap<TenantId, u64>>,
}

impl Bills {
    fn of(&self, tenant: TenantId) -> u64 {
        self.turns.lock().map_or(0, |turns| turns.get(&tenant).copied().unwrap_or_default())
    }
}

#[async_trait]
impl Observer for Bills {
    async fn before_turn(&self, scope: &Scope, _: &TurnSummary) -> Result<()> {
        if self.of(scope.tenant) >= self.plan {
            return Err(Error::forbidden(
                "the plan of your company is used up; ask your boss for a larger one",
            ));
        }
        Ok(())
    }

    async fn usage_recorded(&self, scope: &Scope, _: &UsageRecord) {
        let Ok(mut turns) = self.turns.lock() else { return };
        *turns.entry(scope.tenant).or_default() += 1;
    }
}

/// Who asks, as the service knows them; aiMate's part of it is the scope.
async fn sign_in(State(app): State<Helpdesk>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let user =
        sqlx::query_as::<_, (String, String, bool)>("SELECT company, name, boss FROM users WHERE token = $1");
    if let Ok(Some((company, name, is_boss))) = user.bind(token).fetch_optional(&app.users).await {
        let role = if is_boss { Role::Admin } else { Role::User };
        match app.engine.scope(company, token).name(name).role(role).ensure().await {
            Ok(scope) => drop(request.extensions_mut().insert(scope)),
            Err(error) => return http::problem(error),
        }
    }
    next.run(request).await
}

/// A question about a ticket, which the service looks up by itself.
async fn ask(
    State(app): State<Helpdesk>,
    me: Option<Extension<Scope>>,
    Path(id): Path<u32>,
    text: String,
) -> Response {
    let Some(Extension(me)) = me else { return http::problem(Error::unauthenticated("sign in first")) };
    let ticket =
        SourcePassage::new(format!("ticket:{id}"), "The boiler lost pressure.").title(format!("Ticket {id}"));
    match app.engine.chat(&me, Turn::new(text).passages([ticket])).await {
        Ok(answer) => http::sse(answer),
        Err(error) => http::problem(error),
    }
}

async fn bill(State(app): State<Helpdesk>, Extension(me): Extension<Scope>) -> Json<u64> {
    Json(app.bills.of(me.tenant))
}

/// The company leaves: all of it goes, and the receipt says what that was.
async fn leave(State(app): State<Helpdesk>, Extension(me): Extension<Scope>) -> Response {
    if me.role != Role::Admin {
        return http::problem(Error::forbidden("only the boss may do that"));
    }
    match app.engine.tenants().delete(me.tenant).await {
        Ok(receipt) => Json(receipt).into_response(),
        Err(error) => http::problem(error),
    }
}

/// The service on one SQLite file, which its own tables are in too.
async fn helpdesk(file: &str) -> Result<Router> {
    let failed = |error| Error::unavailable("the users cannot be read").with_source(error);
    let connect = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let users = SqlitePool::connect_with(connect).await.map_err(failed)?;
    sqlx::raw_sql(OURS).execute(&users).await.map_err(failed)?;
    let options = aimate::store::Options { table_prefix: Some("ai_".to_owned()), ..Default::default() };
    let bills = Arc::new(Bills { plan: 100, turns: Mutex::default() });
    let engine = Engine::builder()
        .store(aimate::store::connect_with(&format!("sqlite:{file}"), options).await?)
        .connection(aimate::providers::builtin())
        .observer(bills.clone())
        .build()
        .await?;
    let app = Helpdesk { engine: engine.clone(), users, bills };
    let router = Router::new()
        .route("/tickets/{id}/ask", post(ask))
        .route("/bill", get(bill))
        .route("/company", delete(leave))
        .nest("/ai", http::router(engine, http::Options::default()))
        .layer(from_fn_with_state(app.clone(), sign_in));
    Ok(router.with_state(app))
}

#[tokio::main]
async fn main() -> Result<()> {
    let router = helpdesk("helpdesk.db").await?;
    let failed = |error| Error::unavailable("cannot listen on 127.0.0.1:3200").with_source(error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3200").await.map_err(failed)?;
    axum::serve(listener, router).await.map_err(failed)
}

#[cfg(test)]
#[path = "../crates/aimate/tests/helpdesk/mod.rs"]
mod tests;
