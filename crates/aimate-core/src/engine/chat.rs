//! One turn: from what the caller said to a run that is stored and driven.

use std::sync::Arc;

use aimate_text::tokens::Tokenizer;
use tracing::Instrument as _;
use tracing::field::{self, Empty};

use super::budget_hold::BudgetHold;
use super::decided::DecidedCalls;
use super::held::Hold;
use super::replay::Tried;
use super::resolve::ResolvedModel;
use super::run_call::RunQuestion;
use super::turn_prompt::{Branch, TurnPrompt, budget};
use super::{Answer, Engine};
use crate::chat::accounting::Accounting;
use crate::chat::channel::Channel;
use crate::chat::context::{self, MAX_MESSAGES, PromptBudget, message_tokens};
use crate::chat::end::PartialAnswer;
use crate::chat::event::ChatEvent;
use crate::chat::finish::started;
use crate::chat::model_call::ModelCall;
use crate::chat::tool_loop::{ParkedTurn, ToolLoop};
use crate::chat::tool_pairs::check_results;
use crate::chat::transcript::Transcript;
use crate::chat::{DecidedCall, InputMessage, Turn, TurnInput};
use crate::conversation::{Conversation, NewConversation, Window};
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::message::{Message, MessageRole, MessageStatus, Part, ToolCall, text_of};
use crate::metrics;
use crate::observer::TurnSummary;
use crate::per_user::UserPlace;
use crate::provider::ProviderId;
use crate::retrieval::citations::passages_of_newest;
use crate::run::{BeginRun, Begun};
use crate::scope::Scope;
use crate::usage::TokenUsage;
use crate::warning::WarningCode;

/// The window that a branch is read for before it is known which model answers.
const FIRST_WINDOW: u32 = 8_192;
/// Bytes of text from which on tokens are counted off the async threads.
const LONG_TEXT: usize = 32 * 1024;

/// A turn that is ready to be stored and asked.
struct Prepared {
    begin: BeginRun,
    call: ModelCall,
    /// `None` without tools that aiMate calls.
    tools: Option<ToolLoop>,
    accounting: Accounting,
    /// The calls that the answer begins with.
    calls: Vec<ToolCall>,
    /// What a person decided of them.
    decided: Vec<DecidedCall>,
    /// What could not be done for the prompt.
    warnings: Vec<(WarningCode, String)>,
    /// Until the run is driven, nobody may take it for abandoned.
    hold: Hold<RunId>,
    /// What is set aside for the call; given back if it does not take place.
    budget: Option<BudgetHold>,
    /// Its place among the user's answers.
    place: UserPlace,
}

impl Engine {
    /// Answers a turn: stores the caller's messages, the answer's placeholder
    /// and the run in one commit, then asks the model in a task of the engine.
    /// The answer is stored whether or not somebody listens.
    ///
    /// # Errors
    /// `Invalid`, `TooLarge`; `NotFound` for an unknown conversation, message
    /// or model; `ContextOverflow`; `Conflict` while the message to be answered
    /// is being written, or if `client_id` was used for another turn; `Forbidden` or
    /// `RateLimited` as an observer says; `Unavailable` while draining. Nothing is stored then. What fails after
    /// that comes as the last event.
    pub async fn chat(&self, scope: &Scope, turn: Turn) -> Result<Answer> {
        self.admit(scope).await?;
        let span = tracing::info_span!(
            "turn",
            tenant = %scope.tenant,
            user = %scope.user,
            conversation_id = Empty,
            run_id = Empty,
            model = Empty,
        );
        self.answer(scope, turn).instrument(span).await
    }

    async fn answer(&self, scope: &Scope, turn: Turn) -> Result<Answer> {
        self.accepting()?;
        if self.running() >= self.inner.max_runs {
            return Err(Error::unavailable("too many answers are being written; try again in a moment")
                .with_retry_after(std::time::Duration::from_secs(1)));
        }
        let turn = turn.validated()?;
        let client_id = turn.client_id.clone();
        let client_hash = client_id.is_some().then(|| turn.hash());
        let on_disconnect = turn.on_disconnect;
        let (turn, replaces) = match self.tried_before(scope, turn, client_hash.as_deref()).await? {
            Tried::Answered(run) => return self.replay(scope, &run, client_hash.as_deref()),
            Tried::Failed(run, turn) => (*turn, Some(run)),
            Tried::Not(turn) => (*turn, None),
        };
        let place = self.place_of_answer(scope)?;
        let mut prepared = match self.prepare(scope, turn, place).await {
            Ok(prepared) => prepared,
            Err(error) if replaces.is_some() => return Err(error),
            Err(error) => return self.same_turn(scope, client_id, client_hash, error).await,
        };
        prepared.begin.run.client_hash.clone_from(&client_hash);
        prepared.begin.replaces = replaces;
        let (engine, scope) = (self.clone(), *scope);
        // In the engine's own task: a caller who goes away between the commit
        // and the first token must not leave a run that nobody drives.
        let begin = async move {
            match engine.inner.stores.runs.begin(&scope, &prepared.begin).await? {
                Begun::New => {
                    engine.audit_decided(&scope, prepared.begin.run.id, &prepared.decided).await;
                    Ok(engine.start(scope, on_disconnect, prepared))
                }
                Begun::Existing(run) => engine.replay(&scope, &run, client_hash.as_deref()),
            }
        };
        self.inner
            .tasks
            .spawn(begin.in_current_span())
            .await
            .map_err(|error| Error::internal("the turn could not be started").with_source(error))?
    }

