use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::group::{Group, GroupChange};
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{GroupId, PageRequest, Stores, UserId, WorkspaceId};

fn group(name: &str) -> Group {
    Group {
        id: id(),
        name: name.into(),
        description: "what it is for".into(),
        member_count: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(super) async fn created(w: &World<'_>, name: &str, members: &[UserId]) -> Group {
    let group = group(name);
    w.stores.groups.create(&w.admin, &group).await.unwrap();
    for member in members {
        w.stores.groups.add_member(&w.admin, group.id, *member, at(1)).await.unwrap();
    }
    Group { member_count: members.len() as u64, ..group }
}

/// The role of a user who is in the workspace; `None` for who does not see it.
async fn role(w: &World<'_>, user: UserId, workspace: WorkspaceId) -> Option<WorkspaceRole> {
    let scope = crate::Scope { user, ..w.me };
    w.stores.workspaces.get(&scope, workspace).await.ok().map(|workspace| workspace.role)
}

async fn let_in(w: &World<'_>, group: GroupId, workspace: WorkspaceId, role: WorkspaceRole) {
    let member = NewWorkspaceMember::group(group, role);
    let scope = crate::Scope { role: crate::Role::Admin, ..w.me };
    w.stores.workspaces.put_member(&scope, workspace, &member, at(2)).await.unwrap();
}

pub async fn created_group_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let group = created(&w, "Sales — 営業", &[w.me.user]).await;
    for scope in [w.admin, w.me] {
        assert_eq!(stores.groups.get(&scope, group.id).await.unwrap(), group);
    }
}

pub async fn taken_name_or_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = created(&w, "a", &[]).await;
    let second = created(&w, "b", &[]).await;
    refused(stores.groups.create(&w.admin, &group("a")).await, ErrorKind::Conflict);
    refused(stores.groups.create(&w.admin, &Group { name: "c".into(), ..first }).await, ErrorKind::Conflict);
    let change = GroupChange::new().name("a");
    refused(stores.groups.update(&w.admin, second.id, &change, at(1)).await, ErrorKind::Conflict);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let hidden = created(&w, "hidden", &[w.me.user]).await;
    let change = GroupChange::new().name("theirs");
    for scope in [w.other, w.stranger] {
        refused(stores.groups.create(&scope, &group("theirs")).await, ErrorKind::Forbidden);
        missing(stores.groups.get(&scope, hidden.id).await);
        missing(stores.groups.update(&scope, hidden.id, &change, at(1)).await);
        missing(stores.groups.delete(&scope, hidden.id).await);
        missing(stores.groups.members(&scope, hidden.id, PageRequest::default()).await);
        missing(stores.groups.add_member(&scope, hidden.id, scope.user, at(1)).await);
        missing(stores.groups.remove_member(&scope, hidden.id, w.me.user).await);
        assert!(stores.groups.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
    }
    // Who is in it sees it, and changes nothing.
    refused(stores.groups.create(&w.me, &group("mine")).await, ErrorKind::Forbidden);
    refused(stores.groups.update(&w.me, hidden.id, &change, at(1)).await, ErrorKind::Forbidden);
    refused(stores.groups.delete(&w.me, hidden.id).await, ErrorKind::Forbidden);
    refused(stores.groups.add_member(&w.me, hidden.id, w.other.user, at(1)).await, ErrorKind::Forbidden);
    refused(stores.groups.remove_member(&w.me, hidden.id, w.me.user).await, ErrorKind::Forbidden);
    assert_eq!(stores.groups.get(&w.me, hidden.id).await.unwrap(), hidden);
}

pub async fn groups_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["a", "b", "c"] {
        created(&w, name, if name == "b" { &[] } else { std::slice::from_ref(&w.me.user) }).await;
    }
    let names = |groups: Vec<Group>| groups.into_iter().map(|group| group.name).collect::<String>();
    assert_eq!(names(all(|page| stores.groups.list(&w.admin, page)).await), "cba");
    assert_eq!(names(all(|page| stores.groups.list(&w.me, page)).await), "ca");
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = created(&w, "before", &[w.me.user]).await;
    let change = GroupChange::new().name("after");
    let after = stores.groups.update(&w.admin, before.id, &change, at(5)).await.unwrap();
    assert_eq!(after, Group { name: "after".into(), updated_at: at(5), ..before });
    missing(stores.groups.update(&w.admin, id(), &change, at(5)).await);
}

