//! Where the bytes of a document are.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use super::error;
use super::error::ExtractError;

/// The bytes of a document: a file's, or those of a part of another document.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// What a reader of containers needs of a source.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// An open source.
pub(super) type Opened = BufReader<Box<dyn ReadSeek>>;

impl Source {
    /// How many bytes it has.
    pub(super) fn length(&self) -> Result<u64, ExtractError> {
        match self {
            Self::File(path) => {
                std::fs::metadata(path).map(|about| about.len()).map_err(|failure| error::io(&failure))
            }
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    pub(super) fn open(&self) -> Result<Opened, ExtractError> {
        Ok(BufReader::new(match self {
            Self::File(path) => Box::new(File::open(path).map_err(|failure| error::io(&failure))?),
            Self::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        }))
    }

    /// Its first bytes, `max` at most: a file may have grown since its length was
    /// looked at.
    pub(super) fn bytes(&self, max: u64) -> Result<Vec<u8>, ExtractError> {
        let mut bytes = Vec::new();
        self.open()?.take(max).read_to_end(&mut bytes).map_err(|failure| error::io(&failure))?;
        Ok(bytes)
    }
}
