//! The context builder: what of a conversation a model is shown.
//!
//! A prompt is `system | history | question`. The history is the newest part of
//! the branch that fits, in whole turns. Where it is cut moves in steps of a
//! quarter of the budget, so that for many turns on end each prompt begins with
//! the bytes of the one before and providers find it in their cache.

use aimate_text::tokens::{IMAGE, MESSAGE_OVERHEAD, Tokenizer};
use serde_json::{Value, json};
use std::collections::HashSet;

use super::Truncation;
use super::prompt_messages::{leave_out_returned_pictures, push, show_returned_pictures};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRole, MessageStatus, Part, ToolCall};
use crate::prompt::Prompt;
use crate::provider::{ChatMessage, ToolSpec};
use crate::retrieval::citations::with_passages;
use crate::tool::ToolContent;

/// Messages of history at most.
pub(crate) const MAX_MESSAGES: u32 = 2_000;

/// Tokens kept for the answer where the caller sets no `max_tokens`.
const ANSWER: u32 = 4_096;

/// The largest window that models have: what is read of a branch where the model's
/// is not known.
const LARGEST_WINDOW: u32 = 2 << 20;

/// How many tokens a prompt may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PromptBudget {
    /// The model's whole window.
    pub(crate) window: u32,
    /// What is kept for the answer: `max_tokens`, or 4,096, but at most half
    /// the window.
    pub(crate) answer: u32,
}

impl PromptBudget {
    pub(crate) fn new(window: u32, max_tokens: Option<u32>) -> Self {
        let answer = max_tokens.unwrap_or(ANSWER.min(window / 4)).min(window / 2);
        Self { window, answer }
    }

    /// For a model of which no window is known: nothing is refused or left out but
    /// what no model reads.
    pub(crate) fn unknown(max_tokens: Option<u32>) -> Self {
        Self::new(LARGEST_WINDOW, max_tokens.or(Some(0)))
    }

    /// Tokens of the prompt at most.
    pub(crate) fn prompt(self) -> u64 {
        u64::from(self.window - self.answer)
    }
}

/// The parts of a prompt.
pub(crate) struct PromptInputs<'a> {
    /// The engine's own system prompt.
    pub(crate) engine: Option<&'a str>,
    /// The workspace's active prompts.
    pub(crate) prompts: &'a [Prompt],
    /// The conversation's system prompt.
    pub(crate) conversation: Option<&'a str>,
    /// The branch, oldest first: stored messages, then new ones.
    pub(crate) path: &'a [Message],
    /// How many of the path are new: these always go in.
    pub(crate) new: usize,
    /// The connection that is asked: what a provider wants back goes to none but
    /// the one that it came from.
    pub(crate) connection: &'a str,
    /// Whether the model sees pictures, as far as is known.
    pub(crate) sees_pictures: bool,
    /// The tools that the model is told of.
    pub(crate) tools: &'a [ToolSpec],
    /// What that takes, in tokens.
    pub(crate) tool_tokens: u32,
    /// Whether what does not fit is left out.
    pub(crate) truncation: Truncation,
}

/// A prompt, and the manifest of what went into it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) messages: Vec<ChatMessage>,
    /// Tokens of the prompt, by the tokenizer in the manifest.
    pub(crate) tokens: u64,
    pub(crate) manifest: Value,
}

/// What a message costs: its parts and the format around them.
pub(crate) fn message_tokens(tokenizer: Tokenizer, content: &[Part]) -> u32 {
    content.iter().fold(MESSAGE_OVERHEAD, |sum, part| {
        sum.saturating_add(match part {
            Part::Text { text } => tokenizer.count(text),
            Part::Image { .. } => IMAGE,
            Part::ToolCall(call) => {
                tokenizer.count(&call.name).saturating_add(tokenizer.count(&call.arguments_json()))
            }
            Part::ToolResult(result) => {
                let pictures =
                    result.content.iter().filter(|piece| matches!(piece, ToolContent::Image { .. }));
                pictures.fold(tokenizer.count(&result.text()), |sum, _| sum.saturating_add(IMAGE))
            }
            Part::Reasoning { .. } | Part::File { .. } | Part::Citation(_) | Part::Extra { .. } => 0,
        })
    })
}

