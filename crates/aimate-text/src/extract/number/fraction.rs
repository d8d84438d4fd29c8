//! Numbers as fractions.

use super::digits::literal;
use super::{FormatSection, FormatToken, plain};

impl FormatSection {
    /// A number as `2 1/2`, with the decimal that it stands for; `None` if the format
    /// is of another kind.
    pub(super) fn show_fraction(&self, value: f64, is_negative: bool) -> Option<String> {
        let bar = self.tokens.iter().position(|token| matches!(token, FormatToken::Fraction(_)))?;
        let Some(FormatToken::Fraction(denominator)) = self.tokens.get(bar) else { return None };
        let is_digit = |token: &FormatToken| matches!(token, FormatToken::Digit(_));
        let before = self.tokens.get(..bar)?;
        let numerator = before.iter().rposition(|token| !is_digit(token)).map_or(0, |last| last + 1);
        let first = before.iter().position(is_digit)?;
        let has_whole = first < numerator;
        let size = value.abs();
        // Excel shows no fraction of such numbers either.
        if size >= 1e9 {
            return self.around(&plain(value));
        }
        let whole = if has_whole { size.trunc() } else { 0.0 };
        let (mut over, under) = denominator.nearest(size - whole);
        let mut whole = whole as u64;
        if has_whole && over == under {
            (whole, over) = (whole + 1, 0);
        }
        let parts = match (whole, over) {
            (whole, 0) => whole.to_string(),
            (0, over) => format!("{over}/{under}"),
            (whole, over) => format!("{whole} {over}/{under}"),
        };
        let mut text: String = before.get(..first)?.iter().filter_map(literal).collect();
        if is_negative && size != 0.0 {
            text.push('-');
        }
        text.push_str(&parts);
        text.extend(self.tokens.get(bar + 1..)?.iter().filter_map(literal));
        Some(if parts == plain(size) { text } else { format!("{} ({})", text.trim(), plain(value)) })
    }
}

/// What a format shows under the bar of a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Denominator {
    /// Any number up to this one.
    UpTo(u32),
    Fixed(u32),
}

impl Denominator {
    /// Reads what follows a bar: `??` or `16`.
    pub(super) fn read(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Self {
        let (mut places, mut fixed) = (0_u32, 0_u32);
        while let Some(next) = rest.next_if(|next| matches!(next, '0'..='9' | '#' | '?')) {
            places += 1;
            fixed = fixed.saturating_mul(10).saturating_add(next.to_digit(10).unwrap_or(0));
        }
        match fixed {
            0 => Self::UpTo(10_u32.pow(places.clamp(1, 3)) - 1),
            fixed => Self::Fixed(fixed),
        }
    }

    /// The fraction that is nearest to a number.
    fn nearest(self, value: f64) -> (u64, u64) {
        let over = |under: u32| (value * f64::from(under)).round();
        let error = |under: u32| (value - over(under) / f64::from(under)).abs();
        let under = match self {
            Self::Fixed(under) => under,
            // The least of those that are as near.
            Self::UpTo(most) => (2..=most)
                .fold(1, |best, under| if error(under) + 1e-12 < error(best) { under } else { best }),
        };
        (over(under) as u64, u64::from(under))
    }
}
