//! Opening a database of a PostgreSQL server.

use std::sync::Arc;

use aimate_core::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, PgPool};

use super::look::{self, Surroundings, not_reached};
use crate::database::postgres::{Postgres, SessionOptions, begin_told};
use crate::database::row_security;
use crate::database::{Database, Names, Pool, Row, Sql, check_schema, failure};
use crate::knowledge::{DiskBlobs, IndexCache};
use crate::{Info, Kind, Options, SqlStore, migrate};

/// The oldest PostgreSQL that is tested.
const OLDEST_POSTGRES: u32 = 16;

const SETTINGS: Sql = Sql::Postgres(
    "SELECT current_setting('server_version') AS version, \
     (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector') AS pgvector, \
     current_setting('fsync') AS fsync, \
     current_setting('full_page_writes') AS full_page_writes, \
     current_setting('synchronous_commit') AS synchronous_commit",
);

/// Opens the database at `url`.
pub(super) async fn open(url: &str, options: &Options) -> Result<SqlStore> {
    open_with(parsed(url, "the database's address")?, options, None).await
}

/// Opens the database of an application's pool.
pub(crate) async fn from_pool(pool: PgPool, options: &Options) -> Result<SqlStore> {
    // Its connections may be used up; ours beside it come from the same place.
    let connect = PgConnectOptions::clone(&pool.connect_options()).application_name("aimate");
    open_with(connect, options, Some(pool)).await
}

fn parsed(url: &str, what: &str) -> Result<PgConnectOptions> {
    let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    let parsed: sqlx::Result<PgConnectOptions> = match is_ours {
        true => url.parse(),
        false => Err(sqlx::Error::Configuration("another scheme".into())),
    };
    let connect = parsed.map_err(|error| {
        Error::invalid(format!("{what} is not of the form `postgres://USER:PASSWORD@HOST/DATABASE`"))
            .with_source(without_url(&error))
    })?;
    // No pooler takes `extra_float_digits` without being told to.
    Ok(connect.application_name("aimate").statement_cache_capacity(256).extra_float_digits(None))
}

fn address_of(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or_else(|| connect.get_username());
    format!("{}:{}/{database}", connect.get_host(), connect.get_port())
}

async fn open_with(
    connect: PgConnectOptions,
    options: &Options,
    borrowed: Option<PgPool>,
) -> Result<SqlStore> {
    let names = Names::new(options.table_prefix.as_deref())?;
    let prefix = names.prefix().to_owned();
    if let Some(schema) = &options.schema {
        check_schema(schema)?;
    }
    let address = address_of(&connect);
    let schema = options.schema.as_deref();
    let seen = look::look(&connect, options.timeout, (&names, schema), &address).await?;
    let size = options.pool_size.unwrap_or(16);
    let pool = Pool::new(session(connect, options, &seen, seen.is_pooled), size, options.timeout);
    let direct = match &options.direct_url {
        Some(url) => Some(direct_pool(url, options, &names, &seen).await?),
        None => (!seen.is_pooled).then(|| pool.clone()),
    };
    let is_pooled = direct.is_none();
    let opened = direct.as_ref().unwrap_or(&pool).open().await;
    let mut connection = opened.map_err(|error| not_reached(&address, error))?;
    check_version(&connection, &address)?;
    check_encoding(&mut connection, &address).await?;
    if let Some(schema) = &options.schema {
        migrate::postgres::prepare_schema(&mut connection, schema, options.migrate).await?;
    }
    let missing = if options.migrate {
        migrate::postgres::run(&mut connection, &names, schema, is_pooled).await?;
        Vec::new()
    } else {
        migrate::postgres::check(&mut connection, &names, schema, is_pooled).await?
    };
    if options.row_level_security && missing.is_empty() {
        // Of those who read and write, who may be somebody else than who migrates.
        let mut one = pool.open().await.map_err(|error| not_reached(&address, error))?;
        row_security::check(&mut one, &names, schema).await?;
        let _ = one.close().await;
    }
    // Not for the pool: a migration that broke off may have left its lock.
    let _ = connection.close().await;
    let mut database = Postgres::new(pool, direct, names, options.schema.clone(), 3 * options.timeout);
    if borrowed.is_some() || seen.is_pooled && !(seen.is_right_by_default && schema.is_none()) {
        database = database.beginning(begin_told(seen.plan_mode, schema));
    }
    if let Some(pool) = borrowed {
        database = database.borrowing(pool);
    }
    if options.row_level_security {
        database = database.row_secure();
    }
    database.gate.set_missing(&missing);
    let database = Database::Postgres(database);
    // One folder serves several databases, schemas and prefixes: each has its own part of
    // it, which the `+` keeps apart.
    // That of the server itself, which is the same with and without a pooler before it.
    let server = match &options.direct_url {
        Some(url) => address_of(&parsed(url, "the address beside the pooler (`DATABASE_DIRECT_URL`)")?),
        None => address.clone(),
    };
    let mut part = server.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    for (what, name) in [("schema", options.schema.as_deref().unwrap_or_default()), ("prefix", &*prefix)] {
        if !name.is_empty() {
            part = format!("{part}+{what}.{name}");
        }
    }
    let folder = options.blobs.clone().unwrap_or_else(|| "aimate-data/blobs".into()).join(part);
    let blobs = options.blob_store.clone().unwrap_or_else(|| Arc::new(DiskBlobs::new(folder)));
    let index = IndexCache::new(options.index_cache);
    let ids = Arc::clone(&options.ids);
    Ok(SqlStore { database, address, blobs, index, ids, audit_turn: Default::default() })
}

