//! Runs the content of a page as far as its text goes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use hayro_font::hayro_syntax::content::TypedIter;
use hayro_font::hayro_syntax::content::ops::TypedInstruction as Operator;
use hayro_font::hayro_syntax::object::{Array, Dict, Name, Number, Object, Stream, String as PdfString};
use hayro_font::hayro_syntax::page::Resources;
use hayro_font::kurbo::{Affine, Point, Rect, Vec2};

use super::font::{Code, Fonts, Text, TextFont};
use super::glyph::Glyph;
use super::stopwatch::Stopwatch;
use super::string::text_string;

/// Maximum depth of forms within forms.
const MAX_FORMS: usize = 16;
/// Maximum saved graphics states.
const MAX_STATES: usize = 256;
/// Maximum glyphs of a page, against a form that is painted without end.
const MAX_GLYPHS: usize = 500_000;
/// Maximum operators of a page.
const MAX_OPERATORS: usize = 5_000_000;

/// What running a page's content found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) glyphs: Vec<Glyph>,
    /// How much of the page the largest picture covers, 0 to 1.
    pub(super) picture: f64,
    /// Codes whose characters nobody knows.
    pub(super) unknown: usize,
    /// The page has more than is read of one page.
    pub(super) is_cut: bool,
}

/// Runs content and collects what it shows.
pub(super) struct Runner<'a, 'r> {
    fonts: &'r mut Fonts<'a>,
    hidden_layers: &'r HashSet<(u32, i32)>,
    clock: &'r Stopwatch,
    /// The page as it is shown; what lies outside is not read.
    bounds: Rect,
    found: Found,
    operators: usize,
    depth: usize,
    /// Marked content that is open, the outermost first.
    marks: Vec<MarkedContent>,
}

#[derive(Clone)]
struct State<'a> {
    matrix: Affine,
    font: Option<Rc<TextFont<'a>>>,
    size: f64,
    character_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

struct MarkedContent {
    /// The text that stands for what the mark encloses.
    actual: Option<String>,
    /// Where it begins among the glyphs.
    start: usize,
    is_hidden: bool,
}

/// The position within a text object.
#[derive(Clone, Copy, Default)]
struct TextPlace {
    matrix: Affine,
    line: Affine,
}

