use futures_util::future::join_all;

use super::world::{World, at, conversation, finish, id, message, missing, refused, text_events, tokens};
use crate::chat::event::ChatEvent;
use crate::conversation::{Conversation, DEFAULT_TITLE};
use crate::error::ErrorKind;
use crate::message::{Message, MessageStatus, Part};
use crate::provider::FinishReason;
use crate::run::{BeginRun, Begun, EventBatch, FinishRun, Run, RunError, RunStatus};
use crate::usage::{Cost, UsageFilter, UsageOutcome};
use crate::{PageRequest, RunId, Stores};

async fn begin(w: &World<'_>, begin: &BeginRun) -> Begun {
    w.stores.runs.begin(&w.me, begin).await.unwrap()
}

async fn count(w: &World<'_>, of: &Conversation) -> u64 {
    w.stores.conversations.get(&w.me, of.id).await.unwrap().message_count
}

/// The texts of all logged events after `after`.
async fn logged(w: &World<'_>, run: RunId, after: u64) -> (u64, String) {
    let batches = w.stores.runs.events(&w.me, run, after, 100).await.unwrap();
    let first = batches.first().map_or(0, |batch| batch.first);
    for pair in batches.windows(2) {
        assert_eq!(pair[0].last() + 1, pair[1].first);
    }
    let texts = batches.iter().flat_map(|batch| &batch.events).map(|event| match event {
        ChatEvent::Text { text } => text.as_str(),
        _ => "?",
    });
    (first, texts.collect())
}

pub async fn begun_turn_is_stored(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b"]).await;
    let turn = w.turn(talk.id, stem.last());
    assert_eq!(begin(&w, &turn).await, Begun::New);

    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap(), turn.run);
    for stored in turn.messages.iter().chain([&turn.answer]) {
        let found = stores.conversations.message(&w.me, talk.id, stored.id).await.unwrap();
        assert_eq!((&found, found.path_stats), (stored, stored.path_stats));
    }
    let after = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let expected = Conversation {
        active_leaf_id: Some(turn.answer.id),
        message_count: 4,
        updated_at: turn.run.created_at,
        ..talk
    };
    assert_eq!(after, expected);
}

pub async fn begun_turn_creates_its_conversation(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let talk = Conversation {
        workspace_id: Some(workspace.id),
        system_prompt: Some("Be brief.".into()),
        tags: vec!["t".into()],
        ..conversation("new")
    };
    let mut turn = BeginRun { create: Some(talk.clone()), ..w.turn(talk.id, None) };
    turn.run.workspace_id = talk.workspace_id;
    assert_eq!(begin(&w, &turn).await, Begun::New);
    let expected = Conversation { active_leaf_id: Some(turn.answer.id), message_count: 2, ..talk };
    assert_eq!(stores.conversations.get(&w.me, expected.id).await.unwrap(), expected);
    let page = stores.conversations.messages(&w.me, expected.id, None, PageRequest::default()).await.unwrap();
    assert_eq!(page.data.len(), 2);
    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap(), turn.run);
}

pub async fn answer_is_given_again(stores: &Stores) {
    let w = World::new(stores).await;
    let first = w.begun().await;
    let question = &first.messages[0];
    let mut again = w.turn(first.run.conversation_id, None);
    again.messages.clear();
    again.answer.parent_id = Some(question.id);
    again.answer.path_stats = question.path_stats.child(0);
    again.run.user_message_id = Some(question.id);
    assert_eq!(begin(&w, &again).await, Begun::New);
    let page =
        stores.conversations.messages(&w.me, first.run.conversation_id, None, PageRequest::default()).await;
    let page = page.unwrap();
    assert_eq!(page.data[1].sibling_ids, [first.answer.id, again.answer.id]);
    assert_eq!((page.data[0].run_id, page.data[1].run_id), (None, Some(again.run.id)));
}

pub async fn title_is_set_once(stores: &Stores) {
    let w = World::new(stores).await;
    for (before, after) in [(DEFAULT_TITLE, "From The Question"), ("Named", "Named")] {
        let talk = w.conversation(before).await;
        let turn = BeginRun { title: Some("From The Question".into()), ..w.turn(talk.id, None) };
        begin(&w, &turn).await;
        assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap().title, after);
        let filter = crate::conversation::ConversationFilter {
            query: Some(after.to_uppercase()),
            ..Default::default()
        };
        let found = stores.conversations.list(&w.me, &filter, PageRequest::default()).await.unwrap();
        assert_eq!(found.data.len(), 1, "{after}");
    }
}

