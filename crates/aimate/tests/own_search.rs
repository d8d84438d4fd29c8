//! Passages of the application's own: given with a turn, or found by a search of its
//! own, and cited as those of the knowledge are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aimate::engine::Completion;
use aimate::knowledge::{
    DocumentStatus, EmbedPurpose, Embedder, EmbeddingModel, NewCollection, NewDocument, Retriever,
    SearchMode, SearchRequest, SourcePassage,
};
use aimate::message::{Citation, Message, MessageRole, Part, ToolResult, text_of};
use aimate::provider::{ChatMessage, ChatRequest};
use aimate::testing::{Step, answer};
use aimate::{ChatEvent, Engine, Error, ErrorKind, Result, Scope, Turn, WarningCode, async_trait};
use common::{Bench, events};

const QUESTION: &str = "When was the pump of the cellar replaced by the plumber?";

fn ticket(n: u32, text: &str) -> SourcePassage {
    let url = format!("https://helpdesk.example.org/tickets/{n}");
    SourcePassage::new(format!("ticket:{n}"), text).title(format!("Ticket {n}")).url(url)
}

/// Gives what it was made with.
struct Gives(Vec<SourcePassage>);

#[async_trait]
impl Retriever for Gives {
    async fn retrieve(&self, _: &Scope, _: &str, _: u32) -> Result<Vec<SourcePassage>> {
        Ok(self.0.clone())
    }
}

/// Gives the passage of a scope's user and says what it was asked.
struct Asked;

#[async_trait]
impl Retriever for Asked {
    async fn retrieve(&self, scope: &Scope, question: &str, limit: u32) -> Result<Vec<SourcePassage>> {
        Ok(vec![ticket(7, &format!("{question} {limit} {}", scope.user))])
    }
}

enum Fails {
    WithAnError,
    WithAPanic,
    Never,
}

#[async_trait]
impl Retriever for Fails {
    async fn retrieve(&self, _: &Scope, _: &str, _: u32) -> Result<Vec<SourcePassage>> {
        match self {
            Self::WithAnError => Err(Error::unavailable("the helpdesk is being moved")),
            Self::WithAPanic => panic!("a bug"),
            Self::Never => std::future::pending().await,
        }
    }
}

async fn bench(scripts: impl IntoIterator<Item = Vec<Step>>, gives: Vec<SourcePassage>) -> Bench {
    Bench::with(scripts, |builder| {
        builder
            .retriever("tickets", Arc::new(Gives(gives)))
            .retriever("asked", Arc::new(Asked))
            .retriever("error", Arc::new(Fails::WithAnError))
            .retriever("panic", Arc::new(Fails::WithAPanic))
            .retriever("never", Arc::new(Fails::Never))
            .retriever_timeout(Duration::from_millis(50))
    })
    .await
}

/// What came of a turn: the answer, the passages that were shown, the warnings.
async fn asked(bench: &Bench, turn: Turn) -> (Message, Vec<Citation>, Vec<String>) {
    let (mut shown, mut warnings, mut message) = (Vec::new(), Vec::new(), None);
    for event in events(bench.engine.chat(&bench.me, turn).await.unwrap()).await {
        match event {
            ChatEvent::Retrieved { citations } => shown = citations,
            ChatEvent::Warning { code: WarningCode::Retrieval, detail } => warnings.push(detail),
            ChatEvent::Finished(finished) => message = Some(finished.message),
            ChatEvent::Error { detail, .. } => panic!("{detail}"),
            _ => {}
        }
    }
    (message.unwrap(), shown, warnings)
}

fn cited(message: &Message) -> Vec<&Citation> {
    let parts = message.content.iter();
    parts.filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None }).collect()
}

fn sources(shown: &[Citation]) -> Vec<&str> {
    shown.iter().map(|one| one.source.as_deref().unwrap_or("a document")).collect()
}

/// The last message of the last prompt.
fn prompt(bench: &Bench) -> String {
    text_of(&bench.provider.requests().last().unwrap().messages.last().unwrap().content)
}

