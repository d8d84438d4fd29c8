//! Running statements on PostgreSQL.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_core::{Result, TenantId};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection, Either, Executor as _, PgPool, SqlSafeStr as _, SqlStr,
    query, query_with, raw_sql,
};

use super::pool::{Pool, Poolable};
use super::row_security;
use super::task::Tasks;
use super::{DbError, DialectText, Expected, Load, Names, Outcome, Row, SchemaGate, Statement, Value};
use crate::worker::LivenessLocks;
use crate::{Kind, metrics};

impl Poolable for PgConnection {
    type Options = SessionOptions;
    const DATABASE: Kind = Kind::Postgres;

    /// Tells the session how it plans, which isolation the statements are written for,
    /// whatever the server's default is, and where the tables are. In one message, so that a
    /// proxy cannot come between. Nothing behind a pooler, which would lose it, and tell it to
    /// others: there each transaction is told.
    #[expect(clippy::disallowed_methods, reason = "the schema's name was checked")]
    async fn open(options: &SessionOptions) -> sqlx::Result<Self> {
        let mut connection = options.connect.connect().await?;
        if !options.is_pooled {
            let mut session = format!(
                "SET plan_cache_mode = {}; SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
                options.plan_mode.name()
            );
            if let Some(schema) = &options.schema {
                session.push_str("; ");
                session.push_str(&search_path(schema, false));
            }
            connection.execute(raw_sql(AssertSqlSafe(session))).await?;
        }
        Ok(connection)
    }

    async fn ping(&mut self) -> sqlx::Result<()> {
        Connection::ping(self).await
    }

    async fn close(self) -> sqlx::Result<()> {
        Connection::close(self).await
    }
}

/// How a session is opened.
pub(crate) struct SessionOptions {
    pub(crate) connect: PgConnectOptions,
    /// The schema that goes first.
    pub(crate) schema: Option<String>,
    pub(crate) plan_mode: PlanMode,
    /// Whether a pooler gives each transaction another session of the server.
    pub(crate) is_pooled: bool,
}

/// How the server plans statements that are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanMode {
    /// One plan for each statement, whatever its values: the planner would take a tenant that
    /// came after the last ANALYZE for one without rows, and any index for as good as the
    /// right one. It is also what the tests look at.
    Generic,
    /// As the server thinks best: Citus finds the node of a tenant by its value, which a plan
    /// for all values does not have.
    Auto,
}

impl PlanMode {
    /// What PostgreSQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "force_generic_plan",
            Self::Auto => "auto",
        }
    }
}

/// Puts `schema` before the search path, for the session or a transaction.
pub(crate) fn search_path(schema: &str, is_local: bool) -> String {
    format!(
        "SELECT set_config('search_path', concat_ws(', ', '{schema}', nullif(current_setting('search_path'), '')), \
         {is_local})"
    )
}

/// Begins a transaction, with settings of its own, on a connection that is an application's
/// or a pooler's.
pub(crate) fn begin_told(plan_mode: PlanMode, schema: Option<&str>) -> String {
    let mode = plan_mode.name();
    let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL plan_cache_mode = {mode}");
    match schema {
        None => begin,
        Some(schema) => format!("{begin}; {}", search_path(schema, true)),
    }
}

/// A PostgreSQL server.
pub(crate) struct Postgres {
    pub(crate) pool: Pool<PgConnection>,
    /// Where migrations and the locks of workers are: the server itself, even if the pool is
    /// behind a pooler. None if only that is known.
    pub(crate) direct: Option<Pool<PgConnection>>,
    /// An application's pool, whose connections are used instead.
    borrowed: Option<PgPool>,
    /// What begins a transaction on connections that keep no settings: each unit is one then.
    begin: Option<Arc<str>>,
    /// Whether each unit says whose rows it may see, as the policies of
    /// `row_security` want it.
    pub(crate) is_row_secure: bool,
    pub(crate) schema: Option<String>,
    pub(crate) names: Names,
    pub(crate) gate: SchemaGate,
    pub(crate) load: Load,
    pub(crate) tasks: Tasks,
    pub(crate) workers: LivenessLocks<PgConnection>,
    /// How long work on a connection may take: a server behind a cut link does
    /// not even refuse.
    deadline: Duration,
}

impl Postgres {
    pub(crate) fn new(
        pool: Pool<PgConnection>,
        direct: Option<Pool<PgConnection>>,
        names: Names,
        schema: Option<String>,
        deadline: Duration,
    ) -> Self {
        Self {
            pool,
            direct,
            borrowed: None,
            begin: None,
            is_row_secure: false,
            schema,
            names,
            gate: SchemaGate::default(),
            load: Load::default(),
            tasks: Tasks::default(),
            workers: LivenessLocks::default(),
            deadline,
        }
    }

    /// Lets work run on an application's connections.
    pub(crate) fn borrowing(self, pool: PgPool) -> Self {
        Self { borrowed: Some(pool), ..self }
    }

