//! What the codes of a string mean in the font that shows it: characters and
//! advances.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_font::hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn};
use skrifa::MetadataProvider;

/// Maximum glyphs of a font whose own character map is read backwards.
const MAX_MAPPED: usize = 200_000;

/// The characters of a code.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    /// None that is known.
    None,
    One(char),
    /// A ligature, in the order of reading.
    Many(Rc<str>),
}

/// A code of a string, decoded.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) text: Text,
    /// How far it moves along the line, in units of the font size.
    pub(super) advance: f64,
    /// Whether word spacing applies.
    pub(super) is_space: bool,
}

/// The fonts of a document.
pub(super) struct Fonts<'a> {
    cache: FontCache<'a>,
    fonts: FontResolverFn,
    maps: CMapResolverFn,
    loaded: HashMap<FontKey<'a>, Rc<TextFont<'a>>>,
    /// By the address and length of what describes them, so that setting a font costs
    /// the same however long that is.
    by_place: HashMap<(usize, usize), Rc<TextFont<'a>>>,
}

/// The number of a font and what describes it: those that stand in the resources of a
/// page themselves have the number of the page.
type FontKey<'a> = (Option<(u32, i32)>, &'a [u8]);

impl<'a> Fonts<'a> {
    pub(super) fn new() -> Self {
        Self {
            cache: FontCache::new(),
            fonts: Arc::new(|query| {
                let font = match query {
                    FontQuery::Standard(font) => *font,
                    FontQuery::Fallback(query) => query.pick_standard_font(),
                };
                Some(font.get_font_data())
            }),
            maps: Arc::new(load_embedded),
            loaded: HashMap::new(),
            by_place: HashMap::new(),
        }
    }

    /// The font of a dictionary, loaded once.
    pub(super) fn get(&mut self, dict: &Dict<'a>) -> Rc<TextFont<'a>> {
        let data = dict.data();
        let place = (data.as_ptr().addr(), data.len());
        if let Some(font) = self.by_place.get(&place) {
            return Rc::clone(font);
        }
        let key = (dict.obj_id().map(|id| (id.obj_number, id.gen_number)), data);
        let font = match self.loaded.get(&key) {
            Some(font) => Rc::clone(font),
            None => Rc::new(self.load(dict)),
        };
        self.loaded.insert(key, Rc::clone(&font));
        self.by_place.insert(place, Rc::clone(&font));
        font
    }

    fn load(&self, dict: &Dict<'a>) -> TextFont<'a> {
        TextFont::new(dict, self.cache.font(dict, &self.fonts, &self.maps))
    }
}

/// A font as far as its text goes.
pub(super) struct TextFont<'a> {
    font: Option<Font<'a>>,
    /// Codes of one byte, else of the bytes that the encoding says.
    is_simple: bool,
    /// What the codes mean by the font's own tables, where the PDF does not say.
    own: OwnMaps,
    /// The unit of `advance` for fonts whose glyphs are drawings; else 1.
    pub(super) em: f64,
    pub(super) is_bold: bool,
    codes: std::cell::RefCell<HashMap<u32, Code>>,
}

impl<'a> TextFont<'a> {
    fn new(dict: &Dict<'a>, font: Option<Font<'a>>) -> Self {
        let subtype = dict.get::<Name<'_>>(b"Subtype");
        let is_simple = subtype.as_deref() != Some(b"Type0".as_slice());
        let em = if subtype.as_deref() == Some(b"Type3".as_slice()) { drawn_em(dict) } else { 1.0 };
        Self {
            own: OwnMaps::new(dict, is_simple),
            em,
            is_bold: is_bold(dict, is_simple),
            font,
            is_simple,
            codes: std::cell::RefCell::default(),
        }
    }

    /// Whether text runs down the page.
    pub(super) fn is_vertical(&self) -> bool {
        self.font.as_ref().is_some_and(|font| !font.is_horizontal())
    }

