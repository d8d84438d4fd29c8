//! What annotations show or say: values of form fields, text boxes, comments.

use hayro_font::hayro_syntax::object::{
    Array, Dict, Name, Object, Rect as PdfRect, Stream, String as PdfString,
};
use hayro_font::hayro_syntax::page::Page;
use hayro_font::kurbo::{Affine, Point, Rect, Vec2};

use super::content::Runner;
use super::font::Text;
use super::glyph::Glyph;
use super::string::text_string;

/// Maximum annotations of a page that are read.
const MAX_ANNOTATIONS: usize = 10_000;
/// Maximum parents of a form field.
const MAX_PARENTS: usize = 16;

const HIDDEN: u32 = 1 << 1;
const NOT_SHOWN: u32 = 1 << 5;
const PASSWORD: u32 = 1 << 13;
const PUSH_BUTTON: u32 = 1 << 16;
const COMBO: u32 = 1 << 17;

/// A comment on a page.
pub(super) struct Note {
    pub(super) author: Option<String>,
    pub(super) text: String,
}

/// Adds what annotations show to the page, and returns the comments.
pub(super) fn read<'a>(page: &Page<'a>, matrix: Affine, runner: &mut Runner<'a, '_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let Some(annotations) = page.raw().get::<Array<'a>>(b"Annots") else {
        return notes;
    };
    for annotation in annotations.iter::<Dict<'a>>().take(MAX_ANNOTATIONS) {
        let flags = annotation.get::<u32>(b"F").unwrap_or(0);
        if flags & (HIDDEN | NOT_SHOWN) != 0 {
            continue;
        }
        let subtype = annotation.get::<Name<'_>>(b"Subtype");
        match subtype.as_deref() {
            Some(b"Link" | b"Popup" | b"FileAttachment") | None => {}
            Some(b"Widget") => field(&annotation, page, matrix, runner),
            Some(b"FreeText" | b"Stamp") => {
                if !show(&annotation, page, matrix, runner)
                    && let Some(text) = string(&annotation, b"Contents")
                {
                    write(&annotation, &text, matrix, runner);
                }
            }
            // What these show is on the page itself; what they say is of no use without them.
            Some(b"Screen" | b"Movie" | b"Sound" | b"RichMedia" | b"Redact" | b"Watermark") => {
                show(&annotation, page, matrix, runner);
            }
            Some(_) => notes.extend(note(&annotation)),
        }
    }
    notes
}

fn note(annotation: &Dict<'_>) -> Option<Note> {
    let text = string(annotation, b"Contents").filter(|text| !text.trim().is_empty())?;
    let author = string(annotation, b"T").filter(|author| !author.trim().is_empty());
    Some(Note { author, text })
}

/// The value of a form field, where it is shown.
fn field<'a>(widget: &Dict<'a>, page: &Page<'a>, matrix: Affine, runner: &mut Runner<'a, '_>) {
    let kind = inherited(widget, |field| field.get::<Name<'a>>(b"FT"));
    let flags = inherited(widget, |field| field.get::<u32>(b"Ff")).unwrap_or(0);
    match kind.as_deref() {
        Some(b"Btn") if flags & PUSH_BUTTON == 0 => {
            let state = widget.get::<Name<'_>>(b"AS");
            if state.is_some_and(|state| state.as_ref() != b"Off") {
                write(widget, "[x]", matrix, runner);
            }
        }
        Some(b"Tx" | b"Ch") if flags & PASSWORD == 0 || kind.as_deref() == Some(b"Ch") => {
            if !show(widget, page, matrix, runner) {
                let is_list = kind.as_deref() == Some(b"Ch") && flags & COMBO == 0;
                let options = if is_list { options(widget) } else { None };
                let value = || inherited(widget, |field| field.get::<Object<'a>>(b"V")).and_then(value);
                if let Some(text) = options.or_else(value) {
                    write(widget, &text, matrix, runner);
                }
            }
        }
        Some(b"Tx") => {}
        _ => {
            show(widget, page, matrix, runner);
        }
    }
}

fn value(object: Object<'_>) -> Option<String> {
    match object {
        Object::String(text) => Some(text_string(text.as_bytes())),
        Object::Stream(stream) => Some(text_string(&stream.decoded_data().ok()?)),
        Object::Array(values) => {
            let values: Vec<String> =
                values.iter::<PdfString<'_>>().take(1_000).map(|text| text_string(text.as_bytes())).collect();
            Some(values.join(", "))
        }
        _ => None,
    }
    .filter(|value| !value.trim().is_empty())
}

/// The lines of a list that is shown whole.
fn options(widget: &Dict<'_>) -> Option<String> {
    let options = inherited(widget, |field| field.get::<Array<'_>>(b"Opt"))?;
    let lines = options.iter::<Object<'_>>().take(1_000).filter_map(|option| match option {
        Object::String(text) => Some(text_string(text.as_bytes())),
        // What is sent, and what is shown.
        Object::Array(pair) => pair.iter::<PdfString<'_>>().last().map(|text| text_string(text.as_bytes())),
        _ => None,
    });
    let lines: Vec<String> = lines.collect();
    Some(lines.join("\n")).filter(|lines| !lines.trim().is_empty())
}

