//! The names of objects.

use aimate_core::knowledge::Blob;
use aimate_core::{BlobId, TenantId};
use object_store::path::Path;
use uuid::Uuid;

/// The blob whose object has this name; `None` if it is none.
pub(crate) fn parse(prefix: &Path, path: &Path) -> Option<Blob> {
    let parts: Vec<_> = path.prefix_match(prefix)?.collect();
    let [tenant, _, id] = parts.as_slice() else { return None };
    let tenant = TenantId(Uuid::try_parse(tenant.as_ref()).ok()?);
    let blob = Blob { tenant, id: BlobId(Uuid::try_parse(id.as_ref()).ok()?) };
    (join(prefix, &key_of(&blob)) == *path).then_some(blob)
}

/// The name of a blob's object.
pub(crate) fn key_of(blob: &Blob) -> String {
    let [.., last] = blob.id.0.into_bytes();
    format!("{}/{last:02x}/{}", blob.tenant, blob.id)
}

/// `key` below `prefix`.
pub(crate) fn join(prefix: &Path, key: &str) -> Path {
    key.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_says_whose_it_is() {
        let blob = Blob { tenant: TenantId(Uuid::from_u128(1)), id: BlobId(Uuid::from_u128(0xab)) };
        let key = key_of(&blob);
        let (tenant, id) = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-0000000000ab");
        assert_eq!(key, format!("{tenant}/ab/{id}"));
        for prefix in [Path::default(), Path::from("some/where")] {
            assert_eq!(parse(&prefix, &join(&prefix, &key)), Some(blob));
        }
        assert_eq!(parse(&Path::from("else"), &Path::from(key)), None);
        for foreign in [format!("{tenant}/ac/{id}"), format!("{tenant}/ab/{id}.part"), "README".to_owned()] {
            assert_eq!(parse(&Path::default(), &Path::from(foreign)), None);
        }
    }
}
