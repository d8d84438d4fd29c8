//! Numbers as lists write them: digits, letters, Roman numerals.

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Numeral {
    #[default]
    Decimal,
    /// With a zero before one digit.
    Padded,
    LowerLetter,
    UpperLetter,
    LowerRoman,
    UpperRoman,
    /// `1st`.
    Ordinal,
    /// Not at all.
    None,
}

impl Numeral {
    /// By its name in Word; `None` for a bullet.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bullet" => return None,
            "none" => Self::None,
            "decimalZero" => Self::Padded,
            "lowerLetter" => Self::LowerLetter,
            "upperLetter" => Self::UpperLetter,
            "lowerRoman" => Self::LowerRoman,
            "upperRoman" => Self::UpperRoman,
            "ordinal" => Self::Ordinal,
            // Those of other scripts are written with digits.
            _ => Self::Decimal,
        })
    }
}

/// Writes a number; what letters or Romans cannot write is decimal.
pub(super) fn written(number: u32, numeral: Numeral) -> String {
    match numeral {
        Numeral::Decimal => number.to_string(),
        Numeral::Padded => format!("{number:02}"),
        Numeral::LowerLetter => letters(number).unwrap_or_else(|| number.to_string()),
        Numeral::UpperLetter => {
            letters(number).map_or_else(|| number.to_string(), |text| text.to_uppercase())
        }
        Numeral::LowerRoman => roman(number).map_or_else(|| number.to_string(), |text| text.to_lowercase()),
        Numeral::UpperRoman => roman(number).unwrap_or_else(|| number.to_string()),
        Numeral::Ordinal => {
            let end = match (number % 10, number % 100) {
                (_, 11..=13) => "th",
                (1, _) => "st",
                (2, _) => "nd",
                (3, _) => "rd",
                _ => "th",
            };
            format!("{number}{end}")
        }
        Numeral::None => String::new(),
    }
}

/// `a` to `z`, then `aa`, `bb`, as in Word.
fn letters(number: u32) -> Option<String> {
    let index = number.checked_sub(1)?;
    let letter = char::from(b'a' + u8::try_from(index % 26).ok()?);
    let times = usize::try_from(index / 26 + 1).ok().filter(|times| *times <= 30)?;
    Some(std::iter::repeat_n(letter, times).collect())
}

fn roman(number: u32) -> Option<String> {
    const SIGNS: [(u32, &str); 13] = [
        (1_000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4_000).contains(&number) {
        return None;
    }
    let (mut rest, mut text) = (number, String::new());
    for (value, sign) in SIGNS {
        while rest >= value {
            text.push_str(sign);
            rest -= value;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_lists_do() {
        for (number, numeral, text) in [
            (4, Numeral::Decimal, "4"),
            (4, Numeral::Padded, "04"),
            (1, Numeral::LowerLetter, "a"),
            (28, Numeral::UpperLetter, "BB"),
            (0, Numeral::LowerLetter, "0"),
            (1_994, Numeral::LowerRoman, "mcmxciv"),
            (4_000, Numeral::UpperRoman, "4000"),
            (112, Numeral::Ordinal, "112th"),
            (22, Numeral::Ordinal, "22nd"),
            (u32::MAX, Numeral::LowerLetter, "4294967295"),
        ] {
            assert_eq!(written(number, numeral), text);
        }
    }
}
