//! Half floats as pgvector's `halfvec` has them on the wire.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A vector of PostgreSQL's type `halfvec`.
#[derive(Debug)]
pub(super) struct Half(Vec<u8>);

impl Half {
    pub(super) fn new(vector: &[f32]) -> Self {
        let mut bytes = Vec::with_capacity(4 + 2 * vector.len());
        bytes.put_u16(vector.len() as u16);
        bytes.put_u16(0);
        vector.iter().for_each(|x| bytes.put_u16(half(*x)));
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ToSql for Half {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        kind.name() == "halfvec"
    }

    to_sql_checked!();
}

/// The nearest half float of a number between −65,504 and 65,504, ties to even.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = x.abs();
    if magnitude < 6.103_515_6e-5 {
        // Below the smallest normal number halves are multiples of 2^-24.
        return sign | (magnitude * 16_777_216.0).round_ties_even() as u16;
    }
    let magnitude = bits & 0x7fff_ffff;
    let rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    sign | ((rounded - 0x3800_0000) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_halves() {
        for (x, want) in [
            (0.0, 0),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.1, 0x2e66),
            (65_504.0, 0x7bff),
            (5.960_464_5e-8, 1),
            (6.103_515_6e-5, 0x400),
            (1.0 + 1.0 / 2_048.0, 0x3c00),
            (1.0 + 3.0 / 2_048.0, 0x3c02),
        ] {
            assert_eq!(half(x), want, "{x}");
        }
    }
}
