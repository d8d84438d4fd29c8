//! Which addresses the transport may reach. An address in the url is judged
//! before the call; a name is resolved once, and the connector gets nothing but
//! the addresses judged here, so a second answer of the DNS has no say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use aimate_core::{Error, Result};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses a [`Transport`](super::Transport) may reach. Link-local
/// addresses and those of metadata services are refused by every policy.
///
/// ```
/// use aimate_providers::{AddressPolicy, Transport};
///
/// let policy = AddressPolicy::public_only().allow_loopback().allow("gpu-box, 10.2.0.0/16")?;
/// let providers = aimate_providers::with(&Transport::new().with_policy(policy));
/// # Ok::<(), aimate_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AddressPolicy {
    /// The farthest class that needs no entry; never [`Class::Never`].
    reach: Class,
    hosts: Vec<String>,
    networks: Vec<IpNet>,
}

impl Default for AddressPolicy {
    fn default() -> Self {
        Self::any()
    }
}

impl AddressPolicy {
    /// Every address but link-local ones and those of metadata services: for
    /// urls that the embedding program vouches for.
    pub fn any() -> Self {
        Self { reach: Class::Private, hosts: Vec::new(), networks: Vec::new() }
    }

    /// Public addresses alone: for urls that users give.
    pub fn public_only() -> Self {
        Self { reach: Class::Public, ..Self::any() }
    }

    /// This machine too: 127.0.0.0/8 and `::1`.
    #[must_use]
    pub fn allow_loopback(self) -> Self {
        Self { reach: self.reach.max(Class::Loopback), ..self }
    }

    /// These too: host names, addresses and networks, separated by commas, as in
    /// `AIMATE_ALLOW_PRIVATE`. A host name allows itself, not the names below
    /// it, with whatever addresses it resolves to.
    ///
    /// # Errors
    /// `Invalid` if an entry is none of the three.
    pub fn allow(mut self, entries: &str) -> Result<Self> {
        for entry in entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match parse(entry) {
                Some(Entry::Host(host)) => self.hosts.push(host),
                Some(Entry::Network(network)) => self.networks.push(network),
                None => {
                    return Err(Error::invalid(format!(
                        "`{entry}` is no host name, address or network; it should be like `gpu-box`, `10.0.0.5` \
                         or `10.2.0.0/16`, without scheme, port or `*`"
                    )));
                }
            }
        }
        Ok(self)
    }

    /// The host of `url` too.
    ///
    /// # Errors
    /// `Invalid` if `url` is no address with a host.
    pub fn allow_host_of(self, url: &str) -> Result<Self> {
        let parsed = Url::parse(url).ok();
        match parsed.as_ref().and_then(Url::host_str) {
            Some(host) => self.allow(host),
            None => Err(Error::invalid("it is no address such as `http://gpu-box:8000/v1`")),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let class = classify(address);
        class <= self.reach || class != Class::Never && self.lists(address)
    }

    fn lists(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&plain) || network.contains(&address))
    }

    fn names(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

enum Entry {
    Host(String),
    Network(IpNet),
}

fn parse(entry: &str) -> Option<Entry> {
    if entry.contains('/') {
        return entry.parse().ok().map(Entry::Network);
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(Entry::Network(address.into()));
    }
    // The parser that reads the connections' urls, so that both mean the same.
    match Host::parse(entry).ok()? {
        Host::Ipv4(address) => Some(Entry::Network(IpAddr::V4(address).into())),
        Host::Ipv6(address) => Some(Entry::Network(IpAddr::V6(address).into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let is_plain = !name.contains('*') && name.split('.').all(|label| !label.is_empty());
            is_plain.then(|| Entry::Host(name.to_owned()))
        }
    }
}

/// A policy in force, in front of a resolver.
pub(super) struct Guard {
    policy: Arc<AddressPolicy>,
    resolver: Arc<dyn Resolve>,
}

impl Guard {
    pub(super) fn new(policy: AddressPolicy) -> Self {
        Self::over(policy, Arc::new(System))
    }

    fn over(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy: Arc::new(policy), resolver }
    }

    /// Judges the address that `url` names by number. The connector asks no
    /// resolver for one.
    pub(super) fn check(&self, url: &Url) -> std::result::Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.policy.allows(address) { Ok(()) } else { Err(Refused::Address(address)) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, host) = (self.policy.clone(), name.as_str().to_owned());
        let found = self.resolver.resolve(name);
        Box::pin(async move {
            let is_named = policy.names(&host);
            let is_allowed = |address| {
                if is_named { classify(address) != Class::Never } else { policy.allows(address) }
            };
            let (allowed, refused): (Vec<_>, Vec<_>) = found.await?.partition(|found| is_allowed(found.ip()));
            if allowed.is_empty() && !refused.is_empty() {
                return Err(Refused::Name(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The machine's own resolver.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// An address that the policy does not allow. What a name resolves to is not
/// told: whoever may ask is not always who may know the network.
#[derive(Debug)]
pub(super) enum Refused {
    Address(IpAddr),
    Name(String),
}

impl Refused {
    /// The refusal that made `error`, if one did.
    pub(super) fn behind(error: &reqwest::Error) -> Option<&Self> {
        let first = std::error::Error::source(error);
        std::iter::successors(first, |error| error.source()).find_map(|error| error.downcast_ref())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) if classify(*address) == Class::Never => {
                write!(
                    f,
                    "{address} is a link-local address or one of a metadata service, which are never asked"
                )
            }
            Self::Address(address) => {
                write!(
                    f,
                    "{address} is not a public address; `AIMATE_ALLOW_PRIVATE={address}` would allow it"
                )
            }
            Self::Name(host) => write!(
                f,
                "`{host}` resolves to a private address; `AIMATE_ALLOW_PRIVATE={host}` would allow it, unless it is \
                 link-local or of a metadata service"
            ),
        }
    }
}

impl std::error::Error for Refused {}

/// What an address is to this machine, the nearest to trust first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Public,
    Loopback,
    /// Private, shared, reserved, for documentation or for many at once.
    Private,
    /// Link-local, or where a cloud hands its machines their credentials.
    Never,
}

fn classify(address: IpAddr) -> Class {
    match address.to_canonical() {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        // Of metadata services: most clouds', Alibaba's, Azure's, Oracle's.
        [169, 254, ..] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Never,
        [127, ..] => Class::Loopback,
        [0 | 10, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Class::Private,
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Loopback;
    }
    match address.segments() {
        // Of metadata services: AWS's, Google's.
        [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Class::Never,
        // IPv4-compatible (`::` among them), IPv4-translated, NAT64, 6to4, Teredo.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            embedded(high, low).max(embedded(!client_high, !client_low))
        }
        [0x64, 0xff9b, 1, ..] => local_nat64(address),
        [0x2001, 0x1..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Private,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Private,
    }
}

/// The class of the IPv4 address in an IPv6 one. Loopback at the other end of a
/// tunnel is not this machine.
fn embedded(high: u16, low: u16) -> Class {
    match classify_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))) {
        Class::Loopback => Class::Private,
        class => class,
    }
}

/// A NAT64 network's own prefix (RFC 8215) is private; it may hold the IPv4
/// address in any of the places of RFC 6052.
fn local_nat64(address: Ipv6Addr) -> Class {
    let [.., a, b, _, c, d, e, w, x, y, z] = address.octets();
    let places = [[a, b, c, d], [b, c, d, e], [c, d, e, w], [w, x, y, z]];
    places.into_iter().map(|place| classify_v4(place.into())).fold(Class::Private, Class::max)
}

#[cfg(test)]
mod tests;
