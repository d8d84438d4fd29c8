use futures_util::future::join_all;

use super::world::{World, all, at, conversation, id, missing, refused};
use crate::deletion::{DeletionStep, DeletionTarget};
use crate::error::ErrorKind;
use crate::message::{MessageRole, MessageStatus};
use crate::share::{MAX_SHARES, Share, SharedConversation, SharedMessage, SharedPart};
use crate::tenant::TenantChange;
use crate::user::UserChange;
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{ConversationId, PageRequest, Scope, Stores};

/// A link of `scope`'s user that ends after a thousand seconds.
fn share(scope: &Scope, conversation: ConversationId) -> Share {
    Share {
        id: id(),
        conversation_id: conversation,
        message_id: id(),
        user_id: scope.user,
        title: "talk — 谈话".into(),
        message_count: 1,
        has_system_prompt: true,
        created_at: at(0),
        expires_at: at(1_000),
    }
}

/// What such a link shows.
fn shown(text: &str) -> SharedConversation {
    let quotes = vec!["in May".to_owned()];
    SharedConversation {
        title: "talk — 谈话".into(),
        system_prompt: Some("Be brief.".into()),
        messages: vec![SharedMessage {
            role: MessageRole::Assistant,
            content: vec![
                SharedPart::Text { text: text.into() },
                SharedPart::Image {
                    url: None,
                    data: Some("aGk=".into()),
                    media_type: Some("image/png".into()),
                },
                SharedPart::File { name: "a.pdf".into(), media_type: "application/pdf".into() },
                SharedPart::Citation { n: 1, title: "Manual".into(), page: Some(3), quotes },
            ],
            status: MessageStatus::Complete,
            model: Some("gpt".into()),
            created_at: at(0),
        }],
        shared_at: at(0),
        expires_at: at(1_000),
    }
}

/// A hash that no other link of any case has.
fn hash() -> Vec<u8> {
    [id::<uuid::Uuid>(), id::<uuid::Uuid>()].iter().flat_map(|part| *part.as_bytes()).collect()
}

/// A link of mine to a conversation of mine, and the hash of its secret.
async fn shared<'s>(stores: &'s Stores) -> (World<'s>, Share, Vec<u8>) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let (share, hash) = (share(&w.me, talk.id), hash());
    stores.shares.create(&w.me, &share, &hash, &shown("In May.")).await.unwrap();
    (w, share, hash)
}

pub async fn link_shows_what_was_shared(stores: &Stores) {
    let (w, share, hash) = shared(stores).await;
    let found = stores.shares.find(&hash, at(1)).await.unwrap();
    assert_eq!(found, Some(shown("In May.")));
    assert_eq!(
        all(|page| stores.shares.list(&w.me, share.conversation_id, page)).await,
        std::slice::from_ref(&share)
    );
    for wrong in [&hash[1..], b"", &[0; 32]] {
        assert_eq!(stores.shares.find(wrong, at(1)).await.unwrap(), None);
    }
    let again = stores.shares.create(&w.me, &share, &hash, &shown("x")).await;
    refused(again, ErrorKind::Conflict);
}

pub async fn links_are_listed_newest_first(stores: &Stores) {
    let (w, first, _) = shared(stores).await;
    let mut expected = vec![first.clone()];
    for _ in 0..4 {
        let next = share(&w.me, first.conversation_id);
        stores.shares.create(&w.me, &next, &hash(), &shown("x")).await.unwrap();
        expected.insert(0, next);
    }
    assert_eq!(all(|page| stores.shares.list(&w.me, first.conversation_id, page)).await, expected);
    let quiet = w.conversation("quiet").await;
    assert!(all(|page| stores.shares.list(&w.me, quiet.id, page)).await.is_empty());
}

pub async fn link_ends_and_is_cleared(stores: &Stores) {
    let (w, share, hash) = shared(stores).await;
    assert!(stores.shares.find(&hash, at(999)).await.unwrap().is_some());
    assert_eq!(stores.shares.find(&hash, at(1_000)).await.unwrap(), None);
    stores.shares.clear(at(999)).await.unwrap();
    assert_eq!(all(|page| stores.shares.list(&w.me, share.conversation_id, page)).await.len(), 1);
    stores.shares.clear(at(1_000)).await.unwrap();
    assert!(all(|page| stores.shares.list(&w.me, share.conversation_id, page)).await.is_empty());
    missing(stores.shares.delete(&w.me, share.id).await);
}

pub async fn revoked_link_opens_nothing(stores: &Stores) {
    let (w, share, hash) = shared(stores).await;
    assert_eq!(stores.shares.delete(&w.me, share.id).await.unwrap(), share.conversation_id);
    assert_eq!(stores.shares.find(&hash, at(1)).await.unwrap(), None);
    missing(stores.shares.delete(&w.me, share.id).await);
}

pub async fn others_share_nothing(stores: &Stores) {
    let (w, mine, found) = shared(stores).await;
    for scope in w.others() {
        let theirs = share(&scope, mine.conversation_id);
        missing(stores.shares.create(&scope, &theirs, &hash(), &shown("x")).await);
        missing(stores.shares.list(&scope, mine.conversation_id, PageRequest::default()).await);
        missing(stores.shares.delete(&scope, mine.id).await);
    }
    missing(stores.shares.create(&w.me, &share(&w.me, id()), &hash(), &shown("x")).await);
    missing(stores.shares.list(&w.me, id(), PageRequest::default()).await);
    assert!(stores.shares.find(&found, at(1)).await.unwrap().is_some());
}

