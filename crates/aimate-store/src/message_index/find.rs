//! Finding conversations that have all the words of a search.
//!
//! Every owner whose conversations the user sees has some segments. Of each, only the
//! blocks of terms are read that may have the words, and of those that have some, which
//! messages they are of (kept in memory, as far as there is room). What comes out is a
//! proposal: whether the conversation is there and may be seen is read with it.

use std::collections::HashMap;
use std::sync::Arc;

use aimate_core::{ConversationId, Error, MessageId, Result, Scope, WorkspaceId};
use aimate_index::SegmentHeader;
use aimate_index::analysis::{SearchWord, SearchWords};
use aimate_index::segment::{Postings, each_beginning, find_postings};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, each, hex};
use crate::knowledge::{BlockKind, CacheKey, CachedBlock, compute};
use crate::value::json;

/// How often a search begins anew because segments were replaced meanwhile.
pub(crate) const MAX_ATTEMPTS: usize = 8;
/// Blocks that are read for a word that is only begun, beyond the first of each segment:
/// 4 MiB. Of a beginning that fits more terms, those later in the alphabet are not found.
const MAX_BLOCKS: u32 = 256;

/// The segments of those whose conversations the user sees: of workspace `$3` alone, if
/// it is given. Small ones come with all they have.
const SEGMENTS: Sql = Sql::Each {
    sqlite: "SELECT s.id, s.block, CASE WHEN s.block IS NOT NULL THEN s.header END AS header \
        FROM message_segments s WHERE s.tenant_id = $1 AND s.owner_id IN (SELECT $2 WHERE $3 IS NULL \
        UNION ALL SELECT a.workspace_id FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND ($3 IS NULL OR a.workspace_id = $3))",
    postgres: "SELECT s.id, s.block, CASE WHEN s.block IS NOT NULL THEN s.header END AS header \
        FROM message_segments s WHERE s.tenant_id = $1 AND s.owner_id = ANY(ARRAY(SELECT $2 WHERE $3::uuid IS NULL \
        UNION ALL SELECT a.workspace_id FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND ($3::uuid IS NULL OR a.workspace_id = $3)))",
};
/// Of each `[segment, term]` of the array `$2` the block that would have the term: the
/// last one whose first term is not greater.
const BLOCKS: Sql = Sql::Each {
    sqlite: "SELECT b.segment_id, b.first_term, b.block FROM json_each($2) r CROSS JOIN message_segment_blocks b \
        ON b.tenant_id = $1 AND b.segment_id = unhex(r.value ->> 0) AND b.first_term = ( \
            SELECT max(x.first_term) FROM message_segment_blocks x WHERE x.tenant_id = $1 \
            AND x.segment_id = unhex(r.value ->> 0) AND x.first_term <= unhex(r.value ->> 1))",
    postgres: "SELECT b.segment_id, b.first_term, b.block FROM jsonb_array_elements($2::jsonb) AS r (value) \
        CROSS JOIN LATERAL (SELECT * FROM message_segment_blocks s WHERE s.tenant_id = $1 \
        AND s.segment_id = (r.value ->> 0)::uuid AND s.first_term <= decode(r.value ->> 1, 'hex') \
        ORDER BY s.first_term DESC LIMIT 1) b",
};
/// Of each `[segment, beginning]` the blocks after that one whose first terms begin so: they
/// are less than what the beginning becomes when its last byte grows by one, `$4`.
const BLOCKS_OF_BEGINNING: Sql = Sql::Each {
    sqlite: "SELECT b.segment_id, b.first_term, b.block FROM json_each($2) r CROSS JOIN message_segment_blocks b \
        ON b.tenant_id = $1 AND b.segment_id = unhex(r.value ->> 0) AND b.first_term > unhex(r.value ->> 1) \
        AND b.first_term < $4 LIMIT $3",
    postgres: "SELECT b.segment_id, b.first_term, b.block FROM jsonb_array_elements($2::jsonb) AS r (value) \
        CROSS JOIN LATERAL (SELECT * FROM message_segment_blocks s WHERE s.tenant_id = $1 \
        AND s.segment_id = (r.value ->> 0)::uuid AND s.first_term > decode(r.value ->> 1, 'hex') \
        AND s.first_term < $4 OFFSET 0) b LIMIT $3",
};
const HEADERS: Sql = Sql::Each {
    sqlite: "SELECT id, header FROM message_segments \
        WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT id, header FROM message_segments WHERE tenant_id = $1 AND id = ANY($2)",
};
/// Which of the segments are there still.
const THERE: Sql = Sql::Each {
    sqlite: "SELECT id FROM message_segments \
        WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT id FROM message_segments WHERE tenant_id = $1 AND id = ANY($2)",
};

