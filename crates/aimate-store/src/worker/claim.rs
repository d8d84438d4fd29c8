//! Claims of work that no worker does any more, or that nobody has begun.
//!
//! A look over the rows of all tenants locks nothing; then the work of each tenant is claimed
//! by itself, where its rows are. A row that changed in between is judged again: by the claim
//! itself, or by PostgreSQL once it has the lock, for which the workers that are gone are in
//! the claim as values, not as a query.

use std::time::Duration;

use aimate_core::{Result, TenantId, Timestamp, WorkerId};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Database, Row, Sql, Statement, each};

/// Removes the workers that have not beaten for `$3`, and those in `$4`, whose locks
/// are free. PostgreSQL's own clock says how long: the processes are of several
/// machines, whose clocks may differ by more than a lease. Those of a file are of one,
/// whose time is `$2`.
const EXPIRE: Sql = Sql::Each {
    sqlite: "DELETE FROM workers WHERE id <> $1 \
        AND (beat_at < $2 - $3 OR id IN (SELECT unhex(value) FROM json_each($4))) RETURNING id",
    postgres: "DELETE FROM workers WHERE id <> $1 AND $2::bigint IS NOT NULL \
        AND (beat_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $3 OR id = ANY($4)) \
        RETURNING id",
};
const WORKERS: Sql = Sql::Same("SELECT id FROM workers");

/// Rows of one tenant that may be claimed.
pub(crate) struct Claimable {
    pub(crate) tenant: TenantId,
    /// In the order of the look.
    pub(crate) ids: Vec<Uuid>,
    /// The workers that had them, which are not there any more.
    pub(crate) gone: Vec<Uuid>,
}

impl SqlStore {
    /// Removes the workers that are dead.
    async fn expire_workers(&self, worker: WorkerId, now: Timestamp, lease: Duration) -> Result<()> {
        let dead = match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(db) => db.unlocked_workers(worker).await?,
            #[cfg(feature = "postgres")]
            Database::Postgres(db) => db.unlocked_workers(worker).await?,
        };
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        let expired =
            self.database.write(EXPIRE.bind(worker).bind(now).bind(lease).bind(dead).uses_reserve()).await?;
        let expired: Vec<WorkerId> = each(&expired, |row| row.get("id"))?;
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(db) => expired.into_iter().for_each(|worker| db.remove_lock(worker)),
            // The locks went with the sessions.
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => drop(expired),
        }
        Ok(())
    }

    /// The other workers that are there.
    async fn others(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let mut others: Vec<Uuid> = each(&self.database.read(WORKERS.unbound()).await?, |row| row.get("id"))?;
        others.retain(|id| *id != worker.0);
        Ok(others)
    }

    /// Removes the workers that are dead, and returns by tenant what `look` finds that no other
    /// worker has. It is given the workers that are there, and may return rows of others, which
    /// may have come since: the column `worker_id` says whose a row is.
    pub(crate) async fn claimable(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        look: impl FnOnce(Vec<Uuid>) -> Statement + Send,
    ) -> Result<Vec<Claimable>> {
        self.expire_workers(worker, now, lease).await?;
        let rows = self.database.read(look(self.others(worker).await?)).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        of_nobody(&rows, &self.others(worker).await?)
    }

    /// Runs `claim` for each tenant, with how many rows it may return yet, until it has returned
    /// `limit` rows.
    pub(crate) async fn claim(
        &self,
        claimable: Vec<Claimable>,
        limit: u32,
        claim: impl Fn(Claimable, u32) -> Statement + Send,
    ) -> Result<Vec<Row>> {
        let mut claimed = Vec::new();
        for of_tenant in claimable {
            let left = limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            match self.database.write(claim(of_tenant, left)).await {
                Ok(rows) => claimed.extend(rows),
                // What is claimed already is this worker's to do.
                Err(error) if !claimed.is_empty() => {
                    tracing::warn!(?error, "not all work that could be claimed was");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(claimed)
    }
}

/// The rows of a look by tenant.
pub(crate) fn by_tenant(rows: &[Row]) -> Result<Vec<Claimable>> {
    let mut found: Vec<Claimable> = Vec::new();
    for row in rows {
        add(&mut found, row, None)?;
    }
    Ok(found)
}

/// The rows of a look by tenant, without those of workers that are `there`.
fn of_nobody(rows: &[Row], there: &[Uuid]) -> Result<Vec<Claimable>> {
    let mut found: Vec<Claimable> = Vec::new();
    for row in rows {
        let worker: Option<Uuid> = row.maybe("worker_id")?;
        if worker.is_none_or(|worker| !there.contains(&worker)) {
            add(&mut found, row, worker)?;
        }
    }
    Ok(found)
}

fn add(found: &mut Vec<Claimable>, row: &Row, worker: Option<Uuid>) -> Result<()> {
    let (tenant, id): (TenantId, Uuid) = (row.get("tenant_id")?, row.get("id")?);
    match found.iter_mut().find(|found| found.tenant == tenant) {
        Some(found) => {
            found.ids.push(id);
            found.gone.extend(worker.filter(|worker| !found.gone.contains(worker)));
        }
        None => found.push(Claimable { tenant, ids: vec![id], gone: worker.into_iter().collect() }),
    }
    Ok(())
}
