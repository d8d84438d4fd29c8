//! `<think>…</think>` at the beginning of a text: how models write their
//! reasoning when the server does not separate it.

use std::collections::VecDeque;

use aimate_core::provider::ProviderEvent;

/// The tags of models: DeepSeek, Qwen and most others; Claude's and Gemma's
/// distillations; Cohere; Mistral; Kimi-VL; Seed.
const TAGS: [(&str, &str); 9] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
];

/// Splits streamed text into reasoning and text. Only a tag at the very beginning
/// opens reasoning: later ones may be quoted, as in an answer about such tags. A
/// closing tag alone ends reasoning too, since some templates write the opening one
/// into the prompt: then the text before it was reasoning.
#[derive(Debug, Default)]
pub(crate) struct ThinkTagParser {
    state: State,
    /// Text that cannot be emitted yet, since it may be the start of a tag.
    pending: String,
    /// Reasoning is known already, so a closing tag alone is quoted.
    has_reasoning: bool,
    code: Code,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// Nothing but white space so far.
    #[default]
    Start,
    /// Before this closing tag.
    Inside(&'static str),
    /// After the closing tag, where white space is dropped.
    After,
    /// In the text of the answer.
    Text,
}

impl ThinkTagParser {
    /// The server separates reasoning from text.
    pub(crate) fn has_thoughts(&mut self) {
        self.has_reasoning = true;
    }

    /// Parses the next piece and adds its events.
    pub(crate) fn push(&mut self, piece: String, events: &mut VecDeque<ProviderEvent>) {
        if piece.is_empty() {
            return;
        }
        if self.state == State::Text && self.has_reasoning {
            events.push_back(ProviderEvent::Text(piece));
            return;
        }
        self.pending.push_str(&piece);
        while self.step(events) {}
    }

    /// Ends the text and adds the events of what was pending.
    pub(crate) fn finish(&mut self, events: &mut VecDeque<ProviderEvent>) {
        let pending = std::mem::take(&mut self.pending);
        match self.state {
            State::Inside(_) => reasoning(pending, events),
            State::After => {}
            State::Start | State::Text => text(pending, events),
        }
        self.state = State::Text;
        self.has_reasoning = true;
    }

    /// Does what can be done in one state; whether that led to another one.
    fn step(&mut self, events: &mut VecDeque<ProviderEvent>) -> bool {
        match self.state {
            State::Start => self.start(),
            State::Inside(close) => self.inside(close, events),
            State::After => self.after(),
            State::Text => self.text(events),
        }
    }

    fn start(&mut self) -> bool {
        let begin = self.pending.trim_start();
        if let Some((open, close)) = TAGS.iter().find(|(open, _)| starts_with(begin, open)) {
            self.pending = begin.get(open.len()..).unwrap_or_default().to_owned();
            self.state = State::Inside(close);
            self.has_reasoning = true;
            return true;
        }
        if let Some((_, close)) = TAGS.iter().find(|(_, close)| starts_with(begin, close)) {
            self.pending = begin.get(close.len()..).unwrap_or_default().to_owned();
            self.state = State::After;
            self.has_reasoning = true;
            return true;
        }
        let may_be_tag =
            TAGS.iter().any(|(open, close)| starts_with(open, begin) || starts_with(close, begin));
        if !may_be_tag {
            self.state = State::Text;
        }
        !may_be_tag
    }

    fn inside(&mut self, close: &str, events: &mut VecDeque<ProviderEvent>) -> bool {
        if let Some(at) = find(&self.pending, close) {
            let rest = self.pending.split_off(at);
            reasoning(std::mem::take(&mut self.pending), events);
            self.pending = rest.get(close.len()..).unwrap_or_default().to_owned();
            self.state = State::After;
            return true;
        }
        let keep = self.pending.split_off(self.pending.len() - begun(&self.pending, close));
        reasoning(std::mem::replace(&mut self.pending, keep), events);
        false
    }

    fn after(&mut self) -> bool {
        let begin = self.pending.trim_start();
        if TAGS.iter().any(|(open, _)| starts_with(begin, open)) {
            self.state = State::Start;
            return true;
        }
        let may_be_tag = TAGS.iter().any(|(open, _)| starts_with(open, begin));
        if !may_be_tag {
            self.pending = begin.to_owned();
            self.state = State::Text;
        }
        !may_be_tag
    }

