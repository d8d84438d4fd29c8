//! What a model computes.

use aimate_core::ErrorKind;
use aimate_core::knowledge::{EmbedPurpose, Embedder as _};
use aimate_providers::local::LocalEmbedder;
use serde_json::json;

use crate::tiny::{Folder, POSITIONS, Precision, Tiny, dot, tokenizer};

const TEXTS: [&str; 7] =
    ["", "a", "the quick brown fox", "z y x w", "b", "a a a a a a a a a a a a a a", "jumps over it"];

fn open(folder: &Folder) -> LocalEmbedder {
    LocalEmbedder::open(folder.path()).unwrap()
}

fn far(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
fn vectors_of_any_shape_are_those_of_the_definition() {
    let shapes = [(32, 4, 64, 2), (40, 5, 17, 1), (8, 1, 3, 3), (24, 24, 24, 1), (36, 3, 500, 2)];
    for (n, (hidden, heads, inner, layers)) in shapes.into_iter().enumerate() {
        let mut tiny = Tiny::new(hidden, heads, inner, layers);
        tiny.cls = n % 2 == 1;
        tiny.activation = ["gelu", "gelu_new", "relu", "gelu", "gelu_pytorch_tanh"][n];
        let folder = tiny.write(Precision::F32);
        let embedder = open(&folder);
        assert_eq!(embedder.dimensions(), hidden);
        let vectors = embedder.embed(&TEXTS).unwrap();
        for (text, vector) in TEXTS.iter().zip(&vectors) {
            let far = far(vector, &tiny.vector(text));
            assert!(far < 2e-5, "{text:?} of {hidden}/{heads}/{inner}: {far}");
        }
    }
}

#[test]
fn a_vector_depends_on_no_text_beside_it_and_on_no_number_of_threads() {
    let folder = Tiny::new(32, 4, 64, 2).write(Precision::F32);
    let embedder = open(&folder);
    let alone: Vec<Vec<f32>> = TEXTS.iter().map(|text| embedder.embed(&[text]).unwrap().remove(0)).collect();
    let many: Vec<&str> = TEXTS.iter().copied().cycle().take(TEXTS.len() * 30).collect();
    for threads in [1, 2, 3] {
        let embedder = embedder.clone().threads(threads).unwrap();
        let together = embedder.embed(&many).unwrap();
        assert_eq!(together.len(), many.len());
        for (vector, expected) in together.iter().zip(alone.iter().cycle()) {
            let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
            assert!(far(vector, &expected) < 1e-6);
        }
    }
    assert!(embedder.embed(&[]).unwrap().is_empty());
}

#[test]
fn weights_of_16_bits_make_the_same_vectors() {
    let tiny = Tiny::new(32, 4, 64, 2);
    let folders = [Precision::F32, Precision::F16, Precision::Bf16].map(|number| tiny.write(number));
    let [full, half, brain] = folders.each_ref().map(|folder| open(folder).embed(&TEXTS).unwrap());
    assert_eq!(full, half);
    assert_eq!(full, brain);
}

#[test]
fn a_long_text_is_cut_where_the_model_says_and_not_where_its_tokenizer_does() {
    let tiny = Tiny::new(32, 4, 64, 2);
    let folder = tiny.write(Precision::F32);
    // Its tokenizer.json would cut at 4 tokens and fill up to 16.
    assert_eq!(open(&folder).max_tokens(), POSITIONS);
    folder.put("sentence_bert_config.json", r#"{"max_seq_length": 12}"#);
    let embedder = open(&folder);
    assert_eq!(embedder.max_tokens(), 12);
    let long = "abcdefghijklmnopq".repeat(3);
    assert_eq!(embedder.count_tokens(&long), 2 + 51);
    let vector = embedder.embed(&[&long]).unwrap().remove(0);
    assert!(far(&vector, &tiny.vector("abcdefghij")) < 2e-5);
    folder.put("sentence_bert_config.json", r#"{"max_seq_length": 4096}"#);
    assert_eq!(open(&folder).max_tokens(), POSITIONS);
}

#[test]
fn tokens_are_counted_with_those_the_model_adds() {
    let folder = Tiny::new(8, 1, 8, 1).write(Precision::F32);
    let embedder = open(&folder);
    for (text, tokens) in [
        ("", 2),
        ("a b", 4),
        ("ab", 4),
        ("ÀB\u{301}", 4),
        ("a\0\u{200b}\u{fffd}b", 4),
        ("語a", 4),
        ("a.b", 5),
        ("x[SEP]y", 5),
        (&"a".repeat(100), 102),
        (&"a".repeat(101), 3),
        (&"a".repeat(100_000), 3),
    ] {
        assert_eq!(embedder.count_tokens(text), tokens, "{text:.20}");
    }
}

#[test]
fn the_body_of_a_model_with_a_head_is_found() {
    let tiny = Tiny::new(8, 2, 8, 1);
    let folder = tiny.write(Precision::F32);
    folder.put("model.safetensors", tiny.weights(Precision::F32, "bert."));
    let vector = open(&folder).embed(&["a b"]).unwrap().remove(0);
    assert!(far(&vector, &tiny.vector("a b")) < 2e-5);
}

#[test]
fn the_version_tells_weights_tokenizer_and_pooling_apart() {
    let mut tiny = Tiny::new(8, 2, 8, 1);
    let folder = tiny.write(Precision::F32);
    let version = open(&folder).version().to_owned();
    assert!(version.len() == 16 && version.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(open(&tiny.write(Precision::F32)).version(), version, "another folder is the same model");
    tiny.cls = true;
    assert_ne!(open(&tiny.write(Precision::F32)).version(), version, "pooling");
    tiny.cls = false;
    folder.put("tokenizer.json", format!("{} ", tokenizer()));
    assert_ne!(open(&folder).version(), version, "tokenizer");
    tiny.tensors.get_mut("encoder.layer.0.output.dense.bias").unwrap().1[0] += 1.0;
    assert_ne!(open(&tiny.write(Precision::F32)).version(), version, "weights");
}

#[test]
fn numbers_that_are_not_finite_are_an_error() {
    let mut tiny = Tiny::new(8, 2, 8, 1);
    tiny.tensors.get_mut("encoder.layer.0.output.LayerNorm.bias").unwrap().1[3] = f32::NAN;
    let folder = tiny.write(Precision::F32);
    assert_eq!(open(&folder).embed(&["a"]).unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn calls_beside_each_other_all_come_back() {
    let tiny = Tiny::new(32, 4, 64, 2);
    let folder = tiny.write(Precision::F32);
    let prompts = json!({"prompts": {"query": "query ", "document": ""}});
    folder.put("config_sentence_transformers.json", prompts.to_string());
    let embedder = open(&folder).threads(2).unwrap();
    assert_eq!(embedder.model().name, format!("local/{}", embedder.name()));
    assert_eq!(embedder.model().dimensions, 32);
    let texts = ["the fox".to_owned(), "a b c".to_owned()];
    let calls =
        (0..40).map(|n| {
            let purpose = if n % 2 == 0 { EmbedPurpose::Query } else { EmbedPurpose::Passage };
            let (embedder, texts) = (&embedder, &texts);
            async move {
                (purpose, aimate_core::knowledge::Embedder::embed(embedder, texts, purpose).await.unwrap())
            }
        });
    for (purpose, vectors) in futures_util::future::join_all(calls).await {
        for (text, vector) in texts.iter().zip(&vectors) {
            let prompt = if purpose == EmbedPurpose::Query { "query " } else { "" };
            assert!(far(vector, &tiny.vector(&format!("{prompt}{text}"))) < 2e-5);
        }
    }
}

#[test]
fn vectors_have_the_length_1() {
    let folder = Tiny::new(32, 4, 64, 2).write(Precision::F32);
    for vector in open(&folder).embed(&TEXTS).unwrap() {
        let vector: Vec<f64> = vector.into_iter().map(f64::from).collect();
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-6);
    }
}
