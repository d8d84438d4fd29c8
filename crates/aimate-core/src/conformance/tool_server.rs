use super::world::{World, all, at, id, missing, observed, refused, tool, tool_server};
use crate::error::ErrorKind;
use crate::tool::{
    MAX_TOOL_SERVERS, ServerTools, ToolAuthType, ToolObservation, ToolPin, ToolPolicy, ToolServer,
    ToolServerStatus, ToolState,
};
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{PageRequest, Stores, WorkspaceId};

async fn shared(w: &World<'_>, name: &str) -> ToolServer {
    let shared = ToolServer { is_shared: true, ..tool_server(name) };
    w.stores.tool_servers.create(&w.admin, &shared).await.unwrap();
    shared
}

/// A server that lists the tools `a` and `b`.
async fn listed(w: &World<'_>) -> ToolServer {
    let server = w.tool_server("s").await;
    w.stores.tool_servers.observe(&w.me, &server, &observed(&["a", "b"], 1)).await.unwrap();
    w.stores.tool_servers.get(&w.me, server.id).await.unwrap()
}

pub async fn created_server_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let full = w.tool_server("full").await;
    assert_eq!(stores.tool_servers.get(&w.me, full.id).await.unwrap(), full);
    assert_eq!(stores.tool_servers.tools(&w.me, full.id).await.unwrap(), ServerTools::default());
    let bare = ToolServer {
        url: None,
        auth_type: ToolAuthType::None,
        has_auth: false,
        sealed_auth: None,
        is_enabled: false,
        is_configured: true,
        ..tool_server("bare")
    };
    stores.tool_servers.create(&w.me, &bare).await.unwrap();
    assert_eq!(stores.tool_servers.get(&w.me, bare.id).await.unwrap(), bare);
}

pub async fn names_are_unique_by_owner(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.tool_server("local").await;
    refused(stores.tool_servers.create(&w.me, &mine).await, ErrorKind::Conflict);
    refused(stores.tool_servers.create(&w.me, &tool_server("local")).await, ErrorKind::Conflict);
    for scope in [w.other, w.stranger] {
        stores.tool_servers.create(&scope, &tool_server("local")).await.unwrap();
    }
    shared(&w, "local").await;
    let again = ToolServer { is_shared: true, ..tool_server("local") };
    refused(stores.tool_servers.create(&w.admin, &again).await, ErrorKind::Conflict);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = listed(&w).await;
    let tools = stores.tool_servers.tools(&w.me, mine.id).await.unwrap();
    let changed = ToolServer { name: "theirs".into(), ..mine.clone() };
    for scope in w.others() {
        missing(stores.tool_servers.get(&scope, mine.id).await);
        missing(stores.tool_servers.tools(&scope, mine.id).await);
        missing(stores.tool_servers.update(&scope, &mine, &changed).await);
        missing(stores.tool_servers.observe(&scope, &mine, &observed(&["c"], 2)).await);
        missing(stores.tool_servers.pin(&scope, mine.id, &tools, &Default::default()).await);
        missing(stores.tool_servers.delete(&scope, mine.id).await);
        assert!(stores.tool_servers.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
    }
    assert_eq!(stores.tool_servers.get(&w.me, mine.id).await.unwrap(), mine);
    assert_eq!(stores.tool_servers.tools(&w.me, mine.id).await.unwrap(), tools);
}

pub async fn shared_server_is_seen_by_all_and_changed_by_admins(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = ToolServer { is_shared: true, ..tool_server("mine") };
    refused(stores.tool_servers.create(&w.me, &mine).await, ErrorKind::Forbidden);
    let shared = shared(&w, "shared").await;
    for scope in [w.me, w.other, w.admin] {
        assert_eq!(stores.tool_servers.get(&scope, shared.id).await.unwrap(), shared);
    }
    missing(stores.tool_servers.get(&w.stranger, shared.id).await);
    // Whoever uses it notes what it lists, and decides nothing.
    stores.tool_servers.observe(&w.me, &shared, &observed(&["a"], 1)).await.unwrap();
    let tools = stores.tool_servers.tools(&w.me, shared.id).await.unwrap();
    missing(stores.tool_servers.pin(&w.me, shared.id, &tools, &Default::default()).await);
    stores.tool_servers.pin(&w.admin, shared.id, &tools, &Default::default()).await.unwrap();
    let shared = stores.tool_servers.get(&w.me, shared.id).await.unwrap();
    let changed = ToolServer { name: "changed".into(), updated_at: at(1), ..shared.clone() };
    missing(stores.tool_servers.update(&w.me, &shared, &changed).await);
    missing(stores.tool_servers.delete(&w.me, shared.id).await);
    stores.tool_servers.update(&w.admin, &shared, &changed).await.unwrap();
    assert_eq!(stores.tool_servers.get(&w.me, shared.id).await.unwrap().name, "changed");
    stores.tool_servers.delete(&w.admin, shared.id).await.unwrap();
    missing(stores.tool_servers.get(&w.admin, shared.id).await);
}

pub async fn servers_are_listed_by_name(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["b", "Z", "ä", "d"] {
        w.tool_server(name).await;
    }
    shared(&w, "c").await;
    shared(&w, "b").await;
    stores.tool_servers.create(&w.other, &tool_server("a")).await.unwrap();
    let listed = all(|page| stores.tool_servers.list(&w.me, page)).await;
    let names: Vec<&str> = listed.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["Z", "b", "b", "c", "d", "ä"]);
    assert!(listed[1].id < listed[2].id);
}

