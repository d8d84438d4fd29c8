use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::session::Session;
use crate::{PageRequest, Scope, Stores};

fn session() -> Session {
    Session {
        id: id(),
        token_hash: vec![0, 7, 255],
        ip: Some("127.0.0.1".into()),
        user_agent: Some("curl".into()),
        created_at: at(0),
        last_activity_at: at(0),
        expires_at: at(1000),
    }
}

async fn created(w: &World<'_>) -> Session {
    let session = session();
    w.stores.sessions.create(&w.me, &session).await.unwrap();
    session
}

pub async fn created_session_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    assert_eq!(stores.sessions.get(&w.me, session.id).await.unwrap(), session);
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    refused(stores.sessions.create(&w.me, &session).await, ErrorKind::Conflict);
}

pub async fn user_must_be_there(stores: &Stores) {
    let w = World::new(stores).await;
    let nobody = Scope { user: id(), ..w.me };
    missing(stores.sessions.create(&nobody, &session()).await);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    for scope in w.others() {
        missing(stores.sessions.get(&scope, session.id).await);
        missing(stores.sessions.touch(&scope, session.id, at(5)).await);
        missing(stores.sessions.delete(&scope, session.id).await);
        let seen = stores.sessions.list(&scope, PageRequest::default()).await.unwrap();
        assert!(seen.data.is_empty());
    }
    let theirs = self::session();
    stores.sessions.create(&w.other, &theirs).await.unwrap();
    missing(stores.sessions.get(&w.me, theirs.id).await);
    assert_eq!(stores.sessions.get(&w.me, session.id).await.unwrap(), session);
}

pub async fn sessions_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for _ in 0..5 {
        created(&w).await;
    }
    let sessions = all(|page| stores.sessions.list(&w.me, page)).await;
    assert_eq!(sessions.len(), 5);
    assert!(sessions.is_sorted_by(|a, b| a.id > b.id));
}

pub async fn touch_marks_the_use(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    stores.sessions.touch(&w.me, session.id, at(5)).await.unwrap();
    let used = stores.sessions.get(&w.me, session.id).await.unwrap();
    assert_eq!(used, Session { last_activity_at: at(5), ..session });
    missing(stores.sessions.touch(&w.me, id(), at(5)).await);
}

pub async fn deleted_session_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    stores.sessions.delete(&w.me, session.id).await.unwrap();
    missing(stores.sessions.get(&w.me, session.id).await);
    missing(stores.sessions.delete(&w.me, session.id).await);
}
