//! Deletes what has expired.

use std::fmt::Display;

use super::Engine;
use crate::{ErrorKind, Result, Scope};

/// How many are deleted before the next are looked for.
const AT_ONCE: u32 = 100;

impl Engine {
    /// Deletes files and uploads that have expired. Nobody finds them meanwhile.
    pub(super) async fn delete_expired(&self) {
        let stores = &self.inner.stores;
        let now = || self.inner.sources.now();
        delete_all(
            "file",
            || stores.queue.expired_files(now(), AT_ONCE),
            |scope, file| async move { stores.files.delete(&scope, file).await.map(drop) },
        )
        .await;
        delete_all(
            "upload",
            || stores.queue.expired_uploads(now(), AT_ONCE),
            |scope, upload| async move { stores.uploads.delete(&scope, upload).await },
        )
        .await;
    }
}

/// Deletes what `find` gives, until it gives nothing more or nothing of it can be deleted.
async fn delete_all<I, Found, Gone>(
    what: &'static str,
    find: impl Fn() -> Found,
    delete: impl Fn(Scope, I) -> Gone,
) where
    I: Copy + Display,
    Found: Future<Output = Result<Vec<(Scope, I)>>>,
    Gone: Future<Output = Result<()>>,
{
    loop {
        let expired = match find().await {
            Ok(expired) => expired,
            Err(error) => {
                return tracing::warn!(%error, what, "looking for what has expired failed; trying again");
            }
        };
        let is_last = expired.len() < AT_ONCE as usize;
        let mut gone = 0_usize;
        for (scope, id) in expired {
            match delete(scope, id).await {
                Ok(()) => gone += 1,
                // Another process was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => gone += 1,
                // One that cannot be deleted keeps no other.
                Err(error) => {
                    tracing::warn!(%error, what, %id, "deleting what has expired failed; trying again");
                }
            }
        }
        if gone == 0 || is_last {
            return;
        }
    }
}
