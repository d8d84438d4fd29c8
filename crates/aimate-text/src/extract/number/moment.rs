//! Days and times that are kept as numbers of days.

/// Days from 1899-12-30, where Excel's count begins for what comes after February
/// 1900, to 1970-01-01.
const UNIX_EPOCH: i64 = 25_569;
/// Days by which the count of old files for Apple's machines begins later.
const EPOCH_1904: i64 = 1_462;
/// The last day of the year 9999.
const MAX_DAY: f64 = 2_958_466.0;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    year: i64,
    month: u8,
    day: u8,
    /// From Sunday.
    weekday: usize,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Day {
    pub(super) fn of(value: f64, is_1904: bool) -> Option<Self> {
        if !(0.0..MAX_DAY).contains(&value) {
            return None;
        }
        // Invariant: within the years that are looked at above.
        let mut days = seconds(value) / 86_400;
        if is_1904 {
            days += EPOCH_1904;
        } else if days < 60 {
            // Excel's year 1900 has a 29 February, as that of Lotus had.
            days += 1;
        }
        let days = days - UNIX_EPOCH;
        let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
        // The civil calendar from days, with years that begin in March.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Some(Self { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()?, weekday })
    }

    /// The part of a date that letters such as `mmm` mean; nothing for the time.
    pub(super) fn part(self, letters: &str) -> String {
        let month = MONTHS.get(usize::from(self.month).saturating_sub(1)).copied().unwrap_or_default();
        let weekday = WEEKDAYS.get(self.weekday).copied().unwrap_or_default();
        let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
        match letters {
            "y" | "yy" => format!("{:02}", self.year % 100),
            "m" => self.month.to_string(),
            "mm" => format!("{:02}", self.month),
            "mmm" => short(month),
            "mmmmm" => month.chars().take(1).collect(),
            "d" => self.day.to_string(),
            "dd" => format!("{:02}", self.day),
            "ddd" => short(weekday),
            _ if letters.starts_with('y') => format!("{:04}", self.year),
            _ if letters.starts_with('m') => month.to_owned(),
            _ if letters.starts_with('d') => weekday.to_owned(),
            _ => String::new(),
        }
    }
}

/// Whole seconds: values are not exact.
fn seconds(value: f64) -> i64 {
    (value * 86_400.0).round() as i64
}

/// A date as `2024-03-01`, with its time if it has one and `has_clock`.
pub(super) fn date(value: f64, is_1904: bool, has_clock: bool) -> Option<String> {
    let Day { year, month, day, .. } = Day::of(value, is_1904)?;
    let date = format!("{year:04}-{month:02}-{day:02}");
    let has_clock = has_clock && seconds(value) % 86_400 != 0;
    Some(if has_clock { format!("{date} {}", clock(value)?) } else { date })
}

/// A time of day, without seconds where there are none.
pub(super) fn clock(value: f64) -> Option<String> {
    if !(0.0..MAX_DAY).contains(&value) {
        return None;
    }
    let of_day = seconds(value) % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    Some(if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    })
}

/// The part of a time that letters such as `hh` mean; `has_halves`: with the hours
/// of a half day.
pub(super) fn clock_part(value: f64, letters: &str, has_halves: bool) -> String {
    let of_day = seconds(value).rem_euclid(86_400);
    let hour = match of_day / 3_600 {
        hour if has_halves => (hour + 11) % 12 + 1,
        hour => hour,
    };
    let number = match letters.chars().next() {
        Some('h') => hour,
        Some('m') => of_day / 60 % 60,
        _ => of_day % 60,
    };
    let places = letters.len().min(2);
    format!("{number:0>places$}")
}

/// The half of the day.
pub(super) fn half(value: f64) -> &'static str {
    if seconds(value).rem_euclid(86_400) < 43_200 { "AM" } else { "PM" }
}

/// A length of time in hours.
pub(super) fn duration(value: f64) -> Option<String> {
    if !value.is_finite() || value.abs() >= MAX_DAY {
        return None;
    }
    let whole = seconds(value);
    let (sign, whole) = (if whole < 0 { "-" } else { "" }, whole.abs());
    Some(format!("{sign}{}:{:02}:{:02}", whole / 3_600, whole / 60 % 60, whole % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_excel() {
        for (value, text) in [
            (1.0, "1900-01-01"),
            (59.0, "1900-02-28"),
            (61.0, "1900-03-01"),
            (45_351.0, "2024-02-29"),
            (2_958_465.0, "9999-12-31"),
            (45_748.385_416_66, "2025-04-01 09:15"),
            (45_748.999_999_999, "2025-04-02"),
        ] {
            assert_eq!(date(value, false, true).unwrap(), text);
        }
        assert_eq!(date(-1.0, false, true), None);
        assert_eq!(date(f64::NAN, false, true), None);
    }
}
