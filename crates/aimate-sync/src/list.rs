//! The first step: the files at and below a path.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::report::LeftOut;
use crate::source::name_of;

/// Bytes of a file that tell what it is.
const HEAD: u64 = 4 * 1024;

/// What is at and below a path.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files that may be documents, in the order of their names.
    pub(crate) files: Vec<ListedFile>,
    pub(crate) skipped: Vec<LeftOut>,
    pub(crate) unreadable: Vec<LeftOut>,
}

/// A file that may be a document.
#[derive(Debug)]
pub(crate) struct ListedFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

/// Lists the file at `root`, or all files of the folder at `root`.
///
/// # Errors
/// That of `root` itself; what cannot be read below it is told in the listing.
pub(crate) fn list(root: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let metadata = std::fs::metadata(root)?;
    if metadata.is_file() {
        listing.files.push(ListedFile { path: root.to_owned(), size: metadata.len() });
        return Ok(listing);
    }
    if let Some(what) = special(metadata.file_type()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {what}, not a file or folder"),
        ));
    }
    let walk = WalkDir::new(root).follow_links(false).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(is_visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => listing.add(&entry),
            Ok(entry) => {
                if let Some(what) = special(entry.file_type()) {
                    listing
                        .skipped
                        .push(LeftOut::new(entry.into_path(), format!("it is {what}, not a file")));
                }
            }
            // An error in the middle of a folder does not say where it was: any
            // file may be missing from the listing then.
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                listing.unreadable.push(unreadable(path, error));
            }
        }
    }
    Ok(listing)
}

impl Listing {
    fn add(&mut self, entry: &DirEntry) {
        let path = entry.path().to_owned();
        let size = entry.metadata().map_err(io::Error::from).map(|metadata| metadata.len());
        match size.and_then(|size| Ok((size, media_without_text(&path)?))) {
            Ok((size, None)) => self.files.push(ListedFile { path, size }),
            Ok((_, Some(media))) => {
                self.skipped.push(LeftOut::new(path, format!("it has no text that can be read ({media})")));
            }
            Err(error) => self.unreadable.push(unreadable(path, error)),
        }
    }
}

pub(crate) fn unreadable(path: PathBuf, error: impl std::fmt::Display) -> LeftOut {
    LeftOut::new(path, format!("it cannot be read: {error}"))
}

/// What something is that has no end, or nothing to read, by its nature; `None` for
/// files, folders and links.
pub(crate) fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() || kind.is_symlink() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// The media type of a file that is a picture or something else without text.
fn media_without_text(path: &Path) -> io::Result<Option<&'static str>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    let media = aimate_text::extract::media_type(&name_of(path), &head);
    let kind = media.split('/').next().unwrap_or_default();
    let none = matches!(kind, "image" | "audio" | "video" | "font") || media == "application/octet-stream";
    Ok((none && !head.is_empty()).then_some(media))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("aimate-sync-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, content: &[u8]) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn hidden_files_links_and_pictures_are_no_documents() {
        let folder = Folder::new("kinds");
        folder.write("b.md", b"beta");
        folder.write("a/z.txt", b"zeta");
        folder.write("a/empty.md", b"");
        folder.write(".git/config", b"hidden");
        folder.write("photo.png", b"\x89PNG\r\n\x1a\n0000");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.0.join("b.md"), folder.0.join("link.md")).unwrap();
        let listing = list(&folder.0).unwrap();
        let found: Vec<_> = listing.files.iter().map(|file| (file.path.as_path(), file.size)).collect();
        let path = |name: &str| folder.0.join(name);
        assert_eq!(found, [(&*path("a/empty.md"), 0), (&*path("a/z.txt"), 4), (&*path("b.md"), 4)]);
        assert_eq!(listing.skipped.iter().map(|one| &one.path).collect::<Vec<_>>(), [&path("photo.png")]);
        assert!(listing.unreadable.is_empty());
    }

    #[test]
    fn single_file_is_listed_whatever_it_is() {
        let folder = Folder::new("single");
        folder.write(".photo.png", b"\x89PNG\r\n\x1a\n0000");
        assert_eq!(list(&folder.0.join(".photo.png")).unwrap().files.len(), 1);
        assert_eq!(list(&folder.0.join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_neither_file_nor_folder_is_said_to_be_so() {
        let error = list(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is a device, not a file or folder");
        let folder = Folder::new("special");
        folder.write("seen.md", b"seen");
        let socket = folder.0.join("socket.md");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let listing = list(&folder.0).unwrap();
        assert_eq!((listing.files.len(), listing.skipped.len()), (1, 1));
        assert_eq!(listing.skipped[0].path, socket);
        assert_eq!(listing.skipped[0].reason, "it is a socket, not a file");
    }

    /// A path that is too long to be opened stands for every folder that cannot
    /// be read: nobody may open it, root neither.
    #[cfg(target_os = "linux")]
    #[test]
    fn folder_that_cannot_be_opened_is_told() {
        let folder = Folder::new("deep");
        folder.write("seen.md", b"seen");
        let long = vec!["d".repeat(200); 12].join("/");
        for (half, name) in [(folder.0.join("one"), "x.md"), (folder.0.join("two"), "y.md")] {
            fs::create_dir_all(half.join(&long)).unwrap();
            fs::write(half.join(&long).join(name), "x").unwrap();
        }
        fs::rename(folder.0.join("two"), folder.0.join("one").join(&long).join("two")).unwrap();
        let listing = list(&folder.0).unwrap();
        let names: Vec<_> = listing.files.iter().map(|file| name_of(&file.path)).collect();
        assert_eq!(names, ["x.md", "seen.md"]);
        assert_eq!(listing.unreadable.len(), 1);
        assert!(listing.unreadable[0].path.starts_with(folder.0.join("one").join(&long).join("two")));
    }
}
