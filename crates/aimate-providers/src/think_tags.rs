//! `<think>…</think>` at the beginning of a text: how models write their
//! reasoning when the server does not separate it.

use std::collections::VecDeque;

use aimate_core::provider::ProviderEvent;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Splits streamed text into reasoning and text. Only a tag at the very beginning
/// counts: later ones may be quoted, as in an answer about such tags.
#[derive(Debug, Default)]
pub(crate) struct ThinkTagParser {
    state: State,
    /// Text that cannot be emitted yet, since it may be the start of a tag.
    pending: String,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// Nothing but white space so far.
    #[default]
    Start,
    /// Between the tags.
    Inside,
    /// After the closing tag, where white space is dropped.
    After,
    /// In the text of the answer.
    Text,
}

impl ThinkTagParser {
    /// Parses the next piece and adds its events.
    pub(crate) fn push(&mut self, piece: String, events: &mut VecDeque<ProviderEvent>) {
        if piece.is_empty() {
            return;
        }
        if self.state == State::Text {
            events.push_back(ProviderEvent::Text(piece));
            return;
        }
        self.pending.push_str(&piece);
        if self.state == State::Start {
            self.start();
        }
        if self.state == State::Inside {
            self.inside(events);
        }
        if self.state == State::After {
            self.after();
        }
        if self.state == State::Text {
            text(std::mem::take(&mut self.pending), events);
        }
    }

    /// Ends the text and adds the events of what was pending.
    pub(crate) fn finish(&mut self, events: &mut VecDeque<ProviderEvent>) {
        let pending = std::mem::take(&mut self.pending);
        match self.state {
            State::Inside => reasoning(pending, events),
            State::After => {}
            State::Start | State::Text => text(pending, events),
        }
        self.state = State::Text;
    }

    fn start(&mut self) {
        let begin = self.pending.trim_start();
        if let Some(rest) = begin.strip_prefix(OPEN) {
            self.pending = rest.to_owned();
            self.state = State::Inside;
        } else if !OPEN.starts_with(begin) {
            self.state = State::Text;
        }
    }

    fn inside(&mut self, events: &mut VecDeque<ProviderEvent>) {
        if let Some((thought, rest)) = self.pending.split_once(CLOSE) {
            reasoning(thought.to_owned(), events);
            self.pending = rest.to_owned();
            self.state = State::After;
            return;
        }
        let maybe_tag =
            (1..CLOSE.len()).rev().find(|&n| CLOSE.get(..n).is_some_and(|tag| self.pending.ends_with(tag)));
        let keep = self.pending.split_off(self.pending.len() - maybe_tag.unwrap_or(0));
        reasoning(std::mem::replace(&mut self.pending, keep), events);
    }

    fn after(&mut self) {
        let text = self.pending.trim_start();
        if !text.is_empty() {
            self.pending = text.to_owned();
            self.state = State::Text;
        }
    }
}

fn text(text: String, events: &mut VecDeque<ProviderEvent>) {
    if !text.is_empty() {
        events.push_back(ProviderEvent::Text(text));
    }
}

fn reasoning(text: String, events: &mut VecDeque<ProviderEvent>) {
    if !text.is_empty() {
        events.push_back(ProviderEvent::Reasoning(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&str]) -> (String, String) {
        let (mut parser, mut events) = (ThinkTagParser::default(), VecDeque::new());
        for piece in pieces {
            parser.push((*piece).to_owned(), &mut events);
        }
        parser.finish(&mut events);
        let (mut reasoning, mut text) = (String::new(), String::new());
        for event in events {
            match event {
                ProviderEvent::Text(piece) => text += &piece,
                ProviderEvent::Reasoning(piece) => reasoning += &piece,
                other => panic!("{other:?}"),
            }
        }
        (reasoning, text)
    }

    #[test]
    fn events_do_not_depend_on_how_the_text_is_split() {
        let answer = "\n<think>a </thin b ä</think>\n\nThe <think> answer";
        for at in (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)) {
            let (one, two) = answer.split_at(at);
            assert_eq!(
                parse(&[one, two]),
                ("a </thin b ä".into(), "The <think> answer".into()),
                "split at {at}"
            );
        }
        let single: Vec<String> = answer.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(parse(&single), ("a </thin b ä".into(), "The <think> answer".into()));
    }

    #[test]
    fn text_without_tag_is_text() {
        assert_eq!(parse(&["<th", "ree>"]), (String::new(), "<three>".into()));
        assert_eq!(parse(&[" ", "x <think>"]), (String::new(), " x <think>".into()));
        assert_eq!(parse(&["<thi"]), (String::new(), "<thi".into()));
    }

    #[test]
    fn unclosed_tag_is_reasoning() {
        assert_eq!(parse(&["<think>a</th"]), ("a</th".into(), String::new()));
    }
}