/// A conversation in which all words occur, as the index says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) conversation: ConversationId,
    /// The message that has the most of the words, the newest of several; `None` if only
    /// the title has some.
    pub(crate) message: Option<MessageId>,
    /// The words that occur in messages.
    pub(crate) said: u64,
}

impl Candidate {
    /// What candidates are ordered by, the greatest first.
    pub(crate) fn key(&self) -> Uuid {
        self.message.map_or(self.conversation.0, |message| message.0)
    }
}

/// What a caller is told when every attempt was in vain.
pub(crate) fn contention_error() -> Error {
    Error::unavailable("the index of conversations changed again and again at the same moment; try again")
}

/// A segment with what was read of it.
struct Found {
    header: Arc<SegmentHeader>,
    blocks: Vec<Arc<[u8]>>,
}

impl SqlStore {
    /// The conversations in which all words occur, the newest first; `None` if segments
    /// were replaced meanwhile.
    pub(crate) async fn candidates(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        words: &SearchWords,
    ) -> Result<Option<Vec<Candidate>>> {
        let rows = self.database.read(SEGMENTS.scoped(scope).bind(workspace)).await?;
        let mut small = Vec::new();
        let mut large: Vec<Uuid> = Vec::new();
        for row in &rows {
            match row.maybe::<Vec<u8>>("block")? {
                Some(block) => small.push((row.get::<Vec<u8>>("header")?, block)),
                None => large.push(row.get("id")?),
            }
        }
        drop(rows);
        let mut found = match self.read_large(scope, large, words).await? {
            Some(found) => found,
            None => return Ok(None),
        };
        let words = words.clone();
        let candidates = compute(move || {
            for (header, block) in small {
                found.push(Found {
                    header: Arc::new(SegmentHeader::decode(&header)?),
                    blocks: vec![block.into()],
                });
            }
            candidates_of(&found, &words)
        });
        candidates.await.map(Some)
    }

