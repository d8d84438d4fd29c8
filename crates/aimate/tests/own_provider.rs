//! A provider that an application brings along: registered and connected in one
//! line, and no danger to anybody else's answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aimate::chat::AnswerLimits;
use aimate::connection::NewConnection;
use aimate::engine::{Completion, EmbeddingRequest};
use aimate::message::MessageStatus;
use aimate::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, FinishReason, ListedModel, ProviderEvent, ProviderStream,
};
use aimate::testing::{ScriptedProvider, answer};
use aimate::usage::UsageFilter;
use aimate::{Engine, Error, ErrorKind, Result, StreamExt, Turn, async_trait, stream};
use common::{Bench, events, said, text};

/// What a provider of one method does when it is asked.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    PanicAtOnce,
    PanicLater,
    SayNothing,
    BreakOff,
    NeverBegin,
    NeverEnd,
    GoOnAfterTheEnd,
}

struct Acme(Does);

#[async_trait]
impl ChatProvider for Acme {
    async fn chat(&self, _: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let say = |text: &str| Ok(ProviderEvent::Text(text.to_owned()));
        let finish = Ok(ProviderEvent::Finish(FinishReason::Stop));
        Ok(match self.0 {
            Does::Answer => stream::iter([say(&request.model), finish]).boxed(),
            Does::PanicAtOnce => panic!("acme is not at home"),
            Does::PanicLater => {
                stream::iter([1, 0]).map(move |n| Ok(ProviderEvent::Text((1 / n).to_string()))).boxed()
            }
            Does::SayNothing => stream::empty().boxed(),
            Does::BreakOff => stream::iter([say("one")]).boxed(),
            Does::NeverBegin => stream::pending().boxed(),
            Does::NeverEnd => stream::repeat_with(|| Ok(ProviderEvent::Text("word ".to_owned()))).boxed(),
            Does::GoOnAfterTheEnd => {
                let empty = stream::repeat_with(|| Ok(ProviderEvent::Text(String::new())));
                stream::iter([say("one"), finish]).chain(empty).boxed()
            }
        })
    }
}

async fn bench(does: Does) -> Bench {
    let limits = AnswerLimits::default().text(64 * 1024).time(Duration::from_millis(300));
    Bench::with([answer("of the lab")], |builder| {
        builder.provider_named("acme-llm", Arc::new(Acme(does))).answer_limits(limits)
    })
    .await
}

#[tokio::test]
async fn one_line_registers_and_connects_it() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let builder = Engine::builder().store(store).provider_named("acme-llm", Arc::new(Acme(Does::Answer)));
    let engine = builder.build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    for (named, asked) in [(Some("acme-llm/x"), "x"), (None, "default"), (Some("default"), "default")] {
        let mut turn = Turn::new("q");
        turn.model = named.map(Into::into);
        let message = engine.chat(&me, turn).await.unwrap().message().await.unwrap();
        assert_eq!(text(&message), asked);
        assert_eq!(message.model.unwrap(), format!("acme-llm/{asked}"));
    }
    let listed = engine.models(&me).list().await.unwrap();
    assert_eq!(listed.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["acme-llm/default"]);
    let request = EmbeddingRequest::new(["a"]).model("acme-llm/x");
    assert_eq!(engine.embed(&me, request).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn connection_that_is_added_later_has_its_own_settings() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let connection = NewConnection::new("acme-llm", "acme-llm").url("http://127.0.0.1:9/v1");
    let builder = Engine::builder().store(store).provider_named("acme-llm", Arc::new(Acme(Does::Answer)));
    let engine = builder.connection(connection).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let all = engine.connections(&me).list(aimate::PageRequest::default()).await.unwrap().data;
    assert_eq!(all.len(), 1);
    assert_eq!(all.first().unwrap().url.as_deref(), Some("http://127.0.0.1:9/v1"));
}

#[tokio::test]
async fn name_that_is_none_is_refused() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let builder = Engine::builder().store(store).provider_named("Acme LLM", Arc::new(Acme(Does::Answer)));
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("`Acme LLM` is no name of a provider"), "{error}");
}

