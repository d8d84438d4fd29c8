//! Who is in a workspace, and what they may do with what belongs to it.

use super::budget::budget;
use super::knowledge_world::collection;
use super::world::{
    World, all, at, conversation, finish, id, message, missing, prompt, refused, text_events,
};
use crate::budget::{BudgetLimits, BudgetPeriod, BudgetSubject};
use crate::clock::RandomIds;
use crate::conversation::{Conversation, ConversationChange, ConversationFilter};
use crate::error::ErrorKind;
use crate::knowledge::Collection;
use crate::prompt::{Prompt, PromptChange};
use crate::run::BeginRun;
use crate::workspace::{MemberKind, NewWorkspaceMember, Workspace, WorkspaceChange, WorkspaceRole};
use crate::{PageRequest, Scope, Stores, UserId};

/// My workspace, with a conversation that has an answer, and a prompt.
struct Shared<'s> {
    w: World<'s>,
    workspace: Workspace,
    talk: Conversation,
    begin: BeginRun,
    prompt: Prompt,
}

impl<'s> Shared<'s> {
    async fn new(stores: &'s Stores) -> Self {
        let w = World::new(stores).await;
        let workspace = w.workspace("w").await;
        let talk = Conversation { workspace_id: Some(workspace.id), ..conversation("talk") };
        stores.conversations.create(&w.me, &talk).await.unwrap();
        let begin = w.turn(talk.id, None);
        stores.runs.begin(&w.me, &begin).await.unwrap();
        let prompt = prompt(Some(workspace.id), "p");
        stores.prompts.create(&w.me, &prompt).await.unwrap();
        Self { w, workspace, talk, begin, prompt }
    }

    async fn let_in(&self, user: UserId, role: WorkspaceRole) {
        let member = NewWorkspaceMember::user(user, role);
        let stores = self.w.stores;
        let stored =
            stores.workspaces.put_member(&self.w.me, self.workspace.id, &member, at(1)).await.unwrap();
        assert_eq!((stored.id, stored.kind, stored.role), (user.into(), MemberKind::User, role));
    }

    fn filter(&self) -> ConversationFilter {
        ConversationFilter::new().workspace_id(self.workspace.id)
    }
}

pub async fn viewer_reads_what_belongs_to_it(stores: &Stores) {
    let s = Shared::new(stores).await;
    let (other, page) = (s.w.other, PageRequest::default());
    s.let_in(other.user, WorkspaceRole::Viewer).await;
    let seen = stores.workspaces.get(&other, s.workspace.id).await.unwrap();
    assert_eq!((seen.role, seen.conversation_count), (WorkspaceRole::Viewer, 1));
    assert_eq!(all(|page| stores.workspaces.list(&other, page)).await, [seen]);
    let c = &stores.conversations;
    assert_eq!(c.get(&other, s.talk.id).await.unwrap(), c.get(&s.w.me, s.talk.id).await.unwrap());
    assert_eq!(c.list(&other, &s.filter(), page).await.unwrap().data.len(), 1);
    let messages = c.messages(&other, s.talk.id, None, page).await.unwrap().data;
    assert_eq!(messages, c.messages(&s.w.me, s.talk.id, None, page).await.unwrap().data);
    c.message(&other, s.talk.id, s.begin.answer.id).await.unwrap();
    let run = s.begin.run.id;
    assert_eq!(stores.runs.get(&other, run).await.unwrap(), s.begin.run);
    stores.runs.checkpoint(&s.w.me, run, 1, &text_events(1, &["a", "b"])).await.unwrap();
    assert_eq!(stores.runs.events(&other, run, 1, 10).await.unwrap(), [text_events(2, &["b"])]);
    assert_eq!(stores.prompts.get(&other, s.prompt.id).await.unwrap(), s.prompt);
    let prompts = all(|page| stores.prompts.list(&other, Some(s.workspace.id), page)).await;
    assert_eq!(prompts, std::slice::from_ref(&s.prompt));
    // What others made is not among one's own.
    assert!(c.list(&other, &ConversationFilter::new(), page).await.unwrap().data.is_empty());
    assert!(stores.prompts.list(&other, None, page).await.unwrap().data.is_empty());
    assert_eq!(all(|page| stores.workspaces.members(&other, s.workspace.id, page)).await.len(), 2);
}

