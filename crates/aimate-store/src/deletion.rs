//! Deletions of users and tenants, in steps.
//!
//! Nothing is remembered of where a deletion stands: each step looks what is left. A
//! tenant goes user by user, and then what no user has. A step deletes of several
//! tables, leaves first, so that no foreign key has to delete much by itself.

mod knowledge;
mod owned;
mod shared;
mod talk;

use std::time::Duration;

use aimate_core::deletion::{DeletedCounts, Deletion, DeletionStep, DeletionStore, DeletionTarget};
use aimate_core::{Error, Result, TenantId, Timestamp, UserId, WorkerId};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::page::or_not_found;
use crate::worker::Claimable;
use crate::workspace::hand_over;

/// How long a deletion waits for running answers to end.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Nobody is made in the tenant meanwhile.
const LOCK_TENANT: Sql = Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR UPDATE");
/// Of user `$2`, or (if that is `$5`, which is all zeros) of the tenant.
const BEGIN: Sql = Sql::Each {
    sqlite: "INSERT INTO deletions (tenant_id, user_id, worker_id, counts, started_at, updated_at) \
        SELECT $1, $2, $3, '{}', $4, $4 WHERE \
        EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2 AND $2 <> $5) \
        OR EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1 AND $2 = $5) \
        ON CONFLICT (tenant_id, user_id) DO UPDATE SET worker_id = excluded.worker_id, counts = excluded.counts, \
        started_at = excluded.started_at, updated_at = excluded.updated_at, finished_at = NULL \
        WHERE deletions.finished_at IS NOT NULL",
    postgres: "INSERT INTO deletions (tenant_id, user_id, worker_id, counts, started_at, updated_at) \
        SELECT $1, $2, $3, '{}'::jsonb, $4, $4 WHERE \
        EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2 AND $2 <> $5) \
        OR EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1 AND $2 = $5) \
        ON CONFLICT (tenant_id, user_id) DO UPDATE SET worker_id = excluded.worker_id, counts = excluded.counts, \
        started_at = excluded.started_at, updated_at = excluded.updated_at, finished_at = NULL \
        WHERE deletions.finished_at IS NOT NULL",
};
const CANCEL_RUNS: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true WHERE tenant_id = $1 AND finished_at IS NULL \
     AND (user_id = $2 OR $2 = $3) AND EXISTS (SELECT 1 FROM deletions d \
     WHERE d.tenant_id = $1 AND d.user_id = $2 AND d.finished_at IS NULL)",
);
const FIND: Sql =
    Sql::Same("SELECT counts, started_at, finished_at FROM deletions WHERE tenant_id = $1 AND user_id = $2");
/// Nobody writes one that waits for a person.
const RUNNING: Sql = Sql::Same(
    "SELECT 1 AS found FROM runs WHERE tenant_id = $1 AND finished_at IS NULL AND status <> 'waiting' \
     AND (user_id = $2 OR $2 = $3) LIMIT 1",
);
/// Of a tenant, whoever is left.
const NEXT_USER: Sql =
    Sql::Same("SELECT id FROM users WHERE tenant_id = $1 AND (id = $2 OR $2 = $3) ORDER BY id LIMIT 1");
/// Adds what the statement before deleted; PostgreSQL does both in one.
const COUNT: Sql = Sql::Sqlite(
    "UPDATE deletions SET counts = json_set(counts, '$.' || $3, COALESCE(counts ->> $3, 0) + changes()) \
     WHERE tenant_id = $1 AND user_id = $2",
);
const TOUCH: Sql =
    Sql::Same("UPDATE deletions SET updated_at = $3 WHERE tenant_id = $1 AND user_id = $2 RETURNING counts");