/// What a run of `does` ends with, while an answer of another provider is written.
async fn ends_with(does: Does) -> (Error, String, MessageStatus) {
    let bench = bench(does).await;
    let other = bench.engine.chat(&bench.me, Turn::new("q").model("lab/test")).await.unwrap();
    let asked = bench.engine.chat(&bench.me, Turn::new("q").model("acme-llm/x")).await.unwrap();
    let (conversation, patience) = (asked.conversation_id(), Duration::from_secs(20));
    let error = tokio::time::timeout(patience, asked.message()).await.unwrap().unwrap_err();
    assert_eq!(said(&events(other).await), "of the lab");
    let stored = bench.branch(conversation).await.pop().unwrap();
    bench.idle().await;
    (error, text(&stored), stored.status)
}

#[tokio::test]
async fn panic_before_the_answer_fails_the_run() {
    let (error, text, status) = ends_with(Does::PanicAtOnce).await;
    assert_eq!((error.kind(), text.as_str(), status), (ErrorKind::Internal, "", MessageStatus::Failed));
    assert_eq!(error.message(), "connection `acme-llm`: its provider broke down: it panicked");
}

#[tokio::test]
async fn panic_within_the_answer_keeps_what_came() {
    let (error, text, status) = ends_with(Does::PanicLater).await;
    assert_eq!((error.kind(), text.as_str(), status), (ErrorKind::Internal, "1", MessageStatus::Failed));
    assert!(error.message().contains("panicked"), "{error}");
}

#[tokio::test]
async fn stream_that_ends_too_early_says_so() {
    let (error, text, status) = ends_with(Does::SayNothing).await;
    assert_eq!((error.kind(), text.as_str(), status), (ErrorKind::Upstream, "", MessageStatus::Failed));
    assert!(error.message().contains("broke off"), "{error}");
    let (error, text, status) = ends_with(Does::BreakOff).await;
    assert_eq!((text.as_str(), status), ("one", MessageStatus::Interrupted), "{error}");
}

#[tokio::test]
async fn stream_that_never_begins_ends_in_time() {
    let (error, text, status) = ends_with(Does::NeverBegin).await;
    assert_eq!((error.kind(), text.as_str(), status), (ErrorKind::Timeout, "", MessageStatus::Failed));
}

#[tokio::test]
async fn stream_that_never_ends_is_cut() {
    let bench = bench(Does::NeverEnd).await;
    let asked = bench.engine.chat(&bench.me, Turn::new("q").model("acme-llm/x")).await.unwrap();
    let finished = asked.finished().await.unwrap();
    assert_eq!(finished.finish_reason, FinishReason::Length);
    assert!(text(&finished.message).len() <= 64 * 1024);
}

#[tokio::test]
async fn answer_that_is_whole_stays_whole_whatever_follows() {
    let bench = bench(Does::GoOnAfterTheEnd).await;
    let asked = bench.engine.chat(&bench.me, Turn::new("q").model("acme-llm/x")).await.unwrap();
    let finished = asked.finished().await.unwrap();
    assert_eq!((finished.finish_reason, text(&finished.message).as_str()), (FinishReason::Stop, "one"));
}

