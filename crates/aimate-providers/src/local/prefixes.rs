//! What a model wants before a text, by what the text is for.

use std::collections::HashMap;

use serde::Deserialize;

/// The query instruction of BGE's and Arctic's English models.
const SEARCHING: &str = "Represent this sentence for searching relevant passages: ";

/// What is put before a text, by its purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Before a question.
    pub query: String,
    /// Before a passage that is to be found.
    pub passage: String,
}

impl Prefixes {
    fn new(query: &str, passage: &str) -> Self {
        Self { query: query.to_owned(), passage: passage.to_owned() }
    }

    /// Those that the model of this name was trained with, where its makers tell them
    /// in words alone.
    pub(super) fn of_family(name: &str) -> Self {
        let name = name.to_lowercase();
        let parts: Vec<&str> = name.split(['-', '_', '.']).collect();
        let has = |part: &str| parts.contains(&part);
        if has("e5") && !has("instruct") {
            Self::new("query: ", "passage: ")
        } else if has("bge") && has("en") {
            Self::new(SEARCHING, "")
        } else if has("bge") && has("zh") {
            Self::new("为这个句子生成表示以用于检索相关文章：", "")
        } else if has("arctic") && has("embed") && has("v2") {
            Self::new("query: ", "")
        } else if has("arctic") && has("embed") {
            Self::new(SEARCHING, "")
        } else {
            Self::default()
        }
    }
}

/// `config_sentence_transformers.json`.
#[derive(Deserialize)]
pub(super) struct PromptsFile {
    #[serde(default)]
    prompts: Option<HashMap<String, Option<String>>>,
    #[serde(default)]
    default_prompt_name: Option<String>,
}

impl PromptsFile {
    /// Its prefixes; `None` if it names none. Newer versions write empty ones for a
    /// model of which nobody said any.
    pub(super) fn prefixes(&self) -> Option<Prefixes> {
        let prompt = |name: &&str| self.prompts.as_ref()?.get(*name)?.as_deref();
        let default = self.default_prompt_name.as_deref();
        let find = |names: &[&str]| {
            let found = names.iter().copied().chain(default).find_map(|name| prompt(&name));
            found.unwrap_or_default().to_owned()
        };
        let prefixes =
            Prefixes { query: find(&["query"]), passage: find(&["document", "passage", "corpus"]) };
        (prefixes != Prefixes::default()).then_some(prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_prefixes_of_their_makers() {
        let e5 = Prefixes::new("query: ", "passage: ");
        for name in ["multilingual-e5-small", "e5-base-v2", "E5_large", "intfloat--multilingual-e5-base"] {
            assert_eq!(Prefixes::of_family(name), e5, "{name}");
        }
        assert_eq!(Prefixes::of_family("bge-small-en-v1.5"), Prefixes::new(SEARCHING, ""));
        assert!(Prefixes::of_family("bge-base-zh").query.starts_with("为"));
        assert_eq!(Prefixes::of_family("snowflake-arctic-embed-s").query, SEARCHING);
        assert_eq!(Prefixes::of_family("snowflake-arctic-embed-m-v2.0").query, "query: ");
        for name in ["all-MiniLM-L6-v2", "bge-m3", "multilingual-e5-large-instruct", "gte-small", "note5"] {
            assert_eq!(Prefixes::of_family(name), Prefixes::default(), "{name}");
        }
    }

    #[test]
    fn file_names_prefixes_or_none() {
        let read = |json: &str| serde_json::from_str::<PromptsFile>(json).unwrap().prefixes();
        assert_eq!(read(r#"{"prompts": {"query": "q ", "passage": "p "}}"#), Some(Prefixes::new("q ", "p ")));
        assert_eq!(
            read(r#"{"prompts": {"query": "q ", "all": "a "}, "default_prompt_name": "all"}"#),
            Some(Prefixes::new("q ", "a "))
        );
        for json in ["{}", r#"{"prompts": null}"#, r#"{"prompts": {"query": "", "document": ""}}"#] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
