//! Rotating the encryption keys with the command, killed on the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and this one is a process of its own"
)]

#[path = "common/command.rs"]
mod command;

use std::process::Stdio;
use std::time::Duration;

use aimate::connection::NewConnection;
use aimate::engine::KeyState;
use aimate::{Engine, KeyRing, Scope, Secret, Stores};
use command::{Folder, err, out};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

const SECRETS: usize = 1_500;

fn key(id: u32) -> String {
    format!("{id}:{}", KeyRing::generate().unwrap().expose())
}

async fn engine(database: &str, keys: &str) -> (Engine, Scope, Stores) {
    let store = aimate::store::connect(database).await.unwrap();
    let stores = store.stores();
    let engine = Engine::builder()
        .store(store)
        .providers(aimate::providers::with(&aimate::providers::Transport::new()))
        .keys(KeyRing::parse(keys).unwrap())
        .readers(0)
        .build()
        .await
        .unwrap();
    let me = engine.local_scope().await.unwrap();
    (engine, me, stores)
}

async fn sealed_with(stores: &Stores, key_id: u32) -> u64 {
    let counted = stores.secrets.count_by_key().await.unwrap();
    counted.iter().find(|of| of.key_id == key_id).map_or(0, |of| of.secrets)
}

async fn killed_on_the_way(database: &str, folder: &Folder) {
    let (old, new) = (key(1), key(2));
    let (first, me, stores) = engine(database, &old).await;
    for n in 0..SECRETS {
        let new = NewConnection::new(format!("c{n}"), "openai").url("https://a.example/v1");
        let key = Secret::new(format!("sk-{n:08}"));
        first.connections(&me).create(new.api_key(key)).await.unwrap();
    }
    let keys = format!("{new},{old}");
    let environment = [("AIMATE_KEYS", keys.as_str()), ("DATABASE_URL", database)];
    let mut kills = 0;
    loop {
        let before = sealed_with(&stores, 1).await;
        let mut rotation = folder
            .command(&["keys", "rotate"], &environment)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // As soon as something is resealed, it dies.
        let ended = loop {
            if let Some(status) = rotation.try_wait().unwrap() {
                break Some(status);
            }
            let left = sealed_with(&stores, 1).await;
            if left < before && left > 0 {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        rotation.kill().unwrap();
        rotation.wait().unwrap();
        kills += 1;
        let (left, done) = (sealed_with(&stores, 1).await, sealed_with(&stores, 2).await);
        assert_eq!(left + done, SECRETS as u64);
    }
    println!("{kills} kills");
    assert!(kills > 0, "no rotation was killed on its way");
    let again = folder.aimate(&["keys", "status"], &environment);
    assert!(out(&again).contains("key 1: 0 secrets; it may be removed"), "{}{}", out(&again), err(&again));
    // With the new key alone, every secret opens.
    let (last, _, _) = engine(database, &new).await;
    let states = last.key_states().await.unwrap();
    let only = KeyState { key_id: 2, secrets: SECRETS as u64, is_active: true, is_configured: true };
    assert_eq!(states, [only]);
    let third = format!("{},{new}", key(3));
    let (opener, _, _) = engine(database, &third).await;
    let opened = opener.rotate_keys().await.unwrap();
    assert_eq!((opened.resealed, opened.unopened), (SECRETS as u64, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_rotation_goes_on_where_it_ended_on_sqlite() {
    let folder = Folder::new("keys-sqlite");
    let database = format!("sqlite:{}", folder.0.join("a.db").display());
    killed_on_the_way(&database, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_rotation_goes_on_where_it_ended_on_postgres() {
    let urls = std::env::var("AIMATE_TEST_POSTGRES").unwrap_or_default();
    let Some(url) = urls.split(',').find(|url| !url.is_empty()) else { return };
    let folder = Folder::new("keys-postgres");
    let name = format!("aimate_keys_{}", std::process::id());
    let (server, _) = url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(url).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    killed_on_the_way(&format!("{server}/{name}"), &folder).await;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

#[tokio::test]
async fn lost_key_is_named_by_doctor_and_status() {
    let folder = Folder::new("keys-lost");
    let database = format!("sqlite:{}", folder.0.join("a.db").display());
    let (lost, new) = (key(4), key(5));
    let (first, me, _) = engine(&database, &lost).await;
    let connection = NewConnection::new("my gpu box", "openai").url("https://a.example/v1");
    first.connections(&me).create(connection.api_key(Secret::new("sk-0123456789"))).await.unwrap();
    first.drain(Duration::ZERO).await;
    let environment =
        [("AIMATE_KEYS", new.as_str()), ("DATABASE_URL", database.as_str()), ("AI_PROVIDER", "builtin")];
    for arguments in [&["doctor"][..], &["keys", "status"], &["keys", "rotate"]] {
        let told = folder.aimate(arguments, &environment);
        assert!(!told.status.success(), "{arguments:?} {}", out(&told));
        assert!(out(&told).contains("key 4"), "{arguments:?} {}{}", out(&told), err(&told));
        let names_it = arguments == ["keys", "status"] || out(&told).contains("my gpu box");
        assert!(names_it, "{arguments:?} {}", out(&told));
        assert!(!(out(&told) + &err(&told)).contains("sk-0123456789"));
    }
}
