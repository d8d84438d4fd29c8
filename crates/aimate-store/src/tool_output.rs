//! Results of tools that are kept whole.

use aimate_core::tool::{KeptOutput, OutputPiece, ToolOutputStore};
use aimate_core::{ConversationId, Error, Result, Scope, ToolOutputId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Sql};
use crate::page::or_not_found;
use crate::value::{count, text};

/// Bytes of a piece at most.
const PIECE: usize = 64 * 1024;

/// In a conversation that the user may write to.
const KEEP: Sql = Sql::Same(
    "INSERT INTO tool_outputs (tenant_id, id, first_byte, conversation_id, total, piece) \
     SELECT $1, $3, $5, c.id, $6, $7 FROM conversations c \
     WHERE c.tenant_id = $1 AND c.id = $4 AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer')",
);
/// The pieces that hold byte `$5` and what follows.
const READ: Sql = Sql::Same(
    "SELECT o.first_byte, o.total, o.piece FROM tool_outputs o JOIN conversations c \
     ON c.tenant_id = o.tenant_id AND c.id = o.conversation_id \
     WHERE o.tenant_id = $1 AND o.id = $3 AND o.conversation_id = $4 \
     AND o.first_byte >= (SELECT max(b.first_byte) FROM tool_outputs b WHERE b.tenant_id = $1 AND b.id = $3 \
        AND b.first_byte <= $5) \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY o.first_byte LIMIT 2",
);

#[async_trait]
impl ToolOutputStore for SqlStore {
    async fn keep(&self, scope: &Scope, output: &KeptOutput) -> Result<()> {
        let whole = text(&output.text);
        let (mut statements, mut first) = (Vec::new(), 0);
        loop {
            let rest = whole.get(first..).unwrap_or_default();
            let piece = rest.get(..rest.floor_char_boundary(PIECE)).unwrap_or_default();
            let keep = KEEP
                .scoped(scope)
                .bind(output.id)
                .bind(output.conversation_id)
                .bind(count(first))
                .bind(count(whole.len()))
                .bind(piece);
            statements.push(keep.expect_touched(1));
            first += piece.len();
            if first >= whole.len() {
                break;
            }
        }
        match self.database.transaction_of(statements).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => {
                Err(self.not_their_conversation(scope, output.conversation_id).await)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        id: ToolOutputId,
        offset: u64,
        limit: usize,
    ) -> Result<OutputPiece> {
        let read = READ.scoped(scope).bind(id).bind(conversation).bind(count(offset));
        let rows = self.database.read(read).await?;
        let first = or_not_found(rows.first(), || Error::missing("tool output", id))?;
        let (begin, total): (u64, u64) = (first.get("first_byte")?, first.get("total")?);
        let mut all = String::new();
        for row in &rows {
            all.push_str(&row.get::<String>("piece")?);
        }
        let skip = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX).min(all.len());
        let skip = all.floor_char_boundary(skip);
        let rest = all.get(skip..).unwrap_or_default();
        let end = rest.floor_char_boundary(limit.clamp(1, PIECE)).max(first_char(rest));
        let piece = rest.get(..end).unwrap_or_default().to_owned();
        Ok(OutputPiece { text: piece, offset: begin + skip as u64, total })
    }
}

/// Bytes of the first character.
fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