/// The entry of a field, else that of its nearest parent.
fn inherited<'a, T>(field: &Dict<'a>, entry: impl Fn(&Dict<'a>) -> Option<T>) -> Option<T> {
    let mut field = field.clone();
    for _ in 0..MAX_PARENTS {
        if let Some(found) = entry(&field) {
            return Some(found);
        }
        field = field.get::<Dict<'a>>(b"Parent")?;
    }
    None
}

/// Shows the appearance of an annotation; returns whether it has text.
fn show<'a>(annotation: &Dict<'a>, page: &Page<'a>, matrix: Affine, runner: &mut Runner<'a, '_>) -> bool {
    let (Some(form), Some(edges)) = (appearance(annotation), rectangle(annotation)) else {
        return false;
    };
    let before = runner.glyphs();
    runner.appearance(&form, edges, page.resources(), matrix);
    runner.has_text_since(before)
}

fn appearance<'a>(annotation: &Dict<'a>) -> Option<Stream<'a>> {
    match annotation.get::<Dict<'a>>(b"AP")?.get::<Object<'a>>(b"N")? {
        Object::Stream(form) => Some(form),
        Object::Dict(states) => {
            let state = annotation.get::<Name<'_>>(b"AS")?;
            states.get::<Stream<'a>>(state.as_ref())
        }
        _ => None,
    }
}

fn rectangle(annotation: &Dict<'_>) -> Option<Rect> {
    let edges = annotation.get::<PdfRect>(b"Rect")?;
    Some(Rect::new(edges.x0, edges.y0, edges.x1, edges.y1).abs())
}

/// Writes text into the rectangle of an annotation.
fn write(annotation: &Dict<'_>, text: &str, matrix: Affine, runner: &mut Runner<'_, '_>) {
    let Some(edges) = rectangle(annotation) else {
        return;
    };
    let lines: Vec<&str> =
        text.split(['\r', '\n']).filter(|line| !line.trim().is_empty()).take(1_000).collect();
    let size = (edges.height() / lines.len().max(1) as f64 * 0.7).clamp(4.0, 11.0);
    let [a, b, c, d, ..] = matrix.as_coeffs();
    let turn = Affine::new([a, b, c, d, 0.0, 0.0]);
    let direction = (turn * Point::new(1.0, 0.0)).to_vec2();
    let middle =
        f64::midpoint(edges.y0, edges.y1) - 0.35 * size + 0.6 * size * (lines.len().saturating_sub(1)) as f64;
    for (index, line) in lines.iter().enumerate() {
        let width = (line.chars().count() as f64 * size * 0.5).min(edges.width().max(size));
        let origin = matrix * Point::new(edges.x0 + 1.0, middle - 1.2 * size * index as f64);
        let text = Text::Many(line.trim().into());
        let advance: Vec2 = direction * width;
        runner.push(Glyph { text, origin, advance, direction, size, is_bold: false });
    }
}

fn string(dict: &Dict<'_>, key: &[u8]) -> Option<String> {
    dict.get::<PdfString<'_>>(key).map(|text| text_string(text.as_bytes()))
}
