use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aimate_core::ErrorKind;
use aimate_core::connection::ConnectionSettings;
use aimate_core::provider::{AddressSource, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::AddressClass::{Loopback, Never, Private, Public};
use super::*;
use crate::http::{Call, Transport};

/// The class of the address in `http://{host}/v1`, as the transport sees it;
/// `None` if it names a host for the resolver, or is no address at all.
fn class_of(host: &str) -> Option<AddressClass> {
    match Url::parse(&format!("http://{host}/v1")).ok()?.host()? {
        Host::Ipv4(address) => Some(classify(address.into())),
        Host::Ipv6(address) => Some(classify(address.into())),
        Host::Domain(_) => None,
    }
}

const LITERALS: [(AddressClass, &[&str]); 4] = [
    (
        Loopback,
        &[
            "127.0.0.1",
            "127.0.0.1.",
            "127.255.255.254",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0x7f.1",
            "127.1",
            "017700000001",
            "0177.0.0.01",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "127.0.0%2e1",
            "1\t27.0.0.1",
            "user:password@127.0.0.1",
            "example.com@127.0.0.1:80",
            "127.0.0.1\\@example.com",
            "127.0.0.1#@example.com",
            "127.0.0.1?@example.com",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:7f00:1]",
            "[::FFFF:127.0.0.1]",
        ],
    ),
    (
        Never,
        &[
            "169.254.169.254",
            "169.254.169.254.",
            "169.254.0.1",
            "169.254.170.2",
            "2852039166",
            "0xa9fea9fe",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:169.254.169.254]",
            "[::a9fe:a9fe]",
            "[::ffff:0:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[64:ff9b:1:a9fe:00a9:fe00::]",
            "[64:ff9b:1:00a9:00fe:a9fe::]",
            "[64:ff9b:1:0:00a9:fea9:fe00::]",
            "[2002:a9fe:a9fe::]",
            "[2001:0:a9fe:a9fe::1]",
            "[2001:0:808:808::5601:5601]",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[FD20:CE::254]",
        ],
    ),
    (
        Private,
        &[
            "0",
            "0x",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "0xa.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[::10.0.0.1]",
            "[::7f00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::c0a8:1]",
            "[64:ff9b:1::808:808]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001:0:808:808::f5ff:fffe]",
            "[fc00::1]",
            "[fdff::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[100::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[4000::1]",
            "[5f00::1]",
        ],
    ),
    (
        Public,
        &[
            "8.8.8.8",
            "134744072",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "198.17.255.255",
            "223.255.255.255",
            "a@8.8.8.8#@127.0.0.1\\",
            "[2606:4700:4700::1111]",
            "[2001:4860:4860::8888]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::808:808]",
            "[2002:808:808::1]",
            "[2001:0:808:808::f7f7:f7f7]",
        ],
    ),
];

#[test]
fn sec_t03_t04_every_form_of_an_address_has_its_class() {
    for (class, hosts) in LITERALS {
        for host in hosts {
            assert_eq!(class_of(host), Some(class), "{host}");
        }
    }
}

#[test]
fn sec_t03_what_is_no_number_is_a_name_or_nothing() {
    for name in [
        "localhost",
        "LOCALHOST.",
        "example.com.",
        "127.0.0.1.example.com",
        "a@b#@c\\",
        "xn--nxasmq6b",
        "a_b",
    ] {
        assert_eq!(class_of(name), None, "{name}");
        assert!(Url::parse(&format!("http://{name}/v1")).unwrap().domain().is_some(), "{name}");
    }
    for broken in ["", "1.2.3.4.5", "256.1", "127.0.0.1%00", "example.com%00", "[::1%25eth0]", "[1", "a b"] {
        assert!(Url::parse(&format!("http://{broken}")).is_err(), "{broken}");
    }
}

#[test]
fn policies_allow_what_they_say_and_metadata_never() {
    let everything = "0.0.0.0/0, ::/0, 169.254.169.254, fe80::/10, fd00:ec2::254";
    let policies = [
        (AddressPolicy::any(), vec![Public, Loopback, Private]),
        (AddressPolicy::default(), vec![Public, Loopback, Private]),
        (AddressPolicy::public_only(), vec![Public]),
        (AddressPolicy::public_only().allow_loopback(), vec![Public, Loopback]),
        (AddressPolicy::any().allow_loopback(), vec![Public, Loopback, Private]),
        (AddressPolicy::public_only().allow(everything).unwrap(), vec![Public, Loopback, Private]),
    ];
    for (policy, allowed) in policies {
        let guard = AddressGuard::new(policy);
        for (class, hosts) in LITERALS {
            for host in hosts {
                let url = Url::parse(&format!("http://{host}/v1")).unwrap();
                assert_eq!(guard.check(&url).is_ok(), allowed.contains(&class), "{host} {:?}", guard.policy);
            }
        }
    }
}

