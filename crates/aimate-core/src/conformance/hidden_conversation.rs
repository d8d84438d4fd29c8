use serde_json::{Value, json};

use super::world::{World, at, conversation, finish, message, missing, text_events};
use crate::conversation::{Conversation, ConversationFilter, ConversationSearch};
use crate::run::BeginRun;
use crate::{PageRequest, Stores};

/// A turn that begins a hidden conversation and keeps `request`.
fn hidden_turn(w: &World<'_>, request: Option<Value>) -> BeginRun {
    let talk = Conversation { is_hidden: true, ..conversation("chain") };
    let turn = BeginRun { create: Some(talk.clone()), ..w.turn(talk.id, None) };
    keeping(turn, request)
}

fn keeping(turn: BeginRun, request: Option<Value>) -> BeginRun {
    BeginRun { request, ..turn }
}

/// The titles of what a filter lets through.
async fn listed(w: &World<'_>, filter: ConversationFilter) -> Vec<String> {
    let page = w.stores.conversations.list(&w.me, &filter, PageRequest::default()).await.unwrap();
    page.data.into_iter().map(|row| row.title).collect()
}

/// How many conversations a search finds.
async fn found(w: &World<'_>, query: &str) -> usize {
    while w.stores.workers.index_messages().await.unwrap() > 0 {}
    let search = ConversationSearch::new(query);
    w.stores.conversations.search(&w.me, &search, PageRequest::default()).await.unwrap().data.len()
}

pub async fn hidden_conversation_is_in_no_list(stores: &Stores) {
    let w = World::new(stores).await;
    w.conversation("talk").await;
    let turn = hidden_turn(&w, None);
    stores.runs.begin(&w.me, &turn).await.unwrap();
    assert_eq!(listed(&w, ConversationFilter::new()).await, ["talk"]);
    assert_eq!(listed(&w, ConversationFilter::new().is_hidden(true)).await, ["chain"]);
    let stored = stores.conversations.get(&w.me, turn.run.conversation_id).await.unwrap();
    assert!(stored.is_hidden && stored.message_count == 2);
    let window = stores.conversations.window(&w.me, stored.id, None, 1_000, 10).await.unwrap();
    assert_eq!((window.conversation, window.messages.len()), (stored, 2));
}

pub async fn hidden_conversation_of_a_workspace_is_not_counted(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let talk = Conversation { is_hidden: true, workspace_id: Some(workspace.id), ..conversation("chain") };
    stores.conversations.create(&w.me, &talk).await.unwrap();
    let filter = || ConversationFilter::new().workspace_id(workspace.id);
    assert!(listed(&w, filter()).await.is_empty());
    assert_eq!(listed(&w, filter().is_hidden(true)).await, ["chain"]);
    assert_eq!(stores.workspaces.get(&w.me, workspace.id).await.unwrap().conversation_count, 0);
}

pub async fn hidden_conversation_is_not_found_by_its_words(stores: &Stores) {
    let w = World::new(stores).await;
    let mut turn = hidden_turn(&w, None);
    turn.messages[0].content = vec![crate::message::Part::text("a zebra")];
    stores.runs.begin(&w.me, &turn).await.unwrap();
    stores.runs.finish(&w.me, &finish(&turn, "a giraffe", text_events(1, &["a giraffe"]))).await.unwrap();
    let talk = turn.run.conversation_id;
    let more = message(talk, Some(&turn.answer), "an okapi");
    stores.conversations.append(&w.me, talk, std::slice::from_ref(&more), at(300)).await.unwrap();
    let mut next = w.turn(talk, Some(&more));
    next.messages[0].content = vec![crate::message::Part::text("a tapir")];
    stores.runs.begin(&w.me, &next).await.unwrap();
    for word in ["zebra", "giraffe", "okapi", "tapir", "chain"] {
        assert_eq!(found(&w, word).await, 0, "{word}");
    }
    // What is copied out of it is a conversation like others.
    let fork = conversation("copy");
    stores.conversations.fork(&w.me, talk, more.id, &fork, &crate::RandomIds).await.unwrap();
    assert_eq!(found(&w, "okapi").await, 1);
}

