//! The weights: a file in the safetensors format, read tensor by tensor.
//!
//! The `safetensors` crate parses and validates the header. It reads tensors out
//! of memory only, whole file included; here each is read by itself, so that
//! loading a model needs the memory of one file and one tensor at most.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::Sha256;

/// Maximum bytes of a header, as in the format's own library.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes read at once when a whole file is hashed.
const HASH_BLOCK: usize = 1 << 20;

/// An open file of weights, whose header has been read.
pub(super) struct Weights {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors begin in the file.
    data_start: u64,
}

impl Weights {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let mut prefix = [0; 8];
        file.read_exact(&mut prefix).map_err(|_| damaged(path, "it is shorter than its header"))?;
        let header_length = u64::from_le_bytes(prefix);
        let rest = size.saturating_sub(8);
        if header_length > rest.min(MAX_HEADER) {
            let what = format_args!("its header should have {header_length} bytes; {rest} are there");
            return Err(damaged(path, what));
        }
        let mut header = Vec::new();
        Read::by_ref(&mut file)
            .take(header_length)
            .read_to_end(&mut header)
            .map_err(|error| unreadable(path, &error))?;
        // Checks that each tensor's shape, type and offsets agree and that the
        // tensors follow each other without gaps.
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| damaged(path, format_args!("its header is invalid: {error}")))?;
        let (expected, found) = (metadata.data_len() as u64, rest - header_length);
        if expected != found {
            let what = format_args!("its tensors should have {expected} bytes; {found} are there");
            return Err(damaged(path, what));
        }
        Ok(Self { path: path.to_owned(), file, metadata, data_start: 8 + header_length })
    }

    /// Returns whether the file has a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// Returns the shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.info(name)?.shape)
    }

    /// Reads a tensor, which must have this shape.
    pub(super) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let info = self.info(name)?;
        if info.shape != shape {
            return Err(self.invalid(format_args!(
                "the tensor `{name}` has the shape {:?}; config.json requires {shape:?}",
                info.shape
            )));
        }
        let dtype = info.dtype;
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
            return Err(self.invalid(format_args!(
                "the tensor `{name}` holds {dtype:?}; only F64, F32, F16 and BF16 are supported"
            )));
        }
        Ok(decode(dtype, &self.raw(name)?.2))
    }

    /// Reads a list of whole numbers from 0 on.
    pub(super) fn integers(&mut self, name: &str) -> Result<Vec<u32>> {
        let (dtype, shape, bytes) = self.raw(name)?;
        let numbers: Option<Vec<u32>> = match (dtype, shape.len()) {
            (Dtype::I64 | Dtype::U64, 1) => bytes
                .as_chunks::<8>()
                .0
                .iter()
                .map(|eight| u64::from_le_bytes(*eight).try_into().ok())
                .collect(),
            (Dtype::I32 | Dtype::U32, 1) => {
                Some(bytes.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four)).collect())
            }
            _ => None,
        };
        let wrong =
            || self.invalid(format_args!("the tensor `{name}` is no list of whole numbers from 0 on"));
        numbers.ok_or_else(wrong)
    }

    /// Reads a tensor as it is: its type, its shape and its bytes.
    pub(super) fn raw(&mut self, name: &str) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
        let info = self.info(name)?;
        let (dtype, shape, (begin, end)) = (info.dtype, info.shape.clone(), info.data_offsets);
        let mut bytes = vec![0; end - begin];
        self.file
            .seek(SeekFrom::Start(self.data_start + begin as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| unreadable(&self.path, &error))?;
        Ok((dtype, shape, bytes))
    }

    /// Adds the whole file to a hash.
    pub(super) fn hash(&mut self, hash: &mut Sha256) -> Result<()> {
        let failed = |error| unreadable(&self.path, &error);
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut file = BufReader::with_capacity(HASH_BLOCK, &self.file);
        io::copy(&mut file, hash).map_err(failed)?;
        Ok(())
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.metadata.info(name).ok_or_else(|| {
            self.invalid(format_args!(
                "there is no tensor `{name}`, which a model of the kind that config.json names has"
            ))
        })
    }

    /// What is wrong with the file, as an error.
    pub(super) fn invalid(&self, what: impl std::fmt::Display) -> Error {
        Error::invalid(format!("`{}`: {what}", self.path.display()))
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
    match dtype {
        Dtype::F16 => pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect(),
        Dtype::BF16 => pairs.iter().map(|pair| bf16::from_le_bytes(*pair).to_f32()).collect(),
        Dtype::F64 => {
            bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32).collect()
        }
        _ => quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect(),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("`{}` cannot be read: {error}", path.display()))
}

fn damaged(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!(
        "`{}` is not a complete safetensors file: {what}; download it again",
        path.display()
    ))
}
