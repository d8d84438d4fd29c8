//! `/api/v1/budgets`.

use aimate_core::BudgetId;
use aimate_core::budget::{Budget, BudgetLimits, BudgetPeriod, BudgetSubject, NewBudget};
use aimate_core::usage::Cost;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, PageQuery};
use crate::path::{Path, Query};
use crate::scope::Caller;

const LIST: &str = "budgets";

/// A budget to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBudgetBody {
    /// Whose calls it counts.
    subject: BudgetSubject,
    /// How often it begins anew.
    period: BudgetPeriod,
    /// US dollars at most; absent for as many as there are. Calls whose price nobody knows
    /// cost none.
    #[schema(value_type = Option<f64>)]
    max_cost: Option<Cost>,
    /// Tokens read and written at most; absent for as many as there are.
    max_tokens: Option<u64>,
}

/// What may be spent in a period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetLimitsBody {
    /// US dollars at most; absent for as many as there are.
    #[schema(value_type = Option<f64>)]
    max_cost: Option<Cost>,
    /// Tokens read and written at most; absent for as many as there are.
    max_tokens: Option<u64>,
}

/// Lists the tenant's budgets, oldest first, with what is spent and set aside now; for
/// admins.
#[utoipa::path(get, path = "/api/v1/budgets", tag = "usage", params(PageQuery),
    responses((status = 200, body = List<Budget>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<PageQuery>,
) -> Result<List<Budget>> {
    Ok(List::of(LIST, app.engine.budgets(&scope).list(query.page(LIST)?).await?))
}

/// Limits what calls may cost in a day or a month in UTC; for admins. What was used in the
/// period so far counts.
#[utoipa::path(post, path = "/api/v1/budgets", tag = "usage", request_body = NewBudgetBody,
    responses((status = 201, body = Budget)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<NewBudgetBody>,
) -> Result<Response> {
    let limits = BudgetLimits { max_cost: body.max_cost, max_tokens: body.max_tokens };
    let new = NewBudget { subject: body.subject, period: body.period, limits };
    let budget = app.engine.budgets(&scope).create(new).await?;
    Ok(json::created(&format!("/api/v1/budgets/{}", budget.id), budget))
}

/// Returns one budget, with what is spent and set aside now; for admins.
#[utoipa::path(get, path = "/api/v1/budgets/{id}", tag = "usage",
    params(("id" = BudgetId, Path)), responses((status = 200, body = Budget)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<BudgetId>,
) -> Result<Json<Budget>> {
    Ok(Json(app.engine.budgets(&scope).get(id).await?))
}

/// Replaces what may be spent; for admins.
#[utoipa::path(put, path = "/api/v1/budgets/{id}", tag = "usage",
    params(("id" = BudgetId, Path)), request_body = BudgetLimitsBody,
    responses((status = 200, body = Budget)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<BudgetId>,
    Json(body): Json<BudgetLimitsBody>,
) -> Result<Json<Budget>> {
    let limits = BudgetLimits { max_cost: body.max_cost, max_tokens: body.max_tokens };
    Ok(Json(app.engine.budgets(&scope).update(id, limits).await?))
}

/// Deletes a budget: nothing limits its subject any more; for admins.
#[utoipa::path(delete, path = "/api/v1/budgets/{id}", tag = "usage",
    params(("id" = BudgetId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<BudgetId>,
) -> Result<StatusCode> {
    app.engine.budgets(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
