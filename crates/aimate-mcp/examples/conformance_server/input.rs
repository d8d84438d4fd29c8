//! The suite's tools that ask their client for something and are called again with it
//! (multi-round-trip requests).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rmcp::model::*;
use serde_json::{Value, json};
use sha2::Sha256;

/// Signs what clients keep for us. A server that is none of tests takes a key that nobody knows.
const KEY: &[u8] = b"the state of the conformance server";

type Signature = Hmac<Sha256>;

/// The answer of such a tool; `None` if it is another one.
pub(crate) fn call(
    request: &CallToolRequestParams,
    meta: &RequestMetaObject,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let name = request.name.strip_prefix("test_input_required_result_")?;
    let has = |key: &str| given(request.input_responses.as_ref(), key);
    let state = match request.request_state.as_deref().map(opened) {
        None => None,
        Some(Some(state)) => Some(state),
        Some(None) => {
            let message = "the `requestState` is not the one that was sent";
            return Some(Err(ErrorData::invalid_params(message, None)));
        }
    };
    let response: CallToolResponse = match name {
        "elicitation" => match has("user_name") {
            Some(given) => said(format!("Hello, {}!", given["content"]["name"])),
            None => required([("user_name", name_wanted())], None).into(),
        },
        "sampling" => match has("capital_question") {
            Some(given) => said(format!("The model says: {}", given["content"]["text"])),
            None => required([("capital_question", sampling("What is the capital of France?"))], None).into(),
        },
        "list_roots" => match has("client_roots") {
            Some(given) => said(format!("The roots are: {}", given["roots"])),
            None => required([("client_roots", roots())], None).into(),
        },
        "request_state" | "tampered_state" => match state {
            Some(_) => said("state-ok".to_owned()),
            None => {
                let wanted = elicitation("Please confirm", json!({"ok": {"type": "boolean"}}), &["ok"]);
                required([("confirm", wanted)], Some(json!({"stage": "confirm"}))).into()
            }
        },
        "multiple_inputs" => match (has("user_name"), has("greeting"), has("client_roots")) {
            (Some(_), Some(_), Some(_)) if state.is_some() => said("All is there.".to_owned()),
            _ => required(everything(), Some(json!({"stage": "gather"}))).into(),
        },
        "multi_round" => match state.map_or(0, |state| state["round"].as_i64().unwrap_or_default()) {
            0 => required([("step1", name_wanted())], Some(json!({"round": 1}))).into(),
            1 => {
                let wanted =
                    elicitation("Which color do you like?", json!({"color": {"type": "string"}}), &["color"]);
                required([("step2", wanted)], Some(json!({"round": 2}))).into()
            }
            _ => said("All rounds are over.".to_owned()),
        },
        "capabilities" => match request.input_responses {
            Some(_) => said("Thank you.".to_owned()),
            None => of_capabilities(&meta.client_capabilities().unwrap_or_default()),
        },
        _ => return None,
    };
    Some(Ok(response))
}

/// What the client can give.
fn of_capabilities(capabilities: &ClientCapabilities) -> CallToolResponse {
    let can = [
        ("user_name", capabilities.elicitation.is_some()),
        ("greeting", capabilities.sampling.is_some()),
        ("client_roots", capabilities.roots.is_some()),
    ];
    let wanted = everything().into_iter().zip(can).filter(|(_, (_, can))| *can).map(|(wanted, _)| wanted);
    let wanted: Vec<_> = wanted.collect();
    match wanted.is_empty() {
        true => said("The client can give nothing.".to_owned()),
        false => required(wanted, None).into(),
    }
}

fn everything() -> [(&'static str, InputRequest); 3] {
    [("user_name", name_wanted()), ("greeting", sampling("Greet somebody.")), ("client_roots", roots())]
}

fn said(text: String) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text)]).into()
}

/// A result that asks for these.
pub(crate) fn required(
    wanted: impl IntoIterator<Item = (&'static str, InputRequest)>,
    state: Option<Value>,
) -> InputRequiredResult {
    let wanted = wanted.into_iter().map(|(key, request)| (key.to_owned(), request)).collect();
    InputRequiredResult::new(Some(wanted), state.map(|state| sealed(&state)))
}

/// What was given for `key`; nothing if it is no object.
pub(crate) fn given(given: Option<&InputResponses>, key: &str) -> Option<Value> {
    given?.get(key).filter(|given| given.is_object()).cloned()
}

fn name_wanted() -> InputRequest {
    elicitation("What is your name?", json!({"name": {"type": "string"}}), &["name"])
}

/// A question to the person, whose answer has these fields.
#[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
pub(crate) fn elicitation(message: &str, properties: Value, required: &[&str]) -> InputRequest {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: serde_json::from_value(schema).unwrap(),
    }))
}

fn sampling(prompt: &str) -> InputRequest {
    let messages = vec![SamplingMessage::user_text(prompt)];
    InputRequest::CreateMessage(CreateMessageRequest::new(CreateMessageRequestParams::new(messages, 100)))
}

fn roots() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

/// `state` as a client keeps it: readable, but not to be changed.
fn sealed(state: &Value) -> String {
    let state = URL_SAFE_NO_PAD.encode(state.to_string());
    let signature = URL_SAFE_NO_PAD.encode(signed(&state).finalize().into_bytes());
    format!("{state}.{signature}")
}

fn opened(sealed: &str) -> Option<Value> {
    let (state, signature) = sealed.split_once('.')?;
    signed(state).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(state).ok()?).ok()
}

fn signed(state: &str) -> Signature {
    let mut signature = Signature::new_from_slice(KEY).unwrap();
    signature.update(state.as_bytes());
    signature
}
