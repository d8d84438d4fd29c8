use serde_json::{Map, json};

use super::world::{World, all, at, conversation, finish, id, message, missing, refused, text_events};
use crate::conversation::{Conversation, ConversationChange, ConversationFilter};
use crate::error::ErrorKind;
use crate::usage::UsageFilter;
use crate::{PageRequest, RandomIds, Stores};

/// The titles of the list, in its order.
async fn titles(w: &World<'_>, filter: &ConversationFilter) -> Vec<String> {
    let rows = all(|page| w.stores.conversations.list(&w.me, filter, page)).await;
    rows.into_iter().map(|row| row.title).collect()
}

/// Stores a conversation after `edit`.
async fn created(w: &World<'_>, title: &str, edit: impl FnOnce(&mut Conversation)) -> Conversation {
    let mut created = conversation(title);
    edit(&mut created);
    w.stores.conversations.create(&w.me, &created).await.unwrap();
    created
}

pub async fn created_conversation_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let stored = created(&w, "Größe 🦀", |c| {
        c.workspace_id = Some(workspace.id);
        c.system_prompt = Some("Be brief.".into());
        c.is_pinned = true;
        c.tags = vec!["a".into(), "ü".into()];
        c.metadata = Map::from_iter([("deep".into(), json!({"n": [1, 2.5, null, "x"]}))]);
        c.updated_at = at(3);
    })
    .await;
    assert_eq!(stores.conversations.get(&w.me, stored.id).await.unwrap(), stored);
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let stored = w.conversation("a").await;
    refused(stores.conversations.create(&w.me, &stored).await, ErrorKind::Conflict);
}

pub async fn foreign_workspace_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("mine").await;
    let inside = Conversation { workspace_id: Some(workspace.id), ..conversation("theirs") };
    for scope in w.others() {
        missing(stores.conversations.create(&scope, &inside).await);
    }
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.conversation("mine").await;
    let messages = w.thread(&mine, None, &["a", "b"]).await;
    let before = stores.conversations.get(&w.me, mine.id).await.unwrap();
    let change = ConversationChange { title: Some("theirs".into()), ..ConversationChange::default() };
    for scope in w.others() {
        let c = &stores.conversations;
        missing(c.get(&scope, mine.id).await);
        missing(c.update(&scope, mine.id, &change).await);
        missing(c.delete(&scope, mine.id).await);
        missing(c.message(&scope, mine.id, messages[0].id).await);
        missing(c.messages(&scope, mine.id, None, PageRequest::default()).await);
        missing(c.newest_leaf(&scope, mine.id, messages[0].id).await);
        missing(c.messages(&scope, mine.id, Some(messages[0].id), PageRequest::default()).await);
        let more = message(mine.id, messages.last(), "theirs");
        missing(c.append(&scope, mine.id, &[more], at(9)).await);
        missing(c.append(&scope, mine.id, &[], at(9)).await);
        missing(c.window(&scope, mine.id, None, 1000, 10).await);
        missing(c.fork(&scope, mine.id, messages[1].id, &conversation("fork"), &RandomIds).await);
        let seen = c.list(&scope, &ConversationFilter::default(), PageRequest::default()).await;
        assert!(seen.unwrap().data.is_empty());
    }
    assert_eq!(stores.conversations.get(&w.me, mine.id).await.unwrap(), before);
}

pub async fn last_changed_is_listed_first(stores: &Stores) {
    let w = World::new(stores).await;
    let first = w.conversation("first").await;
    for title in ["second", "third"] {
        w.conversation(title).await;
    }
    assert_eq!(titles(&w, &ConversationFilter::default()).await, ["third", "second", "first"]);
    w.thread(&first, None, &["hi"]).await;
    assert_eq!(titles(&w, &ConversationFilter::default()).await, ["first", "third", "second"]);
}

pub async fn paging_survives_equal_times(stores: &Stores) {
    let w = World::new(stores).await;
    for n in 0..7 {
        created(&w, &n.to_string(), |c| c.updated_at = at(n / 3)).await;
    }
    let expected = ["6", "5", "4", "3", "2", "1", "0"];
    assert_eq!(titles(&w, &ConversationFilter::default()).await, expected);
}

pub async fn filters_are_combined(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    created(&w, "pinned", |c| c.is_pinned = true).await;
    created(&w, "archived", |c| c.is_archived = true).await;
    created(&w, "inside", |c| c.workspace_id = Some(workspace.id)).await;
    created(&w, "tagged", |c| {
        c.tags = vec!["blue".into(), "red".into()];
        c.is_pinned = true;
    })
    .await;
    let none = ConversationFilter::default;
    let filters = [
        (ConversationFilter { is_pinned: Some(true), ..none() }, vec!["tagged", "pinned"]),
        (ConversationFilter { is_pinned: Some(false), ..none() }, vec!["inside", "archived"]),
        (ConversationFilter { is_archived: Some(true), ..none() }, vec!["archived"]),
        (ConversationFilter { is_archived: Some(false), ..none() }, vec!["tagged", "inside", "pinned"]),
        (ConversationFilter { workspace_id: Some(workspace.id), ..none() }, vec!["inside"]),
        (ConversationFilter { workspace_id: Some(id()), ..none() }, vec![]),
        (ConversationFilter { tag: Some("red".into()), ..none() }, vec!["tagged"]),
        (ConversationFilter { tag: Some("re".into()), ..none() }, vec![]),
        (ConversationFilter { tag: Some("blue".into()), is_pinned: Some(false), ..none() }, vec![]),
        (ConversationFilter { query: Some("in".into()), is_pinned: Some(true), ..none() }, vec!["pinned"]),
    ];
    for (filter, expected) in filters {
        assert_eq!(titles(&w, &filter).await, expected, "{filter:?}");
    }
}

