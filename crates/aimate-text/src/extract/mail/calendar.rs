//! Invitations and calendars (RFC 5545): what, when, where and who.

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::output::Output;
use super::super::{decode, media};
use crate::extract::{Extracted, TextKind};

/// Maximum properties that are read.
const MAX_LINES: usize = 100_000;

pub(in super::super) fn read(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let (text, warning) = decode::decode(bytes, None)?;
    let mut output = Output::new(limits);
    if let Some(warning) = warning {
        output.warn(warning);
    }
    output.push(&describe(&text))?;
    output.finish(media::CALENDAR, TextKind::Plain)
}

/// Its entries, one after the other, a line for each thing that is said of one.
pub(super) fn describe(calendar: &str) -> String {
    let mut out = String::new();
    // The time zones of a calendar have starts and rules of their own.
    let mut is_zone = false;
    for line in unfolded(calendar).into_iter().take(MAX_LINES) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, parameters) = name.split_once(';').unwrap_or((name, ""));
        let label = match name.to_ascii_uppercase().as_str() {
            "BEGIN" | "END" if value.trim() == "VTIMEZONE" => {
                is_zone = name.eq_ignore_ascii_case("BEGIN");
                continue;
            }
            _ if is_zone => continue,
            "BEGIN" if ["VEVENT", "VTODO", "VJOURNAL"].contains(&value.trim()) && !out.is_empty() => {
                out.push('\n');
                continue;
            }
            "SUMMARY" => "Event",
            "DTSTART" => "Start",
            "DTEND" => "End",
            "DUE" => "Due",
            "RRULE" => "Repeats",
            "LOCATION" => "Place",
            "ORGANIZER" => "Organizer",
            "ATTENDEE" => "Attendee",
            "DESCRIPTION" => "Description",
            _ => continue,
        };
        let value = match label {
            "Start" | "End" | "Due" => time(value.trim()),
            "Organizer" | "Attendee" => person(value, parameters),
            _ => unescaped(value),
        };
        if !value.trim().is_empty() {
            out.push_str(&format!("{label}: {}\n", value.trim()));
        }
    }
    out
}

/// Lines that begin with white space go on with the one before.
fn unfolded(calendar: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in calendar.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(before)) => before.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

/// `20240301T100000Z` as `2024-03-01 10:00 UTC`.
fn time(value: &str) -> String {
    let part =
        |from: usize, to: usize| value.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(4, 6), part(6, 8)) else {
        return value.to_owned();
    };
    let utc = if value.ends_with('Z') { " UTC" } else { "" };
    match (part(9, 11), part(11, 13)) {
        (Some(hour), Some(minute)) => format!("{year}-{month}-{day} {hour}:{minute}{utc}"),
        _ => format!("{year}-{month}-{day}"),
    }
}

fn person(value: &str, parameters: &str) -> String {
    let address = value.trim();
    let address = address
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"))
        .map_or(address, |_| address.get(7..).unwrap_or_default());
    let name = parameters.split(';').find_map(|parameter| parameter.strip_prefix("CN="));
    match name.map(|name| name.trim_matches('"')).filter(|name| !name.is_empty() && *name != address) {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn entries_say_what_when_where_and_who() {
        let calendar = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nDTSTART:16011028T030000\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
            SUMMARY:Boiler\\, yearly\r\n  service\r\nDTSTART;TZID=Europe/Berlin:20240301T100000\r\n\
            DTEND:20240301T093000Z\r\nLOCATION:Cellar\r\nORGANIZER;CN=\"Ada L\":MAILTO:ada@example.org\r\n\
            DESCRIPTION:Bring\\nkeys\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(
            describe(calendar),
            "Event: Boiler, yearly service\nStart: 2024-03-01 10:00\nEnd: 2024-03-01 09:30 UTC\nPlace: Cellar\n\
             Organizer: Ada L <ada@example.org>\nDescription: Bring\nkeys\n"
        );
    }
}
