use super::knowledge_world::Fixture;
use super::world::id;
use crate::Stores;
use crate::knowledge::{Blob, Fence, ReferencedBlob};

pub async fn blob_without_its_document_is_unneeded(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (kept, gone) = (fixture.add("a").await, fixture.add("b").await);
    stores.documents.delete(&fixture.me, &[gone.id]).await.unwrap();
    let tenant = fixture.me.tenant;
    let uploading = id();
    let (documents, worker) = (&stores.documents, fixture.world.worker);
    documents.begin_upload(&fixture.me, fixture.collection, uploading, worker).await.unwrap();
    // Those that are uploaded or to be removed are somebody's affair already.
    let needed = [kept.blob_id, gone.blob_id, uploading].map(|id| Blob { tenant, id });
    let unneeded = [Blob { tenant, id: id() }, Blob { tenant: id(), id: kept.blob_id }];
    let all = [&needed[..], &unneeded].concat();
    assert_eq!(stores.maintenance.unreferenced_blobs(&all).await.unwrap(), unneeded);
    assert_eq!(stores.maintenance.unreferenced_blobs(&[]).await.unwrap(), []);
}

pub async fn bytes_of_every_document_are_named(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        let added = fixture.add(name).await;
        let blob = Blob { tenant: fixture.me.tenant, id: added.blob_id };
        let (size, hash) = (added.size, added.content_hash);
        expected.push(ReferencedBlob { blob, document: added.id, name: name.into(), size, hash });
    }
    expected.sort_by_key(|referenced| referenced.blob);
    let page = async |after, limit| stores.maintenance.referenced_blobs(after, limit).await.unwrap();
    assert_eq!(page(None, 2).await, expected[..2]);
    assert_eq!(page(Some(expected[1].blob), 2).await, expected[2..]);
    assert_eq!(page(Some(expected[2].blob), 2).await, []);
}

pub async fn nothing_is_orphaned(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.is_tidy().await;
    fixture.ready("a", &["one", "two"]).await;
    let waiting = fixture.add("b").await;
    let Fence { document, attempt } = fixture.fence(waiting.id).await;
    let vectors = fixture.publication(vec![fixture.published(Fence { document, attempt }, &["x"])]).vectors;
    stores
        .ingest
        .store_vectors(&fixture.me, fixture.collection, &[(Fence { document, attempt }, 0.5)], &vectors)
        .await
        .unwrap();
    fixture.is_tidy().await;
    assert_eq!(stores.maintenance.orphans(true).await.unwrap(), Vec::<String>::new());
    let ids: Vec<_> = vectors[0].vectors.iter().map(|vector| vector.0).collect();
    let space = vectors[0].space;
    assert_eq!(stores.ingest.embedded(&fixture.me, space, &ids).await.unwrap(), ids);
}
