//! The container of Office files before 2007.

use std::io::Read;

use cfb::CompoundFile;

use super::error::{self, ExtractError};
use super::limits::Limits;
use super::source::{Opened, Source};

/// A file with named streams.
pub(super) struct OleFile {
    file: CompoundFile<Opened>,
    what: &'static str,
    largest: u64,
}

impl OleFile {
    pub(super) fn open(source: &Source, what: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let file = CompoundFile::open(source.open()?).map_err(|failure| error::damaged(what, failure))?;
        Ok(Self { file, what, largest: limits.memory / 4 })
    }

    /// Whether the outermost storage has a stream.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file.is_stream(name)
    }

    /// The bytes of a stream of the outermost storage; `None` where there is none.
    pub(super) fn stream(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        if !self.file.is_stream(name) {
            return Ok(None);
        }
        let (what, largest) = (self.what, self.largest);
        let stream = self.file.open_stream(name).map_err(|failure| error::damaged(what, failure))?;
        let mut bytes = Vec::new();
        let read = stream.take(largest + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > largest {
            return Err(error::too_large(format!(
                "a part of the {what} has more than {}, the most for one part; split the document",
                error::size(largest)
            )));
        }
        match read {
            Ok(_) => Ok(Some(bytes)),
            // What stands before the damage can be read.
            Err(_) if !bytes.is_empty() => Ok(Some(bytes)),
            Err(failure) => Err(error::damaged(what, failure)),
        }
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Vec<u8>, ExtractError> {
        let what = self.what;
        self.stream(name)?.ok_or_else(|| error::damaged(what, format_args!("it has no stream {name}")))
    }
}

/// Numbers in the byte order of these files.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(pair.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// A 32-bit offset or length.
pub(super) fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// Text in UTF-16.
pub(super) fn wide(bytes: &[u8]) -> String {
    encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned()
}
