//! The keys of model servers at rest: bound to where they go, rotated while calls run,
//! held by a service of the application's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::{Arc, Mutex};

use aimate::connection::{Connection, ConnectionChange, ConnectionSettings, ConnectionStatus, NewConnection};
use aimate::engine::Completion;
use aimate::provider::{AddressRule, ChatProvider, ChatRequest, Endpoint, ProviderProfile, ProviderStream};
use aimate::sealing::{DataKey, KeyProvider, WrappedKey};
use aimate::store::Store;
use aimate::{
    Engine, ErrorReason, KeyRing, PageRequest, Result, Role, Scope, Secret, StreamExt, async_trait, stream,
};

/// The address, the proxy and the key of a call.
type Call = (String, Option<String>, Option<String>);

/// Remembers each call.
#[derive(Default)]
struct Seen(Mutex<Vec<Call>>);

impl Seen {
    fn last(&self) -> Call {
        self.0.lock().unwrap().last().unwrap().clone()
    }

    fn last_key(&self) -> Option<String> {
        self.last().2
    }
}

#[async_trait]
impl ChatProvider for Seen {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new().address(AddressRule::Optional)
    }

    async fn chat(&self, endpoint: &Endpoint, _: &ChatRequest) -> Result<ProviderStream> {
        let key = endpoint.api_key.as_ref().map(|key| key.expose().to_owned());
        self.0.lock().unwrap().push((endpoint.url.clone(), endpoint.settings.proxy.clone(), key));
        Ok(stream::iter([Ok(aimate::provider::ProviderEvent::Finish(aimate::provider::FinishReason::Stop))])
            .boxed())
    }
}

struct Bench {
    engine: Engine,
    me: Scope,
    seen: Arc<Seen>,
}

impl Bench {
    async fn over(store: &Store, keys: &str) -> Self {
        Self::with(store, KeyRing::parse(keys).unwrap().into(), None).await
    }

    async fn with(store: &Store, keys: aimate::sealing::Sealer, configured: Option<NewConnection>) -> Self {
        let seen = Arc::new(Seen::default());
        let mut builder = Engine::builder().store(store.clone()).provider("seen", seen.clone()).keys(keys);
        if let Some(configured) = configured {
            builder = builder.connection(configured);
        }
        let engine = builder.build().await.unwrap();
        let me = engine.local_scope().await.unwrap();
        Self { engine, me, seen }
    }

    async fn connect(&self, name: &str, url: &str) -> Connection {
        let new = NewConnection::new(name, "seen").url(url).api_key(Secret::new("sk-of-the-first-server"));
        self.engine.connections(&self.me).create(new).await.unwrap()
    }

    async fn change(&self, of: &Connection, change: ConnectionChange) -> Connection {
        self.engine.connections(&self.me).update(of.id, change).await.unwrap()
    }

    async fn call(&self, connection: &str) -> Result<()> {
        let completion = Completion::default().model(format!("{connection}/m"));
        self.engine.complete(&self.me, completion).await.map(drop)
    }
}

async fn store() -> Store {
    aimate::store::connect("sqlite::memory:").await.unwrap()
}

fn key(id: u32) -> String {
    format!("{id}:{}", KeyRing::generate().unwrap().expose())
}

