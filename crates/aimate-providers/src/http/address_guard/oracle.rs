//! The classes once more, from IANA's registries of special-purpose addresses as they are
//! printed, and compared with those of the guard at the edges of every block and within.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::AddressClass::{Loopback, Never, Private, Public};
use super::*;

/// IANA IPv4 Special-Purpose Address Registry, multicast, and the metadata services that
/// stand outside of link-local.
const V4: [(&str, AddressClass); 19] = [
    ("0.0.0.0/0", Public),
    ("0.0.0.0/8", Private),
    ("10.0.0.0/8", Private),
    ("100.64.0.0/10", Private),
    ("100.100.100.200/32", Never),
    ("127.0.0.0/8", Loopback),
    ("168.63.129.16/32", Never),
    ("169.254.0.0/16", Never),
    ("172.16.0.0/12", Private),
    ("192.0.0.0/24", Private),
    ("192.0.0.192/32", Never),
    ("192.0.2.0/24", Private),
    ("192.88.99.0/24", Private),
    ("192.168.0.0/16", Private),
    ("198.18.0.0/15", Private),
    ("198.51.100.0/24", Private),
    ("203.0.113.0/24", Private),
    ("224.0.0.0/4", Private),
    ("240.0.0.0/4", Private),
];

/// IANA IPv6 Special-Purpose Address Registry, and the metadata services of AWS and Google;
/// what is not of 2000::/3 is given to nobody.
const V6: [(&str, AddressClass); 14] = [
    ("::/0", Private),
    ("2000::/3", Public),
    ("::1/128", Loopback),
    ("64:ff9b:1::/48", Private),
    ("100::/64", Private),
    ("2001::/23", Private),
    ("2001:db8::/32", Private),
    ("3fff::/20", Private),
    ("5f00::/16", Private),
    ("fc00::/7", Private),
    ("fd00:ec2::/32", Never),
    ("fd20:ce::254/128", Never),
    ("fe80::/10", Never),
    ("ff00::/8", Private),
];

/// Blocks whose addresses have an IPv4 address in them, from this bit on.
const EMBEDDING: [(&str, usize); 5] =
    [("::/96", 96), ("::ffff:0:0:0/96", 96), ("64:ff9b::/96", 96), ("2002::/16", 16), ("2001::/32", 32)];

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// The class of the smallest block.
fn of_table(table: &[(&str, AddressClass)], address: IpAddr) -> AddressClass {
    let around =
        table.iter().map(|(block, class)| (net(block), *class)).filter(|(block, _)| block.contains(&address));
    around.max_by_key(|(block, _)| block.prefix_len()).unwrap().1
}

fn expected(address: IpAddr) -> AddressClass {
    let IpAddr::V6(v6) = address else { return of_table(&V4, address) };
    let bits: String = v6.octets().iter().map(|byte| format!("{byte:08b}")).collect();
    let v4_at = |bit: usize| {
        let inner = u32::from_str_radix(&bits[bit..bit + 32], 2).unwrap();
        Ipv4Addr::from(inner)
    };
    let behind_a_tunnel = |inner: Ipv4Addr| match of_table(&V4, inner.into()) {
        Loopback => Private,
        class => class,
    };
    if net("::ffff:0:0/96").contains(&address) {
        return of_table(&V4, v4_at(96).into());
    }
    if of_table(&V6, address) == Loopback {
        return Loopback;
    }
    if net("64:ff9b:1::/48").contains(&address) {
        // RFC 6052, 2.2: byte 8 of the address is skipped.
        let skipping = |from: usize| {
            let text: String =
                bits.chars().enumerate().filter(|(n, _)| !(64..72).contains(n)).map(|(_, c)| c).collect();
            Ipv4Addr::from(u32::from_str_radix(&text[from..from + 32], 2).unwrap())
        };
        let inner = [skipping(48), skipping(56), skipping(64), v4_at(96)];
        return inner.into_iter().map(behind_a_tunnel).fold(Private, AddressClass::max);
    }
    let embedding = EMBEDDING.iter().find(|(block, _)| net(block).contains(&address));
    match embedding {
        // Teredo: the server, and the client with its bits turned over.
        Some(("2001::/32", at)) => {
            behind_a_tunnel(v4_at(*at)).max(behind_a_tunnel(Ipv4Addr::from(!u32::from(v4_at(96)))))
        }
        Some((_, at)) => behind_a_tunnel(v4_at(*at)),
        None => of_table(&V6, address),
    }
}

