//! What a message is made of, before it is written.

use super::super::document::{Extracted, TextKind};

/// A message, with what is said in it and attached to it.
#[derive(Default)]
pub(super) struct Section {
    pub(super) subject: String,
    /// The other headers that are told, each a label and a value.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) items: Vec<Item>,
}

pub(super) enum Item {
    Text(String),
    /// Of a body in HTML.
    Markdown(String),
    /// A message within the message.
    Message(Section),
    /// A file that was read.
    Document {
        name: String,
        document: Box<Extracted>,
    },
    /// A file that was not read, and why.
    Unread {
        name: String,
        reason: &'static str,
    },
}

impl Item {
    /// How many words a body says; addresses of the web are none.
    pub(super) fn words(&self) -> usize {
        let (Self::Text(text) | Self::Markdown(text)) = self else {
            return 0;
        };
        let is_word = |word: &&str| !word.contains("://") && word.chars().any(char::is_alphanumeric);
        let spaced = text.split_whitespace().filter(is_word).count();
        // Where a script has no spaces, two characters are about a word.
        let dense = text.chars().filter(|c| ('\u{2e80}'..='\u{d7ff}').contains(c)).count();
        spaced + dense / 2
    }

    /// Whether it is a body or has one, so that the message is in Markdown.
    pub(super) fn is_markdown(&self) -> bool {
        match self {
            Self::Markdown(_) => true,
            Self::Message(section) => section.items.iter().any(Self::is_markdown),
            Self::Document { document, .. } => document.kind == TextKind::Markdown,
            Self::Text(_) | Self::Unread { .. } => false,
        }
    }
}
