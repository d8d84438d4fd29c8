//! `prompt`: a stored prompt with its variables.

use aimate_core::{Error, ErrorKind, PromptId, Scope};
use serde_json::{Map, Value, json};

use super::echo::Echo;
use super::request::PromptReference;
use crate::app::App;
use crate::error::Result;
use crate::openai::wire_id;

/// What ids of prompts begin with.
const PREFIX: &str = "pmpt_";
/// Variables of one prompt at most, and bytes of each.
const MAX_VARIABLES: (usize, usize) = (100, 100_000);
/// Bytes of a prompt with its variables at most: one may stand in it many times.
const MAX_FILLED: usize = 1024 * 1024;

/// The text of a prompt with its variables filled in; the echo says which it was.
///
/// # Errors
/// `NotFound` for a prompt that is not the user's; `Invalid` for a variable that is missing or
/// is no text.
pub(super) async fn read(
    app: &App,
    scope: &Scope,
    reference: PromptReference,
    echo: &mut Echo,
) -> Result<String> {
    let PromptReference { id, version, variables } = reference;
    if version.as_deref().is_some_and(|version| version != "1") {
        return Err(Error::field("prompt.version", "must be `1`: a prompt has one version").into());
    }
    let known: PromptId = wire_id::of(PREFIX, "prompt", &id)?.into();
    let prompt = app.engine.prompts(scope).get(known).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            wire_id::missing("prompt", &id).with_source(error)
        } else {
            error
        }
    })?;
    let variables = variables.unwrap_or_default();
    let text = filled(&prompt.content, &variables)?;
    echo.set("prompt", json!({"id": id, "version": version, "variables": variables}));
    Ok(text)
}

/// `text` with each `{{name}}` replaced.
fn filled(text: &str, variables: &Map<String, Value>) -> Result<String> {
    let (most, length) = MAX_VARIABLES;
    if variables.len() > most {
        return Err(Error::field("prompt.variables", format!("has more than {most} variables")).into());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, next)) = after.split_once("}}") else { break };
        out.push_str(before);
        let path = || format!("prompt.variables.{}", wire_id::shown(name.trim()));
        let value = variables.get(name.trim());
        let value = value.and_then(|value| value.as_str().or_else(|| value.get("text")?.as_str()));
        let value = value.ok_or_else(|| Error::field(path(), "is missing, or is no text"))?;
        if value.len() > length {
            return Err(Error::field(path(), format!("has more than {length} bytes")).into());
        }
        out.push_str(value);
        if out.len() > MAX_FILLED {
            let why = format!("make a prompt of more than {MAX_FILLED} bytes, the most");
            return Err(Error::field("prompt.variables", why).into());
        }
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_in_their_places() {
        let variables = json!({"name": "Ann", "place": {"type": "input_text", "text": "Ulm"}, "more": 1});
        let Value::Object(variables) = variables else { panic!() };
        let filled = |text: &str| filled(text, &variables);
        assert_eq!(filled("Hi {{name}}, {{ place }}! {{").unwrap(), "Hi Ann, Ulm! {{");
        assert_eq!(filled("{}").unwrap(), "{}");
        let long = json!({"a": "x".repeat(100_000)});
        let long = long.as_object().unwrap();
        assert_eq!(super::filled(&"{{a}}".repeat(10), long).unwrap().len(), 1_000_000);
        let error = super::filled(&"{{a}}".repeat(11), long).unwrap_err().error;
        assert_eq!(error.fields()[0].path, "prompt.variables");
        for text in ["{{who}}", "{{more}}"] {
            let error = filled(text).unwrap_err().error;
            assert!(error.fields()[0].path.starts_with("prompt.variables."), "{error}");
        }
    }
}
