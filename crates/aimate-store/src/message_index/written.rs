//! What comes into the index in the commit that stores it.

use std::collections::HashMap;
use std::sync::Arc;

use aimate_core::conversation::{searchable_text, searchable_title};
use aimate_core::message::Message;
use aimate_core::{ConversationId, MessageId, Result, TenantId};
use aimate_index::analysis::{Terms, analyze_as_written};
use aimate_index::segment::TermBlock;
use aimate_index::{IndexedChunk, Segment};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Sql, Statement};
use crate::knowledge::compute;
use crate::value::count;

/// Bytes of text whose analysis would hold up others.
const LONG: usize = 32 << 10;
/// Of so many segments that are written, one asks for merging: as many as make a tier.
const MERGE_EVERY: u8 = 8;

/// Hidden conversations are not found. PostgreSQL has it in the statements that store messages, for one round trip.
const ADD: Sql = Sql::Same(
    "INSERT INTO message_segments (tenant_id, id, owner_id, conversation_id, message_count, header, block) \
     SELECT c.tenant_id, $3, COALESCE(c.workspace_id, c.user_id), c.id, $4, $5, $6 \
     FROM conversations c WHERE c.tenant_id = $1 AND c.id = $2 AND c.is_hidden = false",
);

/// Asks for merging in the index that the conversation is in.
const MERGING: Sql = Sql::Same(
    "INSERT INTO message_index_jobs (tenant_id, owner_id, conversation_id, is_purge, after_id, version, tries) \
     SELECT c.tenant_id, COALESCE(c.workspace_id, c.user_id), COALESCE(c.workspace_id, c.user_id), false, $3, 1, 0 \
     FROM conversations c WHERE c.tenant_id = $1 AND c.id = $2 \
     ON CONFLICT (tenant_id, owner_id, conversation_id) DO NOTHING",
);

/// Texts of a conversation that are about to be stored.
pub(crate) struct NewTexts {
    conversation: ConversationId,
    chunks: Vec<(Uuid, String)>,
}

/// A segment of what is stored at once; none if there is nothing to be found by.
pub(crate) struct Written {
    conversation: ConversationId,
    segment: Option<WrittenSegment>,
}

struct WrittenSegment {
    id: Uuid,
    messages: usize,
    header: Vec<u8>,
    block: Vec<u8>,
}

impl NewTexts {
    /// Those of messages.
    pub(crate) fn of<'m>(
        conversation: ConversationId,
        messages: impl IntoIterator<Item = &'m Message>,
    ) -> Self {
        let texts = messages.into_iter().map(|message| (message.id, searchable_text(message)));
        let chunks = texts.filter_map(|(id, text)| Some((id.0, text?)));
        Self { conversation, chunks: chunks.collect() }
    }

    /// The text of an answer.
    pub(crate) fn answer(conversation: ConversationId, answer: MessageId, text: Option<String>) -> Self {
        Self { conversation, chunks: text.map(|text| (answer.0, text)).into_iter().collect() }
    }

    /// And the title, if it is a new one.
    pub(crate) fn titled(mut self, title: Option<&str>) -> Self {
        let title = title.and_then(searchable_title);
        self.chunks.extend(title.map(|title| (self.conversation.0, title.into_owned())));
        self
    }

    /// What they are found by.
    pub(crate) async fn analyzed(self, store: &SqlStore) -> Result<Written> {
        let length: usize = self.chunks.iter().map(|(_, text)| text.len()).sum();
        let ids = Arc::clone(&store.ids);
        let analyze = move || Written {
            conversation: self.conversation,
            segment: WrittenSegment::of(&self.conversation, &self.chunks, || ids.next()),
        };
        if length < LONG { Ok(analyze()) } else { compute(move || Ok(analyze())).await }
    }
}

/// A text on its way into a segment.
pub(super) fn chunk(conversation: &ConversationId, id: Uuid, terms: Terms) -> IndexedChunk {
    IndexedChunk { id, document: conversation.0, terms }
}

impl WrittenSegment {
    fn of(conversation: &ConversationId, texts: &[(Uuid, String)], id: impl Fn() -> Uuid) -> Option<Self> {
        let chunks = texts.iter().map(|(id, text)| chunk(conversation, *id, analyze_as_written(text)));
        let chunks: Vec<IndexedChunk> = chunks.filter(|chunk| !chunk.terms.counts.is_empty()).collect();
        let segment = Segment::build(&chunks, HashMap::new());
        let block = TermBlock::joined(segment.blocks)?.bytes;
        Some(Self { id: id(), messages: chunks.len(), header: segment.header, block })
    }
}

impl Written {
    /// The statement that stores it, after the conversation is there; of PostgreSQL, for
    /// what has no statement of its own.
    pub(crate) fn statement(&self, tenant: TenantId) -> Option<Statement> {
        let segment = self.segment.as_ref()?;
        let add = ADD.bind(tenant).bind(self.conversation).bind(segment.id);
        let add = add.bind(count(segment.messages)).bind(segment.header.clone());
        // None of a hidden conversation.
        Some(add.bind(segment.block.clone()))
    }

    /// PostgreSQL: binds the segment's id, how many messages it has, its header and its
    /// terms; NULL if there is none.
    pub(crate) fn bind(&self, statement: Statement) -> Statement {
        let segment = self.segment.as_ref();
        statement
            .bind(segment.map(|segment| segment.id))
            .bind(segment.map(|segment| count(segment.messages)))
            .bind(segment.map(|segment| segment.header.clone()))
            .bind(segment.map(|segment| segment.block.clone()))
    }

    /// After it is stored: asks now and then for merging. That is no part of the commit;
    /// if it fails, a later one asks.
    pub(crate) async fn ask_for_merging(&self, store: &SqlStore, tenant: TenantId) {
        let Some(segment) = &self.segment else { return };
        let [.., last] = segment.id.into_bytes();
        if last.is_multiple_of(MERGE_EVERY)
            && let Err(error) =
                store.database.execute(MERGING.bind(tenant).bind(self.conversation).bind(Uuid::nil())).await
        {
            let error: aimate_core::Error = error.into();
            tracing::debug!(%error, "merging was not asked for");
        }
    }
}