    /// Looks for a closing tag alone.
    fn text(&mut self, events: &mut VecDeque<ProviderEvent>) -> bool {
        if self.has_reasoning {
            text(std::mem::take(&mut self.pending), events);
            return false;
        }
        let found =
            TAGS.iter().filter_map(|(open, close)| Some((find(&self.pending, close)?, *open, *close)));
        let Some((at, open, close)) = found.min_by_key(|(at, ..)| *at) else {
            let begun = TAGS.iter().map(|(_, close)| begun(&self.pending, close)).max().unwrap_or(0);
            let keep = self.pending.split_off(self.pending.len() - begun);
            self.code.read(&self.pending);
            text(std::mem::replace(&mut self.pending, keep), events);
            return false;
        };
        let rest = self.pending.split_off(at);
        self.code.read(&self.pending);
        text(std::mem::take(&mut self.pending), events);
        let (tag, rest) = rest.split_at(close.len());
        if self.code.quotes(open) {
            self.code.read(tag);
            text(tag.to_owned(), events);
            self.pending = rest.to_owned();
        } else {
            events.push_back(ProviderEvent::TextWasReasoning);
            self.pending = rest.to_owned();
            self.has_reasoning = true;
            self.state = State::After;
        }
        true
    }
}

/// Where code is in a text, as far as it matters for a tag that may be quoted.
#[derive(Debug, Default)]
struct Code {
    /// Backticks that stand in a row at the end.
    ticks: usize,
    is_fence: bool,
    is_span: bool,
    last: Option<char>,
    /// The opening tags that were written out.
    opened: String,
    /// The last characters, for tags that come in pieces.
    tail: String,
}

impl Code {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            if c == '`' {
                self.ticks += 1;
            } else {
                self.end_ticks();
                // A span of code ends with its paragraph.
                self.is_span &= !(c == '\n' && self.last == Some('\n'));
            }
            self.last = Some(c);
        }
        self.tail.push_str(text);
        for (open, _) in TAGS {
            if find(&self.tail, open).is_some() && !self.opened.contains(open) {
                self.opened.push_str(open);
            }
        }
        let cut = self.tail.floor_char_boundary(self.tail.len().saturating_sub(24));
        self.tail.drain(..cut);
    }

    fn end_ticks(&mut self) {
        match std::mem::take(&mut self.ticks) {
            0 => {}
            1 | 2 => self.is_span = !self.is_span && !self.is_fence,
            _ => self.is_fence = !self.is_fence,
        }
    }

    /// Whether a closing tag that follows is quoted: in code, in quotation marks,
    /// or after its opening one.
    fn quotes(&mut self, open: &str) -> bool {
        self.end_ticks();
        self.is_fence
            || self.is_span
            || self.opened.contains(open)
            || matches!(self.last, Some('`' | '"' | '\'' | '“' | '‘' | '«' | '\\'))
    }
}

/// Whether `text` begins with `tag` in letters of any case.
fn starts_with(text: &str, tag: &str) -> bool {
    text.as_bytes().get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()))
}

/// Where `tag` is in `text`, in letters of any case.
fn find(text: &str, tag: &str) -> Option<usize> {
    let first = *tag.as_bytes().first()?;
    memchr::memchr_iter(first, text.as_bytes())
        .find(|at| text.get(*at..).is_some_and(|rest| starts_with(rest, tag)))
}

/// How many bytes at the end of `text` may begin `tag`.
fn begun(text: &str, tag: &str) -> usize {
    let longest = tag.len().saturating_sub(1).min(text.len());
    (1..=longest)
        .rev()
        .find(|n| text.get(text.len() - n..).is_some_and(|end| starts_with(tag, end)))
        .unwrap_or(0)
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
                ProviderEvent::TextWasReasoning => reasoning += &std::mem::take(&mut text),
                other => panic!("{other:?}"),
            }
        }
        (reasoning, text)
    }

    #[test]
    fn events_do_not_depend_on_how_the_text_is_split() {
        for (answer, thought) in [
            ("\n<think>a </thin b ä</think>\n\nThe <think> answer", "a </thin b ä"),
            ("So ä.\n</think>\n\nThe <think> answer", "So ä.\n"),
        ] {
            let expected = (thought.to_owned(), "The <think> answer".to_owned());
            for at in (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)) {
                let (one, two) = answer.split_at(at);
                assert_eq!(parse(&[one, two]), expected, "split at {at}");
            }
            let single: Vec<String> = answer.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            assert_eq!(parse(&single), expected);
        }
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

    #[test]
    fn tags_of_many_models_are_known() {
        for (open, close) in TAGS {
            let answer = format!("{open}why{close}\n\nso");
            assert_eq!(parse(&[&answer]), ("why".into(), "so".into()), "{open}");
            let alone = format!("why{close}so");
            assert_eq!(parse(&[&alone]), ("why".into(), "so".into()), "{close}");
            assert_eq!(parse(&[close, "so"]), (String::new(), "so".into()), "{close}");
        }
        assert_eq!(parse(&["<THINK>a</Think>b"]), ("a".into(), "b".into()));
        assert_eq!(parse(&["<think>a</think>\n<think>b</think>c"]), ("ab".into(), "c".into()));
    }

    #[test]
    fn quoted_tag_is_text() {
        for answer in [
            "The tag `</think>` ends it.",
            "```\na</think>\n```\n",
            "Write <think>a</think> first.",
            "It says \"</think>\" there.",
            "``</think>``",
        ] {
            assert_eq!(parse(&[answer]), (String::new(), answer.into()));
        }
    }
}