pub async fn client_id_gives_the_same_run(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let same = |mut turn: BeginRun| {
        turn.run.client_id = Some("turn-1".into());
        turn.run.client_hash = Some(vec![1, 2, 3]);
        turn
    };
    let first = same(w.turn(talk.id, None));
    assert_eq!(begin(&w, &first).await, Begun::New);
    let before = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let again = same(w.turn(talk.id, Some(&first.answer)));
    assert_eq!(begin(&w, &again).await, Begun::Existing(Box::new(first.run.clone())));
    missing(stores.runs.get(&w.me, again.run.id).await);
    assert_eq!(stores.runs.of_client(&w.me, "turn-1").await.unwrap(), Some(first.run.clone()));
    assert_eq!(stores.runs.of_client(&w.me, "turn-2").await.unwrap(), None);
    missing(stores.conversations.message(&w.me, talk.id, again.answer.id).await);
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), before);

    // A retry may not know that its conversation was made.
    let fresh = conversation("new");
    let fresh = BeginRun { create: Some(fresh.clone()), ..same(w.turn(fresh.id, None)) };
    assert_eq!(begin(&w, &fresh).await, Begun::Existing(Box::new(first.run.clone())));
    missing(stores.conversations.get(&w.me, fresh.run.conversation_id).await);

    let end = finish(&first, "x", text_events(1, &[]));
    stores.runs.finish(&w.me, &end).await.unwrap();
    let Begun::Existing(run) = begin(&w, &same(w.turn(talk.id, None))).await else { panic!("stored twice") };
    assert_eq!((run.id, run.status), (first.run.id, RunStatus::Completed));
}

pub async fn parallel_duplicates_store_one_turn(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let turns: Vec<BeginRun> = (0..50)
        .map(|n| {
            // Half of them believe that the conversation is theirs to make.
            let fresh = conversation("new");
            let mut turn = match n % 2 {
                0 => w.turn(talk.id, None),
                _ => BeginRun { create: Some(fresh.clone()), ..w.turn(fresh.id, None) },
            };
            turn.run.client_id = Some("same".into());
            turn
        })
        .collect();
    let begun = join_all(turns.iter().map(|turn| stores.runs.begin(&w.me, turn))).await;
    let begun: Vec<Begun> = begun.into_iter().map(Result::unwrap).collect();
    let new: Vec<usize> = (0..50).filter(|n| begun[*n] == Begun::New).collect();
    assert_eq!(new.len(), 1);
    let stored: &Run = &turns[new[0]].run;
    for (n, begun) in begun.iter().enumerate().filter(|(n, _)| *n != new[0]) {
        assert_eq!(*begun, Begun::Existing(Box::new(stored.clone())), "{n}");
        missing(stores.runs.get(&w.me, turns[n].run.id).await);
    }
    let expected = if new[0].is_multiple_of(2) { 2 } else { 0 };
    assert_eq!(count(&w, &talk).await, expected);
}

pub async fn client_ids_are_of_one_user(stores: &Stores) {
    let w = World::new(stores).await;
    for scope in [w.me, w.other, w.stranger] {
        let talk = conversation("talk");
        let mut turn = BeginRun { create: Some(talk.clone()), ..w.turn(talk.id, None) };
        turn.run.client_id = Some("same".into());
        assert_eq!(stores.runs.of_client(&scope, "same").await.unwrap(), None);
        assert_eq!(stores.runs.begin(&scope, &turn).await.unwrap(), Begun::New);
    }
}

