//! Test collections in the layout of BEIR (Thakur et al., 2021):
//! `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or `qrels/test.tsv`.

use std::collections::HashMap;
use std::path::Path;

use aimate::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Characters of a text that stand in for a title it does not have.
const TITLE: usize = 60;

/// The judged grade of documents, by their ids; 1 and more is relevant.
pub(crate) type Judgements = HashMap<String, i64>;

/// A test collection.
#[derive(Debug)]
pub(crate) struct Dataset {
    /// What is searched.
    pub(crate) documents: Vec<Entry>,
    /// The questions, by id; those that nobody judged are left out.
    pub(crate) queries: Vec<(String, String)>,
    /// The judgements by query, of those alone that have a relevant document.
    pub(crate) judgements: HashMap<String, Judgements>,
}

/// A document of the corpus.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "_id")]
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
struct Query {
    #[serde(rename = "_id")]
    id: Id,
    text: String,
}

/// An id, which some collections write as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Text(String),
    Number(i64),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(id) => f.write_str(id),
            Self::Number(id) => id.fmt(f),
        }
    }
}

impl Entry {
    /// The name it is added under. A name becomes the title, which is indexed
    /// with the text; where there is none, the text's own first words add
    /// nothing to it.
    pub(crate) fn name(&self) -> String {
        let title = self.title.trim();
        if !title.is_empty() {
            return title.chars().take(aimate::limit::DOCUMENT_NAME).collect();
        }
        let text = self.text.trim();
        let line: String = text.lines().next().unwrap_or_default().chars().take(TITLE).collect();
        let whole = if line.len() == text.len() { None } else { line.rfind(' ') };
        let words = whole.and_then(|end| line.get(..end)).unwrap_or(&line).trim();
        if words.is_empty() { self.id.to_string() } else { words.to_owned() }
    }

    /// Its text; the title where there is nothing else.
    pub(crate) fn body(&self) -> &str {
        if self.text.trim().is_empty() { &self.title } else { &self.text }
    }
}

impl Dataset {
    /// Reads the collection of a folder.
    ///
    /// # Errors
    /// `Invalid`, naming the file and the line.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let documents = lines(&folder.join("corpus.jsonl"))?;
        let queries: Vec<Query> = lines(&folder.join("queries.jsonl"))?;
        let judgements = judgements(folder)?;
        let judged = queries.into_iter().map(|query| (query.id.to_string(), query.text));
        let queries = judged.filter(|(id, _)| judgements.contains_key(id)).collect();
        Ok(Self { documents, queries, judgements })
    }
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = text(path)?;
    let filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = filled
        .map(|(n, line)| serde_json::from_str(line).map_err(|error| wrong(path, n, &error.to_string())));
    read.collect()
}

fn judgements(folder: &Path) -> Result<HashMap<String, Judgements>> {
    let named = ["qrels.tsv", "qrels/test.tsv"].map(|name| folder.join(name));
    let path = named.iter().find(|path| path.exists()).ok_or_else(|| {
        Error::invalid(format!("{} has neither `qrels.tsv` nor `qrels/test.tsv`", folder.display()))
    })?;
    let mut all: HashMap<String, Judgements> = HashMap::new();
    for (n, line) in text(path)?.lines().enumerate() {
        let mut fields = line.split('\t');
        let (Some(query), Some(document), Some(grade)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        match grade.trim().parse() {
            Ok(grade) => {
                all.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
            }
            // The names of the columns.
            Err(_) if n == 0 => {}
            Err(_) => return Err(wrong(path, n, "the third column is no whole number")),
        }
    }
    all.retain(|_, grades| grades.values().any(|grade| *grade > 0));
    Ok(all)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())).with_source(error))
}

fn wrong(path: &Path, line: usize, why: &str) -> Error {
    Error::invalid(format!("{}, line {}: {why}", path.display(), line + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(title: &str, text: &str) -> Entry {
        Entry { id: Id::Number(7), title: title.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn name_is_the_title_or_the_first_words() {
        assert_eq!(entry(" A wing ", "text").name(), "A wing");
        let long = "the boundary layer in simple shear flow past a flat plate and a very long rest";
        assert_eq!(entry("", long).name(), "the boundary layer in simple shear flow past a flat plate");
        assert_eq!(entry("", "short").name(), "short");
        assert_eq!(entry("", " ").name(), "7");
        assert_eq!(entry("title", "").body(), "title");
    }

    #[test]
    fn folder_is_read_with_or_without_column_names() {
        let folder = std::env::temp_dir().join(format!("aimate-beir-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("qrels")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write(
            "corpus.jsonl",
            "{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n{\"_id\":2,\"text\":\"y\"}\n\n",
        );
        write("queries.jsonl", "{\"_id\":\"q\",\"text\":\"x?\"}\n{\"_id\":\"unjudged\",\"text\":\"z\"}\n");
        assert!(Dataset::read(&folder).unwrap_err().message().contains("qrels/test.tsv"));
        write("qrels/test.tsv", "q\ta\t2\nunjudged\ta\t0\n");
        let read = Dataset::read(&folder).unwrap();
        assert_eq!((read.documents.len(), read.queries.len()), (2, 1));
        write("qrels.tsv", "query-id\tcorpus-id\tscore\nq\ta\t1\nq\t2\tx\n");
        assert!(Dataset::read(&folder).unwrap_err().message().contains("line 3"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