pub async fn links_of_a_conversation_are_bounded(stores: &Stores) {
    let (w, first, _) = shared(stores).await;
    for _ in 3..MAX_SHARES {
        let next = share(&w.me, first.conversation_id);
        stores.shares.create(&w.me, &next, &hash(), &shown("x")).await.unwrap();
    }
    // Those at once are no more either.
    let next: Vec<_> = (0..8).map(|_| (share(&w.me, first.conversation_id), hash())).collect();
    let shown_by_all = shown("x");
    let made = next.iter().map(|(next, hash)| stores.shares.create(&w.me, next, hash, &shown_by_all));
    assert_eq!(join_all(made).await.iter().filter(|made| made.is_ok()).count(), 2);
    let next = share(&w.me, first.conversation_id);
    refused(stores.shares.create(&w.me, &next, &hash(), &shown("x")).await, ErrorKind::Conflict);
    // Those that have ended make room.
    let later = Share { created_at: at(1_000), expires_at: at(2_000), ..next };
    stores.shares.create(&w.me, &later, &hash(), &shown("x")).await.unwrap();
    assert_eq!(all(|page| stores.shares.list(&w.me, first.conversation_id, page)).await, [later]);
}

pub async fn editors_share_what_is_in_a_workspace(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let talk = crate::conversation::Conversation { workspace_id: Some(workspace.id), ..conversation("talk") };
    stores.conversations.create(&w.me, &talk).await.unwrap();
    let (mine, secret) = (share(&w.me, talk.id), hash());
    stores.shares.create(&w.me, &mine, &secret, &shown("x")).await.unwrap();
    let let_in = async |role| {
        let member = NewWorkspaceMember::user(w.other.user, role);
        stores.workspaces.put_member(&w.me, workspace.id, &member, at(1)).await.unwrap();
    };
    let_in(WorkspaceRole::Viewer).await;
    let theirs = share(&w.other, talk.id);
    let denied = ErrorKind::Forbidden;
    refused(stores.shares.create(&w.other, &theirs, &hash(), &shown("x")).await, denied);
    refused(stores.shares.list(&w.other, talk.id, PageRequest::default()).await, denied);
    refused(stores.shares.delete(&w.other, mine.id).await, denied);
    let_in(WorkspaceRole::Editor).await;
    stores.shares.create(&w.other, &theirs, &hash(), &shown("x")).await.unwrap();
    assert_eq!(all(|page| stores.shares.list(&w.me, talk.id, page)).await, [theirs.clone(), mine.clone()]);
    stores.shares.delete(&w.other, mine.id).await.unwrap();
    assert_eq!(stores.shares.find(&secret, at(1)).await.unwrap(), None);
    // Who is put out neither sees nor revokes their own; an owner does.
    stores.workspaces.remove_member(&w.me, workspace.id, w.other.user.into()).await.unwrap();
    missing(stores.shares.list(&w.other, talk.id, PageRequest::default()).await);
    missing(stores.shares.delete(&w.other, theirs.id).await);
    stores.shares.delete(&w.me, theirs.id).await.unwrap();
}

pub async fn link_goes_with_its_conversation(stores: &Stores) {
    let (w, share, hash) = shared(stores).await;
    stores.conversations.delete(&w.me, share.conversation_id).await.unwrap();
    assert_eq!(stores.shares.find(&hash, at(1)).await.unwrap(), None);
    missing(stores.shares.delete(&w.me, share.id).await);
}

pub async fn link_of_who_may_not_act_opens_nothing(stores: &Stores) {
    let (w, _, hash) = shared(stores).await;
    let active = async |is_active| {
        let change = UserChange { is_active: Some(is_active), ..UserChange::default() };
        stores.users.update(&w.admin, w.me.user, &change, at(1)).await.unwrap();
        stores.shares.find(&hash, at(1)).await.unwrap().is_some()
    };
    assert!(!active(false).await);
    assert!(active(true).await);
    let tenant = async |is_active| {
        let change = TenantChange { is_active: Some(is_active), ..TenantChange::default() };
        stores.tenants.update(w.me.tenant, &change, at(1)).await.unwrap();
        stores.shares.find(&hash, at(1)).await.unwrap().is_some()
    };
    assert!(!tenant(false).await);
    assert!(tenant(true).await);
}

pub async fn link_goes_with_who_shared_it(stores: &Stores) {
    let (w, _, hash) = shared(stores).await;
    let target = DeletionTarget { tenant: w.me.tenant, user: Some(w.me.user) };
    stores.deletions.begin(&target, w.worker, at(2)).await.unwrap();
    // From the mark on.
    assert_eq!(stores.shares.find(&hash, at(2)).await.unwrap(), None);
    while stores.deletions.step(&target, at(9)).await.unwrap() != DeletionStep::Empty {}
    let counts = stores.deletions.finish(&target, at(9)).await.unwrap().counts;
    assert_eq!((counts.users, counts.conversations, counts.shares), (1, 1, 1));
    assert_eq!(stores.shares.find(&hash, at(2)).await.unwrap(), None);
}
