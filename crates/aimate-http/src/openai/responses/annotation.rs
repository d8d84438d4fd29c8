//! The sources of an answer as OpenAI has them: `file_citation`.

use std::collections::BTreeSet;

use aimate_core::message::Citation;
use serde_json::{Value, json};

use crate::openai::wire_id;

/// The file that a passage is of.
pub(super) fn file_id(passage: &Citation) -> String {
    match passage.document_id {
        Some(document) => wire_id::write("file-", document.0),
        None => passage.source.clone().unwrap_or_default(),
    }
}

/// The citations of a text: one for each mark `[n]` of a passage, in their order.
pub(super) fn marked(text: &str, passages: &[Citation]) -> Vec<Value> {
    if passages.is_empty() || !text.contains('[') {
        return Vec::new();
    }
    let (mut found, mut characters) = (Vec::new(), 0);
    let mut pieces = text.split('[');
    characters += pieces.next().map_or(0, |piece| piece.chars().count());
    for piece in pieces {
        let numbers = piece.split_once(']').map_or("", |(inner, _)| inner);
        let numbers = numbers.split(',').map(|number| number.trim().parse().ok());
        let cited: Option<Vec<_>> =
            numbers.map(|number: Option<u32>| passages.iter().find(|one| Some(one.n) == number)).collect();
        found.extend(cited.unwrap_or_default().into_iter().map(|one| annotation(one, characters)));
        characters += 1 + piece.chars().count();
    }
    found
}

/// The citations of an answer that has no marks: a small model writes none, and its reader
/// wants to know all the same where it was looked up.
pub(super) fn unmarked(text: &str, passages: &[Citation]) -> Vec<Value> {
    let end = text.chars().count();
    let mut seen = BTreeSet::new();
    let files = passages.iter().filter(|one| seen.insert(file_id(one)));
    files.map(|one| annotation(one, end)).collect()
}

fn annotation(passage: &Citation, index: usize) -> Value {
    json!({
        "type": "file_citation", "file_id": file_id(passage), "filename": passage.title, "index": index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages() -> Vec<Citation> {
        let id = |n: u128| uuid::Uuid::from_u128(n);
        let passage =
            |n: u32| Citation::new(n, id(u128::from(n)).into(), id(9).into(), &format!("{n}.txt"), "text");
        vec![passage(1), passage(2)]
    }

    #[test]
    fn each_mark_is_a_citation_at_its_character() {
        let found = marked("Ä [1] and [1, 2], not [3] nor [x]", &passages());
        let places: Vec<_> =
            found.iter().map(|one| (one["filename"].as_str().unwrap(), one["index"].as_u64().unwrap())).collect();
        assert_eq!(places, [("1.txt", 2), ("1.txt", 10), ("2.txt", 10)]);
        assert_eq!(found[0]["file_id"], "file-00000000000000000000000000000001");
        assert!(marked("[", &passages()).is_empty() && marked("[1]", &[]).is_empty());
    }

    #[test]
    fn answer_without_marks_names_each_file_at_its_end() {
        let mut twice = passages();
        twice.extend(passages());
        let found = unmarked("abc", &twice);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1]["index"], 3);
    }
}
