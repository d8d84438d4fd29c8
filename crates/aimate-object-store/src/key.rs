//! The names of objects.

use aimate_core::knowledge::Blob;
use aimate_core::{DocumentId, TenantId};
use object_store::path::Path;
use uuid::Uuid;

/// How the names of objects end that are not whole.
const PART: &str = ".part";
/// Characters of a UUID.
const ID: usize = 36;

/// What an object is.
pub(crate) enum Key {
    /// A blob's bytes.
    Blob(Blob),
    /// The bytes of an upload that has not ended.
    Part,
}

impl Key {
    /// What the object of this name is; `None` if it is none of ours.
    pub(crate) fn parse(prefix: &Path, path: &Path) -> Option<Self> {
        let parts: Vec<_> = path.prefix_match(prefix)?.collect();
        let [tenant, _, name] = parts.as_slice() else { return None };
        let tenant = TenantId(Uuid::parse_str(tenant.as_ref()).ok()?);
        let (document, rest) = name.as_ref().split_at_checked(ID)?;
        let document = DocumentId(Uuid::parse_str(document).ok()?);
        if rest.ends_with(PART) {
            return Some(Self::Part);
        }
        let hash = rest.strip_prefix('-').filter(|hash| is_hash(hash))?.to_owned();
        Some(Self::Blob(Blob { tenant, document, hash }))
    }
}

/// The name of a blob's object; `None` if its hash is none, which no store has.
pub(crate) fn key_of(blob: &Blob) -> Option<String> {
    let folder = folder(blob.tenant, blob.document);
    is_hash(&blob.hash).then(|| format!("{folder}/{}-{}", blob.document, blob.hash))
}

/// The name of the object that an upload is written to. `unique` tells it from
/// other uploads of the document, of any process.
pub(crate) fn part_of(prefix: &Path, tenant: TenantId, document: DocumentId, unique: Uuid) -> Path {
    join(prefix, &format!("{}/{document}.{unique}{PART}", folder(tenant, document)))
}

/// `key` below `prefix`.
pub(crate) fn join(prefix: &Path, key: &str) -> Path {
    key.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

fn folder(tenant: TenantId, document: DocumentId) -> String {
    let [.., last] = document.0.into_bytes();
    format!("{tenant}/{last:02x}")
}

fn is_hash(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob() -> Blob {
        Blob {
            tenant: TenantId(Uuid::from_u128(1)),
            document: DocumentId(Uuid::from_u128(0xab)),
            hash: "0f".repeat(32),
        }
    }

    #[test]
    fn name_says_whose_it_is() {
        let key = key_of(&blob()).unwrap();
        let (tenant, document) =
            ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-0000000000ab");
        assert_eq!(key, format!("{tenant}/ab/{document}-{}", "0f".repeat(32)));
        for prefix in [Path::default(), Path::from("some/where")] {
            let path = join(&prefix, &key);
            assert!(
                matches!(Key::parse(&prefix, &path), Some(Key::Blob(found)) if found == blob()),
                "{path}"
            );
            let part = part_of(&prefix, blob().tenant, blob().document, Uuid::from_u128(7));
            assert!(matches!(Key::parse(&prefix, &part), Some(Key::Part)), "{part}");
        }
        assert!(Key::parse(&Path::from("else"), &Path::from(key)).is_none());
    }

    #[test]
    fn strange_hash_has_no_name() {
        for hash in ["", "../../etc/passwd", &"0F".repeat(32), &format!("{}/", "0".repeat(63))] {
            assert_eq!(key_of(&Blob { hash: hash.to_owned(), ..blob() }), None, "{hash}");
        }
        assert!(Key::parse(&Path::default(), &Path::from("README")).is_none());
    }
}
