use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join;

use super::world::{World, at, finish, id, refused, text_events};
use crate::error::ErrorKind;
use crate::run::{BeginRun, FinishRun, RunStatus};
use crate::tenant::TenantChange;
use crate::user::UserChange;
use crate::{RunId, Scope, Stores, Timestamp, WorkerId};

/// No worker of a case is late.
const LONG: Duration = Duration::from_secs(1_000_000_000);

async fn joined(w: &World<'_>) -> WorkerId {
    let worker = id();
    w.stores.workers.join(worker, at(0)).await.unwrap();
    worker
}

async fn taken(w: &World<'_>, by: WorkerId, limit: u32) -> Vec<RunId> {
    let runs = w.stores.workers.take_abandoned(by, at(0), LONG, limit).await.unwrap();
    runs.into_iter().map(|abandoned| abandoned.run.id).collect()
}

pub async fn runs_of_a_left_worker_are_taken(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let heir = joined(&w).await;
    assert_eq!(taken(&w, heir, 10).await, []);
    stores.workers.leave(w.worker).await.unwrap();
    assert_eq!(taken(&w, heir, 10).await, [turn.run.id]);
    assert_eq!(taken(&w, heir, 10).await, []);
    let run = stores.runs.get(&w.me, turn.run.id).await.unwrap();
    assert_eq!((run.worker_id, run.attempt, run.status), (heir, 2, RunStatus::Running));
}

pub async fn runs_of_a_late_worker_are_taken(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let heir = joined(&w).await;
    stores.workers.beat(w.worker, at(10)).await.unwrap();
    assert_eq!(stores.workers.take_abandoned(heir, at(10), LONG, 10).await.unwrap(), []);
    // Either clock says that no time has passed, or this one that a second has.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let runs = stores.workers.take_abandoned(heir, at(11), Duration::ZERO, 10).await.unwrap();
    assert_eq!(runs[0].run.id, turn.run.id);
    // It was only late, and goes on with new runs.
    stores.workers.beat(w.worker, at(20)).await.unwrap();
    w.begun().await;
    assert_eq!(taken(&w, heir, 10).await, []);
}

pub async fn run_that_nobody_holds_is_taken(stores: &Stores) {
    let w = World::new(stores).await;
    let (lost, held, other) = (w.begun().await, w.begun().await, w.begun().await);
    let take = async |worker, before, held: &[RunId]| {
        let taken = stores.workers.take_unheld(worker, before, held, 10).await.unwrap();
        taken.into_iter().map(|abandoned| (abandoned.run.id, abandoned.run.attempt)).collect::<Vec<_>>()
    };
    let later = Timestamp(lost.run.created_at.0 + 1);
    assert_eq!(take(w.worker, lost.run.created_at, &[held.run.id, other.run.id]).await, []);
    assert_eq!(take(joined(&w).await, later, &[]).await, []);
    assert_eq!(take(w.worker, later, &[held.run.id, other.run.id]).await, [(lost.run.id, 2)]);
    // Whoever was thought away changes nothing any more.
    let end = finish(&lost, "late", text_events(1, &[]));
    refused(stores.runs.finish(&w.me, &end).await, ErrorKind::Conflict);
    stores.runs.finish(&w.me, &FinishRun { attempt: 2, ..end }).await.unwrap();
    assert_eq!(take(w.worker, later, &[held.run.id, other.run.id]).await, []);
}

pub async fn runs_of_a_live_worker_stay(stores: &Stores) {
    let w = World::new(stores).await;
    w.begun().await;
    let other = joined(&w).await;
    assert_eq!(taken(&w, other, 10).await, []);
    assert_eq!(taken(&w, w.worker, 10).await, []);
}

pub async fn each_run_goes_to_one_caller(stores: &Stores) {
    let w = World::new(stores).await;
    let mut all = HashSet::new();
    for _ in 0..10 {
        all.insert(w.begun().await.run.id);
    }
    let (one, two) = (joined(&w).await, joined(&w).await);
    stores.workers.leave(w.worker).await.unwrap();
    let (first, second) = join(taken(&w, one, 10), taken(&w, two, 10)).await;
    let both: HashSet<RunId> = first.iter().chain(&second).copied().collect();
    assert_eq!((first.len() + second.len(), both), (10, all));
}

pub async fn at_most_limit_are_taken(stores: &Stores) {
    let w = World::new(stores).await;
    for _ in 0..5 {
        w.begun().await;
    }
    let heir = joined(&w).await;
    stores.workers.leave(w.worker).await.unwrap();
    assert_eq!(taken(&w, heir, 2).await.len(), 2);
    assert_eq!(taken(&w, heir, 2).await.len(), 2);
    assert_eq!(taken(&w, heir, 2).await.len(), 1);
}

pub async fn finished_runs_stay(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    stores.runs.finish(&w.me, &finish(&turn, "x", text_events(1, &[]))).await.unwrap();
    let heir = joined(&w).await;
    stores.workers.leave(w.worker).await.unwrap();
    assert_eq!(taken(&w, heir, 10).await, []);
}