#[tokio::test]
async fn sec_t07_key_does_not_follow_another_address() {
    let store = store().await;
    let bench = Bench::over(&store, &key(1)).await;
    let elsewhere = |url: &str| ConnectionChange { url: Some(url.to_owned()), ..Default::default() };
    let proxied = |proxy: &str| ConnectionChange {
        settings: Some(ConnectionSettings { proxy: Some(proxy.to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let moves = [
        ("https://a.example/v1", elsewhere("https://b.example/v1"), false),
        ("https://a.example/v1", elsewhere("https://a.example:8443/v1"), false),
        ("https://a.example/v1", elsewhere("http://a.example/v1"), false),
        ("https://a.example/v1", elsewhere("https://a.example.b.example/v1"), false),
        ("https://a.example/v1", elsewhere("https://a.example/v2"), true),
        ("https://a.example/v1", elsewhere("https://A.example:443/v1"), true),
        // TLS hides the key from a proxy; without it, the proxy reads it.
        ("https://a.example/v1", proxied("http://p.example:3128"), true),
        ("http://a.example/v1", proxied("http://p.example:3128"), false),
    ];
    for (n, (url, change, keeps)) in moves.into_iter().enumerate() {
        let made = bench.connect(&format!("c{n}"), url).await;
        let said = format!("{url} {change:?}");
        let moved = bench.change(&made, change).await;
        assert_eq!((moved.has_key, moved.key_hint.is_some()), (keeps, keeps), "{said}");
        bench.call(&made.name).await.unwrap();
        assert_eq!(bench.seen.last_key().is_some(), keeps, "{said}");
    }
    let made = bench.connect("again", "https://a.example/v1").await;
    let with_key = ConnectionChange {
        api_key: Some(Secret::new("sk-of-the-second-server")),
        ..elsewhere("https://b.example/v1")
    };
    bench.change(&made, with_key).await;
    bench.call("again").await.unwrap();
    assert_eq!(bench.seen.last_key().as_deref(), Some("sk-of-the-second-server"));
}

/// Whoever writes to the database without the engine has the row, not the key.
#[tokio::test]
async fn sec_t07_row_that_was_changed_behind_the_engine_opens_nothing() {
    let store = store().await;
    let bench = Bench::over(&store, &key(1)).await;
    let (stored, stores) = (bench.connect("a", "https://a.example/v1").await, store.stores());
    let read = stores.connections.get(&bench.me, stored.id).await.unwrap();
    let moved = Connection { url: Some("https://evil.example/v1".into()), ..read.clone() };
    stores.connections.update(&bench.me, &read, &moved).await.unwrap();
    let other = bench.connect("b", "https://evil.example/v1").await;
    let read = stores.connections.get(&bench.me, other.id).await.unwrap();
    let swapped = Connection { sealed_key: moved.sealed_key, ..read.clone() };
    stores.connections.update(&bench.me, &read, &swapped).await.unwrap();
    let fresh = Bench { engine: bench.engine.clone(), ..bench };
    for name in ["a", "b"] {
        let refused = fresh.call(name).await.unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::KeyUnavailable), "{name}");
    }
    assert!(fresh.seen.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn sec_t07_operators_key_takes_no_proxy_of_an_admin() {
    let store = store().await;
    let keys = KeyRing::parse(&key(1)).unwrap().into();
    let configured =
        NewConnection::new("ours", "seen").url("http://gpu.example/v1").api_key(Secret::new("sk-operator"));
    let bench = Bench::with(&store, keys, Some(configured)).await;
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    let connections = bench.engine.connections(&admin);
    let ours = connections.list(PageRequest::default()).await.unwrap().data.remove(0);
    let ask = async || {
        let completion = Completion::default().model("ours/m");
        bench.engine.complete(&admin, completion).await.map(drop)
    };
    let settings =
        ConnectionSettings { proxy: Some("http://evil.example:3128".into()), ..Default::default() };
    let change = ConnectionChange { settings: Some(settings), ..Default::default() };
    // The key is in memory alone, so the row loses its mark; a call may still have it.
    connections.update(ours.id, change).await.unwrap();
    ask().await.unwrap();
    assert_eq!(bench.seen.last(), ("http://gpu.example/v1".into(), None, Some("sk-operator".into())));
    let change = ConnectionChange { url: Some("https://evil.example".into()), ..Default::default() };
    connections.update(ours.id, change).await.unwrap();
    let _ = ask().await;
    let sent = bench.seen.0.lock().unwrap().clone();
    assert!(sent.iter().all(|(url, _, key)| key.is_none() || url == "http://gpu.example/v1"), "{sent:?}");
}

#[tokio::test]
async fn sec_t08_user_strings_are_never_templates() {
    let store = store().await;
    let bench = Bench::over(&store, &key(1)).await;
    let literal = "${PATH}$PATH{{env.PATH}}%PATH%$(id)`id`";
    let new = NewConnection {
        settings: ConnectionSettings { organization: Some(literal.into()), ..Default::default() },
        ..NewConnection::new(literal.replace('/', ""), "seen")
            .url("https://a.example/${PATH}/v1")
            .api_key(Secret::new(literal.replace(' ', "")))
    };
    let made = bench.engine.connections(&bench.me).create(new).await.unwrap();
    assert_eq!(made.name, literal);
    assert_eq!(made.settings.organization.as_deref(), Some(literal));
    bench.call(literal).await.unwrap();
    let (url, _, key) = bench.seen.last();
    assert_eq!(url, "https://a.example/$%7BPATH%7D/v1");
    assert_eq!(key.as_deref(), Some(literal.trim_matches('`')));
}

#[tokio::test]
async fn rotation_seals_everything_anew_and_says_what_is_left() {
    let store = store().await;
    let (old, new) = (key(1), key(2));
    let before = Bench::over(&store, &old).await;
    for n in 0..250 {
        before.connect(&format!("c{n}"), "https://a.example/v1").await;
    }
    let after = Bench::over(&store, &format!("{new},{old}")).await;
    let told = |bench: &Bench| {
        let engine = bench.engine.clone();
        async move {
            let states = engine.key_states().await.unwrap();
            states
                .iter()
                .map(|key| (key.key_id, key.secrets, key.is_active, key.is_configured))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(told(&after).await, [(1, 250, false, true), (2, 0, true, true)]);
    let rotation = after.engine.rotate_keys().await.unwrap();
    assert_eq!((rotation.resealed, rotation.unopened), (250, 0));
    assert_eq!(told(&after).await, [(1, 0, false, true), (2, 250, true, true)]);
    assert_eq!(after.engine.rotate_keys().await.unwrap().resealed, 0);
    // The old key may go.
    let only_new = Bench::over(&store, &new).await;
    for name in ["c0", "c249"] {
        only_new.call(name).await.unwrap();
        assert_eq!(only_new.seen.last_key().as_deref(), Some("sk-of-the-first-server"));
    }
}

#[tokio::test]
async fn unknown_key_is_told_and_breaks_nothing_else() {
    let store = store().await;
    let (lost, new) = (key(1), key(2));
    let before = Bench::over(&store, &lost).await;
    let made = before.connect("lost", "https://a.example/v1").await;
    let after = Bench::over(&store, &new).await;
    after.connect("fine", "https://a.example/v1").await;
    let connections = after.engine.connections(&after.me);
    let shown = connections.get(made.id).await.unwrap();
    assert_eq!((shown.status, shown.has_key), (ConnectionStatus::NeedsKey, true));
    let listed = connections.list(PageRequest::default()).await.unwrap().data;
    let status = |name: &str| listed.iter().find(|of| of.name == name).unwrap().status;
    assert_eq!(status("lost"), ConnectionStatus::NeedsKey);
    assert_eq!(status("fine"), ConnectionStatus::Unknown);
    let refused = after.call("lost").await.unwrap_err();
    assert_eq!(refused.reason(), Some(ErrorReason::KeyUnavailable));
    assert!(refused.message().contains("encryption key 1"), "{refused}");
    after.call("fine").await.unwrap();
    let rotation = after.engine.rotate_keys().await.unwrap();
    assert_eq!((rotation.resealed, rotation.unopened), (0, 1));
    assert_eq!(rotation.examples[0].name, "lost");
    assert!(rotation.keys.iter().any(|key| key.key_id == 1 && !key.is_configured && key.secrets == 1));
    // Another change leaves it; the key entered again heals it.
    let renamed = ConnectionChange { is_enabled: Some(true), ..Default::default() };
    assert_eq!(after.change(&made, renamed).await.status, ConnectionStatus::NeedsKey);
    let entered = ConnectionChange { api_key: Some(Secret::new("sk-entered-again")), ..Default::default() };
    assert_eq!(after.change(&made, entered).await.status, ConnectionStatus::Unknown);
    after.call("lost").await.unwrap();
    assert_eq!(after.seen.last_key().as_deref(), Some("sk-entered-again"));
}

#[tokio::test]
async fn change_of_a_connection_seals_its_key_anew() {
    let store = store().await;
    let (old, new) = (key(1), key(2));
    let made = Bench::over(&store, &old).await.connect("a", "https://a.example/v1").await;
    let bench = Bench::over(&store, &format!("{new},{old}")).await;
    let renamed = ConnectionChange { name: Some("b".into()), ..Default::default() };
    bench.change(&made, renamed).await;
    let stored = store.stores().connections.get(&bench.me, made.id).await.unwrap();
    assert_eq!(stored.sealed_key.unwrap().key_id, 2);
    bench.call("b").await.unwrap();
    assert_eq!(bench.seen.last_key().as_deref(), Some("sk-of-the-first-server"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_disturbs_no_call_and_no_change() {
    let folder = std::env::temp_dir().join(format!("aimate-rotation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = aimate::store::connect(&format!("sqlite:{}", folder.join("a.db").display())).await.unwrap();
    let (old, new) = (key(1), key(2));
    let before = Bench::over(&store, &old).await;
    let mut all = Vec::new();
    for n in 0..300 {
        all.push(before.connect(&format!("c{n}"), "https://a.example/v1").await);
    }
    let bench = Arc::new(Bench::over(&store, &format!("{new},{old}")).await);
    let all = Arc::new(all);
    let mut users = tokio::task::JoinSet::new();
    for user in 0..4 {
        let (bench, all) = (bench.clone(), all.clone());
        users.spawn(async move {
            for n in 0..150 {
                let connection = &all[(n * 7 + user * 75) % all.len()];
                bench.call(&connection.name).await.unwrap();
                let change = ConnectionChange { is_enabled: Some(true), ..Default::default() };
                match bench.engine.connections(&bench.me).update(connection.id, change).await {
                    Ok(_) => {}
                    // Of two users, never of the rotation.
                    Err(error) => assert_eq!(error.kind(), aimate::ErrorKind::Conflict),
                }
            }
        });
    }
    let (first, second) = tokio::join!(bench.engine.rotate_keys(), bench.engine.rotate_keys());
    assert!(first.unwrap().resealed + second.unwrap().resealed <= 300);
    users.join_all().await;
    let states = bench.engine.key_states().await.unwrap();
    assert_eq!(states.iter().map(|key| (key.key_id, key.secrets)).collect::<Vec<_>>(), [(1, 0), (2, 300)]);
    assert!(bench.seen.0.lock().unwrap().iter().all(|(_, _, key)| key.is_some()));
    let _ = std::fs::remove_dir_all(folder);
}

/// A key management service of the application's.
struct Kms(KeyRing);

#[async_trait]
impl KeyProvider for Kms {
    async fn key_ids(&self) -> Result<Vec<u32>> {
        self.0.key_ids().await
    }

    async fn wrap_key(&self, key: &DataKey) -> Result<WrappedKey> {
        tokio::task::yield_now().await;
        self.0.wrap_key(key).await
    }

    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        tokio::task::yield_now().await;
        self.0.unwrap_key(wrapped).await
    }
}

#[tokio::test]
async fn keys_may_stay_in_a_service() {
    let (store, keys) = (store().await, key(9));
    let kms = || Kms(KeyRing::parse(&keys).unwrap()).into();
    let bench = Bench::with(&store, kms(), None).await;
    bench.connect("a", "https://a.example/v1").await;
    let again = Bench::with(&store, kms(), None).await;
    again.call("a").await.unwrap();
    assert_eq!(again.seen.last_key().as_deref(), Some("sk-of-the-first-server"));
    let states = again.engine.key_states().await.unwrap();
    assert_eq!(states.iter().map(|key| (key.key_id, key.secrets)).collect::<Vec<_>>(), [(9, 1)]);
}
