//! Content for tests, the same at each run.

use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::analysis::analyze;
use crate::segment::IndexedChunk;

/// Signs of many kinds: scripts, marks, joiners, separators, markup.
const SIGNS: &str = "abcdeXYZ0189 \n\n\t.,;!?'’_-#*`>|éßÆİøñ\u{301}\u{308}жёЙїσςΆعربيةًहिन्दीதமிழ்\
    漢字日本ひらガー々ﾊﾞ\u{3099}한국\u{1112}\u{1161}ไทยก็ລາວခခမြန်ខ្មែរ😀👨\u{200D}👩\u{200D}👧🇩🇪ﬁﷺ㎏½²₂Ⅷ①\u{AD}\u{200C}\u{A0}\u{2028}。！\u{0}\u{10FFFF}";

/// The next number of a fixed series.
pub(crate) fn number(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap()
}

/// A sign; now and then any character at all.
pub(crate) fn sign() -> impl Strategy<Value = char> {
    prop_oneof![15 => select(SIGNS.chars().collect::<Vec<_>>()), 1 => any::<char>()]
}

/// Chunks of words of which some are frequent, three to a document.
pub(crate) fn chunks(count: usize, mut seed: u64) -> Vec<IndexedChunk> {
    let of = |index: usize| {
        let text: Vec<String> = (0..20 + number(&mut seed) % 40)
            .map(|_| {
                let range = [4, 60, 3_000][number(&mut seed) % 3];
                format!("w{}", number(&mut seed) % range)
            })
            .collect();
        IndexedChunk {
            id: Uuid::from_u128((seed as u128) << 64 | index as u128),
            document: Uuid::from_u128(index as u128 / 3 + 1),
            terms: analyze(&text.join(" ")),
        }
    };
    (0..count).map(of).collect()
}

/// `count` vectors of numbers between -1 and 1.
pub(crate) fn vectors(count: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut seed = 3_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| (0..dimensions).map(|_| next()).collect()).collect()
}
