//! Rate limits: how many requests of each class may come, of each user and of each
//! machine that nobody is signed in on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{TenantId, UserId};
use crate::scope::Scope;
use crate::text::names;

/// Kinds of requests, each of which has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RequestClass {
    /// Reads what is stored.
    Read,
    /// Changes what is stored.
    Write,
    /// Asks a model.
    Chat,
    /// Adds documents.
    Ingest,
    /// Searches documents or conversations.
    Search,
    /// Registers, signs in or renews a sign-in.
    Auth,
}

names! {
    RequestClass {
        Read = "read", Write = "write", Chat = "chat", Ingest = "ingest", Search = "search", Auth = "auth",
    }
}

impl RequestClass {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Read, Self::Write, Self::Chat, Self::Ingest, Self::Search, Self::Auth];
}

/// How many requests may come: `burst` at once, and `per_minute` in the long run. It is
/// a token bucket, kept as the one time of the generic cell rate algorithm (ITU-T I.371).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Requests a minute, 1 to 60,000,000.
    pub per_minute: u32,
    /// Requests at once after a pause, 1 to 1,000,000.
    pub burst: u32,
}

impl RateLimit {
    const MINUTE: i64 = 60_000_000;
    const MAX_BURST: u32 = 1_000_000;

    /// So many a minute, and a quarter of it at once.
    pub const fn per_minute(per_minute: u32) -> Self {
        let burst = per_minute.div_ceil(4);
        Self { per_minute, burst: if burst == 0 { 1 } else { burst } }
    }

    /// So many at once.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// Checks both numbers.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self) -> Result<()> {
        let Self { per_minute, burst } = *self;
        if per_minute == 0 || i64::from(per_minute) > Self::MINUTE || burst == 0 || burst > Self::MAX_BURST {
            return Err(Error::invalid(format!(
                "{per_minute}/{burst} is no rate limit; it has 1 to 60000000 requests a minute, and 1 to 1000000 at \
                 once"
            )));
        }
        Ok(())
    }

    /// Microseconds after which one more may come.
    pub fn interval(&self) -> i64 {
        (Self::MINUTE / i64::from(self.per_minute.max(1))).max(1)
    }

    /// Microseconds in which an empty bucket becomes full.
    pub fn window(&self) -> i64 {
        self.interval().saturating_mul(i64::from(self.burst.max(1)))
    }

    /// The time in which so many may come, in the long run.
    pub(crate) fn time_for(&self, count: u32) -> Duration {
        Duration::from_micros(self.interval().unsigned_abs().saturating_mul(count.into()))
    }

    /// How many a process takes at a time, so that not every request asks the store.
    pub(crate) fn allotment(&self) -> u32 {
        (self.burst / 8).clamp(1, 100)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.per_minute, self.burst)
    }
}

/// The limit of each class of requests; `None` for as many as come.
///
/// ```
/// use aimate_core::rate_limit::{RateLimits, RequestClass};
///
/// // 30 questions to a model in a minute, 5 of them at once; uploads without a limit.
/// let limits: RateLimits = "chat=30/5, ingest=off".parse()?;
/// assert_eq!(limits.of(RequestClass::Ingest), None);
/// # Ok::<(), aimate_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits([Option<RateLimit>; RequestClass::ALL.len()]);

impl Default for RateLimits {
    /// What a person with a browser does not reach: 1,200 reads, 300 changes, 60
    /// questions to models, 120 documents, 240 searches and 30 sign-ins a minute, a
    /// quarter of each at once, but for a third of sign-ins.
    fn default() -> Self {
        let [read, write, chat, ingest, search] = [1_200, 300, 60, 120, 240].map(RateLimit::per_minute);
        let auth = RateLimit::per_minute(30).burst(10);
        Self([read, write, chat, ingest, search, auth].map(Some))
    }
}

impl RateLimits {
    /// No limit at all.
    pub const NONE: Self = Self([None; RequestClass::ALL.len()]);

    /// The limit of a class.
    pub fn of(&self, class: RequestClass) -> Option<RateLimit> {
        self.0.get(class as usize).copied().flatten()
    }

    /// Sets the limit of a class.
    #[must_use]
    pub fn with(mut self, class: RequestClass, limit: Option<RateLimit>) -> Self {
        if let Some(place) = self.0.get_mut(class as usize) {
            *place = limit;
        }
        self
    }

    /// Whether no class has a limit.
    pub fn is_none(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// As settings have it: `off`, or for classes that differ from the default `CLASS=N` (a
/// minute), `CLASS=N/BURST` or `CLASS=off`, with commas between them.
impl FromStr for RateLimits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "off" {
            return Ok(Self::NONE);
        }
        let wrong = |part: &str| {
            Error::invalid(format!(
                "`{}` is no rate limit; it is `off`, or like `chat=30`, `chat=30/5` or `chat=off` for read, write, \
                 chat, ingest, search and auth",
                part.chars().take(60).collect::<String>()
            ))
        };
        let mut limits = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (class, value) = part.split_once('=').ok_or_else(|| wrong(part))?;
            let class: RequestClass = class.trim().parse().map_err(|_| wrong(part))?;
            let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong(part));
            let limit = match (value.trim(), value.split_once('/')) {
                ("off", _) => None,
                (value, None) => Some(RateLimit::per_minute(number(value)?)),
                (_, Some((rate, burst))) => {
                    Some(RateLimit { per_minute: number(rate)?, burst: number(burst)? })
                }
            };
            limit.map_or(Ok(()), |limit| limit.check())?;
            limits = limits.with(class, limit);
        }
        Ok(limits)
    }
}