/// What telling a model of a tool costs.
pub(crate) fn tool_tokens(tokenizer: Tokenizer, tool: &ToolSpec) -> u32 {
    [tool.name.as_str(), tool.description.as_str(), &tool.parameters.to_string()]
        .into_iter()
        .fold(MESSAGE_OVERHEAD, |sum, text| sum.saturating_add(tokenizer.count(text)))
}

/// Builds the prompt.
///
/// # Errors
/// `ContextOverflow` if the system prompts and the new messages alone are more
/// than the budget, or if anything would be left out that must not.
pub(crate) fn build(
    inputs: &PromptInputs<'_>,
    tokenizer: Tokenizer,
    budget: PromptBudget,
) -> Result<Context> {
    let mut included = Vec::new();
    let system = system_message(inputs, tokenizer, &mut included);
    if !inputs.tools.is_empty() {
        let names: Vec<_> = inputs.tools.iter().map(|tool| tool.name.as_str()).collect();
        included.push(json!({"kind": "tools", "names": names, "tokens": inputs.tool_tokens}));
    }
    let system_tokens: u64 = included.iter().filter_map(|entry| entry.get("tokens")?.as_u64()).sum();
    let (history, new) = inputs.path.split_at(inputs.path.len().saturating_sub(inputs.new));
    let new_tokens: u64 = new.iter().map(|message| u64::from(message.path_stats.tokens)).sum();
    let fixed = system_tokens + new_tokens;
    if fixed > budget.prompt() {
        return Err(Error::context_overflow(format!(
            "the message and the system prompts have about {fixed} tokens; the model reads at most {} and {} \
             of them are kept for the answer: shorten the message, lower `max_tokens` or use a model with a \
             larger window",
            budget.window, budget.answer
        )));
    }
    let kept = history.get(first_kept(history, budget.prompt(), fixed)..).unwrap_or_default();
    let is_cut = kept.first().map_or(!history.is_empty(), |first| first.parent_id.is_some());
    if let Some(last) = history.last().map(|last| last.path_stats)
        && inputs.truncation == Truncation::Disabled
        && is_cut
        // What is cut for the number of messages alone, no model would miss.
        && fixed + last.path_tokens > budget.prompt()
    {
        return Err(too_long(fixed + last.path_tokens, u64::from(last.depth) + new.len() as u64, budget));
    }
    let kept_tokens: u64 = kept.iter().map(|message| u64::from(message.path_stats.tokens)).sum();
    if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
        included.push(json!({
            "kind": "history", "first": first.id, "last": last.id, "count": kept.len(), "tokens": kept_tokens,
        }));
    }
    for message in new {
        included.push(json!({"kind": "message", "id": message.id, "tokens": message.path_stats.tokens}));
    }
    let dropped = dropped(history.last(), kept.len(), kept_tokens);
    let tokens = fixed + kept_tokens;
    let manifest = json!({
        "tokenizer": tokenizer.name(), "exact": tokenizer.is_exact(),
        "window": budget.window, "reserved_for_answer": budget.answer,
        "tokens": tokens, "included": included, "dropped": dropped,
    });
    let mut messages: Vec<_> = system.into_iter().collect();
    messages.extend(pair_tool_calls(kept.iter().chain(new), inputs));
    Ok(Context { messages, tokens, manifest })
}

/// That so many tokens in so many messages are more than the model reads.
pub(crate) fn too_long(tokens: u64, messages: u64, budget: PromptBudget) -> Error {
    Error::context_overflow(format!(
        "the conversation and the message have about {tokens} tokens in {messages} messages; the model reads at \
         most {} tokens and {} of them are kept for the answer: let `truncation` be `auto`, or use a model with \
         a larger window",
        budget.window, budget.answer
    ))
}

