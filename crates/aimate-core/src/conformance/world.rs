//! What cases are played with: a tenant with two users, and short ways to
//! conversations, messages and runs.

use std::future::Future;

use serde_json::{Map, json};

use crate::audit::{AuditEvent, NewAuditRecord, action};
use crate::clock::{Ids as _, RandomIds, Timestamp};
use crate::connection::{Connection, ConnectionSettings, ConnectionStatus};
use crate::conversation::Conversation;
use crate::error::{ErrorKind, Result};
use crate::id::{ConversationId, TenantId, WorkerId, WorkspaceId};
use crate::message::{Message, MessageRole, MessageStatus, Part, PathStats};
use crate::model::Model;
use crate::page::{Page, PageRequest};
use crate::prompt::Prompt;
use crate::run::{BeginRun, EventBatch, FinishRun, Run, RunStatus};
use crate::scope::{Role, Scope};
use crate::sealing::Sealed;
use crate::session::Session;
use crate::tool::{
    ObservedTools, ServerInfo, Tool, ToolAuthType, ToolObservation, ToolPin, ToolServer, ToolServerStatus,
};
use crate::usage::{TokenUsage, UsageRecord};
use crate::user::User;
use crate::workspace::{Workspace, WorkspaceRole};
use crate::{Stores, chat::event::ChatEvent};

/// A tenant with two users, a namesake of the first in another tenant, and the
/// store they are in.
pub struct World<'s> {
    pub stores: &'s Stores,
    /// Whose rows the case makes.
    pub me: Scope,
    /// Another user of the same tenant.
    pub other: Scope,
    /// The same user id in another tenant.
    pub stranger: Scope,
    /// An admin of the tenant.
    pub admin: Scope,
    /// The worker of all runs.
    pub worker: WorkerId,
}

/// `seconds` after the beginning of 2026.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp((1_767_225_600 + seconds) * 1_000_000)
}

/// A new id, greater than all before it.
pub fn id<T: From<uuid::Uuid>>() -> T {
    RandomIds.next().into()
}

/// `result` is an error of `kind`.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

/// `result` is `NotFound`.
#[track_caller]
pub fn missing<T: std::fmt::Debug>(result: Result<T>) {
    refused(result, ErrorKind::NotFound);
}

/// All pages of a list, two rows at a time.
pub async fn all<T, F>(list: impl Fn(PageRequest) -> F) -> Vec<T>
where
    F: Future<Output = Result<Page<T>>>,
{
    let mut page = PageRequest::first(2);
    let mut rows = Vec::new();
    loop {
        let mut next = list(page).await.unwrap();
        assert!(next.data.len() <= 2, "a page has more rows than asked for");
        assert!(next.next.is_none() || next.data.len() == 2, "a page before the last is short");
        rows.append(&mut next.data);
        match next.next {
            Some(cursor) => page.after = Some(cursor),
            None => return rows,
        }
    }
}

