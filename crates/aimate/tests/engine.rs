//! Turns through the engine: what is stored, what is told, what is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use aimate::connection::{ConnectionStatus, NewConnection};
use aimate::message::{MessageRole, MessageStatus, Part, ToolCall, ToolResult};
use aimate::provider::{
    ChatProvider, ChatRequest, Endpoint, FinishReason, ListedModel, ProviderEvent, ProviderProfile,
    ProviderStream,
};
use aimate::run::RunStatus;
use aimate::testing::{ScriptedProvider, Step, answer};
use aimate::usage::UsageFilter;
use aimate::{
    ChatEvent, Error, ErrorKind, ErrorReason, InputMessage, OnDisconnect, PageRequest, Turn, TurnInput,
};
use common::{bench, events, part, said, say, text, texts};
use futures_util::StreamExt as _;

#[tokio::test]
async fn turn_is_told_in_order_and_stored() {
    let bench = bench([answer("The boiler is serviced in May.")]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("When?")).await.unwrap();
    let (conversation, run) = (listener.conversation_id(), listener.run_id());
    let events = events(listener).await;
    assert_eq!(events.first().unwrap().name(), "started");
    assert_eq!(said(&events), "The boiler is serviced in May.");
    let ChatEvent::Finished(finished) = events.last().unwrap() else { panic!("{events:?}") };
    assert_eq!(finished.finish_reason, FinishReason::Stop);
    assert_eq!((finished.usage.input_tokens, finished.usage.output_tokens), (7, 3));

    let branch = bench.branch(conversation).await;
    assert_eq!(texts(&branch), ["When?", "The boiler is serviced in May."]);
    assert_eq!(branch[1], finished.message);
    assert_eq!(branch[1].status, MessageStatus::Complete);
    assert_eq!(branch[1].model.as_deref(), Some("lab/test"));
    let run = bench.engine.runs(&bench.me).get(run).await.unwrap();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.context["tokenizer"], "estimate");
    assert_eq!(run.context["included"][0]["kind"], "message");
    let stored = bench.engine.conversations(&bench.me).get(conversation).await.unwrap();
    assert_eq!((stored.title.as_str(), stored.message_count), ("When?", 2));
    assert_eq!(stored.active_leaf_id, Some(branch[1].id));
}

#[tokio::test]
async fn next_turn_sends_the_history_and_extends_the_prompt() {
    let bench = bench([answer("one"), answer("two")]).await;
    let first = bench.engine.chat(&bench.me, Turn::new("first")).await.unwrap();
    let id = first.conversation_id();
    events(first).await;
    events(bench.engine.chat(&bench.me, Turn::new("second").conversation(id)).await.unwrap()).await;
    let requests = bench.provider.requests();
    let roles: Vec<_> = requests[1].messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [MessageRole::User, MessageRole::Assistant, MessageRole::User]);
    assert!(requests[1].messages.starts_with(&requests[0].messages));
}

#[tokio::test]
async fn answer_is_stored_though_nobody_listens() {
    let bench = bench([vec![
        say("a"),
        Step::Wait(Duration::from_millis(30)),
        say("b"),
        Step::Say(ProviderEvent::Finish(FinishReason::Stop)),
    ]])
    .await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let id = listener.conversation_id();
    drop(listener);
    bench.idle().await;
    assert_eq!(texts(&bench.branch(id).await), ["q", "ab"]);
}

#[tokio::test]
async fn last_listener_to_leave_cancels_where_asked() {
    let bench = bench([vec![say("part"), Step::Hang]]).await;
    let turn = Turn::new("q").on_disconnect(OnDisconnect::Cancel);
    let mut listener = bench.engine.chat(&bench.me, turn).await.unwrap();
    let id = listener.conversation_id();
    while !matches!(listener.next().await, Some(ChatEvent::Text { .. })) {}
    drop(listener);
    bench.idle().await;
    let branch = bench.branch(id).await;
    assert_eq!((text(&branch[1]).as_str(), branch[1].status), ("part", MessageStatus::Cancelled));
}

