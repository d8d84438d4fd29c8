use std::collections::HashSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::attributes::{Attributes, Field, KeyRange, Scalar};
use super::*;
use crate::DocIdSet;
use crate::testing::chunks;

fn field(name: &str) -> Field {
    Field::of_key(name).unwrap()
}

/// Of a document by its id: some fields that few have, and some that most have.
fn attributes(id: Uuid) -> Attributes {
    let n = id.as_u128() % 1_000;
    let mut attributes = Attributes::default();
    let number = field("n");
    attributes.add(&number);
    attributes.add_value(&number, Scalar::Number(n as f64 - 20.5));
    if !n.is_multiple_of(7) {
        attributes.add(&field("most"));
        attributes.add_value(&field("most"), Scalar::Bool(true));
    }
    attributes.add_value(&Field::own("title"), Scalar::Text(&format!("t{n}")));
    attributes.add_element(&field("list"), Scalar::Text("a"));
    attributes.add_element(&field("list"), Scalar::Text("a"));
    attributes
}

fn all_attributes(chunks: &[IndexedChunk]) -> HashMap<Uuid, Attributes> {
    chunks.iter().map(|chunk| (chunk.document, attributes(chunk.document))).collect()
}

fn build(chunks: &[IndexedChunk]) -> Segment {
    Segment::build(chunks, HashMap::new()).with_attributes(&all_attributes(chunks)).unwrap()
}

fn find(segment: &Segment, range: &KeyRange) -> HashSet<Uuid> {
    let header = SegmentHeader::decode(&segment.header).unwrap();
    let first_terms: Vec<_> = segment.blocks.iter().map(|block| &block.first_term).collect();
    let mut set = DocIdSet::empty(header.document_count());
    let mut listed = HashSet::new();
    for block in &segment.blocks[range.blocks(&first_terms)] {
        range
            .each(&block.bytes, |_, numbers| {
                numbers.for_each(header.document_count(), |number| listed.extend([number]))?;
                numbers.add_to(&mut set, header.document_count())
            })
            .unwrap();
    }
    assert_eq!(set.len(), listed.len() as u64);
    assert!(listed.iter().all(|number| set.contains(*number)));
    listed.iter().map(|number| header.documents[*number as usize]).collect()
}

fn documents(chunks: &[IndexedChunk], passes: impl Fn(f64) -> bool) -> HashSet<Uuid> {
    let passing = |id: &Uuid| passes((id.as_u128() % 1_000) as f64 - 20.5);
    chunks.iter().map(|chunk| chunk.document).filter(passing).collect()
}

#[test]
fn ranges_find_the_documents_between_their_bounds() {
    let all = chunks(3_000, 3);
    let segment = build(&all);
    let n = field("n");
    for (low, high) in [(-3.0, 7.5), (-100.0, 5_000.0), (2.5, 2.5), (5.0, 3.0), (0.0, -0.0)] {
        let within = |from, to| find(&segment, &KeyRange::numbers(&n, from, to));
        assert_eq!(within(Included(low), Included(high)), documents(&all, |n| n >= low && n <= high));
        assert_eq!(within(Excluded(low), Excluded(high)), documents(&all, |n| n > low && n < high));
        assert_eq!(within(Unbounded, Excluded(high)), documents(&all, |n| n < high));
        assert_eq!(within(Excluded(low), Unbounded), documents(&all, |n| n > low));
    }
    assert_eq!(find(&segment, &KeyRange::exists(&n)), documents(&all, |_| true));
    assert_eq!(find(&segment, &KeyRange::exists(&field("m"))), HashSet::new());
    let most = KeyRange::equal(&field("most"), Scalar::Bool(true), false).unwrap();
    assert_eq!(find(&segment, &most), documents(&all, |n| (n + 20.5) % 7.0 != 0.0));
    let in_list = KeyRange::equal(&field("list"), Scalar::Text("a"), true).unwrap();
    assert_eq!(find(&segment, &in_list), documents(&all, |_| true));
    let in_list = KeyRange::equal(&field("list"), Scalar::Text("a"), false).unwrap();
    assert_eq!(find(&segment, &in_list), HashSet::new());
}

