//! The source of a document that is a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const SCHEME: &str = "file:";

/// Returns the source of the document that is this file: `file:` and its path,
/// in which `%` and all bytes that are no UTF-8 are percent-encoded. So two
/// paths never share a source.
pub fn source_of(path: &Path) -> String {
    let mut source = String::from(SCHEME);
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        source.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            let _ = write!(source, "%{byte:02X}");
        }
    }
    source
}

/// Returns the path that [`source_of`] made a source of; `None` if the source is
/// no file.
pub fn path_of(source: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(source.len());
    let mut rest = source.strip_prefix(SCHEME)?;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(encoded.get(..2)?, 16).ok()?);
        rest = encoded.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    path_from(bytes)
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(Into::into)
}

/// Returns the name of the document that is this file.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_path_is_its_own_source() {
        let path = Path::new("/home/me/Bücher/a b.md");
        assert_eq!(source_of(path), "file:/home/me/Bücher/a b.md");
        assert_eq!(path_of("file:/home/me/Bücher/a b.md").as_deref(), Some(path));
    }

    #[test]
    fn source_that_is_no_file_has_no_path() {
        for source in ["https://example.org/a", "text:a", "file:/a%", "file:/a%zz", "file:/a%€"] {
            assert_eq!(path_of(source), None, "{source}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_utf8_keep_apart() {
        use std::os::unix::ffi::OsStrExt;
        let paths = [
            b"/a/\xff.txt".as_slice(),
            b"/a/\xfe.txt",
            b"/a/%FF.txt",
            b"/a/%25FF.txt",
            b"/a/\xef\xbf\xbd.txt",
        ]
        .map(|bytes| Path::new(std::ffi::OsStr::from_bytes(bytes)));
        let sources = paths.map(source_of);
        assert_eq!(sources[0], "file:/a/%FF.txt");
        assert_eq!(sources[2], "file:/a/%25FF.txt");
        for (n, source) in sources.iter().enumerate() {
            assert_eq!(path_of(source).as_deref(), Some(paths[n]));
            assert!(!sources[..n].contains(source), "{source}");
        }
    }
}
