use super::world::{World, at, id, missing, sealed, tool_server};
use crate::Stores;
use crate::sealing::{KeyUse, Resealed, SecretKind};
use crate::tool::{ToolGrant, ToolServer, ToolServerStatus};

/// A login at a server.
pub fn grant(server: &ToolServer, issuer: &str) -> ToolGrant {
    ToolGrant {
        id: id(),
        server_id: server.id,
        issuer: issuer.into(),
        url: server.url.clone().unwrap_or_default(),
        sealed: sealed(3),
        updated_at: at(0),
    }
}

pub async fn put_grant_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (server, t) = (w.tool_server("s").await, &stores.tool_servers);
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), []);
    let (a, b) = (grant(&server, "https://a.example"), grant(&server, "https://b.example"));
    for grant in [&b, &a] {
        t.put_grant(&w.me, grant).await.unwrap();
    }
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), [a.clone(), b.clone()]);
    // Renewed: the row is another, which its tokens are bound to.
    let renewed = ToolGrant { updated_at: at(5), ..grant(&server, "https://a.example") };
    t.put_grant(&w.me, &renewed).await.unwrap();
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), [renewed, b.clone()]);
    t.delete_grants(&w.me, server.id, Some("https://a.example")).await.unwrap();
    t.delete_grants(&w.me, server.id, Some("https://a.example")).await.unwrap();
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), [b]);
    t.delete_grants(&w.me, server.id, None).await.unwrap();
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), []);
}

pub async fn grants_are_of_one_user(stores: &Stores) {
    let w = World::new(stores).await;
    let shared = ToolServer { is_shared: true, ..tool_server("shared") };
    let t = &stores.tool_servers;
    t.create(&w.admin, &shared).await.unwrap();
    let (mine, theirs) = (grant(&shared, "https://a.example"), grant(&shared, "https://a.example"));
    t.put_grant(&w.me, &mine).await.unwrap();
    t.put_grant(&w.other, &theirs).await.unwrap();
    assert_eq!(t.grants(&w.me, shared.id).await.unwrap(), std::slice::from_ref(&mine));
    assert_eq!(t.grants(&w.other, shared.id).await.unwrap(), [theirs]);
    for scope in [w.admin, w.stranger] {
        assert_eq!(t.grants(&scope, shared.id).await.unwrap(), []);
    }
    t.delete_grants(&w.other, shared.id, None).await.unwrap();
    assert_eq!(t.grants(&w.me, shared.id).await.unwrap(), [mine]);
}

pub async fn grants_go_with_their_server(stores: &Stores) {
    let w = World::new(stores).await;
    let (moved, gone, t) = (w.tool_server("moved").await, w.tool_server("gone").await, &stores.tool_servers);
    for server in [&moved, &gone] {
        t.put_grant(&w.me, &grant(server, "https://a.example")).await.unwrap();
    }
    t.delete(&w.me, gone.id).await.unwrap();
    assert_eq!(t.grants(&w.me, gone.id).await.unwrap(), []);
    let next = ToolServer {
        url: Some("https://evil.example".into()),
        status: ToolServerStatus::Unknown,
        updated_at: at(1),
        ..moved.clone()
    };
    t.update(&w.me, &moved, &next).await.unwrap();
    assert_eq!(t.grants(&w.me, moved.id).await.unwrap(), []);
}

pub async fn grant_of_an_unseen_server_is_not_kept(stores: &Stores) {
    let w = World::new(stores).await;
    let (server, t) = (w.tool_server("s").await, &stores.tool_servers);
    for scope in w.others() {
        missing(t.put_grant(&scope, &grant(&server, "https://a.example")).await);
        t.delete_grants(&scope, server.id, None).await.unwrap();
        assert_eq!(t.grants(&scope, server.id).await.unwrap(), []);
    }
    missing(t.put_grant(&w.me, &grant(&tool_server("absent"), "https://a.example")).await);
}

pub async fn sealed_tools_are_rotated(stores: &Stores) {
    let w = World::new(stores).await;
    let (server, t) = (w.tool_server("s").await, &stores.tool_servers);
    let kept = grant(&server, "https://a.example");
    t.put_grant(&w.me, &kept).await.unwrap();
    let of = |key_id, secrets| KeyUse { key_id, secrets };
    assert_eq!(stores.secrets.count_by_key().await.unwrap(), [of(1, 1), of(3, 1)]);
    let mut resealed = Vec::new();
    for (kind, key_id, row) in
        [(SecretKind::ToolServerAuth, 1, server.id.uuid()), (SecretKind::ToolGrant, 3, kept.id)]
    {
        let [stored] = stores.secrets.sealed_with(kind, key_id, None, 10).await.unwrap().try_into().unwrap();
        assert_eq!((stored.kind, stored.tenant, stored.row), (kind, w.me.tenant, row));
        assert_eq!((stored.owner, &stored.url), (w.me.user.uuid(), &server.url));
        resealed.push(Resealed { stored, sealed: sealed(9) });
    }
    assert_eq!(stores.secrets.reseal(&resealed).await.unwrap(), 2);
    assert_eq!(t.get(&w.me, server.id).await.unwrap().sealed_auth, Some(sealed(9)));
    assert_eq!(t.grants(&w.me, server.id).await.unwrap(), [ToolGrant { sealed: sealed(9), ..kept }]);
    assert_eq!(stores.secrets.count_by_key().await.unwrap(), [of(9, 2)]);
    // Read before, written after: the old envelope must not come back.
    let renamed = ToolServer { name: "b".into(), updated_at: at(1), ..server.clone() };
    t.update(&w.me, &server, &renamed).await.unwrap();
    assert_eq!(t.get(&w.me, server.id).await.unwrap().sealed_auth, Some(sealed(9)));
}
