//! From a request to the turn, or the call, that answers it.

use std::collections::BTreeMap;

use aimate_core::chat::{InputMessage, OnApproval, Truncation, Turn, TurnInput};
use aimate_core::knowledge::SourcePassage;
use aimate_core::message::{MessageRole, text_of};
use aimate_core::run::Run;
use aimate_core::tool::{OfferedServer, WEB_SEARCH};
use aimate_core::{ConversationId, Error, ErrorKind, ErrorReason, MessageId, PageRequest, Scope};
use serde_json::Value;

use super::approval::{self, Approval};
use super::echo::Echo;
use super::input;
use super::input_file;
use super::mcp;
use super::object::PREFIX;
use super::prompt;
use super::reference;
use super::request::{ParsedResponse, ResponseBody, previous_not_found};
use super::sealed;
use super::search::AnswerSearch;
use crate::app::App;
use crate::error::{Failure, Result};
use crate::openai::wire_id;

/// The header with the caller's own id of a response.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A request that is ready to be answered.
pub(super) struct Asked {
    pub(super) parsed: ParsedResponse,
    /// The new messages.
    pub(super) messages: Vec<InputMessage>,
    /// What was found for them.
    pub(super) passages: Vec<SourcePassage>,
    /// What a person decided of calls before.
    pub(super) approvals: Vec<Approval>,
    /// The tool servers that the model may use.
    pub(super) servers: Vec<OfferedServer>,
    /// What they follow.
    pub(super) follows: Option<Followed>,
    /// The caller's own id of the response, and what tells it from another one of that id.
    pub(super) client_id: Option<(String, Value)>,
}

/// What a response follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    pub(super) conversation: ConversationId,
    /// The answer that is followed; `None` for the end of the conversation.
    pub(super) answer: Option<MessageId>,
}

impl Asked {
    /// Checks a request and looks up what it names.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` for a response, conversation or prompt that is not
    /// there.
    pub(super) async fn read(app: &App, scope: &Scope, mut body: ResponseBody) -> Result<Self> {
        let reference = body.prompt.take();
        body.has_prompt = reference.is_some();
        let mut parsed = body.parse()?;
        let stored_prompt = match reference {
            Some(reference) => Some(prompt::read(app, scope, reference, &mut parsed.echo).await?),
            None => None,
        };
        let follows = followed(app, scope, &parsed).await?;
        reference::resolve(app, scope, &mut parsed.items).await?;
        input_file::resolve(app, scope, &mut parsed.items).await?;
        if let Some(search) = &parsed.web_search {
            search.check(app)?;
        }
        let conversation = follows.map(|followed| followed.conversation);
        let approvals = Box::pin(approval::read(app, scope, &parsed.items, conversation)).await?;
        let opened = sealed::opened(app, scope, &parsed.items).await?;
        let mut messages = input::messages(&parsed.items, &opened)?;
        match stored_prompt {
            // Without a question the prompt is one.
            Some(text) if messages.is_empty() && approvals.is_empty() => {
                messages
                    .push(InputMessage::new(MessageRole::User, vec![aimate_core::message::Part::text(text)]));
            }
            Some(text) => parsed.instructions = Some(joined(&text, parsed.instructions.as_deref())),
            None => {}
        }
        parsed.echo.check(parsed.search.is_some(), !parsed.servers.is_empty())?;
        if follows.is_none() && !parsed.has_memory {
            input::check_outputs(messages.iter().flat_map(|message| &message.content))?;
        }
        let (passages, servers) = (Vec::new(), Vec::new());
        Ok(Self { parsed, messages, passages, approvals, servers, follows, client_id: None })
    }

    /// Has the response made once under the caller's own id.
    pub(super) fn once(&mut self, client_id: Option<String>) {
        self.client_id = client_id.map(|id| (id, self.parsed.echo.stored()));
    }

    /// Asks tool servers for their tools, and looks for passages, if that is asked for; says in the
    /// echo what came of it.
    ///
    /// # Errors
    /// `NotFound`, naming a vector store that is not there; `Invalid`, naming a tool server.
    pub(super) async fn search(&mut self, app: &App, scope: &Scope) -> Result<()> {
        Box::pin(self.list_tools(app, scope)).await?;
        let Some(search) = &self.parsed.search else { return Ok(()) };
        let last = self.messages.iter().rev().find(|message| message.role == MessageRole::User);
        let query = last.and_then(|message| AnswerSearch::query(&text_of(&message.content)));
        let Some(query) = query else { return Ok(()) };
        let found = search.find(app, scope, &query).await?;
        self.passages = found.passages;
        self.parsed.echo.attributes = found.attributes;
        self.parsed.echo.queries = Some(vec![query]);
        Ok(())
    }

