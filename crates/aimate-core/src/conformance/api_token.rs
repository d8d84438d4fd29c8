use futures_util::future::join_all;

use super::world::{World, all, at, id, missing, refused};
use crate::api_token::{ApiToken, FoundToken, MAX_TOKENS, TokenScope};
use crate::error::ErrorKind;
use crate::{PageRequest, Scope, Stores};

pub(super) fn token(prefix: &str) -> ApiToken {
    ApiToken {
        id: id(),
        name: "ci".into(),
        prefix: prefix.into(),
        secret_hash: vec![0, 7, 255],
        scopes: vec![TokenScope::Read, TokenScope::Write],
        created_at: at(0),
        expires_at: Some(at(1_000)),
        last_used_at: None,
    }
}

async fn created(w: &World<'_>, prefix: &str) -> ApiToken {
    let token = token(prefix);
    w.stores.api_tokens.create(&w.me, &token).await.unwrap();
    token
}

pub async fn created_token_is_found_by_its_prefix(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, "abcdefgh").await;
    let found = stores.api_tokens.find("abcdefgh").await.unwrap();
    let of = |scope: &Scope, token: &ApiToken| FoundToken {
        tenant: scope.tenant,
        user: scope.user,
        token: token.clone(),
    };
    assert_eq!(found, [of(&w.me, &mine)]);
    // Two may have the same: the secret tells them apart.
    let theirs = ApiToken { expires_at: None, ..token("abcdefgh") };
    stores.api_tokens.create(&w.stranger, &theirs).await.unwrap();
    let mut found = stores.api_tokens.find("abcdefgh").await.unwrap();
    found.sort_by_key(|found| found.token.id);
    assert_eq!(found, [of(&w.me, &mine), of(&w.stranger, &theirs)]);
    for other in ["ABCDEFGH", "abcdefg", "", "' OR 1=1 --", "%", "a\0"] {
        assert_eq!(stores.api_tokens.find(other).await.unwrap(), [], "{other}");
    }
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let token = created(&w, "a").await;
    refused(stores.api_tokens.create(&w.me, &token).await, ErrorKind::Conflict);
}

pub async fn user_must_be_there(stores: &Stores) {
    let w = World::new(stores).await;
    let nobody = Scope { user: id(), ..w.me };
    missing(stores.api_tokens.create(&nobody, &token("a")).await);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, "a").await;
    for scope in w.others() {
        missing(stores.api_tokens.touch(&scope, mine.id, at(5)).await);
        missing(stores.api_tokens.delete(&scope, mine.id).await);
        let seen = stores.api_tokens.list(&scope, PageRequest::default()).await.unwrap();
        assert!(seen.data.is_empty());
    }
    stores.api_tokens.create(&w.other, &token("b")).await.unwrap();
    assert_eq!(all(|page| stores.api_tokens.list(&w.me, page)).await, [mine]);
}

pub async fn tokens_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for _ in 0..5 {
        created(&w, "a").await;
    }
    let tokens = all(|page| stores.api_tokens.list(&w.me, page)).await;
    assert_eq!(tokens.len(), 5);
    assert!(tokens.is_sorted_by(|a, b| a.id > b.id));
}

pub async fn too_many_tokens_conflict(stores: &Stores) {
    let w = World::new(stores).await;
    for _ in 2..MAX_TOKENS {
        created(&w, "a").await;
    }
    // Those at once are no more either.
    let tokens: Vec<_> = (0..8).map(|_| token("a")).collect();
    let made = join_all(tokens.iter().map(|token| stores.api_tokens.create(&w.me, token))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2);
    refused(stores.api_tokens.create(&w.me, &token("a")).await, ErrorKind::Conflict);
    stores.api_tokens.create(&w.other, &token("a")).await.unwrap();
}

pub async fn touch_marks_the_use(stores: &Stores) {
    let w = World::new(stores).await;
    let token = created(&w, "a").await;
    stores.api_tokens.touch(&w.me, token.id, at(5)).await.unwrap();
    let used = ApiToken { last_used_at: Some(at(5)), ..token };
    assert_eq!(all(|page| stores.api_tokens.list(&w.me, page)).await, [used]);
    missing(stores.api_tokens.touch(&w.me, id(), at(5)).await);
}

pub async fn deleted_token_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let token = created(&w, "a").await;
    stores.api_tokens.delete(&w.me, token.id).await.unwrap();
    assert_eq!(stores.api_tokens.find("a").await.unwrap(), []);
    missing(stores.api_tokens.delete(&w.me, token.id).await);
}
