//! Attempts to sign in: counted before they are made, so that many at once are no
//! more than are allowed.

use std::time::Duration;

use aimate_core::login::{Attempt, AttemptLimit};
use aimate_core::{Result, Timestamp};

use crate::SqlStore;
use crate::database::{Sql, Statement};

/// Counts an attempt of `$1` at `$2`, unless it is locked (`$4` failures) or has to
/// wait: after `$5` failures a second, twice as long after each further one, at most
/// `$6`. Failures before `$3` do not count.
const COUNT: Sql = Sql::Each {
    sqlite: "INSERT INTO login_attempts (subject, failures, last_attempt_at) VALUES ($1, 1, $2) \
        ON CONFLICT (subject) DO UPDATE SET last_attempt_at = excluded.last_attempt_at, \
        failures = CASE WHEN login_attempts.last_attempt_at < $3 THEN 1 ELSE login_attempts.failures + 1 END \
        WHERE login_attempts.failures < $4 AND (login_attempts.failures < $5 \
        OR $2 - login_attempts.last_attempt_at >= MIN($6, 1000000 << MIN(login_attempts.failures - $5, 20))) \
        RETURNING failures",
    postgres: "INSERT INTO login_attempts (subject, failures, last_attempt_at) VALUES ($1, 1, $2) \
        ON CONFLICT (subject) DO UPDATE SET last_attempt_at = excluded.last_attempt_at, \
        failures = CASE WHEN login_attempts.last_attempt_at < $3 THEN 1 ELSE login_attempts.failures + 1 END \
        WHERE login_attempts.failures < $4 AND (login_attempts.failures < $5 \
        OR $2 - login_attempts.last_attempt_at >= LEAST($6, 1000000::bigint << \
        LEAST(login_attempts.failures - $5, 20)::integer)) RETURNING failures",
};
const FIND: Sql = Sql::Same("SELECT failures, last_attempt_at FROM login_attempts WHERE subject = $1");
const RESET: Sql = Sql::Same("DELETE FROM login_attempts WHERE subject = $1");
/// The wait before the next one stays: it is not to be cut short by a success between
/// failures.
const RETURN: Sql =
    Sql::Same("UPDATE login_attempts SET failures = failures - 1 WHERE subject = $1 AND failures > 0");
const CLEAR: Sql = Sql::Same("DELETE FROM login_attempts WHERE last_attempt_at < $1 AND failures < $2");

fn lock_after(limit: &AttemptLimit) -> i64 {
    limit.lock_after.map_or(i64::MAX, i64::from)
}

/// Counts an attempt, or returns nothing.
pub(super) fn counted(limit: &AttemptLimit, now: Timestamp) -> Statement {
    COUNT
        .bind(limit.subject.as_slice())
        .bind(now)
        .bind(now.minus(limit.forget_after))
        .bind(lock_after(limit))
        .bind(i64::from(limit.free))
        .bind(i64::try_from(limit.max_wait.as_micros()).unwrap_or(i64::MAX))
        .expect_returned()
}

pub(super) fn succeeded(reset: &[Vec<u8>], returned: &[Vec<u8>]) -> Vec<Statement> {
    let reset = reset.iter().map(|subject| RESET.bind(subject.as_slice()));
    reset.chain(returned.iter().map(|subject| RETURN.bind(subject.as_slice()))).collect()
}

pub(super) fn clear(before: Timestamp, lock_after: u32) -> Statement {
    CLEAR.bind(before).bind(i64::from(lock_after))
}

/// How long to wait after so many failures.
fn wait(limit: &AttemptLimit, failures: i64) -> Duration {
    match u32::try_from(failures - i64::from(limit.free)) {
        Ok(beyond) => Duration::from_secs(1 << beyond.min(20)).min(limit.max_wait),
        Err(_) => Duration::ZERO,
    }
}

impl SqlStore {
    /// Why an attempt was not allowed.
    pub(super) async fn refusal(&self, limits: &[AttemptLimit], now: Timestamp) -> Result<Attempt> {
        let mut until = now;
        for limit in limits {
            let Some(row) = self.database.read_first(FIND.bind(limit.subject.as_slice())).await? else {
                continue;
            };
            let failures: i64 = row.get("failures")?;
            if failures >= lock_after(limit) {
                return Ok(Attempt::Locked);
            }
            let last: Timestamp = row.get("last_attempt_at")?;
            until = until.max(last.plus(wait(limit, failures)));
        }
        Ok(Attempt::Wait(until))
    }
}