pub async fn update_replaces_the_settings(stores: &Stores) {
    let w = World::new(stores).await;
    let before = listed(&w).await;
    let after = ToolServer {
        name: "after".into(),
        url: Some("https://tools.example/v2/mcp".into()),
        auth_type: ToolAuthType::None,
        has_auth: false,
        sealed_auth: None,
        is_enabled: false,
        updated_at: at(5),
        ..before.clone()
    };
    stores.tool_servers.update(&w.me, &before, &after).await.unwrap();
    // What contacts showed stays.
    assert_eq!(stores.tool_servers.get(&w.me, before.id).await.unwrap(), after);
    assert_eq!(stores.tool_servers.tools(&w.me, before.id).await.unwrap().tools.len(), 2);
    let failed = (ToolServerStatus::NeedsAuth, "no".to_owned());
    let seen = ToolObservation { outcome: Err(failed), now: at(6) };
    stores.tool_servers.observe(&w.me, &after, &seen).await.unwrap();
    let forgetting = ToolServer { status: ToolServerStatus::Unknown, updated_at: at(7), ..after.clone() };
    stores.tool_servers.update(&w.me, &after, &forgetting).await.unwrap();
    let found = stores.tool_servers.get(&w.me, before.id).await.unwrap();
    assert_eq!((found.status, found.error, found.stale_since), (ToolServerStatus::Unknown, None, None));
}

pub async fn update_of_a_changed_server_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let (before, other) = (w.tool_server("before").await, w.tool_server("other").await);
    let first = ToolServer { is_enabled: false, updated_at: at(5), ..before.clone() };
    stores.tool_servers.update(&w.me, &before, &first).await.unwrap();
    let second = ToolServer { url: None, updated_at: at(6), ..before.clone() };
    refused(stores.tool_servers.update(&w.me, &before, &second).await, ErrorKind::Conflict);
    let taken = ToolServer { name: other.name, ..first.clone() };
    refused(stores.tool_servers.update(&w.me, &first, &taken).await, ErrorKind::Conflict);
    assert_eq!(stores.tool_servers.get(&w.me, before.id).await.unwrap(), first);
}

pub async fn absent_server_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let absent = tool_server("absent");
    missing(stores.tool_servers.get(&w.me, absent.id).await);
    missing(stores.tool_servers.tools(&w.me, absent.id).await);
    missing(stores.tool_servers.update(&w.me, &absent, &absent).await);
    missing(stores.tool_servers.observe(&w.me, &absent, &observed(&[], 1)).await);
    missing(stores.tool_servers.pin(&w.me, absent.id, &ServerTools::default(), &Default::default()).await);
    missing(stores.tool_servers.delete(&w.me, absent.id).await);
    let after = crate::Cursor { at: crate::Timestamp(0), id: id() };
    let page = PageRequest { after: Some(after), ..PageRequest::default() };
    refused(stores.tool_servers.list(&w.me, page).await, ErrorKind::Invalid);
}

pub async fn servers_of_a_user_are_bounded(stores: &Stores) {
    let w = World::new(stores).await;
    let mut last = None;
    for n in 0..MAX_TOOL_SERVERS {
        last = Some(w.tool_server(&n.to_string()).await);
    }
    refused(stores.tool_servers.create(&w.me, &tool_server("one more")).await, ErrorKind::Conflict);
    stores.tool_servers.create(&w.other, &tool_server("one")).await.unwrap();
    shared(&w, "one").await;
    stores.tool_servers.delete(&w.me, last.unwrap().id).await.unwrap();
    w.tool_server("one more").await;
}

