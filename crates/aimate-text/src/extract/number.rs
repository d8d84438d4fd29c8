//! Number formats: a value as its reader sees it.

mod moment;

use super::table::CellKind;

/// Maximum digits after the point, as in Excel.
const MAX_DECIMALS: usize = 30;
/// Maximum characters of a format, as in Excel.
const MAX_FORMAT: usize = 255;

/// A number format of a workbook.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Format {
    sections: Vec<FormatSection>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct FormatSection {
    tokens: Vec<FormatToken>,
    condition: Option<(Comparison, f64)>,
    /// Names of months and days are of another language than English.
    is_foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    MoreOrEqual,
    More,
}

#[derive(Clone, Debug, PartialEq)]
enum FormatToken {
    Literal(String),
    /// `0`, `#` or `?`.
    Digit(char),
    Point,
    Comma,
    Percent,
    /// `E+` or `E-`.
    Exponent,
    Fraction,
    General,
    /// Letters of a date: `yyyy`, `mm`, `[h]`.
    Time(String),
    /// `AM/PM` or `A/P`.
    Half,
}

impl Format {
    /// Reads a format such as `#,##0.00 "EUR"`.
    pub(super) fn new(code: &str) -> Self {
        let code: String = code.chars().take(MAX_FORMAT).collect();
        let mut sections = vec![FormatSection::default()];
        let mut characters = code.chars().peekable();
        while let Some(character) = characters.next() {
            if character == ';' {
                sections.push(FormatSection::default());
                continue;
            }
            let Some(section) = sections.last_mut() else { break };
            section.read(character, &mut characters);
        }
        Self { sections }
    }

    /// The number format that a program knows by its number alone.
    pub(super) fn built_in(id: u32) -> Self {
        Self::new(match id {
            1 => "0",
            2 => "0.00",
            3 | 37 | 38 => "#,##0",
            4 | 39 | 40 => "#,##0.00",
            5 | 6 => "$#,##0",
            7 | 8 => "$#,##0.00",
            9 => "0%",
            10 => "0.00%",
            11 => "0.00E+00",
            48 => "##0.0E+0",
            14 | 27..=31 | 34..=36 | 50..=54 | 57 | 58 => "yyyy-mm-dd",
            15 => "d-mmm-yy",
            16 => "d-mmm",
            17 => "mmm-yy",
            18 => "h:mm AM/PM",
            19 => "h:mm:ss AM/PM",
            20 | 32 | 55 => "h:mm",
            21 | 33 | 56 => "h:mm:ss",
            22 => "yyyy-mm-dd h:mm",
            41 => "#,##0",
            42 => "$#,##0",
            43 => "#,##0.00",
            44 => "$#,##0.00",
            45 => "mm:ss",
            46 => "[h]:mm:ss",
            47 => "mm:ss.0",
            _ => "General",
        })
    }

    /// A value as it is shown, and its kind.
    pub(super) fn show(&self, value: f64, is_1904: bool) -> (String, CellKind) {
        let plain = || (plain(value), CellKind::Number);
        let Some((section, is_negative)) = self.section(value) else { return plain() };
        if section.is_time() {
            return match section.show_time(value, is_1904) {
                Some(text) => (text, CellKind::Date),
                None => plain(),
            };
        }
        match section.show_number(value, is_negative) {
            // A format that shows nothing hides a value.
            Some(text) if !text.trim().is_empty() => (text.trim().to_owned(), CellKind::Number),
            _ => plain(),
        }
    }

    /// The section for a value, and whether the value's sign is still to be shown.
    fn section(&self, value: f64) -> Option<(&FormatSection, bool)> {
        let numbers = self.sections.get(..3).unwrap_or(&self.sections);
        if numbers.iter().any(|section| section.condition.is_some()) {
            let fits = |section: &&FormatSection| {
                section.condition.is_none_or(|(comparison, bound)| comparison.holds(value, bound))
            };
            return numbers.iter().find(fits).map(|section| (section, value < 0.0));
        }
        match numbers {
            [one] => Some((one, value < 0.0)),
            [positive, negative] => Some((if value < 0.0 { negative } else { positive }, false)),
            [positive, negative, zero] => {
                let section = if value < 0.0 {
                    negative
                } else if value == 0.0 {
                    zero
                } else {
                    positive
                };
                Some((section, false))
            }
            _ => None,
        }
    }
}

