//! Static embeddings (model2vec): a vector for each token, looked up and averaged.
//! Hundreds of times as fast as a transformer, and less exact.

use aimate_core::{Error, Result};
use half::{bf16, f16};
use safetensors::Dtype;

use super::bert::unit;
use super::safetensors::Weights;

/// The vectors of a vocabulary, as the file has them.
pub(super) struct StaticTable {
    dtype: Dtype,
    bytes: Vec<u8>,
    dimensions: usize,
    rows: usize,
    /// The row of each token; default: its own.
    mapping: Option<Vec<u32>>,
    /// What the vector of each token counts.
    weights: Option<Vec<f32>>,
    /// A token that stands for others, and is left out.
    unknown: u32,
}

impl StaticTable {
    /// Reads `embeddings` and, where they are there, `mapping` and `weights`.
    pub(super) fn load(weights: &mut Weights, unknown: u32) -> Result<Self> {
        let (dtype, shape, bytes) = weights.raw("embeddings")?;
        let &[rows, dimensions] = shape.as_slice() else {
            return Err(weights.invalid(format_args!("the tensor `embeddings` is no table: {shape:?}")));
        };
        if !matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::I8) {
            return Err(weights.invalid(format_args!(
                "the tensor `embeddings` holds {dtype:?}; F64, F32, F16, BF16 and I8 are supported"
            )));
        }
        if dimensions == 0 {
            return Err(weights.invalid(format_args!("the tensor `embeddings` has vectors of no numbers")));
        }
        let mapping = if weights.has("mapping") { Some(weights.integers("mapping")?) } else { None };
        let tokens = mapping.as_ref().map_or(rows, Vec::len);
        let scale = if weights.has("weights") { Some(weights.read("weights", &[tokens])?) } else { None };
        if let Some(row) = mapping.iter().flatten().find(|row| index(**row) >= rows) {
            return Err(weights
                .invalid(format_args!("the tensor `mapping` names the row {row} and there are {rows}")));
        }
        Ok(Self { dtype, bytes, dimensions, rows, mapping, weights: scale, unknown })
    }

    /// Returns the size of the vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.mapping.as_ref().map_or(self.rows, Vec::len)
    }

    /// Returns the dimensions of a vector.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns the normalized vector of a text. One of which nothing is known has that
    /// of the unknown token, and one that comes to nothing the first axis: neither is
    /// near to what a text says.
    pub(super) fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut vector = vec![0.0; self.dimensions];
        for token in tokens.iter().filter(|token| **token != self.unknown) {
            self.add(&mut vector, *token)?;
        }
        if vector.iter().all(|number| *number == 0.0) {
            self.add(&mut vector, self.unknown)?;
        }
        if vector.iter().all(|number| *number == 0.0)
            && let Some(first) = vector.first_mut()
        {
            *first = 1.0;
        }
        unit(vector)
    }

    /// Adds the vector of a token.
    fn add(&self, to: &mut [f32], token: u32) -> Result<()> {
        let token = index(token);
        let row = self.mapping.as_ref().map_or(Some(token), |rows| rows.get(token).map(|row| index(*row)));
        let width = self.bytes.len() / self.rows.max(1);
        let start = row.and_then(|row| row.checked_mul(width));
        let bytes = start.and_then(|start| self.bytes.get(start..start.checked_add(width)?));
        let bytes = bytes.ok_or_else(|| Error::internal("a token is outside of the vocabulary"))?;
        let weight = self.weights.as_ref().and_then(|weights| weights.get(token)).copied().unwrap_or(1.0);
        let mut add = |numbers: &mut dyn Iterator<Item = f32>| {
            to.iter_mut().zip(numbers).for_each(|(to, number)| *to += number * weight);
        };
        let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
        match self.dtype {
            Dtype::I8 => add(&mut bytes.iter().map(|byte| f32::from(byte.cast_signed()))),
            Dtype::F16 => add(&mut pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32())),
            Dtype::BF16 => add(&mut pairs.iter().map(|pair| bf16::from_le_bytes(*pair).to_f32())),
            Dtype::F64 => {
                add(&mut bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32));
            }
            _ => add(&mut quads.iter().map(|quad| f32::from_le_bytes(*quad))),
        }
        Ok(())
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
