use aimate_index::analysis::{Terms, analyze, analyze_query};

use super::knowledge_world::{
    DIMENSIONS, EAST, Fixture, NORTH, NORTH_EAST, WEST, chunk_id, chunks, collection, document,
};
use super::world::id;
use crate::error::ErrorKind;
use crate::knowledge::{Document, Filter, RankedChunks, ScoredChunk, SearchScope};
use crate::{ChunkId, Scope, Stores};

async fn text(
    fixture: &Fixture<'_>,
    scope: &Scope,
    target: &SearchScope,
    terms: &Terms,
    limit: u32,
) -> RankedChunks {
    fixture.stores.index.find_text(scope, target, terms, limit).await.unwrap()
}

async fn vector(fixture: &Fixture<'_>, target: &SearchScope, query: &[f32], limit: u32) -> RankedChunks {
    let spaces = [fixture.space.unwrap()];
    fixture.stores.index.find_vector(&fixture.me, target, &spaces, query, limit).await.unwrap()
}

fn only(field: &str, value: &str) -> Option<Filter> {
    Some(Filter::Eq { field: field.into(), value: value.into() })
}

/// BM25 as the port defines it, over all passages.
fn bm25(passages: &[(ChunkId, &str)], question: &Terms) -> Vec<(ChunkId, f64)> {
    let all: Vec<(ChunkId, Terms)> = passages.iter().map(|(id, text)| (*id, analyze(text))).collect();
    let count = all.len() as f64;
    let mean = all.iter().map(|(_, terms)| f64::from(terms.length)).sum::<f64>() / count;
    let occurrences = |terms: &Terms, term: &str| {
        terms.counts.iter().find(|(known, _)| known == term).map_or(0.0, |(_, n)| f64::from(*n))
    };
    let mut scores: Vec<(ChunkId, f64)> = all
        .iter()
        .map(|(id, terms)| {
            let score = question.counts.iter().map(|(term, weight)| {
                let having = all.iter().filter(|(_, terms)| occurrences(terms, term) > 0.0).count() as f64;
                let idf = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
                let n = occurrences(terms, term);
                let norm = 1.2 * (1.0 - 0.75 + 0.75 * f64::from(terms.length) / mean);
                f64::from(*weight) * idf * n / (n + norm)
            });
            (*id, score.sum())
        })
        .filter(|(_, score)| *score > 0.0)
        .collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}

pub async fn rare_words_rank_first(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let common = ["common word here", "common thing there", "common sense prevails"];
    fixture.ready("common", &common).await;
    fixture.ready("rare", &["common rare zebra"]).await;
    let found = fixture.found(&fixture.me, &fixture.target(), "common zebra").await;
    assert_eq!((found.len(), found[0].as_str()), (4, "common rare zebra"));
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "zebras").await, ["common rare zebra"]);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "absent").await, Vec::<String>::new());
    let nothing = text(&fixture, &fixture.me, &fixture.target(), &Terms::default(), 10).await;
    assert_eq!(nothing.best, []);
}

pub async fn text_scores_are_bm25(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let texts = [
        "the quick brown fox jumps over the lazy dog",
        "a fox, a fox, a fox!",
        "dogs and foxes: quick quick",
        "nothing of the kind",
        "Übergrößenträger mögen Füchse nicht",
        "quick",
    ];
    let mut passages = Vec::new();
    // Each in a segment of its own, and some together.
    for (n, texts) in [&texts[..1], &texts[1..4], &texts[4..]].into_iter().enumerate() {
        let ready = fixture.ready(&n.to_string(), texts).await;
        passages.extend(texts.iter().map(|text| (chunk_id(ready.id, text), *text)));
    }
    for question in ["quick fox", "fox fox dog", "kind", "Füchse mögen quick"] {
        let question = analyze_query(question);
        let expected = bm25(&passages, &question);
        let leg = text(&fixture, &fixture.me, &fixture.target(), &question, 10).await;
        assert_eq!(leg.best.len(), expected.len(), "{question:?}");
        for (found, (chunk, score)) in leg.best.iter().zip(&expected) {
            assert_eq!(found.chunk, *chunk, "{question:?}");
            // A lost digit of a length that is stored in a byte is none of these.
            assert!((f64::from(found.score) - score).abs() < 1e-4 * score, "{found:?} is not {score}");
        }
        assert_eq!((leg.chunks, leg.filtered), (6, 0));
    }
}

