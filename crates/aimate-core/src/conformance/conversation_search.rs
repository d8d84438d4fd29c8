use super::world::{World, at, conversation, finish, id, message, text_events};
use crate::conversation::{
    Conversation, ConversationChange, ConversationSearch, DEFAULT_TITLE, FoundConversation,
};
use crate::error::ErrorKind;
use crate::message::{Message, MessageRole, Part};
use crate::scope::Scope;
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{Cursor, MessageId, PageRequest, RandomIds, Stores, Timestamp};

async fn search(w: &World<'_>, scope: &Scope, search: &ConversationSearch) -> Vec<FoundConversation> {
    let page = w.stores.conversations.search(scope, search, PageRequest::default()).await.unwrap();
    assert_eq!(page.next, None);
    page.data
}

/// The titles of what `query` finds for `scope`, the first hit first.
async fn found(w: &World<'_>, scope: &Scope, query: &str) -> Vec<String> {
    let hits = search(w, scope, &ConversationSearch::new(query)).await;
    hits.into_iter().map(|hit| hit.conversation.title).collect()
}

/// The message by which `query` finds something, and its text.
async fn best(w: &World<'_>, query: &str) -> (MessageId, String) {
    let mut hits = search(w, &w.me, &ConversationSearch::new(query)).await;
    assert_eq!(hits.len(), 1, "{query}");
    let message = hits.remove(0).message.unwrap();
    (message.id, message.text)
}

/// Lets all work on the index be done.
async fn settle(stores: &Stores) {
    while stores.workers.index_messages().await.unwrap() > 0 {}
}

/// A conversation of `scope` in which this is said.
async fn talk(w: &World<'_>, scope: &Scope, title: &str, texts: &[&str]) -> (Conversation, Vec<Message>) {
    talk_in(w, scope, conversation(title), texts).await
}

async fn talk_in(
    w: &World<'_>,
    scope: &Scope,
    talk: Conversation,
    texts: &[&str],
) -> (Conversation, Vec<Message>) {
    w.stores.conversations.create(scope, &talk).await.unwrap();
    let mut said: Vec<Message> = Vec::new();
    for text in texts {
        let next = message(talk.id, said.last(), text);
        w.stores.conversations.append(scope, talk.id, std::slice::from_ref(&next), at(1)).await.unwrap();
        said.push(next);
    }
    (talk, said)
}

pub async fn titles_and_messages_are_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (_, said) = talk(&w, &w.me, "Cellar", &["The pump leaks", "Change the seal of the pump"]).await;
    talk(&w, &w.me, "Garden", &["Roses need pruning"]).await;
    for is_settled in [false, true] {
        if is_settled {
            settle(stores).await;
        }
        assert_eq!(found(&w, &w.me, "cellar").await, ["Cellar"]);
        assert_eq!(found(&w, &w.me, "roses").await, ["Garden"]);
        assert_eq!(found(&w, &w.me, "valve").await, [""; 0]);
        // The newest of those that fit; of both words, the one that has both.
        assert_eq!(best(&w, "pump").await.0, said[1].id);
        assert_eq!(best(&w, "pump leaks").await, (said[0].id, "The pump leaks".to_owned()));
        // Words of title and messages together.
        assert_eq!(best(&w, "cellar seal").await.0, said[1].id);
        assert_eq!(found(&w, &w.me, "garden seal").await, [""; 0]);
        let hit = &search(&w, &w.me, &ConversationSearch::new("Cell")).await[0];
        assert_eq!((hit.message.clone(), hit.conversation.message_count), (None, 2));
    }
}

pub async fn every_script_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    for (query, text) in [
        ("小猫", "一只小猫在睡觉"),
        ("機械学習", "私は機械学習を勉強しています"),
        ("ปั๊ม", "ซ่อมปั๊มน้ำเสียแล้ว"),
        ("한국", "한국어를 배운다"),
        ("KOLN", "Das Café in Köln"),
        ("strasse", "Die lange Straße"),
        ("КНИГА", "Он читал книги"),
        ("runn", "It kept running"),
    ] {
        talk(&w, &w.me, text, &[&format!("{text} ...")]).await;
        assert_eq!(found(&w, &w.me, query).await, [text], "{query}");
    }
    settle(stores).await;
    assert_eq!(found(&w, &w.me, "猫").await, ["一只小猫在睡觉"]);
    assert_eq!(found(&w, &w.me, "小狗").await, [""; 0]);
}

