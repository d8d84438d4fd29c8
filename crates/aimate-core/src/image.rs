//! Inline pictures: what their first bytes say they are.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::{Error, Result};
use crate::limit;

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A picture that is inline in a message, checked: a model server would refuse
/// anything else, in this turn and in each that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineImage {
    /// Base64 with padding.
    pub data: String,
    /// What it is by its first bytes.
    pub media_type: String,
}

impl InlineImage {
    /// Reads a picture in base64. What is plain to mend is mended: line breaks, the
    /// head of a `data:` address (even twice), the alphabet of addresses, a missing
    /// padding, and another media type than the bytes have.
    ///
    /// # Errors
    /// `Invalid` on `path` if it is empty, no base64 or no picture; `TooLarge`.
    pub fn read(path: &str, data: &str, media_type: &str) -> Result<Self> {
        if data.len() > limit::IMAGE {
            return Err(Error::too_large(format!(
                "`{path}` has {} bytes of image data; the most is {}",
                data.len(),
                limit::IMAGE
            )));
        }
        if !media_type.trim().to_ascii_lowercase().starts_with("image/") {
            return Err(Error::field(path, "needs a `media_type` such as `image/png` beside `data`"));
        }
        let mut text = data.trim();
        while let Some((_, rest)) = text.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
            text = rest.trim_start();
        }
        let is_plain = !text.contains(|c: char| c.is_ascii_whitespace() || matches!(c, '-' | '_'));
        let cleaned: String;
        let text = if is_plain {
            text
        } else {
            let kept = text.chars().filter(|c| !c.is_ascii_whitespace());
            cleaned = kept
                .map(|c| {
                    if c == '-' {
                        '+'
                    } else if c == '_' {
                        '/'
                    } else {
                        c
                    }
                })
                .collect();
            &cleaned
        };
        let bytes =
            LENIENT.decode(text).map_err(|error| Error::field(path, format!("is not base64: {error}")))?;
        if bytes.is_empty() {
            return Err(Error::field(path, "is an empty picture"));
        }
        let Some(media_type) = kind(&bytes) else {
            return Err(Error::field(
                path,
                "is no picture by its first bytes; send PNG, JPEG, GIF, WebP or what the model reads",
            ));
        };
        let is_padded = text.len() % 4 == 0;
        let data = if is_padded {
            text.to_owned()
        } else {
            base64::engine::general_purpose::STANDARD.encode(&bytes)
        };
        Ok(Self { data, media_type: media_type.to_owned() })
    }
}

/// The media type of a picture by its first bytes.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    let brand = |brands: &[&[u8]]| {
        bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..12).is_some_and(|found| brands.contains(&found))
    };
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some("image/tiff"),
        [0, 0, 1, 0, ..] => Some("image/x-icon"),
        [0, 0, 0, 0x0C, b'j', b'P', ..] => Some("image/jp2"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', ..] => Some("image/jxl"),
        _ if brand(&[b"avif", b"avis"]) => Some("image/avif"),
        _ if brand(&[b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"]) => Some("image/heic"),
        _ => {
            let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(1_024))?).to_ascii_lowercase();
            (head.trim_start_matches('\u{FEFF}').trim_start().starts_with('<') && head.contains("<svg"))
                .then_some("image/svg+xml")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

    #[test]
    fn picture_is_what_its_first_bytes_say() {
        let broken = format!("{}\r\n{}", &PNG[..40], &PNG[40..]);
        for data in [
            PNG,
            &broken,
            PNG.trim_end_matches('='),
            &PNG.replace('+', "-").replace('/', "_"),
            &format!("data:image/png;base64,{PNG}"),
            &format!("data:image/png;base64,data:image/png;base64,{PNG}"),
        ] {
            for media_type in ["image/png", "image/jpeg", "IMAGE/WEBP"] {
                let image = InlineImage::read("content[0]", data, media_type).unwrap();
                assert_eq!((image.data.as_str(), image.media_type.as_str()), (PNG, "image/png"));
            }
        }
        let svg = base64::engine::general_purpose::STANDARD.encode("<?xml version='1.0'?><svg/>");
        assert_eq!(InlineImage::read("x", &svg, "image/svg+xml").unwrap().media_type, "image/svg+xml");
    }

    #[test]
    fn what_is_no_picture_is_refused_when_it_is_added() {
        for (data, media_type) in [
            ("", "image/png"),
            ("data:image/png;base64,", "image/png"),
            ("!!!", "image/png"),
            ("aGk=", "image/png"),
            ("aGVsbG8gd29ybGQ=", "image/x-unknown"),
            (PNG, "text/plain"),
            (PNG, ""),
        ] {
            let error = InlineImage::read("content[0]", data, media_type).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{data}");
            assert_eq!(error.fields()[0].path, "content[0]");
        }
    }
}