pub async fn former_owner_is_fenced_off(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let run = turn.run.id;
    stores.runs.checkpoint(&w.me, run, 1, &text_events(1, &["a"])).await.unwrap();
    let heir = joined(&w).await;
    stores.workers.leave(w.worker).await.unwrap();
    taken(&w, heir, 10).await;

    let late = text_events(2, &["late"]);
    refused(stores.runs.checkpoint(&w.me, run, 1, &late).await, ErrorKind::Conflict);
    refused(stores.runs.finish(&w.me, &finish(&turn, "late", late)).await, ErrorKind::Conflict);
    let mut end = finish(&turn, "a", text_events(2, &[]));
    (end.attempt, end.status) = (2, RunStatus::Interrupted);
    stores.runs.finish(&w.me, &FinishRun { finish_reason: None, ..end }).await.unwrap();
    let events = stores.runs.events(&w.me, run, 0, 10).await.unwrap();
    assert_eq!(events, [text_events(1, &["a"])]);
}

pub async fn abandoned_run_tells_its_scope(stores: &Stores) {
    let w = World::new(stores).await;
    let mut scopes: Vec<Scope> = vec![w.me, w.stranger, w.admin];
    for scope in &scopes {
        let talk = super::world::conversation("talk");
        let turn = BeginRun { create: Some(talk.clone()), ..w.turn(talk.id, None) };
        stores.runs.begin(scope, &turn).await.unwrap();
    }
    let heir = joined(&w).await;
    stores.workers.leave(w.worker).await.unwrap();
    let runs = stores.workers.take_abandoned(heir, at(0), LONG, 10).await.unwrap();
    for abandoned in &runs {
        let run = stores.runs.get(&abandoned.scope, abandoned.run.id).await.unwrap();
        assert_eq!(run, abandoned.run);
    }
    let mut found: Vec<Scope> = runs.into_iter().map(|abandoned| abandoned.scope).collect();
    let key = |scope: &Scope| (scope.tenant, scope.user);
    found.sort_by_key(key);
    scopes.sort_by_key(key);
    assert_eq!(found, scopes);
}

pub async fn cancel_reaches_the_owner(stores: &Stores) {
    let w = World::new(stores).await;
    let (turn, _running) = (w.begun().await, w.begun().await);
    let other = joined(&w).await;
    let status = stores.runs.request_cancel(&w.me, turn.run.id).await.unwrap();
    assert_eq!(status, RunStatus::Running);
    assert_eq!(stores.workers.beat(other, at(1)).await.unwrap(), []);
    assert_eq!(stores.workers.beat(w.worker, at(1)).await.unwrap(), [turn.run.id]);
    stores.runs.finish(&w.me, &finish(&turn, "", text_events(1, &[]))).await.unwrap();
    assert_eq!(stores.workers.beat(w.worker, at(2)).await.unwrap(), []);
}

pub async fn cancel_of_a_finished_run_changes_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    stores.runs.finish(&w.me, &finish(&turn, "x", text_events(1, &[]))).await.unwrap();
    let before = stores.runs.get(&w.me, turn.run.id).await.unwrap();
    let status = stores.runs.request_cancel(&w.me, turn.run.id).await.unwrap();
    assert_eq!(status, RunStatus::Completed);
    assert_eq!(stores.runs.get(&w.me, turn.run.id).await.unwrap(), before);
}

pub async fn logs_of_finished_runs_are_cleared(stores: &Stores) {
    let w = World::new(stores).await;
    let (done, running) = (w.begun().await, w.begun().await);
    for turn in [&done, &running] {
        stores.runs.checkpoint(&w.me, turn.run.id, 1, &text_events(1, &["a"])).await.unwrap();
    }
    let end = finish(&done, "a", text_events(2, &[]));
    stores.runs.finish(&w.me, &end).await.unwrap();
    let logs = async |turn: &BeginRun| stores.runs.events(&w.me, turn.run.id, 0, 10).await.unwrap().len();
    stores.workers.clear_logs(end.now).await.unwrap();
    assert_eq!((logs(&done).await, logs(&running).await), (1, 1));
    stores.workers.clear_logs(Timestamp(end.now.0 + 1)).await.unwrap();
    assert_eq!((logs(&done).await, logs(&running).await), (0, 1));
}

pub async fn ping_answers(stores: &Stores) {
    stores.workers.ping().await.unwrap();
}

pub async fn runs_of_inactive_users_are_to_stop(stores: &Stores) {
    let w = World::new(stores).await;
    let workers = &stores.workers;
    workers.cancel_of_inactive(w.worker).await.unwrap();
    let disabled = UserChange { is_active: Some(false), ..UserChange::default() };
    stores.users.update(&w.me, w.me.user, &disabled, at(1)).await.unwrap();
    // Begun by a process that did not know of it yet.
    let late = w.begun().await;
    assert!(workers.beat(w.worker, at(1)).await.unwrap().is_empty());
    workers.cancel_of_inactive(joined(&w).await).await.unwrap();
    assert!(workers.beat(w.worker, at(1)).await.unwrap().is_empty());
    workers.cancel_of_inactive(w.worker).await.unwrap();
    assert_eq!(workers.beat(w.worker, at(1)).await.unwrap(), [late.run.id]);
    stores.runs.finish(&w.me, &finish(&late, "x", text_events(1, &["x"]))).await.unwrap();

    let enabled = UserChange { is_active: Some(true), ..UserChange::default() };
    stores.users.update(&w.me, w.me.user, &enabled, at(2)).await.unwrap();
    let closed = TenantChange { is_active: Some(false), ..TenantChange::default() };
    stores.tenants.update(w.me.tenant, &closed, at(2)).await.unwrap();
    let late = w.begun().await;
    workers.cancel_of_inactive(w.worker).await.unwrap();
    assert_eq!(workers.beat(w.worker, at(2)).await.unwrap(), [late.run.id]);
}
