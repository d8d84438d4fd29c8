//! RTF documents: text, tables, notes and comments, as Markdown.

mod charset;
mod state;
mod token;
mod write;

use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::output::Output;
use super::{error, media};

const WHAT: &str = "RTF document";

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut output = Output::new(limits);
    let outcome = write(bytes, &mut output, limits);
    output.keep(outcome)?;
    output.finish(media::RTF, TextKind::Markdown)
}

/// Writes the text of an RTF document.
pub(super) fn write(bytes: &[u8], output: &mut Output, limits: &Limits) -> Result<(), ExtractError> {
    let start = media::find(bytes.get(..1_024).unwrap_or(bytes), b"{\\rtf");
    let Some(bytes) = start.and_then(|start| bytes.get(start..)) else {
        return Err(error::damaged(WHAT, "it does not begin with {\\rtf"));
    };
    state::RtfReader::new(output, limits).read(bytes)
}

#[cfg(test)]
mod tests;
