//! The messages of a prompt: their roles alternate, and pictures that tools returned are
//! shown.

use crate::message::{MessageRole, Part};
use crate::provider::ChatMessage;
use crate::tool_content::ToolContent;

/// What stands before pictures that tools returned.
const RETURNED: &str = "[what the tool returned as pictures]";

/// Adds a message; it joins the one before if that has its role, since many models
/// take only prompts whose roles alternate. An answer that failed or said nothing
/// leaves two questions in a row.
pub(super) fn push(out: &mut Vec<ChatMessage>, role: MessageRole, content: Vec<Part>) {
    let Some(last) = out.last_mut().filter(|last| last.role == role && role != MessageRole::Tool) else {
        return out.push(ChatMessage::new(role, content));
    };
    let mut content = content.into_iter();
    match (last.content.last_mut(), content.next()) {
        (Some(Part::Text { text }), Some(Part::Text { text: more })) => {
            text.push_str("\n\n");
            text.push_str(&more);
        }
        (_, first) => last.content.extend(first),
    }
    last.content.extend(content);
}

/// Shows the pictures that tools returned after the results of one step, as a person would: few
/// servers take them in a tool's own message.
pub(crate) fn show_returned_pictures(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let is_picture = |part: &Part| matches!(part, Part::ToolResult(result) if !result.content.is_empty());
    if !messages.iter().any(|message| message.content.iter().any(is_picture)) {
        return messages;
    }
    let mut out: Vec<ChatMessage> = Vec::with_capacity(messages.len() + 1);
    let mut held = Vec::new();
    for message in messages {
        if message.role != MessageRole::Tool && !held.is_empty() {
            push(&mut out, MessageRole::User, std::mem::take(&mut held));
        }
        let mut pictures = returned_pictures(&message.content);
        if !held.is_empty() && !pictures.is_empty() {
            // They are told of once.
            pictures.remove(0);
        }
        held.append(&mut pictures);
        // Those of the user join what they say next; nothing else of the caller's is changed.
        match out.last() {
            Some(last)
                if last.role == message.role && message.role == MessageRole::User && is_shown(last) =>
            {
                push(&mut out, message.role, message.content);
            }
            _ => out.push(message),
        }
    }
    if !held.is_empty() {
        push(&mut out, MessageRole::User, held);
    }
    out
}

/// Whether the message is of pictures that tools returned.
fn is_shown(message: &ChatMessage) -> bool {
    matches!(message.content.first(), Some(Part::Text { text }) if text == RETURNED)
}

/// Leaves out what aiMate's own calls returned: the model does not see pictures. A caller knows
/// what it shows a model.
pub(crate) fn leave_out_own_pictures(messages: &mut [ChatMessage]) {
    let parts = messages.iter_mut().flat_map(|message| &mut message.content);
    for part in parts {
        if matches!(part, Part::ToolResult(result) if result.duration_ms.is_some()) {
            leave_out_returned_pictures(part);
        }
    }
}

/// Leaves them out: the model does not see pictures, or its server refused them.
pub(super) fn leave_out_returned_pictures(part: &mut Part) {
    if let Part::ToolResult(result) = part {
        result.content.clear();
    }
}

/// The pictures of a message's results, behind a sentence that says so.
fn returned_pictures(content: &[Part]) -> Vec<Part> {
    let results = content
        .iter()
        .filter_map(|part| if let Part::ToolResult(result) = part { Some(result) } else { None });
    let pictures = results.flat_map(|result| &result.content).filter_map(|piece| match piece {
        ToolContent::Image { data, media_type } => {
            Some(Part::Image { url: None, data: Some(data.clone()), media_type: Some(media_type.clone()) })
        }
        _ => None,
    });
    let mut parts: Vec<_> = pictures.collect();
    if !parts.is_empty() {
        parts.insert(0, Part::text(RETURNED));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ToolResult, text_of};

    fn returned(id: &str, pictures: &[&str]) -> ChatMessage {
        let mut result = ToolResult::new(id, "done");
        let picture =
            |data: &&str| ToolContent::Image { data: (*data).into(), media_type: "image/png".into() };
        result.content = pictures.iter().map(picture).collect();
        ChatMessage::new(MessageRole::Tool, vec![Part::ToolResult(result)])
    }

    fn said(role: MessageRole, text: &str) -> ChatMessage {
        ChatMessage::new(role, vec![Part::text(text)])
    }

    #[test]
    fn pictures_stand_behind_all_results_of_a_step() {
        use MessageRole::{Assistant, Tool, User};
        let step = || {
            vec![said(User, "look"), returned("a", &["AA"]), returned("b", &[]), returned("c", &["BB", "CC"])]
        };
        let shape = |messages: Vec<ChatMessage>| -> Vec<(MessageRole, usize)> {
            show_returned_pictures(messages).iter().map(|one| (one.role, one.content.len())).collect()
        };
        let shown = [(User, 1), (Tool, 1), (Tool, 1), (Tool, 1), (User, 4)];
        assert_eq!(shape(step()), shown);
        let mut more = step();
        more.push(said(Assistant, "a cat"));
        assert_eq!(shape(more.clone()), [&shown[..], &[(Assistant, 1)]].concat());
        // What the user says next joins them.
        let mut next = step();
        next.push(said(User, "and now?"));
        let out = show_returned_pictures(next);
        assert_eq!((out[4].role, out[4].content.len()), (User, 5));
        assert!(text_of(&out[4].content).ends_with("and now?"));
        let without = vec![said(User, "look"), returned("a", &[])];
        assert_eq!(show_returned_pictures(without.clone()), without);
    }
}
