use serde_json::{Map, json};

use super::world::{World, all, at, conversation, id, message, missing, prompt, refused};
use crate::conversation::{Conversation, Window};
use crate::error::ErrorKind;
use crate::message::{CallApproval, Citation, Message, MessageStatus, Part, ToolCall, ToolResult};
use crate::page::{Page, PageRequest};
use crate::usage::Cost;
use crate::workspace::Workspace;
use crate::{MessageId, RandomIds, Stores, conversation::ListedMessage};

async fn page(
    w: &World<'_>,
    of: &Conversation,
    leaf: Option<MessageId>,
    request: PageRequest,
) -> Page<ListedMessage> {
    w.stores.conversations.messages(&w.me, of.id, leaf, request).await.unwrap()
}

/// What is said in a page, one letter a message.
fn said(page: &Page<ListedMessage>) -> String {
    page.data.iter().map(|listed| crate::message::text_of(&listed.message.content)).collect()
}

async fn window(w: &World<'_>, of: &Conversation, leaf: Option<MessageId>, tokens: u64, max: u32) -> Window {
    w.stores.conversations.window(&w.me, of.id, leaf, tokens, max).await.unwrap()
}

fn heard(window: &Window) -> String {
    window.messages.iter().map(|message| crate::message::text_of(&message.content)).collect()
}

pub async fn appended_messages_are_found(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let mut first = message(talk.id, None, "Grüße 🦀");
    first.metadata = Map::from_iter([("k".into(), json!([1, {"deep": null}]))]);
    let mut second = message(talk.id, Some(&first), "b");
    second.model = Some("local/llama".into());
    second.usage = Some(super::world::tokens(3, 4));
    second.cost = Some(Cost(1_234_567));
    second.status = MessageStatus::Interrupted;
    stores.conversations.append(&w.me, talk.id, &[first.clone(), second.clone()], at(7)).await.unwrap();

    for stored in [&first, &second] {
        let found = stores.conversations.message(&w.me, talk.id, stored.id).await.unwrap();
        assert_eq!((&found, found.path_stats), (stored, stored.path_stats));
    }
    let after = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let expected =
        Conversation { active_leaf_id: Some(second.id), message_count: 2, updated_at: at(7), ..talk };
    assert_eq!(after, expected);
    missing(stores.conversations.message(&w.me, after.id, id()).await);
    missing(stores.conversations.append(&w.me, id(), &[message(id(), None, "x")], at(8)).await);
}

pub async fn every_part_reads_back(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let mut stored = message(talk.id, None, "text \"quoted\" \\u0000 \n\t");
    stored.content.extend([
        Part::Image { url: Some("https://a.example/i.png".into()), data: None, media_type: None },
        Part::File { file_id: id(), name: "a.txt".into(), media_type: "text/plain".into() },
        Part::Reasoning { text: String::new(), details: Some(json!([{"signature": "=="}])) },
        Part::ToolCall(ToolCall {
            id: "c1".into(),
            name: "f".into(),
            arguments: json!({"n": 0.1, "b": 1e21}),
            is_made_here: true,
            server: Some("files".into()),
            extra: serde_json::Map::from_iter([(
                "extra_content".into(),
                json!({"google": {"thought_signature": "s=="}}),
            )]),
            approval: Some(CallApproval::Asked { tool: "t".into() }),
        }),
        Part::Extra {
            fields: serde_json::Map::from_iter([("images".into(), json!([{"type": "image_url"}]))]),
        },
        Part::ToolResult(ToolResult::error("c1", "plain")),
        Part::Citation(Citation {
            n: 1,
            document_id: Some(id()),
            file_id: Some(id()),
            chunk_id: Some(id()),
            title: "t".into(),
            source: None,
            url: None,
            page: Some(2),
            start: 0,
            end: 9,
            text: "passage".into(),
            score: 0.87,
            quotes: Vec::new(),
            is_stale: false,
        }),
        Part::Citation(Citation {
            n: 2,
            document_id: None,
            file_id: None,
            chunk_id: None,
            title: "t".into(),
            source: Some("ticket:42".into()),
            url: Some("https://helpdesk.example.org/42".into()),
            page: None,
            start: 0,
            end: 9,
            text: "passage".into(),
            score: 0.0,
            quotes: Vec::new(),
            is_stale: false,
        }),
    ]);
    stores.conversations.append(&w.me, talk.id, &[stored.clone()], at(1)).await.unwrap();
    let found = stores.conversations.message(&w.me, talk.id, stored.id).await.unwrap();
    assert_eq!(found, stored);
}

