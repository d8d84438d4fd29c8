//! A question's vector, made ready to be compared with codes.

use fearless_simd::prelude::*;
use fearless_simd::{u8x16, u8x64, u16x32};

use super::WORD;
use super::blocks::{CodeBlocks, Row};

/// What the numbers of a question are rounded to at most, from 0: five bits.
const MAX: i32 = 31;

/// Numbers of a vector whose bits are looked up at once.
const NUMBERS: usize = 4;

/// Words whose sums fit into 16 bits: of each, eight pairs of tables add up to
/// 2 · 4 · 31 to the same sum.
const WORDS_AT_ONCE: usize = 32;

/// What each value of four bits adds to a sum.
type Table = [u8; 1 << NUMBERS];

/// A question, as tables of what the bits of a code add to the sum of products.
pub(super) struct Question {
    /// For each word of a code, by the numbers in it.
    tables: Vec<[Table; WORD / NUMBERS]>,
    /// What the sums of the tables are greater by than the sum of products: tables
    /// have no negative numbers.
    excess: i32,
}

impl Question {
    pub(super) fn new(vector: &[f32]) -> Self {
        let greatest = vector.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
        let scale = if greatest > 0.0 { MAX as f32 / (2.0 * greatest) } else { 0.0 };
        let mut excess = 0;
        let words = vector.chunks(WORD).map(|part| {
            let mut tables = [Table::default(); WORD / NUMBERS];
            for (table, part) in tables.iter_mut().zip(part.chunks(NUMBERS)) {
                // Rounded numbers lie about the middle of what so many bits hold.
                let rounded = |value: &f32| 2 * ((value + greatest) * scale).round() as i32 - MAX;
                let numbers: Vec<i32> = part.iter().map(|value| rounded(value).clamp(-MAX, MAX)).collect();
                let least: i32 = numbers.iter().map(|number| (*number).min(0)).sum();
                for (bits, entry) in table.iter_mut().enumerate() {
                    let set = numbers.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
                    let sum = set.map(|(_, number)| number).sum::<i32>() - least;
                    *entry = u8::try_from(sum).unwrap_or(u8::MAX);
                }
                // Signs count twice, sizes once.
                excess -= 3 * least;
            }
            tables
        });
        let tables = words.collect();
        Self { tables, excess }
    }

    /// Bytes that a code has which the question can be compared with.
    pub(super) fn code_length(&self) -> usize {
        self.tables.len() * 16
    }

    /// How near each code of a block is: proportional to the sum of products of the
    /// rounded numbers and those the code stands for, but for a summand that is the
    /// same for all codes.
    #[inline(always)]
    pub(super) fn nearness<S: Simd>(&self, simd: S, rows: &[Row]) -> [i32; CodeBlocks::CODES] {
        let low = u8x64::splat(simd, 15);
        let mut nearness = [-self.excess; CodeBlocks::CODES];
        let (words, _) = rows.as_chunks::<16>();
        for (words, tables) in words.chunks(WORDS_AT_ONCE).zip(self.tables.chunks(WORDS_AT_ONCE)) {
            // Sums of the bytes at even places and at odd ones, as 16 bits. The former
            // have the latter in their upper byte, times 256, until the end.
            let mut signs = [u16x32::splat(simd, 0); 2];
            let mut sizes = [u16x32::splat(simd, 0); 2];
            for (rows, tables) in words.iter().zip(tables) {
                let (sign_rows, size_rows) = rows.split_at(8);
                let (tables, _) = tables.as_chunks::<2>();
                for ((sign_row, size_row), [first, second]) in sign_rows.iter().zip(size_rows).zip(tables) {
                    let first = u8x64::block_splat(u8x16::simd_from(simd, *first));
                    let second = u8x64::block_splat(u8x16::simd_from(simd, *second));
                    for (sums, row) in [(&mut signs, sign_row), (&mut sizes, size_row)] {
                        let row = u8x64::simd_from(simd, row.0);
                        let sum = simd.swizzle_dyn_within_blocks_u8x64(first, row & low)
                            + simd.swizzle_dyn_within_blocks_u8x64(second, row >> 4);
                        let pairs: u16x32<S> = sum.bitcast();
                        let [even, odd] = sums;
                        *even += pairs;
                        *odd += pairs >> 8;
                    }
                }
            }
            let unpack = |[even, odd]: [u16x32<S>; 2]| -> ([u16; 32], [u16; 32]) {
                ((even - (odd << 8)).into(), odd.into())
            };
            let ((sign_even, sign_odd), (size_even, size_odd)) = (unpack(signs), unpack(sizes));
            let (pairs, _) = nearness.as_chunks_mut::<2>();
            let evens = sign_even.iter().zip(&size_even);
            let odds = sign_odd.iter().zip(&size_odd);
            for (([even, odd], (sign_even, size_even)), (sign_odd, size_odd)) in
                pairs.iter_mut().zip(evens).zip(odds)
            {
                *even += 2 * i32::from(*sign_even) + i32::from(*size_even);
                *odd += 2 * i32::from(*sign_odd) + i32::from(*size_odd);
            }
        }
        nearness
    }
}
