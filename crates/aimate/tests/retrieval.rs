//! Knowledge through the engine: what goes in, what is found, what is cited.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aimate::engine::Knowledge;
use aimate::knowledge::{
    CollectionChange, Document, DocumentStatus, EmbedPurpose, Embedder, EmbeddingModel, Filter, NewDocument,
    Scripts, SearchMode, SearchRequest, SpaceStatus,
};
use aimate::message::{Citation, Message, Part};
use aimate::testing::{HashEmbedder, answer};
use aimate::{ChatEvent, DocumentId, Engine, ErrorKind, PageRequest, Scope, Turn};
use async_trait::async_trait;
use common::{Bench, events, said};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

/// How long something may take that usually takes no time.
const PATIENCE: Duration = Duration::from_secs(30);
const BOILER: &str = "# Boiler\n\nThe boiler is serviced in May. Bring the key of the cellar.\n";
const PUMP: &str = "# Pump\n\nThe pump runs at night. Its filter is changed every second winter.\n";

/// An engine with an embedder, and what it embedded.
async fn shelf<const N: usize>(answers: [&str; N]) -> (Bench, Arc<HashEmbedder>) {
    let embedder = Arc::new(HashEmbedder::new("hash", 64));
    let bench = Bench::with(answers.map(answer), |builder| builder.embedder(embedder.clone())).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    knowledge.add_text("boiler.md", BOILER).await.unwrap();
    knowledge.add_text("pump.md", PUMP).await.unwrap();
    (bench, embedder)
}

fn citations(message: &Message) -> Vec<&Citation> {
    let parts = message.content.iter();
    parts.filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None }).collect()
}

async fn search(engine: &Engine, me: &Scope, query: &str, mode: SearchMode) -> Vec<String> {
    let found = engine.knowledge(me).search(&SearchRequest::new(query).mode(mode)).await.unwrap();
    found.hits.into_iter().map(|hit| hit.title).collect()
}

#[tokio::test]
async fn each_mode_finds_what_was_added() {
    let (bench, _) = shelf([]).await;
    for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
        let titles = search(&bench.engine, &bench.me, "When is the boiler serviced?", mode).await;
        assert_eq!(titles[0], "Boiler", "{mode}");
    }
    let request = SearchRequest::new("\"boiler\" AND (pump* OR NEAR/2) ^ -\\ %").explain(true);
    let found = bench.engine.knowledge(&bench.me).search(&request).await.unwrap();
    assert_eq!(found.explain.unwrap().chunks, 2);
    assert!(found.hits[0].explain.as_ref().unwrap().text_rank.is_some());
}