    /// Makes each unit a transaction that begins so.
    pub(crate) fn beginning(self, begin: String) -> Self {
        Self { begin: Some(begin.into()), ..self }
    }

    /// A session for migrations.
    pub(crate) async fn open(&self) -> sqlx::Result<PgConnection> {
        self.direct.as_ref().unwrap_or(&self.pool).open().await
    }

    /// Lets each unit say whose rows it may see.
    pub(crate) fn row_secure(self) -> Self {
        Self { is_row_secure: true, ..self }
    }

    /// Runs statements that only read. If the connection turns out to be lost
    /// (the server was restarted), once more on a new one: a read may be
    /// repeated, a write may have been stored before its answer was lost.
    pub(crate) async fn read_all(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>> {
        let statements: Arc<[Statement]> = self.named(statements).into();
        match self.run_each(Arc::clone(&statements)).await {
            Err(error) if error.is_lost() => Ok(self.run_each(statements).await?),
            result => Ok(result?),
        }
    }

    /// Runs statements as one unit.
    pub(crate) async fn store(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, DbError> {
        let statements = self.named(statements);
        match &*statements {
            [one] if !matches!(one.expected, Expected::Touched(_)) => self.run_each(statements.into()).await,
            _ => self.run_together(statements.into()).await,
        }
    }

    fn named(&self, statements: Vec<Statement>) -> Vec<Statement> {
        if self.names.are_plain() {
            return statements;
        }
        statements.into_iter().map(|statement| statement.named(&self.names, Kind::Postgres)).collect()
    }

    async fn run_each(&self, statements: Arc<[Statement]>) -> Result<Vec<Outcome>, DbError> {
        if self.begin.is_some() || self.is_row_secure {
            return self.run_together(statements).await;
        }
        self.work(|connection| Box::pin(run_all(connection, statements))).await
    }

    /// Runs statements in one transaction.
    async fn run_together(&self, statements: Arc<[Statement]>) -> Result<Vec<Outcome>, DbError> {
        if self.is_row_secure {
            return self.in_transaction(|connection| Box::pin(run_secured(connection, statements))).await;
        }
        self.in_transaction(|connection| Box::pin(run_all(connection, statements))).await
    }

    /// Runs `work` in one transaction, which is committed if it succeeds.
    async fn in_transaction<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
    ) -> Result<T, DbError> {
        let begin = self.begin.clone();
        self.work(|connection| {
            Box::pin(async {
                match begin {
                    None => query("BEGIN").execute(&mut *connection).await?,
                    Some(begin) => {
                        let begun = connection.execute(raw_sql(built(begin))).await;
                        // It may be in a transaction already: it counts as lost.
                        begun.map_err(|error| {
                            sqlx::Error::Protocol(format!("a transaction did not begin: {error}"))
                        })?
                    }
                };
                let result = work(&mut *connection).await;
                let end = query(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
                match end.execute(connection).await {
                    Ok(_) => Ok(result),
                    // The connection may still be in the transaction: it counts
                    // as lost, so that nobody else gets into it.
                    Err(error) => {
                        Err(sqlx::Error::Protocol(format!("a transaction did not end: {error}")).into())
                    }
                }
            })
        })
        .await?
    }

    /// Runs `work` on a connection, which is kept only if the work has ended and
    /// did not lose it.
    async fn work<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
    ) -> Result<T, DbError> {
        let permit = self.pool.permit().await?;
        let deadline = self.deadline;
        if let Some(pool) = &self.borrowed {
            let pool = pool.clone();
            let work = async move {
                // Held until the connection is given back.
                let _permit = permit;
                let start = Instant::now();
                let mut connection = pool.acquire().await?;
                metrics::waited(Kind::Postgres, start.elapsed());
                let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
                let work = AssertUnwindSafe(tokio::time::timeout(deadline, work(&mut connection)));
                match work.catch_unwind().await {
                    Ok(outcome) => {
                        let result = outcome.unwrap_or_else(late);
                        if result.as_ref().is_err_and(DbError::is_lost) {
                            connection.close_on_drop();
                        }
                        result
                    }
                    // In the middle of a transaction, which nobody else must get into.
                    Err(panic) => {
                        connection.close_on_drop();
                        std::panic::resume_unwind(panic)
                    }
                }
            };
            return self.tasks.run(work).await;
        }
        self.tasks
            .run(async move {
                let mut connection = permit.connection().await?;
                let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
                let result = tokio::time::timeout(deadline, work(&mut connection)).await.unwrap_or_else(late);
                connection.release(result.as_ref().is_err_and(DbError::is_lost));
                result
            })
            .await
    }

    pub(crate) async fn close(&self) {
        self.tasks.close().await;
        self.workers.clear().await;
        self.pool.close().await;
        if let Some(direct) = &self.direct {
            direct.close().await;
        }
    }
}

/// Runs statements one after the other; stops at the first that fails or does
/// something else than expected.
async fn run_all(
    connection: &mut PgConnection,
    statements: Arc<[Statement]>,
) -> Result<Vec<Outcome>, DbError> {
    let mut outcomes = Vec::with_capacity(statements.len());
    for statement in &*statements {
        outcomes.push(run(connection, statement).await?);
    }
    Ok(outcomes)
}

const NAME_TENANT: &str = "SELECT set_config($1, $2, true)";

/// Runs the statements of a transaction one after the other, each for its tenant.
async fn run_secured(
    connection: &mut PgConnection,
    statements: Arc<[Statement]>,
) -> Result<Vec<Outcome>, DbError> {
    let mut outcomes = Vec::with_capacity(statements.len());
    let mut named: Option<Option<TenantId>> = None;
    for statement in &*statements {
        let text = statement.text(Kind::Postgres);
        let copied = match &text {
            // It brings its rows in a form of its own, so they are of the tenant before.
            Some(DialectText::Copy(text)) => Some((*text).to_owned()),
            Some(DialectText::BuiltCopy(text)) => Some(text.to_string()),
            _ => None,
        };
        if text.is_some() && copied.is_none() && named != Some(statement.tenant) {
            let tenant = statement
                .tenant
                .map_or_else(|| row_security::ALL.to_owned(), |tenant| tenant.uuid().to_string());
            query(NAME_TENANT).bind(row_security::SETTING).bind(tenant).execute(&mut *connection).await?;
            named = Some(statement.tenant);
        }
        outcomes.push(match (copied, &*statement.values) {
            (Some(text), [Value::Bytes(Some(rows))]) => copy_through(connection, &text, rows).await?,
            _ => run(connection, statement).await?,
        });
    }
    Ok(outcomes)
}

/// Copies rows by way of a table of the transaction's own: PostgreSQL copies none into a
/// table with policies.
#[expect(clippy::disallowed_methods, reason = "made of the store's own texts")]
async fn copy_through(connection: &mut PgConnection, text: &str, rows: &[u8]) -> Result<Outcome, DbError> {
    let unknown = || sqlx::Error::Protocol(format!("`{text}` is of another form than `COPY TABLE (…) FROM`"));
    let rest = text.strip_prefix("COPY ").ok_or_else(unknown)?;
    let (table, rest) = rest.split_once(' ').ok_or_else(unknown)?;
    let (columns, rest) = rest.split_once(')').ok_or_else(unknown)?;
    let through = format!("CREATE TEMPORARY TABLE copied (LIKE {table}) ON COMMIT DROP");
    raw_sql(AssertSqlSafe(through)).execute(&mut *connection).await?;
    copy(connection, &format!("COPY pg_temp.copied {columns}){rest}"), rows).await?;
    let names = columns.trim_start_matches('(');
    let insert = format!("INSERT INTO {table} {columns}) SELECT {names} FROM pg_temp.copied");
    let inserted = raw_sql(AssertSqlSafe(insert)).execute(&mut *connection).await?;
    raw_sql("DROP TABLE pg_temp.copied").execute(connection).await?;
    Ok(Outcome { rows: Vec::new(), touched: inserted.rows_affected() })
}

/// Runs one statement.
pub(crate) async fn run(connection: &mut PgConnection, statement: &Statement) -> Result<Outcome, DbError> {
    let outcome = match (statement.text(Kind::Postgres), &*statement.values) {
        (None, _) => return Ok(Outcome::default()),
        (Some(DialectText::Copy(text)), [Value::Bytes(Some(rows))]) => copy(connection, text, rows).await?,
        (Some(DialectText::BuiltCopy(text)), [Value::Bytes(Some(rows))]) => {
            copy(connection, &text, rows).await?
        }
        (Some(DialectText::Literal(text) | DialectText::Copy(text)), values) => {
            fetch(connection, SqlStr::from_static(text), values).await?
        }
        (Some(DialectText::Built(text) | DialectText::BuiltCopy(text)), values) => {
            fetch(connection, built(text), values).await?
        }
    };
    statement.expected.check(&outcome)?;
    Ok(outcome)
}

#[expect(clippy::disallowed_methods, reason = "a builder takes literals alone; values are bound")]
fn built(text: Arc<str>) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

async fn fetch(connection: &mut PgConnection, text: SqlStr, values: &[Value]) -> Result<Outcome, DbError> {
    let mut arguments = PgArguments::default();
    for value in values {
        value.add_to_postgres(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    let mut outcome = Outcome::default();
    let mut results = connection.fetch_many(query_with(text, arguments));
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(done) => outcome.touched += done.rows_affected(),
            Either::Right(row) => outcome.rows.push(Row::Postgres(row)),
        }
    }
    Ok(outcome)
}

async fn copy(connection: &mut PgConnection, text: &str, rows: &[u8]) -> Result<Outcome, DbError> {
    let mut copy = connection.copy_in_raw(text).await?;
    copy.send(rows).await?;
    Ok(Outcome { rows: Vec::new(), touched: copy.finish().await? })
}
