use super::*;

fn number(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap()
}

/// Chunks of words of which some are frequent, three to a document.
pub(in crate::knowledge) fn chunks(count: usize, mut seed: u64) -> Vec<SegmentChunk> {
    let of = |index: usize| {
        let text: Vec<String> = (0..20 + number(&mut seed) % 40)
            .map(|_| {
                let range = [4, 60, 3_000][number(&mut seed) % 3];
                format!("w{}", number(&mut seed) % range)
            })
            .collect();
        SegmentChunk {
            chunk: Uuid::from_u128((seed as u128) << 64 | index as u128),
            document: Uuid::from_u128(index as u128 / 3 + 1),
            terms: aimate_text::terms::terms(&text.join(" ")),
        }
    };
    (0..count).map(of).collect()
}

fn look_up(segment: &Segment, term: &str) -> Vec<Posting> {
    let block = segment.blocks.iter().rev().find(|(first, _)| first.as_slice() <= term.as_bytes());
    let Some(postings) = block.and_then(|(_, block)| find(block, term).unwrap()) else { return Vec::new() };
    let mut found = Vec::new();
    let count = u32::try_from(super::chunks(&segment.header).unwrap().len()).unwrap();
    postings.each(count, |posting| found.push(posting)).unwrap();
    assert_eq!(found.len(), postings.count() as usize);
    found
}

#[test]
fn every_term_is_found_with_its_chunks() {
    let chunks = chunks(2_000, 5);
    let segment = build(&chunks);
    assert!(segment.blocks.len() > 5);
    assert!(segment.blocks.is_sorted_by(|one, other| one.0 < other.0));
    let header = Header::decode(&segment.header).unwrap();
    assert_eq!(header.encode(), segment.header);
    assert_eq!(header.documents[header.document_of[3] as usize], chunks[3].document);
    let mut expected: HashMap<&str, Vec<Posting>> = HashMap::new();
    for (ordinal, chunk) in (0..).zip(&chunks) {
        for (term, frequency) in &chunk.terms.counts {
            let posting = Posting { ordinal, frequency: *frequency, length: chunk.terms.length };
            expected.entry(term).or_default().push(posting);
        }
    }
    for (term, postings) in expected {
        assert_eq!(look_up(&segment, term), postings, "{term}");
        let (_, block) =
            segment.blocks.iter().rev().find(|(first, _)| first.as_slice() <= term.as_bytes()).unwrap();
        let alone =
            Segment { blocks: vec![(Vec::new(), cut(block, term).unwrap().unwrap())], ..segment.clone() };
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
    assert_eq!(merge(&parts).unwrap(), build(&all));
    assert_eq!(merge(&[]).unwrap(), build(&[]));
}

#[test]
fn taking_out_is_building_without() {
    let all = chunks(600, 3);
    let gone: HashSet<Uuid> =
        all.iter().map(|chunk| chunk.document).filter(|id| id.as_u128() % 3 == 1).collect();
    let shrunk = without(&build(&all), &gone).unwrap().unwrap();
    let left: Vec<SegmentChunk> = all.into_iter().filter(|chunk| !gone.contains(&chunk.document)).collect();
    assert_eq!(shrunk, build(&left));
    let documents = left.iter().map(|chunk| chunk.document).collect();
    assert_eq!(without(&shrunk, &documents).unwrap(), None);
    assert_eq!(without(&shrunk, &gone).unwrap().unwrap(), shrunk);
}

#[test]
fn damaged_bytes_are_told_or_harmless() {
    let good = build(&chunks(12, 7));
    let mut seed = 1;
    for round in 0..6_000 {
        let mut bad = good.clone();
        let block = number(&mut seed) % bad.blocks.len();
        let bytes = if round % 4 == 0 { &mut bad.header } else { &mut bad.blocks[block].1 };
        let at = number(&mut seed) % bytes.len();
        if round % 5 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (number(&mut seed) % 8);
        }
        let _ = merge(&[bad.clone(), good.clone()]);
        let _ = without(&bad, &HashSet::new());
        let _ = bad.blocks.iter().map(|(_, block)| find(block, "w1")).collect::<Vec<_>>();
    }
}

#[test]
fn number_that_is_too_large_allocates_nothing() {
    let header = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0];
    assert!(Header::decode(&header).is_err());
    assert!(find(&[0, 1, b'a', 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1], "a").is_err());
}
