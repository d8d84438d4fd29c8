//! Shares: links by which anybody reads a conversation as it was, without a login.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, ShareId, UserId};
use crate::message::{Citation, Message, MessageRole, MessageStatus, Part};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::sealing::random;
use crate::secret::Secret;
use crate::setters::setters;

/// Links that a conversation has at most at a time.
pub const MAX_SHARES: u32 = 100;
/// Messages of a shared branch at most.
pub const MAX_SHARED_MESSAGES: usize = 2_000;
/// Bytes of a shared branch as JSON at most.
pub const MAX_SHARED_BYTES: usize = 4 * 1024 * 1024;
/// How long a link is good if nobody says otherwise: 30 days.
pub const DEFAULT_SHARED_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a link is good at most: 366 days.
pub const MAX_SHARED_FOR: Duration = Duration::from_secs(366 * 24 * 3_600);

/// What the secret of a link begins with.
const TOKEN: &str = "ais_";

/// A link by which anybody reads a branch of a conversation as it was when it was shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    /// Its id, by which it is revoked; it opens nothing.
    pub id: ShareId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The last message of the branch that is shared.
    pub message_id: MessageId,
    /// Who shared it. While they may not act, the link opens nothing.
    pub user_id: UserId,
    /// The title of the conversation as it was.
    pub title: String,
    /// How many messages are shown.
    pub message_count: u32,
    /// Whether the conversation's instructions are shown.
    pub has_system_prompt: bool,
    /// When it was shared.
    pub created_at: Timestamp,
    /// When the link ends.
    pub expires_at: Timestamp,
}

/// A new link, with its secret, which is shown this once and never kept.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedShare {
    /// The link.
    #[serde(flatten)]
    pub share: Share,
    /// The secret part of the link: who has it reads what is shared.
    #[serde(serialize_with = "exposed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Secret,
}

/// The one place where a secret is written out: for who made it.
fn exposed<S: serde::Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

/// What of a conversation to share, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NewShare {
    /// The last message of the branch; default: that of the open branch.
    pub message_id: Option<MessageId>,
    /// When the link ends, at most 366 days ahead; default: in 30 days.
    pub expires_at: Option<Timestamp>,
    /// Whether to show the conversation's instructions, too; default false.
    pub include_system_prompt: bool,
}

impl NewShare {
    /// The open branch, for 30 days, without instructions.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The branch that ends with this message.
        optional message_id: MessageId;
        /// Until then.
        optional expires_at: Timestamp;
        /// With the conversation's instructions, or without.
        plain include_system_prompt: bool;
    }

    /// When a link that is made `now` ends.
    pub(crate) fn end(&self, now: Timestamp) -> Result<Timestamp> {
        let end = self.expires_at.unwrap_or(now.plus(DEFAULT_SHARED_FOR));
        if end <= now {
            return Err(Error::field("expires_at", "is not in the future"));
        }
        if end > now.plus(MAX_SHARED_FOR) {
            return Err(Error::field("expires_at", "is more than 366 days ahead; share it anew then"));
        }
        Ok(end)
    }
}

/// A shared conversation as who has the link sees it. It names nobody, and nothing in it
/// leads further: no ids, tools, thoughts of the model, or documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedConversation {
    /// The title.
    pub title: String,
    /// The conversation's instructions, if they are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// The messages, oldest first.
    pub messages: Vec<SharedMessage>,
    /// When it was shared: nothing that came later is in it.
    pub shared_at: Timestamp,
    /// When the link ends.
    pub expires_at: Timestamp,
}