#[tokio::test]
async fn passages_of_a_turn_are_cited() {
    let bench = bench([answer("It was “replaced in March” [1].")], vec![]).await;
    let passages = [ticket(42, "The pump was replaced in March."), ticket(43, "Nobody was at home.").page(2)];
    let (message, shown, warnings) = asked(&bench, Turn::new(QUESTION).passages(passages)).await;
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(sources(&shown), ["ticket:42", "ticket:43"]);
    assert!(
        prompt(&bench).contains("[1] Ticket 42\nThe pump was replaced in March.\n\n[2] Ticket 43, page 2\n")
    );
    let [one] = cited(&message).try_into().unwrap();
    assert_eq!(
        (one.n, one.source.as_deref(), one.document_id, one.chunk_id),
        (1, Some("ticket:42"), None, None)
    );
    assert_eq!(one.url.as_deref(), Some("https://helpdesk.example.org/tickets/42"));
    assert!(one.quotes.first().unwrap().found);
    // As it is stored, and as it is read: what is no document is never stale.
    let branch = bench.branch(message.conversation_id).await;
    assert_eq!(cited(branch.last().unwrap()), [one]);
    assert!(cited(branch.first().unwrap()).iter().all(|one| !one.is_stale));
    // Later prompts repeat the same bytes.
    let before = prompt(&bench);
    asked(&bench, Turn::new("Thank you.").conversation(message.conversation_id)).await;
    assert_eq!(text_of(&bench.provider.requests().last().unwrap().messages[0].content), before);
}