pub async fn viewer_changes_nothing(stores: &Stores) {
    let s = Shared::new(stores).await;
    let other = s.w.other;
    s.let_in(other.user, WorkspaceRole::Viewer).await;
    let denied = ErrorKind::Forbidden;
    let (c, talk) = (&stores.conversations, s.talk.id);
    let inside = Conversation { workspace_id: Some(s.workspace.id), ..conversation("theirs") };
    refused(c.create(&other, &inside).await, denied);
    refused(c.update(&other, talk, &ConversationChange::new().title("x")).await, denied);
    refused(c.delete(&other, talk).await, denied);
    refused(c.append(&other, talk, &[message(talk, None, "x")], at(2)).await, denied);
    refused(c.window(&other, talk, None, 100, 10).await, denied);
    refused(c.fork(&other, talk, s.begin.answer.id, &inside, &RandomIds).await, denied);
    refused(stores.runs.begin(&other, &s.w.turn(talk, None)).await, denied);
    let new = BeginRun { create: Some(inside.clone()), ..s.w.turn(inside.id, None) };
    refused(stores.runs.begin(&other, &new).await, denied);
    refused(stores.runs.request_cancel(&other, s.begin.run.id).await, denied);
    refused(stores.prompts.create(&other, &prompt(Some(s.workspace.id), "q")).await, denied);
    refused(stores.prompts.update(&other, s.prompt.id, &PromptChange::new().title("x"), at(2)).await, denied);
    refused(stores.prompts.delete(&other, s.prompt.id).await, denied);
    // A conversation of one's own is not put in either.
    let own = conversation("own");
    c.create(&other, &own).await.unwrap();
    let put = ConversationChange::new().workspace_id(Some(s.workspace.id));
    refused(c.update(&other, own.id, &put).await, denied);
    assert_eq!(stores.workspaces.get(&s.w.me, s.workspace.id).await.unwrap().conversation_count, 1);
    assert!(stores.workers.beat(s.w.worker, at(2)).await.unwrap().is_empty());
    let messages = c.messages(&s.w.me, talk, None, PageRequest::default()).await.unwrap().data;
    assert_eq!(messages.len(), 2);
    // Into a place of their own they may copy what they read.
    c.fork(&other, talk, s.begin.answer.id, &conversation("copy"), &RandomIds).await.unwrap();
}

pub async fn editor_writes(stores: &Stores) {
    let s = Shared::new(stores).await;
    let other = s.w.other;
    s.let_in(other.user, WorkspaceRole::Editor).await;
    let (c, talk) = (&stores.conversations, s.talk.id);
    stores.runs.finish(&s.w.me, &finish(&s.begin, "x", text_events(1, &["x"]))).await.unwrap();
    let window = c.window(&other, talk, None, 100, 10).await.unwrap();
    assert_eq!(window.prompts, std::slice::from_ref(&s.prompt));
    let turn = s.w.turn(talk, window.messages.last());
    stores.runs.begin(&other, &turn).await.unwrap();
    // The run is the asker's: they, and nobody else, end it.
    missing(stores.runs.finish(&s.w.me, &finish(&turn, "y", text_events(1, &["y"]))).await);
    stores.runs.finish(&other, &finish(&turn, "y", text_events(1, &["y"]))).await.unwrap();
    assert_eq!(stores.runs.get(&s.w.me, turn.run.id).await.unwrap().status, crate::run::RunStatus::Completed);
    c.append(&other, talk, &[message(talk, None, "z")], at(3)).await.unwrap();
    let changed = c.update(&other, talk, &ConversationChange::new().title("theirs")).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.message_count), ("theirs", 5));
    stores.prompts.update(&other, s.prompt.id, &PromptChange::new().title("x"), at(4)).await.unwrap();
    let inside = Conversation { workspace_id: Some(s.workspace.id), ..conversation("second") };
    c.create(&other, &inside).await.unwrap();
    c.get(&s.w.me, inside.id).await.unwrap();
    let new = Conversation { id: id(), ..inside };
    let first = BeginRun { create: Some(new.clone()), ..s.w.turn(new.id, None) };
    stores.runs.begin(&other, &first).await.unwrap();
    // Managing is the owners'.
    let denied = ErrorKind::Forbidden;
    let workspace = s.workspace.id;
    let change = WorkspaceChange::new().name("theirs");
    refused(stores.workspaces.update(&other, workspace, &change, at(5)).await, denied);
    refused(stores.workspaces.delete(&other, workspace).await, denied);
    let more = NewWorkspaceMember::user(s.w.admin.user, WorkspaceRole::Viewer);
    refused(stores.workspaces.put_member(&other, workspace, &more, at(5)).await, denied);
    refused(stores.workspaces.remove_member(&other, workspace, s.w.me.user.into()).await, denied);
    c.delete(&other, talk).await.unwrap();
    missing(c.get(&s.w.me, talk).await);
}