pub async fn at_most_limit_are_found(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    for n in 0..7 {
        fixture.ready(&n.to_string(), &["apple"]).await;
    }
    let all = text(&fixture, &fixture.me, &fixture.target(), &analyze_query("apple"), 50).await.best;
    // Equal scores come by the chunks' ids.
    assert!(all.is_sorted_by_key(|best| best.chunk));
    let few = text(&fixture, &fixture.me, &fixture.target(), &analyze_query("apple"), 3).await.best;
    assert_eq!(few, all[..3]);
    let all = vector(&fixture, &fixture.target(), &EAST, 50).await.best;
    assert!(all.len() == 7 && all.is_sorted_by_key(|best| best.chunk));
    let few = vector(&fixture, &fixture.target(), &EAST, 3).await.best;
    assert_eq!(few, all[..3]);
}

pub async fn nearest_vectors_come_first(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let one = fixture.ready_at("a", &[("w", WEST), ("e", EAST)]).await;
    let two = fixture.ready_at("b", &[("n", NORTH), ("ne", NORTH_EAST)]).await;
    let leg = vector(&fixture, &fixture.target(), &EAST, 10).await;
    let expected = [(one.id, "e", 1.0), (two.id, "ne", 0.5), (two.id, "n", 0.0), (one.id, "w", -1.0)]
        .map(|(document, text, score)| ScoredChunk { chunk: chunk_id(document, text), score });
    assert_eq!(leg, RankedChunks { best: expected.to_vec(), max_score: 1.0, chunks: 4, filtered: 0 });
    assert_eq!(vector(&fixture, &fixture.target(), &EAST, 1).await.best, expected[..1]);
}

pub async fn cosines_and_vectors_are_those_stored(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready_at("a", &[("w", WEST), ("e", EAST), ("ne", NORTH_EAST)]).await;
    let chunks = ["w", "ne"].map(|text| chunk_id(ready.id, text));
    let asked = [chunks[0], id(), chunks[1]];
    let spaces = [id(), fixture.space.unwrap()];
    let mut cosines = stores.index.cosines(&fixture.me, &spaces, &EAST, &asked).await.unwrap();
    cosines.sort_by(|a, b| a.score.total_cmp(&b.score));
    let expected = [(chunks[0], -1.0), (chunks[1], 0.5)].map(|(chunk, score)| ScoredChunk { chunk, score });
    assert_eq!(cosines, expected);
    let mut vectors = stores.index.vectors(&fixture.me, &spaces, &asked).await.unwrap();
    vectors.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]));
    assert_eq!(vectors, [(chunks[0], WEST.to_vec()), (chunks[1], NORTH_EAST.to_vec())]);
    assert!(vectors.iter().all(|(_, vector)| vector.len() == DIMENSIONS as usize));
    for scope in fixture.world.others() {
        assert_eq!(stores.index.cosines(&scope, &spaces, &EAST, &asked).await.unwrap(), []);
        assert_eq!(stores.index.vectors(&scope, &spaces, &asked).await.unwrap(), []);
    }
}

pub async fn filters_hold_for_words_and_meaning(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let mut documents = Vec::new();
    for (name, lang) in [("a", "de"), ("b", "en"), ("c", "de")] {
        let mut new = document(fixture.collection, name);
        new.metadata.insert("lang".into(), lang.into());
        documents.push(fixture.ready_this(&new, &["apple", "pear"]).await);
    }
    let target = SearchScope { filter: only("lang", "de"), ..fixture.target() };
    let question = analyze_query("apple");
    let all = text(&fixture, &fixture.me, &fixture.target(), &question, 10).await;
    let some = text(&fixture, &fixture.me, &target, &question, 10).await;
    let of = |document: &Document| chunk_id(document.id, "apple");
    let wanted = [of(&documents[0]), of(&documents[2])];
    let expected: Vec<_> = all.best.iter().filter(|best| wanted.contains(&best.chunk)).copied().collect();
    // Scores do not depend on the filter.
    assert!(all.best.iter().all(|best| best.score < all.max_score), "{all:?}");
    assert_eq!(some, RankedChunks { best: expected, max_score: all.max_score, chunks: 6, filtered: 2 });
    let leg = vector(&fixture, &target, &EAST, 10).await;
    assert_eq!((leg.best.len(), leg.chunks, leg.filtered), (4, 6, 2));
    let none = SearchScope { filter: only("lang", "fr"), ..fixture.target() };
    let leg = vector(&fixture, &none, &EAST, 10).await;
    assert_eq!((leg.best.len(), leg.chunks, leg.filtered), (0, 6, 6));
    assert_eq!(text(&fixture, &fixture.me, &none, &question, 10).await.best, []);
}

