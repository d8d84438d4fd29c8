//! Addresses that a user could give to reach what is not theirs, each tried on the real
//! connector: by the fetcher of pages, as a model server's, and as where a page leads on to.

mod vectors;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use aimate_core::ErrorKind;
use aimate_core::connection::ConnectionSettings;
use aimate_core::knowledge::Fetcher as _;
use aimate_core::provider::{AddressSource, Endpoint};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::http::{Call, Transport};
use vectors::{NAMES, PORTS, REACHABLE, TARGETS, corpus};

/// Knows the names of the corpus. A name that was asked for before may have another answer.
struct Dns {
    names: HashMap<String, Vec<IpAddr>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Dns {
    fn new() -> Self {
        let key = |name: &str| Url::parse(&format!("http://{name}/")).unwrap().host_str().unwrap().to_owned();
        let mut names: HashMap<String, Vec<IpAddr>> =
            NAMES.iter().map(|(name, address)| (key(name), vec![address.parse().unwrap()])).collect();
        for (n, target) in TARGETS.into_iter().enumerate() {
            let both = vec![IpAddr::from(target), IpAddr::from(target)];
            names.insert(format!("two{n}.example.org"), both);
        }
        Self { names, asked: Mutex::default() }
    }
}

impl Resolve for Dns {
    fn resolve(&self, name: Name) -> Resolving {
        let turn = {
            let mut asked = self.asked.lock().unwrap();
            let turn = asked.entry(name.as_str().to_owned()).or_default();
            *turn += 1;
            *turn
        };
        let found = match name.as_str().strip_prefix("rebind") {
            // Public for whoever checks, this machine for whoever connects.
            Some(_) if turn == 1 => vec!["127.0.0.1".parse().unwrap()],
            Some(_) => vec!["8.8.8.8".parse().unwrap()],
            None => self.names.get(name.as_str()).cloned().unwrap_or_default(),
        };
        Box::pin(async move {
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// A server on this machine that notes by which name it is reached.
struct Sentinel {
    port: u16,
    reached: Arc<Mutex<Vec<String>>>,
}

impl Sentinel {
    /// Answers each request with `302` to what its path says after `/to/`, in hexadecimal.
    #[allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let (port, reached) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<_>>>::default());
        let seen = reached.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let host = request.lines().find_map(|line| line.strip_prefix("host: "));
                seen.lock().unwrap().push(host.unwrap_or_default().to_owned());
                let hex = path.strip_prefix("/to/").unwrap_or_default().as_bytes().chunks(2);
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                let location = hex.map(byte).collect::<Option<Vec<u8>>>().unwrap_or_default();
                let status = [301, 302, 303, 307, 308][location.len() % 5];
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\nlocation: ");
                let answer = [head.as_bytes(), &location, b"\r\n\r\n"].concat();
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { port, reached }
    }

    fn reached(&self) -> Vec<String> {
        self.reached.lock().unwrap().clone()
    }

    /// An address of it that leads on to `location`.
    fn leading_to(&self, location: &str) -> String {
        let hex: String = location.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("http://entry.test:{}/to/{hex}", self.port)
    }
}

fn transport(policy: AddressPolicy, mut dns: Dns) -> Transport {
    dns.names.insert("entry.test".into(), vec!["127.0.0.1".parse().unwrap()]);
    Transport::over(crate::http::Inner {
        backoff: Duration::from_millis(1),
        untrusted_guard: Arc::new(AddressGuard::over(policy, Arc::new(dns)).untrusted()),
        ..Transport::new().settings()
    })
}

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Forbidden | ErrorKind::Invalid)
}

#[tokio::test]
async fn sec_t01_t04_no_address_of_the_corpus_is_reached() {
    let sentinel = Sentinel::start().await;
    let transport = transport(AddressPolicy::public_only(), Dns::new());
    let corpus = corpus(sentinel.port);
    assert!(corpus.len() >= 500, "{} vectors", corpus.len());
    println!("{} vectors", corpus.len());
    let mut bypasses = Vec::new();
    for url in &corpus {
        let fetched = transport.fetch(url, 1_000).await.map(drop);
        let endpoint = Endpoint {
            name: "here".into(),
            provider: crate::OPENAI,
            url: url.clone(),
            address_source: AddressSource::Untrusted,
            api_key: None,
            settings: ConnectionSettings { retries: Some(0), ..ConnectionSettings::default() },
        };
        let asked = transport.send(&Call::get(&endpoint, "/models")).await.map(drop);
        for (way, outcome) in [("page", fetched), ("model server", asked)] {
            match outcome {
                Err(error) if is_refusal(error.kind()) => {}
                other => bypasses.push(format!("{way} {url:?}: {other:?}")),
            }
        }
    }
    assert!(bypasses.is_empty(), "{} bypasses:\n{}", bypasses.len(), bypasses.join("\n"));
    assert_eq!(sentinel.reached(), Vec::<String>::new());
}

#[tokio::test]
async fn sec_t01_no_page_leads_to_an_address_of_the_corpus() {
    let sentinel = Sentinel::start().await;
    // The page itself is at a private address that the operator allows by its name.
    let policy = AddressPolicy::public_only().allow("entry.test").unwrap();
    let transport = transport(policy, Dns::new());
    let (mut tried, mut bypasses) = (0, Vec::new());
    for location in corpus(sentinel.port) {
        // A header cannot hold these; a page could not send them either.
        if location.contains(['\r', '\n', '\0']) {
            continue;
        }
        let outcome = transport.fetch(&sentinel.leading_to(&location), 1_000).await.map(drop);
        tried += 1;
        match outcome {
            Err(error) if is_refusal(error.kind()) || error.kind() == ErrorKind::Upstream => {}
            other => bypasses.push(format!("{location:?}: {other:?}")),
        }
    }
    assert!(bypasses.is_empty(), "{} bypasses:\n{}", bypasses.len(), bypasses.join("\n"));
    let reached = sentinel.reached();
    // What is a path for a page leads back to its own server, whose name is allowed.
    let own = format!("entry.test:{}", sentinel.port);
    let beside: Vec<_> = reached.iter().filter(|host| **host != own).collect();
    assert!(beside.is_empty(), "{beside:?}");
    assert!(reached.len() >= tried);
    println!("{tried} vectors");
}

#[tokio::test]
async fn sec_t02_name_that_changes_its_address_is_not_followed() {
    let sentinel = Sentinel::start().await;
    let transport = transport(AddressPolicy::public_only(), Dns::new());
    for n in 0..12 {
        let url = format!("http://rebind{n}.example.org:{}/", sentinel.port);
        // The first answer is the one that is judged and the only one that is asked for.
        let error = transport.fetch(&url, 1_000).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{url}");
    }
    assert_eq!(sentinel.reached(), Vec::<String>::new());
}

#[test]
fn public_addresses_go_on_working() {
    let guard = AddressGuard::new(AddressPolicy::public_only()).untrusted();
    for url in REACHABLE {
        assert!(guard.check(&Url::parse(url).unwrap()).is_ok(), "{url}");
    }
}

#[test]
fn operator_may_use_every_port() {
    let guard = AddressGuard::new(AddressPolicy::public_only());
    for port in PORTS {
        assert!(guard.check(&Url::parse(&format!("http://8.8.8.8:{port}/")).unwrap()).is_ok());
    }
}

proptest! {
    #[test]
    fn sec_t05_host_entry_matches_at_no_other_boundary(
        entry in "[a-z][a-z0-9-]{0,8}[a-z0-9](\\.[a-z][a-z0-9]{1,5}){1,2}",
        before in "[a-z0-9.-]{1,12}",
        after in "[a-z0-9.-]{1,12}",
    ) {
        let policy = AddressPolicy::public_only().allow(&entry).unwrap();
        prop_assert!(policy.names(&entry) && policy.names(&entry.to_uppercase()));
        let rooted = format!("{entry}.");
        prop_assert!(policy.names(&rooted));
        for other in [format!("{before}{entry}"), format!("{before}.{entry}"), format!("{before}-{entry}")] {
            prop_assert!(!policy.names(&other), "{other}");
        }
        let longer = format!("{entry}{after}");
        prop_assert_eq!(policy.names(&longer), longer == rooted, "{}", longer);
    }
}

/// What a proxy would resolve is looked up here first, as well as that goes.
#[tokio::test]
async fn sec_t01_proxy_reaches_nothing_inside_for_a_user() {
    let sentinel = Sentinel::start().await;
    let proxied = transport(AddressPolicy::public_only(), Dns::new())
        .proxy(format!("http://127.0.0.1:{}", sentinel.port));
    let ask = async |url: String| {
        let endpoint = Endpoint {
            name: "here".into(),
            provider: crate::OPENAI,
            url,
            address_source: AddressSource::Untrusted,
            api_key: None,
            settings: ConnectionSettings { retries: Some(0), ..ConnectionSettings::default() },
        };
        proxied.send(&Call::get(&endpoint, "/models")).await.map(drop)
    };
    let unknown = ["intranet", "wiki.corp", "db.internal", "nas.local", "x.home.arpa"];
    for host in NAMES.iter().map(|(name, _)| *name).chain(unknown) {
        let refused = ask(format!("http://{host}/v1")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden, "{host}");
    }
    assert_eq!(sentinel.reached(), Vec::<String>::new());
    // A name that only the proxy knows is the proxy's to judge.
    let _ = ask("http://api.example.com/v1".into()).await;
    assert_eq!(sentinel.reached(), ["api.example.com"]);
    let own = ConnectionSettings { proxy: Some("http://10.0.0.1:3128".into()), ..Default::default() };
    let endpoint = Endpoint {
        name: "here".into(),
        provider: crate::OPENAI,
        url: "http://8.8.8.8/v1".into(),
        address_source: AddressSource::Untrusted,
        api_key: None,
        settings: own,
    };
    let refused = proxied.send(&Call::get(&endpoint, "/models")).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
}
