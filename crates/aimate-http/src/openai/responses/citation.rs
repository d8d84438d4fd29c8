//! The sources of an answer that a search before it found.

use std::collections::BTreeSet;

use aimate_core::message::Citation;

use crate::openai::item::{Annotation, annotations};

/// The citations of a text: one for each mark `[n]` of a passage, in their order.
pub(super) fn marked(text: &str, passages: &[&Citation]) -> Vec<Annotation> {
    annotations(text, passages)
}

/// The citations of an answer that has no marks: a small model writes none, and its reader
/// wants to know all the same where it was looked up.
pub(super) fn unmarked(text: &str, found: &[Citation]) -> Vec<Annotation> {
    let index = text.chars().count() as u64;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for one in found {
        let file_id = crate::openai::item::file_id(one);
        if seen.insert(file_id.clone()) {
            all.push(Annotation::FileCitation { file_id, filename: one.title.clone(), index });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_without_marks_names_each_file_at_its_end() {
        let id = |n: u128| uuid::Uuid::from_u128(n);
        let passage =
            |n: u32| Citation::new(n, id(u128::from(n)).into(), id(9).into(), &format!("{n}.txt"), "text");
        let found = unmarked("abc", &[passage(1), passage(2), passage(1)]);
        let found = serde_json::to_value(found).unwrap();
        assert_eq!(found.as_array().unwrap().len(), 2);
        assert_eq!((&found[1]["filename"], &found[1]["index"]), (&"2.txt".into(), &3.into()));
    }
}
