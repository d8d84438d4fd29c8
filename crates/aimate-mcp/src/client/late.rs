//! The answer to a probe that was given up.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId, ServerJsonRpcMessage};

/// Knows the request that asks for the current revision once the older handshake was begun in
/// its place. A server that starts slowly answers both, and the SDK takes the first answer for
/// that to the second request.
#[derive(Default)]
pub(super) struct LateAnswer {
    asked: Option<RequestId>,
    given_up: Option<RequestId>,
}

impl LateAnswer {
    /// `message` is sent.
    pub(super) fn sent(&mut self, message: &ClientJsonRpcMessage) {
        if let JsonRpcMessage::Request(request) = message {
            match &request.request {
                ClientRequest::DiscoverRequest(_) => self.asked = Some(request.id.clone()),
                ClientRequest::InitializeRequest(_) => self.given_up = self.asked.take(),
                _ => {}
            }
        }
    }

    /// Whether `message` is the answer that is not waited for any more.
    pub(super) fn is(&self, message: &ServerJsonRpcMessage) -> bool {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        id.is_some() && id == self.given_up.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(id: u32, method: &str) -> ClientJsonRpcMessage {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"},
        });
        let params = if method == "initialize" { params } else { json!({}) };
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        serde_json::from_value(request).unwrap()
    }

    #[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
    fn answer(id: u32, field: &str, value: Value) -> ServerJsonRpcMessage {
        serde_json::from_value(json!({"jsonrpc": "2.0", "id": id, field: value})).unwrap()
    }

    #[test]
    fn answer_to_a_probe_is_late_once_it_was_given_up() {
        let answers = |id| {
            [answer(id, "result", json!({})), answer(id, "error", json!({"code": -32601, "message": "no"}))]
        };
        let mut late = LateAnswer::default();
        late.sent(&asked(0, "server/discover"));
        assert!(!answers(0).iter().any(|answer| late.is(answer)));
        late.sent(&asked(1, "initialize"));
        assert!(answers(0).iter().all(|answer| late.is(answer)));
        assert!(!answers(1).iter().any(|answer| late.is(answer)));
    }
}
