//! Cross-encoders.

use aimate_core::ErrorKind;
use aimate_core::knowledge::Reranker as _;
use aimate_providers::local::{LocalEmbedder, LocalReranker};
use serde_json::json;

use crate::kinds::unigram;
use crate::tiny::{Folder, POSITIONS, Precision, Tiny};

const PASSAGES: [&str; 4] = ["the quick brown fox", "", "jumps over it", "a b c d e f g h i j"];

fn write(tiny: &Tiny) -> Folder {
    let folder = tiny.write(Precision::F32);
    let mut config = tiny.config();
    config["architectures"] = json!(["BertForSequenceClassification"]);
    folder.put("config.json", config.to_string());
    folder
}

#[tokio::test]
async fn scores_are_those_of_the_definition() {
    let tiny = Tiny::new(32, 4, 64, 2).with_head(false);
    let folder = write(&tiny);
    let reranker = LocalReranker::open(folder.path()).unwrap();
    assert!(reranker.name().starts_with("local/aimate-test-"), "{}", reranker.name());
    let passages: Vec<String> = PASSAGES.iter().cycle().take(90).map(|text| (*text).to_owned()).collect();
    let scores = reranker.rerank("who jumps", &passages).await.unwrap();
    assert_eq!(scores.len(), passages.len());
    for (passage, score) in passages.iter().zip(&scores) {
        let expected = tiny.score("who jumps", passage, false);
        assert!((f64::from(*score) - expected).abs() < 2e-5, "{passage}: {score} {expected}");
    }
    assert!(scores[0] != scores[2], "the passages are told apart");
    assert_eq!(reranker.scores("a", &[]).unwrap(), [0.0; 0]);
}

#[test]
fn pairs_of_xlm_roberta_have_a_double_border_and_one_type() {
    let tiny = Tiny::new(32, 4, 64, 2).with_head(true);
    let mut shifted = Tiny { tensors: tiny.tensors.clone(), ..Tiny::new(32, 4, 64, 2) };
    let table = shifted.tensors.get_mut("embeddings.position_embeddings.weight").unwrap();
    table.0[0] += 2;
    table.1.splice(0..0, [0.5; 64]);
    let folder = write(&shifted);
    let mut config = tiny.config();
    config["model_type"] = json!("xlm-roberta");
    folder.put("config.json", config.to_string());
    folder.put("tokenizer.json", unigram().to_string());
    let reranker = LocalReranker::open(folder.path()).unwrap();
    for (passage, score) in PASSAGES.iter().zip(reranker.scores("who jumps", &PASSAGES).unwrap()) {
        let expected = tiny.score("who jumps", passage, true);
        assert!((f64::from(score) - expected).abs() < 2e-5, "{passage}: {score} {expected}");
    }
}

#[test]
fn what_is_too_long_is_cut_where_it_is_longer() {
    let tiny = Tiny::new(32, 4, 64, 1).with_head(false);
    let folder = write(&tiny);
    let reranker = LocalReranker::open(folder.path()).unwrap();
    // Three tokens are around them.
    let room = POSITIONS - 3;
    let [long, half] = [100, room.div_ceil(2)].map(|letters| "a".repeat(letters));
    let rest = |taken: usize| "b".repeat(room - taken);
    for (query, passage, cut_query, cut_passage) in [
        ("aaa", "b".repeat(100), "aaa".to_owned(), rest(3)),
        (long.as_str(), "bbb".to_owned(), "a".repeat(room - 3), "bbb".to_owned()),
        (long.as_str(), "b".repeat(100), half.clone(), rest(half.len())),
    ] {
        let score = reranker.scores(query, &[&passage]).unwrap()[0];
        let expected = tiny.score(&cut_query, &cut_passage, false);
        assert!((f64::from(score) - expected).abs() < 2e-5, "{query:.5}: {score} {expected}");
    }
}

#[test]
fn models_are_not_taken_for_what_they_are_not() {
    let folder = write(&Tiny::new(8, 2, 8, 1).with_head(false));
    let Err(error) = LocalEmbedder::open(folder.path()) else { panic!("it makes no vectors") };
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("a cross-encoder"), "{error}");
    let plain = Tiny::new(8, 2, 8, 1).write(Precision::F32);
    let Err(error) = LocalReranker::open(plain.path()) else { panic!("it has no head") };
    assert!(error.to_string().contains("there is no tensor `pooler.dense.weight`"), "{error}");
    let mut three = Tiny::new(8, 2, 8, 1).with_head(false);
    let head = three.tensors.get_mut("classifier.weight").unwrap();
    *head = (vec![3, 8], vec![0.5; 24]);
    let Err(error) = LocalReranker::open(write(&three).path()) else { panic!("it has three scores") };
    assert!(error.to_string().contains("has the shape [3, 8]"), "{error}");
}
