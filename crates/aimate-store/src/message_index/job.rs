//! Work on the index that waits: stored with what makes it necessary, done soon after.

use std::collections::{HashMap, HashSet};

use aimate_core::conversation::{searchable_parts, searchable_title};
use aimate_core::message::{MessageRole, Part};
use aimate_core::{ConversationId, Result, TenantId};
use aimate_index::analysis::analyze_as_written;
use uuid::Uuid;

use super::change::{self, Owner};
use super::written::chunk;
use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::knowledge::is_stored;

/// Jobs that are looked at at once.
const JOBS: u32 = 64;
/// Messages that are read at once, and bytes of text after which no more are read for a
/// segment.
const MESSAGES: u32 = 32;
const BYTES: usize = 1 << 20;
/// Segments that are made of one conversation while a call waits for it.
const AT_ONCE: usize = 4;

/// Has the index of whoever has the conversation made right about it.
const REQUEST: Sql = Sql::Same(
    "INSERT INTO message_index_jobs (tenant_id, owner_id, conversation_id, is_purge, after_id, version, tries) \
     SELECT c.tenant_id, COALESCE(c.workspace_id, c.user_id), c.id, $3, $4, 1, 0 \
     FROM conversations c WHERE c.tenant_id = $1 AND c.id = $2 \
     ON CONFLICT (tenant_id, owner_id, conversation_id) DO UPDATE SET \
     is_purge = excluded.is_purge OR message_index_jobs.is_purge, after_id = excluded.after_id, \
     version = message_index_jobs.version + 1, tries = 0",
);
/// The same for conversations that come out of workspaces of user `$2`, or out of workspace
/// `$2`, and are their makers' alone from then on.
const REQUEST_OF_RETURNED: Sql = Sql::Same(
    "INSERT INTO message_index_jobs (tenant_id, owner_id, conversation_id, is_purge, after_id, version, tries) \
     SELECT c.tenant_id, c.user_id, c.id, true, $3, 1, 0 FROM conversations c WHERE c.tenant_id = $1 \
     AND c.workspace_id IN (SELECT w.id FROM workspaces w WHERE w.tenant_id = $1 AND w.user_id = $2 \
        UNION ALL SELECT $2) \
     ON CONFLICT (tenant_id, owner_id, conversation_id) DO UPDATE SET \
     is_purge = true, after_id = excluded.after_id, version = message_index_jobs.version + 1, tries = 0",
);
/// What failed comes last.
const WAITING: Sql = Sql::Same(
    "SELECT tenant_id, owner_id, conversation_id, is_purge, after_id, version FROM message_index_jobs \
     ORDER BY tries, tenant_id, owner_id, conversation_id LIMIT $1",
);
const OF_CONVERSATION: Sql = Sql::Same(
    "SELECT j.tenant_id, j.owner_id, j.conversation_id, j.is_purge, j.after_id, j.version FROM conversations c \
     JOIN message_index_jobs j ON j.tenant_id = $1 AND j.owner_id = COALESCE(c.workspace_id, c.user_id) \
     AND j.conversation_id = $2 WHERE c.tenant_id = $1 AND c.id = $2",
);
const PURGED: Sql = Sql::Same(
    "UPDATE message_index_jobs SET is_purge = false \
     WHERE tenant_id = $1 AND owner_id = $2 AND conversation_id = $3 AND version = $4",
);
const ADVANCED: Sql = Sql::Same(
    "UPDATE message_index_jobs SET after_id = $5 \
     WHERE tenant_id = $1 AND owner_id = $2 AND conversation_id = $3 AND version = $4",
);
const DONE: Sql = Sql::Same(
    "DELETE FROM message_index_jobs \
     WHERE tenant_id = $1 AND owner_id = $2 AND conversation_id = $3 AND version = $4",
);
const FAILED: Sql = Sql::Same(
    "UPDATE message_index_jobs SET tries = tries + 1 \
     WHERE tenant_id = $1 AND owner_id = $2 AND conversation_id = $3 AND version = $4",
);
const CONVERSATIONS: Sql = Sql::Each {
    sqlite: "SELECT id, title, COALESCE(workspace_id, user_id) AS owner_id FROM conversations \
        WHERE tenant_id = $1 AND is_hidden = false AND id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT id, title, COALESCE(workspace_id, user_id) AS owner_id FROM conversations \
        WHERE tenant_id = $1 AND NOT is_hidden AND id = ANY($2)",
};
/// An answer that is being written comes into the index when it is whole.
const TEXTS: Sql = Sql::Same(
    "SELECT id, role, content FROM messages WHERE tenant_id = $1 AND conversation_id = $2 AND id > $3 \
     AND status <> 'streaming' ORDER BY id LIMIT $4",
);

/// The statement by which whoever has a conversation at that moment has their index made
/// right about it: what is in it goes first, if `is_purge`; then what is there comes in.
pub(crate) fn request(tenant: TenantId, conversation: ConversationId, is_purge: bool) -> Statement {
    REQUEST.bind(tenant).bind(conversation).bind(is_purge).bind(Uuid::nil())
}

/// The statement that does so for the conversations of workspace `of`, or of the
/// workspaces of user `of`, before these are taken apart.
pub(crate) fn of_workspace_users(tenant: TenantId, of: Uuid) -> Statement {
    REQUEST_OF_RETURNED.bind(tenant).bind(of).bind(Uuid::nil())
}

