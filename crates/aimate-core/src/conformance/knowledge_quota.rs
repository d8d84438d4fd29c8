//! What users and tenants may keep.

use futures_util::future::join_all;

use super::knowledge_world::{Fixture, collection, document};
use super::world::{id, refused};
use crate::error::{Error, ErrorKind, ErrorReason};
use crate::knowledge::{Document, StorageAmount, StorageQuota, StorageQuotas};
use crate::{CollectionId, Stores};

/// `size` bytes in a document of a collection.
fn sized(collection: CollectionId, size: u64) -> Document {
    Document { size, ..document(collection, "sized") }
}

fn of_user(documents: Option<u64>, bytes: Option<u64>) -> StorageQuotas {
    StorageQuotas { user: StorageQuota { documents, bytes }, ..StorageQuotas::default() }
}

fn of_tenant(documents: Option<u64>, bytes: Option<u64>) -> StorageQuotas {
    StorageQuotas { tenant: StorageQuota { documents, bytes }, ..StorageQuotas::default() }
}

#[track_caller]
fn exceeded<T: std::fmt::Debug>(result: Result<T, Error>, whose: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::TooLarge, Some(ErrorReason::QuotaExceeded)));
    assert!(error.message().contains(whose), "{error}");
}

pub async fn quota_is_kept_to_the_last_byte(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (me, documents) = (&fixture.me, &stores.documents);
    let quotas = of_user(Some(3), Some(100));
    let first = sized(fixture.collection, 60);
    fixture.uploaded(me, &first, &quotas).await.unwrap();
    exceeded(fixture.uploaded(me, &sized(fixture.collection, 41), &quotas).await, "this user has 1 of 3");
    fixture.uploaded(me, &sized(fixture.collection, 40), &quotas).await.unwrap();
    fixture.uploaded(me, &sized(fixture.collection, 0), &quotas).await.unwrap();
    exceeded(fixture.uploaded(me, &sized(fixture.collection, 0), &quotas).await, "this user has 3 of 3");
    assert_eq!(
        documents.storage(me, &quotas).await.unwrap().user,
        StorageAmount { documents: 3, bytes: 100 }
    );
    documents.delete(me, &[first.id]).await.unwrap();
    assert_eq!(documents.storage(me, &quotas).await.unwrap().user, StorageAmount { documents: 2, bytes: 40 });
    fixture.uploaded(me, &sized(fixture.collection, 60), &quotas).await.unwrap();
    // What is not there is not taken for what does not fit.
    refused(fixture.uploaded(me, &sized(id(), 1_000), &quotas).await, ErrorKind::NotFound);
}

pub async fn replaced_document_counts_once(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (me, documents) = (&fixture.me, &stores.documents);
    let quotas = of_user(Some(1), Some(100));
    let version = |size| Document { source: Some("s".into()), ..sized(fixture.collection, size) };
    for size in [90, 100, 10] {
        fixture.uploaded(me, &version(size), &quotas).await.unwrap();
        assert_eq!(
            documents.storage(me, &quotas).await.unwrap().user,
            StorageAmount { documents: 1, bytes: size }
        );
    }
    exceeded(fixture.uploaded(me, &version(101), &quotas).await, "this user");
    // The one before is still there.
    assert_eq!(documents.storage(me, &quotas).await.unwrap().user.bytes, 10);
}

pub async fn tenant_has_a_quota_of_its_own(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (w, documents) = (&fixture.world, &stores.documents);
    let theirs = collection("theirs");
    stores.collections.create(&w.other, &theirs).await.unwrap();
    let shared = collection("shared");
    stores.collections.create(&w.me.shared(), &shared).await.unwrap();
    let quotas = of_tenant(Some(3), None);
    fixture.uploaded(&w.me, &sized(fixture.collection, 1), &quotas).await.unwrap();
    fixture.uploaded(&w.other, &sized(theirs.id, 2), &quotas).await.unwrap();
    // What the tenant shares counts for no user.
    let both = StorageQuotas { user: StorageQuota { documents: Some(0), bytes: None }, ..quotas };
    fixture.uploaded(&w.me.shared(), &sized(shared.id, 4), &both).await.unwrap();
    exceeded(fixture.uploaded(&w.me, &sized(fixture.collection, 1), &quotas).await, "this tenant has 3 of 3");
    let bytes = of_tenant(None, Some(8));
    exceeded(fixture.uploaded(&w.other, &sized(theirs.id, 2), &bytes).await, "7 of 8 bytes");
    fixture.uploaded(&w.other, &sized(theirs.id, 1), &bytes).await.unwrap();
    let stored = documents.storage(&w.other, &both).await.unwrap();
    assert_eq!(stored.user, StorageAmount { documents: 2, bytes: 3 });
    assert_eq!(stored.tenant, StorageAmount { documents: 4, bytes: 8 });
    // What nothing limits is not counted.
    let stored = documents.storage(&w.other, &quotas).await.unwrap();
    assert_eq!((stored.user, stored.tenant.documents), (StorageAmount::default(), 4));
    // Another tenant is full or empty by itself.
    let none = crate::knowledge::StorageUse::default();
    assert_eq!(stores.documents.storage(&w.stranger, &both).await.unwrap(), none);
}

pub async fn uploads_at_once_keep_no_more_than_allowed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let w = &fixture.world;
    let theirs = collection("theirs");
    stores.collections.create(&w.other, &theirs).await.unwrap();
    for (quotas, whole) in [(of_user(Some(5), Some(1_000)), 10), (of_tenant(None, Some(170)), 17)] {
        let adds = (0..40).map(|n| {
            let (scope, place) = if n % 2 == 0 { (w.me, fixture.collection) } else { (w.other, theirs.id) };
            let fixture = &fixture;
            async move { fixture.uploaded(&scope, &sized(place, 10), &quotas).await }
        });
        for refused in join_all(adds).await.into_iter().filter_map(Result::err) {
            assert_eq!(refused.reason(), Some(ErrorReason::QuotaExceeded), "{refused}");
        }
        let stored = stores.documents.storage(&w.me, &of_tenant(None, Some(0))).await.unwrap().tenant;
        assert_eq!(stored, StorageAmount { documents: whole, bytes: whole * 10 });
    }
}