pub async fn listed_tools_are_found(stores: &Stores) {
    let w = World::new(stores).await;
    let server = w.tool_server("s").await;
    stores.tool_servers.observe(&w.me, &server, &observed(&["b", "a"], 7)).await.unwrap();
    let found = stores.tool_servers.get(&w.me, server.id).await.unwrap();
    let info = found.server.clone().unwrap();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("everything", "1.0"));
    let expected = ToolServer {
        status: ToolServerStatus::Ok,
        server: Some(info),
        tool_count: 2,
        tools_fetched_at: Some(at(7)),
        tools_expire_at: Some(at(307)),
        ..server.clone()
    };
    assert_eq!(found, expected);
    let tools = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    assert_eq!(tools.tools, [tool("b"), tool("a")]);
    assert_eq!(tools.problems, ["one was left out"]);
    // What was approved is recognised after it was stored.
    assert!(tools.tools.iter().all(|tool| tools.state(tool) == ToolState::Approved));
}

pub async fn first_list_alone_is_approved(stores: &Stores) {
    let w = World::new(stores).await;
    let server = listed(&w).await;
    let before = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    stores.tool_servers.observe(&w.me, &server, &observed(&["b", "c"], 2)).await.unwrap();
    let after = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    assert_eq!(after.pins, before.pins);
    assert!(after.revision > before.revision);
    assert_eq!(after.state(&tool("b")), ToolState::Approved);
    assert_eq!(after.state(&tool("c")), ToolState::New);
}

pub async fn failure_keeps_the_last_good_list(stores: &Stores) {
    let w = World::new(stores).await;
    let server = listed(&w).await;
    for seconds in [10, 20] {
        let failed = (ToolServerStatus::Unreachable, format!("refused at {seconds}"));
        let seen = ToolObservation { outcome: Err(failed), now: at(seconds) };
        stores.tool_servers.observe(&w.me, &server, &seen).await.unwrap();
    }
    let found = stores.tool_servers.get(&w.me, server.id).await.unwrap();
    let expected = ToolServer {
        status: ToolServerStatus::Unreachable,
        error: Some("refused at 20".into()),
        stale_since: Some(at(10)),
        ..server.clone()
    };
    assert_eq!(found, expected);
    assert_eq!(stores.tool_servers.tools(&w.me, server.id).await.unwrap().tools.len(), 2);
    stores.tool_servers.observe(&w.me, &server, &observed(&["a"], 30)).await.unwrap();
    let found = stores.tool_servers.get(&w.me, server.id).await.unwrap();
    assert_eq!((found.status, found.error, found.stale_since), (ToolServerStatus::Ok, None, None));
}

pub async fn observation_of_a_changed_server_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let before = w.tool_server("s").await;
    let moved =
        ToolServer { url: Some("https://other.example/".into()), updated_at: at(3), ..before.clone() };
    stores.tool_servers.update(&w.me, &before, &moved).await.unwrap();
    // What the former server lists would be approved as that of the new one.
    refused(stores.tool_servers.observe(&w.me, &before, &observed(&["a"], 4)).await, ErrorKind::Conflict);
    assert_eq!(stores.tool_servers.get(&w.me, before.id).await.unwrap(), moved);
}

pub async fn pins_are_replaced(stores: &Stores) {
    let w = World::new(stores).await;
    let server = listed(&w).await;
    let read = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    let mut pins = read.pins.clone();
    pins.insert("a".into(), ToolPin::of(&tool("a"), Some(ToolPolicy::Deny)));
    pins.remove("b");
    stores.tool_servers.pin(&w.me, server.id, &read, &pins).await.unwrap();
    let after = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    assert_eq!((after.pins.clone(), after.policy("a")), (pins.clone(), Some(ToolPolicy::Deny)));
    assert_eq!(after.tools, read.tools);
    // Somebody else was first.
    let late = stores.tool_servers.pin(&w.me, server.id, &read, &Default::default()).await;
    refused(late, ErrorKind::Conflict);
    stores.tool_servers.observe(&w.me, &server, &observed(&["a"], 9)).await.unwrap();
    refused(stores.tool_servers.pin(&w.me, server.id, &after, &pins).await, ErrorKind::Conflict);
}

pub async fn moved_server_forgets_all_that_was_approved(stores: &Stores) {
    let w = World::new(stores).await;
    let server = listed(&w).await;
    let moved = ToolServer {
        url: Some("https://evil.example/mcp".into()),
        status: ToolServerStatus::Unknown,
        tools_fetched_at: None,
        updated_at: at(9),
        ..server.clone()
    };
    stores.tool_servers.update(&w.me, &server, &moved).await.unwrap();
    let found = stores.tool_servers.get(&w.me, server.id).await.unwrap();
    let expected = ToolServer { server: None, tool_count: 0, tools_expire_at: None, ..moved };
    assert_eq!(found, expected);
    let tools = stores.tool_servers.tools(&w.me, server.id).await.unwrap();
    assert!(tools.tools.is_empty() && tools.pins.is_empty() && tools.problems.is_empty());
}