    fn start(&self, scope: Scope, on_disconnect: crate::chat::OnDisconnect, prepared: Prepared) -> Answer {
        let inner = &self.inner;
        let Prepared { begin, mut call, tools, calls, accounting, warnings, hold, budget, place, .. } =
            prepared;
        let BeginRun { answer, mut run, request, .. } = begin;
        if let Some(budget) = budget {
            call.limit(budget);
        }
        // It is stored; a thousand open streams need not hold it in memory too.
        run.context = serde_json::json!(accounting.prompt_tokens);
        let channel = Arc::new(Channel::new(scope, run.conversation_id, on_disconnect));
        let running = {
            let mut channels = inner.channels();
            channels.insert(run.id, channel.clone());
            channels.len()
        };
        metrics::running(running);
        drop(hold);
        let listener = Answer::new(self.clone(), scope, &run, 0, Some(channel.clone()));
        let mut events = vec![ChatEvent::Started(Box::new(started(&run)))];
        if !call.request.passages.is_empty() {
            events.push(ChatEvent::Retrieved { citations: call.request.passages.clone() });
        }
        events.extend(warnings.into_iter().map(|(code, detail)| ChatEvent::Warning { code, detail }));
        let parts = calls.iter().cloned().map(Part::ToolCall).collect();
        events.extend(calls.into_iter().map(|call| ChatEvent::ToolCalled { call: Box::new(call) }));
        channel.publish(events);
        let transcript = Transcript::of(parts, Vec::new()).keeping_text(request.is_some());
        let begun = PartialAnswer::new(transcript, TokenUsage::default());
        self.drive(channel, run, answer, place, call, tools, begun, accounting);
        listener
    }

    async fn prepare(&self, scope: &Scope, mut turn: Turn, place: UserPlace) -> Result<Prepared> {
        let named = match &turn.model {
            Some(model) => Some(self.resolve_model(scope, Some(model)).await?),
            None => None,
        };
        let (mut branch, target) = self.branch(scope, &turn, named).await?;
        self.inner.observers.before_turn(scope, || summary(&turn, target.label())).await?;
        let tokenizer = Tokenizer::for_model(&target.model_id);
        let window = target.window();
        let budget = budget(window, turn.sampling.max_tokens);
        let (toolbox, left_out) =
            self.toolbox(scope, &turn.use_tools, &turn.tool_servers, &turn.tools).await?;
        let decided = DecidedCalls::find(&branch.path, &turn.decided, &toolbox)?;
        let mut new = self.new_messages(&branch, &turn, tokenizer).await?;
        let sources = self.passage_sources(&mut turn, &target)?;
        let parked = ParkedTurn::taken_of(&mut turn);
        let found = self
            .knowledge_search(scope)
            .add_passages(&branch.path, &mut new, sources, tokenizer, budget.prompt())
            .await?;
        branch.path.extend(new.iter().cloned());
        let tools = toolbox.offer(tokenizer, &parked.tools);
        let prompt =
            TurnPrompt { branch: &branch, new: new.len(), target: &target, turn: &parked, tools: &tools };
        let context = self.turn_prompt(&prompt, tokenizer, budget)?;
        let (specs, _) = tools;
        let mut manifest = context.manifest;
        let mut warnings: Vec<_> = found
            .describe(&mut manifest)
            .into_iter()
            .map(|detail| (WarningCode::Retrieval, detail))
            .collect();
        warnings.extend(refused_pictures(&branch.path));
        warnings.extend(left_out.into_iter().map(|detail| (WarningCode::Tool, detail)));
        let passages = passages_of_newest(&branch.path, new.len());
        let id = self.inner.sources.id();
        // Before the run has a time: see `Engine::recover`.
        let hold = self.inner.beginning.hold(id);
        let span = tracing::Span::current();
        span.record("run_id", field::display(id.0));
        span.record("conversation_id", field::display(branch.conversation.id));
        span.record("model", target.label());
        let begin = self.begin_run(id, &branch, &turn, new, &target, manifest);
        let question = RunQuestion {
            run: &begin.run,
            target,
            turn: &parked,
            messages: context.messages,
            prompt_tokens: context.tokens,
            tokenizer,
            tools: specs,
            passages,
            so_far: (&[], TokenUsage::default()),
        };
        let (call, accounting, budget) = self.run_call(scope, question).await?;
        let DecidedCalls { calls, said } = decided;
        let tools = (!toolbox.is_empty() || !calls.is_empty() || !parked.tools.is_empty()).then(|| {
            let knowledge = parked.knowledge.clone();
            let calling = self.calling(scope, Some(branch.conversation.id), Some(id), knowledge);
            ToolLoop { decided: said, ..ToolLoop::new(toolbox, parked.tools.clone(), calling, parked) }
        });
        let decided = turn.decided;
        Ok(Prepared { begin, call, tools, calls, decided, accounting, warnings, hold, budget, place })
    }