/// Whose requests of a class are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateBucket {
    /// The tenant; all zeros for an address.
    pub tenant: TenantId,
    /// The user; all zeros for an address.
    pub user: UserId,
    /// The machine that nobody is signed in on: an IPv4 address, or the first address of
    /// the /64 network that one has of IPv6.
    pub address: Option<IpAddr>,
    /// The class.
    pub class: RequestClass,
}

impl RateBucket {
    /// Of a user.
    pub fn of_user(scope: &Scope, class: RequestClass) -> Self {
        Self { tenant: scope.tenant, user: scope.user, address: None, class }
    }

    /// Of the machine, or the network of IPv6, that has `address`.
    pub fn of_address(address: IpAddr, class: RequestClass) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        };
        let nobody = uuid::Uuid::nil();
        Self { tenant: nobody.into(), user: nobody.into(), address: Some(address), class }
    }
}

/// What taking from a bucket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenRequests {
    /// How many requests may come; 0 if the bucket is empty.
    pub granted: u32,
    /// When there is one more after these.
    pub next_at: Timestamp,
}

/// Where buckets are kept, for all processes. It serves processes, which count requests
/// of users and of machines on which nobody is signed in.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Takes up to `wanted` requests out of a bucket, which is full at first. Calls at
    /// the same moment, in several processes, never get more together than there is.
    /// After a change of the limit, or if the clock of another process was ahead, it is
    /// as empty as the limit of now lets it be.
    async fn take(
        &self,
        bucket: &RateBucket,
        limit: RateLimit,
        wanted: u32,
        now: Timestamp,
    ) -> Result<TakenRequests>;
    /// Puts back requests that did not come.
    async fn give_back(&self, bucket: &RateBucket, limit: RateLimit, count: u32) -> Result<()>;
    /// Forgets the buckets that were full before this moment; returns how many.
    async fn clear(&self, before: Timestamp) -> Result<u64>;
}

/// The refusal of a request that may come in `wait`.
pub(crate) fn refusal(class: RequestClass, limit: RateLimit, wait: Duration) -> Error {
    let RateLimit { per_minute, burst } = limit;
    Error::rate_limited(format!(
        "too many requests: of the class `{class}`, {per_minute} a minute are let through, {burst} of them at once; \
         wait as long as `Retry-After` says"
    ))
    // Not before: who comes back a moment too early is refused once more.
    .with_retry_after(Duration::from_secs(wait.as_micros().div_ceil(1_000_000).max(1).try_into().unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let limits: RateLimits = "chat=30/5, read=600,ingest = off".parse().unwrap();
        assert_eq!(limits.of(RequestClass::Chat), Some(RateLimit { per_minute: 30, burst: 5 }));
        assert_eq!(limits.of(RequestClass::Read), Some(RateLimit { per_minute: 600, burst: 150 }));
        assert_eq!(limits.of(RequestClass::Ingest), None);
        assert_eq!(limits.of(RequestClass::Auth), RateLimits::default().of(RequestClass::Auth));
        assert!("off".parse::<RateLimits>().unwrap().is_none());
        assert_eq!("".parse::<RateLimits>().unwrap(), RateLimits::default());
        for wrong in ["chat", "chat=", "chat=0", "chat=1/0", "chat=-1", "talk=3", "chat=99999999999", "on"] {
            let error = wrong.parse::<RateLimits>().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{wrong}");
        }
    }

    #[test]
    fn each_class_has_its_place() {
        for class in RequestClass::ALL {
            let limits = RateLimits::NONE.with(class, Some(RateLimit::per_minute(1)));
            for other in RequestClass::ALL {
                assert_eq!(limits.of(other).is_some(), other == class);
            }
        }
    }

    #[test]
    fn machines_of_one_network_are_one() {
        let bucket =
            |text: &str| RateBucket::of_address(text.parse().unwrap(), RequestClass::Auth).address.unwrap();
        assert_eq!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:2:ffff::9"));
        assert_ne!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:3::1"));
        assert_eq!(bucket("::ffff:192.0.2.1"), bucket("192.0.2.1"));
        assert_ne!(bucket("192.0.2.1"), bucket("192.0.2.2"));
    }

    #[test]
    fn refusal_says_when_to_come_back() {
        let wait =
            |micros| refusal(RequestClass::Chat, RateLimit::per_minute(1), Duration::from_micros(micros));
        assert_eq!(wait(1).retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(wait(1_000_001).retry_after(), Some(Duration::from_secs(2)));
    }
}
