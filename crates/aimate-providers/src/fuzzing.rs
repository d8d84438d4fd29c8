//! The entry points of fuzz targets; not part of the public API.

use std::time::Duration;

use aimate_core::provider::ProviderEvent;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::frame::{Events, Frame, Frames, JsonLines};
use crate::stream::EventQueue;
use crate::think_tags::ThinkTagParser;

/// The SSE events of a body that arrives in these pieces, each with its name and
/// data; `None` if one is too long.
pub fn events(pieces: &[&[u8]]) -> Option<Vec<(Bytes, Bytes)>> {
    frames::<Events>(pieces)
}

/// The JSON lines of a body that arrives in these pieces.
pub fn json_lines(pieces: &[&[u8]]) -> Option<Vec<(Bytes, Bytes)>> {
    frames::<JsonLines>(pieces)
}

fn frames<F: Frames + Default>(pieces: &[&[u8]]) -> Option<Vec<(Bytes, Bytes)>> {
    let (mut frames, mut all) = (F::default(), Vec::new());
    for piece in pieces {
        frames.push(Bytes::copy_from_slice(piece));
        while let Some(Frame { event, data }) = frames.next().ok()? {
            all.push((event, data));
        }
    }
    while let Some(Frame { event, data }) = frames.rest() {
        all.push((event, data));
    }
    Some(all)
}

/// The reasoning and the text of an answer that arrives in these pieces.
pub fn thoughts(pieces: &[&str]) -> (String, String) {
    let (mut parser, mut events) = (ThinkTagParser::default(), EventQueue::new());
    for piece in pieces {
        parser.push((*piece).to_owned(), &mut events);
    }
    parser.finish(&mut events);
    let (mut reasoning, mut text) = (String::new(), String::new());
    for event in events {
        match event {
            ProviderEvent::Reasoning(piece) => reasoning.push_str(&piece),
            ProviderEvent::Text(piece) => text.push_str(&piece),
            ProviderEvent::TextWasReasoning => reasoning.push_str(&std::mem::take(&mut text)),
            _ => {}
        }
    }
    (reasoning, text)
}

/// How long these headers ask to wait; headers that cannot be sent are left out.
pub fn retry_after(headers: &[(&'static str, &[u8])]) -> Option<Duration> {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
    });
    crate::http::retry_after(&pairs.collect::<HeaderMap>())
}

#[cfg(feature = "local")]
pub use crate::local::fuzzing::Tokenizer;
