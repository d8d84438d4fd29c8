//! Typed identifiers: one newtype per noun, all UUIDv7, so that an id cannot be
//! passed where another noun's is meant and ids sort by creation time.

use uuid::Uuid;

use crate::error::Error;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The bare UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self).map_err(|_| {
                    Error::invalid(format!(
                        "`{}` is not the id of a {}; ids are UUIDs such as 0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f",
                        crate::text::shorten(text, 64), $noun,
                    ))
                })
            }
        }
    )*};
}

ids! {
    /// A customer of the embedding application; local mode has one.
    TenantId = "tenant";
    /// A person or service that owns conversations.
    UserId = "user";
    /// One login of a user.
    SessionId = "session";
    /// An API token of a user.
    ApiTokenId = "API token";
    /// An invite to register.
    InviteId = "invite";
    /// A workspace: a named group of conversations and prompts.
    WorkspaceId = "workspace";
    /// Users who are let into workspaces together.
    GroupId = "group";
    /// A member of a workspace: the id of a user or of a group.
    MemberId = "member";
    /// A stored system prompt.
    PromptId = "prompt";
    /// A conversation: a tree of messages.
    ConversationId = "conversation";
    /// A link by which a conversation is shared.
    ShareId = "share";
    /// One message of a conversation.
    MessageId = "message";
    /// The generation of one answer.
    RunId = "run";
    /// A stored file.
    FileId = "file";
    /// A file that comes in parts.
    UploadId = "upload";
    /// A part of an upload.
    UploadPartId = "upload part";
    /// Files that were attached to a collection together.
    FileBatchId = "file batch";
    /// A set of documents.
    CollectionId = "collection";
    /// A document of a collection.
    DocumentId = "document";
    /// The bytes of one upload of a document.
    BlobId = "blob";
    /// A stretch of a document.
    ChunkId = "chunk";
    /// The vectors of one model over one collection.
    SpaceId = "embedding space";
    /// A configured model server.
    ConnectionId = "connection";
    /// A tool's result that is kept whole.
    ToolOutputId = "tool output";
    /// A configured tool server.
    ToolServerId = "tool server";
    /// One usage record.
    UsageId = "usage record";
    /// A limit of what calls may cost.
    BudgetId = "budget";
    /// What a model costs from a moment on.
    PriceId = "price";
    /// One process that owns runs.
    WorkerId = "worker";
}

impl From<UserId> for MemberId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

impl From<GroupId> for MemberId {
    fn from(group: GroupId) -> Self {
        Self(group.0)
    }
}
