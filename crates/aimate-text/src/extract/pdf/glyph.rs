//! A glyph at its place on a page.

use hayro_font::kurbo::{Point, Vec2};

use super::font::Text;

/// What a page shows, in the order of its content.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    pub(super) text: Text,
    /// The start of its baseline on the page as it is shown: upright, y upwards.
    pub(super) origin: Point,
    /// From there to where the next glyph would stand.
    pub(super) advance: Vec2,
    /// The direction of its line, of length 1.
    pub(super) direction: Vec2,
    /// The height of the font.
    pub(super) size: f64,
    pub(super) is_bold: bool,
}

impl Glyph {
    pub(super) fn is_space(&self) -> bool {
        match &self.text {
            Text::One(character) => character.is_whitespace(),
            Text::Many(text) => text.trim().is_empty(),
            Text::None => false,
        }
    }
}
