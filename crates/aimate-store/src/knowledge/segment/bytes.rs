//! Numbers in few bytes: seven bits in each, the lowest first.

use aimate_core::Result;

use super::damaged;

/// Appends `value`.
pub(super) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(low(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low(value));
}

fn low(value: u64) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or_default()
}

/// Takes a number off the front.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64> {
    // Most are short.
    match *bytes {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first))
        }
        [first, second, rest @ ..] if *second < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first & 0x7F) | u64::from(*second) << 7)
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or_else(|| damaged("it ends too soon"))?;
        *bytes = rest;
        value |= u64::from(*first & 0x7F) << shift;
        if *first < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged("a number is too long"))
}

/// Takes a number that must fit.
#[inline]
pub(super) fn take_u32(bytes: &mut &[u8]) -> Result<u32> {
    u32::try_from(take(bytes)?).map_err(|_| damaged("a number is too large"))
}

/// Takes `count` bytes.
pub(super) fn take_bytes<'b>(bytes: &mut &'b [u8], count: u64) -> Result<&'b [u8]> {
    let count = usize::try_from(count).ok();
    let (taken, rest) =
        count.and_then(|count| bytes.split_at_checked(count)).ok_or_else(|| damaged("it ends too soon"))?;
    *bytes = rest;
    Ok(taken)
}
