//! Rows in the binary format of PostgreSQL's `COPY`:
//! <https://www.postgresql.org/docs/current/sql-copy.html>.

use uuid::Uuid;

/// Below this many rows, `INSERT … SELECT FROM unnest(…)` is faster: the end of a
/// small `COPY` waits until the server acknowledges its data, 40 ms on Linux
/// (Nagle's algorithm; sqlx does not turn it off).
pub(super) const MIN_ROWS: usize = 2_048;

/// Encodes rows, one field after the other. A row has as many fields as the
/// statement names columns, in that order.
pub(super) struct CopyRows {
    bytes: Vec<u8>,
    fields: i16,
}

impl CopyRows {
    /// No rows yet, of so many fields each.
    pub(super) fn new(fields: i16) -> Self {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        // No flags, no extension.
        bytes.extend([0; 8]);
        Self { bytes, fields }
    }

    /// Begins a row; its fields follow.
    pub(super) fn row(&mut self) -> &mut Self {
        self.bytes.extend(self.fields.to_be_bytes());
        self
    }

    pub(super) fn uuid(&mut self, id: Uuid) -> &mut Self {
        self.field(&[id.as_bytes()])
    }

    pub(super) fn int(&mut self, value: i64) -> &mut Self {
        self.field(&[&value.to_be_bytes()])
    }

    pub(super) fn maybe_int(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.int(value),
            None => {
                self.bytes.extend((-1_i32).to_be_bytes());
                self
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.field(&[text.as_bytes()])
    }

    /// `jsonb`: its version, then the text.
    pub(super) fn json(&mut self, text: &str) -> &mut Self {
        self.field(&[&[1], text.as_bytes()])
    }

    /// pgvector's `halfvec`, of little-endian half floats: the number of dimensions
    /// as `u16`, a zero `u16`, then the half floats big-endian.
    pub(super) fn halfvec(&mut self, halves: &[u8]) -> &mut Self {
        let dimensions = u16::try_from(halves.len() / 2).unwrap_or(u16::MAX);
        self.length(halves.len() + 4);
        self.bytes.extend(dimensions.to_be_bytes());
        self.bytes.extend([0; 2]);
        let (pairs, _) = halves.as_chunks();
        self.bytes.extend(pairs.iter().flat_map(|[low, high]| [*high, *low]));
        self
    }

    fn field(&mut self, parts: &[&[u8]]) -> &mut Self {
        self.length(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self
    }

    fn length(&mut self, bytes: usize) {
        self.bytes.extend(i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes());
    }

    /// The rows with the trailer that ends them.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend((-1_i16).to_be_bytes());
        self.bytes
    }
}
