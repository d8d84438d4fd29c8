//! What time it is.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use crate::clock::{ClockAndIds, Timestamp};
use crate::error::{Error, Result};
use crate::text::shorten;
use crate::tool::{HostTool, ToolContext, ToolHandler, ToolHints, ToolOutput};

/// The tool's name.
const CURRENT_TIME: &str = "current_time";

/// The tool that tells the time, by the engine's clock.
pub(crate) fn current_time(sources: ClockAndIds) -> HostTool {
    let schema = json!({
        "type": "object",
        "properties": {
            "zone": {"type": "string", "description":
                "The time zone: an IANA name such as Europe/Berlin, or an offset from UTC such as +02:00; UTC if left out."},
        },
        "additionalProperties": false,
    });
    let description = "Tells the date, the day of the week and the time, now.";
    let hints = ToolHints { read_only: Some(true), open_world: Some(false), ..ToolHints::default() };
    HostTool::new(CURRENT_TIME, description, schema, CurrentTime(Arc::new(sources)))
        .title("Current time")
        .hints(hints)
}

struct CurrentTime(Arc<ClockAndIds>);

#[async_trait]
impl ToolHandler for CurrentTime {
    async fn call(&self, _: ToolContext, arguments: Value) -> Result<ToolOutput> {
        let zone = arguments.get("zone").and_then(Value::as_str).unwrap_or_default();
        told(self.0.now(), zone).map(ToolOutput::text)
    }
}

/// The moment in words: `Monday, 2026-11-30 14:05:09 +01:00 (Europe/Berlin)`.
fn told(now: Timestamp, zone: &str) -> Result<String> {
    let (zone, name) = time_zone(zone.trim())?;
    let unreadable = |error: jiff::Error| Error::internal("the clock is out of range").with_source(error);
    let moment = jiff::Timestamp::from_microsecond(now.0).map_err(unreadable)?.to_zoned_datetime(zone);
    let text = strtime::format("%A, %Y-%m-%d %H:%M:%S %:z", &moment).map_err(unreadable)?;
    Ok(format!("{text} ({name})"))
}

fn time_zone(zone: &str) -> Result<(TimeZone, String)> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("utc") || zone == "Z" {
        return Ok((TimeZone::UTC, "UTC".to_owned()));
    }
    if let Some(offset) = offset(zone) {
        return Ok((TimeZone::fixed(offset), format!("UTC{zone}")));
    }
    let found = TimeZone::get(zone).ok().filter(|_| zone.len() <= 64);
    let found = found.ok_or_else(|| {
        Error::field(
            "zone",
            format!("`{}` is no time zone; it should be like Europe/Berlin or +02:00", shorten(zone, 64)),
        )
    })?;
    let name = found.iana_name().unwrap_or(zone).to_owned();
    Ok((found, name))
}

/// An offset such as `+02:00`, `-0330` or `+2`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let is_number =
        |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-07-01 12:00 UTC.
    const SUMMER: Timestamp = Timestamp(1_782_907_200_000_000);
    /// 2026-11-30 23:30 UTC.
    const WINTER: Timestamp = Timestamp(1_796_081_400_000_000);

    #[test]
    fn time_is_told_in_the_zone() {
        for (at, zone, expected) in [
            (SUMMER, "", "Wednesday, 2026-07-01 12:00:00 +00:00 (UTC)"),
            (SUMMER, "Europe/Berlin", "Wednesday, 2026-07-01 14:00:00 +02:00 (Europe/Berlin)"),
            (WINTER, "europe/berlin", "Tuesday, 2026-12-01 00:30:00 +01:00 (Europe/Berlin)"),
            (SUMMER, "America/New_York", "Wednesday, 2026-07-01 08:00:00 -04:00 (America/New_York)"),
            (SUMMER, "+05:30", "Wednesday, 2026-07-01 17:30:00 +05:30 (UTC+05:30)"),
            (SUMMER, "-0330", "Wednesday, 2026-07-01 08:30:00 -03:30 (UTC-0330)"),
            (SUMMER, "+2", "Wednesday, 2026-07-01 14:00:00 +02:00 (UTC+2)"),
        ] {
            assert_eq!(told(at, zone).unwrap(), expected, "{zone}");
        }
    }

    #[test]
    fn what_is_no_zone_is_said_to_be_none() {
        for zone in ["Mars/Olympus", "+99:00", "+1:2:3", "../../etc/passwd", "+02:xx", &"x".repeat(500)] {
            let error = told(SUMMER, zone).unwrap_err();
            assert!(error.message().contains("Europe/Berlin") && error.message().len() < 200, "{error}");
        }
    }
}
