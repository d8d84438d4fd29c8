use super::world::{World, all, at, conversation, id, missing, prompt, refused, workspace};
use crate::conversation::Conversation;
use crate::error::ErrorKind;
use crate::workspace::WorkspaceChange;
use crate::{PageRequest, Stores};

pub async fn created_workspace_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let created = w.workspace("Réunion — 会議").await;
    assert_eq!(stores.workspaces.get(&w.me, created.id).await.unwrap(), created);
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let created = w.workspace("a").await;
    refused(stores.workspaces.create(&w.me, &created).await, ErrorKind::Conflict);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.workspace("mine").await;
    let change = WorkspaceChange { name: Some("theirs".into()), ..WorkspaceChange::default() };
    for scope in w.others() {
        missing(stores.workspaces.get(&scope, mine.id).await);
        missing(stores.workspaces.update(&scope, mine.id, &change, at(1)).await);
        missing(stores.workspaces.delete(&scope, mine.id).await);
        let seen = stores.workspaces.list(&scope, PageRequest::default()).await.unwrap();
        assert!(seen.data.is_empty());
    }
    let theirs = workspace("theirs");
    stores.workspaces.create(&w.other, &theirs).await.unwrap();
    missing(stores.workspaces.get(&w.me, theirs.id).await);
    assert_eq!(stores.workspaces.get(&w.me, mine.id).await.unwrap(), mine);
}

pub async fn workspaces_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["a", "b", "c"] {
        w.workspace(name).await;
    }
    let names: Vec<_> = all(|page| stores.workspaces.list(&w.me, page)).await;
    assert_eq!(names.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = w.workspace("before").await;
    let change =
        WorkspaceChange { name: Some("after".into()), is_archived: Some(true), ..WorkspaceChange::default() };
    let after = stores.workspaces.update(&w.me, before.id, &change, at(5)).await.unwrap();
    assert_eq!((after.name.as_str(), after.is_archived, after.updated_at), ("after", true, at(5)));
    assert_eq!((&after.description, &after.metadata), (&before.description, &before.metadata));
    assert_eq!(stores.workspaces.get(&w.me, before.id).await.unwrap(), after);
    missing(stores.workspaces.update(&w.me, id(), &change, at(5)).await);
}

pub async fn conversations_are_counted(stores: &Stores) {
    let w = World::new(stores).await;
    let (full, empty) = (w.workspace("full").await, workspace("empty"));
    stores.workspaces.create(&w.me, &empty).await.unwrap();
    for title in ["a", "b"] {
        let inside = Conversation { workspace_id: Some(full.id), ..conversation(title) };
        stores.conversations.create(&w.me, &inside).await.unwrap();
    }
    assert_eq!(stores.workspaces.get(&w.me, full.id).await.unwrap().conversation_count, 2);
    assert_eq!(stores.workspaces.get(&w.me, empty.id).await.unwrap().conversation_count, 0);
}

pub async fn deleted_workspace_frees_its_conversations(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("a").await;
    let inside = Conversation { workspace_id: Some(workspace.id), ..conversation("inside") };
    stores.conversations.create(&w.me, &inside).await.unwrap();
    let prompt = prompt(Some(workspace.id), "p");
    stores.prompts.create(&w.me, &prompt).await.unwrap();

    stores.workspaces.delete(&w.me, workspace.id).await.unwrap();
    missing(stores.workspaces.get(&w.me, workspace.id).await);
    missing(stores.workspaces.delete(&w.me, workspace.id).await);
    missing(stores.prompts.get(&w.me, prompt.id).await);
    assert_eq!(stores.conversations.get(&w.me, inside.id).await.unwrap().workspace_id, None);
}
