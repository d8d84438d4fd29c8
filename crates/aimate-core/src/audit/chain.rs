//! The chain that the records of a tenant form.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{AuditEvent, AuditTarget};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{TenantId, UserId};

/// A SHA-256, in JSON 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct AuditHash(pub [u8; 32]);

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("a hash of the audit log is 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for AuditHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The newest record of a chain: note it down, and
/// [`Tenants::verify_audit`](crate::engine::Tenants::verify_audit) tells whether it is
/// still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AuditHead {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl AuditHead {
    /// Before the first record.
    pub const START: Self = Self { sequence: 0, hash: AuditHash([0; 32]) };
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("the head of an audit log is like `17:HASH`, the hash in hexadecimal");
        let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| wrong())?,
            hash: hash.parse().map_err(|_| wrong())?,
        })
    }
}

/// What is stored of an event: all but its place in the chain, which the store gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditRecord {
    /// When it happened.
    pub created_at: Timestamp,
    /// What happened.
    pub action: String,
    /// Who did it.
    pub actor_id: Option<UserId>,
    /// What it was done to.
    pub target: Option<AuditTarget>,
    /// What can be taken away again; `None` of a record that lost it.
    pub sealed_detail: Option<SaltedDetail>,
    /// SHA-256 of the salt and the detail.
    pub detail_hash: AuditHash,
}

/// The detail of a record, as the text that was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaltedDetail {
    /// Random, so that nobody guesses a short detail by its hash.
    pub salt: [u8; 16],
    /// A JSON object, to be kept byte by byte.
    pub json: String,
}

impl SaltedDetail {
    /// SHA-256 of the salt and the text.
    pub fn hash(&self) -> AuditHash {
        AuditHash(Sha256::new().chain_update(self.salt).chain_update(&self.json).finalize().into())
    }
}

impl NewAuditRecord {
    /// The record of `event` at this moment.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub(crate) fn of(event: AuditEvent, now: Timestamp) -> Result<Self> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .map_err(|error| Error::internal("the system gives no random bytes").with_source(error))?;
        let failed = |error| Error::internal("a detail could not be written as JSON").with_source(error);
        // A store keeps no NUL in texts.
        let json = serde_json::to_string(&event.detail).map_err(failed)?.replace("\\u0000", "");
        let detail = SaltedDetail { salt, json };
        Ok(Self {
            created_at: now,
            action: event.action,
            actor_id: event.actor,
            target: event.target,
            detail_hash: detail.hash(),
            sealed_detail: Some(detail),
        })
    }

    /// The hash of this record after the one of `before`: SHA-256 of a version, the
    /// hash before it, the tenant, its number, and every field, each variable one
    /// with its length before it.
    pub fn hash_after(&self, tenant: TenantId, before: &AuditHead) -> AuditHash {
        let mut hash = Sha256::new();
        hash.update(b"aimate audit 1");
        hash.update(before.hash.0);
        hash.update(tenant.0.as_bytes());
        hash.update(before.sequence.wrapping_add(1).to_be_bytes());
        hash.update(self.created_at.0.to_be_bytes());
        let actor = self.actor_id.map(|id| id.0.into_bytes());
        let target = self.target.as_ref().map(|target| target.id.into_bytes());
        let parts: [&[u8]; 4] = [
            self.action.as_bytes(),
            actor.as_ref().map_or(&[], |id| id.as_slice()),
            self.target.as_ref().map_or(&[], |target| target.kind.as_bytes()),
            target.as_ref().map_or(&[], |id| id.as_slice()),
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.detail_hash.0);
        AuditHash(hash.finalize().into())
    }
}

/// A record in its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAuditRecord {
    /// Its number, from 1.
    pub sequence: u64,
    /// What was recorded.
    pub record: NewAuditRecord,
    /// Its hash as it is stored.
    pub hash: AuditHash,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditFault {
    /// This record is not there.
    Missing(u64),
    /// This record is not the one that was written, or the one before it is not.
    Changed(u64),
    /// The detail of this record is not the one that was written.
    DetailChanged(u64),
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(sequence) => write!(f, "record {sequence} is missing"),
            Self::Changed(sequence) => write!(f, "record {sequence}, or the hash before it, was changed"),
            Self::DetailChanged(sequence) => write!(f, "the detail of record {sequence} was changed"),
        }
    }
}

/// What a chain looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Records that were looked at.
    pub records: u64,
    /// The newest one: note it down. [`AuditHead::START`] if there is none.
    pub head: AuditHead,
    /// The first place where the chain is broken; what comes after it was not looked at.
    pub fault: Option<AuditFault>,
}

impl AuditReport {
    /// Of a chain in which nothing was looked at yet.
    pub(crate) fn begin() -> Self {
        Self { records: 0, head: AuditHead::START, fault: None }
    }

