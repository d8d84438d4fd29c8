use super::*;
use crate::testing::{chunks, number};

fn build(chunks: &[IndexedChunk]) -> Segment {
    Segment::build(chunks, HashMap::new())
}

fn look_up(segment: &Segment, term: &str) -> Vec<Posting> {
    let Some(postings) = segment.postings(term).unwrap() else { return Vec::new() };
    let mut found = Vec::new();
    let count = SegmentHeader::decode(&segment.header).unwrap().chunk_count();
    postings.for_each(count, |posting| found.push(posting)).unwrap();
    assert_eq!(found.len(), postings.count() as usize);
    found
}

#[test]
fn every_term_is_found_with_its_chunks() {
    let chunks = chunks(2_000, 5);
    let segment = build(&chunks);
    assert!(segment.blocks.len() > 5);
    assert!(segment.blocks.is_sorted_by(|one, other| one.first_term < other.first_term));
    let header = SegmentHeader::decode(&segment.header).unwrap();
    assert_eq!(header.encode(), segment.header);
    assert_eq!(header.documents[header.document_of[3] as usize], chunks[3].document);
    let mut expected: HashMap<&str, Vec<Posting>> = HashMap::new();
    for (doc, chunk) in (0..).zip(&chunks) {
        for (term, frequency) in &chunk.terms.counts {
            let posting = Posting { doc, frequency: *frequency, length: chunk.terms.length };
            expected.entry(term).or_default().push(posting);
        }
    }
    let few = chunks.iter().step_by(100).flat_map(|chunk| &chunk.terms.counts);
    for (term, _) in few {
        let shorter = &term[..term.len() - 1];
        for near in [shorter, &format!("{shorter}~"), &format!("{term}!"), &format!("{term}z")] {
            assert_eq!(!look_up(&segment, near).is_empty(), expected.contains_key(near), "{near}");
        }
    }
    for (term, postings) in expected {
        assert_eq!(look_up(&segment, term), postings, "{term}");
        let block = segment.blocks.iter().rev().find(|block| block.first_term.as_slice() <= term.as_bytes());
        let bytes = extract_term(&block.unwrap().bytes, term).unwrap().unwrap();
        let alone = Segment { blocks: vec![TermBlock { first_term: Vec::new(), bytes }], ..segment.clone() };
        assert_eq!(look_up(&alone, term), postings, "{term}");
    }
    for term in ["", "v", "w1x", "zebra"] {
        assert!(look_up(&segment, term).is_empty());
    }
}

#[test]
fn merging_is_building_from_all() {
    let all = chunks(900, 9);
    let parts = [build(&all[..300]), build(&[]), build(&all[300..301]), build(&all[301..])];
    assert_eq!(Segment::merge(&parts).unwrap(), build(&all));
    assert_eq!(Segment::merge(&[]).unwrap(), build(&[]));
}

#[test]
fn taking_documents_out_is_building_without_them() {
    let all = chunks(600, 3);
    let gone: HashSet<Uuid> =
        all.iter().map(|chunk| chunk.document).filter(|id| id.as_u128() % 3 == 1).collect();
    let shrunk = build(&all).without(&gone).unwrap().unwrap();
    let left: Vec<IndexedChunk> = all.into_iter().filter(|chunk| !gone.contains(&chunk.document)).collect();
    assert_eq!(shrunk, build(&left));
    let documents = left.iter().map(|chunk| chunk.document).collect();
    assert_eq!(shrunk.without(&documents).unwrap(), None);
    assert_eq!(shrunk.without(&gone).unwrap().unwrap(), shrunk);
}

#[test]
fn codes_go_with_their_chunks() {
    let [in_all, in_one] = [1, 2].map(Uuid::from_u128);
    let all = chunks(6, 3);
    let first = HashMap::from([(in_all, vec![1, 1, 2, 2, 3, 3]), (in_one, vec![9; 3])]);
    let parts = [
        Segment::build(&all[..3], first),
        Segment::build(&all[3..], HashMap::from([(in_all, vec![4, 4, 5, 5, 6, 6])])),
    ];
    let merged = Segment::merge(&parts).unwrap();
    assert_eq!(merged.codes, HashMap::from([(in_all, vec![1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6])]));

    // Three chunks to a document.
    let left = merged.without(&HashSet::from([all[0].document])).unwrap().unwrap();
    assert_eq!(left.codes, HashMap::from([(in_all, vec![4, 4, 5, 5, 6, 6])]));

    let torn = Segment { codes: HashMap::from([(in_all, vec![0; 7])]), ..merged };
    assert!(torn.without(&HashSet::from([all[0].document])).is_err());
}

