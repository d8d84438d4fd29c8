//! The addresses that the transport may reach. URLs are untrusted: without this,
//! a user could make the server fetch from its own network (SSRF).
//!
//! A literal address is checked before the call. A name is resolved once, here,
//! and the connector gets only the addresses that were checked: to resolve it
//! again would let the DNS answer differently the second time (rebinding).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use aimate_core::{Error, Result};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The addresses that a [`Transport`](super::Transport) may reach. Every policy
/// refuses link-local addresses and those of cloud metadata services, which hand
/// out credentials.
///
/// ```
/// use aimate_providers::{AddressPolicy, Transport};
///
/// let policy = AddressPolicy::public_only().allow_loopback().allow("gpu-box, 10.2.0.0/16")?;
/// let providers = aimate_providers::with(&Transport::new().untrusted_policy(policy));
/// # Ok::<(), aimate_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AddressPolicy {
    /// The last class that is allowed without an entry; never
    /// [`AddressClass::Never`].
    reach: AddressClass,
    hosts: Vec<String>,
    networks: Vec<IpNet>,
}

impl Default for AddressPolicy {
    fn default() -> Self {
        Self::any()
    }
}

impl AddressPolicy {
    /// Allows every address except link-local ones and those of metadata services:
    /// for URLs that the embedding program trusts.
    pub fn any() -> Self {
        Self { reach: AddressClass::Private, hosts: Vec::new(), networks: Vec::new() }
    }

    /// Allows public addresses only: for URLs of users.
    pub fn public_only() -> Self {
        Self { reach: AddressClass::Public, ..Self::any() }
    }

    /// Also allows this machine: 127.0.0.0/8 and `::1`.
    #[must_use]
    pub fn allow_loopback(self) -> Self {
        Self { reach: self.reach.max(AddressClass::Loopback), ..self }
    }

