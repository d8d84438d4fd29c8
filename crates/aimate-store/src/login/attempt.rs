//! Attempts to sign in: counted before they are made, so that many at once are no
//! more than are allowed.

use std::time::Duration;

use aimate_core::login::{Attempt, AttemptLimit};
use aimate_core::{Result, Timestamp};

use crate::SqlStore;
use crate::database::{Outcome, Sql, Statement};

/// Counts an attempt of `$1` at `$2`, unless it is locked (`$4` failures) or has to
/// wait: after `$5` failures a second, twice as long after each further one, at most
/// `$6`. Failures before `$3` do not count, and each `$7` of the clock that began since the
/// last attempt took one off. Counting by the clock loses nothing of the time between two
/// attempts, however often there are some: a network in which people sign in all the time
/// recovers too.
const COUNT: Sql = Sql::Each {
    sqlite: "INSERT INTO login_attempts (subject, failures, last_attempt_at) VALUES ($1, 1, $2) \
        ON CONFLICT (subject) DO UPDATE SET last_attempt_at = excluded.last_attempt_at, \
        failures = CASE WHEN login_attempts.last_attempt_at < $3 THEN 1 ELSE MAX(login_attempts.failures \
        - MAX($2 / $7 - login_attempts.last_attempt_at / $7, 0), 0) + 1 END \
        WHERE login_attempts.failures < $4 AND (login_attempts.failures \
        - MAX($2 / $7 - login_attempts.last_attempt_at / $7, 0) < $5 \
        OR $2 - login_attempts.last_attempt_at >= MIN($6, 1000000 << MIN(login_attempts.failures \
        - MAX($2 / $7 - login_attempts.last_attempt_at / $7, 0) - $5, 20))) RETURNING failures",
    postgres: "INSERT INTO login_attempts (subject, failures, last_attempt_at) VALUES ($1, 1, $2) \
        ON CONFLICT (subject) DO UPDATE SET last_attempt_at = excluded.last_attempt_at, \
        failures = CASE WHEN login_attempts.last_attempt_at < $3 THEN 1 ELSE GREATEST(login_attempts.failures \
        - GREATEST($2 / $7::bigint - login_attempts.last_attempt_at / $7::bigint, 0), 0) + 1 END \
        WHERE login_attempts.failures < $4 AND (login_attempts.failures \
        - GREATEST($2 / $7::bigint - login_attempts.last_attempt_at / $7::bigint, 0) < $5 \
        OR $2 - login_attempts.last_attempt_at >= LEAST($6, 1000000::bigint << \
        LEAST(login_attempts.failures - GREATEST($2 / $7::bigint - login_attempts.last_attempt_at / $7::bigint, 0) \
        - $5, 20)::integer)) RETURNING failures",
};
const FIND: Sql = Sql::Same("SELECT failures, last_attempt_at FROM login_attempts WHERE subject = $1");
const RESET: Sql = Sql::Same("DELETE FROM login_attempts WHERE subject = $1");
/// As if the attempt was [`RECOVERY`] (`$2`) earlier: that takes it off, and the next one does not
/// wait for it. The attempt itself had waited for the failures before it, and those that are left
/// cost the next failure as much as before.
const RETURN: Sql =
    Sql::Same("UPDATE login_attempts SET last_attempt_at = last_attempt_at - $2 WHERE subject = $1");
const CLEAR: Sql = Sql::Same("DELETE FROM login_attempts WHERE last_attempt_at < $1 AND failures < $2");

/// The time that takes off one failure of what is never locked: the longest wait of a network, so
/// that whoever goes on guessing is not faster than by that.
const RECOVERY: Duration = Duration::from_secs(60);

/// The time, in microseconds, that takes off one failure. Failures of what is locked at last are
/// in a row, however far apart.
fn recovery(limit: &AttemptLimit) -> i64 {
    match limit.lock_after {
        None => micros(RECOVERY),
        Some(_) => i64::MAX,
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What is left of `failures`, the last of them at `last`.
fn left(limit: &AttemptLimit, failures: i64, last: Timestamp, now: Timestamp) -> i64 {
    let every = recovery(limit);
    failures - (now.0 / every - last.0 / every).max(0)
}

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
        .bind(micros(limit.max_wait))
        .bind(recovery(limit))
        .expect_returned()
        .uses_reserve()
}

/// What is said of an attempt that was counted for each of `limits`.
pub(super) fn allowed(limits: &[AttemptLimit], counted: &[Outcome]) -> Result<Attempt> {
    for (limit, outcome) in limits.iter().zip(counted) {
        let failures = outcome.rows.first().map(|row| row.get::<i64>("failures")).transpose()?;
        if failures.is_some_and(|failures| failures >= lock_after(limit)) {
            return Ok(Attempt::Last);
        }
    }
    Ok(Attempt::Allowed)
}

pub(super) fn succeeded(reset: &[Vec<u8>], returned: &[Vec<u8>]) -> Vec<Statement> {
    let reset = reset.iter().map(|subject| RESET.bind(subject.as_slice()).uses_reserve());
    let returned =
        returned.iter().map(|subject| RETURN.bind(subject.as_slice()).bind(micros(RECOVERY)).uses_reserve());
    reset.chain(returned).collect()
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
            until = until.max(last.plus(wait(limit, left(limit, failures, last, now))));
        }
        Ok(Attempt::Wait(until))
    }
}
