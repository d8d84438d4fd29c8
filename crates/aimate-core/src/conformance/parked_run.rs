use futures_util::future::join_all;
use serde_json::{Value, json};

use super::world::{World, at, finish, id, missing, refused, text_events};
use crate::error::ErrorKind;
use crate::message::Part;
use crate::run::{BeginRun, ChangeParked, EventBatch, ParkRun, RunStatus, ToolAnswer};
use crate::tool::ElicitationAnswer;
use crate::{Stores, WorkerId};

fn park(turn: &BeginRun, events: EventBatch) -> ParkRun {
    ParkRun {
        id: turn.run.id,
        attempt: turn.run.attempt,
        parked: json!({"calls": {"a": null}}),
        content: vec![Part::text("so far")],
        events,
    }
}

fn change(turn: &BeginRun, attempt: u32, parked: Value, resumed_by: Option<WorkerId>) -> ChangeParked {
    ChangeParked { id: turn.run.id, attempt, parked, resumed_by, now: at(100) }
}

async fn parked(w: &World<'_>) -> BeginRun {
    let turn = w.begun().await;
    w.stores.runs.park(&w.me, &park(&turn, text_events(1, &["so ", "far"]))).await.unwrap();
    turn
}

pub async fn parked_run_keeps_what_it_has(stores: &Stores) {
    let w = World::new(stores).await;
    let fresh = w.begun().await;
    assert_eq!(stores.runs.parked(&w.me, fresh.run.id).await.unwrap(), (fresh.run.clone(), None));
    let turn = parked(&w).await;
    let (run, kept) = stores.runs.parked(&w.me, turn.run.id).await.unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Waiting, 1));
    assert_eq!(kept, Some(json!({"calls": {"a": null}})));
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await.unwrap();
    assert_eq!(answer.content, [Part::text("so far")]);
    assert_eq!(answer.status, turn.answer.status);
    let events = stores.runs.events(&w.me, turn.run.id, 0, 10).await.unwrap();
    assert_eq!(events, [text_events(1, &["so ", "far"])]);
}

pub async fn parked_run_goes_on_with_one_worker(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = parked(&w).await;
    let decided = json!({"calls": {"a": {"approve": true}}});
    let half = stores.runs.change_parked(&w.me, &change(&turn, 1, decided.clone(), None)).await.unwrap();
    assert_eq!((half.status, half.attempt), (RunStatus::Waiting, 2));
    let workers: Vec<WorkerId> = (0..4).map(|_| id()).collect();
    let goes_on = workers.iter().map(|worker| {
        let change = change(&turn, 2, decided.clone(), Some(*worker));
        async move { stores.runs.change_parked(&w.me, &change).await }
    });
    let outcomes = join_all(goes_on).await;
    let run = outcomes.iter().find_map(|outcome| outcome.as_ref().ok()).unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!((run.status, run.attempt), (RunStatus::Running, 3));
    assert!(workers.contains(&run.worker_id));
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        refused(outcome, ErrorKind::Conflict);
    }
    assert_eq!(stores.runs.parked(&w.me, turn.run.id).await.unwrap().1, Some(decided));
    // Whoever looked for unheld runs before it went on does not take it.
    for worker in &workers {
        assert_eq!(stores.workers.take_unheld(*worker, at(100), &[], 10).await.unwrap(), []);
    }
    // It is written like any other.
    let mut end = finish(&turn, "done", text_events(3, &["done"]));
    refused(stores.runs.finish(&w.me, &end).await, ErrorKind::Conflict);
    end.attempt = 3;
    stores.runs.finish(&w.me, &end).await.unwrap();
}

pub async fn only_the_owner_parks(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = w.begun().await;
    let late = ParkRun { attempt: 2, ..park(&turn, text_events(1, &[])) };
    refused(stores.runs.park(&w.me, &late).await, ErrorKind::Conflict);
    stores.runs.finish(&w.me, &finish(&turn, "x", text_events(1, &["x"]))).await.unwrap();
    refused(stores.runs.park(&w.me, &park(&turn, text_events(2, &["y"]))).await, ErrorKind::Conflict);
    refused(stores.runs.change_parked(&w.me, &change(&turn, 1, json!({}), None)).await, ErrorKind::Conflict);
    let answer = stores.conversations.message(&w.me, turn.run.conversation_id, turn.answer.id).await.unwrap();
    assert_eq!(answer.content, [Part::text("x")]);
}