pub async fn who_made_it_moves_it(stores: &Stores) {
    let s = Shared::new(stores).await;
    let other = s.w.other;
    s.let_in(other.user, WorkspaceRole::Editor).await;
    let c = &stores.conversations;
    let out = ConversationChange::new().workspace_id(None);
    refused(c.update(&other, s.talk.id, &out).await, ErrorKind::Forbidden);
    // Nor does an editor take it away into a workspace of their own.
    let theirs = super::world::workspace("theirs");
    stores.workspaces.create(&other, &theirs).await.unwrap();
    let away = ConversationChange::new().workspace_id(Some(theirs.id));
    refused(c.update(&other, s.talk.id, &away).await, ErrorKind::Forbidden);
    missing(c.update(&s.w.me, s.talk.id, &away).await);
    let own = conversation("own");
    c.create(&other, &own).await.unwrap();
    let put = ConversationChange::new().workspace_id(Some(s.workspace.id));
    assert_eq!(c.update(&other, own.id, &put).await.unwrap().workspace_id, Some(s.workspace.id));
    c.get(&s.w.me, own.id).await.unwrap();
    // An owner gives it back to who made it.
    assert_eq!(c.update(&s.w.me, own.id, &out).await.unwrap().workspace_id, None);
    missing(c.get(&s.w.me, own.id).await);
    c.get(&other, own.id).await.unwrap();
}

pub async fn who_is_put_out_sees_nothing(stores: &Stores) {
    let s = Shared::new(stores).await;
    let (w, other, page) = (&s.w, s.w.other, PageRequest::default());
    s.let_in(other.user, WorkspaceRole::Editor).await;
    let c = &stores.conversations;
    let theirs = Conversation { workspace_id: Some(s.workspace.id), ..conversation("theirs") };
    c.create(&other, &theirs).await.unwrap();
    let own_prompt = prompt(Some(s.workspace.id), "theirs");
    stores.prompts.create(&other, &own_prompt).await.unwrap();
    let turn = w.turn(theirs.id, None);
    let client = crate::run::Run { client_id: Some("c".into()), ..turn.run.clone() };
    let turn = BeginRun { run: client, ..turn };
    stores.runs.begin(&other, &turn).await.unwrap();
    assert!(stores.workers.beat(w.worker, at(2)).await.unwrap().is_empty());
    stores.workspaces.remove_member(&w.me, s.workspace.id, other.user.into()).await.unwrap();
    // Their answer is to stop, and what they made stays: it is the owner's now.
    assert_eq!(stores.workers.beat(w.worker, at(3)).await.unwrap(), [turn.run.id]);
    let out = ConversationChange::new().workspace_id(None);
    assert_eq!(c.list(&w.me, &ConversationFilter::new(), page).await.unwrap().data.len(), 2);
    assert_eq!(all(|page| stores.prompts.list(&w.me, None, page)).await.len(), 2);
    missing(stores.workspaces.get(&other, s.workspace.id).await);
    missing(c.get(&other, theirs.id).await);
    missing(c.messages(&other, theirs.id, None, page).await);
    missing(c.window(&other, theirs.id, None, 100, 10).await);
    missing(c.delete(&other, theirs.id).await);
    missing(stores.runs.get(&other, turn.run.id).await);
    missing(stores.runs.events(&other, turn.run.id, 0, 10).await);
    missing(stores.runs.request_cancel(&other, turn.run.id).await);
    assert_eq!(stores.runs.of_client(&other, "c").await.unwrap(), None);
    missing(stores.prompts.get(&other, own_prompt.id).await);
    assert!(c.list(&other, &ConversationFilter::new(), page).await.unwrap().data.is_empty());
    assert!(c.list(&other, &s.filter(), page).await.unwrap().data.is_empty());
    assert!(stores.prompts.list(&other, None, page).await.unwrap().data.is_empty());
    // The engine still ends the run, as the asker's.
    stores.runs.finish(&other, &finish(&turn, "y", text_events(1, &["y"]))).await.unwrap();
    c.update(&w.me, theirs.id, &out).await.unwrap();
    s.let_in(other.user, WorkspaceRole::Editor).await;
    missing(c.get(&other, theirs.id).await);
}

