//! The events of an answer that is over, made again out of what is stored: piece by
//! piece, and out of one copy for all who listen.

use std::sync::Arc;

use crate::chat::answer_limits::PIECE;
use crate::chat::channel::MAX_TAKEN;
use crate::chat::event::{ChatEvent, NumberedEvents, Started};
use crate::chat::finish::{final_of, started};
use crate::message::{Message, Part};
use crate::run::Run;

/// A run that is over with its answer.
pub(super) struct StoredAnswer {
    started: Started,
    /// The answer's parts, where they are not in the last event.
    partial: Vec<Part>,
    last: Arc<ChatEvent>,
}

impl StoredAnswer {
    pub(super) fn new(run: &Run, message: Message) -> Self {
        let last = final_of(run, &message);
        let is_whole = matches!(last, ChatEvent::Finished(_));
        let partial = if is_whole { Vec::new() } else { message.content };
        Self { started: started(run), partial, last: Arc::new(last) }
    }

    fn parts(&self) -> &[Part] {
        match &*self.last {
            ChatEvent::Finished(finished) => &finished.message.content,
            _ => &self.partial,
        }
    }
}

/// What of a stored answer a listener has not heard.
pub(super) struct StoredEvents {
    answer: Arc<StoredAnswer>,
    next: Place,
}

/// A place among the events of a stored answer.
#[derive(Clone, Copy)]
enum Place {
    Start,
    /// So many bytes into a part.
    Part(usize, usize),
    Last,
    End,
}

impl StoredEvents {
    /// All of them, or the last one alone.
    pub(super) fn new(answer: Arc<StoredAnswer>, all: bool) -> Self {
        Self { answer, next: if all { Place::Start } else { Place::Last } }
    }

    /// The next events, numbered from the one after `after` on; empty at the end.
    pub(super) fn take(&mut self, after: u64) -> NumberedEvents {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < MAX_TAKEN
            && let Some(event) = self.next()
        {
            bytes += event.bytes();
            events.push(event);
        }
        (after + 1..).zip(events).collect()
    }

    fn next(&mut self) -> Option<Arc<ChatEvent>> {
        loop {
            match self.next {
                Place::Start => {
                    self.next = Place::Part(0, 0);
                    return Some(Arc::new(ChatEvent::Started(Box::new(self.answer.started.clone()))));
                }
                Place::Part(n, at) => match self.answer.parts().get(n) {
                    None => self.next = Place::Last,
                    Some(part) => {
                        let event = piece(part, at);
                        let end = at + event.as_ref().map_or(0, ChatEvent::text_bytes);
                        let is_over = end == at || end >= part.bytes();
                        self.next = if is_over { Place::Part(n + 1, 0) } else { Place::Part(n, end) };
                        if event.is_some() {
                            return event.map(Arc::new);
                        }
                    }
                },
                Place::Last => {
                    self.next = Place::End;
                    return Some(self.answer.last.clone());
                }
                Place::End => return None,
            }
        }
    }
}

/// The event that brought a stored part, or a piece of it from byte `at` on.
fn piece(part: &Part, at: usize) -> Option<ChatEvent> {
    let cut = |text: &str| {
        let rest = text.get(at..).unwrap_or_default();
        rest.get(..rest.floor_char_boundary(PIECE)).unwrap_or_default().to_owned()
    };
    match part {
        Part::Text { text } => Some(ChatEvent::Text { text: cut(text) }),
        // No event tells of a thought that its provider keeps hidden.
        Part::Reasoning { text, .. } if text.is_empty() => None,
        Part::Reasoning { text, .. } => Some(ChatEvent::Reasoning { text: cut(text) }),
        Part::ToolCall(call) => Some(ChatEvent::ToolCalled { call: Box::new(call.clone()) }),
        Part::ToolResult(result) => Some(ChatEvent::ToolReturned(Box::new(result.clone()))),
        Part::Extra { fields } => Some(ChatEvent::Extra { fields: fields.clone() }),
        _ => None,
    }
}