#[test]
fn damaged_bytes_are_refused_or_still_a_segment() {
    let good = build(&chunks(12, 7));
    let mut seed = 1;
    let mut refused = 0;
    for round in 0..6_000 {
        let mut bad = good.clone();
        let block = number(&mut seed) % bad.blocks.len();
        let in_header = round % 4 == 0;
        let bytes = if in_header { &mut bad.header } else { &mut bad.blocks[block].bytes };
        let at = number(&mut seed) % bytes.len();
        let is_cut = round % 5 == 0;
        if is_cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (number(&mut seed) % 8);
        }
        match Segment::merge(&[bad.clone(), good.clone()]) {
            // Some damage only makes another term or chunk of one. What is accepted
            // is whole all the same: written again, it stays what it is.
            Ok(merged) => {
                assert!(!(in_header && is_cut), "a header is never whole when it is cut short");
                assert_eq!(Segment::merge(std::slice::from_ref(&merged)).unwrap(), merged);
            }
            Err(_) => refused += 1,
        }
        assert_eq!(bad.without(&HashSet::new()).is_ok(), Segment::merge(std::slice::from_ref(&bad)).is_ok());
        for block in &bad.blocks {
            if let Ok(Some(postings)) = find_postings(&block.bytes, "w1") {
                let mut docs = Vec::new();
                if postings.for_each(12, |posting| docs.push(posting.doc)).is_ok() {
                    assert_eq!(docs.len(), postings.count() as usize);
                }
                assert!(docs.is_sorted_by(|one, other| one < other) && docs.iter().all(|doc| *doc < 12));
            }
        }
    }
    assert!((2_000..6_000).contains(&refused), "{refused}");
}

#[test]
fn number_that_is_too_large_allocates_nothing() {
    let header = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0];
    assert!(SegmentHeader::decode(&header).is_err());
    assert!(find_postings(&[0, 1, b'a', 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1], "a").is_err());
}

#[test]
fn filter_on_documents_is_a_set_of_their_chunks() {
    let all = chunks(7, 2);
    let header = SegmentHeader::decode(&build(&all).header).unwrap();
    let docs = header.docs_of(|document| document == all[3].document);
    assert_eq!((0..7).filter(|doc| docs.contains(*doc)).collect::<Vec<_>>(), [3, 4, 5]);
}

/// The bytes of format 1, written out: what is in a database must stay readable.
#[test]
fn stored_bytes_are_those_of_the_format() {
    let terms = |counts: &[(&str, u32)]| Terms {
        counts: counts.iter().map(|(term, count)| ((*term).to_owned(), *count)).collect(),
        length: counts.iter().map(|(_, count)| count).sum(),
    };
    let chunk = |id, terms| IndexedChunk { id: Uuid::from_u128(id), document: Uuid::from_u128(9), terms };
    let segment = build(&[chunk(1, terms(&[("a", 1), ("ab", 2)])), chunk(2, terms(&[("ab", 1)]))]);

    let id = |last: u8| [[0; 15].as_slice(), &[last]].concat();
    // The format, two chunks, four terms in all, one document; the ids; then the
    // document and the length of each chunk.
    let header = [&[1, 2, 4, 1], &*id(9), &id(1), &id(2), &[0, 0], &[3, 1]].concat();
    assert_eq!(segment.header, header);
    // Each term: bytes shared, bytes that follow, these; bytes of the postings, how
    // many they are; then they.
    let block = [[0, 1, b'a', 2, 1].as_slice(), &[0, 3], &[1, 1, b'b', 5, 2], &[1, 0, 3], &[0, 1]].concat();
    assert_eq!(segment.blocks, [TermBlock { first_term: b"a".to_vec(), bytes: block }]);
}

#[test]
fn joined_block_has_every_term_and_beginning() {
    let segment = build(&chunks(2_000, 5));
    assert!(segment.blocks.len() > 5);
    let terms: Vec<String> = {
        let all = chunks(2_000, 5).into_iter().flat_map(|chunk| chunk.terms.counts);
        let mut terms: Vec<String> = all.map(|(term, _)| term).collect();
        terms.sort_unstable();
        terms.dedup();
        terms
    };
    let joined = TermBlock::joined(segment.blocks.clone()).unwrap();
    assert_eq!(TermBlock::of(joined.bytes.clone()).unwrap(), joined);
    for term in &terms {
        let postings = find_postings(&joined.bytes, term).unwrap().map(|found| found.count());
        assert_eq!(postings, segment.postings(term).unwrap().map(|found| found.count()), "{term}");
        assert!(postings.is_some(), "{term}");
        assert!(find_postings(&joined.bytes, &format!("{term}~")).unwrap().is_none());
    }
    let beginning = &terms[terms.len() / 2][..1];
    let mut found = 0;
    each_beginning(&joined.bytes, beginning, |_| {
        found += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(found, terms.iter().filter(|term| term.starts_with(beginning)).count());
    assert!(TermBlock::of(Vec::new()).is_err() && TermBlock::joined(Vec::new()).is_none());
}
