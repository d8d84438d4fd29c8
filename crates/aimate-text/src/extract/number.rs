//! Number formats: a value as its reader sees it.

mod digits;
mod fraction;
mod moment;
#[cfg(test)]
mod tests;

use fraction::Denominator;

use super::table::CellKind;

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
    /// `E+` or `E-`: whether a plus is written.
    Exponent(bool),
    /// `/` and what stands under it.
    Fraction(Denominator),
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
                self.tokens.push(FormatToken::Fraction(Denominator::read(rest)));
            }
            'E' | 'e' if rest.peek().is_some_and(|next| matches!(next, '+' | '-')) => {
                self.tokens.push(FormatToken::Exponent(rest.next() == Some('+')));
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

    /// The parts of a date and its time in the order of the format, with the names of
    /// month and day.
    fn named(&self, value: f64, is_1904: bool) -> Option<String> {
        let day = moment::Day::of(value, is_1904)?;
        let has_halves = self.tokens.contains(&FormatToken::Half);
        let mut text = String::new();
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                FormatToken::Time(letters) if letters.starts_with(['h', 's']) || self.is_minute(at) => {
                    text.push_str(&moment::clock_part(value, letters, has_halves));
                }
                FormatToken::Time(letters) => text.push_str(&day.part(letters)),
                FormatToken::Half => text.push_str(moment::half(value)),
                FormatToken::Literal(literal) => text.push_str(literal),
                FormatToken::Comma => text.push(','),
                FormatToken::Point => text.push('.'),
                _ => {}
            }
        }
        Some(text)
    }

    /// Whether the letters at a place, `m` or `mm`, are minutes and not a month: hours
    /// stand before them or seconds behind.
    fn is_minute(&self, at: usize) -> bool {
        let letters = |token: &FormatToken| match token {
            FormatToken::Time(letters) => letters.chars().find(char::is_ascii_alphabetic),
            _ => None,
        };
        let is_short =
            matches!(self.tokens.get(at), Some(FormatToken::Time(own)) if own == "m" || own == "mm");
        let before = self.tokens.get(..at).and_then(|tokens| tokens.iter().rev().find_map(letters));
        let behind = self.tokens.get(at + 1..).and_then(|tokens| tokens.iter().find_map(letters));
        is_short && (before == Some('h') || behind == Some('s'))
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