#[derive(Clone, Copy)]
struct IndexJob {
    owner: Owner,
    conversation: ConversationId,
    is_purge: bool,
    after: Uuid,
    version: i64,
}

impl IndexJob {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            owner: Owner { tenant: row.get("tenant_id")?, id: row.get("owner_id")? },
            conversation: row.get("conversation_id")?,
            is_purge: row.get("is_purge")?,
            after: row.get("after_id")?,
            version: row.get("version")?,
        })
    }

    fn statement(&self, sql: Sql) -> Statement {
        sql.bind(self.owner.tenant).bind(self.owner.id).bind(self.conversation).bind(self.version)
    }
}

/// Does some jobs; returns how many pieces of work that were.
pub(super) async fn do_some(store: &SqlStore) -> Result<u64> {
    let jobs = each(&store.database.read(WAITING.bind(JOBS)).await?, IndexJob::of)?;
    let mut done = 0;
    for of_owner in jobs.chunk_by(|one, next| one.owner == next.owner) {
        match do_those(store, of_owner).await {
            Ok(is_done) => done += u64::from(is_done),
            Err(error) => {
                tracing::warn!(%error, cause = ?error, "indexing conversations failed; trying again later");
                for job in of_owner {
                    store.database.execute(job.statement(FAILED)).await?;
                }
            }
        }
    }
    Ok(done)
}

/// Does the jobs of one conversation, up to a bound.
pub(super) async fn do_those_of(
    store: &SqlStore,
    tenant: TenantId,
    conversation: ConversationId,
) -> Result<()> {
    for _ in 0..AT_ONCE {
        let jobs = store.database.read(OF_CONVERSATION.bind(tenant).bind(conversation)).await?;
        let jobs = each(&jobs, IndexJob::of)?;
        if jobs.is_empty() {
            return Ok(());
        }
        do_those(store, &jobs).await?;
    }
    Ok(())
}

/// Does jobs of one owner, the next piece of each; whether it was stored. It is not if
/// somebody else was at the same, or asked for more meanwhile.
async fn do_those(store: &SqlStore, jobs: &[IndexJob]) -> Result<bool> {
    let Some(IndexJob { owner, .. }) = jobs.first().copied() else { return Ok(false) };
    let purges: Vec<&IndexJob> = jobs.iter().filter(|job| job.is_purge).collect();
    if !purges.is_empty() {
        let gone: HashSet<Uuid> = purges.iter().map(|job| job.conversation.0).collect();
        let Some(mut statements) = change::without(store, owner, gone).await? else { return Ok(false) };
        statements.extend(purges.iter().map(|job| job.statement(PURGED).expect_touched(1)));
        if !is_stored(store.database.transaction_of(statements).await)? {
            return Ok(false);
        }
    }
    if !fill(store, owner, jobs).await? {
        return Ok(false);
    }
    while change::merge(store, owner).await? {}
    Ok(true)
}

/// Indexes the next messages of conversations that the owner has, and ends the jobs of
/// which nothing is left.
async fn fill(store: &SqlStore, owner: Owner, jobs: &[IndexJob]) -> Result<bool> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.conversation.0).collect();
    let rows = store.database.read(CONVERSATIONS.bind(owner.tenant).bind(ids)).await?;
    let mut titles: HashMap<ConversationId, String> = HashMap::new();
    for row in &rows {
        if row.get::<Uuid>("owner_id")? == owner.id {
            titles.insert(row.get("id")?, row.get("title")?);
        }
    }
    let mut texts: Vec<(ConversationId, Uuid, String)> = Vec::new();
    let mut bytes = 0;
    let mut statements = Vec::new();
    for job in jobs {
        let Some(title) = titles.get(&job.conversation) else {
            // It is gone, hidden, or somebody else's now, whose index has a job of its own.
            statements.push(job.statement(DONE).expect_touched(1));
            continue;
        };
        if bytes > BYTES {
            // The rest is for the next time.
            continue;
        }
        if job.after.is_nil()
            && let Some(title) = searchable_title(title)
        {
            texts.push((job.conversation, job.conversation.0, title.into_owned()));
        }
        let mut after = job.after;
        let is_whole = loop {
            let next = TEXTS.bind(owner.tenant).bind(job.conversation).bind(after).bind(MESSAGES);
            let rows = store.database.read(next).await?;
            for row in &rows {
                after = row.get("id")?;
                let (role, content): (MessageRole, Vec<Part>) = (row.name("role")?, row.json("content")?);
                if let Some(text) = searchable_parts(role, &content) {
                    bytes += text.len();
                    texts.push((job.conversation, after, text));
                }
            }
            if (rows.len() as u64) < u64::from(MESSAGES) {
                break true;
            }
            if bytes > BYTES {
                break false;
            }
        };
        let ended = if is_whole { job.statement(DONE) } else { job.statement(ADVANCED).bind(after) };
        statements.push(ended.expect_touched(1));
    }
    let chunks = move || {
        let chunk = |(conversation, id, text): (ConversationId, Uuid, String)| {
            chunk(&conversation, id, analyze_as_written(&text))
        };
        texts.into_iter().map(chunk).collect()
    };
    statements.extend(change::added(store, owner, chunks).await?);
    is_stored(store.database.transaction_of(statements).await)
}