impl Comparison {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
            Self::MoreOrEqual => value >= bound,
            Self::More => value > bound,
        }
    }
}

impl FormatSection {
    fn read(&mut self, character: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        match character {
            '"' => {
                let text: String = rest.by_ref().take_while(|next| *next != '"').collect();
                self.literal(&text);
            }
            '\\' => {
                if let Some(next) = rest.next() {
                    self.literal(&next.to_string());
                }
            }
            // A gap as wide as the next character.
            '_' => {
                rest.next();
                self.literal(" ");
            }
            // The next character fills the cell.
            '*' => {
                rest.next();
            }
            '[' => {
                let inner: String = rest.by_ref().take_while(|next| *next != ']').collect();
                self.bracket(&inner);
            }
            '0' | '#' | '?' => self.tokens.push(FormatToken::Digit(character)),
            '.' => self.tokens.push(FormatToken::Point),
            ',' => self.tokens.push(FormatToken::Comma),
            '%' => self.tokens.push(FormatToken::Percent),
            '/' if matches!(self.tokens.last(), Some(FormatToken::Digit(_))) => {
                self.tokens.push(FormatToken::Fraction);
            }
            'E' | 'e' if rest.next_if(|next| matches!(next, '+' | '-')).is_some() => {
                self.tokens.push(FormatToken::Exponent);
            }
            'G' | 'g' if follows(rest, "eneral") => self.tokens.push(FormatToken::General),
            'A' | 'a' if follows(rest, "M/PM") || follows(rest, "/P") => self.tokens.push(FormatToken::Half),
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' => {
                let letter = character.to_ascii_lowercase();
                let mut letters = letter.to_string();
                while rest.next_if(|next| next.to_ascii_lowercase() == letter).is_some() {
                    letters.push(letter);
                }
                self.tokens.push(FormatToken::Time(letters));
            }
            '@' => self.tokens.push(FormatToken::General),
            other => self.literal(&other.to_string()),
        }
    }

    fn literal(&mut self, text: &str) {
        match self.tokens.last_mut() {
            Some(FormatToken::Literal(before)) => before.push_str(text),
            _ => self.tokens.push(FormatToken::Literal(text.to_owned())),
        }
    }

    /// `[Red]`, `[>=100]`, `[$€-407]`, `[h]`.
    fn bracket(&mut self, inner: &str) {
        if let Some(currency) = inner.strip_prefix('$') {
            let (symbol, locale) = currency.split_once('-').unwrap_or((currency, ""));
            // The last two digits name the language; 9 is English.
            let language = u32::from_str_radix(locale, 16).map_or(9, |locale| locale & 0x3ff);
            self.is_foreign |= !locale.is_empty() && language != 9 && language != 0;
            self.literal(symbol);
            return;
        }
        let lower = inner.to_ascii_lowercase();
        let first = lower.chars().next();
        if matches!(first, Some('h' | 'm' | 's')) && lower.chars().all(|letter| Some(letter) == first) {
            self.tokens.push(FormatToken::Time(format!("[{lower}]")));
            return;
        }
        let comparisons = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::MoreOrEqual),
            ("<>", Comparison::NotEqual),
            ("<", Comparison::Less),
            (">", Comparison::More),
            ("=", Comparison::Equal),
        ];
        for (sign, comparison) in comparisons {
            if let Some(bound) = inner.strip_prefix(sign).and_then(|bound| bound.trim().parse().ok()) {
                self.condition = Some((comparison, bound));
                return;
            }
        }
    }

    fn is_time(&self) -> bool {
        self.tokens.iter().any(|token| matches!(token, FormatToken::Time(_) | FormatToken::Half))
    }

    fn show_number(&self, value: f64, is_negative: bool) -> Option<String> {
        let has = |token: &FormatToken| self.tokens.contains(token);
        let has_digits = self.tokens.iter().any(|token| matches!(token, FormatToken::Digit(_)));
        if has(&FormatToken::General) || has(&FormatToken::Fraction) || !value.is_finite() {
            // A fraction of a whole is written as a decimal.
            return self.around(&plain(value));
        }
        if !has_digits {
            // Text alone: shown in the place of the value, which is kept beside it.
            let text = self.around("")?;
            let text = text.trim();
            return Some(if text.is_empty() { plain(value) } else { format!("{text} ({})", plain(value)) });
        }
        let point = self.tokens.iter().position(|token| *token == FormatToken::Point);
        let exponent = self.tokens.iter().position(|token| *token == FormatToken::Exponent);
        let last_digit = self.tokens.iter().rposition(|token| matches!(token, FormatToken::Digit(_)))?;
        let whole_end = point.or(exponent).unwrap_or(self.tokens.len());
        let is_digit = |token: &&FormatToken| matches!(token, FormatToken::Digit(_));
        let decimals = point.map_or(0, |point| {
            let end = exponent.unwrap_or(self.tokens.len());
            self.tokens.get(point..end).unwrap_or_default().iter().filter(is_digit).count()
        });
        let optional = point.map_or(0, |point| {
            let end = exponent.unwrap_or(self.tokens.len());
            let digits = self.tokens.get(point..end).unwrap_or_default().iter().rev().filter(is_digit);
            digits.take_while(|token| matches!(token, FormatToken::Digit('#' | '?'))).count()
        });
        let commas = self.tokens.iter().enumerate().filter(|(_, token)| **token == FormatToken::Comma);
        let (thousands, scale) = commas.fold((false, 0_i32), |(thousands, scale), (at, _)| {
            if at > last_digit || (at + 1 == whole_end && point.is_some()) {
                (thousands, scale + 1)
            } else {
                (thousands || at < whole_end, scale)
            }
        });
        let percents = self.tokens.iter().filter(|token| **token == FormatToken::Percent).count();
        let percents = i32::try_from(percents).unwrap_or(0);
        let scaled = value.abs() * 100_f64.powi(percents) / 1_000_f64.powi(scale);
        let decimals = decimals.min(MAX_DECIMALS);
        if exponent.is_some() {
            let text = format!("{scaled:.decimals$e}").replace('e', "E");
            return Some(if value < 0.0 { format!("-{text}") } else { text });
        }
        let rounded = rounded(scaled, decimals);
        let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
        let mut fraction = fraction;
        for _ in 0..optional {
            fraction = fraction.strip_suffix('0').unwrap_or(fraction);
        }
        let is_zero = whole.bytes().chain(fraction.bytes()).all(|byte| byte == b'0');
        let mut text = String::new();
        if is_negative && !is_zero {
            text.push('-');
        }
        self.write(&mut text, whole, fraction, thousands, whole_end);
        Some(text)
    }

    /// Puts the digits into the places that the format has for them.
    fn write(&self, text: &mut String, whole: &str, fraction: &str, thousands: bool, whole_end: usize) {
        let is_digit = |token: &FormatToken| matches!(token, FormatToken::Digit(_));
        let places = self.tokens.get(..whole_end).unwrap_or_default();
        let count = places.iter().filter(|token| is_digit(token)).count();
        let required = places.iter().filter(|token| **token == FormatToken::Digit('0')).count();
        let whole = if whole == "0" && required == 0 { "" } else { whole };
        let digits: Vec<char> = format!("{whole:0>required$}").chars().collect();
        let (mut place, mut decimal) = (0, fraction.chars());
        // Digits beyond the places come before the first one.
        let skipped = digits.len().saturating_sub(count);
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                FormatToken::Literal(literal) => text.push_str(literal),
                FormatToken::Percent => text.push('%'),
                FormatToken::Point if fraction.is_empty() => {}
                FormatToken::Point => text.push('.'),
                FormatToken::Digit(_) if at < whole_end => {
                    place += 1;
                    let left = count - place;
                    let begin = if place == 1 { 0 } else { digits.len().saturating_sub(left + 1) };
                    let end = digits.len().saturating_sub(left);
                    debug_assert!(begin <= end || skipped == 0);
                    for (index, digit) in digits.iter().enumerate().take(end).skip(begin) {
                        let behind = digits.len() - index;
                        if thousands && index > 0 && behind.is_multiple_of(3) {
                            text.push(',');
                        }
                        text.push(*digit);
                    }
                }
                FormatToken::Digit(_) => text.extend(decimal.next()),
                _ => {}
            }
        }
    }

    /// The text of the section around a value.
    fn around(&self, value: &str) -> Option<String> {
        let mut text = String::new();
        let mut is_written = false;
        for token in &self.tokens {
            match token {
                FormatToken::Literal(literal) => text.push_str(literal),
                FormatToken::General | FormatToken::Digit(_) if !is_written => {
                    text.push_str(value);
                    is_written = true;
                }
                _ => {}
            }
        }
        Some(text)
    }

    /// A date or time. One with only numbers is written in the order of the
    /// calendar, whatever order the format has: 3/4 is two days.
    fn show_time(&self, value: f64, is_1904: bool) -> Option<String> {
        let letters = |wanted: char| {
            self.tokens
                .iter()
                .any(|token| matches!(token, FormatToken::Time(letters) if letters.starts_with(wanted)))
        };
        let is_elapsed = letters('[');
        if is_elapsed {
            return moment::duration(value);
        }
        let is_named = self.tokens.iter().any(|token| {
            matches!(token, FormatToken::Time(letters) if letters.len() >= 3 && letters.starts_with(['m', 'd']))
        });
        let (has_year, has_day) = (letters('y'), letters('d'));
        let has_clock = letters('h') || letters('s') || self.tokens.contains(&FormatToken::Half);
        if !has_year && !has_day && !is_named && has_clock {
            return moment::clock(value);
        }
        let date = moment::date(value, is_1904, has_clock)?;
        if !is_named || self.is_foreign {
            let has_month = letters('m');
            return Some(match (has_year, has_month, has_day) {
                (true, true, false) => date.get(..7).unwrap_or(&date).to_owned(),
                (true, false, false) => date.get(..4).unwrap_or(&date).to_owned(),
                _ => date,
            });
        }
        let shown = self.named(value, is_1904)?;
        let shown = shown.trim();
        Some(if has_year && has_day { format!("{date} ({shown})") } else { shown.to_owned() })
    }

    /// The parts of a date in the order of the format, with the names of month and
    /// day; the time of day is left out.
    fn named(&self, value: f64, is_1904: bool) -> Option<String> {
        let day = moment::Day::of(value, is_1904)?;
        let mut text = String::new();
        let mut is_clock = false;
        for token in &self.tokens {
            match token {
                FormatToken::Time(letters) => {
                    is_clock = letters.starts_with(['h', 's']);
                    text.push_str(&day.part(letters));
                }
                FormatToken::Literal(literal) if !is_clock => text.push_str(literal),
                FormatToken::Comma if !is_clock => text.push(','),
                FormatToken::Point if !is_clock => text.push('.'),
                _ => {}
            }
        }
        Some(text)
    }
}