#[test]
fn entries_allow_themselves_alone() {
    let policy =
        AddressPolicy::public_only().allow("10.2.0.0/16, 10.9.9.9,[fd00::7],fc00:1::/32, 0x7f.1,").unwrap();
    let allows = |address: &str| policy.allows(address.parse().unwrap());
    for address in
        ["10.2.0.1", "10.2.255.255", "::ffff:10.2.0.1", "10.9.9.9", "fd00::7", "fc00:1::9", "127.0.0.1"]
    {
        assert!(allows(address), "{address}");
    }
    // The far end of a tunnel is not what the operator named.
    for address in
        ["10.3.0.1", "10.9.9.8", "fd00::8", "127.0.0.2", "64:ff9b::10.2.0.1", "2002:a02:1::", "::1"]
    {
        assert!(!allows(address), "{address}");
    }
}

#[test]
fn sec_t05_host_entry_matches_the_whole_name() {
    let policy = AddressPolicy::public_only().allow("Corp.com., bücher.example").unwrap();
    for name in ["corp.com", "CORP.com", "corp.com.", "xn--bcher-kva.example"] {
        assert!(policy.names(name), "{name}");
    }
    for c in ('\0'..='\u{7f}').filter(|c| *c != '.') {
        assert!(!policy.names(&format!("{c}corp.com")) && !policy.names(&format!("corp.com{c}")), "{c:?}");
    }
    for name in ["a.corp.com", ".corp.com", "corp.com..", "corp.com.evil.org", "com", "corp", "", "."] {
        assert!(!policy.names(name), "{name}");
    }
}

