use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::file::File;
use crate::{PageRequest, Stores};

async fn created(w: &World<'_>, name: &str) -> File {
    let file = File {
        id: id(),
        name: name.into(),
        media_type: "text/plain".into(),
        size: 5_000_000_000,
        content_hash: "0f".repeat(32),
        created_at: at(0),
    };
    w.stores.files.create(&w.me, &file).await.unwrap();
    file
}

pub async fn created_file_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let file = created(&w, "Bericht.pdf").await;
    assert_eq!(stores.files.get(&w.me, file.id).await.unwrap(), file);
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let file = created(&w, "a").await;
    refused(stores.files.create(&w.me, &file).await, ErrorKind::Conflict);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, "mine").await;
    for scope in w.others() {
        missing(stores.files.get(&scope, mine.id).await);
        missing(stores.files.delete(&scope, mine.id).await);
        assert!(stores.files.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
    }
    let theirs = File { id: id(), ..mine.clone() };
    stores.files.create(&w.other, &theirs).await.unwrap();
    missing(stores.files.get(&w.me, theirs.id).await);
    stores.files.get(&w.me, mine.id).await.unwrap();
}

pub async fn files_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["a", "b", "c"] {
        created(&w, name).await;
    }
    let files = all(|page| stores.files.list(&w.me, page)).await;
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<String>(), "cba");
}

pub async fn deleted_file_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let file = created(&w, "a").await;
    stores.files.delete(&w.me, file.id).await.unwrap();
    missing(stores.files.get(&w.me, file.id).await);
    missing(stores.files.delete(&w.me, file.id).await);
}
