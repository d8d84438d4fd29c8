#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs::{File, FileTimes};
use std::time::Duration;

use aimate_core::{Ids as _, RandomIds};

use super::*;

fn bytes(text: &str) -> ByteStream<'static> {
    stream::iter([Ok(text.as_bytes().to_vec().into())]).boxed()
}

async fn listed(blobs: &DiskBlobs) -> Vec<BlobEntry> {
    blobs.list().try_collect().await.unwrap()
}

/// The file that a blob's bytes are in.
async fn file(blobs: &DiskBlobs, blob: &Blob) -> PathBuf {
    blobs.get(blob).await.unwrap().path().unwrap().to_owned()
}

fn new_blob() -> Blob {
    Blob { tenant: TenantId(RandomIds.next()), id: BlobId(RandomIds.next()) }
}

async fn put(blobs: &DiskBlobs, text: &str) -> Blob {
    let blob = new_blob();
    blobs.put(&blob, bytes(text), 100).await.unwrap();
    blob
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
    assert_eq!(listed(&blobs).await, [BlobEntry::Blob(blob)]);
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
async fn strange_files_are_foreign_and_old_parts_removed() {
    let blobs = DiskBlobs::temporary();
    let blob = put(&blobs, "a").await;
    let beside = file(&blobs, &blob).await;
    let (young, old) = (beside.with_file_name("1.part"), beside.with_file_name("2.part"));
    let root = blobs.folder().unwrap();
    let upper = beside.with_file_name(blob.id.to_string().to_uppercase());
    for path in [&young, &old, &beside.with_file_name("notes.txt"), &root.join("README"), &upper] {
        std::fs::write(path, "x").unwrap();
    }
    std::fs::create_dir(beside.with_file_name("folder")).unwrap();
    let modified = old.metadata().unwrap().modified().unwrap() - 2 * ABANDONED;
    let aged = File::options().write(true).open(&old).unwrap();
    aged.set_times(FileTimes::new().set_modified(modified)).unwrap();
    let mut listed = listed(&blobs).await;
    listed.sort();
    let shown = |path: &Path| BlobEntry::Foreign(path.strip_prefix(&root).unwrap().display().to_string());
    let foreign =
        [beside.with_file_name("notes.txt"), root.join("README"), upper, beside.with_file_name("folder")];
    let mut expected: Vec<_> = foreign.iter().map(|path| shown(path)).collect();
    expected.push(BlobEntry::Blob(blob));
    expected.sort();
    assert_eq!(listed, expected);
    assert!(young.exists() && !old.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn link_is_no_blob_and_what_it_leads_to_stays() {
    let blobs = DiskBlobs::temporary();
    let blob = put(&blobs, "a").await;
    let path = file(&blobs, &blob).await;
    let secret = blobs.folder().unwrap().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    assert_eq!(blobs.get(&blob).await.unwrap_err().kind(), aimate_core::ErrorKind::NotFound);
    assert!(listed(&blobs).await.iter().all(|entry| matches!(entry, BlobEntry::Foreign(_))));
    blobs.delete(&blob).await.unwrap();
    assert!(!path.exists() && secret.exists());
}

#[tokio::test]
async fn what_breaks_off_leaves_no_file() {
    let blobs = DiskBlobs::temporary();
    let blob = put(&blobs, "a").await;
    let endless = stream::iter([Ok("a".into())]).chain(stream::pending()).boxed();
    let other = new_blob();
    let upload = blobs.put(&other, endless, 100);
    assert!(tokio::time::timeout(Duration::from_millis(20), upload).await.is_err());
    blobs.put(&new_blob(), bytes("too long"), 3).await.unwrap_err();
    // A killed process removes nothing: whoever gives its upload up does.
    std::fs::write(part_file::beside(&file(&blobs, &blob).await), "half").unwrap();
    blobs.delete(&blob).await.unwrap();
    let mut folders = vec![blobs.folder().unwrap()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.is_dir(), "{}", path.display());
            folders.push(path);
        }
    }
}

#[tokio::test]
async fn folder_that_cannot_be_written_is_unavailable() {
    let root = DiskBlobs::temporary();
    let blob = put(&root, "a").await;
    let file = file(&root, &blob).await;
    let error = DiskBlobs::new(file).put(&blob, bytes("b"), 3).await.unwrap_err();
    assert_eq!(error.kind(), aimate_core::ErrorKind::Unavailable);
    assert!(std::error::Error::source(&error).is_some());
}