/// An address at an edge of a block, beside it, or within.
fn near(block: IpNet, place: Index, within: u128) -> IpAddr {
    let (first, last, is_v4) = match block {
        IpNet::V4(block) => {
            (u128::from(block.network().to_bits()), u128::from(block.broadcast().to_bits()), true)
        }
        IpNet::V6(block) => (block.network().to_bits(), block.broadcast().to_bits(), false),
    };
    let inside = match (last - first).checked_add(1) {
        Some(size) => first + within % size,
        None => within,
    };
    let all = [first, last, first.wrapping_sub(1), last.wrapping_add(1), inside, inside, inside];
    let bits = all[place.index(all.len())];
    if is_v4 { IpAddr::V4(Ipv4Addr::from_bits(bits as u32)) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) }
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let blocks: Vec<IpNet> = V4.iter().map(|(block, _)| net(block)).collect();
    (select(blocks), any::<Index>(), any::<u128>()).prop_map(|(block, place, within)| {
        match near(block, place, within) {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    })
}

fn v6() -> impl Strategy<Value = IpAddr> {
    let blocks = V6.iter().map(|(block, _)| *block).chain(EMBEDDING.iter().map(|(block, _)| *block));
    let blocks: Vec<IpNet> = blocks.chain(["::ffff:0:0/96"]).map(net).collect();
    (select(blocks), any::<Index>(), any::<u128>())
        .prop_map(|(block, place, within)| near(block, place, within))
}

fn class_of(host: &str) -> Option<AddressClass> {
    match Url::parse(&format!("http://{host}/")).ok()?.host()? {
        Host::Ipv4(address) => Some(classify(address.into())),
        Host::Ipv6(address) => Some(classify(address.into())),
        Host::Domain(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn sec_t04_class_is_that_of_the_registry(address in v6()) {
        prop_assert_eq!(classify(address), expected(address), "{}", address);
        let shown = format!("[{address}]");
        prop_assert_eq!(class_of(&shown), Some(expected(address)));
    }

    #[test]
    fn sec_t03_class_is_that_of_the_registry_however_it_is_written(address in v4()) {
        let class = Some(expected(address.into()));
        let whole = address.to_bits();
        let [a, b, c, d] = address.octets();
        for form in [
            address.to_string(),
            format!("{address}."),
            format!("{whole}"),
            format!("{whole:#x}"),
            format!("0{whole:o}"),
            format!("{a:#x}.{b}.0{c:o}.{d}"),
            format!("{a}.{}", whole & 0xff_ffff),
            format!("{a}.{b}.{}", whole & 0xffff),
            format!("x@{address}"),
            format!("[::ffff:{address}]"),
        ] {
            prop_assert_eq!(class_of(&form), class, "{}", form);
        }
    }

    /// Wherever an IPv4 address hides in an IPv6 one.
    #[test]
    fn sec_t04_hidden_address_is_found(inner in v4(), start in any::<u128>()) {
        let (high, low) = (inner.to_bits() >> 16, inner.to_bits() & 0xffff);
        let turned = !inner.to_bits();
        let server = start as u16;
        for outer in [
            format!("::{high:x}:{low:x}"),
            format!("::ffff:{high:x}:{low:x}"),
            format!("::ffff:0:{high:x}:{low:x}"),
            format!("64:ff9b::{high:x}:{low:x}"),
            format!("64:ff9b:1::{high:x}:{low:x}"),
            format!("2002:{high:x}:{low:x}::{server:x}"),
            format!("2001:0:{high:x}:{low:x}:{server:x}::f7f7:f7f7"),
            format!("2001:0:808:808:{server:x}:0:{:x}:{:x}", turned >> 16, turned & 0xffff),
        ] {
            let address: IpAddr = outer.parse().unwrap();
            prop_assert_eq!(classify(address), expected(address), "{}", outer);
            let is_inner_public = expected(inner.into()) == Public;
            prop_assert!(is_inner_public || classify(address) != Public, "{}", outer);
        }
    }
}