/// A stored message as a model of `connection` may see it, who is shown it outside of a turn.
pub(crate) fn readable(message: &mut Message, connection: &str) {
    if message.role == MessageRole::Assistant && !is_of(message, connection) {
        message.content = message.content.iter().filter_map(without_opaque).collect();
    }
}

/// All system prompts as one message, in the order engine, workspace,
/// conversation.
fn system_message(
    inputs: &PromptInputs<'_>,
    tokenizer: Tokenizer,
    included: &mut Vec<Value>,
) -> Option<ChatMessage> {
    let mut texts = Vec::new();
    let mut add = |text: &str, entry: &dyn Fn(u32) -> Value| {
        if !text.trim().is_empty() {
            included.push(entry(tokenizer.count(text).saturating_add(MESSAGE_OVERHEAD)));
            texts.push(text.to_owned());
        }
    };
    if let Some(text) = inputs.engine {
        add(text, &|tokens| json!({"kind": "system", "of": "engine", "tokens": tokens}));
    }
    for Prompt { id, title, content, .. } in inputs.prompts {
        add(content, &|tokens| json!({"kind": "prompt", "id": id, "title": title, "tokens": tokens}));
    }
    if let Some(text) = inputs.conversation {
        add(text, &|tokens| json!({"kind": "system", "of": "conversation", "tokens": tokens}));
    }
    (!texts.is_empty()).then(|| ChatMessage::new(MessageRole::System, vec![Part::text(texts.join("\n\n"))]))
}

/// The index of the first message of `history` that is shown.
///
/// The cut lies at a multiple of a quarter of the budget, counted from the root
/// (`path_stats.path_tokens`), and then at the next message that opens a turn.
fn first_kept(history: &[Message], budget: u64, fixed: u64) -> usize {
    let Some(last) = history.last() else { return 0 };
    let step = (budget / 4).max(1);
    let excess = (last.path_stats.path_tokens + fixed).saturating_sub(budget);
    let cut = excess.div_ceil(step) * step;
    let max = MAX_MESSAGES / 4;
    let depth_cut = last.path_stats.depth.saturating_sub(MAX_MESSAGES).div_ceil(max) * max;
    let fits = |message: &Message| {
        let before = message.path_stats.path_tokens.saturating_sub(u64::from(message.path_stats.tokens));
        before >= cut && message.path_stats.depth > depth_cut
    };
    let opens = |message: &Message| {
        message.parent_id.is_none() || matches!(message.role, MessageRole::User | MessageRole::System)
    };
    history.iter().position(|message| fits(message) && opens(message)).unwrap_or(history.len())
}

/// The part of the branch that was left out, and why.
fn dropped(last: Option<&Message>, kept: usize, kept_tokens: u64) -> Vec<Value> {
    let Some(path_stats) = last.map(|message| message.path_stats) else {
        return Vec::new();
    };
    let count = u64::from(path_stats.depth).saturating_sub(kept as u64);
    let tokens = path_stats.path_tokens.saturating_sub(kept_tokens);
    if count == 0 {
        return Vec::new();
    }
    vec![
        json!({"kind": "history", "count": count, "tokens": tokens, "reason": "older than what fits the window"}),
    ]
}