    /// The branch the turn continues, and the model that answers: the named
    /// one, else the one that answered last, else the default.
    pub(super) async fn branch(
        &self,
        scope: &Scope,
        turn: &Turn,
        named: Option<ResolvedModel>,
    ) -> Result<(Branch, ResolvedModel)> {
        let Some(id) = turn.conversation else {
            if turn.parent.is_some() {
                return Err(Error::field("parent_id", "needs the conversation that the message is in"));
            }
            let target = match named {
                Some(target) => target,
                None => self.resolve_model(scope, None).await?,
            };
            return Ok((self.new_branch(turn), target));
        };
        let leaf = match &turn.input {
            TurnInput::Messages(_) => turn.parent,
            TurnInput::Regenerate(message) | TurnInput::Edit(message, _) => Some(*message),
        };
        let tokens = match &named {
            Some(target) => prompt_budget(target, turn),
            None => PromptBudget::new(FIRST_WINDOW, None).prompt(),
        };
        let conversations = &self.inner.stores.conversations;
        let mut window = conversations.window(scope, id, leaf, tokens, MAX_MESSAGES).await?;
        let target = match named {
            Some(target) => target,
            None => {
                let target = self.last_target(scope, &window).await?;
                let more = prompt_budget(&target, turn);
                if more > tokens && is_cut(&window) {
                    window = conversations.window(scope, id, leaf, more, MAX_MESSAGES).await?;
                }
                target
            }
        };
        let branch = Branch {
            conversation: window.conversation,
            is_new: false,
            prompts: window.prompts,
            path: history(window.messages, &turn.input)?,
        };
        Ok((branch, target))
    }

    fn new_branch(&self, turn: &Turn) -> Branch {
        let new = turn.new_conversation.clone().unwrap_or_default();
        // What is the turn's alone stays out of the conversation.
        let own = turn.system_prompt.clone().filter(|_| !turn.own_prompts_only);
        let conversation = self.new_conversation(NewConversation {
            workspace_id: turn.workspace.or(new.workspace_id),
            system_prompt: own.or(new.system_prompt),
            ..new
        });
        let conversation = Conversation { is_hidden: turn.hidden, ..conversation };
        Branch { conversation, is_new: true, prompts: Vec::new(), path: Vec::new() }
    }

    /// The model that answered last. The conversation goes to no other connection by
    /// itself: its history may not be meant for another company.
    async fn last_target(&self, scope: &Scope, window: &Window) -> Result<ResolvedModel> {
        let mut answers = window.messages.iter().rev().filter(|message| message.model.is_some());
        let Some(last) = answers.next() else { return self.resolve_model(scope, None).await };
        let label = last.model.as_deref().unwrap_or_default();
        if self.stood_in(scope, label).await? {
            // It stands in where there is no model, and told nobody anything.
            return self.resolve_model(scope, None).await;
        }
        let target = self.resolve_in_connection(scope, label).await?;
        if target.is_fallback() {
            return self.resolve_model(scope, None).await;
        }
        // One that is not listed goes on if it has answered before.
        if target.model.is_some() || last.status != MessageStatus::Failed {
            return Ok(target);
        }
        let connection = label.split_once('/').map_or("", |(connection, _)| connection);
        let earlier = answers.filter_map(|message| message.model.as_deref()).find(|earlier| {
            *earlier != label && earlier.split_once('/').is_some_and(|(name, _)| name == connection)
        });
        match earlier {
            Some(earlier) => self.resolve_in_connection(scope, earlier).await,
            None => Ok(target),
        }
    }

