use std::collections::{HashMap, HashSet};
use std::ops::Bound;

use aimate_index::analysis::analyze;
use aimate_index::segment::attributes::{Attributes, Field, KeyRange, Scalar};
use aimate_index::segment::{TermBlock, extract_term, find_postings};
use aimate_index::{DocIdSet, IndexedChunk, Segment, SegmentHeader};
use uuid::Uuid;

use crate::Target;

/// What stands between the parts of an input: header, then first term and bytes of
/// each block.
const BETWEEN: &[u8] = b"\0|\0";

pub(super) const SEGMENT: Target = Target {
    name: "segment",
    run: segment,
    seeds: || {
        let texts = ["the boiler is serviced in May", "the lift, the lift", "Boilers of 1987", "zebra"];
        let chunks: Vec<_> = (1..)
            .zip(texts)
            .map(|(id, text)| IndexedChunk {
                id: Uuid::from_u128(id),
                document: Uuid::from_u128(id / 2),
                terms: analyze(text),
            })
            .collect();
        [&chunks[..], &chunks[..1], &[]]
            .into_iter()
            .flat_map(|chunks| {
                let plain = Segment::build(chunks, HashMap::new());
                let filtered = plain.clone().with_attributes(&attributes(chunks)).unwrap();
                [parts_of(&plain), parts_of(&filtered)]
            })
            .collect()
    },
    words: &[
        "\0|\0",
        "\u{1}",
        "\0",
        "boiler",
        "\u{7F}",
        "\u{80}",
        "\u{FF}",
        "\0\u{1}a",
        "\u{4}\u{4}",
        "year",
        "\0\u{3}",
    ],
};

/// Bytes of a segment are refused, or are one that stays what it is.
pub fn segment(input: &[u8]) {
    let segment = of_parts(input);
    let count = SegmentHeader::decode(&segment.header).map(|header| {
        assert_eq!(SegmentHeader::decode(&header.encode()).unwrap().chunks, header.chunks);
        header.chunk_count()
    });
    for block in &segment.blocks {
        for term in ["boiler", "the", "z", ""] {
            let found = find_postings(&block.bytes, term);
            assert_eq!(extract_term(&block.bytes, term).is_ok(), found.is_ok());
            let (Ok(Some(postings)), Ok(count)) = (found, &count) else { continue };
            let mut docs = Vec::new();
            if postings.for_each(*count, |posting| docs.push(posting.doc)).is_ok() {
                assert_eq!(docs.len(), postings.count() as usize);
            }
            assert!(docs.is_sorted_by(|one, other| one < other) && docs.iter().all(|doc| doc < count));
        }
    }
    if let Ok(header) = SegmentHeader::decode(&segment.header) {
        find_attributes(&segment, &header);
        let documents = header.documents.iter().map(|id| (*id, of_document(*id))).collect();
        if let Ok(anew) = segment.clone().with_attributes(&documents) {
            find_attributes(&anew, &header);
        }
    }
    let whole = segment.without(&HashSet::new());
    let Ok(merged) = Segment::merge(std::slice::from_ref(&segment)) else {
        // Of no chunks nothing is left, whatever the blocks say.
        assert!(matches!(whole, Err(_) | Ok(None)));
        return;
    };
    assert_eq!(Segment::merge(std::slice::from_ref(&merged)).unwrap(), merged);
    let some = Segment::merge(&[merged.clone(), merged]).unwrap();
    let documents = SegmentHeader::decode(&some.header).unwrap().documents;
    assert_eq!(some.without(&documents.into_iter().collect()).unwrap(), None);
}

/// How many documents have a year.
fn find_attributes(segment: &Segment, header: &SegmentHeader) -> u64 {
    let count = header.document_count();
    let year = Field::of_key("year").unwrap();
    let range = KeyRange::numbers(&year, Bound::Included(-1.0), Bound::Unbounded);
    let first_terms: Vec<_> = segment.blocks.iter().map(|block| &block.first_term).collect();
    let mut set = DocIdSet::empty(count);
    for block in segment.blocks.get(range.blocks(&first_terms)).unwrap_or_default() {
        let _ = range.each(&block.bytes, |_, numbers| numbers.add_to(&mut set, count));
    }
    assert!(set.len() <= u64::from(count));
    set.len()
}

fn attributes(chunks: &[IndexedChunk]) -> HashMap<Uuid, Attributes> {
    chunks.iter().map(|chunk| (chunk.document, of_document(chunk.document))).collect()
}

fn of_document(id: Uuid) -> Attributes {
    let (year, title) = (Field::of_key("year").unwrap(), Field::own("title"));
    let mut attributes = Attributes::default();
    attributes.add(&year);
    attributes.add_value(&year, Scalar::Number((id.as_u128() % 9) as f64));
    attributes.add_value(&title, Scalar::Text("boiler"));
    attributes.add_element(&title, Scalar::Bool(true));
    attributes
}

fn parts_of(segment: &Segment) -> Vec<u8> {
    let blocks = segment.blocks.iter().flat_map(|block| [&block.first_term, &block.bytes]);
    let parts: Vec<&[u8]> = [&segment.header].into_iter().chain(blocks).map(Vec::as_slice).collect();
    parts.join(BETWEEN)
}

fn of_parts(input: &[u8]) -> Segment {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(rest[..at].to_vec());
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest.to_vec());
    let blocks = parts[1..].chunks(2).map(|block| TermBlock {
        first_term: block[0].clone(),
        bytes: block.get(1).cloned().unwrap_or_default(),
    });
    Segment { header: parts[0].clone(), blocks: blocks.collect(), codes: HashMap::new() }
}