pub async fn others_park_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let (running, waiting) = (w.begun().await, parked(&w).await);
    for scope in w.others() {
        missing(stores.runs.park(&scope, &park(&running, text_events(1, &["x"]))).await);
        missing(stores.runs.parked(&scope, waiting.run.id).await);
        missing(stores.runs.change_parked(&scope, &change(&waiting, 1, json!({}), Some(id()))).await);
    }
    let (run, kept) = stores.runs.parked(&w.me, waiting.run.id).await.unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Waiting, 1));
    assert_eq!(kept, Some(json!({"calls": {"a": null}})));
    assert_eq!(stores.runs.get(&w.me, running.run.id).await.unwrap().status, RunStatus::Running);
}

pub async fn waiting_runs_are_nobodys(stores: &Stores) {
    let w = World::new(stores).await;
    let turn = parked(&w).await;
    let heir: WorkerId = id();
    stores.workers.join(heir, at(0)).await.unwrap();
    assert_eq!(stores.workers.take_unheld(w.worker, at(1_000), &[], 10).await.unwrap(), []);
    stores.workers.leave(w.worker).await.unwrap();
    let none = stores.workers.take_abandoned(heir, at(1_000), std::time::Duration::ZERO, 10).await.unwrap();
    assert_eq!(none, []);
    assert_eq!(stores.workers.take_cancelled(heir, 10).await.unwrap(), []);
    let status = stores.runs.request_cancel(&w.me, turn.run.id).await.unwrap();
    assert_eq!(status, RunStatus::Waiting);
    let taken = stores.workers.take_cancelled(heir, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    let (abandoned, kept) = &taken[0];
    assert_eq!((abandoned.scope, abandoned.run.id), (w.me, turn.run.id));
    assert_eq!((abandoned.run.status, abandoned.run.attempt), (RunStatus::Running, 2));
    assert_eq!(kept, &json!({"calls": {"a": null}}));
    assert_eq!(stores.workers.take_cancelled(heir, 10).await.unwrap(), []);
}

#[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
fn answered(call: &str, content: Value) -> ToolAnswer {
    let content = content.as_object().cloned().unwrap_or_default();
    ToolAnswer { call: call.to_owned(), answer: ElicitationAnswer::Accept { content } }
}

pub async fn answer_to_a_tool_is_taken_once_by_the_worker(stores: &Stores) {
    let w = World::new(stores).await;
    let (turn, other) = (w.begun().await, w.begun().await);
    assert_eq!(stores.workers.take_answers(w.worker).await.unwrap(), []);
    // Nothing in it is changed on the way, nor lost: neither null nor quotation marks.
    let answers = [answered("call \"1\"", json!({"a": null, "b": {"c": "ä'\""}})), answered("2", json!({}))];
    for answer in &answers {
        stores.runs.leave_answer(&w.me, turn.run.id, answer).await.unwrap();
    }
    let second = ToolAnswer { call: "1".to_owned(), answer: ElicitationAnswer::Decline };
    stores.runs.leave_answer(&w.me, other.run.id, &second).await.unwrap();
    assert_eq!(stores.workers.take_answers(id()).await.unwrap(), []);
    let mut taken = stores.workers.take_answers(w.worker).await.unwrap();
    taken.sort_by_key(|(run, _)| *run != turn.run.id);
    assert_eq!(taken, [(turn.run.id, answers.to_vec()), (other.run.id, vec![second])]);
    assert_eq!(stores.workers.take_answers(w.worker).await.unwrap(), []);
}

pub async fn answer_to_a_tool_is_for_a_run_under_way(stores: &Stores) {
    let w = World::new(stores).await;
    let (running, waiting, over) = (w.begun().await, parked(&w).await, w.begun().await);
    stores.runs.finish(&w.me, &finish(&over, "x", text_events(1, &["x"]))).await.unwrap();
    let answer = answered("1", json!({"text": "x".repeat(60_000)}));
    for scope in w.others() {
        missing(stores.runs.leave_answer(&scope, running.run.id, &answer).await);
    }
    for run in [waiting.run.id, over.run.id, id()] {
        missing(stores.runs.leave_answer(&w.me, run, &answer).await);
    }
    // As many wait as there is room for.
    let mut left = 0;
    while stores.runs.leave_answer(&w.me, running.run.id, &answer).await.is_ok() {
        left += 1;
        assert!(left < 10);
    }
    refused(stores.runs.leave_answer(&w.me, running.run.id, &answer).await, ErrorKind::Conflict);
    let taken = stores.workers.take_answers(w.worker).await.unwrap();
    assert_eq!((taken.len(), taken[0].1.len()), (1, left));
    stores.runs.leave_answer(&w.me, running.run.id, &answer).await.unwrap();
}
