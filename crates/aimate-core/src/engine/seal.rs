//! Sealing what a user takes along and brings back, such as the summary of a conversation.

use super::Engine;
use super::endpoint::no_keys;
use crate::error::Result;
use crate::scope::Scope;
use crate::sealing::{Binding, Purpose, Sealed};
use crate::secret::Secret;

impl Engine {
    /// Seals `text` for `scope`'s user and this purpose, so that it can be given away and comes
    /// back unread and unchanged.
    ///
    /// # Errors
    /// `Unavailable` with [`NoEncryptionKey`](crate::ErrorReason::NoEncryptionKey) where no key is
    /// configured; what the key provider says.
    pub async fn seal(&self, scope: &Scope, purpose: Purpose, text: &str) -> Result<Vec<u8>> {
        self.admit(scope).await?;
        let keys = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        Ok(keys.seal(&Secret::new(text), &binding(scope, purpose)).await?.bytes)
    }

    /// Opens what [`Engine::seal`] made for the same user and purpose.
    ///
    /// # Errors
    /// `Unavailable` with [`KeyUnavailable`](crate::ErrorReason::KeyUnavailable) if it was changed,
    /// is another user's or purpose's, or its key is not configured any more.
    pub async fn open(&self, scope: &Scope, purpose: Purpose, sealed: Vec<u8>) -> Result<String> {
        self.admit(scope).await?;
        let keys = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        let sealed = Sealed { key_id: 0, bytes: sealed };
        Ok(keys.open(&sealed, &binding(scope, purpose)).await?.expose().to_owned())
    }
}

fn binding(scope: &Scope, purpose: Purpose) -> Binding<'static> {
    Binding { purpose, table: "", column: "", row: scope.tenant.into(), owner: scope.user.into(), origin: "" }
}