/// Not while there are bytes: their row tells that they are to be removed.
const DELETE_TENANT: Sql = Sql::Same(
    "DELETE FROM tenants WHERE tenant_id = $1 AND $2 = $3 \
     AND (SELECT u.id FROM users u WHERE u.tenant_id = $1 ORDER BY u.id LIMIT 1) IS NULL \
     AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.tenant_id = $1 AND c.user_id IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM tool_servers s WHERE s.tenant_id = $1 AND s.user_id IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM loose_blobs l WHERE l.tenant_id = $1) \
     AND NOT EXISTS (SELECT 1 FROM audit_records a WHERE a.tenant_id = $1)",
);
const FINISH: Sql = Sql::Same(
    "UPDATE deletions SET finished_at = $4, updated_at = $4 \
     WHERE tenant_id = $1 AND user_id = $2 AND finished_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2) \
     AND ($2 <> $3 OR NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1))",
);
/// Most of the time there is none, which costs no write.
const ANY: Sql = Sql::Same("SELECT 1 AS found FROM deletions WHERE finished_at IS NULL LIMIT 1");
/// Those that no worker in `$1` has.
const ABANDONED: Sql = Sql::Each {
    sqlite: "SELECT tenant_id, user_id AS id, worker_id FROM deletions WHERE finished_at IS NULL \
        AND worker_id NOT IN (SELECT unhex(value) FROM json_each($1)) LIMIT $2",
    postgres: "SELECT tenant_id, user_id AS id, worker_id FROM deletions WHERE finished_at IS NULL \
        AND worker_id <> ALL($1) LIMIT $2",
};
/// Gives those of users `$3` that one of the workers `$4` still has to worker `$1`, with those that
/// it has.
const TAKE_OVER: Sql = Sql::Each {
    sqlite: "UPDATE deletions SET worker_id = $1 WHERE tenant_id = $2 AND finished_at IS NULL \
        AND user_id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (worker_id = $1 OR worker_id IN (SELECT unhex(value) FROM json_each($4))) RETURNING tenant_id, user_id",
    postgres: "UPDATE deletions SET worker_id = $1 WHERE tenant_id = $2 AND finished_at IS NULL \
        AND user_id = ANY($3) AND (worker_id = $1 OR worker_id = ANY($4)) RETURNING tenant_id, user_id",
};
/// Deletions that are taken over at once.
const DELETIONS: u32 = 1_000;
const CLEAR: Sql =
    Sql::Same("DELETE FROM deletions WHERE tenant_id = $1 AND user_id = $2 AND finished_at < $3");
/// Receipts that are about to go.
const OLD: Sql = Sql::Same(
    "SELECT tenant_id, user_id FROM deletions WHERE finished_at < $1 ORDER BY finished_at LIMIT 100",
);
/// The same of a user who is gone: it names nobody.
const ANONYMISE_LATE_USAGE: Sql = Sql::Each {
    sqlite: "UPDATE usage_records SET user_id = zeroblob(16), run_id = NULL, conversation_id = NULL \
        WHERE rowid IN (SELECT r.rowid FROM usage_records r WHERE r.tenant_id = $1 AND r.user_id = $2 \
        AND NOT EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2) LIMIT 300)",
    postgres: "UPDATE usage_records SET user_id = '00000000-0000-0000-0000-000000000000', run_id = NULL, \
        conversation_id = NULL WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT r.ctid FROM usage_records r \
        WHERE r.tenant_id = $1 AND r.user_id = $2 \
        AND NOT EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2) LIMIT 300))",
};
/// What calls that were under way recorded when their tenant was gone already.
const CLEAR_LATE_USAGE: Sql = Sql::Each {
    sqlite: "DELETE FROM usage_records WHERE rowid IN (SELECT r.rowid FROM usage_records r \
        WHERE r.tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1) \
        ORDER BY r.created_at LIMIT 300)",
    postgres: "DELETE FROM usage_records WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT r.ctid \
        FROM usage_records r WHERE r.tenant_id = $1 \
        AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1) ORDER BY r.created_at LIMIT 300))",
};

/// What goes at a time.
struct Going<'t> {
    target: &'t DeletionTarget,
    /// Whose rows these steps are about.
    user: UserId,
}

impl Going<'_> {
    /// A statement whose `$1` is the tenant, `$2` the user whose rows go, and `$3` the
    /// user of the deletion's row, with the one that counts for SQLite.
    fn counted(&self, sql: Sql, noun: &'static str) -> [Statement; 2] {
        let delete = sql.bind(self.target.tenant).bind(self.user).bind(key(self.target));
        [delete, COUNT.bind(self.target.tenant).bind(key(self.target)).bind(noun)]
    }

    /// A statement of these three that counts nothing.
    fn uncounted(&self, sql: Sql) -> Statement {
        sql.bind(self.target.tenant).bind(self.user).bind(key(self.target))
    }
}

/// The user of the deletion's row.
fn key(target: &DeletionTarget) -> Uuid {
    target.user.unwrap_or(UserId::SHARED).0
}

fn of(target: &DeletionTarget, sql: Sql) -> Statement {
    sql.bind(target.tenant).bind(key(target))
}

fn deletion(target: &DeletionTarget, row: &Row) -> Result<Deletion> {
    Ok(Deletion {
        target: *target,
        counts: row.json("counts")?,
        started_at: row.get("started_at")?,
        finished_at: row.maybe("finished_at")?,
    })
}

fn missing(target: &DeletionTarget) -> Error {
    match target.user {
        Some(user) => Error::missing("user", user),
        None => Error::missing("tenant", target.tenant),
    }
}

