use super::world::{World, all, at, id, missing, prompt, refused};
use crate::error::ErrorKind;
use crate::prompt::{Prompt, PromptChange};
use crate::{PageRequest, Stores, WorkspaceId};

async fn created(w: &World<'_>, workspace: Option<WorkspaceId>, title: &str) -> Prompt {
    let prompt = prompt(workspace, title);
    w.stores.prompts.create(&w.me, &prompt).await.unwrap();
    prompt
}

pub async fn created_prompt_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    for workspace in [None, Some(workspace.id)] {
        let prompt = created(&w, workspace, "Ada").await;
        assert_eq!(stores.prompts.get(&w.me, prompt.id).await.unwrap(), prompt);
    }
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let prompt = created(&w, None, "Ada").await;
    refused(stores.prompts.create(&w.me, &prompt).await, ErrorKind::Conflict);
}

pub async fn foreign_workspace_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("mine").await;
    for scope in w.others() {
        missing(stores.prompts.create(&scope, &prompt(Some(workspace.id), "theirs")).await);
    }
    missing(stores.prompts.create(&w.me, &prompt(Some(id()), "nowhere")).await);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, None, "mine").await;
    let change = PromptChange { title: Some("theirs".into()), ..PromptChange::default() };
    for scope in w.others() {
        missing(stores.prompts.get(&scope, mine.id).await);
        missing(stores.prompts.update(&scope, mine.id, &change, at(1)).await);
        missing(stores.prompts.delete(&scope, mine.id).await);
        let seen = stores.prompts.list(&scope, None, PageRequest::default()).await.unwrap();
        assert!(seen.data.is_empty());
    }
    assert_eq!(stores.prompts.get(&w.me, mine.id).await.unwrap(), mine);
}

pub async fn prompts_are_listed_oldest_first(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    for (workspace, title) in [(None, "a"), (Some(workspace.id), "b"), (None, "c"), (Some(workspace.id), "d")]
    {
        created(&w, workspace, title).await;
    }
    let titles = |prompts: Vec<Prompt>| prompts.into_iter().map(|p| p.title).collect::<String>();
    assert_eq!(titles(all(|page| stores.prompts.list(&w.me, None, page)).await), "abcd");
    assert_eq!(titles(all(|page| stores.prompts.list(&w.me, Some(workspace.id), page)).await), "bd");
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = created(&w, None, "before").await;
    let change =
        PromptChange { content: Some("new".into()), is_active: Some(false), ..PromptChange::default() };
    let after = stores.prompts.update(&w.me, before.id, &change, at(5)).await.unwrap();
    let expected = Prompt { content: "new".into(), is_active: false, updated_at: at(5), ..before };
    assert_eq!(after, expected);
    missing(stores.prompts.update(&w.me, id(), &change, at(5)).await);
}

pub async fn deleted_prompt_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let prompt = created(&w, None, "a").await;
    stores.prompts.delete(&w.me, prompt.id).await.unwrap();
    missing(stores.prompts.get(&w.me, prompt.id).await);
    missing(stores.prompts.delete(&w.me, prompt.id).await);
}

pub async fn shared_prompt_is_read_by_all(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, None, "mine").await;
    let ours = Prompt { is_shared: true, ..prompt(None, "ours") };
    stores.prompts.create(&w.admin.shared(), &ours).await.unwrap();
    for scope in w.others().into_iter().chain([w.me]).filter(|scope| scope.tenant == w.me.tenant) {
        assert_eq!(stores.prompts.get(&scope, ours.id).await.unwrap(), ours);
        missing(stores.prompts.update(&scope, ours.id, &PromptChange::default(), at(1)).await);
        missing(stores.prompts.delete(&scope, ours.id).await);
    }
    missing(stores.prompts.get(&w.stranger, ours.id).await);
    let more = created(&w, None, "more").await;
    assert_eq!(all(|page| stores.prompts.list(&w.me, None, page)).await, [mine, ours.clone(), more]);
    assert_eq!(all(|page| stores.prompts.list(&w.other, None, page)).await, std::slice::from_ref(&ours));
    stores.users.delete(&w.admin, w.admin.user).await.unwrap();
    let change = PromptChange { title: Some("changed".into()), ..PromptChange::default() };
    let changed = stores.prompts.update(&w.me.shared(), ours.id, &change, at(1)).await.unwrap();
    assert!(changed.is_shared && changed.title == "changed");
    stores.prompts.delete(&w.me.shared(), ours.id).await.unwrap();
    missing(stores.prompts.get(&w.other, ours.id).await);
}