pub fn user(email: Option<&str>, role: Role) -> User {
    User {
        id: id(),
        key: None,
        email: email.map(Into::into),
        name: "Ada".into(),
        role,
        is_active: true,
        settings: json!({"theme": "dark"}),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A session of a thousand seconds whose token has a hash of sevens.
pub fn session() -> Session {
    Session {
        id: id(),
        family_hash: vec![0, 1, 255],
        token_hash: vec![7; 32],
        ip: Some("127.0.0.1".into()),
        user_agent: Some("curl".into()),
        created_at: at(0),
        renewed_at: at(0),
        last_activity_at: at(0),
        expires_at: at(1_000),
    }
}

pub fn workspace(name: &str) -> Workspace {
    Workspace {
        id: id(),
        name: name.into(),
        description: "what it is for".into(),
        role: WorkspaceRole::Owner,
        is_archived: false,
        metadata: Map::from_iter([("n".into(), json!(1))]),
        conversation_count: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn prompt(workspace: Option<WorkspaceId>, title: &str) -> Prompt {
    Prompt {
        id: id(),
        workspace_id: workspace,
        title: title.into(),
        content: format!("You are {title}."),
        is_active: true,
        is_shared: false,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn conversation(title: &str) -> Conversation {
    Conversation {
        id: id(),
        workspace_id: None,
        title: title.into(),
        system_prompt: None,
        is_pinned: false,
        is_archived: false,
        is_hidden: false,
        tags: Vec::new(),
        metadata: Map::new(),
        active_leaf_id: None,
        message_count: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A message of ten tokens under `parent`.
pub fn message(conversation: ConversationId, parent: Option<&Message>, text: &str) -> Message {
    let path_stats = parent.map_or_else(PathStats::default, |parent| parent.path_stats).child(10);
    let role = if path_stats.depth % 2 == 1 { MessageRole::User } else { MessageRole::Assistant };
    Message {
        id: id(),
        conversation_id: conversation,
        parent_id: parent.map(|parent| parent.id),
        role,
        content: vec![Part::text(text)],
        status: MessageStatus::Complete,
        model: None,
        usage: None,
        cost: None,
        metadata: Map::new(),
        created_at: at(0),
        path_stats,
    }
}

/// What a key of this id sealed.
pub fn sealed(key_id: u32) -> Sealed {
    Sealed { key_id, bytes: vec![1, 0, 255] }
}

pub fn connection(name: &str) -> Connection {
    Connection {
        id: id(),
        name: name.into(),
        provider: "openai".into(),
        url: Some("https://api.example/v1".into()),
        has_key: true,
        key_hint: Some("1234".into()),
        sealed_key: Some(sealed(1)),
        is_enabled: true,
        is_shared: false,
        workspace_id: None,
        settings: ConnectionSettings { retries: Some(3), ..ConnectionSettings::default() },
        status: ConnectionStatus::Unknown,
        models_fetched_at: None,
        stale_since: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn model(connection: &Connection, name: &str) -> Model {
    Model {
        connection_id: connection.id,
        model_id: name.into(),
        name: name.to_uppercase(),
        context_window: Some(8192),
        capabilities: vec![crate::model::Capability::Chat],
        is_active: true,
        prices: None,
    }
}

pub fn tool_server(name: &str) -> ToolServer {
    ToolServer {
        id: id(),
        name: name.into(),
        url: Some("https://tools.example/mcp".into()),
        auth_type: ToolAuthType::Bearer,
        has_auth: true,
        sealed_auth: Some(sealed(1)),
        is_enabled: true,
        is_shared: false,
        is_configured: false,
        workspace_id: None,
        status: ToolServerStatus::Unknown,
        error: None,
        server: None,
        tool_count: 0,
        tools_fetched_at: None,
        tools_expire_at: None,
        stale_since: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn tool(name: &str) -> Tool {
    Tool::new(name, "what it does", json!({"type": "object", "properties": {"n": {"minimum": 1.5}}}))
}

/// That a server listed these tools, each approved if it is the first list.
pub fn observed(names: &[&str], seconds: i64) -> ToolObservation {
    let tools: Vec<Tool> = names.iter().map(|name| tool(name)).collect();
    let mut server = ServerInfo::default();
    (server.name, server.version) = ("everything".into(), "1.0".into());
    ToolObservation {
        outcome: Ok(ObservedTools {
            server,
            problems: vec!["one was left out".into()],
            expire_at: at(seconds + 300),
            first_pins: tools.iter().map(|tool| (tool.name.clone(), ToolPin::of(tool, None))).collect(),
            tools,
        }),
        now: at(seconds),
    }
}

pub fn text_events(first: u64, texts: &[&str]) -> EventBatch {
    let event = |text: &&str| ChatEvent::Text { text: (*text).to_owned() };
    EventBatch { first, events: texts.iter().map(event).collect() }
}

/// What a call of `input` and `output` tokens used.
pub fn tokens(input: u64, output: u64) -> TokenUsage {
    TokenUsage { input_tokens: input, output_tokens: output, ..TokenUsage::default() }
}

/// The run of `begin` ends well, saying `text` in seven tokens.
pub fn finish(begin: &BeginRun, text: &str, events: EventBatch) -> FinishRun {
    let run = &begin.run;
    FinishRun {
        id: run.id,
        conversation_id: run.conversation_id,
        message_id: run.message_id,
        attempt: run.attempt,
        status: RunStatus::Completed,
        error: None,
        finish_reason: Some(crate::provider::FinishReason::Stop),
        content: vec![Part::text(text)],
        tokens: 7,
        usage: UsageRecord {
            id: id(),
            run_id: Some(run.id),
            conversation_id: Some(run.conversation_id),
            model: run.model.clone(),
            tags: run.tags.clone(),
            workspace_id: run.workspace_id,
            outcome: RunStatus::Completed.usage_outcome(),
            usage: tokens(20, 7),
            created_at: at(200),
        },
        events,
        now: at(200),
    }
}

impl<'s> World<'s> {
    /// Three users in a tenant and one in another.
    pub async fn new(stores: &'s Stores) -> Self {
        let (tenant, elsewhere): (TenantId, TenantId) = (id(), id());
        let scope = |tenant, user: &User| Scope { tenant, user: user.id, role: user.role };
        let (me, other, admin) = (user(None, Role::User), user(None, Role::User), user(None, Role::Admin));
        let world = Self {
            stores,
            me: scope(tenant, &me),
            other: scope(tenant, &other),
            stranger: scope(elsewhere, &me),
            admin: scope(tenant, &admin),
            worker: id(),
        };
        for (scope, user) in
            [(world.me, &me), (world.other, &other), (world.stranger, &me), (world.admin, &admin)]
        {
            stores.users.create(&scope, user).await.unwrap();
        }
        stores.workers.join(world.worker, at(0)).await.unwrap();
        world
    }

    /// Who must see nothing of what `me` has.
    pub fn others(&self) -> [Scope; 3] {
        [self.other, self.stranger, self.admin]
    }

    pub async fn workspace(&self, name: &str) -> Workspace {
        let workspace = workspace(name);
        self.stores.workspaces.create(&self.me, &workspace).await.unwrap();
        workspace
    }

    pub async fn conversation(&self, title: &str) -> Conversation {
        let conversation = conversation(title);
        self.stores.conversations.create(&self.me, &conversation).await.unwrap();
        conversation
    }

    /// Appends `texts` under `parent`, each under the one before.
    pub async fn thread(&self, to: &Conversation, parent: Option<&Message>, texts: &[&str]) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        for text in texts {
            messages.push(message(to.id, messages.last().or(parent), text));
        }
        self.stores.conversations.append(&self.me, to.id, &messages, at(1)).await.unwrap();
        messages
    }

    /// A turn that says "hi" under `parent`.
    pub fn turn(&self, conversation: ConversationId, parent: Option<&Message>) -> BeginRun {
        let question = Message { created_at: at(100), ..message(conversation, parent, "hi") };
        let answer = Message {
            content: Vec::new(),
            status: MessageStatus::Streaming,
            model: Some("local/llama".into()),
            role: MessageRole::Assistant,
            created_at: at(100),
            path_stats: question.path_stats.child(0),
            ..message(conversation, Some(&question), "")
        };
        let run = Run {
            id: id(),
            conversation_id: conversation,
            user_message_id: Some(question.id),
            message_id: answer.id,
            status: RunStatus::Running,
            model: "local/llama".into(),
            error: None,
            finish_reason: None,
            usage: None,
            context: json!({"included": 1}),
            worker_id: self.worker,
            attempt: 1,
            client_id: None,
            client_hash: None,
            tags: vec!["ticket:1".into()],
            workspace_id: None,
            created_at: at(100),
            finished_at: None,
        };
        BeginRun {
            create: None,
            title: None,
            messages: vec![question],
            answer,
            run,
            request: None,
            replaces: None,
        }
    }

    /// A stored turn in a new conversation.
    pub async fn begun(&self) -> BeginRun {
        let conversation = self.conversation("talk").await;
        let begin = self.turn(conversation.id, None);
        self.stores.runs.begin(&self.me, &begin).await.unwrap();
        begin
    }

    pub async fn tool_server(&self, name: &str) -> ToolServer {
        let server = tool_server(name);
        self.stores.tool_servers.create(&self.me, &server).await.unwrap();
        server
    }

    pub async fn connection(&self, name: &str) -> Connection {
        let connection = connection(name);
        self.stores.connections.create(&self.me, &connection).await.unwrap();
        connection
    }
}

/// The record of a login of the scope's user.
pub fn audit_record(scope: &Scope) -> NewAuditRecord {
    let event = AuditEvent::new(action::LOGIN).actor(scope.user).target("user", scope.user);
    NewAuditRecord::of(event.detail("ip", "192.0.2.1"), at(1)).unwrap()
}
