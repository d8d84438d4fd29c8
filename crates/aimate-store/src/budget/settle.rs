//! What calls that are over have cost, in the commit that stores their usage.
//!
//! On SQLite it is counted before the records are stored, so that a record that is
//! sent again is known by its row; on PostgreSQL in the statement that stores them.
//!
//! SQLite's begin with `SELECT 1 FROM …`, so that where there is no budget, or nothing is
//! set aside, the JSON of the calls is not read.

use aimate_core::Result;
use aimate_core::Scope;
use aimate_core::Timestamp;
use aimate_core::budget::{Amount, BudgetPeriod, BudgetedCall};
use aimate_core::usage::UsageRecord;
use serde_json::{Value, json as object};

use crate::database::{Sql, Statement};
use crate::value::{JsonText, count, json};

/// Adds what the calls in the JSON of `$1` have cost to the budgets that count them,
/// but for those whose records are stored. `$2` and `$3` are when the day and the month
/// began in which they ended; a budget that counts a later period does not take them.
const SPEND: Sql = Sql::Sqlite(
    "UPDATE budgets SET \
     cost_spent = CASE WHEN begins_at < CASE period WHEN 'day' THEN $2 ELSE $3 END THEN t.cost \
        WHEN begins_at = CASE period WHEN 'day' THEN $2 ELSE $3 END THEN cost_spent + t.cost ELSE cost_spent END, \
     tokens_spent = CASE WHEN begins_at < CASE period WHEN 'day' THEN $2 ELSE $3 END THEN t.tokens \
        WHEN begins_at = CASE period WHEN 'day' THEN $2 ELSE $3 END THEN tokens_spent + t.tokens ELSE tokens_spent END, \
     begins_at = max(begins_at, CASE period WHEN 'day' THEN $2 ELSE $3 END) \
     FROM (SELECT b.tenant_id AS tenant_id, b.id AS id, sum(c.value ->> 3) AS cost, sum(c.value ->> 4) AS tokens \
        FROM (SELECT 1 FROM budgets LIMIT 1) CROSS JOIN json_each($1) c CROSS JOIN budgets b WHERE b.tenant_id = unhex(c.value ->> 0) \
        AND b.subject IN (SELECT n.value FROM json_each(c.value -> 2) n \
            UNION ALL SELECT 'group:' || lower(hex(m.group_id)) FROM group_members m \
            WHERE m.tenant_id = unhex(c.value ->> 0) AND m.user_id = unhex(c.value ->> 5)) \
        AND NOT EXISTS (SELECT 1 FROM usage_records u WHERE u.tenant_id = unhex(c.value ->> 0) \
            AND u.id = unhex(c.value ->> 1)) GROUP BY b.tenant_id, b.id) t \
     WHERE budgets.tenant_id = t.tenant_id AND budgets.id = t.id",
);
/// Gives back what is set aside for the calls in the JSON of `$1`.
const GIVE_BACK: Sql = Sql::Sqlite(
    "UPDATE budgets SET cost_reserved = cost_reserved - t.cost, tokens_reserved = tokens_reserved - t.tokens \
     FROM (SELECT v.tenant_id AS tenant_id, v.budget_id AS budget_id, sum(v.cost) AS cost, sum(v.tokens) AS tokens \
        FROM (SELECT 1 FROM budget_reservations LIMIT 1) CROSS JOIN json_each($1) c \
        CROSS JOIN budget_reservations v \
        WHERE v.tenant_id = unhex(c.value ->> 0) AND v.call_id = unhex(c.value ->> 1) \
        GROUP BY v.tenant_id, v.budget_id) t \
     WHERE budgets.tenant_id = t.tenant_id AND budgets.id = t.budget_id",
);
const FORGET: Sql = Sql::Sqlite(
    "DELETE FROM budget_reservations WHERE (tenant_id, call_id) IN \
        (SELECT unhex(c.value ->> 0), unhex(c.value ->> 1) \
        FROM (SELECT 1 FROM budget_reservations LIMIT 1) CROSS JOIN json_each($1) c)",
);

/// What a record adds to which budgets.
pub(crate) struct Settled {
    /// Their subjects.
    pub(crate) subjects: JsonText,
    pub(crate) cost: i64,
    pub(crate) tokens: i64,
    /// When the day and the month began in which the call ended.
    pub(crate) day: Timestamp,
    pub(crate) month: Timestamp,
}

impl Settled {
    pub(crate) fn of(scope: &Scope, record: &UsageRecord) -> Result<Self> {
        let amount = Amount::of(&record.usage);
        Ok(Self {
            subjects: json(&subjects(scope, record))?,
            cost: amount.cost.0,
            tokens: count(amount.tokens),
            day: BudgetPeriod::Day.begin(record.created_at),
            month: BudgetPeriod::Month.begin(record.created_at),
        })
    }
}

/// The subjects whose budgets count a call, beside the groups of its user.
pub(crate) fn subjects(scope: &Scope, record: &UsageRecord) -> Vec<String> {
    let (model, tags) = (record.model.as_str(), record.tags.as_slice());
    BudgetedCall { user: scope.user, workspace: record.workspace_id, model, tags }.subjects()
}

/// SQLite's statements that count records which are stored next, those that ended
/// first first.
pub(crate) fn settled<'r>(
    records: impl IntoIterator<Item = (&'r Scope, &'r UsageRecord)>,
) -> Result<Vec<Statement>> {
    let mut all = Vec::new();
    let mut days: Vec<(Timestamp, Vec<Value>)> = Vec::new();
    for (scope, record) in records {
        let amount = Amount::of(&record.usage);
        let call = object!([
            scope.tenant.0.simple(),
            record.id.0.simple(),
            subjects(scope, record),
            amount.cost.0,
            count(amount.tokens),
            scope.user.0.simple(),
        ]);
        let day = BudgetPeriod::Day.begin(record.created_at);
        match days.iter_mut().find(|(other, _)| *other == day) {
            Some((_, calls)) => calls.push(call.clone()),
            None => days.push((day, vec![call.clone()])),
        }
        all.push(call);
    }
    days.sort_by_key(|(day, _)| *day);
    let mut statements = Vec::with_capacity(days.len() + 2);
    for (day, calls) in days {
        statements.push(SPEND.bind(json(&calls)?).bind(day).bind(BudgetPeriod::Month.begin(day)));
    }
    let all = json(&all)?;
    statements.push(GIVE_BACK.bind(all.clone()));
    statements.push(FORGET.bind(all));
    Ok(statements)
}
