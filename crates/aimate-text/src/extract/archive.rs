//! ZIP archives, with limits on the ratio and the size of what is unpacked.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::Read;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::ExtractError;
use super::limits::Limits;
use super::source::{Opened, Source};
use super::{decode, error, progress};

/// Unpacked bytes below which the ratio is not checked.
const MIN_CHECKED: u64 = 1 << 20;

/// An archive of parts. What is read from it is counted: one that holds far more
/// than its size is not read to its end.
pub(super) struct Archive {
    zip: ZipArchive<Opened>,
    what: &'static str,
    ratio: u64,
    largest: u64,
    packed: u64,
    unpacked: u64,
    /// The places of parts by their names in small letters, made when a name is not
    /// found as it is: documents ask for many parts that they need not have.
    by_small_name: OnceCell<HashMap<String, usize>>,
}

impl Archive {
    /// Opens the archive in `source`, called `what` ("Word document") in errors.
    pub(super) fn open(source: &Source, what: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let packed = source.length()?;
        let mut zip = ZipArchive::new(source.open()?).map_err(|failure| failed(what, failure))?;
        // The text of a document is in these parts.
        let is_text = |name: &str| [".xml", ".xhtml", ".html"].iter().any(|end| name.ends_with(end));
        let names: Vec<String> = zip.file_names().flatten().map(Into::into).collect();
        let lengths = names.iter().filter(|name| is_text(name)).filter_map(|name| {
            let index = zip.index_for_name(name)?;
            zip.by_index_raw(index).ok().map(|part| part.size())
        });
        progress::expect(lengths.fold(0, u64::saturating_add));
        // A part is held in memory while it is read, once as bytes, once as text.
        Ok(Self {
            zip,
            what,
            ratio: limits.ratio,
            largest: limits.memory / 4,
            packed,
            unpacked: 0,
            by_small_name: OnceCell::new(),
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.index(name).is_some()
    }

    /// The place of a part. Some programs write its name with other letters or with
    /// the separators of Windows.
    fn index(&self, name: &str) -> Option<usize> {
        self.zip.index_for_name(name).or_else(|| {
            let small = self.by_small_name.get_or_init(|| {
                let mut small = HashMap::new();
                for name in self.zip.file_names().flatten() {
                    if let Some(index) = self.zip.index_for_name(&name) {
                        small.entry(small_name(&name)).or_insert(index);
                    }
                }
                small
            });
            small.get(&small_name(name)).copied()
        })
    }

    /// A part's bytes; `None` where there is no such part.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(index) = self.index(name) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.unpack(index, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(Some(bytes))
    }

    /// A part's characters; `None` where there is no such part.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        let Some(bytes) = self.read(name)? else {
            return Ok(None);
        };
        let bytes = match String::from_utf8(bytes) {
            Ok(text) if !text.starts_with('\u{feff}') && !text.contains('\0') => return Ok(Some(text)),
            Ok(text) => text.into_bytes(),
            Err(other) => other.into_bytes(),
        };
        decode::decode(&bytes, None).map(|(text, _)| Some(text)).map_err(|_| error::damaged(self.what, name))
    }

    /// A part's characters; an error where there is no such part.
    pub(super) fn need(&mut self, name: &str) -> Result<String, ExtractError> {
        self.text(name)?.ok_or_else(|| error::damaged(self.what, format_args!("it has no part {name}")))
    }

    /// Unpacks every part and throws it away: what another reader will unpack is
    /// then known to be within the limits.
    pub(super) fn check_all(&mut self) -> Result<(), ExtractError> {
        for index in 0..self.zip.len() {
            self.unpack(index, |_| ())?;
        }
        self.unpacked = 0;
        Ok(())
    }

    fn unpack(&mut self, index: usize, mut take: impl FnMut(&[u8])) -> Result<(), ExtractError> {
        let what = self.what;
        let mut part = self.zip.by_index(index).map_err(|failure| failed(what, failure))?;
        let max_of_part = self.ratio.saturating_mul(part.compressed_size()).saturating_add(MIN_CHECKED);
        let max_of_all = self.ratio.saturating_mul(self.packed).saturating_add(MIN_CHECKED);
        let mut buffer = vec![0; 64 << 10];
        let mut length = 0_u64;
        loop {
            let read = match part.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(failure) => return Err(error::damaged(what, failure)),
            };
            length += read as u64;
            self.unpacked += read as u64;
            if length > max_of_part || self.unpacked > max_of_all {
                return Err(error::too_large(format!(
                    "the {what} unpacks to more than {} times its size, as no ordinary document does",
                    self.ratio
                )));
            }
            if length > self.largest {
                return Err(error::too_large(format!(
                    "a part of the {what} unpacks to more than {}, the most for one part; split the document",
                    error::size(self.largest)
                )));
            }
            take(buffer.get(..read).unwrap_or_default());
        }
    }
}

fn small_name(name: &str) -> String {
    #[cfg(test)]
    tests::NAMES.with(|names| names.set(names.get() + 1));
    name.replace('\\', "/").to_ascii_lowercase()
}

fn failed(what: &'static str, failure: ZipError) -> ExtractError {
    match failure {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            error::encrypted(what)
        }
        other => error::damaged(what, other),
    }
}

/// A part's name, from the name of the part that points to it and what it says:
/// `ppt/slides/slide1.xml` and `../media/a.png` make `ppt/media/a.png`. It is
/// looked up in the archive only, never on a disk.
pub(super) fn resolve(from: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    thread_local! {
        /// How many names were compared.
        pub(super) static NAMES: Cell<usize> = const { Cell::new(0) };
    }

    fn archive(parts: usize) -> Archive {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for number in 0..parts {
            zip.start_file(format!("XL\\Sheet{number}.xml"), SimpleFileOptions::default()).unwrap();
            zip.write_all(b"<a/>").unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        Archive::open(&Source::Memory(bytes.into()), "ZIP archive", &Limits::default()).unwrap()
    }

    #[test]
    fn work_for_many_small_parts_grows_as_their_number_does() {
        let names = [2_000, 4_000, 8_000].map(|parts| {
            let mut archive = archive(parts);
            NAMES.set(0);
            for number in 0..parts {
                assert!(archive.text(&format!("xl/sheet{number}.xml")).unwrap().is_some());
                // Most parts have none of these.
                assert!(!archive.has(&format!("xl/_rels/sheet{number}.xml.rels")));
            }
            NAMES.get()
        });
        // Each name of the archive once, each name that is asked for once.
        assert_eq!(names, [6_000, 12_000, 24_000]);
    }

    #[test]
    fn targets_are_relative_to_their_source() {
        assert_eq!(resolve("ppt/slides/slide1.xml", "../media/a.png"), "ppt/media/a.png");
        assert_eq!(resolve("ppt/presentation.xml", "/ppt/slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("content.opf", "../../../etc/passwd"), "etc/passwd");
    }
}
