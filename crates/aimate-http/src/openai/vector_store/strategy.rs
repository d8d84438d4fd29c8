//! How a file is split into chunks, in OpenAI's form.

use aimate_core::Error;
use aimate_core::knowledge::TokenChunking;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file is split into chunks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ChunkingStrategy {
    /// 800 tokens, of which 400 are repeated.
    #[default]
    Auto,
    /// So many.
    Static {
        /// How many.
        r#static: StaticChunking,
    },
    /// As its collection says: it was added by `/api/v1`.
    Other,
}

/// Sizes of chunks.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct StaticChunking {
    /// Maximum tokens of a chunk, 100 to 4096.
    max_chunk_size_tokens: u32,
    /// Tokens repeated from the previous chunk, at most half of it.
    chunk_overlap_tokens: u32,
}

impl ChunkingStrategy {
    /// The strategy of a document.
    pub(super) fn of(chunking: Option<TokenChunking>) -> Self {
        chunking.map_or(Self::Other, |TokenChunking { max_tokens, overlap }| Self::Static {
            r#static: StaticChunking { max_chunk_size_tokens: max_tokens, chunk_overlap_tokens: overlap },
        })
    }

    /// The same for the engine.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(super) fn chunking(self) -> aimate_core::Result<TokenChunking> {
        let chunking = match self {
            Self::Auto => TokenChunking::default(),
            Self::Static { r#static: given } => {
                TokenChunking { max_tokens: given.max_chunk_size_tokens, overlap: given.chunk_overlap_tokens }
            }
            Self::Other => {
                return Err(Error::field("chunking_strategy.type", "must be `auto` or `static`"));
            }
        };
        chunking.check()?;
        Ok(chunking)
    }
}
