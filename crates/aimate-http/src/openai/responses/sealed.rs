//! What of a context is sealed for its user: the text of a compaction.

use std::collections::HashMap;

use aimate_core::sealing::Purpose;
use aimate_core::{Error, ErrorReason, Scope};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::app::App;
use crate::error::Result;

/// What compactions are sealed for.
const PURPOSE: Purpose = Purpose::new("compaction");

/// Compactions of one request at most: each is opened by itself.
const MAX_OPENED: usize = 16;

/// Seals `text` for the user.
pub(super) async fn seal(app: &App, scope: &Scope, text: &str) -> Result<String> {
    let sealed = app.engine.seal(scope, PURPOSE, text).await?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What is sealed in `items`, opened: by what was sealed. What does not open is left out, and so is
/// what follows it.
///
/// # Errors
/// `Invalid` if there is more of it than is opened; `Unavailable` if the keys cannot be asked for.
pub(super) async fn opened(app: &App, scope: &Scope, items: &[Value]) -> Result<HashMap<String, String>> {
    let mut opened = HashMap::new();
    for item in items {
        if item.get("type").and_then(Value::as_str) != Some("compaction") {
            continue;
        }
        let Some(sealed) = item.get("encrypted_content").and_then(Value::as_str) else { continue };
        if opened.contains_key(sealed) {
            continue;
        }
        if opened.len() == MAX_OPENED {
            let why = format!("has more than {MAX_OPENED} different compactions; send the last one alone");
            return Err(Error::field("input", why).into());
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(sealed) else { break };
        match app.engine.open(scope, PURPOSE, bytes).await {
            Ok(text) => opened.insert(sealed.to_owned(), text),
            Err(error) if is_closed(&error) => break,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(opened)
}

/// Whether it is not that the keys cannot be asked for just now.
fn is_closed(error: &Error) -> bool {
    matches!(error.reason(), Some(ErrorReason::KeyUnavailable | ErrorReason::NoEncryptionKey))
}
