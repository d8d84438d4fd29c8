//! Attributes: the values of documents' fields, by which documents are filtered.
//!
//! A segment keeps them among its terms, behind all words: a key is a byte that no
//! word has, the field, the type and the value, so that keys are in the order of the
//! values. Beside each key stand the numbers of the documents that have it: their
//! distances (less one), or a bit for each document where that is shorter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::block::{MARK, read_entry};
use super::postings::{Postings, PostingsWriter};
use crate::{DataCorruption, DocIdSet, Result, varint};

/// Stands between the keys of a nested field, and before the name of one of the
/// document's own. Fields that can be asked for have no control character.
const BETWEEN: u8 = 0x1F;
/// Stands behind the field.
const END: u8 = 0;
/// The bytes of a field's name at most.
const MAX_FIELD: usize = 300;
/// Of a longer text only its beginning is kept, apart from the whole ones.
const MAX_TEXT: usize = 256;

const EXISTS: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LONG: u8 = 5;
/// Added to the type of what is in a list.
const ELEMENT: u8 = 0x10;

const LIST: u8 = 0;
const BITS: u8 = 1;

/// A field of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<u8>);

impl Field {
    /// One of the document's own, such as its title.
    pub fn own(name: &str) -> Self {
        Self([&[BETWEEN], name.as_bytes()].concat())
    }

    /// The one under this key; `None` if nobody can ask for it: a key is not empty, has no
    /// control character and no quotation mark.
    pub fn of_key(key: &str) -> Option<Self> {
        let is_plain = !key.is_empty() && !key.contains(|c: char| c.is_control() || c == '"');
        (is_plain && key.len() <= MAX_FIELD).then(|| Self(key.as_bytes().to_vec()))
    }

    /// The one under this key of the object that this field is; see [`of_key`](Self::of_key).
    pub fn nested(&self, key: &str) -> Option<Self> {
        let key = Self::of_key(key)?;
        let field = [&self.0[..], &[BETWEEN], &key.0].concat();
        (field.len() <= MAX_FIELD).then_some(Self(field))
    }

    /// What its keys begin with; none of another field's do.
    fn beginning(&self) -> Vec<u8> {
        [&[MARK], &self.0[..], &[END]].concat()
    }

    fn key(&self, kind: u8, value: &[u8]) -> Vec<u8> {
        [&self.beginning()[..], &[kind], value].concat()
    }
}

/// A value of a field, or an element of a list in it. Numbers are not NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

impl Scalar<'_> {
    /// What stands behind the field in its key, `base` added to its type.
    fn ending(self, base: u8) -> Vec<u8> {
        let of = |kind: u8, value: &[u8]| [&[base + kind], value].concat();
        match self {
            Self::Bool(false) => of(FALSE, &[]),
            Self::Bool(true) => of(TRUE, &[]),
            Self::Number(number) => of(NUMBER, &ordered(number)),
            Self::Text(text) => match text.as_bytes().split_at_checked(MAX_TEXT) {
                Some((beginning, [_, ..])) => of(LONG, beginning),
                _ => of(TEXT, text.as_bytes()),
            },
        }
    }

    fn key(self, field: &Field, base: u8) -> Vec<u8> {
        [field.beginning(), self.ending(base)].concat()
    }

    fn is_long(self) -> bool {
        matches!(self, Self::Text(text) if text.len() > MAX_TEXT)
    }
}

/// The number as bytes in the order of numbers.
fn ordered(number: f64) -> [u8; 8] {
    // Both zeros are one.
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let sign = 1 << 63;
    (if bits & sign == 0 { bits | sign } else { !bits }).to_be_bytes()
}

/// The attributes of one document: of each field the beginning of its keys, once, and their
/// endings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>);

impl Attributes {
    /// The field is there and not null.
    pub fn add(&mut self, field: &Field) {
        self.put(field, vec![EXISTS]);
    }

    /// The field is this.
    pub fn add_value(&mut self, field: &Field, value: Scalar<'_>) {
        self.put(field, value.ending(0));
    }

    /// The field is a list that has this.
    pub fn add_element(&mut self, field: &Field, element: Scalar<'_>) {
        self.put(field, element.ending(ELEMENT));
    }

    fn put(&mut self, field: &Field, ending: Vec<u8>) {
        self.0.entry(field.beginning()).or_default().insert(ending);
    }

    /// The beginning and ending of each key, in the order of the keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().flat_map(|(beginning, endings)| {
            endings.iter().map(move |ending| (beginning.as_slice(), ending.as_slice()))
        })
    }
}