    /// Calls `each` with every code of a string.
    pub(super) fn decode(&self, bytes: &[u8], mut each: impl FnMut(&Code)) {
        let mut rest = bytes;
        let mut codes = self.codes.borrow_mut();
        while !rest.is_empty() {
            let (code, length) = self.next_code(rest);
            let length = length.clamp(1, rest.len());
            let key = code | u32::from(length == 1 && !self.is_simple) << 31;
            let decoded = codes.entry(key).or_insert_with(|| self.code(code, length));
            each(decoded);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    fn next_code(&self, bytes: &[u8]) -> (u32, usize) {
        match (&self.font, bytes) {
            (Some(font), _) if !self.is_simple => match font.read_code(bytes, 0) {
                // What no range of the encoding holds: the codes are of two bytes as
                // a rule.
                (0, 1) if bytes.len() > 1 && self.own.is_two_bytes => (two_bytes(bytes), 2),
                found => found,
            },
            (None, [_, _, ..]) if !self.is_simple => (two_bytes(bytes), 2),
            (_, [first, ..]) => (u32::from(*first), 1),
            (_, []) => (0, 1),
        }
    }

    fn code(&self, code: u32, length: usize) -> Code {
        let glyph = self.font.as_ref().map(|font| font.glyph(font.map_code(code), code));
        let said = match &glyph {
            Some(FontGlyph::Outline(glyph)) => glyph.as_unicode(),
            Some(FontGlyph::Type3(glyph)) => glyph.as_unicode(),
            None => self.own.to_unicode.as_ref().and_then(|map| map.lookup_bf_string(code)),
        };
        let text = match text(said) {
            Text::None => self.own.text(code, length, glyph.as_ref()),
            known => known,
        };
        let mut advance = self.font.as_ref().map_or(500.0, |font| {
            let advance = font.code_advance(code);
            if font.is_horizontal() { advance.x } else { advance.y }
        }) / 1_000.0;
        if !advance.is_finite() {
            advance = 0.0;
        }
        Code { text, advance, is_space: length == 1 && code == 32 }
    }
}

fn two_bytes(bytes: &[u8]) -> u32 {
    match bytes {
        [first, second, ..] => u32::from(*first) << 8 | u32::from(*second),
        [first] => u32::from(*first),
        [] => 0,
    }
}

/// What the codes of a font mean where `/ToUnicode` and glyph names do not say.
struct OwnMaps {
    to_unicode: Option<CMap>,
    /// The codes are said to be Unicode (`/ToUnicode /Identity-H`).
    is_unicode: bool,
    is_utf16: bool,
    is_two_bytes: bool,
    /// From codes to the characters of a collection of Adobe, and from those to Unicode.
    collection: Option<(Option<CMap>, CMap)>,
    is_simple: bool,
    /// The codes number the glyphs of a TrueType font, and nothing says what they are.
    are_glyphs: bool,
    /// The font's own map from characters to glyphs, backwards.
    glyphs: std::cell::OnceCell<HashMap<u32, char>>,
}

impl OwnMaps {
    fn new(dict: &Dict<'_>, is_simple: bool) -> Self {
        let encoding = dict.get::<Object<'_>>(b"Encoding");
        let name = match &encoding {
            Some(Object::Name(name)) if !is_simple => name.as_ref().to_vec(),
            _ => Vec::new(),
        };
        let holds = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
        let to_unicode = dict
            .get::<Stream<'_>>(b"ToUnicode")
            .and_then(|stream| stream.decoded_data().ok())
            .and_then(|data| CMap::parse(&data, load_embedded));
        Self {
            is_unicode: !is_simple && dict.get::<Name<'_>>(b"ToUnicode").is_some(),
            is_utf16: holds(b"UCS2") || holds(b"UTF16"),
            is_two_bytes: name.starts_with(b"Identity"),
            are_glyphs: name.starts_with(b"Identity")
                && to_unicode.is_none()
                && descendant(dict).is_some_and(|font| {
                    font.get::<Name<'_>>(b"Subtype").as_deref() == Some(b"CIDFontType2".as_slice())
                }),
            collection: if is_simple { None } else { collection(dict, encoding) },
            to_unicode,
            is_simple,
            glyphs: std::cell::OnceCell::new(),
        }
    }

    fn text(&self, code: u32, length: usize, glyph: Option<&FontGlyph<'_>>) -> Text {
        if self.is_utf16
            && length == 2
            && let Some(character) = char::from_u32(code)
        {
            return clean(character);
        }
        if let Some((encoding, to_unicode)) = &self.collection {
            let cid = match encoding {
                Some(encoding) => (1..=4_u8).find_map(|bytes| encoding.lookup_cid_code(code, bytes)),
                None => Some(code),
            };
            if let Some(found) = cid.and_then(|cid| to_unicode.lookup_bf_string(cid)) {
                return text(Some(found));
            }
        }
        if let Some(FontGlyph::Outline(glyph)) = glyph
            && glyph.glyph_id().to_u32() != 0
        {
            let glyphs = self.glyphs.get_or_init(|| {
                glyph.font_data().map_or_else(HashMap::new, |font| characters(font.data.as_ref().as_ref()))
            });
            if let Some(character) = glyphs.get(&glyph.glyph_id().to_u32()) {
                return clean(*character);
            }
        }
        if self.is_unicode || self.is_simple {
            return match u8::try_from(code) {
                Ok(byte) if self.is_simple => latin(byte),
                _ => char::from_u32(code).map_or(Text::None, clean),
            };
        }
        // Such fonts begin with the same glyphs, in the order of ASCII.
        match u8::try_from(code) {
            Ok(glyph @ 3..=97) if self.are_glyphs => Text::One(char::from(glyph + 29)),
            _ => Text::None,
        }
    }
}

/// The font that a font of several bytes a code is made of.
fn descendant<'a>(dict: &Dict<'a>) -> Option<Dict<'a>> {
    dict.get::<Array<'a>>(b"DescendantFonts")?.iter::<Dict<'a>>().next()
}

/// The maps of a font of one of Adobe's collections, such as Japan1.
fn collection(dict: &Dict<'_>, encoding: Option<Object<'_>>) -> Option<(Option<CMap>, CMap)> {
    let descendant = descendant(dict)?;
    let encoding = match encoding {
        Some(Object::Name(name)) if name.starts_with(b"Identity") => None,
        Some(Object::Name(name)) => {
            CMap::parse(load_embedded(CMapName::from_bytes(name.as_ref()))?, load_embedded)
        }
        Some(Object::Stream(stream)) => CMap::parse(&stream.decoded_data().ok()?, load_embedded),
        _ => None,
    };
    let named = encoding
        .as_ref()
        .and_then(|encoding| encoding.metadata().character_collection.as_ref())
        .and_then(|collection| collection.family.ucs2_cmap());
    let name = named.or_else(|| {
        let info = descendant.get::<Dict<'_>>(b"CIDSystemInfo")?;
        let ordering = info.get::<PdfString<'_>>(b"Ordering")?;
        CidFamily::from_registry_ordering(b"Adobe", ordering.as_bytes()).ucs2_cmap()
    })?;
    Some((encoding, CMap::parse(load_embedded(name)?, load_embedded)?))
}

/// From glyphs to characters, by the font's own table.
fn characters(font: &[u8]) -> HashMap<u32, char> {
    let mut glyphs = HashMap::new();
    let Ok(font) = skrifa::FontRef::from_index(font, 0) else {
        return glyphs;
    };
    let map = font.charmap();
    if map.is_symbol() {
        return glyphs;
    }
    for (character, glyph) in map.mappings().take(MAX_MAPPED) {
        if let Some(character) = char::from_u32(character) {
            // The first is the plain one: a space before a no-break space.
            glyphs.entry(glyph.to_u32()).or_insert(character);
        }
    }
    glyphs
}

fn text(found: Option<BfString>) -> Text {
    match found {
        None => Text::None,
        Some(BfString::Char(character)) => clean(character),
        Some(BfString::String(string)) => {
            let kept: String = string.chars().filter(|one| is_text(*one)).collect();
            let mut characters = kept.chars();
            match (characters.next(), characters.next()) {
                (None, _) => Text::None,
                (Some(one), None) => clean(one),
                _ => Text::Many(kept.into()),
            }
        }
    }
}

fn clean(character: char) -> Text {
    match character {
        '\t' | '\n' | '\r' | '\u{a0}' => Text::One(' '),
        // The bullets of symbol fonts.
        '\u{f0b7}' | '\u{f0a7}' | '\u{f076}' | '\u{f0d8}' | '\u{f0fc}' => Text::One('•'),
        // Symbol fonts hold their letters in the private use area.
        '\u{f020}'..='\u{f07e}' => {
            char::from_u32(u32::from(character) - 0xf000).map_or(Text::None, Text::One)
        }
        _ if is_text(character) => Text::One(character),
        _ => Text::None,
    }
}

fn is_text(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{fffd}'..='\u{ffff}' | '\u{f0000}'..)
}

fn latin(byte: u8) -> Text {
    let (decoded, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&byte));
    decoded.chars().next().map_or(Text::None, clean)
}

