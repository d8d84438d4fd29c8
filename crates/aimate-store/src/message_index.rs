//! The index by which conversations are found: which words are in which message.
//!
//! It is made of segments like that of knowledge ([`aimate_index::segment`]): a message
//! is a *chunk* there, its conversation the *document*, and a title is a chunk with the
//! id of its conversation. Each owner has an index of their own: a workspace, or a user
//! for what is in none. So a search reads what its user may see, whatever others have.
//!
//! What is written at once makes one small segment, in the same commit ([`written`]).
//! All else is a *job* ([`job`]), which is stored with what makes it necessary and done
//! soon after: small segments are merged; what a conversation's index holds is taken out
//! when it is deleted or moves, and made anew where it is now; what was there before
//! there was an index is indexed. A search takes nothing for true that the rows do not
//! say ([`find`] only proposes), so what a job has not done yet is at most missing.

mod change;
mod find;
mod job;
mod written;

use aimate_core::{ConversationId, Result, TenantId};

use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Sql, Statement};

pub(crate) use find::{Candidate, MAX_ATTEMPTS, contention_error};
pub(crate) use job::{of_workspace_users, request};
pub(crate) use written::NewTexts;

const DELETE: Sql = Sql::Same("DELETE FROM message_segments WHERE tenant_id = $1 AND owner_id = $2");
const DELETE_JOBS: Sql = Sql::Same("DELETE FROM message_index_jobs WHERE tenant_id = $1 AND owner_id = $2");

/// The statements that delete the index of a workspace.
pub(crate) fn deletion(tenant: TenantId, workspace: Uuid) -> [Statement; 2] {
    [DELETE, DELETE_JOBS].map(|sql| sql.bind(tenant).bind(workspace))
}

impl SqlStore {
    /// Does the jobs of a conversation at once, as far as that does not take long, so
    /// that what was copied or moved is found when the call returns. What is left, or
    /// fails, is done in the background.
    pub(crate) async fn index_at_once(&self, tenant: TenantId, conversation: ConversationId) {
        if let Err(error) = job::do_those_of(self, tenant, conversation).await {
            tracing::warn!(%error, cause = ?error, "a conversation is indexed later");
        }
    }

    /// See [`WorkerStore::index_messages`](aimate_core::run::WorkerStore::index_messages).
    pub(crate) async fn do_index_jobs(&self) -> Result<u64> {
        job::do_some(self).await
    }
}