    /// Of merged segments what may have one of the words; `None` if one of them is not
    /// there any more.
    async fn read_large(
        &self,
        scope: &Scope,
        segments: Vec<Uuid>,
        words: &SearchWords,
    ) -> Result<Option<Vec<Found>>> {
        if segments.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut places: Vec<(String, String)> = Vec::new();
        let mut begun: Vec<(String, String)> = Vec::new();
        let mut bound = Vec::new();
        for id in &segments {
            let id = id.simple().to_string();
            for word in words.words() {
                match word {
                    SearchWord::Term(term) => places.push((id.clone(), hex(term.as_bytes()))),
                    SearchWord::Beginning { beginning, stem } => {
                        let place = (id.clone(), hex(beginning.as_bytes()));
                        places.push((id.clone(), hex(stem.as_bytes())));
                        places.push(place.clone());
                        begun.push(place);
                        bound = after_all(beginning);
                    }
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        let blocks = BLOCKS.bind(scope.tenant).bind(json(&places)?);
        let more = BLOCKS_OF_BEGINNING.bind(scope.tenant).bind(json(&begun)?).bind(MAX_BLOCKS).bind(bound);
        let there = THERE.bind(scope.tenant).bind(segments.clone());
        let [blocks, more, there] = self.database.read_each([blocks, more, there]).await?;
        if there.len() < segments.len() {
            return Ok(None);
        }
        let mut read: HashMap<Uuid, HashMap<Vec<u8>, Arc<[u8]>>> = HashMap::new();
        for row in blocks.iter().chain(&more) {
            let block: Vec<u8> = row.get("block")?;
            read.entry(row.get("segment_id")?).or_default().insert(row.get("first_term")?, block.into());
        }
        let Some(headers) = self.message_headers(scope, read.keys().copied().collect()).await? else {
            return Ok(None);
        };
        let found = read.into_iter().filter_map(|(id, blocks)| {
            Some(Found { header: headers.get(&id)?.clone(), blocks: blocks.into_values().collect() })
        });
        Ok(Some(found.collect()))
    }

    /// Which messages segments have; `None` if one is not there any more.
    async fn message_headers(
        &self,
        scope: &Scope,
        segments: Vec<Uuid>,
    ) -> Result<Option<HashMap<Uuid, Arc<SegmentHeader>>>> {
        let key = |segment| CacheKey { tenant: scope.tenant, segment, block: BlockKind::Header };
        let mut headers = HashMap::new();
        let mut missing = Vec::new();
        for id in segments {
            match self.index.get(&key(id)) {
                Some(CachedBlock::Header(header)) => drop(headers.insert(id, header)),
                _ => missing.push(id),
            }
        }
        if missing.is_empty() {
            return Ok(Some(headers));
        }
        let wanted = headers.len() + missing.len();
        let rows = self.database.read(HEADERS.bind(scope.tenant).bind(missing)).await?;
        let header = |row: &Row| Ok((row.get("id")?, SegmentHeader::decode(&row.get::<Vec<u8>>("header")?)?));
        for (id, header) in each(&rows, header)? {
            let header = Arc::new(header);
            self.index.insert(key(id), CachedBlock::Header(Arc::clone(&header)));
            headers.insert(id, header);
        }
        Ok((headers.len() == wanted).then_some(headers))
    }
}

/// The least bytes that are greater than all that begin with `beginning`: no byte of
/// UTF-8 is the greatest.
fn after_all(beginning: &str) -> Vec<u8> {
    let mut bytes = beginning.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}

/// What is known of a conversation.
#[derive(Default)]
struct SeenConversation {
    said: u64,
    titled: u64,
    /// How many words the best message has, and which it is.
    best: Option<(u32, Uuid)>,
}

fn candidates_of(segments: &[Found], words: &SearchWords) -> Result<Vec<Candidate>> {
    let mut seen: HashMap<Uuid, SeenConversation> = HashMap::new();
    for Found { header, blocks } in segments {
        let mut bits = vec![0_u64; header.chunks.len()];
        for block in blocks {
            for (n, word) in words.words().iter().enumerate() {
                let mut mark = |postings: Postings<'_>| {
                    postings.for_each(header.chunk_count(), |posting| {
                        if let Some(bits) = bits.get_mut(posting.doc as usize) {
                            *bits |= 1 << n;
                        }
                    })
                };
                match word {
                    SearchWord::Term(term) => find_postings(block, term)?.map_or(Ok(()), &mut mark)?,
                    SearchWord::Beginning { beginning, stem } => {
                        find_postings(block, stem)?.map_or(Ok(()), &mut mark)?;
                        each_beginning(block, beginning, mark)?;
                    }
                }
            }
        }
        for ((chunk, document), bits) in header.chunks.iter().zip(&header.document_of).zip(bits) {
            let Some(conversation) = header.documents.get(*document as usize).filter(|_| bits != 0) else {
                continue;
            };
            let seen = seen.entry(*conversation).or_default();
            if chunk == conversation {
                seen.titled |= bits;
            } else {
                seen.said |= bits;
                seen.best = seen.best.max(Some((bits.count_ones(), *chunk)));
            }
        }
    }
    let fitting = seen.into_iter().filter(|(_, seen)| seen.said | seen.titled == words.all());
    let candidate = |(conversation, seen): (Uuid, SeenConversation)| Candidate {
        conversation: ConversationId(conversation),
        message: seen.best.map(|(_, message)| MessageId(message)),
        said: seen.said,
    };
    let mut candidates: Vec<Candidate> = fitting.map(candidate).collect();
    candidates.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.key()));
    Ok(candidates)
}