pub async fn demoted_asker_is_to_stop(stores: &Stores) {
    let s = Shared::new(stores).await;
    s.let_in(s.w.other.user, WorkspaceRole::Editor).await;
    stores.runs.finish(&s.w.me, &finish(&s.begin, "x", text_events(1, &["x"]))).await.unwrap();
    let turn = s.w.turn(s.talk.id, None);
    stores.runs.begin(&s.w.other, &turn).await.unwrap();
    s.let_in(s.w.other.user, WorkspaceRole::Viewer).await;
    assert_eq!(stores.workers.beat(s.w.worker, at(3)).await.unwrap(), [turn.run.id]);
}

pub async fn last_owner_stays(stores: &Stores) {
    let s = Shared::new(stores).await;
    let (me, other, workspace) = (s.w.me, s.w.other, s.workspace.id);
    let conflict = ErrorKind::Conflict;
    let demoted = NewWorkspaceMember::user(me.user, WorkspaceRole::Editor);
    refused(stores.workspaces.remove_member(&me, workspace, me.user.into()).await, conflict);
    refused(stores.workspaces.put_member(&me, workspace, &demoted, at(2)).await, conflict);
    s.let_in(other.user, WorkspaceRole::Owner).await;
    stores.workspaces.remove_member(&me, workspace, me.user.into()).await.unwrap();
    missing(stores.workspaces.get(&me, workspace).await);
    refused(stores.workspaces.remove_member(&other, workspace, other.user.into()).await, conflict);
    // A new owner may do what the first one could, and has what they left.
    stores.workspaces.delete(&other, workspace).await.unwrap();
    missing(stores.conversations.get(&me, s.talk.id).await);
    assert_eq!(stores.conversations.get(&other, s.talk.id).await.unwrap().workspace_id, None);
}

pub async fn member_leaves(stores: &Stores) {
    let s = Shared::new(stores).await;
    s.let_in(s.w.other.user, WorkspaceRole::Viewer).await;
    let member = s.w.other.user.into();
    stores.workspaces.remove_member(&s.w.other, s.workspace.id, member).await.unwrap();
    missing(stores.workspaces.get(&s.w.other, s.workspace.id).await);
    missing(stores.workspaces.remove_member(&s.w.me, s.workspace.id, member).await);
}

pub async fn outsiders_find_no_workspace(stores: &Stores) {
    let s = Shared::new(stores).await;
    let workspace = s.workspace.id;
    for scope in s.w.others() {
        let member = NewWorkspaceMember::user(scope.user, WorkspaceRole::Owner);
        missing(stores.workspaces.members(&scope, workspace, PageRequest::default()).await);
        missing(stores.workspaces.put_member(&scope, workspace, &member, at(1)).await);
        missing(stores.workspaces.remove_member(&scope, workspace, s.w.me.user.into()).await);
        let inside = Conversation { workspace_id: Some(workspace), ..conversation("x") };
        missing(stores.conversations.create(&scope, &inside).await);
        missing(stores.runs.events(&scope, s.begin.run.id, 0, 10).await);
    }
    assert_eq!(all(|page| stores.workspaces.members(&s.w.me, workspace, page)).await.len(), 1);
}

pub async fn only_users_of_the_tenant_are_let_in(stores: &Stores) {
    let s = Shared::new(stores).await;
    let foreign = super::world::user(None, crate::Role::User);
    stores.users.create(&s.w.stranger, &foreign).await.unwrap();
    for nobody in [foreign.id, id(), UserId::SHARED] {
        let member = NewWorkspaceMember::user(nobody, WorkspaceRole::Viewer);
        missing(stores.workspaces.put_member(&s.w.me, s.workspace.id, &member, at(1)).await);
    }
    let group = NewWorkspaceMember::group(id(), WorkspaceRole::Viewer);
    missing(stores.workspaces.put_member(&s.w.me, s.workspace.id, &group, at(1)).await);
}

