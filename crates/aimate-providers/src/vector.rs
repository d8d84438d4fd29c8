//! Parses and validates the vectors of embedding servers.

use std::ops::Range;

use aimate_core::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::http::UpstreamErrors;

/// Maximum texts of one request.
const MAX_BATCH: usize = 256;
/// Maximum bytes of text of one request, unless a single text is longer.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Splits `texts` into requests.
pub(crate) fn batches(texts: &[String]) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (n, text) in texts.iter().enumerate() {
        if n > start && (n - start >= MAX_BATCH || bytes + text.len() > MAX_BATCH_BYTES) {
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

/// Parses a vector: a list of numbers, or base64 of little-endian floats.
pub(crate) fn vector(errors: &UpstreamErrors, json: &RawValue) -> Result<Vec<f32>> {
    let text = json.get();
    if text.starts_with('"') {
        let bytes =
            serde_json::from_str::<String>(text).ok().and_then(|text| STANDARD.decode(text.trim()).ok());
        let bytes = bytes
            .filter(|bytes| bytes.len() % 4 == 0)
            .ok_or_else(|| errors.invalid_response("a vector is not base64 of floats", b""))?;
        let (floats, _) = bytes.as_chunks::<4>();
        return Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect());
    }
    if text.get(1..).is_some_and(|rest| rest.trim_start().starts_with('[')) {
        return Err(errors.invalid_response(
            "the server sends a vector for each token, not for each text; start it with pooling (llama.cpp: `--pooling mean`) or use an embedding model",
            b"",
        ));
    }
    let numbers: Vec<Option<f32>> = serde_json::from_str(text).map_err(|error| {
        errors.invalid_response(format_args!("a vector is not a list of numbers ({error})"), b"")
    })?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f32::NAN)).collect())
}

/// Validates `batch`, the vectors of `expected` texts, and adds it to `all`.
///
/// # Errors
/// `Upstream` if one is missing, empty, of another length or not finite.
pub(crate) fn add(
    errors: &UpstreamErrors,
    all: &mut Vec<Vec<f32>>,
    batch: Vec<Vec<f32>>,
    expected: usize,
    dimensions: Option<u32>,
) -> Result<()> {
    if batch.len() != expected {
        return Err(
            errors.invalid_response(format_args!("{} vectors came for {expected} texts", batch.len()), b"")
        );
    }
    let requested = dimensions.and_then(|requested| usize::try_from(requested).ok());
    for vector in batch {
        let length = requested.or(all.first().map(Vec::len)).unwrap_or(vector.len());
        if vector.is_empty() || vector.len() != length {
            return Err(errors.invalid_response(
                format_args!("a vector has {} numbers where {length} were expected", vector.len()),
                b"",
            ));
        }
        if !vector.iter().all(|number| number.is_finite()) {
            return Err(errors.invalid_response("a vector holds a number that is not finite", b""));
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
        let long = vec!["x".repeat(MAX_BATCH_BYTES), "y".into(), "z".into()];
        assert_eq!(batches(&long), [0..1, 1..3]);
    }
}