pub async fn refused_turn_stores_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, other) = (w.conversation("talk").await, w.conversation("other").await);
    let elsewhere = w.thread(&other, None, &["a"]).await;
    let nowhere = Conversation { workspace_id: Some(id()), ..conversation("new") };
    let orphan = message(talk.id, None, "gone");
    for turn in [
        w.turn(id(), None),
        w.turn(talk.id, elsewhere.last()),
        w.turn(talk.id, Some(&orphan)),
        BeginRun { create: Some(nowhere.clone()), ..w.turn(nowhere.id, None) },
        BeginRun { create: Some(conversation("new")), ..w.turn(id(), elsewhere.last()) },
    ] {
        let turn = match turn.create {
            Some(new) => {
                BeginRun { create: Some(Conversation { id: turn.run.conversation_id, ..new }), ..turn }
            }
            None => turn,
        };
        missing(stores.runs.begin(&w.me, &turn).await);
        missing(stores.runs.get(&w.me, turn.run.id).await);
        missing(stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await);
    }
    missing(stores.conversations.get(&w.me, nowhere.id).await);
    for scope in w.others() {
        missing(stores.runs.begin(&scope, &w.turn(talk.id, None)).await);
    }
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), talk);
}

pub async fn taken_ids_conflict(stores: &Stores) {
    let w = World::new(stores).await;
    let first = w.begun().await;
    let mut same_run = w.turn(first.run.conversation_id, Some(&first.answer));
    same_run.run.id = first.run.id;
    refused(stores.runs.begin(&w.me, &same_run).await, ErrorKind::Conflict);
    let mut same_message = w.turn(first.run.conversation_id, Some(&first.answer));
    same_message.messages[0].id = first.messages[0].id;
    same_message.answer.parent_id = Some(first.messages[0].id);
    refused(stores.runs.begin(&w.me, &same_message).await, ErrorKind::Conflict);
    let taken = Conversation { id: first.run.conversation_id, ..conversation("new") };
    let same_conversation = BeginRun { create: Some(taken.clone()), ..w.turn(taken.id, None) };
    refused(stores.runs.begin(&w.me, &same_conversation).await, ErrorKind::Conflict);
    assert_eq!(count(&w, &taken).await, 2);
}

pub async fn events_read_back(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    assert_eq!(logged(&w, turn.run.id, 0).await, (0, String::new()));
    for (first, texts) in [(1, vec!["a", "b", "c"]), (4, vec!["d"]), (5, vec!["e", "f"])] {
        let batch = text_events(first, &texts);
        stores.runs.checkpoint(&w.me, turn.run.id, 1, &batch).await.unwrap();
    }
    for (after, expected) in
        [(0, (1, "abcdef")), (1, (2, "bcdef")), (3, (4, "def")), (4, (5, "ef")), (6, (0, ""))]
    {
        let (first, texts) = logged(&w, turn.run.id, after).await;
        assert_eq!((first, texts.as_str()), expected, "after {after}");
    }
    let some = stores.runs.events(&w.me, turn.run.id, 0, 1).await.unwrap();
    assert_eq!(some, [text_events(1, &["a", "b", "c"])]);
    let some = stores.runs.events(&w.me, turn.run.id, 1, 3).await.unwrap();
    assert_eq!(some, [text_events(2, &["b", "c"]), text_events(4, &["d"])]);
}

pub async fn retried_turn_takes_over_its_client_id(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let mut first = w.turn(talk.id, None);
    first.run.client_id = Some("once".into());
    first.run.client_hash = Some(vec![1]);
    stores.runs.begin(&w.me, &first).await.unwrap();
    let again = |of: &BeginRun| {
        let mut again = w.turn(talk.id, None);
        let question = &first.messages[0];
        again.answer.parent_id = Some(question.id);
        again.run.user_message_id = Some(question.id);
        again.run.client_id = Some("once".into());
        again.run.client_hash = Some(vec![1]);
        BeginRun { messages: Vec::new(), replaces: Some(of.run.id), ..again }
    };
    let has = async || stores.runs.of_client(&w.me, "once").await.unwrap().map(|run| run.id);
    // One that is not over keeps its id.
    let Begun::Existing(run) = stores.runs.begin(&w.me, &again(&first)).await.unwrap() else { panic!() };
    assert_eq!(run.id, first.run.id);
    stores.runs.finish(&w.me, &finish(&first, "x", text_events(1, &["x"]))).await.unwrap();
    let second = again(&first);
    assert_eq!(stores.runs.begin(&w.me, &second).await.unwrap(), Begun::New);
    assert_eq!(has().await, Some(second.run.id));
    let replaced = stores.runs.get(&w.me, first.run.id).await.unwrap();
    assert_eq!((replaced.client_id, replaced.client_hash), (None, None));
    // Whoever tries the same at the same moment finds that it was done.
    let Begun::Existing(run) = stores.runs.begin(&w.me, &again(&first)).await.unwrap() else { panic!() };
    assert_eq!(run.id, second.run.id);
    let page = stores.conversations.messages(&w.me, talk.id, None, PageRequest::first(9)).await.unwrap();
    let siblings = &page.data[1].sibling_ids;
    assert_eq!(siblings.as_slice(), [first.answer.id, second.answer.id]);
    // A run of nobody, and of somebody else, is none to replace.
    let mut other = again(&first);
    other.run.client_id = Some("other".into());
    refused(stores.runs.begin(&w.me, &other).await, ErrorKind::Conflict);
    for scope in w.others() {
        assert!(stores.runs.begin(&scope, &again(&second)).await.is_err());
    }
    assert_eq!(has().await, Some(second.run.id));
}