/// A message of a shared conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedMessage {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<SharedPart>,
    /// How far it had come.
    pub status: MessageStatus,
    /// The model that wrote it, without the name of its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One part of a shared message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SharedPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture, by address or inline.
    Image {
        /// The address that was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The picture itself, base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
        /// The media type of `data`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// That a file was attached.
    File {
        /// Its name.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// A source of the answer: what it is called, and what the answer quotes of it.
    Citation {
        /// Its number in the answer, from 1.
        n: u32,
        /// The title of the document or source.
        title: String,
        /// The page, slide or sheet, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<u32>,
        /// The words that the answer quotes and that stand there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        quotes: Vec<String>,
    },
}

impl SharedMessage {
    /// What is shared of a message; `None` if nothing is. Instructions are, if
    /// `with_system` says so.
    pub fn of(message: &Message, with_system: bool) -> Option<Self> {
        let is_shown = match message.role {
            MessageRole::User | MessageRole::Assistant => true,
            MessageRole::System => with_system,
            MessageRole::Tool => false,
        };
        let is_answer = message.role == MessageRole::Assistant;
        let content: Vec<_> =
            message.content.iter().filter_map(|part| SharedPart::of(part, is_answer)).collect();
        (is_shown && !content.is_empty()).then(|| Self {
            role: message.role,
            content,
            status: message.status,
            model: message.model.as_ref().map(|label| {
                let model = label.split_once('/').map_or(label.as_str(), |(_, model)| model);
                model.to_owned()
            }),
            created_at: message.created_at,
        })
    }
}

impl SharedPart {
    /// What is shared of a part; `None` if nothing is. The passages that a question was
    /// answered from are citations of the question: they are whole texts of documents.
    fn of(part: &Part, is_answer: bool) -> Option<Self> {
        match part {
            Part::Text { text } => Some(Self::Text { text: text.clone() }),
            Part::Image { url, data, media_type } => {
                Some(Self::Image { url: url.clone(), data: data.clone(), media_type: media_type.clone() })
            }
            Part::File { name, media_type, .. } => {
                Some(Self::File { name: name.clone(), media_type: media_type.clone() })
            }
            Part::Citation(citation) if is_answer => Some(Self::citation(citation)),
            Part::Citation(_)
            | Part::Reasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Extra { .. } => None,
        }
    }

    fn citation(citation: &Citation) -> Self {
        let found = citation.quotes.iter().filter(|quote| quote.found);
        Self::Citation {
            n: citation.n,
            title: citation.title.clone(),
            page: citation.page,
            quotes: found.map(|quote| quote.text.clone()).collect(),
        }
    }
}

/// A new secret of a link, and the hash that is kept of it.
pub(crate) fn new_token() -> Result<(Secret, Vec<u8>)> {
    let secret = Zeroizing::new(random::<32>()?);
    let text = format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(secret.as_slice()));
    Ok((Secret::new(text), hash(secret.as_slice())))
}

/// The hash of a link's secret; `None` if it is none.
pub(crate) fn token_hash(text: &str) -> Option<Vec<u8>> {
    let mut secret = Zeroizing::new([0; 32]);
    let length = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(TOKEN)?, secret.as_mut_slice()).ok()?;
    (length == 32).then(|| hash(secret.as_slice()))
}

