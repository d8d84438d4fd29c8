//! Words of which a request may have one.

use aimate_core::Error;

use crate::error::Result;

/// Whether a text is one of those that are known.
pub(super) fn one_of(name: &str, given: Option<&str>, known: &[&str]) -> Result<()> {
    if given.is_none_or(|given| known.contains(&given)) {
        return Ok(());
    }
    let known: Vec<_> = known.iter().map(|one| format!("`{one}`")).collect();
    Err(Error::field(name, format!("must be one of {}", known.join(", "))).into())
}