pub async fn checkpoint_again_changes_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    for _ in 0..2 {
        stores.runs.checkpoint(&w.me, turn.run.id, 1, &text_events(1, &["a", "b"])).await.unwrap();
    }
    assert_eq!(logged(&w, turn.run.id, 0).await, (1, "ab".into()));
}

pub async fn grown_checkpoint_replaces_its_former_self(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    // The first one was stored, but its acknowledgement was lost.
    for texts in [vec!["a"], vec!["a", "b"], vec!["a"]] {
        stores.runs.checkpoint(&w.me, turn.run.id, 1, &text_events(1, &texts)).await.unwrap();
    }
    assert_eq!(logged(&w, turn.run.id, 0).await, (1, "ab".into()));
    stores.runs.finish(&w.me, &finish(&turn, "abc", text_events(1, &["a", "b", "c"]))).await.unwrap();
    assert_eq!(logged(&w, turn.run.id, 0).await, (1, "abc".into()));
}

pub async fn finish_stores_the_answer(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    stores.runs.checkpoint(&w.me, turn.run.id, 1, &text_events(1, &["he"])).await.unwrap();
    let mut end = finish(&turn, "hello", text_events(2, &["llo"]));
    end.usage.usage.cost = Some(Cost(12));
    stores.runs.finish(&w.me, &end).await.unwrap();

    let run = stores.runs.get(&w.me, turn.run.id).await.unwrap();
    let expected = Run {
        status: RunStatus::Completed,
        finish_reason: Some(FinishReason::Stop),
        usage: Some(end.usage.usage),
        finished_at: Some(end.now),
        ..turn.run.clone()
    };
    assert_eq!(run, expected);
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await.unwrap();
    let expected = Message {
        content: end.content.clone(),
        status: MessageStatus::Complete,
        usage: Some(end.usage.usage),
        cost: Some(Cost(12)),
        path_stats: answer.path_stats,
        ..turn.answer.clone()
    };
    assert_eq!(answer, expected);
    assert_eq!(logged(&w, turn.run.id, 0).await, (1, "hello".into()));
    let sums = stores.usage.summarize(&w.me, &UsageFilter::default()).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].input_tokens, sums[0].cost), (1, 20, Cost(12)));
    let talk = stores.conversations.get(&w.me, turn.run.conversation_id).await.unwrap();
    assert_eq!((talk.updated_at, talk.message_count), (end.now, 2));
}

pub async fn finish_counts_the_path(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let end = finish(&turn, "hello", text_events(1, &[]));
    stores.runs.finish(&w.me, &end).await.unwrap();
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await.unwrap();
    assert_eq!(
        (answer.path_stats.depth, answer.path_stats.tokens, answer.path_stats.path_tokens),
        (2, 7, 17)
    );
    let window = stores.conversations.window(&w.me, turn.run.conversation_id, None, 17, 9).await.unwrap();
    assert_eq!(window.messages.len(), 2);
}

