//! Documents whose bytes are in object storage are read, given back and deleted.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use aimate_core::Engine;
use aimate_core::knowledge::{BlobStore as _, DEFAULT_COLLECTION, NewDocument};
use aimate_object_store::ObjectBlobs;
use aimate_store::Options;
use futures_util::TryStreamExt as _;

#[tokio::test]
async fn remote_document_is_read_given_back_and_deleted() {
    let blobs = Arc::new(ObjectBlobs::open("memory:///documents", [("", ""); 0]).unwrap());
    let options = Options { blob_store: Some(blobs.clone()), ..Options::default() };
    let store = aimate_store::connect_with("sqlite::memory:", options).await.unwrap();
    let engine = Engine::builder().store(store).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let knowledge = engine.knowledge(&me);
    let collection = knowledge.collection_or_new(DEFAULT_COLLECTION).await.unwrap();
    let text = "# Boiler\n\nThe boiler is serviced in May.\n";
    let added = knowledge.add_text_to(collection.id, NewDocument::new("boiler.md"), text.to_owned()).await;
    let ready = knowledge.wait(added.unwrap().id).await.unwrap();
    assert_eq!((ready.title.as_str(), ready.chunk_count), ("Boiler", 1));
    let (_, content) = knowledge.content(ready.id).await.unwrap();
    assert_eq!((content.path(), content.size()), (None, text.len() as u64));
    let pieces: Vec<_> = content.into_stream().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), text.as_bytes());
    knowledge.delete(ready.id).await.unwrap();
    assert_eq!(blobs.list().try_collect::<Vec<_>>().await.unwrap(), []);
    engine.drain(Duration::ZERO).await;
}