#[async_trait]
impl DeletionStore for SqlStore {
    async fn begin(&self, target: &DeletionTarget, worker: WorkerId, now: Timestamp) -> Result<Deletion> {
        if target.user.is_some_and(|user| user == UserId::SHARED) {
            return Err(missing(target));
        }
        let begin = of(target, BEGIN).bind(worker).bind(now).bind(UserId::SHARED).uses_reserve();
        let cancel_runs = of(target, CANCEL_RUNS).bind(UserId::SHARED);
        let mut statements = vec![LOCK_TENANT.bind(target.tenant), begin, cancel_runs];
        if let Some(user) = target.user {
            statements.extend(hand_over::of_deleted(target.tenant, user));
        }
        self.database.transaction_of(statements).await?;
        self.find(target).await?.ok_or_else(|| missing(target))
    }

    async fn find(&self, target: &DeletionTarget) -> Result<Option<Deletion>> {
        let row = self.database.read_first(of(target, FIND)).await?;
        row.as_ref().map(|row| deletion(target, row)).transpose()
    }

    async fn step(&self, target: &DeletionTarget, now: Timestamp) -> Result<DeletionStep> {
        let before = self.find(target).await?.ok_or_else(|| missing(target))?;
        if before.finished_at.is_some() {
            return Ok(DeletionStep::Empty);
        }
        let [running, next] = self
            .database
            .read_each([RUNNING, NEXT_USER].map(|sql| of(target, sql).bind(UserId::SHARED)))
            .await?;
        if !running.is_empty() && now.since(before.started_at) < MAX_WAIT {
            return Ok(DeletionStep::Waiting);
        }
        if let Some(row) = next.first() {
            let going = Going { target, user: row.get("id")? };
            for statements in
                [talk::statements(&going), knowledge::statements(&going), owned::statements(&going)]
            {
                if self.some_went(&before, statements, now).await? {
                    return Ok(DeletionStep::Deleted);
                }
            }
            self.some_went(&before, owned::last(&going), now).await?;
            return Ok(DeletionStep::Deleted);
        }
        if target.user.is_none() {
            let going = Going { target, user: UserId::SHARED };
            if self.some_went(&before, shared::statements(&going), now).await? {
                return Ok(DeletionStep::Deleted);
            }
        }
        Ok(DeletionStep::Empty)
    }

    async fn finish(&self, target: &DeletionTarget, now: Timestamp) -> Result<Deletion> {
        let delete_tenant = of(target, DELETE_TENANT).bind(UserId::SHARED);
        let finish = of(target, FINISH).bind(UserId::SHARED).bind(now).uses_reserve();
        self.database.transaction([LOCK_TENANT.bind(target.tenant), delete_tenant, finish]).await?;
        self.find(target).await?.ok_or_else(|| missing(target))
    }

    async fn take_over(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<DeletionTarget>> {
        if self.database.read_first(ANY.unbound()).await?.is_none() {
            return Ok(Vec::new());
        }
        // Those of this worker too.
        let claimable =
            self.claimable(worker, now, lease, |there| ABANDONED.bind(there).bind(DELETIONS)).await?;
        let claim = |of: Claimable, _: u32| {
            TAKE_OVER.bind(worker).bind(of.tenant).bind(of.ids).bind(of.gone).uses_reserve()
        };
        let rows = self.claim(claimable, DELETIONS, claim).await?;
        each(&rows, |row| {
            let (tenant, user): (TenantId, UserId) = (row.get("tenant_id")?, row.get("user_id")?);
            Ok(DeletionTarget { tenant, user: Some(user).filter(|user| *user != UserId::SHARED) })
        })
    }

    async fn clear(&self, before: Timestamp) -> Result<()> {
        loop {
            let old = self.database.read(OLD.bind(before)).await?;
            let old =
                each(&old, |row| Ok((row.get::<TenantId>("tenant_id")?, row.get::<UserId>("user_id")?)))?;
            if old.is_empty() {
                return Ok(());
            }
            for (tenant, user) in old {
                if user == UserId::SHARED {
                    while self.database.execute(CLEAR_LATE_USAGE.bind(tenant)).await? > 0 {}
                } else {
                    while self.database.execute(ANONYMISE_LATE_USAGE.bind(tenant).bind(user)).await? > 0 {}
                }
                self.database.execute(CLEAR.bind(tenant).bind(user).bind(before)).await?;
            }
        }
    }
}

impl SqlStore {
    /// Runs the statements of a step in one commit; whether they deleted anything.
    async fn some_went(
        &self,
        before: &Deletion,
        mut statements: Vec<Statement>,
        now: Timestamp,
    ) -> Result<bool> {
        statements.push(of(&before.target, TOUCH).bind(now).expect_returned().uses_reserve());
        let outcomes = self.database.transaction_of(statements).await.map_err(|error| {
            // Somebody else's work on it is over.
            error.on_row_count(|| missing(&before.target))
        })?;
        let row = outcomes.last().and_then(|touched| touched.rows.first());
        let after: DeletedCounts = or_not_found(row, || missing(&before.target))?.json("counts")?;
        Ok(after != before.counts)
    }
}