pub async fn finish_keeps_the_error(stores: &Stores) {
    let w = World::new(stores).await;
    for (status, message_status) in [
        (RunStatus::Failed, MessageStatus::Failed),
        (RunStatus::Cancelled, MessageStatus::Cancelled),
        (RunStatus::Interrupted, MessageStatus::Interrupted),
    ] {
        let turn = w.begun().await;
        let error =
            RunError { code: ErrorKind::Upstream, detail: "the server said 500".into(), retryable: true };
        let mut end = finish(&turn, "par", text_events(1, &["par"]));
        (end.status, end.error, end.finish_reason) = (status, Some(error.clone()), None);
        end.usage.outcome = UsageOutcome::Failed;
        stores.runs.finish(&w.me, &end).await.unwrap();
        let run = stores.runs.get(&w.me, turn.run.id).await.unwrap();
        assert_eq!((run.status, run.error, run.finish_reason), (status, Some(error), None));
        let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.content), (message_status, vec![Part::text("par")]));
    }
}

pub async fn only_the_owner_writes(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    refused(
        stores.runs.checkpoint(&w.me, turn.run.id, 2, &text_events(1, &["x"])).await,
        ErrorKind::Conflict,
    );
    let end = FinishRun { attempt: 2, ..finish(&turn, "x", text_events(1, &["x"])) };
    refused(stores.runs.finish(&w.me, &end).await, ErrorKind::Conflict);

    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap(), turn.run);
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await;
    assert_eq!(answer.unwrap(), turn.answer);
    assert_eq!(logged(&w, turn.run.id, 0).await.1, "");
    assert!(stores.usage.summarize(&w.me, &UsageFilter::default()).await.unwrap().is_empty());
}

pub async fn finished_run_is_closed(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    stores.runs.finish(&w.me, &finish(&turn, "x", text_events(1, &["x"]))).await.unwrap();
    refused(
        stores.runs.finish(&w.me, &finish(&turn, "y", text_events(2, &["y"]))).await,
        ErrorKind::Conflict,
    );
    for batch in [text_events(2, &["y"]), text_events(1, &["x"])] {
        refused(stores.runs.checkpoint(&w.me, turn.run.id, 1, &batch).await, ErrorKind::Conflict);
    }
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await;
    assert_eq!(answer.unwrap().content, [Part::text("x")]);
    assert_eq!(stores.usage.summarize(&w.me, &UsageFilter::default()).await.unwrap()[0].calls, 1);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let run = turn.run.id;
    stores.runs.checkpoint(&w.me, run, 1, &text_events(1, &["a"])).await.unwrap();
    for scope in w.others() {
        missing(stores.runs.get(&scope, run).await);
        missing(stores.runs.checkpoint(&scope, run, 1, &text_events(2, &["x"])).await);
        missing(stores.runs.finish(&scope, &finish(&turn, "x", text_events(2, &["x"]))).await);
        missing(stores.runs.events(&scope, run, 0, 10).await);
        missing(stores.runs.request_cancel(&scope, run).await);
    }
    assert_eq!(stores.runs.get(&w.me, run).await.unwrap(), turn.run);
    assert_eq!(stores.workers.beat(w.worker, at(1)).await.unwrap(), []);
    assert_eq!(logged(&w, run, 0).await.1, "a");
}

pub async fn unknown_run_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let mut turn = w.begun().await;
    turn.run.id = id();
    let run = turn.run.id;
    missing(stores.runs.get(&w.me, run).await);
    missing(stores.runs.checkpoint(&w.me, run, 1, &text_events(1, &["x"])).await);
    missing(stores.runs.finish(&w.me, &finish(&turn, "x", text_events(1, &["x"]))).await);
    missing(stores.runs.events(&w.me, run, 0, 10).await);
    missing(stores.runs.request_cancel(&w.me, run).await);
    assert!(stores.usage.summarize(&w.me, &UsageFilter::default()).await.unwrap().is_empty());
}

pub async fn nul_in_an_answer_is_removed(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    stores.runs.checkpoint(&w.me, turn.run.id, 1, &text_events(1, &["a\0b"])).await.unwrap();
    let mut end = finish(&turn, "a\0b", EventBatch { first: 2, events: Vec::new() });
    end.error = Some(RunError { code: ErrorKind::Upstream, detail: "\0".into(), retryable: false });
    end.usage.usage = tokens(1, 1);
    stores.runs.finish(&w.me, &end).await.unwrap();
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await;
    assert_eq!(answer.unwrap().content, [Part::text("ab")]);
    assert_eq!(logged(&w, turn.run.id, 0).await.1, "ab");
}