pub async fn what_a_deleted_user_made_stays(stores: &Stores) {
    let s = Shared::new(stores).await;
    let w = &s.w;
    s.let_in(w.other.user, WorkspaceRole::Owner).await;
    stores.runs.finish(&w.me, &finish(&s.begin, "x", text_events(1, &["x"]))).await.unwrap();
    let private = w.conversation("private").await;
    // One that only the deleted user owns goes, and what others made there is theirs.
    let alone = w.workspace("alone").await;
    let guest = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
    stores.workspaces.put_member(&w.me, alone.id, &guest, at(1)).await.unwrap();
    let theirs = Conversation { workspace_id: Some(alone.id), ..conversation("theirs") };
    stores.conversations.create(&w.other, &theirs).await.unwrap();
    let target = crate::deletion::DeletionTarget { tenant: w.me.tenant, user: Some(w.me.user) };
    stores.deletions.begin(&target, w.worker, at(2)).await.unwrap();
    while stores.deletions.step(&target, at(3)).await.unwrap() != crate::deletion::DeletionStep::Empty {}
    let counts = stores.deletions.finish(&target, at(3)).await.unwrap().counts;
    assert_eq!((counts.users, counts.workspaces, counts.conversations, counts.prompts), (1, 1, 1, 0));
    assert_eq!((counts.runs, counts.handed_over_runs), (0, 1));
    let kept = stores.workspaces.get(&w.other, s.workspace.id).await.unwrap();
    assert_eq!((kept.role, kept.conversation_count), (WorkspaceRole::Owner, 1));
    assert_eq!(all(|page| stores.workspaces.members(&w.other, kept.id, page)).await.len(), 1);
    let own = stores.conversations.list(&w.other, &ConversationFilter::new(), PageRequest::default()).await;
    let mut own: Vec<_> = own.unwrap().data.into_iter().map(|c| (c.title, c.workspace_id)).collect();
    own.sort();
    assert_eq!(own, [("talk".to_owned(), Some(s.workspace.id)), ("theirs".to_owned(), None)]);
    stores.runs.get(&w.other, s.begin.run.id).await.unwrap();
    stores.prompts.get(&w.other, s.prompt.id).await.unwrap();
    missing(stores.conversations.get(&w.other, private.id).await);
    missing(stores.workspaces.get(&w.other, alone.id).await);
}

pub async fn collections_of_one_name_come_back(stores: &Stores) {
    let s = Shared::new(stores).await;
    let (w, c) = (&s.w, &stores.collections);
    stores.runs.finish(&w.me, &finish(&s.begin, "x", text_events(1, &["x"]))).await.unwrap();
    s.let_in(w.other.user, WorkspaceRole::Editor).await;
    let second = w.workspace("second").await;
    let editor = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
    stores.workspaces.put_member(&w.me, second.id, &editor, at(1)).await.unwrap();
    for workspace in [s.workspace.id, second.id] {
        let notes = Collection { workspace_id: Some(workspace), ..collection("notes") };
        c.create(&w.other, &notes).await.unwrap();
    }
    let of_second = budget(BudgetSubject::Workspace(second.id), BudgetPeriod::Day, BudgetLimits::tokens(9));
    stores.budgets.create(&w.admin, &of_second).await.unwrap();
    let target = crate::deletion::DeletionTarget { tenant: w.me.tenant, user: Some(w.me.user) };
    stores.deletions.begin(&target, w.worker, at(2)).await.unwrap();
    while stores.deletions.step(&target, at(3)).await.unwrap() != crate::deletion::DeletionStep::Empty {}
    assert_eq!(stores.deletions.finish(&target, at(3)).await.unwrap().counts.workspaces, 2);
    // Both are who made them's again, under two names.
    let own = all(|page| c.list(&w.other, None, page)).await;
    assert_eq!(own.len(), 2);
    assert_ne!(own[0].name, own[1].name);
    assert!(own.iter().all(|own| own.workspace_id.is_none() && own.name.starts_with("notes")));
    // What limited a workspace that is gone is gone too.
    assert!(all(|page| stores.budgets.list(&w.admin, page)).await.is_empty());
}

pub async fn deleted_user_is_no_member(stores: &Stores) {
    let s = Shared::new(stores).await;
    let w = &s.w;
    s.let_in(w.other.user, WorkspaceRole::Editor).await;
    let theirs = Conversation { workspace_id: Some(s.workspace.id), ..conversation("theirs") };
    stores.conversations.create(&w.other, &theirs).await.unwrap();
    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    // The workspace goes with its only owner; what others made there is theirs.
    let scope = Scope { ..w.other };
    missing(stores.workspaces.get(&scope, s.workspace.id).await);
    assert_eq!(stores.conversations.get(&scope, theirs.id).await.unwrap().workspace_id, None);
    missing(stores.conversations.get(&scope, s.talk.id).await);
}