pub async fn titles_are_searched_whatever_the_case(stores: &Stores) {
    let w = World::new(stores).await;
    for title in ["Ärger mit ÖBB", "100% sure", "a_b", "plain"] {
        w.conversation(title).await;
    }
    let searches: [(&str, &[&str]); 5] = [
        ("äRGER", &["Ärger mit ÖBB"]),
        ("öbb", &["Ärger mit ÖBB"]),
        ("%", &["100% sure"]),
        ("A_", &["a_b"]),
        ("\\", &[]),
    ];
    for (query, expected) in searches {
        let filter = ConversationFilter { query: Some(query.into()), ..ConversationFilter::default() };
        assert_eq!(titles(&w, &filter).await, expected, "{query}");
    }
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let before = w.conversation("before").await;
    let change = ConversationChange {
        title: Some("After".into()),
        workspace_id: Some(Some(workspace.id)),
        is_archived: Some(true),
        tags: Some(vec!["t".into()]),
        system_prompt: Some("Be kind.".into()),
        ..ConversationChange::default()
    };
    let after = stores.conversations.update(&w.me, before.id, &change).await.unwrap();
    let expected = Conversation {
        title: "After".into(),
        workspace_id: Some(workspace.id),
        is_archived: true,
        tags: vec!["t".into()],
        system_prompt: Some("Be kind.".into()),
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(stores.conversations.get(&w.me, after.id).await.unwrap(), expected);
    let filter = ConversationFilter { query: Some("AFTER".into()), ..ConversationFilter::default() };
    assert_eq!(titles(&w, &filter).await, ["After"]);
    missing(stores.conversations.update(&w.me, id(), &change).await);

    let change = ConversationChange { system_prompt: Some(String::new()), ..ConversationChange::default() };
    let after = stores.conversations.update(&w.me, after.id, &change).await.unwrap();
    assert_eq!(after, Conversation { system_prompt: None, ..expected });
}

pub async fn update_takes_it_out_of_its_workspace(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let inside = created(&w, "inside", |c| c.workspace_id = Some(workspace.id)).await;
    let out = ConversationChange { workspace_id: Some(None), ..ConversationChange::default() };
    let after = stores.conversations.update(&w.me, inside.id, &out).await.unwrap();
    assert_eq!(after.workspace_id, None);
}

pub async fn update_opens_a_branch(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let messages = w.thread(&talk, None, &["a", "b"]).await;
    let open = ConversationChange { active_leaf_id: Some(messages[0].id), ..ConversationChange::default() };
    let after = stores.conversations.update(&w.me, talk.id, &open).await.unwrap();
    assert_eq!(after.active_leaf_id, Some(messages[0].id));
    let page = stores.conversations.messages(&w.me, talk.id, None, PageRequest::default()).await.unwrap();
    assert_eq!(page.data.len(), 1);
}

pub async fn refused_update_changes_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let other = w.conversation("other").await;
    let elsewhere = w.thread(&other, None, &["a"]).await;
    let mut theirs = conversation("theirs");
    stores.conversations.create(&w.other, &theirs).await.unwrap();
    theirs.workspace_id = Some(w.workspace("mine").await.id);
    let rename = || ConversationChange { title: Some("new".into()), ..ConversationChange::default() };
    for change in [
        ConversationChange { workspace_id: Some(Some(id())), ..rename() },
        ConversationChange { active_leaf_id: Some(elsewhere[0].id), ..rename() },
        ConversationChange { active_leaf_id: Some(id()), ..rename() },
    ] {
        missing(stores.conversations.update(&w.me, talk.id, &change).await);
    }
    let change = ConversationChange { workspace_id: Some(theirs.workspace_id), ..rename() };
    missing(stores.conversations.update(&w.other, theirs.id, &change).await);
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), talk);
}

pub async fn deleted_conversation_takes_messages_and_runs(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    let (id, question) = (begin.run.conversation_id, begin.messages[0].id);
    stores.runs.finish(&w.me, &finish(&begin, "x", text_events(1, &["x"]))).await.unwrap();
    let kept = w.conversation("kept").await;
    w.thread(&kept, None, &["a"]).await;

    stores.conversations.delete(&w.me, id).await.unwrap();
    missing(stores.conversations.get(&w.me, id).await);
    missing(stores.conversations.delete(&w.me, id).await);
    missing(stores.conversations.message(&w.me, id, question).await);
    missing(stores.runs.get(&w.me, begin.run.id).await);
    missing(stores.runs.events(&w.me, begin.run.id, 0, 10).await);
    let sums = stores.usage.summarize(&w.me, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums[0].calls, 1);
    assert_eq!(stores.conversations.get(&w.me, kept.id).await.unwrap().message_count, 1);
}
