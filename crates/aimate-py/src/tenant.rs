//! What the HTTP API leaves to the application around the engine: its tenants and users.

use aimate::engine::TenantRef;
use aimate::user::UserChange;
use aimate::{Cursor, Engine, Error, Page, PageRequest, Scope, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::{Fault, Result};
use crate::outcome::Outcome;

/// Does `act` for `scope`.
pub(crate) async fn manage(engine: &Engine, scope: Scope, act: &str, given: Value) -> Result<Outcome> {
    match act {
        "scope" => Outcome::of(&json!({
            "tenant_id": scope.tenant, "user_id": scope.user, "role": scope.role,
        })),
        "users.list" => listed(&engine.users(&scope).list(page(&given)?).await?),
        "users.get" => Outcome::of(&engine.users(&scope).get(id(&given)?).await?),
        "users.update" => {
            let change: UserChange = field(&given, "change")?;
            Outcome::of(&engine.users(&scope).update(id(&given)?, change).await?)
        }
        "tenants.list" => listed(&engine.tenants().list(page(&given)?).await?),
        "tenants.get" => Outcome::of(&engine.tenants().get(tenant(&given)?).await?),
        "tenants.delete" => Outcome::of(&engine.tenants().delete(tenant(&given)?).await?),
        "tenants.delete_user" => {
            let user: String = field(&given, "user")?;
            let tenant: String = field(&given, "tenant")?;
            // The application's own key, as `as_user` takes it.
            let user = engine.scope(tenant.as_str(), user).ensure().await?.user;
            Outcome::of(&engine.tenants().delete_user(tenant.as_str(), user).await?)
        }
        "ping" => {
            engine.ping().await?;
            Ok(Outcome::Nothing)
        }
        _ => Err(Fault::Engine(Error::internal("the package asks for what its module does not know"))),
    }
}

fn tenant(given: &Value) -> Result<TenantRef> {
    let key: String = field(given, "tenant")?;
    Ok(TenantRef::from(key.as_str()))
}

fn id(given: &Value) -> Result<UserId> {
    field(given, "id")
}

fn field<T: DeserializeOwned>(given: &Value, name: &'static str) -> Result<T> {
    let value = given.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| Fault::Engine(Error::field(name, error.to_string())))
}

fn page(given: &Value) -> Result<PageRequest> {
    let limit =
        given.get("limit").and_then(Value::as_u64).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    Ok(PageRequest::new(limit, given.get("cursor").and_then(Value::as_str))?)
}

fn listed<T: Serialize>(page: &Page<T>) -> Result<Outcome> {
    Outcome::of(&json!({ "data": page.data, "next_cursor": page.next.map(Cursor::encode) }))
}
