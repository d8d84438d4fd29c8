//! Weights: a file in the safetensors format, read tensor by tensor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of a header at most, as the format's own library has it.
const HEADER_BYTES: u64 = 100_000_000;
/// Bytes read at once where a whole file is hashed.
const BLOCK: usize = 1 << 20;

/// An open file of weights, whose header has been read.
pub(super) struct Weights {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, Tensor>,
    /// Where the tensors begin in the file.
    start: u64,
    /// Bytes that all tensors have together.
    length: u64,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Weights {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let mut prefix = [0; 8];
        file.read_exact(&mut prefix).map_err(|_| cut(path, "it is shorter than its header"))?;
        let header = u64::from_le_bytes(prefix);
        let room = size.saturating_sub(8);
        if header > room.min(HEADER_BYTES) {
            return Err(cut(path, format_args!("its header would have {header} bytes and {room} are there")));
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(header)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(path, &error))?;
        let tensors =
            parse(&bytes).map_err(|error| cut(path, format_args!("its header cannot be read: {error}")))?;
        Ok(Self { path: path.to_owned(), file, tensors, start: 8 + header, length: room - header })
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.tensor(name)?.shape)
    }

    /// The numbers of a tensor, which must have this shape.
    pub(super) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.tensor(name)?;
        if tensor.shape != shape {
            return Err(self.wrong(format_args!(
                "the tensor `{name}` has the shape {:?}; config.json asks for {shape:?}",
                tensor.shape
            )));
        }
        let number = match tensor.dtype.as_str() {
            "F32" => Number::F32,
            "F16" => Number::F16,
            "BF16" => Number::Bf16,
            other => {
                return Err(self.wrong(format_args!(
                    "the tensor `{name}` holds {other}; F32, F16 and BF16 can be read"
                )));
            }
        };
        let (begin, end) = tensor.data_offsets;
        let expected = shape.iter().try_fold(number.bytes(), |product, side| product.checked_mul(*side));
        let length = end.checked_sub(begin).filter(|_| end <= self.length);
        let length =
            length.and_then(|length| usize::try_from(length).ok()).filter(|length| Some(*length) == expected);
        let Some(length) = length else {
            return Err(cut(
                &self.path,
                format_args!(
                    "the tensor `{name}` of the shape {shape:?} would be at {begin}..{end} of {}",
                    self.length
                ),
            ));
        };
        let mut bytes = vec![0; length];
        self.file
            .seek(SeekFrom::Start(self.start + begin))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| unreadable(&self.path, &error))?;
        Ok(number.decode(&bytes))
    }

    /// Adds the whole file to a hash.
    pub(super) fn hash(&mut self, hash: &mut Sha256) -> Result<()> {
        let failed = |error| unreadable(&self.path, &error);
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut file = BufReader::with_capacity(0, &self.file);
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block).map_err(failed)? {
                0 => return Ok(()),
                count => hash.update(block.get(..count).unwrap_or_default()),
            }
        }
    }

    fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| {
            self.wrong(format_args!("there is no tensor `{name}`; the weights of a BERT model are needed"))
        })
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::invalid(format!("`{}`: {what}", self.path.display()))
    }
}

fn parse(header: &[u8]) -> serde_json::Result<HashMap<String, Tensor>> {
    let mut all: HashMap<String, Value> = serde_json::from_slice(header)?;
    all.remove("__metadata__");
    all.into_iter().map(|(name, value)| Ok((name, serde_json::from_value(value)?))).collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid(format!("`{}` cannot be read: {error}", path.display()))
}

fn cut(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("`{}` is no whole safetensors file: {what}; fetch it again", path.display()))
}

/// How a tensor's numbers are written.
#[derive(Clone, Copy)]
enum Number {
    F32,
    F16,
    Bf16,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
        match self {
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            Self::F16 => pairs.map(half).collect(),
            Self::Bf16 => pairs.map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
        }
    }
}

/// The value of a 16-bit float of IEEE 754.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1f, u32::from(bits & 0x3ff));
    let positive = match exponent {
        // Below the smallest normal number: steps of 2^-24.
        0 => f32::from(bits & 0x3ff) * f32::from_bits(0x3380_0000),
        31 => f32::from_bits(0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(((exponent + 112) << 23) | (fraction << 13)),
    };
    f32::from_bits(positive.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_have_their_values() {
        let known = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value), "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
