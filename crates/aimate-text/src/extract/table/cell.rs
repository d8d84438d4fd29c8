//! Cells of tables and what kind of value each holds.

/// A cell as its reader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Cell {
    pub(in super::super) text: String,
    pub(in super::super) kind: CellKind,
    pub(in super::super) origin: Origin,
    pub(in super::super) hint: Hint,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum CellKind {
    #[default]
    Empty,
    Text,
    /// A number, an amount, a truth value.
    Number,
    Date,
}

/// Where the text of a cell stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Origin {
    #[default]
    Own,
    /// It is merged with the cell on its left.
    Left,
    /// It is merged with the cell above.
    Above,
}

/// What the looks of a cell say of its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Hint {
    #[default]
    None,
    /// Bold, or with a background.
    Marked,
    /// The file says that it names a column.
    Header,
}

impl Cell {
    /// A cell of a text alone, whose kind is that of what it says.
    pub(in super::super) fn of_text(text: &str) -> Self {
        let text = one_line(text);
        Self { kind: kind_of(&text), text, ..Self::default() }
    }

    pub(super) fn is_filled(&self) -> bool {
        self.kind != CellKind::Empty
    }

    /// Whether it has a text of its own.
    pub(super) fn is_own(&self) -> bool {
        self.is_filled() && self.origin == Origin::Own
    }

    pub(super) fn is_value(&self) -> bool {
        matches!(self.kind, CellKind::Number | CellKind::Date)
    }
}

/// The kind of a value that is written as text: numbers and dates with a unit or a
/// month's name count as values.
pub(in super::super) fn kind_of(text: &str) -> CellKind {
    if text.is_empty() {
        return CellKind::Empty;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return CellKind::Text;
    }
    let characters = text.chars().filter(|character| !character.is_whitespace()).count();
    if digits * 2 <= characters {
        return CellKind::Text;
    }
    let separators = text.bytes().filter(|byte| matches!(byte, b'-' | b'/' | b':')).count();
    if separators >= 2 && digits >= 4 { CellKind::Date } else { CellKind::Number }
}

/// A text without line ends, tabs and spaces around it.
pub(in super::super) fn one_line(text: &str) -> String {
    let text = text.trim();
    if text.contains(['\n', '\r', '\t']) {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text.to_owned()
    }
}

/// Whether a cell names a stretch of time, as a heading over its figures does: a
/// year, a quarter, a month of a year.
pub(super) fn is_period(cell: &Cell) -> bool {
    if cell.kind == CellKind::Date {
        return true;
    }
    let text = cell.text.as_str();
    if text.len() > 16 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let mut has_year = false;
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if year(word).is_some() {
            has_year = true;
        } else if word.chars().count() > 9 {
            return false;
        }
    }
    has_year
}

/// The year that a word names: `2024`, `FY24`, `CY2024`, `2024E`.
pub(super) fn year(word: &str) -> Option<u32> {
    let digits = word.trim_matches(|character: char| !character.is_ascii_digit());
    let letters = word.len() - digits.len();
    let number: u32 = digits.parse().ok()?;
    match digits.len() {
        4 if letters <= 2 => Some(number).filter(|number| (1_900..=2_100).contains(number)),
        2 if letters == 2 && (word.starts_with("FY") || word.starts_with("CY")) => Some(2_000 + number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_what_a_text_says() {
        for (text, kind) in [
            ("", CellKind::Empty),
            ("Bolt", CellKind::Text),
            ("4 kilowatts", CellKind::Text),
            ("12,500.50", CellKind::Number),
            ("15 %", CellKind::Number),
            ("1200 EUR", CellKind::Number),
            ("2024-03-01", CellKind::Date),
            ("3/1/2024", CellKind::Date),
        ] {
            assert_eq!(kind_of(text), kind, "{text}");
        }
    }

    #[test]
    fn periods_are_years_and_their_parts() {
        for text in ["2021", "FY24", "Q1 2024", "2021/22", "Jan 2024", "2024-05", "2024E", "1999"] {
            assert!(is_period(&Cell::of_text(text)), "{text}");
        }
        for text in ["", "Q1", "12", "20211", "Lathe", "4 kW", "2024 was a good year", "1.5"] {
            assert!(!is_period(&Cell::of_text(text)), "{text}");
        }
    }
}
