//! What a caller with a stateful API of its own asks of turns: requests that are kept, hidden
//! conversations, trees of answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aimate::conversation::ConversationFilter;
use aimate::knowledge::SourcePassage;
use aimate::message::{Message, MessageRole, Part, ToolCall, ToolResult, text_of};
use aimate::provider::{FinishReason, ProviderEvent, Sampling, ToolChoice, ToolSpec};
use aimate::testing::{Step, answer};
use aimate::tool::{HostTool, ToolContext};
use aimate::{Error, ErrorKind, InputMessage, MessageId, PageRequest, RunId, Truncation, Turn};
use common::{Bench, bench, text};
use serde_json::{Value, json};

/// A turn of a chain: hidden, with a request that is kept.
fn link(words: &str) -> Turn {
    Turn::new(words).model("lab/test").hidden().own_prompts_only().request(json!({"said": words}))
}

/// The answer to a turn: its run and its message.
async fn answered(bench: &Bench, turn: Turn) -> (RunId, Message) {
    let answer = bench.engine.chat(&bench.me, turn).await.unwrap();
    let run = answer.run_id();
    (run, answer.message().await.unwrap())
}

/// A turn that follows an answer.
fn after(turn: Turn, before: &Message) -> Turn {
    turn.conversation(before.conversation_id).parent(before.id)
}

/// What the model was shown in its last call, one text a message.
fn shown(bench: &Bench) -> Vec<String> {
    let requests = bench.provider.requests();
    requests.last().unwrap().messages.iter().map(|message| text_of(&message.content)).collect()
}

async fn listed(bench: &Bench, is_hidden: bool) -> usize {
    let filter = ConversationFilter::new().is_hidden(is_hidden);
    let page = bench.engine.conversations(&bench.me).list(&filter, PageRequest::default()).await.unwrap();
    page.data.len()
}