/// Keys that follow each other: from `low` to before `high`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    low: Vec<u8>,
    high: Vec<u8>,
    /// The bytes before the values.
    before: usize,
}

impl KeyRange {
    /// The field is there and not null.
    pub fn exists(field: &Field) -> Self {
        Self::one(field.key(EXISTS, &[]))
    }

    /// The field is this, or the list in it has this; `None` if only the text itself
    /// could tell: it is too long, and so is one in the [long ones](Self::long).
    pub fn equal(field: &Field, value: Scalar<'_>, in_list: bool) -> Option<Self> {
        (!value.is_long()).then(|| Self::one(value.key(field, if in_list { ELEMENT } else { 0 })))
    }

    /// The field's texts that are kept whole.
    pub fn texts(field: &Field) -> Self {
        Self::kind(field, TEXT)
    }

    /// The field's texts, or those in its lists, of which only the beginning is kept.
    pub fn long(field: &Field, in_list: bool) -> Self {
        Self::kind(field, LONG + if in_list { ELEMENT } else { 0 })
    }

    /// The field is a number between these.
    pub fn numbers(field: &Field, low: Bound<f64>, high: Bound<f64>) -> Self {
        Self::between(field, NUMBER, low.map(ordered).as_ref(), high.map(ordered).as_ref())
    }

    /// The field is a text between these, by the bytes; first those that are kept whole,
    /// then the [long ones](Self::long). `None` if a bound is too long to tell of these.
    pub fn between_texts(field: &Field, low: Bound<&str>, high: Bound<&str>) -> (Self, Option<Self>) {
        let whole = Self::between(field, TEXT, low, high);
        let text = |bound| match bound {
            Bound::Included(text) | Bound::Excluded(text) => Some(text),
            Bound::Unbounded => None,
        };
        let (from, to): (Option<&str>, Option<&str>) = (text(low), text(high));
        let is_long = |bound: Option<&str>| bound.is_some_and(|text| text.len() > MAX_TEXT);
        if is_long(from) || is_long(to) {
            return (whole, None);
        }
        // A long text is never equal to a bound, and greater if its beginning is not less.
        let low = from.map_or(Bound::Unbounded, Bound::Included);
        let high = to.map_or(Bound::Unbounded, Bound::Excluded);
        (whole, Some(Self::between(field, LONG, low, high)))
    }

    fn one(key: Vec<u8>) -> Self {
        let before = key.len();
        let high = [&key[..], &[0]].concat();
        Self { low: key, high, before }
    }

    fn kind(field: &Field, kind: u8) -> Self {
        let low = field.key(kind, &[]);
        Self { before: low.len(), low, high: field.key(kind + 1, &[]) }
    }

    fn between<T: AsRef<[u8]>>(field: &Field, kind: u8, low: Bound<T>, high: Bound<T>) -> Self {
        let whole = Self::kind(field, kind);
        let at = |value: T| field.key(kind, value.as_ref());
        let behind = |value: T| [&field.key(kind, value.as_ref())[..], &[0]].concat();
        Self {
            low: match low {
                Bound::Included(value) => at(value),
                Bound::Excluded(value) => behind(value),
                Bound::Unbounded => whole.low,
            },
            high: match high {
                Bound::Included(value) => behind(value),
                Bound::Excluded(value) => at(value),
                Bound::Unbounded => whole.high,
            },
            before: whole.before,
        }
    }

    /// Which of the blocks with these first terms have the keys, or would have them.
    pub fn blocks<T: AsRef<[u8]>>(&self, first_terms: &[T]) -> std::ops::Range<usize> {
        let from = first_terms.partition_point(|first| first.as_ref() <= self.low.as_slice());
        let to = first_terms.partition_point(|first| first.as_ref() < self.high.as_slice());
        // The block before the first one of attributes has words alone.
        let before = from.checked_sub(1).and_then(|index| first_terms.get(index));
        let has_some = before.is_some_and(|first| first.as_ref().first() == Some(&MARK));
        let from = if has_some { from - 1 } else { from };
        from..to.max(from)
    }

    /// Calls `each` with the value of each key in a block, and the documents that have it.
    ///
    /// # Errors
    /// If the block is damaged.
    pub fn each<'b>(
        &self,
        block: &'b [u8],
        each: impl FnMut(&[u8], DocumentNumbers<'b>) -> Result<()>,
    ) -> Result<()> {
        Self::each_of(std::slice::from_ref(self), block, each)
    }

