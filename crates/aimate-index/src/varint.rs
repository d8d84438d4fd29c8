//! Variable-length integers (LEB128): seven bits in each byte, the lowest first,
//! the high bit set in all but the last.

use crate::{DataCorruption, Result};

const CUT_SHORT: DataCorruption = DataCorruption::new("it ends too soon");

/// Appends `value`.
pub(crate) fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or_default()
}

/// Reads a number off the front of `bytes`.
#[inline]
pub(crate) fn read_u64(bytes: &mut &[u8]) -> Result<u64> {
    // Most numbers have one byte or two; these branches carry the decoder.
    match *bytes {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first))
        }
        [first, second, rest @ ..] if *second < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first & 0x7F) | u64::from(*second) << 7)
        }
        _ => read_long(bytes),
    }
}

fn read_long(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(CUT_SHORT)?;
        *bytes = rest;
        value |= u64::from(*first & 0x7F) << shift;
        if *first < 0x80 {
            return Ok(value);
        }
    }
    Err(DataCorruption::new("a number is too long"))
}

/// Reads a number that must fit into 32 bits.
#[inline]
pub(crate) fn read_u32(bytes: &mut &[u8]) -> Result<u32> {
    u32::try_from(read_u64(bytes)?).map_err(|_| DataCorruption::new("a number is too large"))
}

/// Reads `count` raw bytes.
pub(crate) fn read_bytes<'b>(bytes: &mut &'b [u8], count: u64) -> Result<&'b [u8]> {
    let count = usize::try_from(count).map_err(|_| CUT_SHORT)?;
    let (taken, rest) = bytes.split_at_checked(count).ok_or(CUT_SHORT)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), (1 << 63) - 1] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            bytes.push(9);
            let mut rest = bytes.as_slice();
            assert_eq!(read_u64(&mut rest), Ok(value));
            assert_eq!(rest, [9], "{value}");
        }
    }

    #[test]
    fn unfinished_and_oversized_numbers_are_refused() {
        assert!(read_u64(&mut [].as_slice()).is_err());
        assert!(read_u64(&mut [0x80].as_slice()).is_err());
        assert!(read_u64(&mut [0xFF; 10].as_slice()).is_err());
        assert!(read_u32(&mut [0xFF, 0xFF, 0xFF, 0xFF, 0x1F].as_slice()).is_err());
    }
}