/// How sessions are opened that `connect` leads to.
fn session(
    connect: PgConnectOptions,
    options: &Options,
    seen: &Surroundings,
    is_pooled: bool,
) -> SessionOptions {
    SessionOptions { connect, schema: options.schema.clone(), plan_mode: seen.plan_mode, is_pooled }
}

/// What opens sessions of the server itself at `url`, which is what the pooler's database is on.
async fn direct_pool(
    url: &str,
    options: &Options,
    names: &Names,
    seen: &Surroundings,
) -> Result<Pool<PgConnection>> {
    let connect = parsed(url, "the address beside the pooler (`DATABASE_DIRECT_URL`)")?;
    let address = address_of(&connect);
    let direct = look::look(&connect, options.timeout, (names, options.schema.as_deref()), &address).await?;
    if direct.is_pooled {
        return Err(Error::invalid(format!(
            "a pooler is at {address}, which is to be the server itself (`DATABASE_DIRECT_URL`)"
        )));
    }
    if !direct.is_same_database(seen) {
        return Err(Error::invalid(format!(
            "the database {address} (`DATABASE_DIRECT_URL`) is another one than that of `DATABASE_URL`"
        )));
    }
    Ok(Pool::new(session(connect, options, &direct, false), 1, options.timeout))
}

/// A parser's error could repeat what it parsed; its kind is enough.
fn without_url(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Configuration(_) => "the address could not be parsed",
        _ => "the address could not be used",
    }
}

fn check_version(connection: &PgConnection, address: &str) -> Result<()> {
    match connection.server_version_num().map(|number| number / 10_000) {
        Some(major) if major < OLDEST_POSTGRES => Err(Error::invalid(format!(
            "the server at {address} is PostgreSQL {major}; aiMate needs {OLDEST_POSTGRES} or newer"
        ))),
        _ => Ok(()),
    }
}

/// Other encodings have no room for most of what people write.
async fn check_encoding(connection: &mut PgConnection, address: &str) -> Result<()> {
    let query = sqlx::query_scalar("SELECT current_setting('server_encoding')");
    let encoding: String = query.fetch_one(connection).await.map_err(failure)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the database {address} is encoded in {encoding}, which cannot hold all text; make one with \
         `createdb --encoding=UTF8 --template=template0`"
    )))
}

/// What `doctor` tells of it.
pub(super) async fn info(store: &SqlStore, db: &Postgres) -> Result<Info> {
    let rows = store.database.look(SETTINGS.unbound()).await?;
    let row = rows.into_iter().next().ok_or_else(|| failure(sqlx::Error::RowNotFound))?;
    let (pgvector, mut warnings): (Option<String>, _) = (row.maybe("pgvector")?, warnings(&row)?);
    warnings.extend(pgvector.as_deref().and_then(warning_of_vector));
    if db.direct.is_none() {
        warnings.push(
            "the database is behind a pooler: the answers of a process that dies end when its lease does (30 s), not \
             within seconds; name the server itself in DATABASE_DIRECT_URL"
                .to_owned(),
        );
    }
    Ok(Info {
        kind: Kind::Postgres,
        version: row.get("version")?,
        pgvector,
        plan_mode: Some(db.pool.options().plan_mode.name()),
        is_pooled: db.pool.options().is_pooled,
        address: store.address.clone(),
        warnings,
    })
}

/// The first pgvector whose parallel build of an index keeps within its memory (CVE-2026-3172).
const SAFE_PGVECTOR: [u32; 3] = [0, 8, 2];

/// aiMate builds no index of pgvector's; others may, in the same database.
fn warning_of_vector(version: &str) -> Option<String> {
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    (numbers.as_slice() < SAFE_PGVECTOR.as_slice()).then(|| {
        format!(
            "pgvector {version} can leak other tables' data when an HNSW index is built (CVE-2026-3172); aiMate builds \
             none, others in this database may: update it to 0.8.2 or newer (`ALTER EXTENSION vector UPDATE`)"
        )
    })
}

fn warnings(row: &Row) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (setting, risk) in [
        ("fsync", "a power loss can destroy the database"),
        ("full_page_writes", "a power loss can destroy the database"),
        ("synchronous_commit", "a power loss can take back what was acknowledged"),
    ] {
        if row.get::<String>(setting)? == "off" {
            warnings.push(format!("the server runs with `{setting} = off`: {risk}"));
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_t40_old_pgvector_is_warned_of() {
        for old in ["0.7.0", "0.8.0", "0.8.1", "0.8", ""] {
            assert!(warning_of_vector(old).is_some_and(|told| told.contains("0.8.2")), "{old}");
        }
        for new in ["0.8.2", "0.8.5", "0.9.0", "0.10", "1.0"] {
            assert_eq!(warning_of_vector(new), None, "{new}");
        }
    }
}
