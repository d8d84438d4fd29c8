use super::knowledge_world::{Fixture, hash};
use super::world::id;
use crate::Stores;
use crate::knowledge::{Blob, Fence};

pub async fn blob_without_its_document_is_unneeded(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let kept = fixture.add("a").await;
    let blob = |tenant, document, name: &str| Blob { tenant, document, hash: hash(name) };
    let needed = blob(fixture.me.tenant, kept.id, "a");
    let unneeded = [
        blob(fixture.me.tenant, kept.id, "former version"),
        blob(fixture.me.tenant, id(), "a"),
        blob(id(), kept.id, "a"),
    ];
    let all = [&[needed], &unneeded[..]].concat();
    assert_eq!(stores.maintenance.unreferenced_blobs(&all).await.unwrap(), unneeded);
    assert_eq!(stores.maintenance.unreferenced_blobs(&[]).await.unwrap(), []);
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
