//! Budgets, and what is set aside in them.

mod settle;

use aimate_core::budget::{
    Amount, Budget, BudgetLimits, BudgetPeriod, BudgetStore, BudgetSubject, Reserve, Reserved,
};
use aimate_core::usage::Cost;
use aimate_core::{BudgetId, Error, Page, PageRequest, Result, Scope, TenantId, Timestamp, UsageId, UserId};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::page::{after, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::{count, json, text};

pub(crate) use settle::{Settled, settled, subjects};

/// A lock that is not to be had soon is given up: behind who waits for [`LOCK_USAGE`], all
/// who record a call wait too, those of other tenants as well.
const BOUND_WAIT: Sql = Sql::Postgres("SELECT set_config('lock_timeout', '2s', true)");
/// While the sum is made, no call is recorded that would be in neither.
const LOCK_USAGE: Sql = Sql::Postgres("LOCK TABLE usage_records IN SHARE MODE");
/// Counts the usage since `$7`: of user `$9`, workspace `$10`, model `$11`, models that
/// begin with `$12`, tag `$13`, who are in group `$14` today.
const CREATE: Sql = Sql::Each {
    sqlite: "INSERT INTO budgets (tenant_id, id, subject, period, max_cost, max_tokens, begins_at, cost_spent, \
        tokens_spent, cost_reserved, tokens_reserved, created_at, updated_at) \
        SELECT $1, $2, $3, $4, $5, $6, $7, CAST(min(total(u.cost), 4e18) AS INTEGER), \
        CAST(min(total(u.input_tokens) + total(u.output_tokens), 4e18) AS INTEGER), 0, 0, $8, $8 \
        FROM usage_records u WHERE u.tenant_id = $1 AND u.created_at >= $7 \
        AND ($9 IS NULL OR u.user_id = $9) AND ($10 IS NULL OR u.workspace_id = $10) \
        AND ($11 IS NULL OR u.model = $11) AND ($12 IS NULL OR substr(u.model, 1, length($12)) = $12) \
        AND ($13 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $13)) \
        AND ($14 IS NULL OR u.user_id IN (SELECT m.user_id FROM group_members m WHERE m.tenant_id = $1 \
            AND m.group_id = $14)) \
        RETURNING id, subject, period, max_cost, max_tokens, begins_at, cost_spent, tokens_spent, cost_reserved, \
        tokens_reserved, created_at, updated_at",
    postgres: "INSERT INTO budgets (tenant_id, id, subject, period, max_cost, max_tokens, begins_at, cost_spent, \
        tokens_spent, cost_reserved, tokens_reserved, created_at, updated_at) \
        SELECT $1::uuid, $2::uuid, $3::text, $4::text, $5::bigint, $6::bigint, $7::bigint, \
        LEAST(COALESCE(sum(u.cost), 0), 4e18)::bigint, \
        LEAST(COALESCE(sum(u.input_tokens::numeric + u.output_tokens), 0), 4e18)::bigint, 0, 0, $8::bigint, $8 \
        FROM usage_records u WHERE u.tenant_id = $1 AND u.created_at >= $7 \
        AND ($9::uuid IS NULL OR u.user_id = $9) AND ($10::uuid IS NULL OR u.workspace_id = $10) \
        AND ($11::text IS NULL OR u.model = $11) AND ($12::text IS NULL OR starts_with(u.model, $12)) \
        AND ($13::text IS NULL OR u.tags @> jsonb_build_array($13::text)) \
        AND ($14::uuid IS NULL OR u.user_id IN (SELECT m.user_id FROM group_members m WHERE m.tenant_id = $1 \
            AND m.group_id = $14)) \
        RETURNING id, subject, period, max_cost, max_tokens, begins_at, cost_spent, tokens_spent, cost_reserved, \
        tokens_reserved, created_at, updated_at",
};
const GET: Sql = Sql::Same(
    "SELECT id, subject, period, max_cost, max_tokens, begins_at, cost_spent, tokens_spent, cost_reserved, \
     tokens_reserved, created_at, updated_at FROM budgets WHERE tenant_id = $1 AND id = $2",
);
const LIST: Sql = Sql::Same(
    "SELECT id, subject, period, max_cost, max_tokens, begins_at, cost_spent, tokens_spent, cost_reserved, \
     tokens_reserved, created_at, updated_at FROM budgets WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const ANY: Sql = Sql::Same("SELECT id FROM budgets WHERE tenant_id = $1 AND id > $2 LIMIT 1");
const UPDATE: Sql = Sql::Same(
    "UPDATE budgets SET max_cost = $3, max_tokens = $4, updated_at = $5 WHERE tenant_id = $1 AND id = $2 \
     RETURNING id, subject, period, max_cost, max_tokens, begins_at, cost_spent, tokens_spent, cost_reserved, \
     tokens_reserved, created_at, updated_at",
);
const DELETE: Sql = Sql::Same("DELETE FROM budgets WHERE tenant_id = $1 AND id = $2");
const DELETE_OF_SUBJECT: Sql = Sql::Same("DELETE FROM budgets WHERE tenant_id = $1 AND subject = $2");
/// Of the workspaces that user `$2` owns.
const DELETE_OF_WORKSPACES: Sql = Sql::Each {
    sqlite: "DELETE FROM budgets WHERE tenant_id = $1 AND subject IN (SELECT 'workspace:' || lower(hex(w.id)) \
        FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2)",
    postgres: "DELETE FROM budgets WHERE tenant_id = $1 AND subject = ANY(ARRAY(SELECT 'workspace:' || \
        replace(w.id::text, '-', '') FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2))",
};

/// For call `$3`, the `$4`th time, in the budgets of subjects `$2` and of the groups of
/// user `$12`: cost `$5` and tokens
/// `$6`, or what there is, but not less than `$7` and `$8`. `$9` and `$10` are when the
/// day and the month began, `$11` is when it expires. The rows are locked by id, so
/// that calls do not wait for each other in a circle. What costs nothing is never refused
/// for want of dollars.
const POSTGRES_RESERVE: Sql = Sql::Postgres(
    "WITH counted AS MATERIALIZED ( \
        SELECT b.id, b.subject, b.period, b.max_cost, b.max_tokens, b.cost_reserved, b.tokens_reserved, \
        b.created_at, b.updated_at, \
        GREATEST(b.begins_at, CASE b.period WHEN 'day' THEN $9::bigint ELSE $10::bigint END) AS begins_at, \
        CASE WHEN b.begins_at < CASE b.period WHEN 'day' THEN $9::bigint ELSE $10::bigint END THEN 0 \
            ELSE b.cost_spent END AS cost_spent, \
        CASE WHEN b.begins_at < CASE b.period WHEN 'day' THEN $9::bigint ELSE $10::bigint END THEN 0 \
            ELSE b.tokens_spent END AS tokens_spent \
        FROM budgets b WHERE b.tenant_id = $1 \
        AND b.subject = ANY(ARRAY(SELECT jsonb_array_elements_text($2::jsonb) \
            UNION ALL SELECT 'group:' || replace(m.group_id::text, '-', '') FROM group_members m \
            WHERE m.tenant_id = $1 AND m.user_id = $12)) ORDER BY b.id FOR UPDATE), \
     granted AS MATERIALIZED ( \
        SELECT c.id, c.begins_at, c.cost_spent, c.tokens_spent, c.cost_reserved, c.tokens_reserved, \
        GREATEST(0, LEAST($5::bigint, c.max_cost - c.cost_spent - c.cost_reserved)) AS cost, \
        GREATEST(0, LEAST($6::bigint, c.max_tokens - c.tokens_spent - c.tokens_reserved)) AS tokens \
        FROM counted c WHERE NOT EXISTS (SELECT 1 FROM counted f \
            WHERE ($7::bigint > 0 AND f.max_cost - f.cost_spent - f.cost_reserved < $7) \
            OR ($8::bigint > 0 AND f.max_tokens - f.tokens_spent - f.tokens_reserved < $8))), \
     set_aside AS ( \
        INSERT INTO budget_reservations (tenant_id, call_id, budget_id, step, cost, tokens, expires_at) \
        SELECT $1, $3, g.id, $4, g.cost, g.tokens, $11 FROM granted g), \
     reserved AS ( \
        UPDATE budgets SET begins_at = g.begins_at, cost_spent = g.cost_spent, tokens_spent = g.tokens_spent, \
        cost_reserved = g.cost_reserved + g.cost, tokens_reserved = g.tokens_reserved + g.tokens \
        FROM granted g WHERE budgets.tenant_id = $1 AND budgets.id = g.id) \
     SELECT c.id, c.subject, c.period, c.max_cost, c.max_tokens, c.begins_at, c.cost_spent, c.tokens_spent, \
     c.cost_reserved + COALESCE(g.cost, 0) AS cost_reserved, \
     c.tokens_reserved + COALESCE(g.tokens, 0) AS tokens_reserved, c.created_at, c.updated_at, \
     g.id IS NOT NULL AS is_granted, \
     (COALESCE(g.cost, 0) + COALESCE((SELECT sum(v.cost) FROM budget_reservations v WHERE v.tenant_id = $1 \
        AND v.call_id = $3 AND v.budget_id = c.id), 0))::bigint AS call_cost, \
     (COALESCE(g.tokens, 0) + COALESCE((SELECT sum(v.tokens) FROM budget_reservations v WHERE v.tenant_id = $1 \
        AND v.call_id = $3 AND v.budget_id = c.id), 0))::bigint AS call_tokens \
     FROM counted c LEFT JOIN granted g ON g.id = c.id ORDER BY c.id",
);
const SQLITE_SET_ASIDE: Sql = Sql::Sqlite(
    "INSERT INTO budget_reservations (tenant_id, call_id, budget_id, step, cost, tokens, expires_at) \
     SELECT $1, $3, b.id, $4, \
     max(0, min($5, COALESCE(b.max_cost - b.cost_reserved - CASE WHEN b.begins_at < CASE b.period WHEN 'day' \
        THEN $9 ELSE $10 END THEN 0 ELSE b.cost_spent END, $5))), \
     max(0, min($6, COALESCE(b.max_tokens - b.tokens_reserved - CASE WHEN b.begins_at < CASE b.period WHEN 'day' \
        THEN $9 ELSE $10 END THEN 0 ELSE b.tokens_spent END, $6))), $11 \
     FROM budgets b WHERE b.tenant_id = $1 AND b.subject IN (SELECT value FROM json_each($2) \
        UNION ALL SELECT 'group:' || lower(hex(m.group_id)) FROM group_members m WHERE m.tenant_id = $1 \
        AND m.user_id = $12) \
     AND NOT EXISTS (SELECT 1 FROM budgets f WHERE f.tenant_id = $1 \
        AND f.subject IN (SELECT value FROM json_each($2) \
            UNION ALL SELECT 'group:' || lower(hex(m.group_id)) FROM group_members m WHERE m.tenant_id = $1 \
            AND m.user_id = $12) \
        AND (($7 > 0 AND f.max_cost - f.cost_reserved - CASE WHEN f.begins_at < CASE f.period WHEN 'day' THEN $9 \
            ELSE $10 END THEN 0 ELSE f.cost_spent END < $7) \
        OR ($8 > 0 AND f.max_tokens - f.tokens_reserved - CASE WHEN f.begins_at < CASE f.period WHEN 'day' THEN $9 \
            ELSE $10 END THEN 0 ELSE f.tokens_spent END < $8)))",
);
/// Counts what call `$2` set aside the `$3`th time. `$4` and `$5` are when the day and
/// the month began.
const SQLITE_RESERVE: Sql = Sql::Sqlite(
    "UPDATE budgets SET \
     cost_spent = CASE WHEN begins_at < CASE period WHEN 'day' THEN $4 ELSE $5 END THEN 0 ELSE cost_spent END, \
     tokens_spent = CASE WHEN begins_at < CASE period WHEN 'day' THEN $4 ELSE $5 END THEN 0 ELSE tokens_spent END, \
     begins_at = max(begins_at, CASE period WHEN 'day' THEN $4 ELSE $5 END), \
     cost_reserved = cost_reserved + v.cost, tokens_reserved = tokens_reserved + v.tokens \
     FROM budget_reservations v WHERE v.tenant_id = $1 AND v.call_id = $2 AND v.step = $3 \
     AND budgets.tenant_id = $1 AND budgets.id = v.budget_id",
);
/// The budgets of subjects `$2` and of the groups of user `$5`, with what is set aside for
/// call `$3`, and whether it was the `$4`th time.
const SQLITE_RESERVED: Sql = Sql::Sqlite(
    "SELECT b.id, b.subject, b.period, b.max_cost, b.max_tokens, b.begins_at, b.cost_spent, b.tokens_spent, \
     b.cost_reserved, b.tokens_reserved, b.created_at, b.updated_at, \
     EXISTS (SELECT 1 FROM budget_reservations v WHERE v.tenant_id = $1 AND v.call_id = $3 \
        AND v.budget_id = b.id AND v.step = $4) AS is_granted, \
     COALESCE((SELECT sum(v.cost) FROM budget_reservations v WHERE v.tenant_id = $1 AND v.call_id = $3 \
        AND v.budget_id = b.id), 0) AS call_cost, \
     COALESCE((SELECT sum(v.tokens) FROM budget_reservations v WHERE v.tenant_id = $1 AND v.call_id = $3 \
        AND v.budget_id = b.id), 0) AS call_tokens \
     FROM budgets b WHERE b.tenant_id = $1 AND b.subject IN (SELECT value FROM json_each($2) \
        UNION ALL SELECT 'group:' || lower(hex(m.group_id)) FROM group_members m WHERE m.tenant_id = $1 \
        AND m.user_id = $5)",
);

/// Gives back what is set aside for call `$2`. What is deleted is counted by whoever
/// deletes it: two at once do not give it back twice.
const POSTGRES_RELEASE: Sql = Sql::Postgres(
    "WITH gone AS (DELETE FROM budget_reservations WHERE tenant_id = $1 AND call_id = $2 \
        RETURNING budget_id, cost, tokens), \
     back AS (SELECT o.budget_id, sum(o.cost)::bigint AS cost, sum(o.tokens)::bigint AS tokens FROM gone o \
        GROUP BY o.budget_id), \
     locked AS (SELECT b.id FROM budgets b WHERE b.tenant_id = $1 AND b.id IN (SELECT k.budget_id FROM back k) \
        ORDER BY b.id FOR UPDATE) \
     UPDATE budgets SET cost_reserved = budgets.cost_reserved - k.cost, \
     tokens_reserved = budgets.tokens_reserved - k.tokens \
     FROM locked l JOIN back k ON k.budget_id = l.id WHERE budgets.tenant_id = $1 AND budgets.id = l.id",
);
const SQLITE_GIVE_BACK: Sql = Sql::Sqlite(
    "UPDATE budgets SET \
     cost_reserved = cost_reserved - (SELECT sum(v.cost) FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.call_id = $2 AND v.budget_id = budgets.id), \
     tokens_reserved = tokens_reserved - (SELECT sum(v.tokens) FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.call_id = $2 AND v.budget_id = budgets.id) \
     WHERE tenant_id = $1 AND id IN (SELECT v.budget_id FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.call_id = $2)",
);
const SQLITE_FORGET: Sql =
    Sql::Sqlite("DELETE FROM budget_reservations WHERE tenant_id = $1 AND call_id = $2");

/// The same of what expired before `$2`.
const POSTGRES_EXPIRE: Sql = Sql::Postgres(
    "WITH gone AS (DELETE FROM budget_reservations WHERE tenant_id = $1 AND expires_at < $2 \
        RETURNING budget_id, cost, tokens), \
     back AS (SELECT o.budget_id, sum(o.cost)::bigint AS cost, sum(o.tokens)::bigint AS tokens FROM gone o \
        GROUP BY o.budget_id), \
     locked AS (SELECT b.id FROM budgets b WHERE b.tenant_id = $1 AND b.id IN (SELECT k.budget_id FROM back k) \
        ORDER BY b.id FOR UPDATE) \
     UPDATE budgets SET cost_reserved = budgets.cost_reserved - k.cost, \
     tokens_reserved = budgets.tokens_reserved - k.tokens \
     FROM locked l JOIN back k ON k.budget_id = l.id WHERE budgets.tenant_id = $1 AND budgets.id = l.id",
);
const SQLITE_EXPIRE: Sql = Sql::Sqlite(
    "UPDATE budgets SET \
     cost_reserved = cost_reserved - (SELECT sum(v.cost) FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.budget_id = budgets.id AND v.expires_at < $2), \
     tokens_reserved = tokens_reserved - (SELECT sum(v.tokens) FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.budget_id = budgets.id AND v.expires_at < $2) \
     WHERE tenant_id = $1 AND id IN (SELECT v.budget_id FROM budget_reservations v \
        WHERE v.tenant_id = $1 AND v.expires_at < $2)",
);
const SQLITE_FORGET_EXPIRED: Sql =
    Sql::Sqlite("DELETE FROM budget_reservations WHERE tenant_id = $1 AND expires_at < $2");

fn budget(row: &Row) -> Result<Budget> {
    Ok(Budget {
        id: row.get("id")?,
        subject: row.name("subject")?,
        period: row.name("period")?,
        limits: BudgetLimits { max_cost: row.maybe("max_cost")?, max_tokens: row.maybe("max_tokens")? },
        begins_at: row.get("begins_at")?,
        spent: Amount { cost: row.get("cost_spent")?, tokens: row.get("tokens_spent")? },
        reserved: Amount { cost: row.get("cost_reserved")?, tokens: row.get("tokens_reserved")? },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Deletes the budgets of a subject that is deleted itself.
pub(crate) fn deletion(tenant: TenantId, subject: &BudgetSubject) -> Statement {
    DELETE_OF_SUBJECT.bind(tenant).bind(subject.to_string())
}

/// Deletes the budgets of the workspaces that go with their user.
pub(crate) fn deletion_of_workspaces(tenant: TenantId, user: UserId) -> Statement {
    DELETE_OF_WORKSPACES.bind(tenant).bind(user)
}

/// Binds what of the usage counts for a subject.
fn counting(create: Statement, subject: &BudgetSubject) -> Statement {
    let (mut user, mut workspace, mut group): (Option<Uuid>, Option<Uuid>, Option<Uuid>) = (None, None, None);
    let (mut model, mut beginning, mut tag) = (None, None, None);
    match subject {
        BudgetSubject::Tenant => {}
        BudgetSubject::User(id) => user = Some(id.0),
        BudgetSubject::Workspace(id) => workspace = Some(id.0),
        BudgetSubject::Group(id) => group = Some(id.0),
        BudgetSubject::Model(name) => match name.strip_suffix("/*") {
            Some(connection) => beginning = Some(format!("{}/", text(connection))),
            None => model = Some(text(name).into_owned()),
        },
        BudgetSubject::Tag(name) => tag = Some(text(name).into_owned()),
    }
    create.bind(user).bind(workspace).bind(model).bind(beginning).bind(tag).bind(group)
}

/// Less than the least: which limit, if any, keeps `budget` from it.
fn lacks(budget: &Budget, least: &Amount) -> bool {
    let free = |max: i64, spent: i64, reserved: i64| max.saturating_sub(spent).saturating_sub(reserved);
    let Budget { limits, spent, reserved, .. } = budget;
    let lacks_cost = |max: Cost| free(max.0, spent.cost.0, reserved.cost.0) < least.cost.0;
    let lacks_tokens =
        |max| free(count(max), count(spent.tokens), count(reserved.tokens)) < count(least.tokens);
    (least.cost > Cost(0) && limits.max_cost.is_some_and(lacks_cost))
        || (least.tokens > 0 && limits.max_tokens.is_some_and(lacks_tokens))
}

#[async_trait]
impl BudgetStore for SqlStore {
    async fn create(&self, scope: &Scope, new: &Budget) -> Result<Budget> {
        let create = CREATE
            .bind(scope.tenant)
            .bind(new.id)
            .bind(new.subject.to_string())
            .bind(new.period.as_str())
            .bind(new.limits.max_cost.map(|cost| cost.0))
            .bind(new.limits.max_tokens.map(count))
            .bind(new.begins_at)
            .bind(new.created_at);
        let create = counting(create, &new.subject);
        let taken =
            || Error::conflict("there is a budget of this subject and period already; change that one");
        let missing = || Error::missing("tenant", scope.tenant);
        let created = self.database.transaction([BOUND_WAIT.unbound(), LOCK_USAGE.unbound(), create]).await;
        let [_, _, created] = created.map_err(|error| error.on_unique(taken).on_foreign_key(missing))?;
        budget(or_not_found(created.rows.first(), missing)?)
    }

    async fn get(&self, scope: &Scope, id: BudgetId) -> Result<Budget> {
        let row = self.database.read_first(GET.bind(scope.tenant).bind(id)).await?;
        budget(&or_not_found(row, || Error::missing("budget", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Budget>> {
        let list = LIST.bind(scope.tenant).bind(after(page)).bind(rows_of(page));
        let budgets = each(&self.database.read(list).await?, budget)?;
        Ok(page_by_id(budgets, page, |budget| budget.id.0))
    }

    async fn any(&self, scope: &Scope) -> Result<bool> {
        Ok(self.database.read_first(ANY.bind(scope.tenant).bind(Uuid::nil())).await?.is_some())
    }

    async fn update(
        &self,
        scope: &Scope,
        id: BudgetId,
        limits: &BudgetLimits,
        now: Timestamp,
    ) -> Result<Budget> {
        let update = UPDATE
            .bind(scope.tenant)
            .bind(id)
            .bind(limits.max_cost.map(|cost| cost.0))
            .bind(limits.max_tokens.map(count))
            .bind(now);
        let rows = self.database.write(update).await?;
        budget(or_not_found(rows.first(), || Error::missing("budget", id))?)
    }

    async fn delete(&self, scope: &Scope, id: BudgetId) -> Result<()> {
        let deleted = self.database.execute(DELETE.bind(scope.tenant).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("budget", id))
    }

    async fn reserve(&self, scope: &Scope, reserve: &Reserve) -> Result<Reserved> {
        let outcome = self.try_reserve(scope, reserve).await?;
        let Reserved::Refused(_) = &outcome else { return Ok(outcome) };
        // Perhaps a process died that had something set aside.
        if !self.expire(scope, reserve.now).await? {
            return Ok(outcome);
        }
        self.try_reserve(scope, reserve).await
    }

    async fn release(&self, scope: &Scope, call: UsageId) -> Result<()> {
        let statements = [POSTGRES_RELEASE, SQLITE_GIVE_BACK, SQLITE_FORGET];
        self.database.transaction(statements.map(|sql| sql.bind(scope.tenant).bind(call))).await?;
        Ok(())
    }
}

impl SqlStore {
    async fn try_reserve(&self, scope: &Scope, reserve: &Reserve) -> Result<Reserved> {
        let (day, month) = (BudgetPeriod::Day.begin(reserve.now), BudgetPeriod::Month.begin(reserve.now));
        let set_aside = |sql: Sql| -> Result<Statement> {
            Ok(sql
                .bind(scope.tenant)
                .bind(json(&reserve.subjects)?)
                .bind(reserve.call)
                .bind(reserve.step)
                .bind(reserve.wanted.cost.0)
                .bind(count(reserve.wanted.tokens))
                .bind(reserve.least.cost.0)
                .bind(count(reserve.least.tokens))
                .bind(day)
                .bind(month)
                .bind(reserve.expires_at)
                .bind(scope.user))
        };
        let counted =
            SQLITE_RESERVE.bind(scope.tenant).bind(reserve.call).bind(reserve.step).bind(day).bind(month);
        let reserved = SQLITE_RESERVED
            .bind(scope.tenant)
            .bind(json(&reserve.subjects)?)
            .bind(reserve.call)
            .bind(reserve.step)
            .bind(scope.user);
        let outcomes = match self.kind() {
            crate::Kind::Postgres => self.database.transaction_of(vec![set_aside(POSTGRES_RESERVE)?]).await?,
            crate::Kind::Sqlite => {
                let statements = vec![set_aside(SQLITE_SET_ASIDE)?, counted, reserved];
                self.database.transaction_of(statements).await?
            }
        };
        reserved_of(outcomes.last().map(|outcome| outcome.rows.as_slice()).unwrap_or_default(), reserve)
    }

    /// Gives back what expired; whether there was any.
    async fn expire(&self, scope: &Scope, now: Timestamp) -> Result<bool> {
        let statements = [POSTGRES_EXPIRE, SQLITE_EXPIRE, SQLITE_FORGET_EXPIRED];
        let outcomes =
            self.database.transaction(statements.map(|sql| sql.bind(scope.tenant).bind(now))).await?;
        Ok(outcomes.iter().any(|outcome| outcome.touched > 0))
    }
}

/// What the rows of a reservation say.
fn reserved_of(rows: &[Row], reserve: &Reserve) -> Result<Reserved> {
    let budgets = each(rows, |row| {
        let amount = Amount { cost: row.get("call_cost")?, tokens: row.get("call_tokens")? };
        Ok((budget(row)?.at(reserve.now), amount, row.get::<bool>("is_granted")?))
    })?;
    if budgets.is_empty() {
        return Ok(Reserved::Unlimited);
    }
    if budgets.iter().all(|(_, _, is_granted)| *is_granted) {
        return Ok(Reserved::Granted(
            budgets.into_iter().map(|(budget, amount, _)| (budget, amount)).collect(),
        ));
    }
    let lacking = budgets.iter().position(|(budget, ..)| lacks(budget, &reserve.least)).unwrap_or_default();
    let refusing = budgets.into_iter().nth(lacking).map(|(budget, ..)| Reserved::Refused(Box::new(budget)));
    Ok(refusing.unwrap_or(Reserved::Unlimited))
}