/// A fast hash is enough for 256 random bits.
fn hash(secret: &[u8]) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// Where shares are kept. Who writes to a conversation shares it, sees its links and
/// revokes them: its user, or the editors and owners of its workspace. To viewers that is
/// `Forbidden`, to all others the conversation or link is `NotFound`.
#[async_trait]
pub trait ShareStore: Send + Sync {
    /// Stores a link with what it shows and the SHA-256 of its secret; those of the
    /// conversation that have ended by its `created_at` go. `Conflict` if the id is taken
    /// or the conversation has [`MAX_SHARES`].
    async fn create(
        &self,
        scope: &Scope,
        share: &Share,
        secret_hash: &[u8],
        shown: &SharedConversation,
    ) -> Result<()>;
    /// The links of a conversation, newest first; those that have ended may be among them.
    async fn list(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        page: PageRequest,
    ) -> Result<Page<Share>>;
    /// Deletes a link with what it shows; returns its conversation.
    async fn delete(&self, scope: &Scope, id: ShareId) -> Result<ConversationId>;
    /// What the link with this secret shows, of any tenant; `None` if there is none, it has
    /// ended `now`, or who shared it, or their tenant, may not act or is being deleted.
    async fn find(&self, secret_hash: &[u8], now: Timestamp) -> Result<Option<SharedConversation>>;
    /// Deletes the links of all tenants that have ended by `now`.
    async fn clear(&self, now: Timestamp) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChunkId, DocumentId, FileId};
    use crate::message::{ToolCall, ToolResult};
    use serde_json::{Map, json};
    use uuid::Uuid;

    fn message(role: MessageRole, content: Vec<Part>) -> Message {
        Message {
            id: Uuid::from_u128(1).into(),
            conversation_id: Uuid::from_u128(2).into(),
            model: Some("secret-server/gpt/5".into()),
            metadata: Map::from_iter([("internal".into(), json!(1))]),
            ..Message::sample(role, content)
        }
    }

    fn citation() -> Citation {
        let mut citation = Citation::new(
            1,
            DocumentId(Uuid::from_u128(3)),
            ChunkId(Uuid::from_u128(4)),
            "Manual",
            "A long passage that says it in May.",
        );
        let quote =
            |text: &str, found| serde_json::from_value(json!({"text": text, "found": found})).unwrap();
        citation.url = Some("https://intranet.example/manual".into());
        citation.quotes = vec![quote("in May", true), quote("made up", false)];
        citation
    }

    #[test]
    fn nothing_but_what_is_said_is_shared() {
        let content = vec![
            Part::Reasoning { text: "thoughts".into(), details: None },
            Part::text("In May [1]."),
            Part::ToolCall(ToolCall::new("1", "query", json!({"sql": "SELECT"}))),
            Part::ToolResult(ToolResult::new("1", json!("rows"))),
            Part::Extra { fields: Map::from_iter([("x".into(), json!("y"))]) },
            Part::File { file_id: FileId(Uuid::from_u128(5)), name: "a.pdf".into(), media_type: "m".into() },
            Part::Citation(citation()),
        ];
        let shared = SharedMessage::of(&message(MessageRole::Assistant, content.clone()), false).unwrap();
        let expected = json!({
            "role": "assistant", "status": "complete", "model": "gpt/5", "created_at": "1970-01-01T00:00:00Z",
            "content": [
                {"type": "text", "text": "In May [1]."},
                {"type": "file", "name": "a.pdf", "media_type": "m"},
                {"type": "citation", "n": 1, "title": "Manual", "quotes": ["in May"]},
            ],
        });
        assert_eq!(serde_json::to_value(&shared).unwrap(), expected);
        // The passages of a question are not what somebody said.
        let question = SharedMessage::of(&message(MessageRole::User, content.clone()), false).unwrap();
        assert_eq!(question.content.len(), 2);
        assert_eq!(SharedMessage::of(&message(MessageRole::Tool, content.clone()), true), None);
        assert_eq!(SharedMessage::of(&message(MessageRole::Assistant, content[2..5].to_vec()), false), None);
        let system = message(MessageRole::System, vec![Part::text("Be brief.")]);
        assert_eq!(SharedMessage::of(&system, false), None);
        assert!(SharedMessage::of(&system, true).is_some());
    }

    #[test]
    fn sec_t22_secret_of_a_link_is_random_and_of_one_sort() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let (token, kept) = new_token().unwrap();
            let text = token.expose().to_owned();
            assert_eq!((text.len(), &text[..4]), (47, "ais_"));
            assert_eq!(token_hash(&text), Some(kept));
            for wrong in [&text[4..], &text[..46], &text.replace("ais_", "aim_"), &format!("{text}A")] {
                assert_eq!(token_hash(wrong), None, "{wrong}");
            }
            assert!(seen.insert(text));
        }
        for wrong in ["", "ais_", "ais_=", "ais_\u{1f600}"] {
            assert_eq!(token_hash(wrong), None);
        }
    }

    #[test]
    fn link_ends() {
        let now = Timestamp(0);
        assert_eq!(NewShare::new().end(now).unwrap(), now.plus(DEFAULT_SHARED_FOR));
        let latest = now.plus(MAX_SHARED_FOR);
        assert_eq!(NewShare::new().expires_at(latest).end(now).unwrap(), latest);
        for wrong in [now, Timestamp(-1), Timestamp(latest.0 + 1)] {
            let error = NewShare::new().expires_at(wrong).end(now).unwrap_err();
            assert_eq!(error.fields()[0].path, "expires_at");
        }
    }
}
