//! The addresses, in tables.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// What nobody but the operator may reach: this machine, its networks, metadata services.
pub(super) const TARGETS: [[u8; 4]; 14] = [
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [168, 63, 129, 16],
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [172, 16, 0, 1],
    [192, 0, 0, 192],
    [192, 168, 1, 1],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
];

/// Every way to write an IPv4 address that some parser takes.
fn v4_forms([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let whole = u32::from_be_bytes([a, b, c, d]);
    let low = whole & 0xff_ffff;
    let pair = whole & 0xffff;
    let dotted = format!("{a}.{b}.{c}.{d}");
    let wide = |zero: u32| {
        let digit = |c: char| c.to_digit(10).and_then(|n| char::from_u32(zero + n)).unwrap_or(c);
        dotted.chars().map(digit).collect::<String>()
    };
    let encoded: String = dotted.bytes().map(|byte| format!("%{byte:02X}")).collect();
    vec![
        dotted.clone(),
        format!("{dotted}."),
        whole.to_string(),
        format!("{whole:#x}"),
        format!("0X{whole:08X}"),
        format!("0{whole:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a:#04X}.{b}.{c:#x}.0{d:o}").replace("0X", "0x"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0000{a:o}.000{b:o}.00{c:o}.0{d:o}"),
        format!("{a}.{b}.{pair}"),
        format!("{a}.{low}"),
        format!("{a:#x}.{low:#x}"),
        format!("0{a:o}.{low}"),
        wide(0xff10),
        wide(0x1d7ce),
        dotted.replace('.', "\u{3002}"),
        dotted.replace('.', "\u{ff0e}"),
        dotted.replace('.', "\u{ff61}"),
        dotted.replace('.', "%2e"),
        encoded,
        dotted.replacen('.', "\t.", 1),
        dotted.replacen('.', ".\n", 1),
        dotted.replacen('.', ".\u{ad}", 1),
        format!("user@{dotted}"),
        format!("8.8.8.8@{dotted}"),
    ]
}

/// Every IPv6 address that leads to an IPv4 one.
fn v6_forms(target: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = target;
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let dotted = Ipv4Addr::from(target);
    vec![
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[::FFFF:{dotted}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[64:ff9b:1:{high:x}:{:x}:{:x}::]", c, u16::from(d) << 8),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:{high:x}:{low:x}::1]"),
        format!("[2001:0:808:808:0:0:{:x}:{:x}]", !high, !low),
    ]
}

const V6: [&str; 36] = [
    "[::]",
    "[::1]",
    "[0::1]",
    "[0:0:0:0:0:0:0:0]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0.0.0.1]",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[febf:ffff::1]",
    "[fec0::1]",
    "[feff::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fdff:ffff::1]",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
    "[fd20:ce::254]",
    "[ff01::1]",
    "[ff02::1]",
    "[ff02::fb]",
    "[ff05::1:3]",
    "[ff0e::1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[3fff:fff::1]",
    "[4000::1]",
    "[5f00::1]",
    "[8000::1]",
    "[e000::1]",
    "[f800::1]",
    "[0100::]",
];

/// Names of metadata services and of what is inside, with what they resolve to there.
pub(super) const NAMES: [(&str, &str); 44] = [
    ("localhost", "127.0.0.1"),
    ("LOCALHOST", "127.0.0.1"),
    ("localhost.", "127.0.0.1"),
    ("localhost.localdomain", "127.0.0.1"),
    ("app.localhost", "127.0.0.1"),
    ("ip6-localhost", "::1"),
    ("ip6-loopback", "::1"),
    ("loopback", "127.0.0.1"),
    ("metadata", "169.254.169.254"),
    ("metadata.google.internal", "169.254.169.254"),
    ("METADATA.google.internal.", "169.254.169.254"),
    ("metadata.goog", "169.254.169.254"),
    ("instance-data", "169.254.169.254"),
    ("instance-data.ec2.internal", "169.254.169.254"),
    ("metadata.azure.internal", "169.254.169.254"),
    ("metadata.azure.com", "168.63.129.16"),
    ("metadata.oraclecloud.com", "192.0.0.192"),
    ("metadata.tencentyun.com", "169.254.0.23"),
    ("metadata.platformequinix.com", "169.254.1.1"),
    ("metadata.packet.net", "169.254.1.2"),
    ("metadata.hetzner.internal", "169.254.169.254"),
    ("metadata.digitalocean.internal", "169.254.169.254"),
    ("metadata.alibaba.internal", "100.100.100.200"),
    ("metadata.nicp.internal", "100.100.100.200"),
    ("rancher-metadata", "169.254.169.250"),
    ("kubernetes.default.svc", "10.96.0.1"),
    ("kubernetes.default.svc.cluster.local", "10.96.0.1"),
    ("host.docker.internal", "192.168.65.2"),
    ("gateway.docker.internal", "172.17.0.1"),
    ("host.containers.internal", "10.0.2.2"),
    ("169.254.169.254.nip.io", "169.254.169.254"),
    ("127.0.0.1.sslip.io", "127.0.0.1"),
    ("7f000001.nip.io", "127.0.0.1"),
    ("localtest.me", "127.0.0.1"),
    ("lvh.me", "127.0.0.1"),
    ("spoofed.burpcollaborator.net", "127.0.0.1"),
    ("evil.example.org", "10.1.2.3"),
    ("evil6.example.org", "fd00:ec2::254"),
    ("mapped.example.org", "::ffff:169.254.169.254"),
    ("nat64.example.org", "64:ff9b::a9fe:a9fe"),
    ("sixtofour.example.org", "2002:7f00:1::"),
    ("b\u{fc}cher.example", "192.168.0.7"),
    ("\u{24d4}xample.com", "192.168.0.8"),
    ("xn--nxasmq6b.example", "172.20.0.1"),
];

/// Whole URLs in which two parsers may see two hosts. `PORT` is the server's on this machine.
const TRICKS: [&str; 44] = [
    "http://8.8.8.8:PORT@127.0.0.1:PORT/",
    "http://8.8.8.8%40127.0.0.1:PORT/",
    "http://8.8.8.8#@127.0.0.1:99999999/",
    "http://127.0.0.1:PORT#@8.8.8.8/",
    "http://127.0.0.1:PORT?@8.8.8.8/",
    "http://127.0.0.1:PORT/@8.8.8.8/",
    "http://127.0.0.1:PORT\\@8.8.8.8/",
    "http://127.0.0.1:PORT\\\\@8.8.8.8/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/\\127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "hTtP://127.0.0.1:PORT/",
    "ht\ttp://127.0.0.1:PORT/",
    "http://127.0.0.1\t:PORT/",
    "http://127.0.0.1\r\n:PORT/",
    " http://127.0.0.1:PORT/",
    "\u{0}http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\u{0}.example.com/",
    "http://127.0.0.1%00.example.com:PORT/",
    "http://127.0.0.1%0d%0a.example.com:PORT/",
    "http://127.0.0.1%09:PORT/",
    "http://127.0.0.1%20:PORT/",
    "http://127.0.0.1 :PORT/",
    "http://127.0.0.1:PORT:80/",
    "http://127.0.0.1:0PORT/",
    "http://[127.0.0.1]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[::1%lo]:PORT/",
    "http://[fe80::1%25eth0]:PORT/",
    "http://[::ffff:127.0.0.1%25lo]:PORT/",
    "http://[::1].example.com:PORT/",
    "http://[::1:PORT/",
    "http://::1:PORT/",
    "http://user:password@127.0.0.1:PORT/",
    "http://:@127.0.0.1:PORT/",
    "http://@127.0.0.1:PORT/",
    "http://a:b@c:d@127.0.0.1:PORT/",
    "http://8.8.8.8\u{ff20}127.0.0.1:PORT/",
    "http://127.0.0.1\u{ff0f}example.com:PORT/",
    "http://127.1.1.1:PORT\u{2048}@8.8.8.8/",
];

/// What is not of the web, and would reach a file, a program or another protocol.
const SCHEMES: [&str; 34] = [
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "file:\\\\127.0.0.1\\share",
    "FILE:/etc/passwd",
    "ftp://127.0.0.1/",
    "ftps://10.0.0.1/",
    "sftp://10.0.0.1/",
    "tftp://10.0.0.1:69/x",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stats",
    "ldap://127.0.0.1/",
    "ldaps://127.0.0.1/",
    "ldapi://%2Fvar%2Frun%2Fldapi",
    "smb://127.0.0.1/share",
    "ssh://127.0.0.1/",
    "telnet://127.0.0.1/",
    "ws://127.0.0.1/",
    "wss://127.0.0.1/",
    "jar:http://127.0.0.1!/",
    "netdoc:///etc/passwd",
    "php://filter/resource=/etc/passwd",
    "phar://x",
    "expect://id",
    "data:text/html,x",
    "blob:http://127.0.0.1/x",
    "javascript:alert(1)",
    "about:blank",
    "view-source:http://127.0.0.1/",
    "unix:/var/run/docker.sock",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "redis://127.0.0.1/",
    "postgres://127.0.0.1/",
    "//127.0.0.1/",
];

/// Ports at which another protocol listens, which a web address could speak to.
pub(super) const PORTS: [u16; 24] = [
    1, 7, 9, 19, 21, 22, 23, 25, 53, 69, 110, 111, 123, 135, 139, 143, 161, 389, 465, 587, 636, 993, 6667,
    10080,
];

/// What must go on working.
pub(super) const REACHABLE: [&str; 30] = [
    "http://8.8.8.8/",
    "https://1.1.1.1/",
    "http://134744072/",
    "http://9.255.255.255/",
    "http://11.0.0.1/",
    "http://100.63.255.255/",
    "http://100.128.0.1/",
    "http://126.255.255.255/",
    "http://128.0.0.1/",
    "http://169.253.255.255/",
    "http://169.255.0.1/",
    "http://172.15.255.255/",
    "http://172.32.0.1/",
    "http://192.167.255.255/",
    "http://192.169.0.1/",
    "http://198.17.255.255/",
    "http://198.20.0.1/",
    "http://203.0.112.255/",
    "http://223.255.255.255/",
    "https://[2606:4700:4700::1111]/",
    "https://[2001:4860:4860::8888]/",
    "https://[2a00:1450:4001:81b::200e]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::808:808]/",
    "https://[2002:808:808::1]/",
    "http://8.8.8.8:8080/",
    "http://8.8.8.8:11434/",
    "https://8.8.8.8:8443/",
    "http://8.8.8.8:1234/v1",
    "http://8.8.8.8:65535/",
];

/// Every URL of the corpus, the port of the server on this machine in it.
pub(super) fn corpus(port: u16) -> BTreeSet<String> {
    let forms = TARGETS.into_iter().flat_map(|target| [v4_forms(target), v6_forms(target)].concat());
    let hosts = forms.chain(V6.map(str::to_owned)).chain(NAMES.map(|(name, _)| name.to_owned()));
    let hosts = hosts.chain((0..TARGETS.len()).map(|n| format!("two{n}.example.org")));
    let urls = hosts.map(|host| format!("http://{host}:{port}/"));
    let tricks = TRICKS.iter().map(|url| url.replace("PORT", &port.to_string()));
    let schemes = SCHEMES.iter().map(ToString::to_string);
    let ports = PORTS.map(|port| format!("http://8.8.8.8:{port}/"));
    urls.chain(tricks).chain(schemes).chain(ports).collect()
}