impl<'a, 'r> Runner<'a, 'r> {
    pub(super) fn new(
        fonts: &'r mut Fonts<'a>,
        hidden_layers: &'r HashSet<(u32, i32)>,
        clock: &'r Stopwatch,
        bounds: Rect,
    ) -> Self {
        Self {
            fonts,
            hidden_layers,
            clock,
            bounds,
            found: Found::default(),
            operators: 0,
            depth: 0,
            marks: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Found {
        self.found
    }

    pub(super) fn glyphs(&self) -> usize {
        self.found.glyphs.len()
    }

    /// Whether a letter was shown after the first `glyphs`.
    pub(super) fn has_text_since(&self, glyphs: usize) -> bool {
        let shown = self.found.glyphs.get(glyphs..).unwrap_or_default();
        shown.iter().any(|glyph| !glyph.is_space())
    }

    pub(super) fn push(&mut self, glyph: Glyph) {
        self.found.glyphs.push(glyph);
    }

    /// Runs content in `matrix`, from its space to that of the page as it is shown.
    pub(super) fn run(&mut self, content: &[u8], resources: &Resources<'a>, matrix: Affine) {
        let outer = std::mem::take(&mut self.marks);
        let hidden = outer.iter().any(|mark| mark.is_hidden);
        if hidden {
            self.marks.push(MarkedContent { actual: None, start: 0, is_hidden: true });
        }
        let state = State {
            matrix,
            font: None,
            size: 0.0,
            character_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        self.run_in(content, resources, state);
        self.marks = outer;
    }

    fn run_in(&mut self, content: &[u8], resources: &Resources<'a>, mut state: State<'a>) {
        let mut saved: Vec<State<'a>> = Vec::new();
        let mut place = TextPlace::default();
        let mut operators = TypedIter::new(content);
        while let Some(operator) = operators.next() {
            self.operators += 1;
            if self.is_over() {
                break;
            }
            match operator {
                Operator::SaveState(_) if saved.len() < MAX_STATES => saved.push(state.clone()),
                Operator::RestoreState(_) => {
                    if let Some(last) = saved.pop() {
                        state = last;
                    }
                }
                Operator::Transform(m) => {
                    state.matrix *= affine([m.0, m.1, m.2, m.3, m.4, m.5]);
                }
                Operator::BeginText(_) => place = TextPlace::default(),
                Operator::CharacterSpacing(space) => state.character_space = space.0.as_f64(),
                Operator::WordSpacing(space) => state.word_space = space.0.as_f64(),
                Operator::HorizontalScaling(scale) => state.scale = scale.0.as_f64() / 100.0,
                Operator::TextLeading(leading) => state.leading = leading.0.as_f64(),
                Operator::TextRise(rise) => state.rise = rise.0.as_f64(),
                Operator::TextFont(font) => {
                    state.font = resources.get_font(font.0).map(|dict| self.fonts.get(&dict));
                    state.size = font.1.as_f64();
                }
                Operator::SetGraphicsState(name) => self.graphics_state(name.0, resources, &mut state),
                Operator::NextLine(line) => place.next_line(line.0.as_f64(), line.1.as_f64()),
                Operator::NextLineAndSetLeading(line) => {
                    state.leading = -line.1.as_f64();
                    place.next_line(line.0.as_f64(), line.1.as_f64());
                }
                Operator::SetTextMatrix(m) => {
                    place.line = affine([m.0, m.1, m.2, m.3, m.4, m.5]);
                    place.matrix = place.line;
                }
                Operator::NextLineUsingLeading(_) => place.next_line(0.0, -state.leading),
                Operator::ShowText(text) => self.show(text.0, &state, &mut place),
                Operator::NextLineAndShowText(text) => {
                    place.next_line(0.0, -state.leading);
                    self.show(text.0, &state, &mut place);
                }
                Operator::ShowTextWithParameters(text) => {
                    state.word_space = text.0.as_f64();
                    state.character_space = text.1.as_f64();
                    place.next_line(0.0, -state.leading);
                    self.show(text.2, &state, &mut place);
                }
                Operator::ShowTexts(texts) => self.show_all(texts.0, &state, &mut place),
                Operator::XObject(name) => self.paint(name.0, resources, &state),
                Operator::InlineImage(_) => self.picture(state.matrix),
                Operator::BeginMarkedContent(_) => self.begin_mark(None, false),
                Operator::BeginMarkedContentWithProperties(mark) => {
                    self.begin_properties(mark.0, mark.1, resources);
                }
                Operator::EndMarkedContent(_) => self.end_mark(),
                _ => {}
            }
        }
    }

    /// Whether the page costs more than a page may.
    fn is_over(&mut self) -> bool {
        let too_much = self.operators > MAX_OPERATORS || self.found.glyphs.len() > MAX_GLYPHS;
        if too_much || (self.operators.is_multiple_of(1_024) && self.clock.is_over()) {
            self.found.is_cut = true;
        }
        self.found.is_cut
    }

    fn graphics_state(&mut self, name: &Name<'_>, resources: &Resources<'a>, state: &mut State<'a>) {
        let Some(font) = resources.get_ext_g_state(name).and_then(|dict| dict.get::<Array<'a>>(b"Font"))
        else {
            return;
        };
        if let Some(dict) = font.iter::<Dict<'a>>().next() {
            state.font = Some(self.fonts.get(&dict));
        }
        if let Some(size) = font.iter::<Number>().last() {
            state.size = size.as_f64();
        }
    }

    fn show_all(&mut self, texts: &Array<'_>, state: &State<'a>, place: &mut TextPlace) {
        for item in texts.iter::<Object<'_>>() {
            match item {
                Object::String(text) => self.show(&text, state, place),
                Object::Number(number) => {
                    let shift = -number.as_f64() / 1_000.0 * state.size;
                    if state.font.as_ref().is_some_and(|font| font.is_vertical()) {
                        place.advance(Vec2::new(0.0, shift));
                    } else {
                        place.advance(Vec2::new(shift * state.scale, 0.0));
                    }
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, text: &PdfString<'_>, state: &State<'a>, place: &mut TextPlace) {
        let Some(font) = &state.font else {
            return;
        };
        let is_hidden = self.marks.iter().any(|mark| mark.is_hidden);
        let is_vertical = font.is_vertical();
        let upwards = Affine::new([state.size * state.scale, 0.0, 0.0, state.size, 0.0, state.rise]);
        let (found, bounds) = (&mut self.found, self.bounds);
        font.decode(text.as_bytes(), |code| {
            let space = state.character_space + if code.is_space { state.word_space } else { 0.0 };
            let plain = code.advance * state.size;
            let along = |length: f64| {
                if is_vertical { Vec2::new(0.0, length) } else { Vec2::new(length * state.scale, 0.0) }
            };
            let step = along(plain + space);
            // Spacing that takes the next letter to the other side is no part of this one.
            let width = if (plain + space) * plain < 0.0 { along(plain) } else { step };
            if !is_hidden && found.glyphs.len() <= MAX_GLYPHS {
                let matrix = state.matrix * place.matrix;
                let is_turned = state.size < 0.0;
                let shown = Shown { matrix, upwards, width, is_vertical, is_turned, font };
                match shown.glyph(code) {
                    Some(glyph) if bounds.contains(glyph.origin) => found.glyphs.push(glyph),
                    Some(_) => {}
                    None => found.unknown += 1,
                }
            }
            place.advance(step);
        });
    }

    fn paint(&mut self, name: &Name<'_>, resources: &Resources<'a>, state: &State<'a>) {
        let Some(object) = resources.get_x_object(name) else {
            return;
        };
        let dict = object.dict();
        if dict.get_ref(b"OC").is_some_and(|layer| self.is_layer_hidden((layer.obj_number, layer.gen_number)))
        {
            return;
        }
        match dict.get::<Name<'_>>(b"Subtype").as_deref() {
            Some(b"Image") => self.picture(state.matrix),
            Some(b"Form") => self.form(&object, resources, state),
            _ => {}
        }
    }

    fn form(&mut self, form: &Stream<'a>, resources: &Resources<'a>, state: &State<'a>) {
        if self.depth >= MAX_FORMS {
            return;
        }
        let Some(content) = self.content(form) else {
            return;
        };
        let dict = form.dict();
        let matrix = dict.get::<[f64; 6]>(b"Matrix").map_or(Affine::IDENTITY, Affine::new);
        let own = dict.get::<Dict<'a>>(b"Resources").map(Resources::new);
        let inner = State { matrix: state.matrix * matrix, ..state.clone() };
        let marks = self.marks.len();
        self.depth += 1;
        self.run_in(&content, own.as_ref().unwrap_or(resources), inner);
        self.depth -= 1;
        while self.marks.len() > marks {
            self.end_mark();
        }
    }

    /// Paints the appearance of an annotation into its rectangle.
    pub(super) fn appearance(
        &mut self,
        form: &Stream<'a>,
        rectangle: Rect,
        resources: &Resources<'a>,
        page: Affine,
    ) {
        let dict = form.dict();
        let (Some(bounds), Some(content)) = (dict.get::<[f64; 4]>(b"BBox"), self.content(form)) else {
            return;
        };
        let matrix = dict.get::<[f64; 6]>(b"Matrix").map_or(Affine::IDENTITY, Affine::new);
        let [x0, y0, x1, y1] = bounds;
        let shown = matrix.transform_rect_bbox(Rect::new(x0, y0, x1, y1).abs());
        if shown.width() <= 0.0 || shown.height() <= 0.0 {
            return;
        }
        let (x, y) = (rectangle.width() / shown.width(), rectangle.height() / shown.height());
        let fit = Affine::new([x, 0.0, 0.0, y, rectangle.x0 - x * shown.x0, rectangle.y0 - y * shown.y0]);
        let own = dict.get::<Dict<'a>>(b"Resources").map(Resources::new);
        self.run(&content, own.as_ref().unwrap_or(resources), page * fit * matrix);
    }

    fn content(&self, stream: &Stream<'a>) -> Option<Cow<'a, [u8]>> {
        if self.clock.is_over() {
            return None;
        }
        stream.decoded_data().ok()
    }

    fn picture(&mut self, matrix: Affine) {
        let shown = matrix.transform_rect_bbox(Rect::new(0.0, 0.0, 1.0, 1.0)).intersect(self.bounds);
        let share = shown.area() / self.bounds.area().max(1.0);
        self.found.picture = self.found.picture.max(share);
    }

    fn begin_properties(&mut self, tag: &Name<'_>, properties: &Object<'_>, resources: &Resources<'a>) {
        let (actual, is_hidden) = match properties {
            Object::Dict(dict) => {
                (dict.get::<PdfString<'_>>(b"ActualText").map(|text| text_string(text.as_bytes())), false)
            }
            Object::Name(name) => {
                let hidden = tag.as_ref() == b"OC"
                    && resources
                        .properties
                        .get_ref(name.as_ref())
                        .is_some_and(|layer| self.is_layer_hidden((layer.obj_number, layer.gen_number)));
                let dict = resources.properties.get::<Dict<'_>>(name.as_ref());
                let actual = dict
                    .filter(|_| tag.as_ref() == b"Span")
                    .and_then(|dict| dict.get::<PdfString<'_>>(b"ActualText"))
                    .map(|text| text_string(text.as_bytes()));
                (actual, hidden)
            }
            _ => (None, false),
        };
        self.begin_mark(actual, is_hidden);
    }

    fn is_layer_hidden(&self, layer: (u32, i32)) -> bool {
        self.hidden_layers.contains(&layer)
    }

    fn begin_mark(&mut self, actual: Option<String>, is_hidden: bool) {
        if self.marks.len() < MAX_STATES {
            self.marks.push(MarkedContent { actual, start: self.found.glyphs.len(), is_hidden });
        }
    }

    fn end_mark(&mut self) {
        if let Some(MarkedContent { actual: Some(actual), start, .. }) = self.marks.pop() {
            self.replace(start, &actual);
        }
    }

    /// Replaces the text of the glyphs from `start` on, if they are on one line.
    fn replace(&mut self, start: usize, actual: &str) {
        let Some([first, rest @ ..]) = self.found.glyphs.get_mut(start..) else {
            return;
        };
        let is_line = rest.iter().all(|glyph| {
            let across = (glyph.origin - first.origin).cross(first.direction);
            across.abs() < first.size
        });
        if !is_line {
            return;
        }
        let mut characters = actual.chars();
        first.text = match (characters.next(), characters.next()) {
            (None, _) => Text::None,
            (Some(one), None) => Text::One(one),
            _ => Text::Many(actual.into()),
        };
        // The first glyph reaches as far as all of them.
        let reach = rest
            .iter()
            .map(|glyph| (glyph.origin + glyph.advance - first.origin).dot(first.direction))
            .fold(first.advance.dot(first.direction), f64::max);
        first.advance = first.direction * reach;
        self.found.glyphs.truncate(start + 1);
        if actual.is_empty() {
            self.found.glyphs.truncate(start);
        }
    }
}

impl TextPlace {
    fn next_line(&mut self, x: f64, y: f64) {
        self.line *= Affine::translate((x, y));
        self.matrix = self.line;
    }

    fn advance(&mut self, step: Vec2) {
        self.matrix *= Affine::translate(step);
    }
}

/// A code at its place.
struct Shown<'s, 'a> {
    matrix: Affine,
    upwards: Affine,
    width: Vec2,
    is_vertical: bool,
    /// A font of negative size stands on its head and runs the other way.
    is_turned: bool,
    font: &'s TextFont<'a>,
}

impl Shown<'_, '_> {
    fn glyph(&self, code: &Code) -> Option<Glyph> {
        if code.text == Text::None {
            return None;
        }
        let [a, b, c, d, ..] = self.matrix.as_coeffs();
        let linear = Affine::new([a, b, c, d, 0.0, 0.0]);
        let advance = (linear * self.width.to_point()).to_vec2();
        let [_, _, e, f, ..] = (linear * self.upwards).as_coeffs();
        let size = e.hypot(f) * self.font.em;
        let unit = if self.is_vertical { Vec2::new(0.0, -1.0) } else { Vec2::new(1.0, 0.0) };
        let unit = if self.is_turned { -unit } else { unit };
        let direction = (linear * unit.to_point()).to_vec2();
        let length = direction.hypot();
        let origin = self.matrix * Point::new(0.0, self.upwards.as_coeffs()[5]);
        let is_placed = origin.is_finite() && advance.is_finite() && size.is_finite() && length.is_normal();
        (is_placed && size > 0.0).then(|| Glyph {
            text: code.text.clone(),
            origin,
            advance,
            direction: direction / length,
            size,
            is_bold: self.font.is_bold,
        })
    }
}

fn affine(numbers: [Number; 6]) -> Affine {
    Affine::new(numbers.map(|number| number.as_f64()))
}