fn is_bold(dict: &Dict<'_>, is_simple: bool) -> bool {
    let inner = if is_simple { None } else { descendant(dict) };
    let descriptor = inner.as_ref().unwrap_or(dict).get::<Dict<'_>>(b"FontDescriptor");
    let heavy = descriptor.is_some_and(|descriptor| {
        descriptor.get::<f32>(b"FontWeight").is_some_and(|weight| weight >= 600.0)
            || descriptor.get::<u32>(b"Flags").is_some_and(|flags| flags & 1 << 18 != 0)
    });
    let name = dict.get::<Name<'_>>(b"BaseFont").map(|name| name.as_str().to_ascii_lowercase());
    heavy || name.is_some_and(|name| ["bold", "black", "heavy"].iter().any(|one| name.contains(one)))
}

/// The em of a font whose glyphs are drawings, in units of the font size: their
/// matrix is free, so the widths of its glyphs tell it.
fn drawn_em(dict: &Dict<'_>) -> f64 {
    let scale = dict.get::<[f64; 6]>(b"FontMatrix").map_or(0.001, |matrix| {
        let [a, b, ..] = matrix;
        a.hypot(b)
    });
    let widths: Vec<f64> = dict
        .get::<Array<'_>>(b"Widths")
        .map(|widths| widths.iter::<f64>().filter(|width| *width > 0.0).take(256).collect())
        .unwrap_or_default();
    if widths.is_empty() {
        return 1.0;
    }
    let mean = widths.iter().sum::<f64>() / widths.len() as f64 * scale;
    if (0.2..1.2).contains(&mean) || mean <= 0.0 { 1.0 } else { mean * 2.0 }
}
