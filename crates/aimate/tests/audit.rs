//! The audit log: what is recorded, who reads it, and that changes of it show.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use aimate::audit::{AuditEvent, AuditFault, AuditFilter, AuditHead, AuditOrigin, AuditRecord, action};
use aimate::connection::{ConnectionChange, NewConnection};
use aimate::user::UserChange;
use aimate::{Engine, ErrorKind, KeyRing, PageRequest, Role, Scope, Secret};
use common::{Bench, bench};

async fn log(engine: &Engine, admin: &Scope) -> Vec<AuditRecord> {
    let mut records =
        engine.audit(admin, &AuditFilter::default(), PageRequest::first(200)).await.unwrap().data;
    records.reverse();
    records
}

#[tokio::test]
async fn what_matters_is_recorded_with_who_did_it() {
    let keys = KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap();
    let bench = Bench::with([], |builder| builder.keys(keys)).await;
    let engine = &bench.engine;
    let ann = engine.scope("acme", "ann").role(Role::Admin).ensure().await.unwrap();
    let bob = engine.scope("acme", "bob").ensure().await.unwrap();
    let change = |role, is_active| UserChange { role, is_active, ..UserChange::default() };
    let users = engine.users(&ann);
    users.update(bob.user, change(Some(Role::Admin), None)).await.unwrap();
    users.update(bob.user, change(None, Some(false))).await.unwrap();
    users.update(bob.user, change(Some(Role::User), Some(true))).await.unwrap();
    // What is not done is not recorded.
    let refused = engine.users(&bob).update(ann.user, change(Some(Role::User), None)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);

    let key = || Some(Secret::new("sk-0123456789abcdef".to_owned()));
    let new = NewConnection::new("lab", "scripted").url("https://api.example.org/v1");
    let connections = engine.connections(&bob);
    let lab = connections.create(NewConnection { api_key: key(), ..new }).await.unwrap();
    let same = ConnectionChange { is_enabled: Some(false), ..ConnectionChange::default() };
    connections.update(lab.id, same).await.unwrap();
    let other = ConnectionChange { api_key: key(), ..ConnectionChange::default() };
    connections.update(lab.id, other).await.unwrap();
    let elsewhere =
        ConnectionChange { url: Some("https://evil.example.org/v1".into()), ..Default::default() };
    connections.update(lab.id, elsewhere).await.unwrap();
    connections.delete(lab.id).await.unwrap();
    users.delete(bob.user).await.unwrap();

    let records = log(engine, &ann).await;
    let told = records.iter().map(|record| {
        let actor = if record.actor_id == Some(ann.user) { "ann" } else { "bob" };
        (record.action.as_str(), actor, record.target.as_ref().unwrap().kind.as_str())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (action::ROLE_CHANGED, "ann", "user"),
            (action::USER_DISABLED, "ann", "user"),
            (action::ROLE_CHANGED, "ann", "user"),
            (action::USER_ENABLED, "ann", "user"),
            (action::CONNECTION_CREATED, "bob", "connection"),
            (action::KEY_SET, "bob", "connection"),
            (action::KEY_REMOVED, "bob", "connection"),
            (action::CONNECTION_DELETED, "bob", "connection"),
            (action::USER_DELETED, "ann", "user"),
        ]
    );
    // Of the user who is gone nothing is known but the id, and the chain is whole.
    assert!(records[..8].iter().all(|record| record.detail.is_none()), "{records:?}");
    let report = engine.tenants().verify_audit("acme", None).await.unwrap();
    assert_eq!((report.records, report.fault), (9, None));
    assert!(!format!("{records:?}").contains("0123456789"));
}

#[tokio::test]
async fn admins_alone_read_the_log() {
    let bench = bench([]).await;
    let engine = &bench.engine;
    let ann = engine.scope("acme", "ann").role(Role::Admin).ensure().await.unwrap();
    let bob = engine.scope("acme", "bob").ensure().await.unwrap();
    let eve = engine.scope("other", "eve").role(Role::Admin).ensure().await.unwrap();
    engine.record_audit("acme", AuditEvent::new("door.opened").actor(bob.user)).await;
    assert_eq!(log(engine, &ann).await.len(), 1);
    let refused = engine.audit(&bob, &AuditFilter::default(), PageRequest::default()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    assert!(log(engine, &eve).await.is_empty());
}

#[tokio::test]
async fn origin_of_a_request_is_recorded() {
    let bench = bench([]).await;
    let engine = &bench.engine;
    let ann = engine.scope("acme", "ann").role(Role::Admin).ensure().await.unwrap();
    let origin = AuditOrigin::new(Some("192.0.2.9".into()), Some("r-1".into()));
    let event = || AuditEvent::new("door.opened").detail("ip", "chosen");
    origin.clone().of(engine.record_audit("acme", event())).await;
    origin.of(engine.record_audit("acme", AuditEvent::new("door.closed"))).await;
    engine.record_audit("acme", AuditEvent::new("door.closed")).await;
    let details = log(engine, &ann).await.into_iter().map(|record| record.detail.unwrap());
    let details: Vec<_> = details.map(|detail| serde_json::to_string(&detail).unwrap()).collect();
    assert_eq!(
        details,
        [r#"{"ip":"chosen","request_id":"r-1"}"#, r#"{"ip":"192.0.2.9","request_id":"r-1"}"#, "{}"]
    );
}

#[tokio::test]
async fn event_of_a_tenant_that_is_gone_is_dropped() {
    let bench = bench([]).await;
    bench.engine.record_audit("nobody", AuditEvent::new("door.opened")).await;
    let report = bench.engine.tenants().verify_audit("nobody", None).await.unwrap();
    assert_eq!((report.records, report.head, report.fault), (0, AuditHead::START, None));
}

#[tokio::test]
async fn noted_head_shows_a_log_that_was_cut_off_or_written_anew() {
    let bench = bench([]).await;
    let engine = &bench.engine;
    engine.scope("acme", "ann").ensure().await.unwrap();
    for _ in 0..3 {
        engine.record_audit("acme", AuditEvent::new("door.opened")).await;
    }
    let tenants = engine.tenants();
    let noted = tenants.verify_audit("acme", None).await.unwrap().head;
    assert_eq!(tenants.verify_audit("acme", Some(noted)).await.unwrap().fault, None);
    engine.record_audit("acme", AuditEvent::new("door.opened")).await;
    assert_eq!(tenants.verify_audit("acme", Some(noted)).await.unwrap().fault, None);
    let cut_off = AuditHead { sequence: 9, ..noted };
    assert_eq!(
        tenants.verify_audit("acme", Some(cut_off)).await.unwrap().fault,
        Some(AuditFault::Missing(5))
    );
    let anew = AuditHead { sequence: 2, ..noted };
    assert_eq!(tenants.verify_audit("acme", Some(anew)).await.unwrap().fault, Some(AuditFault::Changed(2)));
}
