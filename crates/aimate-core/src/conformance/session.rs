use std::time::Duration;

use futures_util::future::join_all;

use super::world::{World, all, at, id, missing, refused, session};
use crate::error::ErrorKind;
use crate::session::{MAX_SESSIONS, Renewal, Renewed, Session};
use crate::{PageRequest, Scope, Stores, Timestamp};

async fn created(w: &World<'_>) -> Session {
    let session = session();
    w.stores.sessions.create(&w.me, &session).await.unwrap();
    session
}

/// Token `from` of `session` for token `to`, `seconds` after its beginning.
fn renewal(session: &Session, from: u8, to: u8, seconds: i64) -> Renewal {
    Renewal {
        id: session.id,
        family_hash: session.family_hash.clone(),
        token_hash: vec![from; 32],
        next_hash: vec![to; 32],
        ip: Some("::1".into()),
        user_agent: None,
        now: at(seconds),
        lifetime: Duration::from_secs(1_000),
        max_age: Duration::from_secs(2_500),
        grace: Duration::from_secs(10),
    }
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
        assert_eq!(stores.sessions.delete_all(&scope, None).await.unwrap(), 0);
        let renewed = stores.sessions.renew(&scope, &renewal(&session, 7, 8, 100)).await.unwrap();
        assert_eq!(renewed, Renewed::Refused);
        let seen = stores.sessions.list(&scope, at(0), PageRequest::default()).await.unwrap();
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
    let sessions = all(|page| stores.sessions.list(&w.me, at(999), page)).await;
    assert_eq!(sessions.len(), 5);
    assert!(sessions.is_sorted_by(|a, b| a.id > b.id));
    assert_eq!(all(|page| stores.sessions.list(&w.me, at(1_000), page)).await, []);
}

pub async fn expired_and_oldest_sessions_make_room(stores: &Stores) {
    let w = World::new(stores).await;
    let over = created(&w).await;
    let first = Session { created_at: at(1_000), expires_at: at(5_000), ..session() };
    stores.sessions.create(&w.me, &first).await.unwrap();
    missing(stores.sessions.get(&w.me, over.id).await);
    for _ in 0..MAX_SESSIONS {
        let next = Session { created_at: at(1_000), expires_at: at(5_000), ..session() };
        stores.sessions.create(&w.me, &next).await.unwrap();
    }
    missing(stores.sessions.get(&w.me, first.id).await);
    let left = all(|page| stores.sessions.list(&w.me, at(0), page)).await;
    assert_eq!(left.len(), MAX_SESSIONS as usize);
}

pub async fn renewed_session_has_the_next_token(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 7, 8, 500)).await.unwrap();
    let expected = Session {
        token_hash: vec![8; 32],
        ip: Some("::1".into()),
        user_agent: None,
        renewed_at: at(500),
        last_activity_at: at(500),
        expires_at: at(1_500),
        ..session.clone()
    };
    assert_eq!(renewed, Renewed::Session(Box::new(expected.clone())));
    assert_eq!(stores.sessions.get(&w.me, session.id).await.unwrap(), expected);
    // The next one goes on, and not beyond the end of all renewing.
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 8, 9, 1_499)).await.unwrap();
    assert!(matches!(&renewed, Renewed::Session(session) if session.expires_at == at(2_499)), "{renewed:?}");
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 9, 10, 2_498)).await.unwrap();
    assert!(matches!(&renewed, Renewed::Session(session) if session.expires_at == at(2_500)), "{renewed:?}");
    // One that is over is not renewed.
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 10, 11, 2_500)).await.unwrap();
    assert_eq!(renewed, Renewed::Refused);
}

pub async fn reused_token_ends_the_session(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    stores.sessions.renew(&w.me, &renewal(&session, 7, 8, 100)).await.unwrap();
    // A client that did not hear the answer asks again.
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 7, 9, 109)).await.unwrap();
    assert_eq!(renewed, Renewed::JustRenewed);
    // Who does not know the family cannot end it.
    let foreign = Renewal { family_hash: vec![0; 32], ..renewal(&session, 7, 9, 200) };
    assert_eq!(stores.sessions.renew(&w.me, &foreign).await.unwrap(), Renewed::Refused);
    assert_eq!(stores.sessions.get(&w.me, session.id).await.unwrap().token_hash, vec![8; 32]);
    let reused = stores.sessions.renew(&w.me, &renewal(&session, 7, 9, 110)).await.unwrap();
    assert_eq!(reused, Renewed::Reused);
    missing(stores.sessions.get(&w.me, session.id).await);
    let renewed = stores.sessions.renew(&w.me, &renewal(&session, 8, 9, 111)).await.unwrap();
    assert_eq!(renewed, Renewed::Refused);
}

pub async fn parallel_renewals_give_one_token(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    let renewals: Vec<_> = (8..28).map(|to| renewal(&session, 7, to, 100)).collect();
    let renewed = join_all(renewals.iter().map(|renewal| stores.sessions.renew(&w.me, renewal))).await;
    let good: Vec<_> = renewed
        .into_iter()
        .filter_map(|renewed| match renewed.unwrap() {
            Renewed::Session(session) => Some(session.token_hash),
            Renewed::JustRenewed => None,
            other => panic!("a retry at the same moment is no theft: {other:?}"),
        })
        .collect();
    assert_eq!(good, [stores.sessions.get(&w.me, session.id).await.unwrap().token_hash]);
}

pub async fn touch_marks_the_use(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    stores.sessions.touch(&w.me, session.id, at(5)).await.unwrap();
    let used = stores.sessions.get(&w.me, session.id).await.unwrap();
    assert_eq!(used, Session { last_activity_at: at(5), ..session });
    missing(stores.sessions.touch(&w.me, id(), Timestamp(5)).await);
}

pub async fn deleted_session_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let session = created(&w).await;
    stores.sessions.delete(&w.me, session.id).await.unwrap();
    missing(stores.sessions.get(&w.me, session.id).await);
    missing(stores.sessions.delete(&w.me, session.id).await);
}

pub async fn all_sessions_but_one_are_ended(stores: &Stores) {
    let w = World::new(stores).await;
    let (kept, _, _) = (created(&w).await, created(&w).await, created(&w).await);
    stores.sessions.create(&w.other, &session()).await.unwrap();
    assert_eq!(stores.sessions.delete_all(&w.me, Some(kept.id)).await.unwrap(), 2);
    assert_eq!(all(|page| stores.sessions.list(&w.me, at(0), page)).await, [kept]);
    assert_eq!(stores.sessions.delete_all(&w.me, None).await.unwrap(), 1);
    assert_eq!(all(|page| stores.sessions.list(&w.other, at(0), page)).await.len(), 1);
}