#[tokio::test]
async fn text_search_alone_says_so() {
    let bench = Bench::with([], |builder| builder).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    knowledge.add_text("boiler.md", BOILER).await.unwrap();
    let found = knowledge.search(&SearchRequest::new("boiler")).await.unwrap();
    assert_eq!((found.hits.len(), found.warnings.len()), (1, 1));
    let vector = SearchRequest::new("boiler").mode(SearchMode::Vector);
    assert_eq!(knowledge.search(&vector).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn marks_of_an_answer_become_citations() {
    let text = "In May: “serviced in May” [1]. It also says \"serviced in July\" [1]. And [9].";
    let (bench, _) = shelf([text]).await;
    let turn = Turn::new("When is the boiler serviced?").knowledge(["documents"]);
    let events = events(bench.engine.chat(&bench.me, turn).await.unwrap()).await;
    let ChatEvent::Retrieved { citations: shown } = &events[1] else { panic!("{events:?}") };
    assert_eq!((shown[0].n, shown[0].title.as_str()), (1, "Boiler"));
    let prompt = bench.provider.requests()[0].messages.last().unwrap().clone();
    let Part::Text { text: prompt } = &prompt.content[0] else { panic!("{prompt:?}") };
    assert!(prompt.contains("[1] Boiler\n") && prompt.ends_with("When is the boiler serviced?"), "{prompt}");

    let codes: Vec<_> = events
        .iter()
        .filter_map(
            |event| if let ChatEvent::Warning { code, .. } = event { Some(code.as_str()) } else { None },
        )
        .collect();
    assert_eq!(codes, ["citation_unknown", "quote_not_found"]);
    let ChatEvent::Finished(finished) = events.last().unwrap() else { panic!("{events:?}") };
    let Part::Text { text } = &finished.message.content[0] else { panic!() };
    assert!(text.ends_with("[1]. And [9]."), "{text}");
    let cited = citations(&finished.message);
    assert_eq!(cited.len(), 1);
    assert_eq!(cited[0].quotes.iter().map(|quote| quote.found).collect::<Vec<_>>(), [true, false]);
    let quote = &cited[0].quotes[0];
    let said: String = BOILER
        .chars()
        .skip(usize::try_from(quote.start.unwrap()).unwrap())
        .take(usize::try_from(quote.end.unwrap() - quote.start.unwrap()).unwrap())
        .collect();
    assert_eq!(said, "serviced in May");
}

#[tokio::test]
async fn passages_are_frozen_with_their_turn() {
    let (bench, _) = shelf(["In May [1].", "At night [1]."]).await;
    let turn = Turn::new("When is the boiler serviced?").knowledge(["documents"]);
    let listener = bench.engine.chat(&bench.me, turn).await.unwrap();
    let id = listener.conversation_id();
    events(listener).await;
    bench.engine.knowledge(&bench.me).add_text("boiler.md", "The boiler is serviced in June.").await.unwrap();
    let turn = Turn::new("And when does the pump run, which stands in the garden?").conversation(id);
    events(bench.engine.chat(&bench.me, turn.knowledge(["documents"])).await.unwrap()).await;
    let requests = bench.provider.requests();
    assert!(requests[1].messages.starts_with(&requests[0].messages));

    let branch = bench.branch(id).await;
    assert!(citations(&branch[1])[0].is_stale, "the boiler's document changed");
    assert!(!citations(&branch[3])[0].is_stale);
}

#[tokio::test]
async fn builtin_answers_from_the_documents() {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await.unwrap())
        .connection(aimate::providers::builtin())
        .build()
        .await
        .unwrap();
    let me = engine.local_scope().await.unwrap();
    engine.knowledge(&me).add_text("boiler.md", BOILER).await.unwrap();
    let events = events(engine.chat(&me, Turn::new("When is the boiler serviced?")).await.unwrap()).await;
    assert!(said(&events).contains("“The boiler is serviced in May.” [1]"), "{}", said(&events));
    let ChatEvent::Finished(finished) = events.last().unwrap() else { panic!("{events:?}") };
    assert!(citations(&finished.message)[0].quotes[0].found);
}

#[tokio::test]
async fn changed_document_embeds_its_changed_chunks_alone() {
    let (bench, embedder) = shelf([]).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let word = |n: u8| format!("word{}{}", char::from(b'a' + n / 8), char::from(b'k' + n % 8));
    let sections: Vec<_> =
        (0..40).map(|n| format!("## Part {n}\n\n{}\n", format!("{} ", word(n)).repeat(120))).collect();
    let first = knowledge.add_text("long.md", sections.concat()).await.unwrap();
    let before = embedder.texts();
    let mut changed = sections.clone();
    changed[20] = changed[20].replace(&word(20), "other");
    let second = knowledge.add_text("long.md", changed.concat()).await.unwrap();
    assert_eq!((first.id, first.chunk_count), (second.id, second.chunk_count));
    assert!(embedder.texts() - before <= 4, "{} of {}", embedder.texts() - before, second.chunk_count);
    assert_eq!(search(&bench.engine, &bench.me, &word(20), SearchMode::Text).await, Vec::<String>::new());
    assert!(!search(&bench.engine, &bench.me, &word(21), SearchMode::Text).await.is_empty());
}

#[tokio::test]
async fn another_model_takes_over_when_it_is_whole_and_back_at_once() {
    let old = Arc::new(HashEmbedder::new("old", 32));
    let new = Arc::new(HashEmbedder::new("new", 48));
    let (first, second) = (old.clone(), new.clone());
    let bench = Bench::with([], |builder| builder.embedder(first).embedder(second)).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let document = knowledge.add_text("boiler.md", BOILER).await.unwrap();
    let id = document.collection_id;
    let change =
        |name: &str| CollectionChange { embedder: Some(name.to_owned()), ..CollectionChange::default() };
    knowledge.update_collection(id, change("local/new")).await.unwrap();
    for _ in 0..200 {
        let space = knowledge.collection(&id.to_string()).await.unwrap().space.unwrap();
        if space.model.name == "local/new" {
            break;
        }
        assert_eq!(search(&bench.engine, &bench.me, "boiler", SearchMode::Vector).await, ["Boiler"]);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(search(&bench.engine, &bench.me, "boiler", SearchMode::Vector).await, ["Boiler"]);
    let statuses: Vec<_> = knowledge.spaces(id).await.unwrap().iter().map(|space| space.status).collect();
    assert!(
        statuses.contains(&SpaceStatus::Active) && statuses.contains(&SpaceStatus::Retired),
        "{statuses:?}"
    );
    let embedded = old.texts();
    let back = knowledge.update_collection(id, change("local/old")).await.unwrap();
    assert_eq!(back.space.unwrap().model.name, "local/old");
    assert_eq!(old.texts(), embedded);
}

#[tokio::test]
async fn filters_and_deleting_hold_in_both_legs() {
    let (bench, _) = shelf([]).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let collection = knowledge.collection("documents").await.unwrap().id;
    for year in [2024, 2025] {
        let mut new = NewDocument::new(format!("report {year}"));
        new.metadata.insert("year".to_owned(), json!(year));
        let text = "The annual report on boilers and pumps.".to_owned();
        let added = knowledge.add_text_to(collection, new, text).await.unwrap();
        assert_eq!(added.status, DocumentStatus::Pending);
        knowledge.wait(added.id).await.unwrap();
    }
    let filter = Filter::Eq { field: "year".to_owned(), value: json!(2025) };
    for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
        let request = SearchRequest::new("report on boilers").mode(mode).filter(filter.clone()).explain(true);
        let found = knowledge.search(&request).await.unwrap();
        assert_eq!(found.hits.iter().map(|hit| hit.title.as_str()).collect::<Vec<_>>(), ["report 2025"]);
        assert_eq!(found.explain.unwrap().filtered, 3);
        let no_words = SearchRequest::new("?!").mode(mode).filter(filter.clone());
        knowledge.search(&no_words).await.unwrap();
    }
    let all =
        knowledge.documents(&aimate::knowledge::DocumentFilter::default(), PageRequest::default()).await;
    for document in all.unwrap().data {
        knowledge.delete(document.id).await.unwrap();
        assert!(knowledge.content(document.id).await.is_err());
    }
    assert_eq!(search(&bench.engine, &bench.me, "boiler", SearchMode::Hybrid).await, Vec::<String>::new());
}

#[tokio::test]
async fn all_of_some_documents_are_waited_for() {
    let (bench, _) = shelf([]).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let collection = knowledge.collection("documents").await.unwrap().id;
    let mut ids = Vec::new();
    // More than are looked at together.
    for n in 0..210 {
        let text = if n == 3 { String::new() } else { format!("The boiler number {n}.") };
        let new = NewDocument::new(format!("{n}.md"));
        ids.push(knowledge.add_text_to(collection, new, text).await.unwrap().id);
    }
    let gone = ids[0];
    knowledge.delete(gone).await.unwrap();
    let ended = knowledge.wait_for_all(&ids).await.unwrap();
    assert_eq!(ended.len(), ids.len());
    for (n, (id, document)) in ids.iter().zip(&ended).enumerate() {
        let status = document.as_ref().map(|document| (document.id, document.status));
        let right = match n {
            0 => None,
            3 => Some((*id, DocumentStatus::Failed)),
            _ => Some((*id, DocumentStatus::Ready)),
        };
        assert_eq!(status, right, "{n}");
    }
    assert_eq!(knowledge.wait_for_all(&[]).await.unwrap(), []);
    assert_eq!(knowledge.wait_for_all(&[gone, gone]).await.unwrap(), [None, None]);
}

#[tokio::test]
async fn broken_document_fails_alone() {
    let (bench, _) = shelf([]).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let empty = knowledge.add_text("empty.txt", "").await.unwrap_err();
    assert!(empty.message().contains("empty"), "{empty}");
    assert!(knowledge.add_text("blank.txt", " \n\t ").await.is_err());
    knowledge.add_text("../../etc/passwd", "The zebra is striped.").await.unwrap();
    knowledge.add_text("after.md", "The zebra came later.").await.unwrap();
    assert!(!search(&bench.engine, &bench.me, "zebra", SearchMode::Hybrid).await.is_empty());
}

/// Embeds when it is let.
struct Gate {
    embedder: HashEmbedder,
    turns: Semaphore,
    /// Texts whose chunks were counted: each is the end of a document.
    read: [(&'static str, Notify); 2],
}

#[async_trait]
impl Embedder for Gate {
    fn model(&self) -> &EmbeddingModel {
        self.embedder.model()
    }

    fn max_tokens(&self) -> usize {
        self.embedder.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        let read = self.read.iter().filter(|(end, _)| text.contains(end));
        read.for_each(|(_, notify)| notify.notify_one());
        self.embedder.count_tokens(text)
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> aimate::Result<Vec<Vec<f32>>> {
        self.turns.acquire().await.unwrap().forget();
        self.embedder.embed(texts, purpose).await
    }
}

/// Looks at a document until it is as wanted.
async fn wait_for(knowledge: &Knowledge, id: DocumentId, is_as_wanted: impl Fn(&Document) -> bool) {
    let looks = async {
        while !is_as_wanted(&knowledge.document(id).await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.expect("the document becomes as wanted");
}

#[tokio::test]
async fn document_deleted_while_it_is_embedded_holds_up_no_other() {
    let read = ["399 gone", "key of the cellar"].map(|end| (end, Notify::new()));
    let gate = Arc::new(Gate { embedder: HashEmbedder::new("gate", 64), turns: Semaphore::new(0), read });
    let bench = Bench::with([], |builder| builder.embedder(gate.clone())).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let collection = knowledge.collection_or_new("documents").await.unwrap();
    let add = async |name: &str, text: String| {
        knowledge.add_text_to(collection.id, NewDocument::new(name), text).await.unwrap().id
    };
    let reaches = async |id, status| wait_for(&knowledge, id, |document| document.status == status).await;
    // While this one waits for its turn, the next two are read and come to be one group.
    let first = add("first.md", PUMP.to_owned()).await;
    reaches(first, DocumentStatus::Processing).await;
    let paragraphs = (0..400).map(|n| format!("{n} {}\n\n", "gone ".repeat(180)));
    let gone = add("gone.md", paragraphs.collect()).await;
    // Long enough that its tokens are counted, and one chunk.
    let boiler = "The boiler is serviced in May. ".repeat(10);
    let stays = add("stays.md", format!("{boiler}Bring the key of the cellar.\n")).await;
    for (end, read) in &gate.read {
        tokio::time::timeout(PATIENCE, read.notified()).await.expect(end);
    }
    // Two batches, or three if the short document came by itself before the long one.
    gate.turns.add_permits(3);
    wait_for(&knowledge, gone, |document| document.progress > 0.0).await;
    knowledge.delete(gone).await.unwrap();
    gate.turns.add_permits(100);
    reaches(stays, DocumentStatus::Ready).await;
    reaches(first, DocumentStatus::Ready).await;
    assert!(gate.embedder.texts() <= 1 + 3 * 64 + 1, "what is gone is embedded no further");
    assert_eq!(search(&bench.engine, &bench.me, "gone", SearchMode::Text).await, Vec::<String>::new());
}

/// Reads Latin letters alone, and counts each other letter as a token.
struct English(HashEmbedder);

#[async_trait]
impl Embedder for English {
    fn model(&self) -> &EmbeddingModel {
        self.0.model()
    }

    fn max_tokens(&self) -> usize {
        128
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.chars().filter(|letter| !letter.is_ascii()).count() + self.0.count_tokens(text)
    }

    fn scripts(&self) -> Scripts {
        "Latn".parse().unwrap()
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> aimate::Result<Vec<Vec<f32>>> {
        self.0.embed(texts, purpose).await
    }
}

/// Sentences of about 20 characters.
fn korean(count: usize) -> String {
    (0..count).map(|n| format!("보일러는 {n}월에 점검합니다. 열쇠가 필요합니다.\n")).collect()
}

#[tokio::test]
async fn question_that_a_model_cannot_read_is_searched_for_by_words() {
    let english = Arc::new(English(HashEmbedder::new("english", 64)));
    let bench = Bench::with([], |builder| builder.embedder(english.clone())).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    for (name, text) in [("boiler.md", "보일러는 오월에 점검합니다."), ("pump.md", PUMP)] {
        knowledge.add_text(name, text).await.unwrap();
    }
    let request = |query: &str| SearchRequest::new(query).explain(true);
    let embedded = english.0.texts();
    let found = knowledge.search(&request("보일러 점검은 언제?")).await.unwrap();
    let explain = found.explain.unwrap();
    assert_eq!((found.hits.len(), explain.vector_candidates, english.0.texts()), (1, 0, embedded));
    assert!(explain.models.is_empty() && explain.cosine_weight == 0.0);
    assert!(found.warnings[0].contains("local/english") && found.warnings[0].contains("script"));
    let text = knowledge.search(&request("보일러 점검은 언제?").mode(SearchMode::Text)).await.unwrap();
    assert_eq!(found.hits[0].score, text.hits[0].score);
    // One it can read, and one for which the vectors are asked for by name.
    let found = knowledge.search(&request("When does the pump run?")).await.unwrap();
    assert_eq!((found.explain.unwrap().models, found.warnings), (vec!["local/english".to_owned()], vec![]));
    let vector = knowledge.search(&request("보일러").mode(SearchMode::Vector)).await.unwrap();
    assert_eq!(vector.hits.len(), 2);
}

#[tokio::test]
async fn chunks_of_a_text_that_a_model_cannot_read_are_whole() {
    let text = korean(60);
    let mut counts = Vec::new();
    for says_all in [false, true] {
        let english = Arc::new(English(HashEmbedder::new("english", 64)));
        let bench = Bench::with([], |builder| {
            let builder = builder.embedder(english);
            if says_all { builder.embedder_scripts("local/english", Scripts::All) } else { builder }
        });
        let bench = bench.await;
        let document = bench.engine.knowledge(&bench.me).add_text("k.md", text.clone()).await.unwrap();
        counts.push(document.chunk_count);
    }
    // About 1,900 characters in chunks of 1,000 and an overlap of 200; at most 96
    // tokens, which are letters, where the builder says that it reads them.
    assert!((2..=3).contains(&counts[0]) && counts[1] > 15, "{counts:?}");
}

#[tokio::test]
async fn scores_are_from_0_to_1_in_every_mode() {
    let (bench, _) = shelf([]).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    knowledge.add_text("same.md", "boiler ".repeat(200)).await.unwrap();
    for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
        for query in ["boiler", "boiler boiler boiler", "When is the boiler serviced? And the zebra?"] {
            let request = SearchRequest::new(query).mode(mode).explain(true);
            let found = knowledge.search(&request).await.unwrap();
            let explain = found.explain.unwrap();
            for hit in &found.hits {
                assert!((0.0..=1.0).contains(&hit.score), "{mode}: {hit:?}");
                let legs = hit.explain.as_ref().unwrap();
                assert!(legs.bm25.is_none_or(|bm25| bm25 < explain.max_bm25), "{legs:?} {explain:?}");
            }
            assert!(found.hits.is_sorted_by(|one, next| one.score >= next.score));
            let least = found.hits[0].score;
            let mut strict = request.clone();
            strict.min_score = Some(least);
            let best = knowledge.search(&strict).await.unwrap().hits;
            assert!(best.iter().all(|hit| hit.score >= least) && !best.is_empty());
        }
    }
}

/// The child process says how far it is and waits for the one that looks.
#[cfg(unix)]
#[tokio::test]
async fn progress_moves_while_a_document_is_read() {
    use std::os::unix::fs::PermissionsExt;

    let folder = std::env::temp_dir().join(format!("aimate-reading-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (worker, seen) = (folder.join("worker"), folder.join("seen"));
    let script = format!(
        "#!/bin/sh\necho '{{\"progress\":0.5}}'\nwhile [ ! -e {} ]; do sleep 0.05; done\n\
         echo '{{\"failed\":{{\"kind\":\"no_text\",\"message\":\"blank\"}}}}'\n",
        seen.display()
    );
    std::fs::write(&worker, script).unwrap();
    std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o700)).unwrap();
    let extractor =
        aimate::text::extract::Extractor::with_worker(worker, aimate::text::extract::Limits::default());
    let bench = Bench::with([], |builder| builder.extractor(extractor)).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let collection = knowledge.collection_or_new("documents").await.unwrap();
    let bytes = aimate::stream::iter([Ok(b"%PDF-1.4".as_slice().into())]);
    let bytes = aimate::StreamExt::boxed(bytes);
    let added = knowledge.add(collection.id, NewDocument::new("a.pdf"), bytes).await.unwrap();
    assert_eq!(added.progress, 0.0);
    let moved = async {
        loop {
            let document = knowledge.document(added.id).await.unwrap();
            if document.progress > 0.0 {
                return (document.status, document.progress);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Half of it is read, and reading is half of the work.
    let moved = tokio::time::timeout(PATIENCE, moved).await.unwrap();
    assert_eq!(moved, (DocumentStatus::Processing, 0.25));
    std::fs::write(&seen, "").unwrap();
    assert_eq!(knowledge.wait(added.id).await.unwrap_err().kind(), ErrorKind::Invalid);
    std::fs::remove_dir_all(folder).unwrap();
}
