use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::error::{ErrorKind, ErrorReason};
use crate::keyring::KeyRing;
use crate::sealing::Purpose;

fn binding(row: u128, origin: &str) -> Binding<'_> {
    Binding {
        purpose: Purpose::CREDENTIALS,
        table: "connections",
        column: "sealed_key",
        row: Uuid::from_u128(row),
        owner: Uuid::from_u128(9),
        origin,
    }
}

fn ring(keys: &[(u32, &Secret)]) -> Sealer {
    let text: Vec<_> = keys.iter().map(|(id, key)| format!("{id}:{}", key.expose())).collect();
    KeyRing::parse(&text.join(",")).unwrap().into()
}

#[tokio::test]
async fn sec_t07_sealed_secret_opens_for_its_row_and_origin_only() {
    let key = KeyRing::generate().unwrap();
    let sealer = ring(&[(1, &key)]);
    let here = binding(1, "https://a.example");
    let sealed = sealer.seal(&Secret::new("sk-canary"), &here).await.unwrap();
    assert!(!sealed.bytes.windows(9).any(|window| window == b"sk-canary"));
    assert_eq!(sealer.open(&sealed, &here).await.unwrap().expose(), "sk-canary");
    for elsewhere in [
        binding(2, "https://a.example"),
        binding(1, "https://b.example"),
        binding(1, "http://a.example"),
        binding(1, ""),
        Binding { owner: Uuid::from_u128(8), ..here },
        Binding { table: "tool_servers", ..here },
        Binding { column: "key_hint", ..here },
        Binding { purpose: Purpose::TOOL_AUTH, ..here },
    ] {
        let refused = sealer.open(&sealed, &elsewhere).await.unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::KeyUnavailable), "{elsewhere:?}");
    }
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let key = KeyRing::generate().unwrap();
    let sealer = ring(&[(1, &key)]);
    let here = binding(1, "");
    let sealed = sealer.seal(&Secret::new("secret"), &here).await.unwrap();
    for n in 0..sealed.bytes.len() {
        let mut changed = sealed.clone();
        changed.bytes[n] ^= 1;
        assert!(sealer.open(&changed, &here).await.is_err(), "byte {n}");
        changed.bytes.truncate(n);
        assert!(sealer.open(&changed, &here).await.is_err(), "cut at {n}");
    }
}

#[tokio::test]
async fn old_key_opens_after_rotation() {
    let (old, new) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
    let here = binding(1, "");
    let sealed = ring(&[(1, &old)]).seal(&Secret::new("s"), &here).await.unwrap();
    let both = ring(&[(2, &new), (1, &old)]);
    assert!(both.open(&sealed, &here).await.is_ok());
    assert_eq!(both.seal(&Secret::new("s"), &here).await.unwrap().key_id, 2);
    let lost = ring(&[(2, &new)]).open(&sealed, &here).await.unwrap_err();
    assert!(lost.message().contains("encryption key 1"), "{lost}");
    assert_eq!(lost.reason(), Some(ErrorReason::KeyUnavailable));
    let other = ring(&[(1, &new)]).open(&sealed, &here).await.unwrap_err();
    assert_eq!(other.reason(), Some(ErrorReason::KeyUnavailable));
}

/// What a provider does when it is asked.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    Panic,
    Hang,
}

struct Service {
    ring: KeyRing,
    does: Mutex<Does>,
    calls: AtomicU32,
}

impl Service {
    fn new() -> Arc<Self> {
        let ring = KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap();
        Arc::new(Self { ring, does: Mutex::new(Does::Answer), calls: AtomicU32::new(0) })
    }

    fn will(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    async fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let does = *self.does.lock().unwrap();
        match does {
            Does::Answer => {}
            Does::Panic => panic!("the service fell over"),
            Does::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl KeyProvider for Service {
    async fn key_ids(&self) -> Result<Vec<u32>> {
        self.called().await;
        self.ring.key_ids().await
    }

    async fn wrap_key(&self, key: &DataKey) -> Result<WrappedKey> {
        self.called().await;
        self.ring.wrap_key(key).await
    }

    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        self.called().await;
        self.ring.unwrap_key(wrapped).await
    }
}

#[tokio::test]
async fn service_is_asked_once_for_what_it_unwrapped() {
    let service = Service::new();
    let sealer = Sealer::new(service.clone());
    let here = binding(1, "");
    let first = sealer.seal(&Secret::new("a"), &here).await.unwrap();
    let second = sealer.seal(&Secret::new("b"), &here).await.unwrap();
    assert_eq!(service.calls.load(Ordering::Relaxed), 1);
    let later = Sealer::new(service.clone());
    for _ in 0..10 {
        assert_eq!(later.open(&first, &here).await.unwrap().expose(), "a");
        assert_eq!(later.open(&second, &here).await.unwrap().expose(), "b");
    }
    assert_eq!(service.calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn failing_service_costs_one_call() {
    let service = Service::new();
    let here = binding(1, "");
    let sealed = Sealer::new(service.clone()).seal(&Secret::new("a"), &here).await.unwrap();
    let sealer = Sealer::new(service.clone());
    for (does, kind) in [(Does::Panic, ErrorKind::Unavailable), (Does::Hang, ErrorKind::Timeout)] {
        service.will(does);
        let failed = sealer.open(&sealed, &here).await.unwrap_err();
        assert_eq!(failed.kind(), kind);
        // The key is not lost: nobody has to enter it again.
        assert_eq!(failed.reason(), None);
        assert_eq!(sealer.seal(&Secret::new("b"), &here).await.unwrap_err().kind(), kind);
        assert_eq!(sealer.key_ids().await.unwrap_err().kind(), kind);
    }
    service.will(Does::Answer);
    assert_eq!(sealer.open(&sealed, &here).await.unwrap().expose(), "a");
    assert_eq!(*sealer.key_ids().await.unwrap(), [1]);
}