#[test]
fn long_texts_are_told_from_whole_ones() {
    let all = chunks(12, 1);
    let (ids, f) = ([1, 2, 3, 4].map(Uuid::from_u128), field("f"));
    let texts = ["a".repeat(256), "a".repeat(257), "b".repeat(300), "b".into()];
    let of = |(id, text): (&Uuid, &String)| {
        let mut attributes = Attributes::default();
        attributes.add_value(&f, Scalar::Text(text));
        (*id, attributes)
    };
    let segment = Segment::build(&all, HashMap::new());
    let segment = segment.with_attributes(&ids.iter().zip(&texts).map(of).collect()).unwrap();
    let set = |places: &[usize]| places.iter().map(|place| ids[*place]).collect::<HashSet<_>>();
    assert_eq!(find(&segment, &KeyRange::texts(&f)), set(&[0, 3]));
    assert_eq!(find(&segment, &KeyRange::long(&f, false)), set(&[1, 2]));
    assert_eq!(find(&segment, &KeyRange::long(&f, true)), set(&[]));
    assert_eq!(KeyRange::equal(&f, Scalar::Text(&texts[1]), false), None);
    let (whole, long) = KeyRange::between_texts(&f, Included(&texts[0]), Excluded("b"));
    assert_eq!(find(&segment, &whole), set(&[0]));
    assert_eq!(find(&segment, &long.unwrap()), set(&[1]));
    let (whole, long) = KeyRange::between_texts(&f, Excluded("b"), Unbounded);
    assert_eq!(find(&segment, &whole), set(&[]));
    assert_eq!(find(&segment, &long.unwrap()), set(&[2]));
    assert_eq!(KeyRange::between_texts(&f, Excluded(&texts[1]), Unbounded).1, None);
}

#[test]
fn attributes_stay_with_their_documents() {
    let all = chunks(900, 4);
    let (one, other) = all.split_at(all.iter().position(|chunk| chunk.document != all[0].document).unwrap());
    let whole = build(&all);
    assert_eq!(Segment::merge(&[build(one), build(other)]).unwrap(), whole);
    assert_eq!(Segment::merge(&[build(other)]).unwrap(), build(other));
    let gone: HashSet<Uuid> = one.iter().map(|chunk| chunk.document).collect();
    assert_eq!(whole.without(&gone).unwrap().unwrap(), build(other));
}

#[test]
fn other_attributes_take_the_place_of_those_before() {
    let all = chunks(500, 2);
    let mut documents = all_attributes(&all);
    let changed = all[100].document;
    let segment = build(&all);
    assert_eq!(segment.clone().with_attributes(&HashMap::new()).unwrap(), segment);
    let mut other = Attributes::default();
    other.add_value(&field("n"), Scalar::Text("x"));
    let stranger = Uuid::from_u128(1 << 100);
    let change = HashMap::from([(changed, other.clone()), (stranger, other.clone())]);
    documents.insert(changed, other);
    let again = segment.with_attributes(&change).unwrap();
    let expected = Segment::build(&all, HashMap::new()).with_attributes(&documents).unwrap();
    assert_eq!(again, expected);
    let text = KeyRange::equal(&field("n"), Scalar::Text("x"), false).unwrap();
    assert_eq!(find(&again, &text), HashSet::from([changed]));
}

#[test]
fn fields_that_nobody_can_ask_for_are_none() {
    for key in ["", "a\"b", "a\u{1F}b", &"a".repeat(301)] {
        assert_eq!(Field::of_key(key), None, "{key}");
    }
    let a = field("a");
    assert_ne!(a.nested("b"), Field::of_key("a.b"));
    assert_ne!(Some(Field::own("title")), Field::of_key("title"));
    assert_eq!(a.nested(&"b".repeat(299)), None);
}

#[test]
fn damaged_attributes_are_refused() {
    let all = chunks(40, 2);
    let mut segment = build(&all);
    let block = segment.blocks.last_mut().unwrap();
    for at in 0..block.bytes.len() {
        let mut bytes = block.bytes.clone();
        bytes[at] ^= 0x55;
        let mut set = DocIdSet::empty(20);
        // Whatever it says, it says it of documents that are there.
        let _ = KeyRange::numbers(&field("n"), Unbounded, Unbounded)
            .each(&bytes, |_, numbers| numbers.add_to(&mut set, 20));
        assert!((20..64).all(|number| !set.contains(number)));
    }
}