pub async fn odd_queries_are_only_words(stores: &Stores) {
    let w = World::new(stores).await;
    talk(&w, &w.me, "Odd", &["say \"near\" and (or) not, 100% pump_7 o'clock"]).await;
    settle(stores).await;
    for query in ["?", "\"", "*", "😀", "\0", "' OR 1=1 --", "\u{301}", "((("] {
        found(&w, &w.me, query).await;
    }
    for query in ["\"near\"", "NEAR(100", "pump_7", "100%", "pu*", "title:odd"] {
        let expected: &[&str] = if query == "title:odd" { &[] } else { &["Odd"] };
        assert_eq!(found(&w, &w.me, query).await, expected, "{query}");
    }
    found(&w, &w.me, &"字".repeat(500)).await;
    found(&w, &w.me, &"a b c d e f g h ".repeat(30)).await;
}

pub async fn only_what_is_said_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation(DEFAULT_TITLE).await;
    let mut answer = message(talk.id, None, "the visible answer");
    answer.role = MessageRole::Assistant;
    answer.content.insert(0, Part::Reasoning { text: "hidden thought".into(), details: None });
    let mut tool = message(talk.id, Some(&answer), "secret result");
    tool.role = MessageRole::Tool;
    stores.conversations.append(&w.me, talk.id, &[answer, tool], at(1)).await.unwrap();
    assert_eq!(found(&w, &w.me, "visible").await.len(), 1);
    for query in ["hidden", "secret", "new conversation"] {
        assert_eq!(found(&w, &w.me, query).await.len(), 0, "{query}");
    }
}

pub async fn answer_is_found_when_it_is_whole(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("Talk").await;
    let turn = w.turn(talk.id, None);
    stores.runs.begin(&w.me, &turn).await.unwrap();
    let asked = crate::conversation::searchable_text(&turn.messages[0]).unwrap();
    assert_eq!(best(&w, &asked).await.0, turn.messages[0].id);
    settle(stores).await;
    let end = finish(&turn, "Barometric pressure", text_events(1, &["a"]));
    stores.runs.finish(&w.me, &end).await.unwrap();
    assert_eq!(best(&w, "barometric").await.0, turn.answer.id);
    settle(stores).await;
    assert_eq!(best(&w, "barometric").await.1, "Barometric pressure");
}

pub async fn title_is_found_as_it_is_now(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, _) = talk(&w, &w.me, "Boiler", &["something"]).await;
    let change = ConversationChange::new().title("Heating");
    stores.conversations.update(&w.me, talk.id, &change).await.unwrap();
    for _ in 0..2 {
        assert_eq!(found(&w, &w.me, "boiler").await, [""; 0]);
        assert_eq!(found(&w, &w.me, "boiler something").await, [""; 0]);
        assert_eq!(found(&w, &w.me, "heating").await, ["Heating"]);
        assert_eq!(found(&w, &w.me, "heating something").await, ["Heating"]);
        settle(stores).await;
    }
}

pub async fn forks_and_branches_are_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (first, said) = talk(&w, &w.me, "First", &["apple", "pear"]).await;
    let branch = message(first.id, Some(&said[0]), "quince");
    stores.conversations.append(&w.me, first.id, &[branch], at(2)).await.unwrap();
    assert_eq!(best(&w, "pear").await.0, said[1].id);
    assert_eq!(best(&w, "quince").await.1, "quince");
    let into = conversation("Copy");
    stores.conversations.fork(&w.me, first.id, said[1].id, &into, &RandomIds).await.unwrap();
    assert_eq!(found(&w, &w.me, "pear").await, ["Copy", "First"]);
    assert_eq!(found(&w, &w.me, "quince").await, ["First"]);
    settle(stores).await;
    assert_eq!(found(&w, &w.me, "copy apple").await, ["Copy"]);
}