#[tokio::test]
async fn long_pieces_are_kept_whole() {
    let pieces = ["é".repeat(500_000), "b".repeat(1_000_000), "c".repeat(1_000_000)];
    let mut script: Vec<_> = pieces.iter().map(|piece| say(piece)).collect();
    script.push(Step::Say(ProviderEvent::Finish(FinishReason::Stop)));
    let bench = bench([script]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let conversation = listener.conversation_id();
    let events = events(listener).await;
    assert!(said(&events) == pieces.concat(), "what is told differs");
    assert!(text(&bench.branch(conversation).await[1]) == pieces.concat(), "what is stored differs");
}

#[tokio::test]
async fn answer_is_cut_at_its_limit_and_says_so() {
    let endless = || {
        let mut script: Vec<_> = (0..10_000).map(|_| say("0123456789")).collect();
        script.push(Step::Hang);
        script
    };
    let limits = aimate::AnswerLimits::default().text(1_005);
    let bench = common::Bench::with([endless(), endless()], |builder| builder.answer_limits(limits)).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let (conversation, run) = (listener.conversation_id(), listener.run_id());
    let events = events(listener).await;
    let warning = events.iter().find_map(|event| match event {
        ChatEvent::Warning { code, detail } => Some((code.clone(), detail.clone())),
        _ => None,
    });
    let (code, detail) = warning.unwrap();
    assert_eq!(code, aimate::WarningCode::AnswerCut);
    assert_eq!(detail, "the answer was cut at the limit of 1005 bytes of text");
    let ChatEvent::Finished(finished) = events.last().unwrap() else { panic!("{events:?}") };
    assert_eq!(finished.finish_reason, FinishReason::Length);
    let stored = &bench.branch(conversation).await[1];
    assert_eq!((text(stored).len(), stored.status), (1_005, MessageStatus::Complete));
    assert_eq!(
        bench.engine.runs(&bench.me).get(run).await.unwrap().finish_reason,
        Some(FinishReason::Length)
    );
    // The server is not listened to any more, and a plain call has the same limits.
    bench.idle().await;
    assert_eq!(bench.provider.open(), 0);
    let mut plain = bench.engine.complete(&bench.me, Default::default()).await.unwrap();
    let mut length = 0;
    while let Some(event) = plain.next().await {
        if let ProviderEvent::Text(text) = event.unwrap() {
            length += text.len();
        }
    }
    assert_eq!(length, 1_005);
}

#[tokio::test]
async fn conversation_that_is_deleted_ends_its_answer_and_keeps_the_usage() {
    let bench = bench([vec![say("a"), Step::Hang]]).await;
    let mut listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let conversation = listener.conversation_id();
    while listener.next().await.unwrap().name() != "text" {}
    bench.engine.conversations(&bench.me).delete(conversation).await.unwrap();
    let Some(ChatEvent::Error { code, detail, .. }) = listener.next().await else { panic!() };
    assert_eq!(
        (code, detail.as_str()),
        (ErrorKind::NotFound, "the conversation was deleted while the answer was written")
    );
    bench.idle().await;
    assert_eq!(bench.provider.open(), 0);
    let sums = bench.engine.usage(&bench.me, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums.iter().map(|sum| sum.calls).sum::<u64>(), 1);
}

#[tokio::test]
async fn usage_that_cannot_be_true_is_counted_instead() {
    let absurd = || {
        vec![
            say("four words are said"),
            Step::Say(ProviderEvent::Finish(FinishReason::Stop)),
            Step::Say(ProviderEvent::Usage(aimate::usage::TokenUsage {
                input_tokens: u64::MAX,
                output_tokens: 5,
                cached_tokens: u64::MAX,
                ..Default::default()
            })),
        ]
    };
    let bench = bench([absurd(), absurd()]).await;
    for _ in 0..2 {
        let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
        let finished = listener.finished().await.unwrap();
        assert!(finished.usage.input_tokens < 100 && finished.usage.estimated, "{:?}", finished.usage);
        assert_eq!((finished.usage.output_tokens, finished.usage.cached_tokens), (5, 0));
    }
    let sums = bench.engine.usage(&bench.me, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums[0].output_tokens, 10);
}

#[tokio::test]
async fn cancel_reaches_the_provider_and_keeps_what_came() {
    let bench = bench([vec![say("so far"), Step::Hang]]).await;
    let mut listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    while !matches!(listener.next().await, Some(ChatEvent::Text { .. })) {}
    bench.engine.runs(&bench.me).cancel(listener.run_id()).await.unwrap();
    let run = listener.run_id();
    let rest = events(listener).await;
    let ChatEvent::Finished(finished) = rest.last().unwrap() else { panic!("{rest:?}") };
    assert_eq!(finished.finish_reason.as_str(), "cancelled");
    assert_eq!(text(&finished.message), "so far");
    assert_eq!(bench.provider.open(), 0);
    let run = bench.engine.runs(&bench.me).cancel(run).await.unwrap();
    assert_eq!(run.status, RunStatus::Cancelled);
    assert!(run.usage.unwrap().estimated);
}

#[tokio::test]
async fn every_place_to_resume_from_gives_the_same_answer() {
    let words: String = (0..40).map(|n| format!("w{n} ")).collect();
    let bench = bench([answer(&words)]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let (run, mut whole) = (listener.run_id(), Vec::new());
    let mut listener = listener;
    while let Some(batch) = listener.next_batch().await {
        whole.extend(batch);
    }
    bench.idle().await;
    let numbers: Vec<_> = whole.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (1..=whole.len() as u64).collect::<Vec<_>>());
    for cut in 0..whole.len() {
        let mut again = bench.engine.runs(&bench.me).attach(run, cut as u64).await.unwrap();
        let mut rest = Vec::new();
        while let Some(batch) = again.next_batch().await {
            rest.extend(batch);
        }
        assert_eq!(rest, whole[cut..], "after {cut}");
    }
}

#[tokio::test]
async fn listener_who_comes_in_the_middle_hears_everything() {
    let bench = bench([vec![
        say("one "),
        Step::Wait(Duration::from_millis(400)),
        say("two"),
        Step::Say(ProviderEvent::Finish(FinishReason::Stop)),
    ]])
    .await;
    let mut first = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    while !matches!(first.next().await, Some(ChatEvent::Text { .. })) {}
    let second = bench.engine.runs(&bench.me).attach(first.run_id(), 0).await.unwrap();
    let second = events(second).await;
    assert_eq!(said(&second), "one two");
    assert_eq!(second.iter().filter(|event| event.is_final()).count(), 1);
}

#[tokio::test]
async fn failure_before_the_first_token_fails_the_run() {
    let refused = aimate::Error::rate_limited("too fast").with_retry_after(Duration::from_secs(7));
    let bench = bench([vec![Step::Fail(refused)]]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let id = listener.conversation_id();
    let told = events(listener).await;
    assert!(matches!(
        told.last(),
        Some(ChatEvent::Error { code: ErrorKind::RateLimited, retryable: true, .. })
    ));
    assert_eq!(bench.branch(id).await[1].status, MessageStatus::Failed);
    let sums = bench.engine.usage(&bench.me, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums[0].calls, 1, "a failed call is recorded too");
}

#[tokio::test]
async fn stream_that_breaks_off_is_interrupted_with_its_prefix() {
    for ending in [vec![], vec![Step::Fail(aimate::Error::upstream("cut"))]] {
        let mut script = vec![say("half an ans")];
        script.extend(ending);
        let bench = bench([script]).await;
        let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
        let (id, run) = (listener.conversation_id(), listener.run_id());
        assert!(matches!(events(listener).await.last(), Some(ChatEvent::Error { .. })));
        let branch = bench.branch(id).await;
        assert_eq!(
            (text(&branch[1]).as_str(), branch[1].status),
            ("half an ans", MessageStatus::Interrupted)
        );
        assert_eq!(bench.engine.runs(&bench.me).get(run).await.unwrap().status, RunStatus::Interrupted);
    }
}

#[tokio::test]
async fn tool_calls_come_whole_and_their_results_go_back() {
    let call = ToolCall::new("c1", "weather", serde_json::json!({"at": "Bonn"}));
    let script = vec![
        Step::Say(ProviderEvent::ToolCall(call.clone())),
        Step::Say(ProviderEvent::Finish(FinishReason::Stop)),
    ];
    let bench = bench([script, answer("Rain.")]).await;
    let weather = aimate::provider::ToolSpec::new("weather", serde_json::json!({"type": "object"}));
    let turn = Turn::new("Weather?").tools([weather]);
    let listener = bench.engine.chat(&bench.me, turn).await.unwrap();
    let id = listener.conversation_id();
    let told = events(listener).await;
    let ChatEvent::Finished(finished) = told.last().unwrap() else { panic!("{told:?}") };
    assert_eq!(finished.finish_reason, FinishReason::ToolCalls);
    let result = Part::ToolResult(ToolResult::new("c1", serde_json::json!("wet")));
    let back =
        Turn::messages(vec![InputMessage::new(MessageRole::Tool, vec![result.clone()])]).conversation(id);
    events(bench.engine.chat(&bench.me, back).await.unwrap()).await;
    let asked = &bench.provider.requests()[1].messages;
    assert_eq!(asked[1].content, [Part::ToolCall(call)]);
    assert_eq!(asked[2].content, [result]);
}

#[tokio::test]
async fn edit_and_regenerate_make_branches() {
    let bench = bench([answer("A1"), answer("A2"), answer("B1")]).await;
    let first = bench.engine.chat(&bench.me, Turn::new("a")).await.unwrap();
    let id = first.conversation_id();
    let answer_id = first.message_id();
    events(first).await;
    let question = bench.branch(id).await[0].id;
    let again = Turn::of(TurnInput::Regenerate(answer_id)).conversation(id);
    events(bench.engine.chat(&bench.me, again).await.unwrap()).await;
    assert_eq!(texts(&bench.branch(id).await), ["a", "A2"]);
    let edit = Turn::of(TurnInput::Edit(question, part("b"))).conversation(id);
    events(bench.engine.chat(&bench.me, edit).await.unwrap()).await;
    let conversations = bench.engine.conversations(&bench.me);
    let open = conversations.messages(id, None, PageRequest::default()).await.unwrap().data;
    assert_eq!(open.iter().map(|m| text(&m.message)).collect::<Vec<_>>(), ["b", "B1"]);
    assert_eq!(open[0].sibling_ids, [question, open[0].message.id]);
    let old = conversations.messages(id, Some(answer_id), PageRequest::default()).await.unwrap().data;
    assert_eq!(old.iter().map(|m| text(&m.message)).collect::<Vec<_>>(), ["a", "A1"]);
    assert_eq!(old[1].sibling_ids.len(), 2);

    let reworded = conversations.edit_answer(id, answer_id, part("A3")).await.unwrap();
    assert_eq!(reworded.parent_id, Some(question));
    assert_eq!(texts(&bench.branch(id).await), ["a", "A3"]);
    let fork = conversations.fork(id, answer_id).await.unwrap();
    assert_eq!(texts(&bench.branch(fork.id).await), ["a", "A1"]);
    assert_eq!(fork.message_count, 2);
}

#[tokio::test]
async fn same_client_id_is_answered_once() {
    let bench = bench([answer("only once")]).await;
    let turn = || Turn::new("q").client_id("form-1");
    let first = bench.engine.chat(&bench.me, turn()).await.unwrap();
    let run = first.run_id();
    let second = bench.engine.chat(&bench.me, turn()).await.unwrap();
    assert_eq!(second.run_id(), run);
    assert_eq!(said(&events(first).await), said(&events(second).await));
    assert_eq!(bench.provider.requests().len(), 1);
    let other = bench.engine.chat(&bench.me, Turn::new("other").client_id("form-1")).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_anything_is_stored() {
    let bench = bench([]).await;
    let nobody: aimate::ConversationId = uuid_of(77).into();
    let refused = [
        (Turn::new(" "), ErrorKind::Invalid),
        (Turn::new("x".repeat(10_000_000)), ErrorKind::TooLarge),
        (Turn::new("x".repeat(100_000)), ErrorKind::ContextOverflow),
        (Turn::new("q").model("lab/"), ErrorKind::NotFound),
        (Turn::new("q").model("none"), ErrorKind::NotFound),
        (Turn::new("q").model("nowhere/none"), ErrorKind::NotFound),
        (Turn::new("q").conversation(nobody), ErrorKind::NotFound),
        (Turn::new("q").parent(uuid_of(1).into()), ErrorKind::Invalid),
    ];
    for (turn, kind) in refused {
        let error = bench.engine.chat(&bench.me, turn).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let all = bench
        .engine
        .conversations(&bench.me)
        .list(&Default::default(), PageRequest::default())
        .await
        .unwrap();
    assert_eq!(all.data, []);
    assert_eq!(bench.provider.requests().len(), 0);
}

#[tokio::test]
async fn parent_of_another_conversation_is_not_found() {
    let bench = bench([]).await;
    let one = bench.engine.chat(&bench.me, Turn::new("one")).await.unwrap();
    let (_, foreign) = (one.conversation_id(), one.message_id());
    events(one).await;
    let two = bench.engine.chat(&bench.me, Turn::new("two")).await.unwrap();
    let id = two.conversation_id();
    events(two).await;
    let turn = Turn::new("q").conversation(id).parent(foreign);
    assert_eq!(bench.engine.chat(&bench.me, turn).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(bench.branch(id).await.len(), 2);
}

#[tokio::test]
async fn turn_under_an_unfinished_answer_is_a_conflict() {
    let bench = bench([vec![say("x"), Step::Hang]]).await;
    let first = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let turn = Turn::new("impatient").conversation(first.conversation_id());
    assert_eq!(bench.engine.chat(&bench.me, turn).await.unwrap_err().kind(), ErrorKind::Conflict);
    bench.engine.runs(&bench.me).cancel(first.run_id()).await.unwrap();
}

#[tokio::test]
async fn disabled_model_is_not_offered() {
    let bench = bench([]).await;
    let models = bench.engine.models(&bench.me);
    assert_eq!(models.list().await.unwrap().len(), 2);
    models.set_active("lab/test", false).await.unwrap();
    let error = bench.engine.chat(&bench.me, Turn::new("q").model("lab/test")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("disabled"), "{error}");
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    events(listener).await;
    models.set_active("lab/test", true).await.unwrap();
    events(bench.engine.chat(&bench.me, Turn::new("q").model("test")).await.unwrap()).await;
    let asked: Vec<_> = bench.provider.requests().iter().map(|request| request.model.clone()).collect();
    assert_eq!(asked, ["tiny", "test"]);
}

#[tokio::test]
async fn preferred_provider_answers_where_no_model_is_named() {
    let provider = aimate::testing::ScriptedProvider::new([]);
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let builder = common::builder(&provider).connection(aimate::providers::builtin());
    let engine = builder.prefer(aimate::providers::BUILTIN).store(store).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let answer = engine.chat(&me, Turn::new("q")).await.unwrap().message().await.unwrap();
    assert_eq!(answer.model.as_deref(), Some("builtin/builtin"));
}

#[tokio::test]
async fn failed_or_empty_model_list_keeps_the_last_good_one() {
    let bench = bench([]).await;
    let models = bench.engine.models(&bench.me);
    let id = models.list().await.unwrap()[0].connection_id;
    for bad in [Ok(vec![]), Err(aimate::Error::unavailable("away"))] {
        bench.provider.list_once(bad);
        assert!(models.refresh(id).await.is_err());
        let kept = models.list().await.unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept[0].stale_since.is_some());
    }
    models.refresh(id).await.unwrap();
    assert!(models.list().await.unwrap()[0].stale_since.is_none());
}

#[tokio::test]
async fn model_of_a_named_connection_need_not_be_listed() {
    let bench = bench([]).await;
    let models = bench.engine.models(&bench.me);
    models.list().await.unwrap();
    let turn = Turn::new("q").model("lab/openai/gpt-5:online");
    let answer = bench.engine.chat(&bench.me, turn).await.unwrap().message().await.unwrap();
    assert_eq!(answer.model.as_deref(), Some("lab/openai/gpt-5:online"));
    assert_eq!(bench.provider.requests()[0].model, "openai/gpt-5:online");
    let next = Turn::new("and?").conversation(answer.conversation_id);
    events(bench.engine.chat(&bench.me, next).await.unwrap()).await;
    assert_eq!(bench.provider.requests()[1].model, "openai/gpt-5:online");
    // A bare name has to be listed.
    let error = bench.engine.chat(&bench.me, Turn::new("q").model("tinny")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("the nearest listed are `lab/tiny`"), "{error}");
}

#[tokio::test]
async fn refusal_of_an_unlisted_model_proposes_the_nearest_names() {
    let no_such = || Error::not_found("no such model").with_reason(ErrorReason::UnknownModel);
    let refuses = || vec![Step::Fail(no_such())];
    let bench = bench([refuses(), refuses(), refuses()]).await;
    bench.engine.models(&bench.me).list().await.unwrap();
    let ask = async |model: &str| {
        let answer = bench.engine.chat(&bench.me, Turn::new("q").model(model)).await.unwrap();
        answer.message().await.unwrap_err()
    };
    let error = ask("lab/tinny").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "no such model; the nearest listed are `lab/tiny`");
    // Of a listed model the server knows better.
    assert_eq!(ask("lab/tiny").await.message(), "no such model");
    let completion = aimate::engine::Completion::default().model("lab/tests");
    let error = bench.engine.complete(&bench.me, completion).await.unwrap_err();
    assert_eq!(error.message(), "no such model; the nearest listed are `lab/test`");
}

#[tokio::test]
async fn name_without_its_optional_suffix_is_found() {
    /// Lists one model, under a name whose end may be left out.
    struct Tagged(std::sync::Arc<ScriptedProvider>);
    #[async_trait::async_trait]
    impl ChatProvider for Tagged {
        fn profile(&self) -> ProviderProfile {
            ProviderProfile::new().optional_suffix(":latest").max_window(1_000)
        }
        async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> aimate::Result<ProviderStream> {
            self.0.chat(endpoint, request).await
        }
        async fn models(&self, _: &Endpoint) -> aimate::Result<Vec<ListedModel>> {
            Ok(vec![ListedModel {
                id: "llama3.2:latest".into(),
                context_window: Some(9_000),
                ..Default::default()
            }])
        }
    }
    let scripted = ScriptedProvider::new([]);
    let engine = aimate::Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await.unwrap())
        .provider("tagged", std::sync::Arc::new(Tagged(scripted.clone())))
        .connection(NewConnection::new("t", "tagged"))
        .build()
        .await
        .unwrap();
    let me = engine.local_scope().await.unwrap();
    engine.models(&me).list().await.unwrap();
    for name in ["t/llama3.2", "llama3.2", "llama3.2:latest"] {
        let answer = engine.chat(&me, Turn::new("q").model(name)).await.unwrap().message().await.unwrap();
        assert_eq!(answer.model.as_deref(), Some("t/llama3.2:latest"), "{name}");
        assert_eq!(engine.models(&me).get(name).await.unwrap().id, "t/llama3.2:latest");
    }
    assert_eq!(scripted.requests()[0].context_window, Some(1_000));
}

#[tokio::test]
async fn connection_of_an_unregistered_provider_is_refused_with_the_registered_ones() {
    let bench = bench([]).await;
    let new = NewConnection::new("x", "nope");
    let error = bench.engine.connections(&bench.me).create(new.clone()).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "provider");
    assert_eq!(error.fields()[0].message, "no provider `nope` is registered; registered are `scripted`");
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let error = aimate::Engine::builder().store(store).connection(new).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn status_of_a_connection_tells_whether_its_key_is_the_reason() {
    let bench = bench([]).await;
    let models = bench.engine.models(&bench.me);
    let id = models.list().await.unwrap()[0].connection_id;
    let refused = Error::upstream("no").with_reason(ErrorReason::KeyRefused);
    // The words of an error are for people: they decide nothing.
    let other = Error::upstream("the server refused the key");
    for (error, status) in [(refused, ConnectionStatus::NeedsKey), (other, ConnectionStatus::Unreachable)] {
        bench.provider.list_once(Err(error));
        models.refresh(id).await.unwrap_err();
        let stored = bench.engine.connections(&bench.me).get(id).await.unwrap();
        assert_eq!(stored.status, status);
    }
}

#[tokio::test]
async fn plain_calls_are_counted_however_they_end() {
    use aimate::engine::Completion;
    use futures_util::StreamExt;
    let bench =
        bench([answer("x"), vec![say("y"), Step::Hang], vec![Step::Fail(aimate::Error::upstream("no"))]])
            .await;
    let whole = bench.engine.complete(&bench.me, Completion::default()).await.unwrap();
    assert_eq!(whole.collect::<Vec<_>>().await.len(), 3);
    let mut dropped = bench.engine.complete(&bench.me, Completion::default()).await.unwrap();
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    assert!(bench.engine.complete(&bench.me, Completion::default()).await.is_err());
    let sums = bench.engine.usage(&bench.me, &UsageFilter::default()).await.unwrap();
    assert_eq!((sums[0].key.as_str(), sums[0].calls, sums[0].estimated_calls), ("lab/test", 3, 2));
    assert_eq!(sums[0].input_tokens, 7);
}

#[tokio::test]
async fn drain_finishes_what_it_can_and_keeps_the_rest() {
    let slow = vec![
        say("slow"),
        Step::Wait(Duration::from_millis(50)),
        Step::Say(ProviderEvent::Finish(FinishReason::Stop)),
    ];
    let bench = bench([slow, vec![say("never"), Step::Hang]]).await;
    let one = bench.engine.chat(&bench.me, Turn::new("1")).await.unwrap();
    let two = bench.engine.chat(&bench.me, Turn::new("2")).await.unwrap();
    let (first, second) = (one.conversation_id(), two.conversation_id());
    bench.engine.drain(Duration::from_millis(300)).await;
    assert_eq!(bench.branch(first).await[1].status, MessageStatus::Complete);
    let cut = &bench.branch(second).await[1];
    assert_eq!((text(cut).as_str(), cut.status), ("never", MessageStatus::Interrupted));
    let refused = bench.engine.chat(&bench.me, Turn::new("3")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

fn uuid_of(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}
