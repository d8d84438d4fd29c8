//! E-mail: messages with what is attached to them, mailboxes, saved web pages.

pub(super) mod calendar;
mod item;
mod mapi;
mod message;
mod outlook;
mod tnef;
mod transfer;
mod words;
mod write;

use mail_parser::{MessageParser, PartType};

use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::html::{self, ContentScope, HtmlPage};
use super::limits::Limits;
use super::output::Output;
use super::{decode, error, media};

use item::Section;
use message::Reader;

pub(super) use message::ReadAttached;
pub(super) use outlook::read as read_outlook;

/// Reads a message in the form in which it is sent.
pub(super) fn read(
    bytes: &[u8],
    read_attached: ReadAttached,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let (bytes, envelope) = plain(bytes)?;
    let parsed = MessageParser::default().parse(&bytes).filter(|message| !message.headers().is_empty());
    let parsed = parsed.ok_or_else(|| error::damaged("e-mail", "it has no header"))?;
    let mut reader = Reader::new(read_attached, limits);
    reader.warn(envelope);
    let section = reader.message(&parsed, 0);
    reader.finish(&[section], media::MAIL)
}

/// Reads a file of messages, one after the other, each behind a line `From …`.
///
/// `is_cut`: the file has more of them.
pub(super) fn read_mailbox(
    bytes: &[u8],
    is_cut: bool,
    read_attached: ReadAttached,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let mut reader = Reader::new(read_attached, limits);
    reader.warn(is_cut.then(|| {
        let read = error::size(bytes.len() as u64);
        format!("the mailbox is long; its first {read} were read: split it")
    }));
    let mut sections: Vec<Section> = Vec::new();
    for message in messages(bytes) {
        if reader.is_full() {
            break;
        }
        let parsed = MessageParser::default().parse(&message).filter(|parsed| !parsed.headers().is_empty());
        sections.push(match parsed {
            Some(parsed) => reader.message(&parsed, 1),
            None => reader.bare(&message),
        });
    }
    if sections.is_empty() {
        return Err(error::damaged("mailbox", "it has no message"));
    }
    reader.finish(&sections, media::MAILBOX)
}

/// Reads a `winmail.dat` that was saved without its message.
pub(super) fn read_tnef(
    bytes: &[u8],
    read_attached: ReadAttached,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let found =
        tnef::parse(bytes).ok_or_else(|| error::damaged("winmail.dat", "it does not begin as one"))?;
    let mut reader = Reader::new(read_attached, limits);
    let mut section = Section { subject: found.subject, ..Section::default() };
    section.items.extend(found.body.and_then(|body| reader.body(body)));
    for (name, bytes) in found.attachments {
        reader.file(&name, None, bytes, 0, &mut section.items);
    }
    reader.finish(&[section], media::TNEF)
}

/// Reads a web page that was saved with its pictures (RFC 2557).
pub(super) fn read_web_archive(
    bytes: &[u8],
    read_attached: ReadAttached,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let (bytes, _) = plain(bytes)?;
    let damaged = || error::damaged("saved web page", "it has no page");
    let parsed = MessageParser::default().parse(&bytes).ok_or_else(damaged)?;
    let mut output = Output::new(limits);
    // The page itself comes first; frames and advertisements follow.
    let pages = parsed.parts.iter().filter(|part| matches!(part.body, PartType::Html(_)));
    let mut seen = false;
    for part in pages {
        let page = message::part_bytes(&parsed, part);
        let charset = message::charset_of(part).or_else(|| html::charset(&page));
        let (text, warning) = decode::decode_text(&page, charset.as_deref());
        let page = HtmlPage::read(&text, ContentScope::Main, false, limits);
        seen = true;
        if let Some(title) = &page.title {
            output.title(title);
        }
        page.write(&mut output)?;
        if let Some(warning) = warning {
            output.warn(warning);
        }
        // A page of frames alone says nothing itself.
        if output.len() > 0 {
            break;
        }
    }
    if !seen {
        return read(&bytes, read_attached, limits);
    }
    if let Some(subject) = parsed.subject() {
        output.title(subject);
    }
    output.finish(media::MHTML, TextKind::Markdown)
}

/// A message that was saved in UTF-16 as one in UTF-8, and what is to be said of it.
/// Any other stays as it is: each of its parts has an encoding of its own.
fn plain(bytes: &[u8]) -> Result<(Vec<u8>, Option<String>), ExtractError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if media::is_binary(bytes) && decode::is_text_in_disguise(bytes) || bytes.starts_with(&[0xff, 0xfe]) {
        let (text, warning) = decode::decode(bytes, None)?;
        return Ok((text.into_bytes(), warning));
    }
    // Apple's files begin with the length of the message.
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let is_length = |line: &[u8]| !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    let bytes = if bytes.get(..line).is_some_and(|first| is_length(first.trim_ascii())) {
        bytes.get(line + 1..).unwrap_or_default()
    } else {
        bytes
    };
    // A message that was taken out of a mailbox.
    let bytes = if bytes.starts_with(b"From ") { bytes.get(line + 1..).unwrap_or_default() } else { bytes };
    let mut message = bytes.trim_ascii_start().to_vec();
    // A header alone may lack the end of its line.
    message.push(b'\n');
    Ok((message, None))
}

/// The messages of a mailbox. A line `From …` begins one where a header follows it:
/// not every program marks those of the text with `>`.
fn messages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let after = bytes.get(at + line.len()..).unwrap_or_default();
        let is_bare = after.starts_with(b"\n") && ends_with_year(line);
        if line.starts_with(b"From ") && (begins_with_header(after) || is_bare) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([bytes.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let message = bytes.get(start..end).unwrap_or_default();
        let line = message.iter().position(|byte| *byte == b'\n').map_or(message.len(), |at| at + 1);
        let message = message.get(line..).unwrap_or_default();
        let mut unquoted = Vec::with_capacity(message.len());
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            let marks = line.iter().take_while(|byte| **byte == b'>').count();
            let is_marked = marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "));
            unquoted.extend_from_slice(line.get(usize::from(is_marked)..).unwrap_or_default());
        }
        unquoted
    })
}

/// As the line before a message does, which has its time.
fn ends_with_year(line: &[u8]) -> bool {
    line.trim_ascii_end()
        .rsplit(|byte| *byte == b' ')
        .next()
        .is_some_and(|last| last.len() == 4 && last.iter().all(u8::is_ascii_digit))
}

fn begins_with_header(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.iter().position(|byte| *byte == b':').and_then(|at| line.get(..at)).unwrap_or_default();
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        || line.starts_with(b">From ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_is_cut_where_messages_begin() {
        let mailbox = b"From a Mon\nSubject: one\n\nFrom here on:\nall well.\n>From now.\n\nFrom b Tue\nSubject: two\n\nx\n\nFrom c Mon Jun 01 10:00:00 2009\n\nbare\n";
        let found: Vec<String> =
            messages(mailbox).map(|message| String::from_utf8(message).unwrap()).collect();
        assert_eq!(
            found,
            ["Subject: one\n\nFrom here on:\nall well.\nFrom now.\n\n", "Subject: two\n\nx\n\n", "\nbare\n"]
        );
    }
}
