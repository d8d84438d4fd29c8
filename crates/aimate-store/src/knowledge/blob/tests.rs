#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs::{File, FileTimes};
use std::time::Duration;

use aimate_core::{Ids as _, RandomIds};

use super::*;

fn bytes(text: &str) -> ByteStream<'static> {
    stream::iter([Ok(text.as_bytes().to_vec().into())]).boxed()
}

async fn listed(blobs: &DiskBlobs) -> Vec<Blob> {
    blobs.list().try_collect().await.unwrap()
}

/// The file that a blob's bytes are in.
async fn file(blobs: &DiskBlobs, blob: &Blob) -> PathBuf {
    blobs.get(blob).await.unwrap().path().unwrap().to_owned()
}

async fn put(blobs: &DiskBlobs, text: &str) -> Blob {
    let (tenant, document) = (TenantId(RandomIds.next()), DocumentId(RandomIds.next()));
    blobs.put(tenant, document, bytes(text), 100).await.unwrap().0
}

#[tokio::test]
async fn temporary_folder_goes_with_the_last_clone() {
    let blobs = DiskBlobs::temporary();
    assert_eq!(listed(&blobs).await, []);
    assert_eq!(blobs.folder(), None);
    let clone = blobs.clone();
    let blob = put(&clone, "a").await;
    drop(clone);
    let (folder, other) = (blobs.folder().unwrap(), DiskBlobs::temporary());
    put(&other, "b").await;
    assert_ne!(other.folder(), Some(folder.clone()));
    assert_eq!(listed(&blobs).await, [blob]);
    drop(blobs);
    assert!(!folder.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;

    let root = DiskBlobs::temporary();
    put(&root, "a").await;
    let folder = root.folder().unwrap().join("deep/er");
    let blobs = DiskBlobs::new(&folder);
    let blob = put(&blobs, "a").await;
    let file = file(&blobs, &blob).await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let folders: Vec<_> = file.ancestors().skip(1).take_while(|path| *path != folder).collect();
    assert_eq!(folders.len(), 2);
    assert!(folders.into_iter().chain([folder.as_path()]).all(|folder| mode(folder) == 0o700));
    assert!(mode(&root.folder().unwrap()) == 0o700);
}

#[tokio::test]
async fn strange_files_are_passed_over_and_old_parts_removed() {
    let blobs = DiskBlobs::temporary();
    let blob = put(&blobs, "a").await;
    let beside = file(&blobs, &blob).await;
    let (young, old) = (beside.with_file_name("1.part"), beside.with_file_name("2.part"));
    for path in [&young, &old, &beside.with_file_name("notes.txt"), &blobs.folder().unwrap().join("README")] {
        std::fs::write(path, "x").unwrap();
    }
    let modified = old.metadata().unwrap().modified().unwrap() - 2 * ABANDONED;
    let file = File::options().write(true).open(&old).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!(listed(&blobs).await, [blob]);
    assert!(young.exists() && !old.exists());
}

#[tokio::test]
async fn what_breaks_off_leaves_no_file() {
    let blobs = DiskBlobs::temporary();
    let blob = put(&blobs, "a").await;
    let folder = file(&blobs, &blob).await.parent().unwrap().to_owned();
    let endless = stream::iter([Ok("a".into())]).chain(stream::pending()).boxed();
    let upload = blobs.put(blob.tenant, blob.document, endless, 100);
    assert!(tokio::time::timeout(Duration::from_millis(20), upload).await.is_err());
    blobs.put(blob.tenant, blob.document, bytes("too long"), 3).await.unwrap_err();
    assert_eq!(entries(&folder).unwrap().len(), 1);
}

#[tokio::test]
async fn folder_that_cannot_be_written_is_unavailable() {
    let root = DiskBlobs::temporary();
    let blob = put(&root, "a").await;
    let file = file(&root, &blob).await;
    let error = DiskBlobs::new(file).put(blob.tenant, blob.document, bytes("b"), 3).await.unwrap_err();
    assert_eq!(error.kind(), aimate_core::ErrorKind::Unavailable);
    assert!(std::error::Error::source(&error).is_some());
}