pub async fn deleted_conversation_is_found_no_more(stores: &Stores) {
    let w = World::new(stores).await;
    let (gone, _) = talk(&w, &w.me, "Gone", &["walnut"]).await;
    talk(&w, &w.me, "Stays", &["walnut"]).await;
    for n in 0..20 {
        talk(&w, &w.me, &format!("{n}"), &["filler"]).await;
    }
    settle(stores).await;
    stores.conversations.delete(&w.me, gone.id).await.unwrap();
    assert_eq!(found(&w, &w.me, "walnut").await, ["Stays"]);
    settle(stores).await;
    assert_eq!(found(&w, &w.me, "walnut").await, ["Stays"]);
    assert_eq!(found(&w, &w.me, "filler").await.len(), 20);
}

pub async fn newest_message_comes_first_and_pages_follow(stores: &Stores) {
    let w = World::new(stores).await;
    for n in 0..25 {
        talk(&w, &w.me, &format!("talk {n}"), &["apple"]).await;
    }
    let oldest = search(&w, &w.me, &ConversationSearch::new("talk 0")).await.remove(0).conversation;
    let next = message(oldest.id, None, "apple again");
    stores.conversations.append(&w.me, oldest.id, &[next], at(3)).await.unwrap();
    for is_settled in [false, true] {
        if is_settled {
            settle(stores).await;
        }
        let mut titles = Vec::new();
        let mut page = PageRequest::first(4);
        loop {
            let query = ConversationSearch::new("apple");
            let found = stores.conversations.search(&w.me, &query, page).await.unwrap();
            titles.extend(found.data.into_iter().map(|hit| hit.conversation.title));
            let Some(next) = found.next else { break };
            page.after = Some(next);
        }
        let mut expected: Vec<String> = (1..25).rev().map(|n| format!("talk {n}")).collect();
        expected.insert(0, "talk 0".to_owned());
        assert_eq!(titles, expected);
    }
    let beyond = PageRequest { after: Some(Cursor { at: Timestamp(0), id: uuid::Uuid::nil() }), limit: 4 };
    let query = ConversationSearch::new("apple");
    assert!(stores.conversations.search(&w.me, &query, beyond).await.unwrap().data.is_empty());
}

pub async fn filters_narrow_a_search_down(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    for (title, edit) in [
        ("plain", conversation("plain")),
        ("tagged", Conversation { tags: vec!["a".into()], ..conversation("tagged") }),
        ("archived", Conversation { is_archived: true, ..conversation("archived") }),
        ("inside", Conversation { workspace_id: Some(workspace.id), ..conversation("inside") }),
    ] {
        let (made, _) = talk_in(&w, &w.me, edit, &["walnut"]).await;
        assert_eq!(made.title, title);
    }
    let titles = async |filter: ConversationSearch| -> Vec<String> {
        let mut titles: Vec<String> =
            search(&w, &w.me, &filter).await.into_iter().map(|hit| hit.conversation.title).collect();
        titles.sort();
        titles
    };
    let walnut = || ConversationSearch::new("walnut");
    assert_eq!(titles(walnut()).await, ["archived", "inside", "plain", "tagged"]);
    assert_eq!(titles(walnut().tag("a")).await, ["tagged"]);
    assert_eq!(titles(walnut().is_archived(true)).await, ["archived"]);
    assert_eq!(titles(walnut().is_archived(false)).await, ["inside", "plain", "tagged"]);
    assert_eq!(titles(walnut().workspace_id(workspace.id)).await, ["inside"]);
    assert_eq!(titles(walnut().tag("b")).await, [""; 0]);
    assert_eq!(titles(walnut().workspace_id(id::<crate::WorkspaceId>())).await, [""; 0]);
}

pub async fn others_find_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("mine").await;
    talk(&w, &w.me, "Mine", &["walnut"]).await;
    talk_in(
        &w,
        &w.me,
        Conversation { workspace_id: Some(workspace.id), ..conversation("Ours") },
        &["walnut"],
    )
    .await;
    for _ in 0..2 {
        for scope in w.others() {
            let query = ConversationSearch::new("walnut");
            let page = PageRequest::default();
            assert!(stores.conversations.search(&scope, &query, page).await.unwrap().data.is_empty());
            let query = query.workspace_id(workspace.id);
            assert!(stores.conversations.search(&scope, &query, page).await.unwrap().data.is_empty());
        }
        settle(stores).await;
    }
}