fn follows(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, wanted: &str) -> bool {
    let mut ahead = rest.clone();
    for letter in wanted.chars() {
        if !ahead.next().is_some_and(|next| next.eq_ignore_ascii_case(&letter)) {
            return false;
        }
    }
    *rest = ahead;
    true
}

/// A number without the noise of its binary form: 0.1 + 0.2 is 0.3.
pub(super) fn plain(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// A number with so many decimals, rounded as people do: 1.005 is 1.01.
fn rounded(number: f64, decimals: usize) -> String {
    let exact: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{:.decimals$}", exact * (1.0 + 4.0 * f64::EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, value: f64) -> String {
        Format::new(code).show(value, false).0
    }

    #[test]
    fn numbers_are_shown_as_their_format_says() {
        for (code, value, text) in [
            ("General", 0.1 + 0.2, "0.3"),
            ("0.0%", 0.155, "15.5%"),
            ("0%", 1.0, "100%"),
            ("#,##0.00 \"EUR\"", 12_500.5, "12,500.50 EUR"),
            ("#,##0.00 \"EUR\"", 0.0, "0.00 EUR"),
            ("[$€-407]#,##0", 1_234_567.0, "€1,234,567"),
            ("#,##0.00 [$€-1]", -12.345, "-12.35 €"),
            ("\"$\"#,##0_);[Red](\"$\"#,##0)", -1_234.0, "($1,234)"),
            ("_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", 0.0, "-"),
            ("_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", -5.5, "(5.50)"),
            ("00000", 1_234.0, "01234"),
            ("000-00-0000", 123_456_789.0, "123-45-6789"),
            ("0.00", 1.005, "1.01"),
            ("0.0#", 2.5, "2.5"),
            ("0.##", 2.0, "2"),
            ("0", -0.2, "0"),
            ("0,", 12_345.0, "12"),
            ("0.0,,\"M\"", 12_345_678.0, "12.3M"),
            ("0.00E+00", 12_345.0, "1.23E4"),
            ("# ?/?", 0.5, "0.5"),
            ("[>=1000]#,##0,\"k\";0", 25_000.0, "25k"),
            ("[>=1000]#,##0,\"k\";0", 25.0, "25"),
            ("0 \"kg\"", 75.0, "75 kg"),
            (";;;", 5.0, "5"),
            ("\"yes\";;\"no\"", 1.0, "yes (1)"),
        ] {
            assert_eq!(shown(code, value), text, "{code}");
        }
    }

    #[test]
    fn dates_are_shown_in_the_order_of_the_calendar() {
        for (code, value, text) in [
            ("DD.MM.YYYY", 45_730.0, "2025-03-14"),
            ("m/d/yy h:mm", 45_730.5, "2025-03-14 12:00"),
            ("h:mm:ss", 0.354_166_666_666_666_7, "08:30"),
            ("h:mm AM/PM", 45_730.75, "18:00"),
            ("[h]:mm", 1.5, "36:00:00"),
            ("mmm-yy", 45_730.0, "Mar-25"),
            ("yyyy", 45_730.0, "2025"),
            ("mm/yyyy", 45_730.0, "2025-03"),
            ("d mmmm yyyy", 45_730.0, "2025-03-14 (14 March 2025)"),
            ("dddd, mmmm dd, yyyy", 45_730.0, "2025-03-14 (Friday, March 14, 2025)"),
            ("[$-407]d. mmmm yyyy", 45_730.0, "2025-03-14"),
            ("yyyy-mm-dd", -3.0, "-3"),
            ("yyyy-mm-dd", 1e300, &plain(1e300)),
        ] {
            assert_eq!(shown(code, value), text, "{code}");
        }
        assert_eq!(Format::new("yyyy-mm-dd").show(1.0, true).0, "1904-01-02");
    }

    #[test]
    fn odd_formats_do_no_harm() {
        for code in [
            "",
            ";",
            "[",
            "\"",
            "\\",
            "_",
            "*",
            "[$",
            "E+",
            "0.0.0.0",
            ",,,,",
            "%%%%",
            "//",
            "?/",
            "@@",
            "[>]0",
            &"0".repeat(9_000),
        ] {
            for value in [0.0, -1.5, 1e308, f64::NAN, f64::INFINITY, 5e-324] {
                Format::new(code).show(value, false);
            }
        }
    }
}
