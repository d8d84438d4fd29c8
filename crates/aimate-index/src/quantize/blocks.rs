//! Codes as a search reads them.

use crate::{DataCorruption, Result};

/// The same byte of each code of a block, as large as the widest vectors of a
/// processor, so that none lies across two lines of its cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Row(pub(super) [u8; CodeBlocks::CODES]);

/// The codes of a segment, laid out for a search: 64 codes side by side, first the
/// first byte of each, then the second byte of each, and so on.
///
/// They are stored one after the other, which merging and deleting need, and laid
/// out so when they come into memory.
#[derive(Clone, Debug)]
pub struct CodeBlocks {
    rows: Vec<Row>,
    code_length: usize,
    count: usize,
}

impl CodeBlocks {
    /// Codes in a block, as many as a word of a [`DocIdSet`](crate::DocIdSet) has bits.
    pub const CODES: usize = 64;

    /// Lays out codes of `code_length` bytes each. What the last block lacks is
    /// filled up.
    ///
    /// # Errors
    /// If the bytes are not whole codes of this length, which is a multiple of 16.
    pub fn of(codes: &[u8], code_length: usize) -> Result<Self> {
        if code_length == 0 || !code_length.is_multiple_of(16) || !codes.len().is_multiple_of(code_length) {
            return Err(DataCorruption::new("its codes are not those of this model"));
        }
        let count = codes.len() / code_length;
        let mut rows = vec![Row([0; Self::CODES]); count.div_ceil(Self::CODES) * code_length];
        for (rows, codes) in rows.chunks_mut(code_length).zip(codes.chunks(Self::CODES * code_length)) {
            for (codes, place) in codes.chunks(8 * code_length).zip((0..).step_by(8)) {
                lay_out(codes, code_length, rows, place);
            }
        }
        Ok(Self { rows, code_length, count })
    }

    /// The bytes that they take in memory.
    pub fn size(&self) -> usize {
        size_of_val(self.rows.as_slice())
    }

    /// The bytes of one code.
    pub(super) fn code_length(&self) -> usize {
        self.code_length
    }

    /// The rows of each block.
    pub(super) fn blocks(&self) -> impl ExactSizeIterator<Item = &[Row]> {
        self.rows.chunks_exact(self.code_length)
    }

    /// A bit for each code that a block really has.
    pub(super) fn docs_of(&self, block: usize) -> u64 {
        let left = self.count.saturating_sub(block * Self::CODES);
        if left >= Self::CODES { u64::MAX } else { (1 << left) - 1 }
    }
}

/// Lays out up to eight codes, in the eight columns of `rows` from `place` on.
fn lay_out(codes: &[u8], code_length: usize, rows: &mut [Row], place: usize) {
    let (rows, _) = rows.as_chunks_mut::<8>();
    for (word, rows) in rows.iter_mut().enumerate() {
        // Eight bytes of each of the eight codes.
        let mut square = [0_u64; 8];
        for (line, code) in square.iter_mut().zip(codes.chunks_exact(code_length)) {
            let bytes = code.as_chunks::<8>().0.get(word);
            *line = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        }
        for (line, row) in transpose(square).iter().zip(rows) {
            if let Some(to) = row.0.get_mut(place..place + 8) {
                to.copy_from_slice(&line.to_le_bytes());
            }
        }
    }
}

/// Byte `i` of line `j` becomes byte `j` of line `i`: by squares of four bytes, of
/// two, and of one.
fn transpose(mut square: [u64; 8]) -> [u64; 8] {
    const MASKS: [(usize, u64); 3] =
        [(4, 0x0000_0000_FFFF_FFFF), (2, 0x0000_FFFF_0000_FFFF), (1, 0x00FF_00FF_00FF_00FF)];
    for (distance, mask) in MASKS {
        for upper in (0..8).filter(|line| line & distance == 0) {
            if let Ok([one, other]) = square.get_disjoint_mut([upper, upper + distance]) {
                let swapped = (*one >> (8 * distance) ^ *other) & mask;
                *other ^= swapped;
                *one ^= swapped << (8 * distance);
            }
        }
    }
    square
}
