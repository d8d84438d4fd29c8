use futures_util::future::join_all;

use super::world::{World, all, at, audit_record, id, missing};
use crate::audit::{
    AuditEvent, AuditFilter, AuditHead, AuditReport, NewAuditRecord, StoredAuditRecord, action,
};
use crate::deletion::{DeletionStep, DeletionTarget};
use crate::{Scope, Stores, UserId};

fn record(event: AuditEvent, seconds: i64) -> NewAuditRecord {
    NewAuditRecord::of(event, at(seconds)).unwrap()
}

/// A login of the scope's user from an address.
fn login(scope: &Scope, seconds: i64) -> NewAuditRecord {
    NewAuditRecord { created_at: at(seconds), ..audit_record(scope) }
}

async fn whole(stores: &Stores, scope: &Scope) -> Vec<StoredAuditRecord> {
    stores.audit.read(scope, 0, 1_000).await.unwrap()
}

fn verified(scope: &Scope, records: &[StoredAuditRecord]) -> AuditReport {
    let mut report = AuditReport::begin();
    assert!(records.iter().all(|stored| report.look_at(scope.tenant, stored)), "{:?}", report.fault);
    report
}

pub async fn records_are_numbered_and_chained(stores: &Stores) {
    let w = World::new(stores).await;
    let (one, two) = (login(&w.me, 1), record(AuditEvent::new("a.b"), 2));
    let first = stores.audit.append(&w.me, &one).await.unwrap();
    let second = stores.audit.append(&w.other, &two).await.unwrap();
    assert_eq!((first.sequence, first.hash), (1, one.hash_after(w.me.tenant, &AuditHead::START)));
    assert_eq!((second.sequence, second.hash), (2, two.hash_after(w.me.tenant, &first)));
    let stored = whole(stores, &w.me).await;
    assert_eq!(stored.iter().map(|stored| &stored.record).collect::<Vec<_>>(), [&one, &two]);
    assert_eq!(verified(&w.me, &stored).head, second);
    assert_eq!(stores.audit.read(&w.me, 1, 1_000).await.unwrap(), stored[1..]);
    assert_eq!(stores.audit.read(&w.me, 0, 1).await.unwrap(), stored[..1]);
    assert!(stores.audit.read(&w.me, 2, 1_000).await.unwrap().is_empty());
}

pub async fn appends_at_the_same_moment_make_one_chain(stores: &Stores) {
    let w = World::new(stores).await;
    let appends = (0..20).map(|n| {
        let record = login(&w.me, n);
        async move { stores.audit.append(&w.me, &record).await.unwrap().sequence }
    });
    let mut sequences = join_all(appends).await;
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=20).collect::<Vec<u64>>());
    assert_eq!(verified(&w.me, &whole(stores, &w.me).await).records, 20);
}

pub async fn records_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for seconds in 0..5 {
        stores.audit.append(&w.me, &login(&w.me, seconds)).await.unwrap();
    }
    let filter = AuditFilter::default();
    let listed = all(|page| stores.audit.list(&w.other, &filter, page)).await;
    assert_eq!(listed.iter().map(|record| record.sequence).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert_eq!(listed[0].detail.as_ref().unwrap()["ip"], "192.0.2.1");
    assert_eq!(listed[0].target.as_ref().unwrap().kind, "user");
}

pub async fn filter_narrows_the_list_down(stores: &Stores) {
    let w = World::new(stores).await;
    let made = |scope: &Scope, name: &str, target: UserId, seconds| {
        record(AuditEvent::new(name).actor(scope.user).target("user", target), seconds)
    };
    for record in [
        made(&w.me, "a.a", w.me.user, 1),
        made(&w.me, "a.b", w.other.user, 2),
        made(&w.other, "a.a", w.other.user, 3),
        record(AuditEvent::new("a.a"), 4),
    ] {
        stores.audit.append(&w.me, &record).await.unwrap();
    }
    let found = async |filter: AuditFilter| {
        let listed = all(|page| stores.audit.list(&w.me, &filter, page)).await;
        listed.into_iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    let (me, other) = (Some(w.me.user), Some(w.other.user));
    let [a, b] = ["a.a", "a.b"].map(|action| Some(action.to_owned()));
    let none = AuditFilter::default();
    assert_eq!(found(AuditFilter { actor: me, ..none.clone() }).await, [2, 1]);
    assert_eq!(found(AuditFilter { actor: me, action: a.clone(), ..none.clone() }).await, [1]);
    let target = other.map(|user| user.0);
    assert_eq!(found(AuditFilter { target, ..none.clone() }).await, [3, 2]);
    assert_eq!(found(AuditFilter { target, action: b.clone(), ..none.clone() }).await, [2]);
    assert_eq!(found(AuditFilter { actor: me, target, ..none.clone() }).await, [2]);
    assert_eq!(found(AuditFilter { actor: me, target, action: a.clone(), ..none.clone() }).await, [0u64; 0]);
    assert_eq!(found(AuditFilter { action: a, ..none.clone() }).await, [4, 3, 1]);
    let (from, to) = (Some(at(2)), Some(at(4)));
    assert_eq!(found(AuditFilter { from, to, ..none.clone() }).await, [3, 2]);
    assert_eq!(found(AuditFilter { from, to, action: b, ..none }).await, [2]);
}

pub async fn other_tenant_sees_no_record(stores: &Stores) {
    let w = World::new(stores).await;
    stores.audit.append(&w.me, &login(&w.me, 1)).await.unwrap();
    let seen = stores.audit.list(&w.stranger, &AuditFilter::default(), Default::default()).await.unwrap();
    assert!(seen.data.is_empty());
    assert!(stores.audit.read(&w.stranger, 0, 10).await.unwrap().is_empty());
    // Each tenant has a chain of its own.
    let theirs = stores.audit.append(&w.stranger, &login(&w.stranger, 2)).await.unwrap();
    assert_eq!(theirs.sequence, 1);
    assert_eq!(whole(stores, &w.me).await.len(), 1);
}

pub async fn absent_tenant_has_no_log(stores: &Stores) {
    let w = World::new(stores).await;
    let nowhere = Scope { tenant: id(), ..w.me };
    missing(stores.audit.append(&nowhere, &login(&nowhere, 1)).await);
    assert!(whole(stores, &nowhere).await.is_empty());
}

pub async fn deleted_user_leaves_the_chain_whole(stores: &Stores) {
    let w = World::new(stores).await;
    let by_admin = |target: UserId| {
        let event = AuditEvent::new(action::ROLE_CHANGED).actor(w.admin.user).target("user", target);
        record(event.detail("ip", "192.0.2.7"), 2)
    };
    for record in [login(&w.me, 1), by_admin(w.me.user), by_admin(w.other.user), login(&w.other, 3)] {
        stores.audit.append(&w.me, &record).await.unwrap();
    }
    let before = verified(&w.me, &whole(stores, &w.me).await);
    let target = DeletionTarget { tenant: w.me.tenant, user: Some(w.me.user) };
    stores.deletions.begin(&target, w.worker, at(5)).await.unwrap();
    while stores.deletions.step(&target, at(60)).await.unwrap() == DeletionStep::Deleted {}
    let deletion = stores.deletions.finish(&target, at(61)).await.unwrap();
    assert!(deletion.finished_at.is_some());
    assert_eq!(deletion.counts.redacted_audit_records, 2);
    let left = whole(stores, &w.me).await;
    assert_eq!(verified(&w.me, &left), before);
    let has_detail = left.iter().map(|stored| stored.record.sealed_detail.is_some());
    assert_eq!(has_detail.collect::<Vec<_>>(), [false, false, true, true]);
}