pub async fn members_find_what_is_in_a_workspace(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("ours").await;
    let inside = |title: &str| Conversation { workspace_id: Some(workspace.id), ..conversation(title) };
    talk_in(&w, &w.me, inside("Ours"), &["walnut"]).await;
    let (moving, _) = talk(&w, &w.me, "Moving", &["walnut"]).await;
    let member = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Viewer);
    stores.workspaces.put_member(&w.me, workspace.id, &member, at(1)).await.unwrap();
    assert_eq!(found(&w, &w.other, "walnut").await, ["Ours"]);

    let into = ConversationChange::new().workspace_id(Some(workspace.id));
    stores.conversations.update(&w.me, moving.id, &into).await.unwrap();
    for _ in 0..2 {
        assert_eq!(found(&w, &w.other, "walnut").await, ["Moving", "Ours"]);
        assert_eq!(found(&w, &w.me, "walnut").await, ["Moving", "Ours"]);
        settle(stores).await;
    }
    let out = ConversationChange::new().workspace_id(None::<crate::WorkspaceId>);
    stores.conversations.update(&w.me, moving.id, &out).await.unwrap();
    for _ in 0..2 {
        assert_eq!(found(&w, &w.other, "walnut").await, ["Ours"]);
        assert_eq!(found(&w, &w.me, "walnut").await, ["Moving", "Ours"]);
        settle(stores).await;
    }
    let gone = stores.workspaces.remove_member(&w.me, workspace.id, w.other.user.into()).await;
    gone.unwrap();
    assert_eq!(found(&w, &w.other, "walnut").await, [""; 0]);
    // What was in it is its maker's alone.
    stores.workspaces.delete(&w.me, workspace.id).await.unwrap();
    settle(stores).await;
    assert_eq!(found(&w, &w.me, "walnut").await, ["Moving", "Ours"]);
}

pub async fn refused_writes_change_no_index(stores: &Stores) {
    let w = World::new(stores).await;
    let (mine, _) = talk(&w, &w.me, "Mine", &["walnut"]).await;
    for scope in w.others() {
        let c = &stores.conversations;
        let change = ConversationChange::new().title("Almond");
        assert_eq!(c.update(&scope, mine.id, &change).await.unwrap_err().kind(), ErrorKind::NotFound);
        let foreign = message(mine.id, None, "almond");
        assert!(c.append(&scope, mine.id, &[foreign], at(2)).await.is_err());
        assert!(c.delete(&scope, mine.id).await.is_err());
    }
    settle(stores).await;
    assert_eq!(found(&w, &w.me, "almond").await, [""; 0]);
    assert_eq!(found(&w, &w.me, "walnut").await, ["Mine"]);
}

pub async fn long_history_is_found_whole(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("Long").await;
    let mut parent: Option<Message> = None;
    for part in 0..10 {
        let mut batch: Vec<Message> = Vec::new();
        for n in 0..30 {
            let text = format!("number{} of many filler{}", part * 30 + n, n % 7);
            batch.push(message(talk.id, batch.last().or(parent.as_ref()), &text));
        }
        stores.conversations.append(&w.me, talk.id, &batch, at(1)).await.unwrap();
        parent = batch.pop();
        settle(stores).await;
    }
    for n in [0, 29, 30, 150, 299] {
        assert_eq!(
            best(&w, &format!("number{n} many")).await.1,
            format!("number{n} of many filler{}", n % 30 % 7)
        );
    }
    assert_eq!(found(&w, &w.me, "number300 many").await, [""; 0]);
    // A copy is indexed piece by piece.
    let into = conversation("Copy");
    let leaf = parent.unwrap().id;
    stores.conversations.fork(&w.me, talk.id, leaf, &into, &RandomIds).await.unwrap();
    settle(stores).await;
    for n in [0, 31, 299] {
        assert_eq!(found(&w, &w.me, &format!("number{n} many")).await, ["Copy", "Long"]);
    }
}
