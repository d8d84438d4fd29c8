use serde_json::json;

use super::world::{World, at, id, message, missing, refused};
use crate::error::ErrorKind;
use crate::message::{Message, Part, PathStats, ToolCall};
use crate::{ConversationId, MessageId, Stores};

/// The path statistics of a stored message.
async fn stats(w: &World<'_>, of: ConversationId, message: MessageId) -> PathStats {
    w.stores.conversations.message(&w.me, of, message).await.unwrap().path_stats
}

fn ids(messages: &[&Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

pub async fn path_begins_with_the_root(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    assert!(stores.messages.path(&w.me, talk.id, None).await.unwrap().is_empty());
    let stem = w.thread(&talk, None, &["a", "b", "c"]).await;
    w.thread(&talk, Some(&stem[0]), &["x"]).await;
    let branch = stores.messages.path(&w.me, talk.id, None).await.unwrap();
    assert_eq!((branch.len(), branch[0]), (2, stem[0].id));
    missing(stores.messages.path(&w.me, id(), None).await);
    // Of any branch.
    let other = stores.messages.path(&w.me, talk.id, Some(stem[2].id)).await.unwrap();
    assert_eq!(other, ids(&[&stem[0], &stem[1], &stem[2]]));
    missing(stores.messages.path(&w.me, talk.id, Some(id())).await);
}

pub async fn messages_are_found_by_their_ids(stores: &Stores) {
    let w = World::new(stores).await;
    let (one, two) = (w.conversation("one").await, w.conversation("two").await);
    let first = w.thread(&one, None, &["a", "b"]).await;
    let second = w.thread(&two, None, &["c"]).await;
    let wanted = [second[0].id, first[1].id, id()];
    let mut found = stores.messages.find(&w.me, &wanted).await.unwrap();
    found.sort_by_key(|message| message.id != first[1].id);
    assert_eq!(found, [first[1].clone(), second[0].clone()]);
    for scope in w.others() {
        assert!(stores.messages.find(&scope, &wanted).await.unwrap().is_empty());
    }
    assert!(stores.messages.find(&w.me, &[]).await.unwrap().is_empty());
}

pub async fn messages_are_added_behind_the_leaf_that_was_read(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let first = message(talk.id, None, "a");
    stores.messages.extend(&w.me, talk.id, None, std::slice::from_ref(&first), at(1)).await.unwrap();
    let second = message(talk.id, Some(&first), "b");
    // Somebody else was quicker.
    let again = std::slice::from_ref(&second);
    refused(stores.messages.extend(&w.me, talk.id, None, again, at(2)).await, ErrorKind::Conflict);
    stores.messages.extend(&w.me, talk.id, Some(first.id), again, at(2)).await.unwrap();
    assert_eq!(stores.messages.path(&w.me, talk.id, None).await.unwrap(), ids(&[&first, &second]));
    let after = stores.conversations.get(&w.me, talk.id).await.unwrap();
    assert_eq!((after.message_count, after.active_leaf_id), (2, Some(second.id)));
    missing(stores.messages.extend(&w.me, id(), None, again, at(3)).await);
}

pub async fn removed_message_hands_its_children_on(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b", "c", "d"]).await;
    let side = w.thread(&talk, Some(&stem[1]), &["x"]).await;
    stores.messages.remove(&w.me, talk.id, stem[1].id, at(9)).await.unwrap();
    missing(stores.conversations.message(&w.me, talk.id, stem[1].id).await);
    for child in [&stem[2], &side[0]] {
        let stored = stores.conversations.message(&w.me, talk.id, child.id).await.unwrap();
        assert_eq!(stored.parent_id, Some(stem[0].id));
        assert_eq!(stored.path_stats, PathStats { depth: 2, tokens: 10, path_tokens: 20 });
    }
    let last = stats(&w, talk.id, stem[3].id).await;
    assert_eq!(last, PathStats { depth: 3, tokens: 10, path_tokens: 30 });
    let after = stores.conversations.get(&w.me, talk.id).await.unwrap();
    assert_eq!((after.message_count, after.active_leaf_id), (4, Some(side[0].id)));
    missing(stores.messages.remove(&w.me, talk.id, stem[1].id, at(10)).await);
}

pub async fn removed_end_and_beginning_leave_a_whole_path(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b", "c"]).await;
    stores.messages.remove(&w.me, talk.id, stem[2].id, at(9)).await.unwrap();
    assert_eq!(stores.messages.path(&w.me, talk.id, None).await.unwrap(), ids(&[&stem[0], &stem[1]]));
    stores.messages.remove(&w.me, talk.id, stem[0].id, at(9)).await.unwrap();
    assert_eq!(stores.messages.path(&w.me, talk.id, None).await.unwrap(), ids(&[&stem[1]]));
    assert_eq!(stats(&w, talk.id, stem[1].id).await, PathStats { depth: 1, tokens: 10, path_tokens: 10 });
    stores.messages.remove(&w.me, talk.id, stem[1].id, at(9)).await.unwrap();
    let empty = stores.conversations.get(&w.me, talk.id).await.unwrap();
    assert_eq!((empty.message_count, empty.active_leaf_id), (0, None));
}

pub async fn removed_answer_takes_its_run_along(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let talk = turn.run.conversation_id;
    refused(stores.messages.remove(&w.me, talk, turn.answer.id, at(9)).await, ErrorKind::Conflict);
    // What is asked can go while it is answered.
    stores.messages.remove(&w.me, talk, turn.messages[0].id, at(9)).await.unwrap();
    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap().user_message_id, None);
    let end = super::world::finish(&turn, "done", super::world::text_events(1, &["done"]));
    stores.runs.finish(&w.me, &end).await.unwrap();
    stores.messages.remove(&w.me, talk, turn.answer.id, at(300)).await.unwrap();
    missing(stores.runs.get(&w.me, turn.run.id).await);
}

pub async fn blanked_part_leaves_the_others_their_places(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let question = message(talk.id, None, "q");
    let mut answer = message(talk.id, Some(&question), "a");
    let call = Part::ToolCall(ToolCall::new("1", "f", json!({})));
    answer.content = vec![Part::text("one"), call.clone(), Part::text("three")];
    let next = message(talk.id, Some(&answer), "n");
    let all = [question, answer.clone(), next.clone()];
    stores.conversations.append(&w.me, talk.id, &all, at(1)).await.unwrap();
    stores.messages.blank(&w.me, talk.id, answer.id, &[0, 1], 4).await.unwrap();
    let stored = stores.conversations.message(&w.me, talk.id, answer.id).await.unwrap();
    assert_eq!(stored.content, [Part::text(""), Part::text(""), Part::text("three")]);
    assert_eq!(stored.path_stats, PathStats { depth: 2, tokens: 6, path_tokens: 16 });
    assert_eq!(stats(&w, talk.id, next.id).await, PathStats { depth: 3, tokens: 10, path_tokens: 26 });
    for wrong in [vec![0], vec![3], vec![2, 0]] {
        missing(stores.messages.blank(&w.me, talk.id, answer.id, &wrong, 1).await);
    }
    let after = stores.conversations.message(&w.me, talk.id, answer.id).await.unwrap();
    assert_eq!((&after, after.path_stats), (&stored, stored.path_stats));
    let running = w.begun().await;
    let refusal = stores.messages.blank(&w.me, running.run.conversation_id, running.answer.id, &[0], 0).await;
    refused(refusal, ErrorKind::Conflict);
}

pub async fn others_change_no_message(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b"]).await;
    let before = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let more = message(talk.id, stem.last(), "theirs");
    for scope in w.others() {
        missing(stores.messages.path(&scope, talk.id, None).await);
        let leaf = Some(stem[1].id);
        missing(stores.messages.extend(&scope, talk.id, leaf, std::slice::from_ref(&more), at(9)).await);
        missing(stores.messages.remove(&scope, talk.id, stem[1].id, at(9)).await);
        missing(stores.messages.blank(&scope, talk.id, stem[1].id, &[0], 1).await);
    }
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), before);
    assert_eq!(stores.messages.path(&w.me, talk.id, None).await.unwrap(), ids(&[&stem[0], &stem[1]]));
}
