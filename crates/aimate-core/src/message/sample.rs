//! Messages for tests.

use serde_json::Map;
use uuid::Uuid;

use super::{Message, MessageRole, MessageStatus, Part, PathStats};
use crate::Timestamp;

impl Message {
    /// A complete message with nothing but its content.
    pub(crate) fn sample(role: MessageRole, content: Vec<Part>) -> Self {
        Self {
            id: Uuid::nil().into(),
            conversation_id: Uuid::nil().into(),
            parent_id: None,
            role,
            content,
            status: MessageStatus::Complete,
            model: None,
            usage: None,
            cost: None,
            metadata: Map::new(),
            created_at: Timestamp(0),
            path_stats: PathStats::default(),
        }
    }
}
