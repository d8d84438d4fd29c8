//! One page: its text in the order of reading, and what else it shows.

use std::collections::HashSet;

use hayro_font::hayro_syntax::object::{Array, Dict, Stream};
use hayro_font::hayro_syntax::page::{Page, Rotation};
use hayro_font::kurbo::{Affine, Rect};

use super::annotation::{self, Note};
use super::content::Runner;
use super::font::Fonts;
use super::paragraph::{PageParagraph, paragraphs};
use super::stopwatch::Stopwatch;
use super::{line, order, segment, vertical};

/// The text of a page.
pub(super) struct PageText {
    pub(super) number: u32,
    pub(super) paragraphs: Vec<PageParagraph>,
    /// The comments on it.
    pub(super) notes: Vec<Note>,
    /// How much of it the largest picture covers, 0 to 1.
    pub(super) picture: f64,
    /// Letters whose characters nobody knows.
    pub(super) unknown: usize,
    pub(super) is_cut: bool,
    /// The edges of the page in the direction of most of its text.
    pub(super) bottom: f64,
    pub(super) top: f64,
}

impl PageText {
    pub(super) fn words(&self) -> usize {
        let lines = self.paragraphs.iter().flat_map(|paragraph| &paragraph.lines);
        lines.map(|line| count_words(&line.text)).sum()
    }
}

/// Words as white space makes them; where none is written, characters.
fn count_words(text: &str) -> usize {
    let wide = text.chars().filter(|character| u32::from(*character) >= 0x2e80).count();
    text.split_whitespace().count() + wide / 2
}

/// Reads a page.
pub(super) fn read<'a>(
    page: &Page<'a>,
    number: u32,
    fonts: &mut Fonts<'a>,
    hidden_layers: &HashSet<(u32, i32)>,
    clock: &Stopwatch,
) -> PageText {
    let (matrix, bounds) = upright(page);
    let mut runner = Runner::new(fonts, hidden_layers, clock, bounds.inflate(1.0, 1.0));
    runner.run(&content(page), page.resources(), matrix);
    let notes = annotation::read(page, matrix, &mut runner);
    let mut found = runner.finish();
    vertical::turn(&mut found.glyphs);
    let groups = segment::groups(found.glyphs, clock).unwrap_or_else(|| {
        found.is_cut = true;
        Vec::new()
    });
    let (bottom, top) = groups.first().map_or((bounds.y0, bounds.y1), |group| {
        let up = Affine::rotate(-group.direction.atan2());
        let turned = up.transform_rect_bbox(bounds);
        (turned.y0, turned.y1)
    });
    let mut texts = Vec::new();
    for (index, group) in groups.into_iter().enumerate() {
        let is_straight = group.is_straight() && index == 0;
        for region in order::regions(group.segments) {
            match line::lines(region, clock) {
                Some(lines) => texts.extend(paragraphs(lines, is_straight)),
                None => found.is_cut = true,
            }
        }
    }
    PageText {
        number,
        paragraphs: texts,
        notes,
        picture: found.picture,
        unknown: found.unknown,
        is_cut: found.is_cut,
        bottom,
        top,
    }
}

/// The content of a page: its streams, one after the other.
fn content(page: &Page<'_>) -> Vec<u8> {
    let dict: &Dict<'_> = page.raw();
    let mut content = Vec::new();
    let streams = match dict.get::<Stream<'_>>(b"Contents") {
        Some(stream) => vec![stream],
        None => dict
            .get::<Array<'_>>(b"Contents")
            .map(|streams| streams.iter::<Stream<'_>>().collect())
            .unwrap_or_default(),
    };
    for stream in streams {
        if let Ok(data) = stream.decoded_data() {
            content.extend_from_slice(&data);
            content.push(b'\n');
        }
    }
    content
}

/// From the space of a page to the page as it is shown, and its edges there.
fn upright(page: &Page<'_>) -> (Affine, Rect) {
    let media = page.media_box();
    let edges = Rect::new(media.x0, media.y0, media.x1, media.y1).abs();
    // A page without a size has that of a letter.
    let edges = if edges.area() > 0.0 { edges } else { Rect::new(0.0, 0.0, 612.0, 792.0) };
    let turn = match page.rotation() {
        Rotation::None => 0.0,
        Rotation::Horizontal => -90.0_f64,
        Rotation::Flipped => 180.0,
        Rotation::FlippedHorizontal => 90.0,
    };
    let matrix = match page.rotation() {
        Rotation::None => Affine::IDENTITY,
        _ => Affine::rotate(turn.to_radians()),
    };
    (matrix, matrix.transform_rect_bbox(edges))
}
