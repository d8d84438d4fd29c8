//! How much a user, and a whole tenant, may keep.

use crate::error::{Error, ErrorReason};
use crate::id::UserId;
use crate::scope::Scope;

/// How much may be kept; `None` for as much as there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageQuota {
    /// Documents and uploaded files at most.
    pub documents: Option<u64>,
    /// Bytes of their originals at most. A document that was attached from a file has none of
    /// its own.
    pub bytes: Option<u64>,
}

impl StorageQuota {
    /// Whether it limits nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether so much is within it.
    pub fn allows(&self, stored: &StorageAmount) -> bool {
        self.documents.is_none_or(|most| stored.documents <= most)
            && self.bytes.is_none_or(|most| stored.bytes <= most)
    }

    /// Whether not even an empty document more is within it.
    fn is_used_up(&self, stored: &StorageAmount) -> bool {
        self.documents.is_some_and(|most| stored.documents >= most)
            || self.bytes.is_some_and(|most| stored.bytes >= most)
    }
}

/// What each user, and each tenant as a whole, may keep. Documents of a collection count
/// for who owns it; those that a tenant shares, for the tenant alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageQuotas {
    /// Of each user.
    pub user: StorageQuota,
    /// Of each tenant.
    pub tenant: StorageQuota,
}

impl StorageQuotas {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        self.user.is_none() && self.tenant.is_none()
    }

    /// What counts for the documents of this owner: those that the tenant shares are no
    /// user's.
    #[must_use]
    pub fn of_owner(&self, owner: &Scope) -> Self {
        if owner.user == UserId::SHARED { Self { user: StorageQuota::default(), ..*self } } else { *self }
    }

    /// The refusal of a new document, if what is stored leaves no room for any.
    pub(crate) fn used_up(&self, stored: &StorageUse) -> Option<Error> {
        if self.user.is_used_up(&stored.user) {
            Some(exceeded("user", &self.user, &stored.user))
        } else if self.tenant.is_used_up(&stored.tenant) {
            Some(exceeded("tenant", &self.tenant, &stored.tenant))
        } else {
            None
        }
    }

    /// The refusal of a document that does not fit beside what is stored.
    pub fn refusal(&self, stored: &StorageUse, more: StorageAmount) -> Error {
        if self.user.allows(&stored.user.with(more)) {
            exceeded("tenant", &self.tenant, &stored.tenant)
        } else {
            exceeded("user", &self.user, &stored.user)
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageAmount {
    /// Documents and uploaded files.
    pub documents: u64,
    /// Bytes of their originals.
    pub bytes: u64,
}

impl StorageAmount {
    /// One document or file of so many bytes.
    pub fn one(bytes: u64) -> Self {
        Self { documents: 1, bytes }
    }

    /// This, and so much more.
    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self {
            documents: self.documents.saturating_add(more.documents),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
}

/// What a user, and their whole tenant, keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageUse {
    /// The user; nothing for the user who stands for the tenant.
    pub user: StorageAmount,
    /// The tenant.
    pub tenant: StorageAmount,
}

fn exceeded(whose: &str, quota: &StorageQuota, stored: &StorageAmount) -> Error {
    let of = |most: Option<u64>| most.map_or_else(String::new, |most| format!(" of {most}"));
    Error::too_large(format!(
        "there is no room for the document: this {whose} has {}{} documents and {}{} bytes; delete some, or ask the \
         operator for more",
        stored.documents,
        of(quota.documents),
        stored.bytes,
        of(quota.bytes),
    ))
    .with_reason(ErrorReason::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_used_up_to_the_last_byte() {
        let quota = StorageQuota { documents: Some(2), bytes: Some(10) };
        let stored = |documents, bytes| StorageAmount { documents, bytes };
        assert!(quota.allows(&stored(2, 10)));
        assert!(!quota.allows(&stored(3, 0)) && !quota.allows(&stored(0, 11)));
        assert!(quota.is_used_up(&stored(2, 0)) && quota.is_used_up(&stored(0, 10)));
        assert!(!quota.is_used_up(&stored(1, 9)));
        assert!(StorageQuota::default().allows(&stored(u64::MAX, u64::MAX)));
    }

    #[test]
    fn refusal_names_whose_quota_it_is() {
        let one = StorageQuota { documents: Some(1), bytes: None };
        let stored = StorageAmount { documents: 1, bytes: 5 };
        let all = StorageUse { user: stored, tenant: stored };
        let message =
            |quotas: StorageQuotas| quotas.refusal(&all, StorageAmount::one(1)).message().to_owned();
        let of_user = StorageQuotas { user: one, ..StorageQuotas::default() };
        let of_tenant = StorageQuotas { tenant: one, ..StorageQuotas::default() };
        assert!(message(of_user).contains("this user has 1 of 1 documents and 5 bytes"));
        assert!(message(of_tenant).contains("this tenant has 1 of 1 documents"));
        for quotas in [of_user, of_tenant] {
            let error = quotas.used_up(&all).unwrap();
            assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
            assert_eq!(error.reason(), Some(ErrorReason::QuotaExceeded));
        }
        assert!(StorageQuotas::default().used_up(&all).is_none());
    }
}