#[tokio::test]
async fn plain_call_of_a_broken_provider_is_an_error_and_counted() {
    let call = || Completion::default().model("acme-llm/x");
    let at_once = bench(Does::PanicAtOnce).await;
    let error = at_once.engine.complete(&at_once.me, call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    let sums = at_once.engine.usage(&at_once.me, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums.iter().map(|sum| (sum.key.as_str(), sum.calls)).collect::<Vec<_>>(), [("acme-llm/x", 1)]);
    let later = bench(Does::PanicLater).await;
    let items: Vec<_> = later.engine.complete(&later.me, call()).await.unwrap().collect().await;
    assert_eq!(items.len(), 2);
    assert!(items.last().unwrap().is_err());
}

#[tokio::test]
async fn panic_of_lists_and_vectors_is_an_error() {
    struct Broken;
    #[async_trait]
    impl ChatProvider for Broken {
        async fn chat(&self, _: &Endpoint, _: &ChatRequest) -> Result<ProviderStream> {
            Err(Error::unsupported("it only breaks"))
        }
        async fn models(&self, _: &Endpoint) -> Result<Vec<ListedModel>> {
            panic!("no list")
        }
        async fn embed(&self, _: &Endpoint, _: &str, _: &[String], _: Option<u32>) -> Result<Embeddings> {
            panic!("no vectors")
        }
    }
    let bench = Bench::with([], |builder| builder.provider_named("broken", Arc::new(Broken))).await;
    let connections = bench.engine.connections(&bench.me);
    let all = connections.list(aimate::PageRequest::default()).await.unwrap().data;
    let broken = all.iter().find(|connection| connection.name == "broken").unwrap();
    let test = connections.test(broken.id).await.unwrap();
    assert!(!test.ok && test.error.unwrap().contains("panicked"));
    let request = EmbeddingRequest::new(["a"]).model("broken/x");
    assert_eq!(bench.engine.embed(&bench.me, request).await.unwrap_err().kind(), ErrorKind::Internal);
}

/// A server that is down.
struct Down;

#[async_trait]
impl ChatProvider for Down {
    async fn chat(&self, _: &Endpoint, _: &ChatRequest) -> Result<ProviderStream> {
        Err(Error::unavailable("nobody is at home"))
    }
    async fn models(&self, _: &Endpoint) -> Result<Vec<ListedModel>> {
        Err(Error::unavailable("nobody is at home"))
    }
}

#[tokio::test]
async fn without_a_model_the_error_says_what_is_missing() {
    let ask = async |builder: aimate::EngineBuilder| {
        let store = aimate::store::connect("sqlite::memory:").await.unwrap();
        let engine = builder.providers(aimate::providers::all()).store(store).build().await.unwrap();
        let me = engine.local_scope().await.unwrap();
        let error = engine.chat(&me, Turn::new("q")).await.unwrap_err();
        let all = aimate::conversation::ConversationFilter::default();
        let stored = engine.conversations(&me).list(&all, aimate::PageRequest::default()).await.unwrap();
        assert_eq!(stored.data, []);
        assert_eq!(engine.models(&me).list().await.unwrap(), []);
        error
    };
    let none = ask(Engine::builder()).await;
    assert_eq!(none.kind(), ErrorKind::NotFound);
    assert_eq!(none.message(), "no model server is connected; add a connection to a model server");
    let down = ask(Engine::builder().provider_named("acme-llm", Arc::new(Down))).await;
    assert_eq!(down.kind(), ErrorKind::Unavailable);
    assert_eq!(
        down.message(),
        "no model server answers: `acme-llm` cannot be reached or lists no models; start it, or add a connection to \
         a model server"
    );
}

#[tokio::test]
async fn builtin_of_an_earlier_process_answers_nobody_any_more() {
    let folder = std::env::temp_dir().join(format!("aimate-builtin-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("db").display());
    let build = async |builder: aimate::EngineBuilder| {
        let store = aimate::store::connect(&url).await.unwrap();
        builder.providers(aimate::providers::all()).store(store).build().await.unwrap()
    };
    let asked_for = build(Engine::builder().connection(aimate::providers::builtin())).await;
    let me = asked_for.local_scope().await.unwrap();
    let message = asked_for.chat(&me, Turn::new("q")).await.unwrap().message().await.unwrap();
    assert_eq!(message.model.as_deref(), Some("builtin/builtin"));
    asked_for.drain(Duration::from_secs(5)).await;

    let without = build(Engine::builder()).await;
    assert_eq!(without.models(&me).list().await.unwrap(), []);
    let go_on = || Turn::new("and?").conversation(message.conversation_id);
    assert_eq!(without.chat(&me, go_on()).await.unwrap_err().kind(), ErrorKind::NotFound);
    without.drain(Duration::from_secs(5)).await;

    // With a model, the conversation that began without one goes on.
    let scripted = ScriptedProvider::new([answer("at last")]);
    let with = build(Engine::builder().provider_named("acme-llm", scripted)).await;
    let message = with.chat(&me, go_on()).await.unwrap().message().await.unwrap();
    assert_eq!(text(&message), "at last");
    with.drain(Duration::from_secs(5)).await;
    std::fs::remove_dir_all(folder).unwrap();
}
