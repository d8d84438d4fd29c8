//! The first look at a PostgreSQL server: whether a pooler stands before it, and whether its
//! tables are spread over a cluster.
//!
//! A pooler that gives each transaction another session of the server (PgBouncer's
//! `pool_mode = transaction`) loses what a session is told, and tells it to others.

use std::time::Duration;

use aimate_core::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

use crate::database::postgres::PlanMode;
use crate::database::{Names, failure};

/// Such a pooler gives prepared statements names of its own, so that each session of the server
/// can have them: the one that asks here is not under the name that it was sent with. What a
/// session has if nobody tells it anything is in `reset_val`.
const LOOK: &str = "SELECT pg_backend_pid() AS pid, \
    EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_statements p WHERE starts_with(p.name, 'sqlx_s_') \
        AND p.statement LIKE '%aimate_looks%') AS aimate_looks, \
    EXISTS (SELECT 1 FROM pg_catalog.pg_extension e WHERE e.extname = 'citus') AS has_citus, \
    current_database()::text AS database, \
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS started_at, \
    (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'plan_cache_mode') AS plan_cache_mode, \
    (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'default_transaction_isolation') AS isolation";

/// Whether Citus spreads our tables.
const DISTRIBUTED: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition p \
    JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = COALESCE($2, current_schema()) AND c.relname = $1 AND p.partmethod = 'h')";

/// What was seen.
pub(super) struct Surroundings {
    /// Whether each transaction may have another session of the server.
    pub(super) is_pooled: bool,
    /// How statements are to be planned.
    pub(super) plan_mode: PlanMode,
    /// Whether sessions are as they have to be without being told.
    pub(super) is_right_by_default: bool,
    server: (String, i64),
}

impl Surroundings {
    /// Whether both are the same database of the same server.
    pub(super) fn is_same_database(&self, other: &Self) -> bool {
        self.server == other.server
    }
}

/// One look through one connection.
struct Look {
    pid: i32,
    is_renamed: bool,
    is_distributed: bool,
    server: (String, i64),
    plan_cache_mode: String,
    isolation: String,
}

/// Looks at the database that `connect` leads to.
///
/// # Errors
/// `Unavailable` or `Invalid` if it cannot be reached, and `Invalid` for a pooler that can do
/// less than a store needs.
pub(super) async fn look(
    connect: &PgConnectOptions,
    timeout: Duration,
    (names, schema): (&Names, Option<&str>),
    address: &str,
) -> Result<Surroundings> {
    let late = |_| not_reached(address, sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    let looking = async {
        let mut connection = connect.connect().await.map_err(|error| not_reached(address, error))?;
        takes_transactions(&mut connection, connect, address).await?;
        let found = through(&mut connection, names, schema, address).await?;
        if !found.is_renamed {
            let mut other = connect.connect().await.map_err(|error| not_reached(address, error))?;
            let beside = through(&mut other, names, schema, address).await?;
            let again = through(&mut connection, names, schema, address).await?;
            let _ = other.close().await;
            // Two connections have one session, or one has two.
            if beside.pid == found.pid || again.pid != found.pid {
                let error = sqlx::Error::Protocol("sessions are given away".into());
                return Err(loses_statements(address, error));
            }
        }
        // Nothing is told to it, so it may go without a word.
        let _ = connection.close().await;
        let plan_mode = if found.is_distributed { PlanMode::Auto } else { PlanMode::Generic };
        Ok(Surroundings {
            is_pooled: found.is_renamed,
            plan_mode,
            is_right_by_default: found.plan_cache_mode == plan_mode.name()
                && found.isolation == "read committed",
            server: found.server,
        })
    };
    tokio::time::timeout(timeout, looking).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

/// Fails behind a pooler that gives each statement another session: nothing could be stored
/// together. It takes statements by themselves, unlike one that has no server at this moment.
async fn takes_transactions(
    connection: &mut PgConnection,
    connect: &PgConnectOptions,
    address: &str,
) -> Result<()> {
    let Err(error) = connection.execute(sqlx::raw_sql("BEGIN; ROLLBACK")).await else { return Ok(()) };
    let alone = async {
        let mut other = connect.connect().await?;
        other.execute(sqlx::raw_sql("SELECT 1")).await?;
        other.close().await
    };
    Err(match (&error, alone.await) {
        (sqlx::Error::Database(_), Ok(())) => Error::invalid(format!(
            "the pooler at {address} takes no transactions: set `pool_mode = transaction` or `session` in its \
             settings"
        ))
        .with_source(error),
        _ => not_reached(address, error),
    })
}

/// Looks in a transaction, which is of one session whatever stands before the server.
async fn through(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
    address: &str,
) -> Result<Look> {
    connection.execute(sqlx::raw_sql("BEGIN")).await.map_err(failure)?;
    let row = sqlx::query(LOOK).fetch_one(&mut *connection).await.map_err(|error| {
        match error.as_database_error().and_then(|error| error.code()).as_deref() {
            // Not there any more, or there from somebody else.
            Some("26000" | "42P05") => loses_statements(address, error),
            _ => failure(error),
        }
    })?;
    let has_citus: bool = row.try_get("has_citus").map_err(failure)?;
    let is_distributed = has_citus && {
        let query = sqlx::query_scalar(DISTRIBUTED).bind(names.of("users")).bind(schema);
        query.fetch_one(&mut *connection).await.map_err(failure)?
    };
    connection.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(failure)?;
    let look = || {
        Ok(Look {
            pid: row.try_get("pid")?,
            is_renamed: !row.try_get::<bool, _>("aimate_looks")?,
            is_distributed,
            server: (row.try_get("database")?, row.try_get("started_at")?),
            plan_cache_mode: row.try_get("plan_cache_mode")?,
            isolation: row.try_get("isolation")?,
        })
    };
    look().map_err(failure)
}

fn loses_statements(address: &str, error: sqlx::Error) -> Error {
    Error::invalid(format!(
        "a pooler at {address} loses prepared statements: PgBouncer needs version 1.21 or newer with \
         `max_prepared_statements` greater than 0, or `pool_mode = session`"
    ))
    .with_source(error)
}

/// What keeps a connection from being made.
pub(super) fn not_reached(address: &str, error: sqlx::Error) -> Error {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    };
    match code.as_deref() {
        Some("28P01" | "28000") => Error::invalid(format!(
            "the PostgreSQL server at {address} refuses the user or the password of the address"
        )),
        Some("3D000") => Error::invalid(format!(
            "the PostgreSQL server has no database {address}; create it first (`createdb`)"
        )),
        _ => Error::unavailable(format!("the PostgreSQL server at {address} cannot be reached")),
    }
    .with_source(error)
}