pub async fn nul_is_removed(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("ta\0lk").await;
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap().title, "talk");
    let mut stored = message(talk.id, None, "a\0b");
    stored.content.push(Part::ToolResult(ToolResult::new("1", json!({"k\0": ["\0x"]}))));
    stores.conversations.append(&w.me, talk.id, &[stored.clone()], at(1)).await.unwrap();
    let found = stores.conversations.message(&w.me, talk.id, stored.id).await.unwrap();
    let clean = Part::ToolResult(ToolResult::new("1", json!({"k": ["x"]})));
    assert_eq!(found.content, [Part::text("ab"), clean]);
}

pub async fn append_is_all_or_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stored = w.thread(&talk, None, &["a"]).await;
    let before = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let good = message(talk.id, stored.last(), "b");
    let orphan = Message { parent_id: Some(id()), ..message(talk.id, None, "c") };
    missing(stores.conversations.append(&w.me, talk.id, &[good.clone(), orphan], at(9)).await);
    let taken = Message { id: stored[0].id, ..message(talk.id, Some(&good), "d") };
    refused(
        stores.conversations.append(&w.me, talk.id, &[good.clone(), taken], at(9)).await,
        ErrorKind::Conflict,
    );
    missing(stores.conversations.message(&w.me, talk.id, good.id).await);
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), before);
}

pub async fn parent_of_another_conversation_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, other) = (w.conversation("talk").await, w.conversation("other").await);
    let elsewhere = w.thread(&other, None, &["a"]).await;
    let reply = message(talk.id, elsewhere.last(), "b");
    missing(stores.conversations.append(&w.me, talk.id, &[reply], at(9)).await);
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), talk);
}

pub async fn pages_come_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    w.thread(&talk, None, &["a", "b", "c", "d", "e", "f", "g"]).await;
    let mut request = PageRequest::first(3);
    for expected in ["efg", "bcd", "a"] {
        let page = page(&w, &talk, None, request).await;
        assert_eq!(said(&page), expected);
        assert_eq!(page.next.is_some(), expected != "a");
        assert!(page.next.is_none_or(|next| next.id == page.data[0].message.id.0));
        request.after = page.next;
    }
    let exact = page(&w, &talk, None, PageRequest::first(7)).await;
    assert_eq!((said(&exact).as_str(), exact.next), ("abcdefg", None));
    let later = all(|request| stores.conversations.messages(&w.me, talk.id, None, request)).await;
    assert_eq!(later.len(), 7);
}

pub async fn page_of_large_messages_is_shorter(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let mut messages: Vec<Message> = Vec::new();
    for n in 0..6 {
        // Three of them are as large as a user's message may be.
        let text = if n % 2 == 0 { "é".repeat(1 << 20) } else { n.to_string() };
        messages.push(message(talk.id, messages.last(), &text));
    }
    stores.conversations.append(&w.me, talk.id, &messages, at(7)).await.unwrap();
    let (mut request, mut pages) = (PageRequest::first(50), Vec::new());
    loop {
        let page = page(&w, &talk, None, request).await;
        pages.push(page.data.iter().map(|listed| listed.message.id).collect::<Vec<_>>());
        match page.next {
            None => break,
            next => request.after = next,
        }
    }
    assert!(pages.len() > 1 && pages.iter().all(|page| !page.is_empty()), "{pages:?}");
    let found: Vec<_> = pages.into_iter().rev().flatten().collect();
    assert_eq!(found, messages.iter().map(|message| message.id).collect::<Vec<_>>());
}

