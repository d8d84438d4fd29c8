//! What a turn says of its conversation, how it is tried again, and the numbers of its
//! answer's events.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod common;

use aimate::conversation::{ConversationFilter, NewConversation};
use aimate::message::MessageStatus;
use aimate::run::RunStatus;
use aimate::testing::{Step, answer};
use aimate::usage::UsageFilter;
use aimate::{ChatEvent, Error, ErrorKind, PageRequest, StreamExt, Turn};
use common::{Bench, bench, events, said, say, text, texts};

fn broken() -> Vec<Step> {
    vec![say("half "), Step::Fail(Error::upstream("the line was cut"))]
}

async fn conversations(bench: &Bench) -> usize {
    let all = bench.engine.conversations(&bench.me);
    all.list(&ConversationFilter::default(), PageRequest::default()).await.unwrap().data.len()
}

#[tokio::test]
async fn turn_says_what_its_new_conversation_is_like() {
    let bench = bench([]).await;
    let metadata = serde_json::Map::from_iter([("ticket".to_owned(), 42.into())]);
    let new = NewConversation::new().title("The pump").tag("ticket:42").metadata(metadata.clone()).pinned();
    let new = new.system_prompt("Be brief.");
    let listener = bench.engine.chat(&bench.me, Turn::new("q").new_conversation(new)).await.unwrap();
    let id = listener.conversation_id();
    events(listener).await;
    let stored = bench.engine.conversations(&bench.me).get(id).await.unwrap();
    assert_eq!(
        (stored.title.as_str(), stored.tags.as_slice()),
        ("The pump", ["ticket:42".to_owned()].as_slice())
    );
    assert_eq!((stored.metadata, stored.is_pinned), (metadata, true));
    assert_eq!(stored.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(aimate::message::text_of(&bench.provider.requests()[0].messages[0].content), "Be brief.");
    let wrong = [
        (Turn::new("q").new_conversation(NewConversation::new().title("x".repeat(501))), "title"),
        (Turn::new("q").conversation(id).new_conversation(NewConversation::new()), "conversation"),
        (Turn::new("q").retry(), "retry"),
    ];
    for (turn, path) in wrong {
        let error = bench.engine.chat(&bench.me, turn).await.unwrap_err();
        assert_eq!(error.fields()[0].path, path);
    }
    assert_eq!(conversations(&bench).await, 1);
}

#[tokio::test]
async fn turn_that_failed_is_tried_again_beside_its_answer() {
    let bench = bench([broken(), broken(), answer("whole")]).await;
    let turn = || Turn::new("q").tag("t").client_id("once");
    let first = bench.engine.chat(&bench.me, turn()).await.unwrap();
    let (conversation, run) = (first.conversation_id(), first.run_id());
    assert_eq!(said(&events(first).await), "half ");
    // Without being asked to, nothing is answered anew.
    let same = bench.engine.chat(&bench.me, turn()).await.unwrap();
    assert_eq!(same.run_id(), run);
    events(same).await;
    let mut runs = vec![run];
    for expected in ["half ", "whole", "whole"] {
        let again = bench.engine.chat(&bench.me, turn().retry()).await.unwrap();
        assert_eq!(again.conversation_id(), conversation);
        runs.push(again.run_id());
        assert_eq!(said(&events(again).await), expected);
    }
    // What succeeded is not tried again.
    assert_eq!(runs[2], runs[3]);
    assert_eq!(bench.provider.requests().len(), 3);
    let plain = bench.engine.chat(&bench.me, turn()).await.unwrap();
    assert_eq!(plain.run_id(), runs[2]);
    events(plain).await;

    assert_eq!(conversations(&bench).await, 1);
    assert_eq!(texts(&bench.branch(conversation).await), ["q", "whole"]);
    let listed = bench.engine.conversations(&bench.me);
    let listed = listed.messages(conversation, None, PageRequest::default()).await.unwrap().data;
    assert_eq!((listed[0].sibling_ids.len(), listed[1].sibling_ids.len()), (1, 3));
    let earlier = bench.engine.runs(&bench.me).get(run).await.unwrap();
    assert_eq!((earlier.status, earlier.client_id), (RunStatus::Interrupted, None));
    let tagged = UsageFilter::new().tag("t");
    assert_eq!(bench.engine.usage(&bench.me, &tagged).await.unwrap()[0].calls, 3);
}

#[tokio::test]
async fn turn_that_was_cancelled_is_tried_again_and_another_turn_is_not() {
    let bench = bench([vec![say("x"), Step::Hang], answer("whole")]).await;
    let first = bench.engine.chat(&bench.me, Turn::new("q").client_id("once")).await.unwrap();
    let other = Turn::new("another").client_id("once").retry();
    assert_eq!(bench.engine.chat(&bench.me, other).await.unwrap_err().kind(), ErrorKind::Conflict);
    // While it is being answered, that answer counts.
    let same = bench.engine.chat(&bench.me, Turn::new("q").client_id("once").retry()).await.unwrap();
    assert_eq!(same.run_id(), first.run_id());
    bench.engine.runs(&bench.me).cancel(first.run_id()).await.unwrap();
    events(first).await;
    events(same).await;
    let again = bench.engine.chat(&bench.me, Turn::new("q").client_id("once").retry()).await.unwrap();
    let message = again.message().await.unwrap();
    assert_eq!((text(&message).as_str(), message.status), ("whole", MessageStatus::Complete));
}

#[tokio::test]
async fn retry_of_a_turn_that_was_never_sent_is_that_turn() {
    let bench = bench([answer("whole")]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q").client_id("once").retry()).await.unwrap();
    assert_eq!(said(&events(listener).await), "whole");
}

#[tokio::test]
async fn retries_at_the_same_moment_are_one() {
    let bench = bench([broken(), vec![say("x"), Step::Hang]]).await;
    let turn = || Turn::new("q").client_id("once");
    events(bench.engine.chat(&bench.me, turn()).await.unwrap()).await;
    let tries = (0..20).map(|_| bench.engine.chat(&bench.me, turn().retry()));
    let tries = aimate::stream::iter(tries).buffer_unordered(20).collect::<Vec<_>>().await;
    let runs: std::collections::HashSet<_> = tries.iter().map(|one| one.as_ref().unwrap().run_id()).collect();
    assert_eq!((runs.len(), bench.provider.requests().len()), (1, 2));
}

#[tokio::test]
async fn events_come_with_their_numbers() {
    let bench = bench([answer("one two three")]).await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    let run = listener.run_id();
    let all: Vec<_> = listener.numbered().collect().await;
    assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(matches!(all.last(), Some((_, ChatEvent::Finished(_)))));
    let mut rest = bench.engine.runs(&bench.me).attach(run, 2).await.unwrap().numbered();
    assert_eq!(rest.next().await.as_ref(), Some(&all[2]));
    assert_eq!(events(rest.into_inner()).await.len(), all.len() - 3);
}
