//! Row-level security on PostgreSQL: the database itself keeps tenants apart, beside the
//! condition that each statement has.
//!
//! Every table with a `tenant_id` gets a policy, by which a session sees and writes the
//! rows of the tenant that it has named, and none if it has named none; the owner of the
//! table too (`FORCE`). Each unit of work names the tenant that its statement binds first,
//! for its transaction alone. Statements of the process or the operator, which bind none
//! (claims of work, the lookup of a token), name all tenants. So a statement that forgets
//! its condition, or has a wrong one, finds nothing of another tenant.

use aimate_core::{Error, Result};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Names, failure};

/// The setting that names the tenant.
pub(super) const SETTING: &str = "aimate.tenant";
/// What stands for all tenants.
pub(super) const ALL: &str = "*";

/// Lets a session see the rows of all tenants, for as long as it or (`is_local`) its transaction
/// lasts: migrations change those of all.
pub(crate) async fn see_all(connection: &mut PgConnection, is_local: bool) -> Result<()> {
    let name = sqlx::query("SELECT set_config($1, $2, $3)").bind(SETTING).bind(ALL).bind(is_local);
    name.execute(connection).await.map(drop).map_err(failure)
}

/// aiMate's tables in the schema, and whether each has a `tenant_id`.
async fn tables(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
) -> Result<Vec<(String, bool, bool)>> {
    let known: Vec<String> = crate::migrations::POSTGRES
        .iter()
        .flat_map(|(_, _, sql)| super::made_by(sql))
        .chain([crate::migrations::TABLE])
        .map(|name| names.of(name))
        .collect();
    let rows = sqlx::query(
        "SELECT c.relname::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS is_forced, \
         EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' \
            AND NOT a.attisdropped) AS has_tenant \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = COALESCE($2, current_schema()) AND c.relkind IN ('r', 'p') AND c.relname = ANY($1) \
         ORDER BY 1",
    )
    .bind(known)
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(failure)?;
    let table = |row: &sqlx::postgres::PgRow| {
        Ok((row.try_get("name")?, row.try_get("has_tenant")?, row.try_get("is_forced")?))
    };
    rows.iter().map(table).collect::<sqlx::Result<_>>().map_err(failure)
}

/// Puts the policies on all tables that have a tenant, and lets `role` work on the tables
/// within them. May be done again, and must be after each migration that makes a table.
///
/// # Errors
/// `Invalid` for a role that is no plain name, is not there, or stands above policies.
#[expect(clippy::disallowed_methods, reason = "the role's name was checked, tables are aiMate's")]
pub(crate) async fn secure(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
    role: &str,
) -> Result<usize> {
    super::names::check_role(role)?;
    check_role(connection, role).await?;
    let current = sqlx::query_scalar("SELECT COALESCE($1, current_schema()::text)");
    let schema_name: String = current.bind(schema).fetch_one(&mut *connection).await.map_err(failure)?;
    let tables = tables(connection, names, schema).await?;
    let mut text = format!("BEGIN; GRANT USAGE ON SCHEMA \"{schema_name}\" TO {role};");
    // Many rows are written through a temporary table. Not if everybody may make some, which is
    // PostgreSQL's default: two grants on one database at once are refused.
    let database = sqlx::query_scalar(
        "SELECT CASE WHEN NOT has_database_privilege($1::name, current_database(), 'TEMP') \
         THEN quote_ident(current_database()) END",
    );
    let database: Option<String> = database.bind(role).fetch_one(&mut *connection).await.map_err(failure)?;
    if let Some(database) = database {
        text.push_str(&format!("GRANT TEMPORARY ON DATABASE {database} TO {role};"));
    }
    let mut secured = 0;
    for (table, has_tenant, _) in &tables {
        let table = format!("\"{schema_name}\".{table}");
        text.push_str(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};"));
        if !has_tenant {
            continue;
        }
        secured += 1;
        let seen = "current_setting('aimate.tenant', true) = '*' OR tenant_id = \
            NULLIF(NULLIF(current_setting('aimate.tenant', true), ''), '*')::uuid";
        text.push_str(&format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
             DROP POLICY IF EXISTS aimate_tenant ON {table}; \
             CREATE POLICY aimate_tenant ON {table} USING ({seen}) WITH CHECK ({seen});"
        ));
    }
    text.push_str("COMMIT");
    match sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await {
        Ok(_) => Ok(secured),
        Err(error) => {
            let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
            Err(match error.as_database_error().and_then(|error| error.code()).as_deref() {
                Some("42501") => Error::invalid(
                    "this user may not put policies on aiMate's tables: connect as their owner, who is not the role \
                     that the server runs as; and the role must be let make temporary tables in the database",
                )
                .with_source(error),
                _ => failure(error),
            })
        }
    }
}

/// A role that policies hold for.
async fn check_role(connection: &mut PgConnection, role: &str) -> Result<()> {
    let query =
        sqlx::query_scalar("SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = $1");
    let is_above: Option<bool> = query.bind(role).fetch_optional(connection).await.map_err(failure)?;
    match is_above {
        Some(false) => Ok(()),
        Some(true) => Err(Error::invalid(format!(
            "no policy holds for the role `{role}`, which is a superuser or has BYPASSRLS; make another one: \
             `CREATE ROLE aimate_server LOGIN PASSWORD …`"
        ))),
        None => Err(Error::invalid(format!(
            "there is no role `{role}`; make it first: `CREATE ROLE {role} LOGIN PASSWORD …`"
        ))),
    }
}

/// Fails unless the policies hold for this session's user, on every table that has a tenant.
pub(crate) async fn check(connection: &mut PgConnection, names: &Names, schema: Option<&str>) -> Result<()> {
    let user: String =
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *connection).await.map_err(failure)?;
    check_role(connection, &user).await?;
    let may_not = sqlx::query_scalar(
        "SELECT CASE WHEN NOT has_database_privilege(current_user, current_database(), 'TEMP') \
         THEN quote_ident(current_database()) END",
    );
    let may_not: Option<String> = may_not.fetch_one(&mut *connection).await.map_err(failure)?;
    if let Some(database) = may_not {
        return Err(Error::invalid(format!(
            "the role `{user}` may not make temporary tables, through which many rows are written; let the database's \
             owner run `GRANT TEMPORARY ON DATABASE {database} TO {user}`"
        )));
    }
    let tables = tables(connection, names, schema).await?;
    match tables.iter().find(|(_, has_tenant, is_forced)| *has_tenant && !is_forced) {
        None => Ok(()),
        Some((table, ..)) => Err(Error::invalid(format!(
            "the table `{table}` has no policies for row-level security; let its owner run \
             `aimate migrate --row-level-security-for {user}`"
        ))),
    }
}