    /// Asks the tool servers for their tools.
    async fn list_tools(&mut self, app: &App, scope: &Scope) -> Result<()> {
        if self.parsed.servers.is_empty() {
            return Ok(());
        }
        let before = match (self.parsed.previous, self.follows) {
            (Some(id), _) => stored_run(app, scope, &wire_id::write(PREFIX, id.0)).await?.1.listed,
            (None, Some(Followed { conversation, .. })) => listed_in(app, scope, conversation).await?,
            (None, None) => BTreeMap::new(),
        };
        self.offer(app, scope).await?;
        mcp::list(&mut self.parsed.echo, &self.servers, before);
        Ok(())
    }

    /// Offers the tools of the tool servers, and holds to the choice of one.
    async fn offer(&mut self, app: &App, scope: &Scope) -> Result<()> {
        let servers = std::mem::take(&mut self.parsed.servers);
        self.servers = mcp::offered(app, scope, servers).await?;
        if let Some(forced) = &self.parsed.forced {
            self.parsed.tool_choice = mcp::forced(&self.servers, forced)?;
        }
        let has_none = self.servers.iter().all(|server| server.tools().next().is_none());
        if has_none && self.parsed.tools.is_empty() && self.parsed.web_search.is_none() {
            // Model servers refuse a choice of nothing.
            self.parsed.tool_choice = None;
        }
        Ok(())
    }

    /// Makes ready what a prompt is counted with: what is to be searched is there, and registered
    /// tool servers offer their tools. Those whose address the request brings are not asked.
    ///
    /// # Errors
    /// As for [`Asked::search`].
    pub(super) async fn check(&mut self, app: &App, scope: &Scope) -> Result<()> {
        self.parsed.servers.retain(|server| !server.is_brought());
        if !self.parsed.servers.is_empty() {
            self.parsed.forced = None;
            self.offer(app, scope).await?;
        }
        self.check_search(app, scope).await
    }

    /// Whether what is to be searched is there.
    ///
    /// # Errors
    /// `NotFound`, naming a vector store that is not.
    async fn check_search(&self, app: &App, scope: &Scope) -> Result<()> {
        match &self.parsed.search {
            Some(search) => search.check(app, scope).await,
            None => Ok(()),
        }
    }

    /// The turn that answers and stores it.
    ///
    /// # Errors
    /// `Invalid` if nothing is asked.
    pub(super) async fn into_turn(self, app: &App, scope: &Scope) -> Result<Turn> {
        let Self { parsed, messages, passages, approvals, servers, follows, client_id } = self;
        let has_decided = !approvals.is_empty();
        let input = match follows {
            _ if !messages.is_empty() || has_decided => TurnInput::Messages(messages),
            Some(Followed { conversation, answer: None }) => open_question(app, scope, conversation).await?,
            _ => return Err(Error::field("input", "is missing; it needs a text or a list of items").into()),
        };
        let is_background = parsed.echo.is_background();
        let mut turn = Turn::of(input).stream(parsed.is_streamed || is_background).sampling(parsed.sampling);
        turn.conversation = follows.map(|followed| followed.conversation);
        turn.parent = follows.and_then(|followed| followed.answer);
        turn.hidden = follows.is_none();
        turn.model = Some(parsed.model);
        turn.system_prompt = parsed.instructions;
        turn.own_prompts_only = true;
        turn.knowledge = Some(Vec::new());
        turn.passages = passages;
        turn.tools = parsed.tools;
        let decided = approvals.into_iter().enumerate();
        turn.decided = decided.map(|(n, approval)| approval.into_decided(n, &servers)).collect();
        turn.tool_servers = servers;
        turn.use_tools = parsed.web_search.map(|_| WEB_SEARCH.to_owned()).into_iter().collect();
        turn.on_approval = OnApproval::End;
        turn.tool_choice = parsed.tool_choice;
        turn.parallel_tool_calls = parsed.parallel_tool_calls;
        turn.max_tool_calls = parsed.max_tool_calls;
        turn.response_format = parsed.response_format;
        turn.truncation = if parsed.is_cut { Truncation::Auto } else { Truncation::Disabled };
        turn.request = Some(parsed.echo.stored());
        // Clients send again what failed. A call that was decided of may have been made all the same.
        turn.retry = client_id.is_some() && !has_decided;
        (turn.client_id, turn.identity) = client_id.unzip();
        Ok(turn)
    }
}

fn joined(prompt: &str, instructions: Option<&str>) -> String {
    instructions.map_or_else(|| prompt.to_owned(), |more| format!("{prompt}\n\n{more}"))
}