pub async fn page_of_another_leaf(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b"]).await;
    w.thread(&talk, Some(&stem[0]), &["x", "y"]).await;
    assert_eq!(said(&page(&w, &talk, None, PageRequest::default()).await), "axy");
    assert_eq!(said(&page(&w, &talk, Some(stem[1].id), PageRequest::default()).await), "ab");
    assert_eq!(said(&page(&w, &talk, Some(stem[0].id), PageRequest::default()).await), "a");
}

pub async fn newest_leaf_of_a_branch(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b", "c"]).await;
    let branch = w.thread(&talk, Some(&stem[0]), &["x", "y"]).await;
    let c = &stores.conversations;
    for (from, leaf) in
        [(&stem[0], &branch[1]), (&stem[1], &stem[2]), (&stem[2], &stem[2]), (&branch[0], &branch[1])]
    {
        assert_eq!(c.newest_leaf(&w.me, talk.id, from.id).await.unwrap(), leaf.id);
    }
}

pub async fn siblings_are_the_branches(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b"]).await;
    let branch = w.thread(&talk, Some(&stem[0]), &["x"]).await;
    let root = w.thread(&talk, None, &["r"]).await;
    let listed = page(&w, &talk, Some(branch[0].id), PageRequest::default()).await;
    let siblings: Vec<_> = listed.data.into_iter().map(|listed| listed.sibling_ids).collect();
    assert_eq!(siblings, [vec![stem[0].id, root[0].id], vec![stem[1].id, branch[0].id]]);
    let later = page(&w, &talk, Some(branch[0].id), PageRequest::first(1)).await;
    assert_eq!(later.data[0].sibling_ids, [stem[1].id, branch[0].id]);
}

pub async fn empty_conversation_has_an_empty_page(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let page = page(&w, &talk, None, PageRequest::default()).await;
    assert_eq!((page.data.len(), page.next), (0, None));
}

pub async fn unknown_leaf_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, other) = (w.conversation("talk").await, w.conversation("other").await);
    w.thread(&talk, None, &["a"]).await;
    let elsewhere = w.thread(&other, None, &["b"]).await;
    for leaf in [id(), elsewhere[0].id] {
        let c = &stores.conversations;
        missing(c.messages(&w.me, talk.id, Some(leaf), PageRequest::default()).await);
        missing(c.newest_leaf(&w.me, talk.id, leaf).await);
        missing(c.window(&w.me, talk.id, Some(leaf), 1000, 10).await);
        missing(c.fork(&w.me, talk.id, leaf, &conversation("fork"), &RandomIds).await);
    }
    missing(stores.conversations.messages(&w.me, id(), None, PageRequest::default()).await);
}

pub async fn window_stays_within_its_tokens(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    w.thread(&talk, None, &["a", "b", "c", "d"]).await;
    // Ten tokens each.
    for (tokens, expected) in [(0, "d"), (10, "d"), (19, "d"), (20, "cd"), (39, "bcd"), (40, "abcd")] {
        assert_eq!(heard(&window(&w, &talk, None, tokens, 100).await), expected, "{tokens}");
    }
    assert_eq!(heard(&window(&w, &talk, None, u64::MAX, u32::MAX).await), "abcd");
}

pub async fn window_stays_within_its_messages(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stored = w.thread(&talk, None, &["a", "b", "c"]).await;
    for (max, expected) in [(0, "c"), (1, "c"), (2, "bc"), (3, "abc"), (4, "abc")] {
        assert_eq!(heard(&window(&w, &talk, None, 1000, max).await), expected, "{max}");
    }
    let whole = window(&w, &talk, None, 1000, 3).await;
    assert_eq!(whole.messages, stored);
    assert_eq!(whole.messages[2].path_stats, stored[2].path_stats);
}

pub async fn window_ends_at_the_given_leaf(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b", "c"]).await;
    w.thread(&talk, Some(&stem[0]), &["x"]).await;
    assert_eq!(heard(&window(&w, &talk, None, 1000, 9).await), "ax");
    assert_eq!(heard(&window(&w, &talk, Some(stem[1].id), 1000, 9).await), "ab");
}

