//! `ask`.

use std::time::Duration;

use aimate_core::chat::event::{ChatEvent, Finished};
use aimate_core::chat::{OnDisconnect, Turn};
use aimate_core::message::{Citation, Part, text_of};
use aimate_core::{Answer, ConversationId, DocumentId, Engine, Error, MessageId, Result, Scope};
use rmcp::model::{
    CallToolResult, JsonObject, ProgressNotificationParam, ProgressToken, Tool, ToolAnnotations,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::{resources, schema};
use super::conversations::id;
use super::{ASK, result};

/// Between two notifications of progress: tokens come faster than anybody reads them.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// What usage of these turns is summed by.
const TAG: &str = "mcp";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskArguments {
    /// The question.
    question: String,
    /// The collections whose passages the model is shown, by name or id; none if left out.
    #[serde(default)]
    collections: Option<Vec<String>>,
    /// The conversation to go on with, by its id; a new one if left out.
    #[serde(default)]
    conversation_id: Option<String>,
    /// The model that answers, as CONNECTION/MODEL; the conversation's last one, or the default, if left out.
    #[serde(default)]
    model: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct AskResult {
    /// The answer; `[n]` in it is a citation.
    answer: String,
    /// What the answer cites.
    citations: Vec<CitedPassage>,
    /// The conversation that the exchange is kept in.
    #[schemars(with = "String")]
    conversation_id: ConversationId,
    /// The answer's message.
    #[schemars(with = "String")]
    message_id: MessageId,
    /// The model that answered.
    model: Option<String>,
    /// Why the model stopped: `stop`, or for example `length`.
    finish_reason: String,
    /// What could not be done for the answer; a sentence each.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct CitedPassage {
    /// Its number in the answer.
    n: u32,
    /// The document, for `get_document`.
    #[schemars(with = "Option<String>")]
    document_id: Option<DocumentId>,
    /// The document as a resource, or where else the passage can be read.
    uri: Option<String>,
    /// The title of the document.
    title: String,
    /// The page, slide or sheet, from 1, where the format has them.
    page: Option<u32>,
    /// The passage.
    text: String,
}

pub(super) fn tool() -> Tool {
    let hints = ToolAnnotations::with_title("Ask aiMate").read_only(false).destructive(false);
    let description = "Has aiMate's model answer a question, from passages of the named collections and with citations. \
        The exchange is kept as a conversation, which a later call can go on with. Takes seconds to minutes.";
    Tool::new(ASK, description, schema::input::<AskArguments>())
        .with_title("Ask aiMate")
        .with_raw_output_schema(schema::output::<AskResult>())
        .with_annotations(hints.idempotent(false).open_world(true))
}

/// Runs a turn. Whoever cancels the call, or goes away from it, cancels the run.
pub(super) async fn call(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult> {
    let arguments: AskArguments = schema::arguments(arguments)?;
    let mut turn = Turn::new(arguments.question).on_disconnect(OnDisconnect::Cancel).tag(TAG);
    if let Some(conversation) = &arguments.conversation_id {
        turn = turn.conversation(id(conversation)?);
    }
    if let Some(collections) = arguments.collections {
        turn = turn.knowledge(collections);
    }
    turn.model = arguments.model.filter(|model| !model.is_empty());
    let answer = engine.chat(scope, turn).await?;
    let progress =
        context.meta.get_progress_token().map(|token| AskProgress::new(context.peer.clone(), token));
    let (finished, warnings) = follow(answer, progress).await?;
    let message = finished.message;
    let answer = text_of(&message.content);
    let citations = message.content.iter().filter_map(|part| match part {
        Part::Citation(citation) => Some(CitedPassage::from(citation)),
        _ => None,
    });
    let answered = AskResult {
        citations: citations.collect(),
        conversation_id: message.conversation_id,
        message_id: message.id,
        model: message.model,
        finish_reason: finished.finish_reason.as_str().to_owned(),
        warnings,
        answer,
    };
    let text = written(&answered);
    result(&answered, Some(text))
}

/// Listens to the end and tells meanwhile what has come.
async fn follow(mut answer: Answer, mut progress: Option<AskProgress>) -> Result<(Finished, Vec<String>)> {
    let mut warnings = Vec::new();
    while let Some(event) = answer.next().await {
        match event {
            ChatEvent::Finished(finished) => return Ok((*finished, warnings)),
            ChatEvent::Error { code, detail, .. } => return Err(Error::new(code, detail)),
            ChatEvent::Warning { detail, .. } => warnings.push(detail),
            ChatEvent::Text { text } => {
                if let Some(progress) = &mut progress {
                    progress.add(&text).await;
                }
            }
            ChatEvent::Retrieved { citations } => {
                if let Some(progress) = &mut progress {
                    progress.tell(format!("{} passages found", citations.len())).await;
                }
            }
            _ => {}
        }
    }
    Err(Error::internal("the answer ended without a last event"))
}

/// Tells the client, which asked for it, what has come.
struct AskProgress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// Grows with each notification, as the protocol demands.
    told: f64,
    last: Option<Instant>,
    /// What has come since.
    news: String,
}

impl AskProgress {
    fn new(peer: Peer<RoleServer>, token: ProgressToken) -> Self {
        Self { peer, token, told: 0.0, last: None, news: String::new() }
    }

    async fn add(&mut self, text: &str) {
        self.news.push_str(text);
        if self.last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            let news = std::mem::take(&mut self.news);
            self.tell(news).await;
        }
    }

    async fn tell(&mut self, message: String) {
        self.told += 1.0;
        self.last = Some(Instant::now());
        let news = ProgressNotificationParam::new(self.token.clone(), self.told).with_message(message);
        // Who does not listen any more has cancelled, or will read the result.
        if let Err(error) = self.peer.notify_progress(news).await {
            tracing::debug!(%error, "progress could not be told");
        }
    }
}

impl From<&Citation> for CitedPassage {
    fn from(citation: &Citation) -> Self {
        Self {
            n: citation.n,
            document_id: citation.document_id,
            uri: citation.document_id.map(resources::uri).or_else(|| citation.url.clone()),
            title: citation.title.clone(),
            page: citation.page,
            text: citation.text.clone(),
        }
    }
}

/// The answer with its sources, as a model reads it.
fn written(answered: &AskResult) -> String {
    let mut text = answered.answer.clone();
    if !answered.citations.is_empty() {
        text.push_str("\n\nSources:");
    }
    for one in &answered.citations {
        let page = one.page.map(|page| format!(", page {page}")).unwrap_or_default();
        let document = one.document_id.map(|id| format!(" (document {id})")).unwrap_or_default();
        text.push_str(&format!("\n[{}] {}{page}{document}", one.n, one.title));
    }
    text
}