pub async fn request_is_kept_until_it_is_forgotten(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let request = json!({"tools": [{"name": "f"}], "temperature": 0.5, "text": "ä\u{1f980}"});
    let turn = keeping(w.turn(talk.id, None), Some(request.clone()));
    let plain = w.turn(talk.id, None);
    stores.runs.begin(&w.me, &plain).await.unwrap();
    missing(stores.run_requests.get(&w.me, plain.run.id).await);
    stores.runs.begin(&w.me, &turn).await.unwrap();
    let kept = (turn.run.clone(), request);
    assert_eq!(stores.run_requests.get(&w.me, turn.run.id).await.unwrap(), kept);
    for scope in w.others() {
        missing(stores.run_requests.get(&scope, turn.run.id).await);
        missing(stores.run_requests.forget(&scope, turn.run.id).await);
    }
    assert_eq!(stores.run_requests.get(&w.me, turn.run.id).await.unwrap(), kept);
    assert_eq!(stores.run_requests.forget(&w.me, turn.run.id).await.unwrap(), None);
    missing(stores.run_requests.get(&w.me, turn.run.id).await);
    missing(stores.run_requests.forget(&w.me, turn.run.id).await);
    // The conversation and the run stay.
    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap(), turn.run);
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap().message_count, 4);
}

pub async fn last_request_takes_its_hidden_conversation_along(stores: &Stores) {
    let w = World::new(stores).await;
    let first = hidden_turn(&w, Some(json!({"n": 1})));
    stores.runs.begin(&w.me, &first).await.unwrap();
    let talk = first.run.conversation_id;
    let second = keeping(w.turn(talk, Some(&first.answer)), Some(json!({"n": 2})));
    stores.runs.begin(&w.me, &second).await.unwrap();
    assert_eq!(stores.run_requests.forget(&w.me, first.run.id).await.unwrap(), None);
    assert_eq!(stores.conversations.get(&w.me, talk).await.unwrap().message_count, 4);
    assert_eq!(stores.run_requests.forget(&w.me, second.run.id).await.unwrap(), Some(talk));
    missing(stores.conversations.get(&w.me, talk).await);
    missing(stores.runs.get(&w.me, first.run.id).await);
    missing(stores.run_requests.forget(&w.me, second.run.id).await);
}

pub async fn hidden_conversation_ends_when_nobody_goes_on_with_it(stores: &Stores) {
    let w = World::new(stores).await;
    let open = w.conversation("talk").await;
    let mut chains = Vec::new();
    for n in 0..4 {
        let turn = hidden_turn(&w, Some(json!({"n": n})));
        stores.runs.begin(&w.me, &turn).await.unwrap();
        if n > 0 {
            stores.runs.finish(&w.me, &finish(&turn, "a", text_events(1, &["a"]))).await.unwrap();
        }
        chains.push(turn.run.conversation_id);
    }
    // The last one is gone on with.
    let last = stores.conversations.window(&w.me, chains[3], None, 100, 10).await.unwrap();
    let more = message(chains[3], last.messages.last(), "more");
    stores.conversations.append(&w.me, chains[3], &[more], at(9_000)).await.unwrap();
    let changed = stores.conversations.get(&w.me, chains[1]).await.unwrap().updated_at;
    assert_eq!(stores.run_requests.clear(changed, 10).await.unwrap(), 0);
    // One step deletes no more than it may, and never what is being answered or open.
    for deleted in [1, 1, 0] {
        assert_eq!(stores.run_requests.clear(at(9_000), 1).await.unwrap(), deleted);
    }
    for (n, chain) in chains.iter().enumerate() {
        let is_left = stores.conversations.get(&w.me, *chain).await.is_ok();
        assert_eq!(is_left, n == 0 || n == 3, "{n}");
    }
    assert_eq!(stores.conversations.get(&w.me, open.id).await.unwrap(), open);
    assert!(found(&w, "talk").await == 1);
}
