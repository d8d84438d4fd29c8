//! Arguments and the schemas that they follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use super::Tool;
use crate::text::shorten;

/// Bytes of a schema at most.
const MAX_SCHEMA: usize = 256 * 1024;
/// Bytes of the texts of schemas that are kept compiled.
const MAX_CACHED: usize = 4 << 20;
/// How deep a schema may be nested.
const MAX_DEPTH: usize = 64;
/// Faults of arguments that a model is told of at once.
const MAX_FAULTS: usize = 5;

/// The compiled schema of a tool's arguments.
pub(crate) struct ArgumentSchema(Validator);

impl ArgumentSchema {
    /// Compiles a schema. No reference leaves it, and its patterns are matched in linear
    /// time: schemas come from servers that nobody trusts.
    ///
    /// # Errors
    /// Why it is none, in a sentence.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        Self::of(schema, schema.to_string().len())
    }

    /// Of a schema whose text has `bytes`.
    fn of(schema: &Value, bytes: usize) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("its schema is no object".to_owned());
        }
        if bytes > MAX_SCHEMA {
            return Err(format!("its schema has {bytes} bytes; the most is {MAX_SCHEMA}"));
        }
        if depth(schema) > MAX_DEPTH {
            return Err(format!("its schema is nested deeper than {MAX_DEPTH}"));
        }
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(false);
        let compiled = options.build(schema);
        compiled
            .map(Self)
            .map_err(|error| format!("its schema is none: {}", shorten(&error.to_string(), 300)))
    }

    /// The arguments as an object, if they follow the schema.
    ///
    /// # Errors
    /// A sentence for the model: what is wrong, and where.
    pub(crate) fn check(&self, arguments: &Value) -> Result<Map<String, Value>, String> {
        let Value::Object(object) = arguments else {
            return Err(match arguments {
                Value::String(text) => {
                    format!("The arguments are no JSON: `{}`. Send one JSON object.", shorten(text, 200))
                }
                _ => "The arguments are no JSON object. Send one.".to_owned(),
            });
        };
        let faults: Vec<String> = self
            .0
            .iter_errors(arguments)
            .take(MAX_FAULTS)
            .map(|fault| {
                let path = fault.instance_path().to_string();
                let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
                format!("{place}{}", shorten(&fault.to_string(), 300))
            })
            .collect();
        if faults.is_empty() {
            return Ok(object.clone());
        }
        Err(format!(
            "The arguments do not follow the tool's schema: {}. Call again with right ones.",
            faults.join("; ")
        ))
    }
}

/// Schemas that were compiled: a turn that offers tools compiles none of them again.
#[derive(Default)]
pub(crate) struct SchemaCache(Mutex<Compiled>);

#[derive(Default)]
struct Compiled {
    by_text: HashMap<String, Arc<ArgumentSchema>>,
    bytes: usize,
}

impl SchemaCache {
    /// Compiles a schema, once for equal ones; see [`ArgumentSchema`].
    ///
    /// # Errors
    /// Why it is none, in a sentence.
    pub(crate) fn compile(&self, schema: &Value) -> Result<Arc<ArgumentSchema>, String> {
        let text = schema.to_string();
        if let Some(known) = self.compiled().by_text.get(&text) {
            return Ok(known.clone());
        }
        let schema = Arc::new(ArgumentSchema::of(schema, text.len())?);
        let mut compiled = self.compiled();
        if compiled.bytes + text.len() > MAX_CACHED {
            *compiled = Compiled::default();
        }
        compiled.bytes += text.len();
        compiled.by_text.insert(text, schema.clone());
        Ok(schema)
    }

    fn compiled(&self) -> MutexGuard<'_, Compiled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The schema of a tool as models are told it. Model servers refuse a whole prompt for one
/// schema that is right but not as they want it: without `type` and `properties`, with a list
/// whose `items` are not said, with a required field that is not among the properties.
pub(crate) fn offered_schema(tool: &Tool) -> Value {
    let mut schema = tool.input_schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.entry("type").or_insert_with(|| "object".into());
        fields.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        fields.remove("$schema");
    }
    complete(&mut schema, 0);
    schema
}

