//! Answers that a server compressed although nobody asked for it.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// Bytes that are decompressed at once: deflate makes at most 1,032 times as many of
/// them, which must fit the memory.
const STEP: usize = 4 * 1024;

/// Why a body cannot be decompressed.
#[derive(Debug)]
pub(super) enum Broken {
    /// Its compression, by name, is none of those that are known.
    Unknown(String),
    /// It is damaged or cut off.
    Data,
}

/// Decompresses a body piece by piece. Its first bytes say whether it is
/// compressed: some proxies say so of plain bodies, others do not say it.
pub(super) struct Decompressor {
    /// `Content-Encoding`, in lower case.
    encoding: String,
    state: Format,
    /// What was not decompressed yet.
    rest: Bytes,
}

enum Format {
    /// Nothing has arrived.
    Unknown,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
}

impl Decompressor {
    /// For a response with these headers.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
        Self { encoding, state: Format::Unknown, rest: Bytes::new() }
    }

    /// Adds a piece of the body; the one before was taken whole.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.rest = piece;
    }

    /// Returns the next decompressed piece; `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        while !self.rest.is_empty() {
            if matches!(self.state, Format::Unknown) {
                self.state = self.begin()?;
            }
            let step = match &self.state {
                Format::Unknown | Format::Plain => return Ok(Some(std::mem::take(&mut self.rest))),
                _ => self.rest.split_to(self.rest.len().min(STEP)),
            };
            let made = match &mut self.state {
                Format::Gzip(decoder) => {
                    write(decoder.as_mut(), &step).map(|()| std::mem::take(decoder.get_mut()))
                }
                Format::Zlib(decoder) => {
                    write(decoder.as_mut(), &step).map(|()| std::mem::take(decoder.get_mut()))
                }
                Format::Deflate(decoder) => {
                    write(decoder.as_mut(), &step).map(|()| std::mem::take(decoder.get_mut()))
                }
                Format::Unknown | Format::Plain => Ok(Vec::new()),
            };
            let made = made.map_err(|_| Broken::Data)?;
            if !made.is_empty() {
                return Ok(Some(made.into()));
            }
        }
        Ok(None)
    }

    /// Ends the body.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        let ended = match &mut self.state {
            Format::Unknown | Format::Plain => Ok(()),
            Format::Gzip(decoder) => decoder.try_finish(),
            Format::Zlib(decoder) => decoder.try_finish(),
            Format::Deflate(decoder) => decoder.try_finish(),
        };
        ended.map_err(|_| Broken::Data)
    }

    /// What the first bytes say.
    fn begin(&self) -> Result<Format, Broken> {
        let first = self.rest.first().copied().unwrap_or_default();
        let second = self.rest.get(1).copied();
        let is_text = first.is_ascii_whitespace() || b"{[<:\"dei\xEF".contains(&first);
        Ok(match (first, second) {
            (0x1F, Some(0x8B) | None) => Format::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            (0x28, Some(0xB5)) => return Err(Broken::Unknown("zstd".to_owned())),
            (0x78, second)
                if self.encoding == "deflate"
                    && second.is_none_or(|second| (0x7800 + u16::from(second)) % 31 == 0) =>
            {
                Format::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
            }
            _ if self.encoding == "deflate" && !is_text => {
                Format::Deflate(Box::new(DeflateDecoder::new(Vec::new())))
            }
            _ if matches!(self.encoding.as_str(), "br" | "zstd" | "compress" | "x-compress") && !is_text => {
                return Err(Broken::Unknown(self.encoding.clone()));
            }
            _ => Format::Plain,
        })
    }
}

/// Decompresses `step` and lets out what it makes so far.
fn write(decoder: &mut impl Write, step: &Bytes) -> std::io::Result<()> {
    decoder.write_all(step.chunk())?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn decompressed(encoding: &str, body: &[u8], piece: usize) -> Result<Vec<u8>, Broken> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        let (mut decompressor, mut all) = (Decompressor::new(&headers), Vec::new());
        for piece in body.chunks(piece) {
            decompressor.push(Bytes::copy_from_slice(piece));
            while let Some(made) = decompressor.next()? {
                all.extend_from_slice(&made);
            }
        }
        decompressor.end().map(|()| all)
    }

    #[test]
    fn every_usual_compression_is_undone() {
        let text = b"data: {\"a\":1}\n\n".repeat(1_000);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&text).unwrap();
        zlib.write_all(&text).unwrap();
        deflate.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        for (encoding, body) in [
            ("gzip", &gzip),
            ("identity", &gzip),
            ("gzip", &text),
            ("deflate", &zlib.finish().unwrap()),
            ("deflate", &deflate.finish().unwrap()),
            ("br", &text),
        ] {
            for piece in [1, 7, 1 << 20] {
                assert!(
                    decompressed(encoding, body, piece).unwrap() == text,
                    "{encoding} in pieces of {piece}"
                );
            }
        }
        assert!(matches!(decompressed("gzip", &gzip[..gzip.len() / 2], 100), Err(Broken::Data)));
        assert!(
            matches!(decompressed("br", b"\x1b\x0f\x00", 100), Err(Broken::Unknown(name)) if name == "br")
        );
    }

    #[test]
    fn bomb_comes_in_bounded_pieces() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; 64 * 1024 * 1024]).unwrap();
        let mut decompressor = Decompressor::new(&HeaderMap::new());
        decompressor.push(bomb.finish().unwrap().into());
        while let Some(piece) = decompressor.next().unwrap() {
            assert!(piece.len() <= 1_032 * STEP + 64 * 1024, "{}", piece.len());
        }
    }
}