    /// Looks at the next record; whether the chain is whole so far.
    pub(crate) fn look_at(&mut self, tenant: TenantId, stored: &StoredAuditRecord) -> bool {
        let expected = self.head.sequence.wrapping_add(1);
        let detail_is_fine = stored
            .record
            .sealed_detail
            .as_ref()
            .is_none_or(|detail| detail.hash() == stored.record.detail_hash);
        if stored.sequence != expected {
            self.fault = Some(AuditFault::Missing(expected));
        } else if stored.record.hash_after(tenant, &self.head) != stored.hash {
            self.fault = Some(AuditFault::Changed(expected));
        } else if !detail_is_fine {
            self.fault = Some(AuditFault::DetailChanged(expected));
        } else {
            self.records += 1;
            self.head = AuditHead { sequence: expected, hash: stored.hash };
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::{AuditRecord, action};
    use super::*;

    fn record(action: &str) -> NewAuditRecord {
        let event =
            AuditEvent::new(action).actor(UserId(Uuid::from_u128(1))).target("user", Uuid::from_u128(2));
        NewAuditRecord::of(event.detail("ip", "192.0.2.1"), Timestamp(5)).unwrap()
    }

    fn chain(tenant: TenantId, actions: &[&str]) -> Vec<StoredAuditRecord> {
        let mut head = AuditHead::START;
        let stored = actions.iter().map(|action| {
            let record = record(action);
            let hash = record.hash_after(tenant, &head);
            head = AuditHead { sequence: head.sequence + 1, hash };
            StoredAuditRecord { sequence: head.sequence, record, hash }
        });
        stored.collect()
    }

    fn verify(tenant: TenantId, chain: &[StoredAuditRecord]) -> AuditReport {
        let mut report = AuditReport::begin();
        let _ = chain.iter().all(|stored| report.look_at(tenant, stored));
        report
    }

    #[test]
    fn every_change_of_a_chain_shows() {
        let tenant = TenantId(Uuid::from_u128(9));
        let whole = chain(tenant, &["a.a", "b.b", "c.c"]);
        assert_eq!(verify(tenant, &whole).fault, None);
        type Change = fn(&mut StoredAuditRecord);
        let changes: [(Change, AuditFault); 9] = [
            (|stored| stored.sequence = 7, AuditFault::Missing(2)),
            (|stored| stored.record.created_at = Timestamp(6), AuditFault::Changed(2)),
            (|stored| stored.record.action = "x.x".into(), AuditFault::Changed(2)),
            (|stored| stored.record.actor_id = None, AuditFault::Changed(2)),
            (|stored| stored.record.target = None, AuditFault::Changed(2)),
            (|stored| stored.record.detail_hash = AuditHash([1; 32]), AuditFault::Changed(2)),
            (|stored| stored.hash = AuditHash([1; 32]), AuditFault::Changed(2)),
            (
                |stored| stored.record.sealed_detail.as_mut().unwrap().json = "{}".into(),
                AuditFault::DetailChanged(2),
            ),
            (
                |stored| stored.record.sealed_detail.as_mut().unwrap().salt = [0; 16],
                AuditFault::DetailChanged(2),
            ),
        ];
        for (change, fault) in changes {
            let mut changed = whole.clone();
            change(&mut changed[1]);
            assert_eq!(verify(tenant, &changed).fault, Some(fault));
        }
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(verify(tenant, &removed).fault, Some(AuditFault::Missing(2)));
        assert_eq!(verify(TenantId(Uuid::nil()), &whole).fault, Some(AuditFault::Changed(1)));
    }

    #[test]
    fn chain_without_details_is_whole() {
        let tenant = TenantId(Uuid::from_u128(9));
        let mut chain = chain(tenant, &["a.a", "b.b"]);
        let before = verify(tenant, &chain);
        chain[0].record.sealed_detail = None;
        assert_eq!(verify(tenant, &chain), before);
        assert_eq!(AuditRecord::from(chain[0].clone()).detail, None);
        assert_eq!(AuditRecord::from(chain[1].clone()).detail.unwrap()["ip"], "192.0.2.1");
    }

    #[test]
    fn head_reads_back() {
        let head = AuditHead { sequence: 17, hash: AuditHash([0xab; 32]) };
        assert_eq!(head.to_string().parse::<AuditHead>().unwrap(), head);
        for wrong in ["", "17", "x:00", "1:zz", &format!("1:{}", "é".repeat(32))] {
            assert!(wrong.parse::<AuditHead>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_checked() {
        assert!(action::ALL.iter().all(|action| AuditEvent::new(*action).check().is_ok()));
        for wrong in ["", "User.login", "user login", &"a".repeat(65)] {
            assert!(AuditEvent::new(wrong).check().is_err(), "{wrong}");
        }
        let long = AuditEvent::new("a.b").detail("text", "x".repeat(100_000));
        assert!(long.check().is_err());
        let nul = NewAuditRecord::of(AuditEvent::new("a.b").detail("text", "a\0b"), Timestamp(0)).unwrap();
        assert_eq!(nul.sealed_detail.unwrap().json, r#"{"text":"ab"}"#);
    }
}
