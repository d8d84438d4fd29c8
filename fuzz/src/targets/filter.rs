use aimate_core::knowledge::{Filter, FilterSubject};
use serde_json::{Value, json};

use super::texts;
use crate::Target;

pub(super) const FILTER: Target = Target {
    name: "filter",
    run: filter,
    seeds: || {
        let metadata = r#"{"year":2026,"author":{"name":"Ada"},"tags":["a",1,true,null],"a.b":0.1}"#;
        let filters = [
            r#"{"and":[{"eq":{"field":"year","value":2026.0}},{"not":{"exists":{"field":"author.name"}}}]}"#,
            r#"{"or":[{"in":{"field":"tags","values":["a",1,true]}},{"contains":{"field":"tags","value":1}}]}"#,
            r#"{"range":{"field":"year","gt":1,"gte":1e300,"lt":-0,"lte":9223372036854775808}}"#,
            r#"{"range":{"field":"$name","gt":"a","lt":"b"}}"#,
        ];
        filters.iter().map(|filter| format!("{filter}\0{metadata}").into_bytes()).collect()
    },
    words: &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\u0000",
        "\\ud800",
        "null",
        "true",
        "1",
        "-0.0",
        "1e999",
        "\"and\":[",
        "\"or\":[",
        "{\"not\":",
        "{\"eq\":{\"field\":\"year\",\"value\":",
        "{\"exists\":{\"field\":\"$id\"}}",
        "{\"contains\":{\"field\":\"tags\",\"value\":",
        "\"gt\":",
        "\"values\":[",
        "$source",
        "author.name",
        "..",
    ],
};

/// What passes the check has a meaning that its own JSON keeps.
pub fn filter(input: &[u8]) {
    let parts = texts(input);
    // Without its feature `float_roundtrip`, serde_json may read a number's last bit
    // otherwise than it was.
    let is_exact =
        |json: &Value| serde_json::from_str::<Value>(&json.to_string()).is_ok_and(|again| again == *json);
    let Some(json) = serde_json::from_str(&parts[0]).ok().filter(is_exact) else { return };
    let Ok(filter) = serde_json::from_value::<Filter>(json) else { return };
    let metadata = parts.get(1).and_then(|text| serde_json::from_str(text).ok());
    let metadata = metadata.unwrap_or_else(|| json!({"year": 2026}));
    let Some(metadata) = metadata.as_object() else { return };
    if filter.check().is_err() {
        return;
    }
    let subject = FilterSubject {
        metadata,
        id: "0190a0b0-0000-7000-8000-000000000001",
        name: "a.md",
        title: "A",
        source: None,
        media_type: "text/markdown",
    };
    let passes = filter.matches(&subject);
    let again: Filter = serde_json::from_str(&serde_json::to_string(&filter).unwrap()).unwrap();
    assert_eq!(again, filter);
    assert_eq!(again.matches(&subject), passes);
    assert_eq!(Filter::Not(Box::new(filter)).matches(&subject), !passes);
}