/// A server of my workspace, where the other user has this role.
async fn in_workspace<'s>(stores: &'s Stores, role: WorkspaceRole) -> (World<'s>, WorkspaceId, ToolServer) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await.id;
    let member = NewWorkspaceMember::user(w.other.user, role);
    stores.workspaces.put_member(&w.me, workspace, &member, at(1)).await.unwrap();
    let ours = ToolServer { workspace_id: Some(workspace), ..tool_server("ours") };
    stores.tool_servers.create(&w.me, &ours).await.unwrap();
    (w, workspace, ours)
}

pub async fn server_of_a_workspace_is_used_by_its_editors(stores: &Stores) {
    let (w, workspace, ours) = in_workspace(stores, WorkspaceRole::Editor).await;
    let (t, page) = (&stores.tool_servers, PageRequest::default());
    for name in ["a", "z"] {
        t.create(&w.other, &tool_server(name)).await.unwrap();
    }
    assert_eq!(t.get(&w.other, ours.id).await.unwrap(), ours);
    let names: Vec<_> = all(|page| t.list(&w.other, page)).await.into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["a", "ours", "z"]);
    assert_eq!(t.list(&w.me, page).await.unwrap().data, std::slice::from_ref(&ours));
    t.observe(&w.other, &ours, &observed(&["a"], 2)).await.unwrap();
    let (denied, tools) = (ErrorKind::Forbidden, t.tools(&w.other, ours.id).await.unwrap());
    refused(t.pin(&w.other, ours.id, &tools, &Default::default()).await, denied);
    let read = t.get(&w.other, ours.id).await.unwrap();
    let changed = ToolServer { url: Some("https://evil.example".into()), updated_at: at(3), ..read.clone() };
    refused(t.update(&w.other, &read, &changed).await, denied);
    refused(t.delete(&w.other, ours.id).await, denied);
    let theirs = ToolServer { workspace_id: Some(workspace), ..tool_server("theirs") };
    refused(t.create(&w.other, &theirs).await, denied);
    for outsider in [w.admin, w.stranger] {
        missing(t.get(&outsider, ours.id).await);
        missing(t.update(&outsider, &read, &changed).await);
        missing(t.delete(&outsider, ours.id).await);
        missing(t.create(&outsider, &theirs).await);
        assert!(t.list(&outsider, page).await.unwrap().data.is_empty());
    }
    stores.workspaces.remove_member(&w.me, workspace, w.other.user.into()).await.unwrap();
    missing(t.get(&w.other, ours.id).await);
    assert_eq!(t.list(&w.other, page).await.unwrap().data.len(), 2);
}

pub async fn server_of_a_workspace_is_managed_by_its_owners(stores: &Stores) {
    let (w, workspace, ours) = in_workspace(stores, WorkspaceRole::Owner).await;
    let t = &stores.tool_servers;
    let again = ToolServer { workspace_id: Some(workspace), ..tool_server("ours") };
    refused(t.create(&w.other, &again).await, ErrorKind::Conflict);
    // A name is taken among those of one owner.
    t.create(&w.other, &tool_server("ours")).await.unwrap();
    let changed = ToolServer { is_enabled: false, updated_at: at(2), ..ours.clone() };
    t.update(&w.other, &ours, &changed).await.unwrap();
    assert_eq!(t.get(&w.me, ours.id).await.unwrap(), changed);
    // It stays when who made it goes, and goes with the workspace.
    stores.workspaces.remove_member(&w.other, workspace, w.me.user.into()).await.unwrap();
    missing(t.get(&w.me, ours.id).await);
    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    t.get(&w.other, ours.id).await.unwrap();
    stores.workspaces.delete(&w.other, workspace).await.unwrap();
    missing(t.get(&w.other, ours.id).await);
}

pub async fn viewers_use_no_server_of_the_workspace(stores: &Stores) {
    let (w, _, ours) = in_workspace(stores, WorkspaceRole::Viewer).await;
    let t = &stores.tool_servers;
    missing(t.get(&w.other, ours.id).await);
    missing(t.tools(&w.other, ours.id).await);
    missing(t.observe(&w.other, &ours, &observed(&["a"], 2)).await);
    missing(t.update(&w.other, &ours, &ours).await);
    missing(t.delete(&w.other, ours.id).await);
    assert!(t.list(&w.other, PageRequest::default()).await.unwrap().data.is_empty());
}