#[tokio::test]
async fn search_is_asked_only_by_turns_that_name_it() {
    let bench = bench([], vec![]).await;
    let (_, shown, _) = asked(&bench, Turn::new(QUESTION)).await;
    assert_eq!(shown, []);
    let (_, shown, _) = asked(&bench, Turn::new(QUESTION).retrievers(["asked"])).await;
    assert_eq!(shown.first().unwrap().text, format!("{QUESTION} 8 {}", bench.me.user));
    let error = bench.engine.chat(&bench.me, Turn::new(QUESTION).retrievers(["ask"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.message(),
        "there is no retriever `ask`; registered: `asked`, `error`, `never`, `panic`, `tickets`"
    );
}

#[tokio::test]
async fn sources_take_turns_and_what_was_given_comes_first() {
    let tickets = (1..=9).map(|n| ticket(n, &format!("Of the pump, {n}."))).collect();
    let bench = bench([], tickets).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    knowledge
        .add_text("Pumps", "The pump of the cellar was replaced by the plumber in March.")
        .await
        .unwrap();
    let turn = Turn::new(QUESTION).knowledge(["documents"]).retrievers(["tickets", "tickets"]);
    let (message, shown, warnings) = asked(&bench, turn.passages([ticket(99, "The newest one.")])).await;
    let expected = ["ticket:99", "a document", "ticket:1", "ticket:2", "ticket:3", "ticket:4", "ticket:5"];
    assert_eq!(sources(&shown)[..7], expected);
    assert_eq!(shown.len(), 9);
    assert_eq!(shown.iter().map(|one| one.n).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let branch = bench.branch(message.conversation_id).await;
    assert_eq!(cited(branch.first().unwrap()).len(), 9);
}

#[tokio::test]
async fn search_that_fails_costs_its_passages_and_not_the_turn() {
    for (name, why) in [
        ("error", "the helpdesk is being moved"),
        ("panic", "it panicked"),
        ("never", "it took longer than 0.05 s"),
    ] {
        let bench = bench([answer("Well.")], vec![ticket(1, "Of the pump.")]).await;
        let (message, shown, warnings) =
            asked(&bench, Turn::new(QUESTION).retrievers([name, "tickets"])).await;
        assert_eq!(text_of(&message.content), "Well.");
        assert_eq!(sources(&shown), ["ticket:1"]);
        assert_eq!(warnings, [format!("the retriever `{name}` gave no passages: {why}")]);
    }
}

#[tokio::test]
async fn ten_thousand_passages_are_bounded() {
    let many: Vec<_> = (0..10_000).map(|n| ticket(n, "Of the pump.")).collect();
    let bench = bench([], many.clone()).await;
    let (_, shown, warnings) = asked(&bench, Turn::new(QUESTION).retrievers(["tickets"])).await;
    assert_eq!(shown.len(), 8);
    assert_eq!(warnings, ["the retriever `tickets` gave 10000 passages; the first 50 were looked at"]);
    let (_, shown, warnings) = asked(&bench, Turn::new(QUESTION).passages(many)).await;
    assert!((8..=50).contains(&shown.len()), "{}", shown.len());
    assert!(warnings.first().unwrap().starts_with("the turn gave 10000 passages"), "{warnings:?}");
}

#[tokio::test]
async fn huge_passages_do_not_overflow_the_prompt() {
    // The model of the bench reads 4,096 tokens.
    let huge = ticket(1, &"pump ".repeat(1_000_000));
    let small = ticket(2, "The pump was replaced in March.");
    let bench = bench([], vec![huge.clone(), small.clone()]).await;
    let (_, shown, warnings) = asked(&bench, Turn::new(QUESTION).passages([huge, small])).await;
    assert_eq!(sources(&shown), ["ticket:2"]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (_, shown, _) = asked(&bench, Turn::new(QUESTION).retrievers(["tickets"])).await;
    assert_eq!(shown, []);
}

#[tokio::test]
async fn odd_passages_are_mended() {
    let odd = vec![
        ticket(1, "Of the pump.").score(f64::NAN),
        ticket(2, "Of the pump.").score(f64::INFINITY),
        ticket(3, " \n"),
        SourcePassage::new("ticket:4\n", "Of the\0 pump.").url("javascript:alert(1)"),
    ];
    let bench = bench([answer("Yes [1] [3].")], odd).await;
    let (message, shown, warnings) = asked(&bench, Turn::new(QUESTION).retrievers(["tickets"])).await;
    assert_eq!(sources(&shown), ["ticket:1", "ticket:2", "ticket:4\n"]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let last = shown.last().unwrap();
    assert_eq!(
        (last.title.as_str(), last.url.as_deref(), last.text.as_str()),
        ("ticket:4", None, "Of the pump.")
    );
    // A score that is no number could be written and not be read again.
    let stored = bench.branch(message.conversation_id).await;
    assert!(cited(stored.first().unwrap()).iter().all(|one| one.score == 0.0));
}

#[tokio::test]
async fn chunk_of_somebody_else_is_left_out() {
    let bench = bench([], vec![]).await;
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let theirs = Engine::builder().store(store).build().await.unwrap();
    let me = theirs.local_scope().await.unwrap();
    let hits = async |engine: &Engine, scope: &Scope| {
        let knowledge = engine.knowledge(scope);
        knowledge.add_text("Pumps", "The pump was replaced in March.").await.unwrap();
        knowledge.search(&SearchRequest::new("pump replaced")).await.unwrap().hits
    };
    let foreign = hits(&theirs, &me).await.into_iter().map(SourcePassage::from);
    let own = hits(&bench.engine, &bench.me).await.into_iter().map(SourcePassage::from);
    let passages: Vec<_> = foreign.chain(own).collect();
    assert_eq!(passages.len(), 2);
    let (_, shown, warnings) = asked(&bench, Turn::new(QUESTION).passages(passages)).await;
    assert_eq!(shown.len(), 1);
    assert!(shown.first().unwrap().document_id.is_some() && shown.first().unwrap().source.is_none());
    assert_eq!(
        warnings,
        ["the turn: 1 of the passages are left out: they are of documents that are not there"]
    );
}

#[tokio::test]
async fn regeneration_keeps_the_passages_that_its_question_has() {
    let bench = bench([], vec![]).await;
    let turn = Turn::new(QUESTION).passages([ticket(42, "The pump was replaced in March.")]);
    let (message, ..) = asked(&bench, turn).await;
    let again = Turn::of(aimate::TurnInput::Regenerate(message.id)).conversation(message.conversation_id);
    let refused = again.clone().passages([ticket(1, "x")]);
    let error = bench.engine.chat(&bench.me, refused).await.unwrap_err();
    assert_eq!(error.fields().first().unwrap().path, "passages");
    let (_, shown, _) = asked(&bench, again).await;
    assert_eq!(sources(&shown), ["ticket:42"]);
}

#[tokio::test]
async fn passages_need_a_question() {
    let bench = bench([], vec![]).await;
    let result = Part::ToolResult(ToolResult::new("1", "x"));
    let input = aimate::InputMessage::from_content(vec![result]).unwrap();
    let call = aimate::message::ToolCall::new("1", "f", aimate::serde_json::json!({}));
    let call = aimate::InputMessage::new(MessageRole::Assistant, vec![Part::ToolCall(call)]);
    let turn = Turn::messages(vec![call, input]).passages([ticket(42, "The pump was replaced in March.")]);
    let (_, shown, warnings) = asked(&bench, turn).await;
    assert_eq!(shown, []);
    assert_eq!(warnings, ["the turn's passages were left out: it ends with no question"]);
}

#[tokio::test]
async fn plain_call_is_shown_passages_too() {
    let bench = bench([], vec![]).await;
    let question = ChatMessage::new(MessageRole::User, vec![Part::text(QUESTION)]);
    let request = ChatRequest { messages: vec![question], ..ChatRequest::default() };
    let call = Completion::new(request).retrievers(["asked", "error"]).passages([ticket(42, "In March.")]);
    let stream = bench.engine.complete(&bench.me, call).await.unwrap();
    assert_eq!(sources(stream.passages()), ["ticket:42", "ticket:7"]);
    assert_eq!(stream.warnings(), ["the retriever `error` gave no passages: the helpdesk is being moved"]);
    assert!(prompt(&bench).contains("[1] Ticket 42\nIn March."));
}

#[tokio::test]
async fn retriever_without_a_name_is_refused() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let builder = Engine::builder().store(store).retriever(" ", Arc::new(Asked));
    assert_eq!(builder.build().await.unwrap_err().kind(), ErrorKind::Invalid);
}

/// An embedder with a bug.
struct BrokenEmbedder(EmbeddingModel);

#[async_trait]
impl Embedder for BrokenEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    async fn embed(&self, _: &[String], _: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        panic!("a bug")
    }
}

#[tokio::test]
async fn embedder_that_panics_keeps_no_other_document_waiting() {
    let model = EmbeddingModel { name: "local/broken".to_owned(), dimensions: 8, version: "1".to_owned() };
    let bench = Bench::with([], |builder| builder.embedder(Arc::new(BrokenEmbedder(model)))).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    let broken = knowledge.create_collection(NewCollection::new("broken")).await.unwrap();
    let sound = knowledge.create_collection(NewCollection::new("sound").embedder("none")).await.unwrap();
    let add = async |collection, name: &str| {
        let text = "The boiler is serviced in May.".to_owned();
        knowledge.add_text_to(collection, NewDocument::new(name), text).await.unwrap()
    };
    add(broken.id, "a.md").await;
    for n in 0..3 {
        let document = add(sound.id, &format!("{n}.md")).await;
        let waited = tokio::time::timeout(Duration::from_secs(20), knowledge.wait(document.id)).await;
        assert_eq!(waited.unwrap().unwrap().status, DocumentStatus::Ready);
    }
    let request = SearchRequest::new("boiler").collections(["broken"]).mode(SearchMode::Vector);
    let error = knowledge.search(&request).await.unwrap_err();
    assert!(error.message().contains("it panicked"), "{error}");
    // The other way still answers.
    let request = SearchRequest::new("boiler").collections(["sound"]);
    assert_eq!(knowledge.search(&request).await.unwrap().hits.len(), 3);
}