pub async fn members_come_and_go(stores: &Stores) {
    let w = World::new(stores).await;
    let group = created(&w, "a", &[w.me.user, w.other.user]).await;
    // Once more changes nothing.
    stores.groups.add_member(&w.admin, group.id, w.me.user, at(9)).await.unwrap();
    let members = all(|page| stores.groups.members(&w.me, group.id, page)).await;
    assert_eq!(members.len(), 2);
    assert!(members.iter().all(|member| member.created_at == at(1) && !member.name.is_empty()));
    stores.groups.remove_member(&w.admin, group.id, w.other.user).await.unwrap();
    missing(stores.groups.remove_member(&w.admin, group.id, w.other.user).await);
    missing(stores.groups.get(&w.other, group.id).await);
    for nobody in [id(), UserId::SHARED] {
        missing(stores.groups.add_member(&w.admin, group.id, nobody, at(1)).await);
    }
    missing(stores.groups.add_member(&w.admin, id(), w.me.user, at(1)).await);
}

pub async fn highest_role_counts(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await.id;
    let readers = created(&w, "readers", &[w.other.user, w.admin.user]).await;
    let writers = created(&w, "writers", &[w.other.user]).await;
    assert_eq!(role(&w, w.other.user, workspace).await, None);
    let_in(&w, readers.id, workspace, WorkspaceRole::Viewer).await;
    assert_eq!(role(&w, w.other.user, workspace).await, Some(WorkspaceRole::Viewer));
    assert_eq!(role(&w, w.admin.user, workspace).await, Some(WorkspaceRole::Viewer));
    let_in(&w, writers.id, workspace, WorkspaceRole::Editor).await;
    assert_eq!(role(&w, w.other.user, workspace).await, Some(WorkspaceRole::Editor));
    let owner = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Owner);
    stores.workspaces.put_member(&w.me, workspace, &owner, at(3)).await.unwrap();
    assert_eq!(role(&w, w.other.user, workspace).await, Some(WorkspaceRole::Owner));
    // One way after another is closed.
    stores.workspaces.remove_member(&w.me, workspace, w.other.user.into()).await.unwrap();
    assert_eq!(role(&w, w.other.user, workspace).await, Some(WorkspaceRole::Editor));
    stores.groups.remove_member(&w.admin, writers.id, w.other.user).await.unwrap();
    assert_eq!(role(&w, w.other.user, workspace).await, Some(WorkspaceRole::Viewer));
    stores.groups.delete(&w.admin, readers.id).await.unwrap();
    assert_eq!(role(&w, w.other.user, workspace).await, None);
    assert_eq!(role(&w, w.admin.user, workspace).await, None);
    assert_eq!(role(&w, w.me.user, workspace).await, Some(WorkspaceRole::Owner));
}

pub async fn new_member_of_a_group_is_in_its_workspaces(stores: &Stores) {
    let w = World::new(stores).await;
    let group = created(&w, "g", &[]).await;
    let (one, two) = (w.workspace("one").await.id, w.workspace("two").await.id);
    let_in(&w, group.id, one, WorkspaceRole::Viewer).await;
    let_in(&w, group.id, two, WorkspaceRole::Owner).await;
    stores.groups.add_member(&w.admin, group.id, w.other.user, at(3)).await.unwrap();
    assert_eq!(role(&w, w.other.user, one).await, Some(WorkspaceRole::Viewer));
    assert_eq!(role(&w, w.other.user, two).await, Some(WorkspaceRole::Owner));
    // A group that is an owner may be empty: the last user who is one stays.
    refused(stores.workspaces.remove_member(&w.me, two, w.me.user.into()).await, ErrorKind::Conflict);
    // One that is deleted leaves who has another way in.
    let direct = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
    stores.workspaces.put_member(&w.me, one, &direct, at(4)).await.unwrap();
    stores.groups.delete(&w.admin, group.id).await.unwrap();
    missing(stores.groups.get(&w.admin, group.id).await);
    assert_eq!(role(&w, w.other.user, one).await, Some(WorkspaceRole::Editor));
    assert_eq!(role(&w, w.other.user, two).await, None);
    assert_eq!(all(|page| stores.workspaces.members(&w.me, two, page)).await.len(), 1);
}
