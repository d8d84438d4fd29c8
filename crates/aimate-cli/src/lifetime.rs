//! Lifetimes on the command line: `90d`, `12h`, `30m`.

use std::time::Duration;

use aimate::{Error, Result};

/// A number of days, hours or minutes.
///
/// # Errors
/// `Invalid` for anything else, for none, and for more than a hundred years.
pub(crate) fn lifetime(text: &str) -> Result<Duration> {
    let wrong = || Error::invalid("it should be like 90d, 12h or 30m");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 24 * 60 * 60,
        'h' => 60 * 60,
        'm' => 60,
        _ => return Err(wrong()),
    };
    let count: u64 = text.strip_suffix(unit).and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    let within = (1..=100 * 366 * 24 * 60 * 60 / seconds).contains(&count);
    within.then(|| Duration::from_secs(count * seconds)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_has_a_unit() {
        assert_eq!(lifetime("90d").unwrap(), Duration::from_secs(90 * 86_400));
        assert_eq!(lifetime("12h").unwrap(), Duration::from_secs(43_200));
        assert_eq!(lifetime("30m").unwrap(), Duration::from_secs(1_800));
        for wrong in ["", "d", "90", "0d", "-1d", "1y", "1.5d", "99999999999999999999d", "40000d", "9é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