pub async fn window_has_the_active_prompts(stores: &Stores) {
    let w = World::new(stores).await;
    let (workspace, other): (Workspace, Workspace) = (w.workspace("w").await, w.workspace("o").await);
    let inside = Conversation { workspace_id: Some(workspace.id), ..conversation("inside") };
    stores.conversations.create(&w.me, &inside).await.unwrap();
    w.thread(&inside, None, &["a", "b"]).await;
    assert_eq!(window(&w, &inside, None, 1000, 9).await.prompts, []);

    let mut off = prompt(Some(workspace.id), "off");
    off.is_active = false;
    let prompts = [
        prompt(Some(workspace.id), "first"),
        off,
        prompt(Some(other.id), "other"),
        prompt(None, "library"),
        prompt(Some(workspace.id), "second"),
    ];
    for prompt in &prompts {
        stores.prompts.create(&w.me, prompt).await.unwrap();
    }
    let seen = window(&w, &inside, None, 1000, 9).await;
    assert_eq!(seen.prompts, [prompts[0].clone(), prompts[4].clone()]);
    assert_eq!(heard(&seen), "ab");
    assert_eq!(seen.conversation, stores.conversations.get(&w.me, inside.id).await.unwrap());
    let outside = w.conversation("outside").await;
    assert_eq!(window(&w, &outside, None, 1000, 9).await.prompts, []);
}

pub async fn window_of_an_empty_conversation(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let empty = window(&w, &talk, None, 1000, 9).await;
    assert_eq!((empty.conversation, empty.messages.len()), (talk, 0));
    missing(stores.conversations.window(&w.me, id(), None, 1000, 9).await);
}

pub async fn fork_copies_the_path(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stem = w.thread(&talk, None, &["a", "b", "c"]).await;
    w.thread(&talk, Some(&stem[0]), &["x"]).await;
    let before = stores.conversations.get(&w.me, talk.id).await.unwrap();
    let into = conversation("fork");
    let fork = stores.conversations.fork(&w.me, talk.id, stem[1].id, &into, &RandomIds).await.unwrap();

    let copies = page(&w, &fork, None, PageRequest::default()).await;
    assert_eq!(said(&copies), "ab");
    assert_eq!((fork.message_count, fork.active_leaf_id), (2, Some(copies.data[1].message.id)));
    assert_eq!(stores.conversations.get(&w.me, fork.id).await.unwrap(), fork);
    let mut parent = None;
    for (copy, original) in copies.data.into_iter().zip(&stem) {
        let expected =
            Message { id: copy.message.id, conversation_id: fork.id, parent_id: parent, ..original.clone() };
        assert_ne!(copy.message.id, original.id);
        assert!(parent < Some(copy.message.id));
        assert_eq!((&copy.message, copy.message.path_stats), (&expected, original.path_stats));
        parent = Some(copy.message.id);
    }
    assert_eq!(stores.conversations.get(&w.me, talk.id).await.unwrap(), before);
}

pub async fn fork_does_not_copy_a_run(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    let (from, answer) = (begin.run.conversation_id, begin.answer.id);
    let fork =
        stores.conversations.fork(&w.me, from, answer, &conversation("fork"), &RandomIds).await.unwrap();
    let copies = page(&w, &fork, None, PageRequest::default()).await;
    // Nobody would ever end the copy.
    assert_eq!(copies.data[1].message.status, MessageStatus::Interrupted);
}

pub async fn refused_fork_stores_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let stored = w.thread(&talk, None, &["a"]).await;
    let taken = w.conversation("taken").await;
    refused(
        stores.conversations.fork(&w.me, talk.id, stored[0].id, &taken, &RandomIds).await,
        ErrorKind::Conflict,
    );
    assert_eq!(stores.conversations.get(&w.me, taken.id).await.unwrap(), taken);
    let into = conversation("fork");
    missing(stores.conversations.fork(&w.me, talk.id, id(), &into, &RandomIds).await);
    missing(stores.conversations.get(&w.me, into.id).await);
    let foreign = Conversation { workspace_id: Some(id()), ..conversation("fork") };
    missing(stores.conversations.fork(&w.me, talk.id, stored[0].id, &foreign, &RandomIds).await);
    missing(stores.conversations.get(&w.me, foreign.id).await);
}