    /// Whether the model of a stored label stood in where there was none and is not
    /// connected any more; told by the name under which its provider is registered.
    async fn stood_in(&self, scope: &Scope, label: &str) -> Result<bool> {
        let name = label.split_once('/').map_or(label, |(name, _)| name);
        let is_fallback = |id: &ProviderId| self.inner.providers.profile(id).is_fallback;
        if !name.parse::<ProviderId>().is_ok_and(|id| is_fallback(&id)) {
            return Ok(false);
        }
        let catalog = self.catalog(scope).await?;
        Ok(!catalog.connections.iter().any(|connection| connection.name == name))
    }

    pub(super) async fn new_messages(
        &self,
        branch: &Branch,
        turn: &Turn,
        tokenizer: Tokenizer,
    ) -> Result<Vec<Message>> {
        let inputs = match &turn.input {
            TurnInput::Messages(messages) => messages.clone(),
            TurnInput::Edit(_, content) => {
                vec![InputMessage::new(MessageRole::User, content.clone())]
            }
            TurnInput::Regenerate(_) => Vec::new(),
        };
        check_results(&branch.path, &inputs)?;
        let counted = self.counted(tokenizer, inputs).await?;
        Ok(self.added(branch.conversation.id, branch.path.last(), counted))
    }

    /// Counts tokens; off the async threads where that takes long.
    pub(super) async fn count(&self, tokenizer: Tokenizer, content: Vec<Part>) -> Result<(u32, Vec<Part>)> {
        let long = text_of(&content).len() > LONG_TEXT;
        if !long && (tokenizer.is_loaded() || !tokenizer.is_exact()) {
            return Ok((message_tokens(tokenizer, &content), content));
        }
        let counting = move || (message_tokens(tokenizer, &content), content);
        self.inner
            .tasks
            .spawn_blocking(counting)
            .await
            .map_err(|error| Error::internal("counting tokens failed").with_source(error))
    }
}

/// What observers are shown of a turn.
fn summary(turn: &Turn, model: String) -> TurnSummary {
    let question = match &turn.input {
        TurnInput::Messages(messages) => messages.last().map(|message| text_of(&message.content)),
        TurnInput::Edit(_, content) => Some(text_of(content)),
        TurnInput::Regenerate(_) => None,
    };
    TurnSummary {
        conversation_id: turn.conversation,
        workspace_id: turn.workspace,
        model,
        question: question.unwrap_or_default(),
        tags: turn.tags.clone(),
        client_id: turn.client_id.clone(),
        is_stored: true,
    }
}

fn prompt_budget(target: &ResolvedModel, turn: &Turn) -> u64 {
    budget(target.window(), turn.sampling.max_tokens).prompt()
}

/// The warning of pictures that a server refused before.
fn refused_pictures(path: &[Message]) -> Option<(WarningCode, String)> {
    let count = context::refused_images(path);
    let detail =
        format!("{count} of the conversation's pictures are left out: the model server refused them");
    (count > 0).then_some((WarningCode::ImageLeftOut, detail))
}

/// Whether the window leaves out the beginning of its branch.
fn is_cut(window: &Window) -> bool {
    window.messages.first().is_some_and(|message| message.parent_id.is_some())
}

/// What of the branch a turn's input follows.
fn history(mut messages: Vec<Message>, input: &TurnInput) -> Result<Vec<Message>> {
    let role = messages.last().map(|message| message.role);
    match (input, role) {
        (TurnInput::Edit(..), Some(MessageRole::User)) => drop(messages.pop()),
        (TurnInput::Edit(..), _) => {
            return Err(Error::invalid("only a user message starts a turn when it is edited"));
        }
        (TurnInput::Regenerate(_), Some(MessageRole::Assistant)) => drop(messages.pop()),
        (TurnInput::Regenerate(_), Some(MessageRole::User | MessageRole::Tool)) => {}
        (TurnInput::Regenerate(_), _) => {
            return Err(Error::invalid("only an answer, or a question without one, can be answered again"));
        }
        (TurnInput::Messages(_), _) => {}
    }
    if messages.last().is_some_and(|message| message.status == MessageStatus::Streaming) {
        return Err(Error::conflict(
            "the answer before is still being written; wait for it, cancel its run, or send `parent_id` to branch off earlier",
        ));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::super::title::title;
    use super::*;

    #[test]
    fn history_of_an_edit_ends_before_the_edited_question() {
        let message = |role| Message::sample(role, vec![Part::text("x")]);
        let path =
            vec![message(MessageRole::User), message(MessageRole::Assistant), message(MessageRole::User)];
        let edit = TurnInput::Edit(uuid::Uuid::nil().into(), vec![]);
        assert_eq!(history(path.clone(), &edit).unwrap().len(), 2);
        assert!(history(path[..2].to_vec(), &edit).is_err());
        let again = TurnInput::Regenerate(uuid::Uuid::nil().into());
        assert_eq!(history(path[..2].to_vec(), &again).unwrap().len(), 1);
        assert_eq!(title(&path[..1]).as_deref(), Some("x"));
    }
}
