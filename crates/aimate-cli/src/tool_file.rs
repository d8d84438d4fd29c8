//! The operator's tool servers: a JSON file, named by `AIMATE_TOOL_SERVERS`.
//!
//! ```json
//! {"servers": {
//!     "files": {"command": ["mcp-server-filesystem", "/srv/shared"], "env": {"LANG": "C.UTF-8"}},
//!     "wiki": {"url": "https://wiki.example.org/mcp", "headers": {"Authorization": "Bearer …"},
//!              "policy": {"*": "ask", "search": "allow", "delete_page": "deny"}}
//! }}
//! ```
//!
//! Nothing in it is replaced by something else: `${NAME}` stays what it is. What is wrong is told
//! by where it is, never by its value, which may be a secret.

use std::path::Path;

use aimate::engine::ToolServerConfig;
use aimate::tool::ToolPolicy;
use aimate::{Error, Result, Secret};
use serde_json::{Map, Value};

/// The servers in a file.
///
/// # Errors
/// `Unavailable` if it cannot be read; `Invalid`, naming what is wrong.
pub(crate) fn read(path: &Path) -> Result<Vec<ToolServerConfig>> {
    let at =
        |error: Error| Error::new(error.kind(), format!("AIMATE_TOOL_SERVERS: {}: {error}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| at(Error::unavailable(format!("cannot be read: {}", error.kind()))))?;
    parse(&text).map_err(at)
}

fn parse(text: &str) -> Result<Vec<ToolServerConfig>> {
    let file: Value = serde_json::from_str(text).map_err(|error| {
        Error::invalid(format!("is no JSON at line {}, column {}", error.line(), error.column()))
    })?;
    let file = object("the file", &file, &["servers"])?;
    let servers = file.get("servers").ok_or_else(|| Error::invalid("`servers` is missing"))?;
    let Value::Object(servers) = servers else {
        return Err(wrong("servers", "an object of servers by name"));
    };
    servers.iter().map(|(name, server)| configured(name, server)).collect()
}

fn configured(name: &str, server: &Value) -> Result<ToolServerConfig> {
    let at = |field: &str| format!("servers.{name}.{field}");
    let allowed = ["command", "env", "url", "headers", "oauth", "policy"];
    let fields = object(&format!("servers.{name}"), server, &allowed)?;
    let mut config = match (fields.get("command"), fields.get("url")) {
        (Some(command), None) => {
            if let Some(field) = ["headers", "oauth"].into_iter().find(|field| fields.contains_key(*field)) {
                return Err(Error::invalid(format!("`{}` is for a server with a `url`", at(field))));
            }
            let list = "a list of texts: the program and each of its arguments, which no shell reads";
            let parts = command.as_array().ok_or_else(|| wrong(&at("command"), list))?;
            let parts = parts.iter().map(|part| part.as_str().ok_or_else(|| wrong(&at("command"), list)));
            ToolServerConfig::stdio(name, parts.collect::<Result<Vec<_>>>()?)
        }
        (None, Some(url)) => {
            if fields.contains_key("env") {
                return Err(Error::invalid(format!("`{}` is for a server with a `command`", at("env"))));
            }
            let url = url.as_str().ok_or_else(|| wrong(&at("url"), "an address"))?;
            ToolServerConfig::http(name, url)
        }
        _ => return Err(Error::invalid(format!("`servers.{name}` has either a `command` or a `url`"))),
    };
    for (key, value) in texts(&at("env"), fields.get("env"))? {
        config = config.variable(key, value);
    }
    for (key, value) in texts(&at("headers"), fields.get("headers"))? {
        config = config.header(key, value);
    }
    match fields.get("oauth") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => config = config.oauth(),
        Some(_) => return Err(wrong(&at("oauth"), "`true` or `false`")),
    }
    for (tool, policy) in texts(&at("policy"), fields.get("policy"))? {
        let policy: ToolPolicy = policy
            .expose()
            .parse()
            .map_err(|_| wrong(&at("policy"), "`allow`, `ask` or `deny` for each tool, and for `*`"))?;
        config = if tool == "*" { config.default_policy(policy) } else { config.policy(tool, policy) };
    }
    Ok(config)
}

/// An object that has no other fields than these.
fn object<'v>(path: &str, value: &'v Value, allowed: &[&str]) -> Result<&'v Map<String, Value>> {
    let fields = value.as_object().ok_or_else(|| wrong(path, "an object"))?;
    match fields.keys().find(|field| !allowed.contains(&field.as_str())) {
        None => Ok(fields),
        Some(unknown) => Err(Error::invalid(format!(
            "`{path}` has a field `{unknown}`, which means nothing; there are {}",
            allowed.join(", ")
        ))),
    }
}

/// An object of texts.
fn texts(path: &str, value: Option<&Value>) -> Result<Vec<(String, Secret)>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let wrong = || wrong(path, "an object of texts");
    let fields = value.as_object().ok_or_else(wrong)?;
    let text = |(key, value): (&String, &Value)| {
        value.as_str().map(|text| (key.clone(), Secret::new(text))).ok_or_else(wrong)
    };
    fields.iter().map(text).collect()
}

fn wrong(path: &str, right: &str) -> Error {
    Error::invalid(format!("`{path}` is not what it should be: {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_a_file_are_read() {
        let servers = parse(
            r#"{"servers": {
                "files": {"command": ["prog", "${HOME}"], "env": {"A": "b"}, "policy": {"*": "ask", "x": "deny"}},
                "wiki": {"url": "http://wiki.example.org/mcp", "headers": {"X-Key": "k"}},
                "mail": {"url": "https://mail.example.org/mcp", "oauth": true}
            }}"#,
        )
        .unwrap();
        let mut names: Vec<&str> = servers.iter().map(ToolServerConfig::name).collect();
        names.sort_unstable();
        assert_eq!(names, ["files", "mail", "wiki"]);
        assert!(parse(r#"{"servers": {}}"#).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_without_its_value() {
        for (text, told) in [
            ("{", "line 1"),
            ("[]", "the file"),
            ("{}", "`servers` is missing"),
            (r#"{"servers": {"a": {"command": "sk-canary -x"}}}"#, "servers.a.command"),
            (r#"{"servers": {"a": {"command": ["x", 1]}}}"#, "servers.a.command"),
            (r#"{"servers": {"a": {"command": ["x"], "url": "http://h"}}}"#, "either"),
            (r#"{"servers": {"a": {}}}"#, "either"),
            (r#"{"servers": {"a": {"command": ["x"], "headers": {"A": "sk-canary"}}}}"#, "servers.a.headers"),
            (r#"{"servers": {"a": {"url": "http://h", "env": {"A": "sk-canary"}}}}"#, "servers.a.env"),
            (r#"{"servers": {"a": {"url": "http://h", "headers": "sk-canary"}}}"#, "servers.a.headers"),
            (r#"{"servers": {"a": {"url": "http://h", "header": {"A": "sk-canary"}}}}"#, "`header`"),
            (r#"{"servers": {"a": {"url": "http://h", "policy": {"x": "sk-canary"}}}}"#, "`allow`"),
            (r#"{"servers": {"a": {"url": "http://h", "oauth": "sk-canary"}}}"#, "servers.a.oauth"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("canary"), "{text}: {error}");
        }
    }
}
