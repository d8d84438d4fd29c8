//! Which part of an answer is which item.

use aimate_core::message::Part;

/// Counts the parts of a message as they come, from 0: the number of its first part is the place
/// of an item. Thoughts that their provider keeps hidden count for nothing, since no event tells
/// of them, and what they stand between is one text. Whoever shows an answer while it is written
/// counts what its events add to it in the same way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ItemCounter {
    next: u32,
    /// What goes on if more of it comes.
    open: Option<OpenItem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenItem {
    Text,
    Reasoning,
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountedPart {
    /// The place of its item.
    pub(crate) place: u32,
    /// Whether the item begins with it; else it goes on, or the part is none.
    pub(crate) is_new: bool,
}

impl ItemCounter {
    /// Takes the next part; `is_brought` says whether a caller brought the message, whose
    /// thoughts count even where nobody can read them.
    pub(crate) fn part(&mut self, part: &Part, is_brought: bool) -> CountedPart {
        let kind = match part {
            Part::Reasoning { text, .. } if text.is_empty() && !is_brought => return self.same(),
            Part::Text { text } if !text.is_empty() => Some(OpenItem::Text),
            Part::Reasoning { .. } => Some(OpenItem::Reasoning),
            _ => None,
        };
        if kind.is_some() && kind == self.open {
            return self.same();
        }
        self.open = kind;
        let place = self.next;
        self.next += 1;
        CountedPart { place, is_new: true }
    }

    fn same(self) -> CountedPart {
        CountedPart { place: self.next.saturating_sub(1), is_new: false }
    }
}