/// The messages as a provider accepts them: none empty, no two of one role in a
/// row, every tool result right after its call, every call with its result. What has
/// lost its counterpart is left out, and so are pictures that a server refused.
fn pair_tool_calls<'a>(
    path: impl Iterator<Item = &'a Message>,
    inputs: &PromptInputs<'_>,
) -> Vec<ChatMessage> {
    let path: Vec<_> = path.filter(|message| message.status != MessageStatus::Streaming).collect();
    let mut spoken: Vec<Spoken<'_>> = Vec::with_capacity(path.len());
    for (n, message) in path.iter().enumerate() {
        if message.role != MessageRole::Assistant {
            // Results of one step may be messages of their own.
            let mut later = path.get(n + 1..).unwrap_or_default().iter();
            let answer = later.find(|later| later.role != MessageRole::Tool);
            let is_refused = answer.is_some_and(|answer| has_refused_image(answer));
            spoken.push(Spoken {
                role: message.role,
                parts: message.content.iter().collect(),
                is_its: false,
                is_refused,
                // A caller knows what it shows a model.
                is_blind: false,
            });
            continue;
        }
        let is_its = is_of(message, inputs.connection);
        for (role, parts) in steps(&message.content) {
            let is_blind = !inputs.sees_pictures;
            // One answer that came in pieces: calls that were made at once have to stand together.
            match spoken.last_mut().filter(|last| last.role == role && last.is_its == is_its) {
                Some(last) if role == MessageRole::Assistant => last.parts.extend(parts),
                _ => spoken.push(Spoken { role, parts, is_its, is_refused: false, is_blind }),
            }
        }
    }
    paired(&spoken)
}

/// What one speaker says in a row.
struct Spoken<'a> {
    role: MessageRole,
    parts: Vec<&'a Part>,
    /// Whether the connection that is asked said it.
    is_its: bool,
    /// Whether its server refused its pictures.
    is_refused: bool,
    /// Whether pictures that tools returned are left out.
    is_blind: bool,
}

/// An answer whose tools aiMate called, as the model said it: what it said and called, what
/// came back, what it said then.
fn steps(content: &[Part]) -> impl Iterator<Item = (MessageRole, Vec<&Part>)> {
    let is_result = |part: &Part| matches!(part, Part::ToolResult(_));
    content.chunk_by(move |a, b| is_result(a) == is_result(b)).map(move |parts| {
        let is_result = parts.first().is_some_and(is_result);
        (if is_result { MessageRole::Tool } else { MessageRole::Assistant }, parts.iter().collect())
    })
}

/// The messages of an answer that goes on, in the prompt of its model's next call.
pub(crate) fn steps_of(answer: &[Part], sees_pictures: bool) -> Vec<ChatMessage> {
    let step =
        |(role, parts)| Spoken { role, parts, is_its: true, is_refused: false, is_blind: !sees_pictures };
    paired(&steps(answer).map(step).collect::<Vec<_>>())
}

