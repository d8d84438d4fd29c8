//! Vectors as servers write them, and the checks that make them usable.

use std::ops::Range;

use aimate_core::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::http::Peer;

/// Texts of one request at most.
const BATCH: usize = 256;
/// Bytes of text of one request at most, unless one text alone is longer.
const BATCH_BYTES: usize = 256 * 1024;

/// How to cut `texts` into requests.
pub(crate) fn batches(texts: &[String]) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (n, text) in texts.iter().enumerate() {
        if n > start && (n - start >= BATCH || bytes + text.len() > BATCH_BYTES) {
            all.push(start..n);
            (start, bytes) = (n, 0);
        }
        bytes += text.len();
    }
    if start < texts.len() {
        all.push(start..texts.len());
    }
    all
}

/// One vector, out of a list of numbers or base64 of little-endian floats.
pub(crate) fn vector(peer: &Peer, json: &RawValue) -> Result<Vec<f32>> {
    let text = json.get();
    if text.starts_with('"') {
        let bytes =
            serde_json::from_str::<String>(text).ok().and_then(|text| STANDARD.decode(text.trim()).ok());
        let bytes = bytes
            .filter(|bytes| bytes.len() % 4 == 0)
            .ok_or_else(|| peer.nonsense("a vector is no base64 of floats", b""))?;
        let (floats, _) = bytes.as_chunks::<4>();
        return Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect());
    }
    if text.get(1..).is_some_and(|rest| rest.trim_start().starts_with('[')) {
        return Err(peer.nonsense(
            "the server gives a vector for each token, not for each text; start it with pooling (llama.cpp: `--pooling mean`) or take an embedding model",
            b"",
        ));
    }
    let numbers: Vec<Option<f32>> = serde_json::from_str(text)
        .map_err(|error| peer.nonsense(format_args!("a vector is no list of numbers ({error})"), b""))?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f32::NAN)).collect())
}

/// Adds `batch`, the vectors of `expected` texts, to `all` if they fit.
///
/// # Errors
/// `Upstream` if one is missing, empty, of another length or not finite.
pub(crate) fn add(
    peer: &Peer,
    all: &mut Vec<Vec<f32>>,
    batch: Vec<Vec<f32>>,
    expected: usize,
    dimensions: Option<u32>,
) -> Result<()> {
    if batch.len() != expected {
        return Err(peer.nonsense(format_args!("{} vectors came for {expected} texts", batch.len()), b""));
    }
    let asked = dimensions.and_then(|asked| usize::try_from(asked).ok());
    for vector in batch {
        let length = asked.or(all.first().map(Vec::len)).unwrap_or(vector.len());
        if vector.is_empty() || vector.len() != length {
            return Err(peer.nonsense(
                format_args!("a vector has {} numbers where {length} were expected", vector.len()),
                b"",
            ));
        }
        if !vector.iter().all(|number| number.is_finite()) {
            return Err(peer.nonsense("a vector holds a number that is not finite", b""));
        }
        all.push(vector);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_in_texts_and_bytes() {
        assert!(batches(&[]).is_empty());
        assert_eq!(batches(&vec![String::new(); 513]), [0..256, 256..512, 512..513]);
        let long = vec!["x".repeat(BATCH_BYTES), "y".into(), "z".into()];
        assert_eq!(batches(&long), [0..1, 1..3]);
    }
}
