//! How often somebody may guess.
//!
//! Five attempts are free; after that each has to wait a second, and the next twice as
//! long. They are counted by address, whether it has an account or not, and by network.
//! After a hundred failures in a row an address is locked until somebody unlocks it. Of a
//! network's failures each minute takes one off, so that those of one do not burden the others.

use std::net::IpAddr;
use std::time::Duration;

use aimate_core::EmailAddress;
use aimate_core::login::AttemptLimit;
use sha2::{Digest, Sha256};

/// Attempts that cost no wait.
const FREE: u32 = 5;
/// Failures in a row after which an address is locked (NIST SP 800-63B: at most 100).
pub(crate) const LOCK_AFTER: u32 = 100;
/// The longest wait for an address. A hundred failures take a day then.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait for a network: many people may share one.
const MAX_NETWORK_WAIT: Duration = Duration::from_secs(60);
/// After this time without an attempt, those of a network are forgotten.
const FORGET_NETWORK: Duration = Duration::from_secs(60 * 60);
/// After this time without an attempt, those of an address are forgotten.
pub(crate) const FORGET: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn subject(sort: &str, of: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(sort).chain_update([0]).chain_update(of).finalize().to_vec()
}

/// What stands for an address.
pub(crate) fn of_address(email: &EmailAddress) -> Vec<u8> {
    subject("address", email.as_str().as_bytes())
}

/// What stands for a client's network: its /24, or its /64 of IPv6.
pub(crate) fn of_network(ip: IpAddr) -> Vec<u8> {
    let octets = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().iter().take(3).copied().collect::<Vec<_>>(),
        IpAddr::V6(ip) => ip.octets().iter().take(8).copied().collect(),
    };
    subject("network", &octets)
}

pub(crate) fn address_limit(email: &EmailAddress) -> AttemptLimit {
    AttemptLimit {
        subject: of_address(email),
        free: FREE,
        max_wait: MAX_WAIT,
        lock_after: Some(LOCK_AFTER),
        forget_after: FORGET,
    }
}

pub(crate) fn network_limit(ip: IpAddr) -> AttemptLimit {
    AttemptLimit {
        subject: of_network(ip),
        free: FREE,
        max_wait: MAX_NETWORK_WAIT,
        lock_after: None,
        forget_after: FORGET_NETWORK,
    }
}

/// What may be done once, for as long as that is asked.
#[cfg(feature = "oidc")]
pub(crate) fn once(of: &[u8], for_as_long: Duration) -> AttemptLimit {
    AttemptLimit {
        subject: subject("once", of),
        free: 1,
        max_wait: for_as_long,
        lock_after: Some(1),
        forget_after: for_as_long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_network() {
        let of = |ip: &str| of_network(ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of_address(&"a@b.c".parse().unwrap()));
    }
}
