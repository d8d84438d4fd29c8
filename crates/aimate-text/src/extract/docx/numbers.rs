//! The numbers of footnotes and endnotes.

use std::collections::HashMap;

/// The numbers of the notes, which count their marks in the text as Word shows them.
#[derive(Default)]
pub(super) struct NoteNumbers {
    footnotes: HashMap<String, usize>,
    endnotes: HashMap<String, usize>,
}

impl NoteNumbers {
    /// The number of a note, by its id: the next one where it is new.
    pub(super) fn number(&mut self, id: String, is_end: bool) -> usize {
        let numbers = if is_end { &mut self.endnotes } else { &mut self.footnotes };
        let next = numbers.len() + 1;
        *numbers.entry(id).or_insert(next)
    }

    /// The mark of a note.
    pub(super) fn mark(&mut self, id: Option<String>, is_end: bool) -> String {
        let number = self.number(id.unwrap_or_default(), is_end);
        if is_end { format!("[^e{number}]") } else { format!("[^{number}]") }
    }
}
