//! Inputs out of other inputs.

use fastrand::Rng;

/// Bytes of an input at most: parsers have limits of their own far above, and
/// short inputs are quick to run.
const MAX_LENGTH: usize = 16 * 1024;

/// Bytes at which something ends or begins.
const BYTES: [u8; 16] =
    [0, 1, 0x7F, 0x80, 0xFF, b'\n', b'\r', b' ', b'"', b'<', b'>', b'&', b'-', b'=', b'{', b'/'];

/// `input`, changed in one to eight places.
pub(crate) fn mutate(rng: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    for _ in 0..1 << rng.u32(0..4) {
        change(rng, input, seeds, words);
    }
    input.truncate(MAX_LENGTH);
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    let at = rng.usize(0..=input.len());
    let longest = 1 << rng.u32(0..10);
    let range = at..(at + rng.usize(0..=longest)).min(input.len());
    match rng.u32(0..10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.u32(0..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = BYTES[rng.usize(0..BYTES.len())];
            }
        }
        2 => input.insert(at, rng.u8(..)),
        3..=5 if !words.is_empty() => {
            let word = words[rng.usize(0..words.len())];
            // In the place of something, or between two things.
            let end = if rng.bool() { at } else { range.end };
            input.splice(at..end, word.bytes());
        }
        6 => drop(input.drain(range)),
        7 => {
            // Once more, as often as a parser may count.
            let piece = input[range].to_vec();
            let times = if rng.u32(0..8) == 0 { rng.usize(1..200) } else { 1 };
            let repeated = piece.repeat(times.min(MAX_LENGTH / piece.len().max(1)));
            input.splice(at..at, repeated);
        }
        8 if !seeds.is_empty() => {
            let other = &seeds[rng.usize(0..seeds.len())];
            let from = rng.usize(0..=other.len());
            let to = rng.usize(from..=other.len());
            input.splice(range, other[from..to].iter().copied());
        }
        _ => input.truncate(at),
    }
}
