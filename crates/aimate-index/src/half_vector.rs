//! Vectors in half precision, and their exact comparison.
//!
//! Vectors are kept as IEEE 754 half floats (binary16): half the bytes of single
//! precision, and on normalized embeddings the cosine differs by less than 0.001.

use fearless_simd::{Level, dispatch};
use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// Partial sums that are kept apart, so that the sum comes out the same however
/// many products the processor takes at once.
const LANES: usize = 16;

/// Appends `vector` as half floats, two little-endian bytes each.
pub fn encode(vector: &[f32], bytes: &mut Vec<u8>) {
    let mut halves = vec![f16::ZERO; vector.len()];
    halves.convert_from_f32_slice(vector);
    bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
}

/// The vector out of what [`encode`] made. An odd last byte is ignored.
pub fn decode(bytes: &[u8]) -> Vec<f32> {
    let (halves, _) = bytes.as_chunks::<2>();
    let halves: Vec<f16> = halves.iter().copied().map(f16::from_le_bytes).collect();
    halves.to_f32_vec()
}

/// The dot product, of as many numbers as the shorter vector has: the cosine, of
/// vectors whose length is 1.
pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    dispatch!(Level::new(), _simd => dot_in_lanes(one, other))
}

#[inline(always)]
fn dot_in_lanes(one: &[f32], other: &[f32]) -> f32 {
    let (ones, last_one) = one.as_chunks::<LANES>();
    let (others, last_other) = other.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (one, other) in ones.iter().zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    let last: f32 = last_one.iter().zip(last_other).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f32>() + last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vectors;

    #[test]
    fn half_floats_keep_the_cosine() {
        let vectors = vectors(2, 385);
        let mut bytes = Vec::new();
        encode(&vectors[0], &mut bytes);
        assert_eq!(bytes.len(), 770);
        let naive: f32 = vectors[0].iter().zip(&vectors[1]).map(|(one, other)| one * other).sum();
        assert!((dot(&vectors[1], &decode(&bytes)) - naive).abs() < 0.01);
        assert!((dot(&vectors[1], &vectors[0]) - naive).abs() < 1e-4);
        assert_eq!(dot(&[], &[1.0]), 0.0);
    }
}