pub async fn several_collections_are_searched_together(stores: &Stores) {
    let mut fixture = Fixture::new(stores).await;
    let first = fixture.collection;
    fixture.ready("a", &["apple pie", "apple juice"]).await;
    let second = collection("second");
    stores.collections.create(&fixture.me, &second).await.unwrap();
    fixture.collection = second.id;
    fixture.ready("b", &["apple tree", "pear"]).await;
    let both = SearchScope { collections: vec![first, second.id, id()], filter: None };
    let leg = text(&fixture, &fixture.me, &both, &analyze_query("apple"), 10).await;
    assert_eq!((leg.best.len(), leg.chunks), (3, 4));
    // Statistics are those of both.
    assert!(leg.best.iter().all(|best| best.score == leg.best[0].score));
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple tree"]);
    let none = SearchScope { collections: Vec::new(), filter: None };
    assert_eq!(fixture.found(&fixture.me, &none, "apple").await, Vec::<String>::new());
}

pub async fn others_find_nothing(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["apple"]).await;
    let spaces = [fixture.space.unwrap()];
    for scope in fixture.world.others() {
        for filter in [None, only("$name", "a")] {
            let target = SearchScope { filter, ..fixture.target() };
            let found = stores.index.find_text(&scope, &target, &analyze_query("apple"), 10).await.unwrap();
            assert_eq!(found, RankedChunks::default());
            let leg = stores.index.find_vector(&scope, &target, &spaces, &EAST, 10).await.unwrap();
            assert_eq!(leg, RankedChunks::default());
        }
    }
    for scope in fixture.world.others() {
        let merged = stores.index.merge(&scope, fixture.collection).await;
        assert!(merged.map_or_else(|error| error.kind() == ErrorKind::NotFound, |merged| !merged));
    }
    // Nor in a space beside the target.
    let target = SearchScope { collections: vec![id()], filter: None };
    let leg = stores.index.find_vector(&fixture.me, &target, &spaces, &EAST, 10).await.unwrap();
    assert_eq!(leg.best, []);
    assert_eq!(fixture.get(ready.id).await, ready);
}

pub async fn passages_tell_their_document(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let ready = fixture.ready("a.md", &["one", "two"]).await;
    let ids = [chunk_id(ready.id, "two"), id(), chunk_id(ready.id, "one")];
    let mut passages = stores.index.passages(&fixture.me, &ids).await.unwrap();
    passages.sort_by_key(|passage| passage.chunk.index);
    let expected: Vec<_> = chunks(ready.id, &["one", "two"]).into_iter().map(|new| new.chunk).collect();
    assert_eq!(passages.iter().map(|p| p.chunk.clone()).collect::<Vec<_>>(), expected);
    assert!(passages.iter().all(|passage| {
        (passage.collection, passage.title.as_str(), passage.name.as_str())
            == (fixture.collection, "title", "a.md")
    }));
    for scope in fixture.world.others() {
        assert_eq!(stores.index.passages(&scope, &ids).await.unwrap(), []);
    }
    assert_eq!(stores.index.passages(&fixture.me, &[]).await.unwrap(), []);
}

pub async fn merging_changes_no_answer(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    for n in 0..12 {
        fixture.ready(&n.to_string(), &[&format!("apple number{n}"), "pear"]).await;
    }
    let gone = fixture.ready("gone", &["apple gone"]).await;
    stores.documents.delete(&fixture.me, &[gone.id]).await.unwrap();
    let terms = aimate_index::analysis::analyze_query("apple number3 pear");
    let text = async || stores.index.find_text(&fixture.me, &fixture.target(), &terms, 50).await.unwrap();
    let space = [fixture.space.unwrap()];
    let vector =
        async || stores.index.find_vector(&fixture.me, &fixture.target(), &space, &EAST, 50).await.unwrap();
    let (text_before, vector_before) = (text().await, vector().await);
    assert_eq!((text_before.best.len(), vector_before.best.len()), (24, 24));
    for _ in 0..20 {
        if !stores.index.merge(&fixture.me, fixture.collection).await.unwrap() {
            break;
        }
    }
    assert!(!stores.index.merge(&fixture.me, fixture.collection).await.unwrap());
    assert_eq!((text().await, vector().await), (text_before, vector_before));
    let nothing = SearchScope { collections: vec![id()], filter: None };
    assert_eq!(fixture.found(&fixture.me, &nothing, "apple").await, Vec::<String>::new());
    fixture.is_tidy().await;
}
