//! JSON as lines of `path: value`.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::document::{Extracted, TextKind};
use super::error::{ExtractError, ExtractErrorKind};
use super::limits::Limits;
use super::output::Output;
use super::{decode, error, media};

const WHAT: &str = "JSON file";

pub(super) fn read(bytes: &[u8], media_type: &str, limits: &Limits) -> Result<Extracted, ExtractError> {
    let (text, warning) = decode::decode(bytes, None)?;
    let mut output = Output::new(limits);
    if let Some(warning) = warning {
        output.warn(warning);
    }
    let outcome = if media_type == media::JSON_LINES {
        read_lines(&text, &mut output, limits)
    } else {
        flatten(&text, &mut output, limits)
    };
    output.keep(outcome)?;
    output.finish(media_type, TextKind::Plain)
}

/// One record a paragraph; lines that are no JSON stay as they are.
fn read_lines(text: &str, output: &mut Output, limits: &Limits) -> Result<(), ExtractError> {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        output.end_paragraph();
        let start = output.len();
        match flatten(line, output, limits) {
            Ok(()) => good += 1,
            Err(failure) if failure.kind == ExtractErrorKind::Damaged => {
                bad += 1;
                output.truncate(start);
                output.push(line)?;
            }
            Err(failure) => return Err(failure),
        }
    }
    if bad > good {
        return Err(error::damaged(
            "JSON Lines file",
            format_args!("{bad} of its {} lines are no JSON", bad + good),
        ));
    }
    if bad > 0 {
        output.warn(format!("{bad} of {} lines are no JSON and were read as text", bad + good));
    }
    Ok(())
}

fn flatten(text: &str, output: &mut Output, limits: &Limits) -> Result<(), ExtractError> {
    let mut writer =
        Writer { output, path: String::new(), depth: 0, deepest: limits.depth, open: None, failure: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let outcome =
        Value { writer: &mut writer, number: None }.deserialize(&mut reader).and_then(|()| reader.end());
    if let Some(failure) = writer.failure {
        return Err(failure);
    }
    outcome.map_err(|failure| {
        if failure.to_string().contains("recursion limit") {
            return error::too_deep(WHAT, limits.depth);
        }
        error::damaged(WHAT, failure)
    })
}

/// Where the lines go, and the path of the value that is being read.
struct Writer<'a> {
    output: &'a mut Output,
    path: String,
    depth: usize,
    deepest: usize,
    /// The end of the text while the last line is a list that can go on.
    open: Option<usize>,
    /// Why reading stopped; the error of the parser means nothing then.
    failure: Option<ExtractError>,
}

impl Writer<'_> {
    /// Writes a value: on a line of its own, or behind the one before it in a list.
    fn scalar<E: de::Error>(&mut self, value: &str, is_item: bool) -> Result<(), E> {
        let goes_on = is_item && self.open == Some(self.output.len());
        let outcome = if goes_on {
            self.output.push(", ").and_then(|()| self.output.push(value))
        } else {
            self.output.end_line();
            let label = if self.path.is_empty() { Ok(()) } else { self.output.push(&self.path) };
            let colon = if self.path.is_empty() { "" } else { ": " };
            label.and_then(|()| self.output.push(colon)).and_then(|()| self.output.push(value))
        };
        self.open = is_item.then(|| self.output.len());
        outcome.map_err(|failure| self.stop(failure))
    }

    fn stop<E: de::Error>(&mut self, failure: ExtractError) -> E {
        self.failure = Some(failure);
        E::custom("stopped")
    }
}

/// Writes one value, whatever it is. An item of a list has its number there: a
/// scalar goes behind the others, an object or a list under its place
/// (`items[0]`).
struct Value<'a, 'b> {
    writer: &'a mut Writer<'b>,
    number: Option<usize>,
}

impl Value<'_, '_> {
    fn scalar<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.writer.scalar(value, self.number.is_some())
    }

    /// Goes one level deeper; puts its number onto the path, which the list takes
    /// off again.
    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        let writer = &mut *self.writer;
        writer.open = None;
        writer.depth += 1;
        if writer.depth > writer.deepest {
            let failure = error::too_deep(WHAT, writer.deepest);
            return Err(writer.stop(failure));
        }
        if let Some(number) = self.number.filter(|_| !writer.path.is_empty()) {
            writer.path.push_str(&format!("[{number}]"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(if value { "true" } else { "false" })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.scalar(value)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.enter()?;
        let writer = self.writer;
        let is_top = writer.path.is_empty();
        let length = writer.path.len();
        let mut number = 0_usize;
        loop {
            // The records of a list that is the whole file are paragraphs.
            if is_top && writer.open.is_none() {
                writer.output.end_paragraph();
            } else if !is_top {
                writer.path.truncate(length);
            }
            if items.next_element_seed(Value { writer, number: Some(number) })?.is_none() {
                break;
            }
            number += 1;
        }
        writer.open = None;
        writer.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.enter()?;
        let writer = self.writer;
        let length = writer.path.len();
        while let Some(key) = entries.next_key::<String>()? {
            if !writer.path.is_empty() {
                writer.path.push('.');
            }
            writer.path.push_str(&key);
            entries.next_value_seed(Value { writer, number: None })?;
            writer.path.truncate(length);
        }
        writer.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        read(json.as_bytes(), media::JSON, &Limits::default()).unwrap().text
    }

    #[test]
    fn objects_become_lines_in_their_order() {
        let json = r#"{"name":"Ada","born":{"year":1815,"city":"London"},"tags":["a","b"],"x":null,"f":[{"k":1},{"k":2}]}"#;
        assert_eq!(
            text(json),
            "name: Ada\nborn.year: 1815\nborn.city: London\ntags: a, b\nf[0].k: 1\nf[1].k: 2"
        );
    }

    #[test]
    fn records_become_paragraphs() {
        assert_eq!(text(r#"[{"a":1,"b":2},{"a":3}]"#), "a: 1\nb: 2\n\na: 3");
        let lines = read(b"{\"a\":1,\"b\":2}\n\n{\"a\":3}\n", media::JSON_LINES, &Limits::default()).unwrap();
        assert_eq!(lines.text, "a: 1\nb: 2\n\na: 3");
    }

    #[test]
    fn deep_nesting_is_too_large() {
        for depth in [65, 127, 129, 1_000_000] {
            let json = "[".repeat(depth);
            let failure = read(json.as_bytes(), media::JSON, &Limits::default()).unwrap_err();
            assert_eq!(failure.kind, ExtractErrorKind::TooLarge, "{depth}: {failure}");
        }
    }

    #[test]
    fn cut_off_json_is_damaged() {
        let failure = read(br#"{"a": [1, 2"#, media::JSON, &Limits::default()).unwrap_err();
        assert_eq!(failure.kind, ExtractErrorKind::Damaged);
        let lines = read(b"{\"a\":1}\n{\"a\":2}\n{\"a\":", media::JSON_LINES, &Limits::default()).unwrap();
        assert_eq!(lines.text, "a: 1\n\na: 2\n\n{\"a\":");
        assert_eq!(lines.warnings.len(), 1);
    }
}