#[tokio::test]
async fn request_is_kept_until_it_is_forgotten() {
    let bench = bench([answer("a"), answer("b")]).await;
    let runs = bench.engine.runs(&bench.me);
    let (first, message) = answered(&bench, link("one")).await;
    let (run, request) = runs.with_request(first).await.unwrap();
    assert_eq!((run.id, request), (first, json!({"said": "one"})));
    assert!(!serde_json::to_string(&run).unwrap().contains("said"), "it is the caller's alone");
    let (second, _) = answered(&bench, after(link("two"), &message)).await;
    assert_eq!((listed(&bench, false).await, listed(&bench, true).await), (0, 1));
    let conversations = bench.engine.conversations(&bench.me);
    let chain = conversations.get(message.conversation_id).await.unwrap();
    assert!(
        chain.is_hidden && chain.message_count == 4 && chain.title == aimate::conversation::DEFAULT_TITLE
    );

    runs.forget(first).await.unwrap();
    assert_eq!(runs.forget(first).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(runs.with_request(first).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(runs.get(first).await.unwrap().id, first);
    assert_eq!(conversations.get(chain.id).await.unwrap().message_count, 4);
    runs.forget(second).await.unwrap();
    assert_eq!(conversations.get(chain.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn request_has_bounds() {
    let bench = bench([]).await;
    for wrong in [json!([1]), json!("x"), json!({"x": "y".repeat(256 << 10)})] {
        let error = bench.engine.chat(&bench.me, Turn::new("Hi").request(wrong)).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()[0].path.as_str()), (ErrorKind::Invalid, "request"));
    }
    let error = bench.engine.chat(&bench.me, Turn::new("Hi").max_tool_calls(0)).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "max_tool_calls");
    assert_eq!(listed(&bench, false).await, 0);
}

#[tokio::test]
async fn answers_to_one_answer_are_branches() {
    let bench = bench([answer("root"), answer("left"), answer("right"), answer("leaf")]).await;
    let (_, root) = answered(&bench, link("q")).await;
    let (_, left) = answered(&bench, after(link("l"), &root)).await;
    let (_, right) = answered(&bench, after(link("r"), &root)).await;
    assert_eq!(shown(&bench), ["q", "root", "r"]);
    let (_, _) = answered(&bench, after(link("x"), &left)).await;
    assert_eq!(shown(&bench), ["q", "root", "l", "left", "x"]);
    assert_ne!(left.parent_id, right.parent_id);
    // Each remembers what it follows.
    let page = bench.engine.conversations(&bench.me);
    let page = page.messages(root.conversation_id, Some(right.id), PageRequest::default()).await.unwrap();
    assert_eq!(page.data.len(), 4);
}

#[tokio::test]
async fn own_prompts_only_leaves_all_others_out() {
    let bench = Bench::with([answer("a"), answer("b"), answer("c")], |builder| {
        builder.system_prompt("Of the engine.")
    })
    .await;
    let (_, first) = answered(&bench, link("q").system_prompt("Of the turn.")).await;
    assert_eq!(shown(&bench), ["Of the turn.", "q"]);
    // It is not carried over.
    let (_, second) = answered(&bench, after(link("r"), &first)).await;
    assert_eq!(shown(&bench), ["q", "a", "r"]);
    // Nor does it become the conversation's own.
    let plain = Turn::new("s").conversation(second.conversation_id).model("lab/test");
    answered(&bench, plain).await;
    assert_eq!(shown(&bench), ["Of the engine.", "q", "a", "r", "b", "s"]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_where_nothing_may_be_left_out() {
    let bench = bench([answer("a"), answer("b")]).await;
    let long = "word ".repeat(2_500);
    let turn = |words: &str| link(words).sampling(Sampling { max_tokens: Some(16), ..Sampling::default() });
    let (_, first) = answered(&bench, turn(&long).model("lab/tiny")).await;
    let next = after(turn(&long).model("lab/tiny"), &first);
    let refused = bench.engine.chat(&bench.me, next.clone().truncation(Truncation::Disabled)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ContextOverflow);
    let conversations = bench.engine.conversations(&bench.me);
    assert_eq!(conversations.get(first.conversation_id).await.unwrap().message_count, 2, "nothing is stored");
    // What is too long can be counted all the same.
    let counted = next.clone().truncation(Truncation::Disabled);
    assert!(bench.engine.count_prompt_tokens(&bench.me, counted).await.unwrap() > 4_000);
    answered(&bench, next).await;
    assert_eq!(shown(&bench).len(), 1, "the oldest turn was left out");
}

#[tokio::test]
async fn server_that_refuses_a_prompt_is_not_asked_again_with_less_of_it() {
    let full = || vec![Step::Fail(Error::context_overflow("too long"))];
    let bench = bench([answer("a"), full(), full(), answer("b")]).await;
    let (_, first) = answered(&bench, link("q")).await;
    let next = after(link("r"), &first);
    let refused = bench.engine.chat(&bench.me, next.clone().truncation(Truncation::Disabled)).await.unwrap();
    refused.finished().await.unwrap_err();
    assert_eq!(bench.provider.requests().len(), 2);
    // Else it is asked with less.
    answered(&bench, next).await;
    assert_eq!(bench.provider.requests().len(), 4);
}

#[tokio::test]
async fn prompt_is_counted_without_storing_anything() {
    let bench = bench([answer("a")]).await;
    let count = async |turn: Turn| bench.engine.count_prompt_tokens(&bench.me, turn).await.unwrap();
    let short = count(link("Hi")).await;
    let tool = ToolSpec::new("f", json!({"type": "object"})).description("does much");
    assert!(count(link("Hi there, how are you?")).await > short);
    assert!(count(link("Hi").system_prompt("Be brief.")).await > short);
    assert!(count(link("Hi").tools([tool])).await > short);
    assert!(bench.provider.requests().is_empty());
    assert_eq!((listed(&bench, false).await, listed(&bench, true).await), (0, 0));
    let (run, first) = answered(&bench, link("Hi")).await;
    assert!(count(after(link("Hi"), &first)).await > short);
    let manifest = bench.engine.runs(&bench.me).get(run).await.unwrap().context;
    assert_eq!(manifest["tokens"], short, "it is what the turn itself counts");
    let unknown = link("Hi").model("lab/nothing/else").conversation(first.conversation_id);
    let parent: MessageId = aimate::uuid::Uuid::nil().into();
    let missing = bench.engine.count_prompt_tokens(&bench.me, unknown.parent(parent)).await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

fn call(id: &str, name: &str) -> Step {
    Step::Say(ProviderEvent::ToolCall(ToolCall::new(id, name, json!({}))))
}

fn calls(some: &[(&str, &str)]) -> Vec<Step> {
    let mut steps: Vec<_> = some.iter().map(|(id, name)| call(id, name)).collect();
    steps.push(Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls)));
    steps
}

/// A tool that counts how often it was called.
fn counting(count: &Arc<AtomicUsize>, name: &str) -> HostTool {
    let count = count.clone();
    HostTool::new(name, "Counts.", json!({"type": "object"}), move |_: ToolContext, _: Value| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(json!("done")) }
    })
}

#[tokio::test]
async fn calls_beyond_the_callers_limit_are_not_made() {
    let count = Arc::default();
    let scripts = [calls(&[("1", "a"), ("2", "b"), ("3", "c")]), answer("Enough.")];
    let bench = Bench::with(scripts, |builder| {
        ["a", "b", "c"].into_iter().fold(builder, |builder, name| builder.tool(counting(&count, name)))
    })
    .await;
    let (_, message) = answered(&bench, link("Go").use_tools(["a", "b", "c"]).max_tool_calls(2)).await;
    assert_eq!((count.load(Ordering::SeqCst), text(&message)), (2, "Enough.".to_owned()));
    let last = bench.provider.requests().pop().unwrap();
    assert_eq!(last.tool_choice, Some(ToolChoice::None));
}

#[tokio::test]
async fn callers_own_calls_do_not_count() {
    let count = Arc::default();
    let scripts = [calls(&[("1", "a")]), calls(&[("2", "own"), ("3", "own")])];
    let bench = Bench::with(scripts, |builder| builder.tool(counting(&count, "a"))).await;
    let own = ToolSpec::new("own", json!({"type": "object"}));
    let turn = link("Go").use_tools(["a"]).tools([own]).max_tool_calls(1);
    let (_, message) = answered(&bench, turn).await;
    let made: Vec<&ToolCall> = message
        .content
        .iter()
        .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
        .collect();
    let made: Vec<_> = made.iter().map(|call| (call.name.as_str(), call.is_made_here)).collect();
    assert_eq!(made, [("a", true), ("own", false), ("own", false)]);
    let last = bench.provider.requests().pop().unwrap();
    let offered: Vec<_> = last.tools.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(offered, ["own"], "what may not be called any more is not offered");
}

fn output(id: &str) -> InputMessage {
    InputMessage::new(MessageRole::Tool, vec![Part::ToolResult(ToolResult::new(id, "42"))])
}

#[tokio::test]
async fn outputs_belong_to_calls_of_the_chain() {
    let bench = bench([calls(&[("c1", "f"), ("c2", "f")]), answer("42.")]).await;
    let own = ToolSpec::new("f", json!({"type": "object"}));
    let (_, asked) = answered(&bench, link("Go").tools([own])).await;
    let outputs = |outputs: Vec<InputMessage>| {
        after(Turn::messages(outputs).model("lab/test").hidden().request(json!({})), &asked)
    };
    for (wrong, id) in [
        (vec![output("c9")], "c9"),
        (vec![output("c1"), output("c1")], "c1"),
        (vec![output("c1"), output("c7")], "c7"),
    ] {
        let error = bench.engine.chat(&bench.me, outputs(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(&format!("call_id {id}")), "{error}");
    }
    // In messages of their own, as they come.
    answered(&bench, outputs(vec![output("c2"), output("c1")])).await;
    let last = bench.provider.requests().pop().unwrap();
    let results = last.messages.iter().flat_map(|message| &message.content);
    assert_eq!(results.filter(|part| matches!(part, Part::ToolResult(_))).count(), 2);
}

#[tokio::test]
async fn brought_calls_and_their_outputs_stand_together() {
    let bench = bench([answer("42.")]).await;
    let call = |id: &str| {
        InputMessage::new(MessageRole::Assistant, vec![Part::ToolCall(ToolCall::new(id, "f", json!({})))])
    };
    let question = InputMessage::new(MessageRole::User, vec![Part::text("Go")]);
    let brought = vec![question, call("1"), call("2"), output("1"), output("2")];
    answered(&bench, Turn::messages(brought).model("lab/test")).await;
    let asked = bench.provider.requests().pop().unwrap();
    let roles: Vec<_> = asked.messages.iter().map(|message| (message.role, message.content.len())).collect();
    let expected =
        [(MessageRole::User, 1), (MessageRole::Assistant, 2), (MessageRole::Tool, 1), (MessageRole::Tool, 1)];
    assert_eq!(roles, expected);
}

#[tokio::test]
async fn messages_are_added_without_an_answer() {
    let bench = bench([answer("c")]).await;
    let conversations = bench.engine.conversations(&bench.me);
    let talk = conversations.create(aimate::conversation::NewConversation::new()).await.unwrap();
    let said = |role, words: &str| InputMessage::new(role, vec![Part::text(words)]);
    let thought = InputMessage::new(
        MessageRole::Assistant,
        vec![Part::Reasoning { text: "Hm.".into(), details: None }],
    );
    let new = vec![
        said(MessageRole::System, "s"),
        said(MessageRole::User, "a"),
        thought,
        said(MessageRole::Assistant, "b"),
    ];
    let added = conversations.append(talk.id, new).await.unwrap();
    let ids: Vec<MessageId> = added.iter().map(|message| message.id).collect();
    assert_eq!(conversations.path(talk.id, None).await.unwrap(), ids);
    assert!(bench.provider.requests().is_empty());
    let wrong = InputMessage::new(MessageRole::User, vec![Part::ToolResult(ToolResult::new("1", "x"))]);
    let error = conversations.append(talk.id, vec![said(MessageRole::User, "x"), wrong]).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "messages[1].content[0]");
    assert_eq!(conversations.path(talk.id, None).await.unwrap().len(), 4, "all or none");

    conversations.remove_message(talk.id, ids[1]).await.unwrap();
    answered(&bench, Turn::new("next").conversation(talk.id).model("lab/test")).await;
    assert_eq!(shown(&bench), ["s", "b", "next"]);
}

#[tokio::test]
async fn many_who_add_at_once_make_one_branch() {
    let bench = bench([]).await;
    let conversations = bench.engine.conversations(&bench.me);
    let talk = conversations.create(aimate::conversation::NewConversation::new()).await.unwrap();
    let add = |n: usize| {
        let conversations = conversations.clone();
        let message = InputMessage::new(MessageRole::User, vec![Part::text(n.to_string())]);
        async move { conversations.append(talk.id, vec![message]).await }
    };
    let (a, b, c, d) = tokio::join!(add(1), add(2), add(3), add(4));
    for added in [a, b, c, d] {
        added.unwrap();
    }
    assert_eq!(conversations.path(talk.id, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn long_chain_is_shown_as_far_as_its_window() {
    let bench = bench((0..2).map(|_| answer("ok"))).await;
    let conversations = bench.engine.conversations(&bench.me);
    let (_, first) = answered(&bench, link("q").model("lab/tiny")).await;
    let words = "word ".repeat(100);
    let turn = |n: usize| {
        let role = if n.is_multiple_of(2) { MessageRole::User } else { MessageRole::Assistant };
        InputMessage::new(role, vec![Part::text(words.clone())])
    };
    conversations.append(first.conversation_id, (0..2_000).map(turn).collect()).await.unwrap();
    let next = link("last").model("lab/tiny").conversation(first.conversation_id);
    let (run, _) = answered(&bench, next).await;
    let manifest = bench.engine.runs(&bench.me).get(run).await.unwrap().context;
    let window = manifest["window"].as_u64().unwrap();
    let kept = shown(&bench).len() as u64;
    assert!(kept > 2 && kept * 100 < window, "{kept} messages of a window of {window} tokens");
    assert_eq!(manifest["dropped"][0]["count"].as_u64().unwrap() + kept, 2_003);
}

#[tokio::test]
async fn text_of_a_kept_request_stays_as_it_was_told() {
    let said = || answer("It leaks [1, 2].");
    let bench = bench([said(), said()]).await;
    let passages = || [1, 2].map(|n| SourcePassage::new(format!("manual {n}"), format!("Leak number {n}.")));
    let (_, plain) = answered(&bench, Turn::new("q").model("lab/test").passages(passages())).await;
    assert_eq!(text(&plain), "It leaks [1][2].");
    let (_, kept) = answered(&bench, link("q").passages(passages())).await;
    assert_eq!(text(&kept), "It leaks [1, 2].");
    let cited = kept.content.iter().filter(|part| matches!(part, Part::Citation(_)));
    assert_eq!(cited.count(), 2);
}

#[tokio::test]
async fn hidden_conversation_ends_with_its_time() {
    let provider = aimate::testing::ScriptedProvider::new([answer("a"), answer("b")]);
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let first = common::builder(&provider).store(store.clone()).build().await.unwrap();
    let me = first.local_scope().await.unwrap();
    for turn in [link("one"), Turn::new("two").model("lab/test")] {
        first.chat(&me, turn).await.unwrap().finished().await.unwrap();
    }
    let count = async |is_hidden: bool| {
        let filter = ConversationFilter::new().is_hidden(is_hidden);
        first.conversations(&me).list(&filter, PageRequest::default()).await.unwrap().data.len()
    };
    assert_eq!((count(false).await, count(true).await), (1, 1));
    let keeping = common::builder(&provider).store(store.clone()).build().await.unwrap();
    keeping.conversations(&me).list(&ConversationFilter::new(), PageRequest::default()).await.unwrap();
    assert_eq!(count(true).await, 1);
    let _ending =
        common::builder(&provider).store(store).keep_hidden(std::time::Duration::ZERO).build().await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while count(true).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(count(false).await, 1);
}

#[tokio::test]
async fn branch_is_read_as_far_as_its_model_reads() {
    let bench = bench([answer("a"), answer("b"), answer("c")]).await;
    let long = ["word"; 1_200].join(" ");
    let turn = |words: &str| link(words).model("lab/tiny");
    let (_, first) = answered(&bench, turn(&long)).await;
    let (_, second) = answered(&bench, after(turn("short"), &first)).await;
    let (_, third) = answered(&bench, after(turn(&long), &second)).await;
    let conversations = bench.engine.conversations(&bench.me);
    let read = |truncation| {
        conversations.readable(third.conversation_id, Some(third.id), "lab/tiny", Some(2_000), truncation)
    };
    let refused = read(Truncation::Disabled).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ContextOverflow);
    let texts = common::texts(&read(Truncation::Auto).await.unwrap());
    assert_eq!(texts, ["short", "b", long.as_str(), "c"]);
    let early = conversations.readable(
        third.conversation_id,
        Some(second.id),
        "lab/test",
        None,
        Truncation::Disabled,
    );
    assert_eq!(early.await.unwrap().len(), 4);
}
