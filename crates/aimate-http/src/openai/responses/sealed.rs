//! What of a context is sealed for its user: the text of a compaction.

use std::collections::HashMap;

use aimate_core::Scope;
use aimate_core::sealing::Purpose;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::app::App;
use crate::error::Result;

/// What compactions are sealed for.
const PURPOSE: Purpose = Purpose::new("compaction");

/// Seals `text` for the user.
pub(super) async fn seal(app: &App, scope: &Scope, text: &str) -> Result<String> {
    let sealed = app.engine.seal(scope, PURPOSE, text).await?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What is sealed in `items`, opened: by what was sealed.
pub(super) async fn opened(app: &App, scope: &Scope, items: &[Value]) -> HashMap<String, String> {
    let mut opened = HashMap::new();
    for item in items {
        if item.get("type").and_then(Value::as_str) != Some("compaction") {
            continue;
        }
        let Some(sealed) = item.get("encrypted_content").and_then(Value::as_str) else { continue };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(sealed) else { continue };
        if let Ok(text) = app.engine.open(scope, PURPOSE, bytes).await {
            opened.insert(sealed.to_owned(), text);
        }
    }
    opened
}