#[test]
fn broken_entries_are_told() {
    for entry in [
        "10.0.0.0/33",
        "gpu-box/8",
        "http://gpu-box",
        "gpu-box:8000",
        "127.0.0.1:80",
        "*.corp.com",
        ".corp.com",
        "a..b",
        "a b",
        "me@host",
        "::1%eth0",
        "1.2.3.4.5",
        "10.*",
        ".",
    ] {
        let error = AddressPolicy::any().allow(&format!("127.0.0.1,{entry}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().starts_with(&format!("`{entry}` is not a host name")), "{error}");
    }
    let of = |url| AddressPolicy::public_only().allow_host_of(url);
    assert!(of("http://[fd00::7]:8000/v1").unwrap().allows("fd00::7".parse().unwrap()));
    assert!(of("https://Gpu-Box/v1").unwrap().names("gpu-box"));
    assert_eq!(of("gpu-box").unwrap_err().kind(), ErrorKind::Invalid);
}

/// A resolver that gives its answers one after the other, the last for ever.
struct Scripted {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Resolve for Scripted {
    fn resolve(&self, _: Name) -> Resolving {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(turn).or(self.answers.last()).unwrap();
        let found: Vec<SocketAddr> =
            answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
    }
}

/// A transport over a DNS of `answers`, and a server on this machine that
/// closes after each answer and notes the `Host` it was asked for.
struct Net {
    transport: Transport,
    dns: Arc<Scripted>,
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Net {
    #[allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]
    async fn new(policy: AddressPolicy, answers: &[&[&'static str]]) -> Self {
        let dns = Arc::new(Scripted {
            answers: answers.iter().map(|answer| answer.to_vec()).collect(),
            asked: AtomicUsize::new(0),
        });
        let transport = Transport::over(crate::http::Inner {
            backoff: Duration::from_millis(1),
            operator_guard: Arc::new(AddressGuard::over(AddressPolicy::public_only(), dns.clone())),
            untrusted_guard: Arc::new(AddressGuard::over(policy, dns.clone()).untrusted()),
            ..Transport::new().settings()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<_>>>::default());
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                seen.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        });
        Self { transport, dns, port, asked }
    }

    /// Asks `host` at the server's port, with two retries.
    async fn ask(&self, host: &str) -> Result<()> {
        let endpoint = Endpoint {
            name: "here".into(),
            provider: crate::OPENAI,
            address_source: AddressSource::Untrusted,
            url: format!("http://{host}:{}/v1", self.port),
            api_key: None,
            settings: ConnectionSettings { connect_timeout_ms: Some(3_000), ..ConnectionSettings::default() },
        };
        self.transport.send(&Call::get(&endpoint, "/models")).await.map(drop)
    }

    fn lookups(&self) -> usize {
        self.dns.asked.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn local() -> AddressPolicy {
    AddressPolicy::public_only().allow_loopback()
}

#[tokio::test]
async fn sec_t02_connection_goes_to_the_address_that_was_judged() {
    let net = Net::new(local(), &[&["127.0.0.1"], &["10.255.255.1"]]).await;
    net.ask("rebind.test").await.unwrap();
    assert_eq!((net.lookups(), net.asked()), (1, 1));
    let error = net.ask("rebind.test").await.unwrap_err();
    assert_eq!((error.kind(), net.lookups(), net.asked()), (ErrorKind::Forbidden, 2, 1), "{error:?}");
}

#[tokio::test]
async fn sec_t02_name_of_this_machine_is_not_asked() {
    let net = Net::new(AddressPolicy::public_only(), &[&["127.0.0.1"]]).await;
    let error = net.ask("rebind.test").await.unwrap_err();
    assert_eq!((error.kind(), net.lookups(), net.asked()), (ErrorKind::Forbidden, 1, 0), "{error:?}");
}

#[tokio::test]
async fn only_the_allowed_addresses_of_a_name_are_tried() {
    let net = Net::new(local(), &[&["10.255.255.1", "169.254.169.254", "127.0.0.1", "fe80::1"]]).await;
    net.ask("mixed.test").await.unwrap();
    assert_eq!((net.lookups(), net.asked()), (1, 1));
    let found =
        AddressGuard::over(local(), net.dns.clone()).resolve("mixed.test".parse().unwrap()).await.unwrap();
    assert_eq!(found.collect::<Vec<_>>(), ["127.0.0.1:0".parse().unwrap()]);
}

#[tokio::test]
async fn refusal_of_a_name_hides_its_address_and_is_final() {
    for answer in ["10.1.2.3", "169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254", "::"] {
        let net = Net::new(local(), &[&[answer]]).await;
        let error = net.ask("secret.test").await.unwrap_err();
        assert_eq!((error.kind(), net.lookups(), net.asked()), (ErrorKind::Forbidden, 1, 0));
        assert!(!format!("{error:?}").contains(answer), "{error:?}");
        assert!(
            error.message().starts_with("connection `here`: `secret.test` resolves to a private"),
            "{error}"
        );
        assert!(error.message().contains("AIMATE_ALLOW_PRIVATE=secret.test"), "{error}");
    }
}

#[tokio::test]
async fn refusal_of_a_number_says_which_and_how_to_allow_it() {
    let net = Net::new(local(), &[]).await;
    let told = |error: Error| (error.kind(), error.message().to_owned());
    let (kind, message) = told(net.ask("0xa.1").await.unwrap_err());
    assert_eq!(kind, ErrorKind::Forbidden);
    assert!(
        message.contains("10.0.0.1 is not a public") && message.contains("AIMATE_ALLOW_PRIVATE=10.0.0.1")
    );
    let (kind, message) = told(net.ask("[::ffff:a9fe:a9fe]").await.unwrap_err());
    assert_eq!(kind, ErrorKind::Forbidden);
    assert!(message.contains("never asked") && !message.contains("ALLOW"), "{message}");
    assert_eq!((net.lookups(), net.asked()), (0, 0));
    net.ask("2130706433").await.unwrap();
    assert_eq!((net.lookups(), net.asked()), (0, 1));
}

#[tokio::test]
async fn named_host_may_be_private_but_not_metadata() {
    let policy = AddressPolicy::public_only().allow("gpu-box").unwrap();
    let net = Net::new(policy, &[&["127.0.0.1"], &["127.0.0.1"], &["169.254.169.254"]]).await;
    net.ask("gpu-box").await.unwrap();
    assert_eq!(net.ask("my.gpu-box").await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(net.ask("GPU-box.").await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!((net.lookups(), net.asked()), (3, 1));
}

#[tokio::test]
async fn name_without_an_address_is_unavailable() {
    let net = Net::new(local(), &[&[]]).await;
    assert_eq!(net.ask("nowhere.test").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(net.lookups(), 3);
}

#[tokio::test]
async fn other_schemes_are_invalid() {
    for url in ["file:///etc/passwd", "ftp://127.0.0.1", "gopher://169.254.169.254", "unix:/run/x"] {
        let endpoint = Endpoint {
            name: "here".into(),
            provider: crate::OPENAI,
            address_source: AddressSource::Untrusted,
            url: url.into(),
            api_key: None,
            settings: ConnectionSettings::default(),
        };
        let error = Transport::new().send(&Call::get(&endpoint, "/models")).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
    }
}
