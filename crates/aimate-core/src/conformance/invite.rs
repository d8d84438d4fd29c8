use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::invite::Invite;
use crate::{PageRequest, Role, Scope, Stores};

/// An invite for anybody whose token has a hash of `byte`s.
pub(super) fn invite(byte: u8) -> Invite {
    Invite {
        id: id(),
        token_hash: vec![byte; 32],
        email: None,
        role: Role::User,
        user_id: None,
        created_at: at(0),
        expires_at: at(1_000),
    }
}

pub async fn created_invite_is_listed(stores: &Stores) {
    let w = World::new(stores).await;
    let email = Some("ada@example.org".parse().unwrap());
    let theirs = Invite { email, role: Role::Admin, user_id: Some(w.admin.user), ..invite(1) };
    stores.invites.create(&w.admin, &theirs).await.unwrap();
    let operators = invite(2);
    stores.invites.create(&w.admin, &operators).await.unwrap();
    assert_eq!(all(|page| stores.invites.list(&w.admin, page)).await, [operators, theirs]);
}

pub async fn taken_id_or_token_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = invite(1);
    stores.invites.create(&w.admin, &first).await.unwrap();
    refused(
        stores.invites.create(&w.admin, &Invite { id: first.id, ..invite(2) }).await,
        ErrorKind::Conflict,
    );
    refused(stores.invites.create(&w.admin, &invite(1)).await, ErrorKind::Conflict);
}

pub async fn tenant_and_user_must_be_there(stores: &Stores) {
    let w = World::new(stores).await;
    missing(stores.invites.create(&w.admin, &Invite { user_id: Some(id()), ..invite(1) }).await);
    let nowhere = Scope { tenant: id(), ..w.admin };
    missing(stores.invites.create(&nowhere, &invite(1)).await);
}

pub async fn other_tenant_sees_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let ours = invite(1);
    stores.invites.create(&w.admin, &ours).await.unwrap();
    stores.invites.create(&w.stranger, &invite(1)).await.unwrap();
    missing(stores.invites.delete(&w.stranger, ours.id).await);
    assert_eq!(stores.invites.list(&w.stranger, PageRequest::default()).await.unwrap().data.len(), 1);
    assert_eq!(all(|page| stores.invites.list(&w.admin, page)).await, [ours]);
}

pub async fn expired_invites_make_room(stores: &Stores) {
    let w = World::new(stores).await;
    stores.invites.create(&w.admin, &invite(1)).await.unwrap();
    let later = Invite { created_at: at(1_000), expires_at: at(2_000), ..invite(2) };
    stores.invites.create(&w.admin, &later).await.unwrap();
    assert_eq!(all(|page| stores.invites.list(&w.admin, page)).await, [later]);
}

pub async fn deleted_invite_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let invite = invite(1);
    stores.invites.create(&w.admin, &invite).await.unwrap();
    stores.invites.delete(&w.admin, invite.id).await.unwrap();
    missing(stores.invites.delete(&w.admin, invite.id).await);
}
