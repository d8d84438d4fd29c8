//! What does not fit together in the knowledge tables is found and repaired.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use aimate_core::conformance::file::{file, uploaded};
use aimate_core::conformance::knowledge_world::Fixture;
use aimate_core::conformance::world::{at, id};
use aimate_core::knowledge::{Attachments, Fence, NewAttachment, StorageQuotas};
use aimate_core::{DocumentId, Stores};
use sqlx::{Connection as _, SqliteConnection};

/// What an index part without documents, a lost chunk, a lost place in the index,
/// a lost vector and a lost file leave.
const DAMAGE: [&str; 6] = [
    "INSERT INTO segments (tenant_id, id, collection_id, analysis, chunk_count, total_length, header) \
     SELECT tenant_id, collection_id, collection_id, 1, 0, 0, header FROM segments LIMIT 1",
    "DELETE FROM chunks WHERE content = 'a1'",
    "UPDATE documents SET segment_id = NULL WHERE name = 'b'",
    "DELETE FROM vectors WHERE document_id = (SELECT id FROM documents WHERE name = 'c')",
    "DELETE FROM segment_codes WHERE segment_id = (SELECT segment_id FROM documents WHERE name = 'd')",
    "DELETE FROM files",
];

/// A document that was attached from a file.
async fn attached(fixture: &Fixture<'_>) -> DocumentId {
    let (me, file, none) = (&fixture.me, file("f"), StorageQuotas::default());
    uploaded(&fixture.world, me, &file, &none).await.unwrap();
    let attached = Attachments {
        collection: fixture.collection,
        file_owner: me.user,
        batch: None,
        files: vec![(id(), NewAttachment::new(file.id))],
        quotas: none,
        now: at(1),
    };
    let document = fixture.stores.attachments.attach(me, &attached).await.unwrap().remove(0).id;
    let fence = fixture.fence(document).await;
    fixture.publish(fence, &["f1"]).await;
    document
}

async fn all_is_found_and_repaired(stores: &Stores, damage: impl AsyncFn(&'static str)) {
    let fixture = Fixture::with_space(stores).await;
    let mut documents: Vec<(DocumentId, Vec<&str>)> = Vec::new();
    for (name, texts) in [
        ("a", vec!["a1", "a2"]),
        ("b", vec!["b1", "b2"]),
        ("c", vec!["c1"]),
        ("d", vec!["d1"]),
        ("e", vec!["e1"]),
    ] {
        documents.push((fixture.ready(name, &texts).await.id, texts));
    }
    let attached = attached(&fixture).await;
    documents.push((attached, vec!["f1"]));
    fixture.is_tidy().await;
    for statement in DAMAGE {
        damage(statement).await;
    }
    assert_eq!(
        stores.maintenance.orphans(false).await.unwrap(),
        [
            "1 documents were attached from a file that is not there",
            "1 vectors belong to no chunk and to no document that is being read",
            "2 parts of an index belong to no document",
            "2 chunks belong to a document that is in no index",
            "1 documents have another number of chunks than they say",
            "1 documents have chunks without a vector in their collection's active space",
            "1 documents are in a part of an index without codes in their collection's active space",
        ]
    );
    let repaired = stores.maintenance.orphans(true).await.unwrap();
    assert_eq!(repaired[1], "1 vectors belong to no chunk and to no document that is being read: deleted");
    assert_eq!(fixture.get(attached).await.file_id, None);
    for claimed in fixture.claim().await {
        let (id, texts) = documents.iter().find(|(id, _)| *id == claimed.document.id).unwrap();
        fixture.publish(Fence { document: *id, attempt: claimed.attempt }, texts).await;
    }
    fixture.is_tidy().await;
    for (id, texts) in documents {
        assert_eq!(fixture.chunks(id).await, texts);
        assert_eq!(fixture.found(&fixture.me, &fixture.target(), texts[0]).await, [texts[0]]);
    }
}

#[tokio::test]
async fn damage_is_found_and_repaired_on_sqlite() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    let damage = async |statement| {
        let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
        sqlx::query(statement).execute(&mut session).await.unwrap();
    };
    all_is_found_and_repaired(&store.stores(), damage).await;
}

#[tokio::test]
async fn damage_is_found_and_repaired_on_postgres() {
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let damage = async |statement| {
            sqlx::query(statement).execute(&mut schema.session().await).await.unwrap();
        };
        all_is_found_and_repaired(&store.stores(), damage).await;
        store.close().await;
    })
    .await;
}