fn complete(schema: &mut Value, level: usize) {
    if level > MAX_DEPTH {
        return;
    }
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(|one| complete(one, level + 1)),
        Value::Object(fields) => {
            let is_list = match fields.get("type") {
                Some(Value::String(kind)) => kind == "array",
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
                _ => false,
            };
            if is_list && !fields.contains_key("items") && !fields.contains_key("prefixItems") {
                fields.insert("items".to_owned(), Value::Object(Map::new()));
            }
            let known: Option<Vec<String>> =
                fields.get("properties").and_then(Value::as_object).map(|all| all.keys().cloned().collect());
            if let (Some(known), Some(Value::Array(required))) = (known, fields.get_mut("required")) {
                required
                    .retain(|name| name.as_str().is_some_and(|name| known.iter().any(|known| known == name)));
            }
            fields.values_mut().for_each(|one| complete(one, level + 1));
        }
        _ => {}
    }
}

fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        deepest = deepest.max(level);
        if level > MAX_DEPTH {
            break;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, level + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, level + 1))),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number() -> Value {
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    }

    #[test]
    fn model_is_told_what_is_wrong_and_where() {
        let schema = ArgumentSchema::compile(&number()).unwrap();
        assert!(schema.check(&json!({"n": 1})).is_ok());
        let told = schema.check(&json!({"n": "one"})).unwrap_err();
        assert!(told.contains("`/n`") && told.contains("integer"), "{told}");
        assert!(schema.check(&json!({})).unwrap_err().contains("n"));
        assert!(schema.check(&json!("{oops")).unwrap_err().contains("no JSON"));
        assert!(schema.check(&json!([1])).unwrap_err().contains("object"));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"properties": {"a": deep}});
        }
        let long = json!({"description": "x".repeat(MAX_SCHEMA)});
        let remote = json!({"$ref": "http://example.org/schema.json"});
        let field = json!({"type": "object", "properties": {"a": {"type": "string"}, "type": "object"}});
        for schema in [json!(1), json!({"type": "nothing"}), deep, long, remote, field] {
            assert!(ArgumentSchema::compile(&schema).is_err(), "{}", shorten(&schema.to_string(), 80));
        }
    }

    #[test]
    fn schema_is_offered_as_model_servers_want_it() {
        let schema = json!({
            "type": "object", "required": ["list", "model"],
            "properties": {"list": {"type": ["string", "array"]}, "pair": {"type": "array", "prefixItems": [{}]}},
        });
        let offered = offered_schema(&Tool::new("t", "", schema));
        assert_eq!(offered["required"], json!(["list"]));
        assert_eq!(offered["properties"]["list"]["items"], json!({}));
        assert!(offered["properties"]["pair"].get("items").is_none());
    }

    #[test]
    fn schema_is_offered_as_an_object() {
        let tool = Tool::new("now", "", json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}));
        assert_eq!(offered_schema(&tool), json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn equal_schemas_are_compiled_once_and_bounded() {
        let cache = SchemaCache::default();
        let first = cache.compile(&number()).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.compile(&number()).unwrap()));
        let other = json!({"type": "object", "properties": {"n": {"type": "string"}}});
        assert!(cache.compile(&other).unwrap().check(&json!({"n": "x"})).is_ok());
        assert!(cache.compile(&number()).unwrap().check(&json!({"n": "x"})).is_err());
        assert!(cache.compile(&json!({"type": 5})).is_err());
        for n in 0..40 {
            cache.compile(&json!({"description": format!("{n}{}", "x".repeat(200_000))})).unwrap();
            assert!(cache.compiled().bytes <= MAX_CACHED);
        }
    }
}
