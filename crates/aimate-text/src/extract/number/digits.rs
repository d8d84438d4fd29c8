//! Numbers in the digits of their format.

use super::{FormatSection, FormatToken, plain, rounded};

/// Maximum digits after the point, as in Excel.
const MAX_DECIMALS: usize = 30;
/// Maximum digits of a number that somebody typed.
const MAX_TYPED: usize = 9;

impl FormatSection {
    /// A number in the digits that the format has for it.
    pub(super) fn show_number(&self, value: f64, is_negative: bool) -> Option<String> {
        let has_digits = self.tokens.iter().any(|token| matches!(token, FormatToken::Digit(_)));
        if self.tokens.contains(&FormatToken::General) || !value.is_finite() {
            return self.around(&plain(value));
        }
        if let Some(text) = self.show_fraction(value, is_negative) {
            return Some(text);
        }
        if !has_digits {
            // Text alone: shown in the place of the value, which is kept beside it,
            // but for the dash that a table has for nothing.
            let text = self.around("")?;
            let text = text.trim();
            let is_nothing = value == 0.0 && !text.contains(char::is_alphanumeric);
            return Some(match text {
                "" => plain(value),
                _ if is_nothing => text.to_owned(),
                _ => format!("{text} ({})", plain(value)),
            });
        }
        let point = self.tokens.iter().position(|token| *token == FormatToken::Point);
        let exponent = self.tokens.iter().position(|token| matches!(token, FormatToken::Exponent(_)));
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
        if let Some(at) = exponent {
            let text = self.scientific(scaled, whole_end, at, decimals);
            return Some(if is_negative { format!("-{text}") } else { text });
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
        if let Some(exact) = hidden_digits(value, scaled, &rounded, percents) {
            text = format!("{} ({exact})", text.trim());
        }
        Some(text)
    }

    /// `1.98E+08`, with an exponent that is a multiple of the places before the point.
    fn scientific(&self, value: f64, whole_end: usize, at: usize, decimals: usize) -> String {
        let digits = |tokens: Option<&[FormatToken]>| {
            tokens.unwrap_or_default().iter().filter(|token| matches!(token, FormatToken::Digit(_))).count()
        };
        let step = i32::try_from(digits(self.tokens.get(..whole_end))).unwrap_or(1).max(1);
        let places = digits(self.tokens.get(at..));
        let has_plus = matches!(self.tokens.get(at), Some(FormatToken::Exponent(true)));
        let mut power = if value == 0.0 { 0 } else { value.log10().floor() as i32 }.div_euclid(step) * step;
        let mut mantissa = rounded(value / 10_f64.powi(power), decimals);
        // 9.99 may be rounded to 10.0.
        if mantissa.split('.').next().map_or(0, str::len) > usize::try_from(step).unwrap_or(1) {
            power += step;
            mantissa = rounded(value / 10_f64.powi(power), decimals);
        }
        let sign = match (power < 0, has_plus) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let power = power.unsigned_abs();
        let first = self.tokens.iter().position(|token| matches!(token, FormatToken::Digit(_))).unwrap_or(0);
        let (before, behind) = self.tokens.split_at_checked(first).unwrap_or_default();
        let text = |tokens: &[FormatToken]| tokens.iter().filter_map(literal).collect::<String>();
        format!("{}{mantissa}E{sign}{power:0>places$}{}", text(before), text(behind))
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
    pub(super) fn around(&self, value: &str) -> Option<String> {
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
}

/// The text that a part of a format adds to any number.
pub(super) fn literal(token: &FormatToken) -> Option<&str> {
    match token {
        FormatToken::Literal(literal) => Some(literal),
        FormatToken::Percent => Some("%"),
        _ => None,
    }
}

/// The digits of a number that its format hides, where somebody may have typed them:
/// 2.5 % shown as `3%`. What a formula worked out to fifteen digits is what is shown.
fn hidden_digits(value: f64, scaled: f64, rounded: &str, percents: i32) -> Option<String> {
    let shown: f64 = rounded.parse().ok()?;
    if (shown - scaled).abs() <= scaled.abs() * 1e-9 {
        return None;
    }
    let exact = if percents == 1 { format!("{}%", plain(value * 100.0)) } else { plain(value) };
    let digits = exact.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    (digits <= MAX_TYPED).then_some(exact)
}
