//! E-mail: headers and text. Attachments are named, not read.

use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::html::{ContentScope, HtmlPage};
use super::limits::Limits;
use super::line::clean_line;
use super::output::Output;
use super::{error, media};

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let message = MessageParser::default().parse(bytes).filter(|message| !message.headers().is_empty());
    let message = message.ok_or_else(|| error::damaged("e-mail", "it has no header"))?;
    let mut output = Output::new(limits);
    if let Some(subject) = message.subject() {
        output.title(subject);
        header(&mut output, "Subject", subject)?;
    }
    for (label, people) in [("From", message.from()), ("To", message.to()), ("Cc", message.cc())] {
        if let Some(people) = people {
            header(&mut output, label, &names(people))?;
        }
    }
    if let Some(date) = message.date() {
        header(&mut output, "Date", &date.to_rfc3339())?;
    }
    let headers = output.len();
    let mut kind = TextKind::Plain;
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => output.paragraph(text)?,
            PartType::Html(html) => {
                kind = TextKind::Markdown;
                output.end_paragraph();
                HtmlPage::read(html, ContentScope::Whole, false, limits).write(&mut output)?;
            }
            _ => {}
        }
    }
    let attached = message.attachments().map(|part| part.attachment_name().unwrap_or("unnamed"));
    let attached: Vec<String> = attached.take(100).map(clean_line).collect();
    if !attached.is_empty() {
        output.paragraph(&format!("Attachments: {}", attached.join(", ")))?;
        output.warn(format!(
            "attachments of the e-mail are not read ({}); upload them as files",
            attached.len()
        ));
    }
    if output.len() == headers && headers == 0 {
        return Err(error::damaged("e-mail", "it has neither a header nor a text"));
    }
    output.finish(media::MAIL, kind)
}

fn header(output: &mut Output, label: &str, value: &str) -> Result<(), ExtractError> {
    let value = clean_line(value);
    if value.is_empty() {
        return Ok(());
    }
    output.end_line();
    output.push(&format!("{label}: {value}"))?;
    output.end_line();
    Ok(())
}

fn names(people: &Address<'_>) -> String {
    let each = people.iter().take(50).map(|person| match (person.name(), person.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    });
    each.filter(|person| !person.is_empty()).collect::<Vec<_>>().join(", ")
}
