//! Who may register, as settings say it.

use aimate::accounts::RegistrationRule;
use aimate::{Error, Result};

/// Who may register, by its name.
///
/// # Errors
/// `Invalid` for another name.
pub(crate) fn registration(name: &str) -> Result<RegistrationRule> {
    match name {
        "open" => Ok(RegistrationRule::Open),
        "closed" => Ok(RegistrationRule::Closed),
        "invite" => Ok(RegistrationRule::Invite),
        "first" => Ok(RegistrationRule::First),
        _ => Err(Error::invalid("it should be `open`, `closed`, `invite` or `first`")),
    }
}