    /// Also allows these host names, addresses and networks, separated by commas,
    /// as in `AIMATE_ALLOW_PRIVATE`. A host name is allowed with any address that
    /// it resolves to; its subdomains are not.
    ///
    /// # Errors
    /// `Invalid` if an entry is none of the three.
    pub fn allow(mut self, entries: &str) -> Result<Self> {
        for entry in entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match parse(entry) {
                Some(AllowEntry::Host(host)) => self.hosts.push(host),
                Some(AllowEntry::Network(network)) => self.networks.push(network),
                None => {
                    return Err(Error::invalid(format!(
                        "`{entry}` is not a host name, address or network; it should be like `gpu-box`, `10.0.0.5` \
                         or `10.2.0.0/16`, without scheme, port or `*`"
                    )));
                }
            }
        }
        Ok(self)
    }

    /// Also allows the host of `url`.
    ///
    /// # Errors
    /// `Invalid` if `url` is not a URL with a host.
    pub fn allow_host_of(self, url: &str) -> Result<Self> {
        let parsed = Url::parse(url).ok();
        match parsed.as_ref().and_then(Url::host_str) {
            Some(host) => self.allow(host),
            None => Err(Error::invalid("the URL must be like `http://gpu-box:8000/v1`")),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let class = classify(address);
        class <= self.reach || class != AddressClass::Never && self.lists(address)
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

enum AllowEntry {
    Host(String),
    Network(IpNet),
}

fn parse(entry: &str) -> Option<AllowEntry> {
    if entry.contains('/') {
        return entry.parse().ok().map(AllowEntry::Network);
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(AllowEntry::Network(address.into()));
    }
    // The same parser as for URLs, so that both read a host alike.
    match Host::parse(entry).ok()? {
        Host::Ipv4(address) => Some(AllowEntry::Network(IpAddr::V4(address).into())),
        Host::Ipv6(address) => Some(AllowEntry::Network(IpAddr::V6(address).into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let is_plain = !name.contains('*') && name.split('.').all(|label| !label.is_empty());
            is_plain.then(|| AllowEntry::Host(name.to_owned()))
        }
    }
}

/// A resolver that enforces a policy.
pub(super) struct AddressGuard {
    policy: Arc<AddressPolicy>,
    resolver: Arc<dyn Resolve>,
    /// Whether nobody vouches for the addresses.
    is_untrusted: bool,
}

impl AddressGuard {
    pub(super) fn new(policy: AddressPolicy) -> Self {
        Self::over(policy, Arc::new(SystemResolver))
    }

    fn over(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy: Arc::new(policy), resolver, is_untrusted: false }
    }

    /// A guard that allows public addresses alone, whatever this one's policy lists.
    pub(super) fn public(&self) -> Self {
        Self::over(AddressPolicy::public_only(), self.resolver.clone()).untrusted()
    }

    /// The guard of addresses that nobody vouches for.
    pub(super) fn untrusted(self) -> Self {
        Self { is_untrusted: true, ..self }
    }

    /// Checks a literal address in `url`, for which the connector uses no resolver, and the
    /// port.
    pub(super) fn check(&self, url: &Url) -> std::result::Result<(), RefusedAddress> {
        if let Some(port) = url.port().filter(|port| self.is_untrusted && OTHER_PROTOCOLS.contains(port)) {
            return Err(RefusedAddress::Port(port));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.policy.allows(address) { Ok(()) } else { Err(RefusedAddress::Address(address)) }
    }
}

impl AddressGuard {
    /// Checks the name in `url`, which a proxy will resolve, as well as this machine can: it is
    /// refused if it resolves to a refused address here. A name that only the proxy knows is the
    /// proxy's to judge, unless it says itself that it is of the inside.
    pub(super) async fn check_behind_proxy(&self, url: &Url) -> std::result::Result<(), RefusedAddress> {
        let Some(Host::Domain(host)) = url.host().filter(|_| self.is_untrusted) else { return Ok(()) };
        let refused = || Err(RefusedAddress::Name(host.to_owned()));
        if self.policy.names(host) {
            return Ok(());
        }
        let Ok(name) = host.parse() else { return refused() };
        let found = tokio::time::timeout(LOOKUP, self.resolve(name)).await;
        let found = found.map(|found| found.map(|mut addresses| addresses.next().is_some()));
        match found {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) if error.downcast_ref::<RefusedAddress>().is_some() => refused(),
            _ if self.policy.reach < AddressClass::Private && is_inside(host) => refused(),
            _ => Ok(()),
        }
    }
}

/// How long this machine may look for a name that a proxy will resolve.
const LOOKUP: Duration = Duration::from_secs(2);

/// Whether a name says itself that it is not of the public internet: one label, or below a name
/// that is kept for networks of one's own (RFC 6762, RFC 8375, ICANN's `.internal`).
fn is_inside(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some((_, last)) = host.rsplit_once('.') else { return true };
    ["internal", "local", "localhost", "localdomain", "lan", "home", "corp", "intranet", "arpa"]
        .iter()
        .any(|inside| last.eq_ignore_ascii_case(inside))
}

/// Ports at which other protocols listen, some of which can be made to take a web request for
/// their own: what browsers block (WHATWG Fetch, "port blocking").
const OTHER_PROTOCOLS: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, host) = (self.policy.clone(), name.as_str().to_owned());
        let found = self.resolver.resolve(name);
        Box::pin(async move {
            let is_named = policy.names(&host);
            let is_allowed = |address| {
                if is_named { classify(address) != AddressClass::Never } else { policy.allows(address) }
            };
            let (allowed, refused): (Vec<_>, Vec<_>) = found.await?.partition(|found| is_allowed(found.ip()));
            if allowed.is_empty() && !refused.is_empty() {
                return Err(RefusedAddress::Name(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The resolver of the operating system.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// An address that the policy refuses. The message does not say what a name
/// resolves to, which would let users map the network.
#[derive(Debug)]
pub(super) enum RefusedAddress {
    Address(IpAddr),
    Name(String),
    Port(u16),
}

impl RefusedAddress {
    /// Returns the refusal that caused `error`, if any. A resolver can report it
    /// only as an error of its own, which the client wraps.
    pub(super) fn in_source_of(error: &reqwest::Error) -> Option<&Self> {
        let first = std::error::Error::source(error);
        std::iter::successors(first, |error| error.source()).find_map(|error| error.downcast_ref())
    }
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) if classify(*address) == AddressClass::Never => {
                write!(f, "{address} is link-local or of a metadata service; such addresses are never asked")
            }
            Self::Address(address) => {
                write!(
                    f,
                    "{address} is not a public address; `AIMATE_ALLOW_PRIVATE={address}` would allow it"
                )
            }
            Self::Port(port) => write!(f, "port {port} is of another protocol than the web's"),
            Self::Name(host) => write!(
                f,
                "`{host}` resolves to a private address; `AIMATE_ALLOW_PRIVATE={host}` would allow it, unless it is \
                 link-local or of a metadata service"
            ),
        }
    }
}

impl std::error::Error for RefusedAddress {}

/// Whether an address is of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    classify(address) == AddressClass::Public
}

/// Classes of addresses, in the order in which policies allow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AddressClass {
    Public,
    Loopback,
    /// Private, shared, reserved, documentation or multicast.
    Private,
    /// Link-local, or of a metadata service, which hands out credentials.
    Never,
}

fn classify(address: IpAddr) -> AddressClass {
    match address.to_canonical() {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        // Metadata services of most clouds, Alibaba, Azure and Oracle.
        [169, 254, ..] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => AddressClass::Never,
        [127, ..] => AddressClass::Loopback,
        [0 | 10, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => AddressClass::Private,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    match address.segments() {
        // Metadata services of AWS and Google.
        [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            AddressClass::Never
        }
        // IPv4-compatible (`::` among them), IPv4-translated, NAT64, 6to4, Teredo.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            embedded(high, low).max(embedded(!client_high, !client_low))
        }
        [0x64, 0xff9b, 1, ..] => local_nat64(address),
        [0x2001, 0x1..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Private,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Private,
    }
}

/// The class of an IPv4 address inside of an IPv6 address. Loopback at the other
/// end of a tunnel is not this machine.
fn embedded(high: u16, low: u16) -> AddressClass {
    match classify_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))) {
        AddressClass::Loopback => AddressClass::Private,
        class => class,
    }
}

/// The local-use NAT64 prefix (RFC 8215) is private; the IPv4 address may be at
/// any of the positions of RFC 6052.
fn local_nat64(address: Ipv6Addr) -> AddressClass {
    let [.., a, b, _, c, d, e, w, x, y, z] = address.octets();
    let places = [[a, b, c, d], [b, c, d, e], [c, d, e, w], [w, x, y, z]];
    places.into_iter().map(|place| classify_v4(place.into())).fold(AddressClass::Private, AddressClass::max)
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
