//! What comes as text but begins with thoughts: `<think>…</think>`.

use std::collections::VecDeque;

use aimate_core::provider::ProviderEvent;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Sorts an answer's text into thoughts and text. Only a tag at the very
/// beginning counts; further on it is text like any other.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    state: State,
    /// The end of what came that may be the beginning of a tag.
    held: String,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// Nothing but spaces came.
    #[default]
    Start,
    /// Between the tags.
    Inside,
    /// After the closing tag, where spaces are dropped.
    After,
    /// Text.
    Text,
}

impl Thoughts {
    /// Sorts the next piece into `events`.
    pub(crate) fn push(&mut self, piece: String, events: &mut VecDeque<ProviderEvent>) {
        if piece.is_empty() {
            return;
        }
        if self.state == State::Text {
            events.push_back(ProviderEvent::Text(piece));
            return;
        }
        self.held.push_str(&piece);
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
            text(std::mem::take(&mut self.held), events);
        }
    }

    /// The text ends here: what was held back is sorted as it stands.
    pub(crate) fn end(&mut self, events: &mut VecDeque<ProviderEvent>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside => reasoning(held, events),
            State::After => {}
            State::Start | State::Text => text(held, events),
        }
        self.state = State::Text;
    }

    fn start(&mut self) {
        let begin = self.held.trim_start();
        if let Some(rest) = begin.strip_prefix(OPEN) {
            self.held = rest.to_owned();
            self.state = State::Inside;
        } else if !OPEN.starts_with(begin) {
            self.state = State::Text;
        }
    }

    fn inside(&mut self, events: &mut VecDeque<ProviderEvent>) {
        if let Some((thought, rest)) = self.held.split_once(CLOSE) {
            reasoning(thought.to_owned(), events);
            self.held = rest.to_owned();
            self.state = State::After;
            return;
        }
        let maybe_tag =
            (1..CLOSE.len()).rev().find(|&n| CLOSE.get(..n).is_some_and(|tag| self.held.ends_with(tag)));
        let keep = self.held.split_off(self.held.len() - maybe_tag.unwrap_or(0));
        reasoning(std::mem::replace(&mut self.held, keep), events);
    }

    fn after(&mut self) {
        let text = self.held.trim_start();
        if !text.is_empty() {
            self.held = text.to_owned();
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

    fn sort(pieces: &[&str]) -> (String, String) {
        let (mut thoughts, mut events) = (Thoughts::default(), VecDeque::new());
        for piece in pieces {
            thoughts.push((*piece).to_owned(), &mut events);
        }
        thoughts.end(&mut events);
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
    fn tag_split_anywhere_is_the_same_tag() {
        let answer = "\n<think>a </thin b ä</think>\n\nThe <think> answer";
        for at in (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)) {
            let (one, two) = answer.split_at(at);
            assert_eq!(
                sort(&[one, two]),
                ("a </thin b ä".into(), "The <think> answer".into()),
                "cut at {at}"
            );
        }
        let single: Vec<String> = answer.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(sort(&single), ("a </thin b ä".into(), "The <think> answer".into()));
    }

    #[test]
    fn text_without_tag_is_text() {
        assert_eq!(sort(&["<th", "ree>"]), (String::new(), "<three>".into()));
        assert_eq!(sort(&[" ", "x <think>"]), (String::new(), " x <think>".into()));
        assert_eq!(sort(&["<thi"]), (String::new(), "<thi".into()));
    }

    #[test]
    fn thought_without_end_stays_a_thought() {
        assert_eq!(sort(&["<think>a</th"]), ("a</th".into(), String::new()));
    }
}