fn paired(spoken: &[Spoken<'_>]) -> Vec<ChatMessage> {
    let mut out: Vec<ChatMessage> = Vec::with_capacity(spoken.len());
    let mut open = HashSet::new();
    for (n, message) in spoken.iter().enumerate() {
        let content: Vec<_> = if message.role == MessageRole::Assistant {
            let answered = answered(spoken.get(n + 1..).unwrap_or_default());
            open = call_ids(&message.parts).filter(|id| answered.contains(id)).collect();
            let parts = message.parts.iter().filter(|part| is_answered(part, &open));
            parts
                .filter_map(|part| if message.is_its { Some((*part).clone()) } else { without_opaque(part) })
                .collect()
        } else {
            let parts = message.parts.iter().copied().filter(|part| belongs(part, &open));
            let mut content = with_passages(parts);
            if message.is_refused {
                content.iter_mut().for_each(leave_out_image);
            }
            if message.is_blind || message.is_refused {
                content.iter_mut().for_each(leave_out_returned_pictures);
            }
            content
        };
        let says_something = content.iter().any(|part| match part {
            Part::Text { text } => !text.is_empty(),
            Part::Reasoning { .. } | Part::Citation(_) | Part::Extra { .. } => false,
            _ => true,
        });
        if says_something {
            push(&mut out, message.role, content);
        }
    }
    show_returned_pictures(out)
}

/// Whether a model of `connection` wrote the message.
fn is_of(message: &Message, connection: &str) -> bool {
    message
        .model
        .as_deref()
        .and_then(|model| model.split_once('/'))
        .is_some_and(|(name, _)| name == connection)
}

/// A part of an answer without what only its own provider may see.
fn without_opaque(part: &Part) -> Option<Part> {
    match part {
        Part::Reasoning { .. } => None,
        Part::ToolCall(call) => {
            Some(Part::ToolCall(ToolCall::new(&call.id, &call.name, call.arguments.clone())))
        }
        other => Some(other.clone()),
    }
}

/// The field in a failed answer that says why later prompts leave the pictures of
/// its question out.
const IMAGE_REFUSED: &str = "image_refused";

/// What is stored in an answer that failed because the server refused a picture.
pub(crate) fn image_refused() -> Part {
    Part::Extra { fields: serde_json::Map::from_iter([(IMAGE_REFUSED.to_owned(), true.into())]) }
}

fn has_refused_image(answer: &Message) -> bool {
    let is_mark = |part: &Part| matches!(part, Part::Extra { fields } if fields.contains_key(IMAGE_REFUSED));
    answer.role == MessageRole::Assistant && answer.content.iter().any(is_mark)
}

/// How many pictures of the path are left out, because a server refused them.
pub(crate) fn refused_images(path: &[Message]) -> usize {
    let pairs = path.iter().zip(path.iter().skip(1)).filter(|(_, answer)| has_refused_image(answer));
    let parts = pairs.flat_map(|(question, _)| &question.content);
    parts.filter(|part| matches!(part, Part::Image { .. })).count()
}

fn leave_out_image(part: &mut Part) {
    if matches!(part, Part::Image { .. }) {
        *part = Part::text("[a picture that could not be read]");
    }
}

/// A prompt without its oldest turns, of at most about `tokens`, and how many
/// messages were left out; `None` where nothing can be.
pub(crate) fn without_oldest(
    messages: &[ChatMessage],
    tokenizer: Tokenizer,
    tokens: u64,
) -> Option<(Vec<ChatMessage>, usize)> {
    let system = messages.iter().take_while(|message| message.role == MessageRole::System).count();
    let (system, turns) = messages.split_at_checked(system)?;
    let cost = |message: &ChatMessage| u64::from(message_tokens(tokenizer, &message.content));
    let mut left: u64 = messages.iter().map(cost).sum();
    let last = turns.iter().rposition(|message| message.role == MessageRole::User)?;
    let mut cut = 0;
    for (n, message) in turns.iter().enumerate().take(last + 1) {
        let opens = message.role == MessageRole::User;
        if opens && n > 0 {
            cut = n;
            if left <= tokens {
                break;
            }
        }
        left -= cost(message);
    }
    let kept = turns.get(cut..).filter(|_| cut > 0)?;
    Some((system.iter().chain(kept).cloned().collect(), cut))
}

fn call_ids<'a>(content: &[&'a Part]) -> impl Iterator<Item = &'a str> {
    content.iter().filter_map(
        |part| {
            if let Part::ToolCall(call) = part { Some(call.id.as_str()) } else { None }
        },
    )
}

/// The ids of the calls that the tool messages at the start of `next` answer.
fn answered<'a>(next: &[Spoken<'a>]) -> HashSet<&'a str> {
    next.iter()
        .take_while(|message| message.role == MessageRole::Tool)
        .flat_map(|message| message.parts.iter().copied())
        .filter_map(|part| if let Part::ToolResult(result) = part { Some(result.id.as_str()) } else { None })
        .collect()
}

fn is_answered(part: &Part, open: &HashSet<&str>) -> bool {
    // What a person was asked of is called in the answer after they said yes.
    !matches!(part, Part::ToolCall(call) if call.is_asked() || !open.contains(call.id.as_str()))
}

fn belongs(part: &Part, open: &HashSet<&str>) -> bool {
    !matches!(part, Part::ToolResult(result) if !open.contains(result.id.as_str()))
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