    /// The same of several, which are in order and apart, in one go.
    ///
    /// # Errors
    /// If the block is damaged.
    pub fn each_of<'b>(
        mut ranges: &[Self],
        mut block: &'b [u8],
        mut each: impl FnMut(&[u8], DocumentNumbers<'b>) -> Result<()>,
    ) -> Result<()> {
        let mut key = Vec::new();
        while !block.is_empty() {
            let numbers = read_entry(&mut block, &mut key)?;
            while let [first, rest @ ..] = ranges
                && key >= first.high
            {
                ranges = rest;
            }
            let Some(range) = ranges.first() else { break };
            if key >= range.low {
                each(key.get(range.before..).unwrap_or_default(), DocumentNumbers(numbers))?;
            }
        }
        Ok(())
    }

    /// In order and each once, as [`each_of`](Self::each_of) takes them: those of single
    /// values, which are the same or apart.
    pub fn sort(ranges: &mut Vec<Self>) {
        ranges.sort_unstable_by(|a, b| a.low.cmp(&b.low));
        ranges.dedup();
    }
}

/// The documents that have an attribute, by their numbers in their segment; not yet
/// decoded.
#[derive(Clone, Copy, Debug)]
pub struct DocumentNumbers<'b>(pub(super) Postings<'b>);

impl DocumentNumbers<'_> {
    /// Adds them to a set of the segment's documents, of which there are `count`.
    ///
    /// # Errors
    /// If the bytes are damaged.
    pub fn add_to(&self, set: &mut DocIdSet, count: u32) -> Result<()> {
        let (kind, bytes) = self.0.bytes.split_first().ok_or(NOT_KNOWN)?;
        match *kind {
            BITS => set.insert_bits(bytes, count).ok_or(NOT_THERE),
            LIST => for_each_of_list(bytes, self.0.count, count, |number| set.insert(number)),
            _ => Err(NOT_KNOWN),
        }
    }

    /// Calls `each` with them in order.
    pub(super) fn for_each(&self, count: u32, mut each: impl FnMut(u32)) -> Result<()> {
        let (kind, bytes) = self.0.bytes.split_first().ok_or(NOT_KNOWN)?;
        match *kind {
            BITS => {
                for (number, byte) in (0_u32..).step_by(8).zip(bytes) {
                    for number in (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| number + bit) {
                        if number >= count {
                            return Err(NOT_THERE);
                        }
                        each(number);
                    }
                }
                Ok(())
            }
            LIST => for_each_of_list(bytes, self.0.count, count, each),
            _ => Err(NOT_KNOWN),
        }
    }
}

const NOT_KNOWN: DataCorruption = DataCorruption::new("the documents of an attribute are not readable");
const NOT_THERE: DataCorruption = DataCorruption::new("a document that is not there has an attribute");

fn for_each_of_list(bytes: &[u8], listed: u32, count: u32, mut each: impl FnMut(u32)) -> Result<()> {
    let bytes = &mut { bytes };
    let mut next = 0_u32;
    for _ in 0..listed {
        let number = next.checked_add(varint::read_u32(bytes)?).filter(|number| *number < count);
        let number = number.ok_or(NOT_THERE)?;
        each(number);
        next = number + 1;
    }
    if bytes.is_empty() { Ok(()) } else { Err(NOT_KNOWN) }
}

/// The numbers, in order and each once, as they stand beside a key.
pub(super) fn encode(numbers: &[u32]) -> PostingsWriter {
    let Some(last) = numbers.last() else { return PostingsWriter::default() };
    let bits_length = 2 + (*last / 8) as usize;
    let mut bytes = vec![LIST];
    let mut next = 0;
    for number in numbers {
        varint::write(&mut bytes, u64::from(number.saturating_sub(next)));
        next = number.saturating_add(1);
        if bytes.len() > bits_length {
            bytes = vec![0; bits_length];
            for number in numbers {
                if let Some(byte) = bytes.get_mut(1 + (number / 8) as usize) {
                    *byte |= 1 << (number % 8);
                }
            }
            if let Some(kind) = bytes.first_mut() {
                *kind = BITS;
            }
            break;
        }
    }
    PostingsWriter::of(u32::try_from(numbers.len()).unwrap_or(u32::MAX), bytes)
}

/// An attribute of several segments as one of their merger: `new` has the new number
/// of each document of a segment, if it stays.
pub(super) fn merge<'s>(
    parts: impl Iterator<Item = (Postings<'s>, &'s [Option<u32>])>,
) -> Result<PostingsWriter> {
    let mut numbers = Vec::new();
    for (postings, new) in parts {
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        DocumentNumbers(postings).for_each(count, |number| {
            numbers.extend(new.get(number as usize).copied().flatten());
        })?;
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(encode(&numbers))
}
