//! Whole numbers as the major servers take them.

use std::fmt;

use aimate_core::Error;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A whole number, also one that is written as `100.0` or `"100"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Whole(pub(crate) i64);

impl Whole {
    /// The number as a limit of tokens; -1 is none.
    ///
    /// # Errors
    /// `Invalid` for any other negative number.
    pub(crate) fn limit(self, path: &str) -> Result<Option<u32>, Error> {
        match self.0 {
            -1 => Ok(None),
            0.. => Ok(Some(u32::try_from(self.0).unwrap_or(u32::MAX))),
            _ => Err(Error::field(path, "is negative; it is a number of tokens, or -1 for no limit")),
        }
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    #[allow(clippy::cast_possible_truncation, reason = "an `as` cast of a float saturates")]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
        if number.is_finite() && number.fract() == 0.0 {
            return Ok(Whole(number as i64));
        }
        Err(E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Whole, E> {
        text.trim().parse().map(Whole).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}