/// What the last response in a conversation listed, or knew to be listed.
async fn listed_in(app: &App, scope: &Scope, id: ConversationId) -> Result<BTreeMap<String, String>> {
    let page = app.engine.conversations(scope).messages(id, None, PageRequest::first(1)).await?;
    let Some(run) = page.data.last().and_then(|listed| listed.run_id) else { return Ok(BTreeMap::new()) };
    match app.engine.runs(scope).with_request(run).await {
        Ok((_, request)) => Ok(Echo::read(&request).map(|echo| echo.listed).unwrap_or_default()),
        // It was forgotten, or is none of these.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// The question at the end of a conversation, which nobody has answered.
async fn open_question(app: &App, scope: &Scope, id: ConversationId) -> Result<TurnInput> {
    let page = app.engine.conversations(scope).messages(id, None, PageRequest::first(1)).await?;
    match page.data.last().map(|listed| &listed.message) {
        Some(last) if matches!(last.role, MessageRole::User | MessageRole::Tool) => {
            Ok(TurnInput::Regenerate(last.id))
        }
        _ => Err(Error::field("input", "is missing, and the conversation has no open question").into()),
    }
}

/// What the request follows.
async fn followed(app: &App, scope: &Scope, parsed: &ParsedResponse) -> Result<Option<Followed>> {
    if let Some(id) = parsed.previous {
        let shown = wire_id::write(PREFIX, id.0);
        let (run, _) = stored_run(app, scope, &shown).await.map_err(|failure| {
            if failure.error.kind() == ErrorKind::NotFound { previous_not_found(&shown) } else { failure }
        })?;
        if !run.status.is_final() {
            let why = format!(
                "Previous response with id '{shown}' is still in progress; wait for it, or cancel it"
            );
            return Err(Error::field("previous_response_id", why).into());
        }
        return Ok(Some(Followed { conversation: run.conversation_id, answer: Some(run.message_id) }));
    }
    let Some(id) = parsed.conversation else { return Ok(None) };
    app.engine.conversations(scope).get(id).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            wire_id::missing("conversation", &wire_id::write("conv_", id.0)).with_source(error)
        } else {
            error
        }
    })?;
    Ok(Some(Followed { conversation: id, answer: None }))
}

/// The run of a response that can be read, and what it repeats of its request.
///
/// # Errors
/// `NotFound`, with the id in its text.
pub(super) async fn stored_run(app: &App, scope: &Scope, id: &str) -> Result<(Run, Echo)> {
    let missing = || wire_id::missing("response", id);
    let found = app.engine.runs(scope).with_request(wire_id::of(PREFIX, "response", id)?.into()).await;
    let (run, request) = found.map_err(|error| {
        if error.kind() == ErrorKind::NotFound { missing().with_source(error) } else { error }
    })?;
    let echo = Echo::read(&request).filter(Echo::is_stored);
    let echo = echo.ok_or_else(missing)?;
    Ok((run, echo))
}

/// What went wrong when a turn was begun, in OpenAI's terms.
pub(super) fn refused(error: Error, follows: Option<Followed>) -> Failure {
    match (error.kind(), follows) {
        (ErrorKind::Conflict, _) if error.reason() == Some(ErrorReason::ClientIdUsed) => {
            let why =
                "this `Idempotency-Key` was used for another request; send a new one with a new request";
            Failure::from(Error::conflict(why).with_source(error)).of_param(IDEMPOTENCY_KEY)
        }
        // Else what is followed was deleted meanwhile.
        (ErrorKind::NotFound, _) if error.reason() == Some(ErrorReason::UnknownModel) => {
            Failure::from(error).coded("model_not_found").of_param("model")
        }
        (ErrorKind::Conflict, Some(Followed { answer: None, .. })) => {
            Failure::from(error).coded("conversation_locked").of_param("conversation")
        }
        (ErrorKind::ContextOverflow, _) => Failure::from(error).of_param("input"),
        _ => renamed(error).into(),
    }
}

/// An error of a field under the name that the field has here.
fn renamed(error: Error) -> Error {
    let Some(field) = error.fields().first() else { return error };
    let path = &field.path;
    if path == "client_id" {
        return Error::field(IDEMPOTENCY_KEY, field.message.clone()).with_source(error);
    }
    // Which item it is, is not known any more: what says nothing is no message, and a prompt is one.
    if !path.starts_with("messages") && !path.starts_with("content") {
        return error;
    }
    Error::field("input", field.message.clone()).with_source(error)
}

/// The passages that a run's model was shown.
pub(super) async fn found(
    app: &App,
    scope: &Scope,
    run: &Run,
    echo: &Echo,
) -> Result<Vec<aimate_core::message::Citation>> {
    let question = run.user_message_id.filter(|_| echo.queries.is_some());
    let Some(question) = question else { return Ok(Vec::new()) };
    let conversations = app.engine.conversations(scope);
    let last = conversations.message(run.conversation_id, question).await?;
    let content = if last.role == MessageRole::User {
        last.content
    } else {
        // Calls and their outputs follow the question.
        let page = PageRequest::first(PageRequest::MAX_LIMIT);
        let read = conversations.messages(run.conversation_id, Some(question), page).await?;
        let mut newest = read.data.into_iter().rev().map(|listed| listed.message);
        let question = newest.find(|message| message.role == MessageRole::User);
        question.map(|question| question.content).unwrap_or_default()
    };
    let passages = content.into_iter().filter_map(|part| match part {
        aimate_core::message::Part::Citation(one) => Some(one),
        _ => None,
    });
    Ok(passages.collect())
}
