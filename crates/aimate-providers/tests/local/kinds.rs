//! Models of other kinds than BERT with its own tokenizer, and what is put before texts.

use aimate_core::knowledge::{EmbedPurpose, Embedder as _};
use aimate_providers::local::{LocalEmbedder, Prefixes};
use serde_json::{Value, json};

use crate::tiny::{Folder, POSITIONS, Precision, Tiny, VOCABULARY, safetensors};

fn open(folder: &Folder) -> LocalEmbedder {
    LocalEmbedder::open(folder.path()).unwrap()
}

#[track_caller]
fn refused(folder: &Folder, said: &str) {
    let Err(error) = LocalEmbedder::open(folder.path()) else { panic!("opened, and should say {said:?}") };
    assert!(error.to_string().contains(said), "{error}");
}

#[track_caller]
fn same(vector: &[f32], expected: &[f64]) {
    assert_eq!(vector.len(), expected.len());
    for (number, expected) in vector.iter().zip(expected) {
        assert!((f64::from(*number) - expected).abs() < 2e-5, "{vector:?} {expected:?}");
    }
}

/// A SentencePiece tokenizer that makes the tokens of [`tokenizer`] out of letters.
pub(crate) fn unigram() -> Value {
    let letters = || ('a'..='z').map(String::from);
    let special = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"].map(str::to_owned);
    let pieces =
        special.clone().into_iter().chain(letters().map(|letter| format!("▁{letter}"))).chain(letters());
    let added: Vec<Value> = special
        .iter()
        .zip(0..)
        .map(|(text, id)| json!({"id": id, "content": text, "special": true, "lstrip": text == "<mask>", "normalized": text == "<mask>"}))
        .collect();
    json!({
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Strip", "strip_left": false, "strip_right": true},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2]},
        "model": {"type": "Unigram", "unk_id": 1, "vocab": pieces.map(|piece| json!([piece, -1.5])).collect::<Vec<_>>()},
    })
}

#[test]
fn sentence_piece_makes_the_vectors_of_the_definition() {
    let tiny = Tiny::new(32, 4, 64, 2);
    let folder = tiny.write(Precision::F32);
    folder.put("tokenizer.json", unigram().to_string());
    let embedder = open(&folder);
    assert_eq!(embedder.scripts().to_string(), "all");
    for text in ["", "a", "the quick brown fox", "z  y x w "] {
        same(&embedder.embed(&[text]).unwrap()[0], &tiny.vector(text));
    }
    // The space before the last word is in no piece either: one unknown token with it.
    assert_eq!(embedder.count_tokens("ab <mask>漢字 "), 2 + 4);
}

#[test]
fn positions_of_xlm_roberta_begin_behind_that_of_padding() {
    let mut tiny = Tiny::new(32, 4, 64, 2);
    let expected = ["a", "the quick brown fox"].map(|text| tiny.vector(text));
    let table = tiny.tensors.get_mut("embeddings.position_embeddings.weight").unwrap();
    table.0[0] += 2;
    table.1.splice(0..0, (0..64).map(|number| number as f32 / 64.0));
    let folder = tiny.write(Precision::F32);
    folder.put("model.safetensors", tiny.weights(Precision::F32, "roberta."));
    let mut config = tiny.config();
    config["model_type"] = json!("xlm-roberta");
    folder.put("config.json", config.to_string());
    folder.put("tokenizer.json", unigram().to_string());
    let embedder = open(&folder);
    assert_eq!(embedder.max_tokens(), POSITIONS);
    for (text, expected) in ["a", "the quick brown fox"].iter().zip(&expected) {
        same(&embedder.embed(&[text]).unwrap()[0], expected);
    }
    config["pad_token_id"] = json!(usize::MAX);
    folder.put("config.json", config.to_string());
    refused(&folder, "leaves none for words");
}

#[test]
fn sentence_piece_of_another_kind_is_refused() {
    let changes: [(&str, Value, &str); 10] = [
        ("/model/unk_id", json!(57), "unk_id is none of its vocabulary"),
        ("/model/byte_fallback", json!(true), "a token for each byte"),
        ("/model/vocab", json!({"a": 1}), "its vocabulary has no scores"),
        ("/model/vocab", json!([["a"]]), "invalid length 1"),
        (
            "/model/vocab",
            json!([["a", -1.5], ["b", -1.5], ["é".repeat(257), -1.5]]),
            "has more than 256 characters",
        ),
        ("/normalizer", json!({"type": "NFKC"}), "a step `NFKC`"),
        (
            "/normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "AAA"}),
            "precompiled_charsmap: ",
        ),
        ("/pre_tokenizer", json!({"type": "ByteLevel"}), "pre_tokenizer is `ByteLevel`"),
        ("/pre_tokenizer/prepend_scheme", json!("first"), "prepend_scheme is `first`"),
        ("/pre_tokenizer/replacement", json!("_"), "does not split at spaces"),
    ];
    for (pointer, value, said) in changes {
        let folder = Tiny::new(8, 2, 8, 1).write(Precision::F32);
        let mut json = unigram();
        match json.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => json["model"]["byte_fallback"] = value,
        }
        folder.put("tokenizer.json", json.to_string());
        refused(&folder, said);
    }
}

#[test]
fn names_of_old_weights_are_known() {
    let mut tiny = Tiny::new(32, 4, 64, 2);
    let expected = tiny.vector("the fox");
    let old = |name: &str| match name.rsplit_once("LayerNorm.") {
        Some((part, "weight")) => format!("{part}LayerNorm.gamma"),
        Some((part, _)) => format!("{part}LayerNorm.beta"),
        None => name.to_owned(),
    };
    tiny.tensors = tiny.tensors.iter().map(|(name, tensor)| (old(name), tensor.clone())).collect();
    same(&open(&tiny.write(Precision::F32)).embed(&["the fox"]).unwrap()[0], &expected);
}

/// A tensor: its name, its type, its shape and its bytes.
type Tensor<'a> = (&'a str, &'a str, Vec<usize>, Vec<u8>);

fn file(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let (mut header, mut data) = (json!({}), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        header[*name] = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
    }
    safetensors(&header.to_string(), &data)
}

/// A folder of static embeddings in which the token `n` has the vector `[n, 1, -n]`.
fn static_folder() -> Folder {
    let folder = Tiny::new(8, 2, 8, 1).write(Precision::F32);
    folder.put("config.json", r#"{"model_type": "model2vec", "normalize": true, "seq_length": 1000000}"#);
    folder.put(
        "modules.json",
        r#"[{"path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
        {"path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
    );
    let rows = (0..VOCABULARY as u8).flat_map(|n| [n as i8, 1, -(n as i8)]);
    let rows: Vec<u8> = rows.map(|number| number as u8).collect();
    folder.put("model.safetensors", file(&[("embeddings", "I8", vec![VOCABULARY, 3], rows)]));
    folder
}

fn of_length_1(vector: [f64; 3]) -> Vec<f64> {
    let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
    vector.iter().map(|number| number / length).collect()
}

#[tokio::test]
async fn static_vectors_are_the_mean_of_the_tokens() {
    let folder = static_folder();
    let embedder = open(&folder);
    assert_eq!((embedder.dimensions(), embedder.max_tokens()), (3, 512));
    assert_eq!(embedder.count_tokens("a b"), 2, "no token is added");
    // `a` is the token 5, `b` within a word 32, and `漢` unknown, which counts for nothing.
    let vectors = embedder.embed(&["a", "ab", "a 漢", "漢", ""]).unwrap();
    same(&vectors[0], &of_length_1([5.0, 1.0, -5.0]));
    same(&vectors[1], &of_length_1([37.0, 2.0, -37.0]));
    same(&vectors[2], &of_length_1([5.0, 1.0, -5.0]));
    // Nothing that is known: the vector of the unknown token, which is 1.
    same(&vectors[3], &of_length_1([1.0, 1.0, -1.0]));
    same(&vectors[4], &of_length_1([1.0, 1.0, -1.0]));
    let many: Vec<String> = (0..500).map(|n| "abc".repeat(n % 7)).collect();
    let together =
        aimate_core::knowledge::Embedder::embed(&embedder, &many, EmbedPurpose::Passage).await.unwrap();
    for (text, vector) in many.iter().zip(&together) {
        assert_eq!(vector, &embedder.embed(&[text]).unwrap()[0]);
    }
    folder.put("config.json", r#"{"model_type": "model2vec", "max_length": 1}"#);
    let cut = open(&folder);
    same(&cut.embed(&["ab"]).unwrap()[0], &of_length_1([5.0, 1.0, -5.0]));
    assert_ne!(cut.version(), embedder.version());
}

#[test]
fn static_vectors_may_be_shared_by_tokens_and_weighed() {
    let folder = static_folder();
    let mapping: Vec<u8> = (0..VOCABULARY as i64).flat_map(|token| (token % 2).to_le_bytes()).collect();
    let weights: Vec<u8> = (0..VOCABULARY).flat_map(|token| (token as f32).to_le_bytes()).collect();
    let rows: Vec<u8> = [1.0_f32, 0.0, 0.0, 0.0, 1.0, 0.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let with = |mapping: &[u8]| {
        file(&[
            ("embeddings", "F32", vec![2, 3], rows.clone()),
            ("mapping", "I64", vec![VOCABULARY], mapping.to_vec()),
            ("weights", "F32", vec![VOCABULARY], weights.clone()),
        ])
    };
    folder.put("model.safetensors", with(&mapping));
    // `a` is the token 5, of row 1; `b` within a word is 32, of row 0.
    same(&open(&folder).embed(&["ab"]).unwrap()[0], &of_length_1([32.0, 5.0, 0.0]));
    for row in [2_i64, -1, i64::MAX] {
        let mut mapping = mapping.clone();
        mapping[8..16].copy_from_slice(&row.to_le_bytes());
        folder.put("model.safetensors", with(&mapping));
        refused(&folder, "the tensor `mapping`");
    }
}

#[test]
fn static_vectors_of_nothing_are_still_vectors() {
    let folder = static_folder();
    let rows = vec![0; VOCABULARY * 3];
    folder.put("model.safetensors", file(&[("embeddings", "I8", vec![VOCABULARY, 3], rows)]));
    same(&open(&folder).embed(&["a"]).unwrap()[0], &[1.0, 0.0, 0.0]);
}

#[test]
fn damaged_static_embeddings_are_refused() {
    let folder = static_folder();
    let (rows, small) = (vec![1; VOCABULARY * 3], vec![1; 30]);
    let changes: [(Tensor<'_>, &str); 5] = [
        (("embeddings", "I8", vec![VOCABULARY * 3], rows.clone()), "is no table"),
        (("embeddings", "U8", vec![VOCABULARY, 3], rows.clone()), "holds U8"),
        (("embeddings", "I8", vec![VOCABULARY, 0], Vec::new()), "vectors of no numbers"),
        (("embeddings", "I8", vec![10, 3], small), "has the token 56 and the weights have 10"),
        (("rows", "I8", vec![VOCABULARY, 3], rows), "there is no tensor `embeddings`"),
    ];
    for (tensor, said) in changes {
        folder.put("model.safetensors", file(&[tensor]));
        refused(&folder, said);
    }
}

#[tokio::test]
async fn prefixes_are_those_of_the_folder_of_the_family_or_of_the_caller() {
    let tiny = Tiny::new(32, 4, 64, 2);
    let folder = tiny.write(Precision::F32);
    let named = |name: &str| {
        let mut config = tiny.config();
        config["_name_or_path"] = json!(name);
        config.to_string()
    };
    let texts = ["the fox".to_owned()];
    let embedded = async |embedder: &LocalEmbedder| {
        let query =
            aimate_core::knowledge::Embedder::embed(embedder, &texts, EmbedPurpose::Query).await.unwrap();
        let passage =
            aimate_core::knowledge::Embedder::embed(embedder, &texts, EmbedPurpose::Passage).await.unwrap();
        (query[0].clone(), passage[0].clone())
    };
    let plain = open(&folder);
    folder.put("config.json", named("intfloat/e5-small-v2"));
    let family = open(&folder);
    assert_ne!(family.version(), plain.version());
    assert_eq!(family.clone().prefixes(Prefixes::default()).version(), plain.version());
    let colon = family.embed(&["query: the fox", "passage: the fox"]).unwrap();
    assert_eq!(embedded(&family).await, (colon[0].clone(), colon[1].clone()));

    let prompts = json!({"prompts": {"query": "q ", "document": "p "}});
    folder.put("config_sentence_transformers.json", prompts.to_string());
    let (query, passage) = embedded(&open(&folder)).await;
    same(&query, &tiny.vector("q the fox"));
    same(&passage, &tiny.vector("p the fox"));

    let own = Prefixes { query: "ask ".to_owned(), passage: String::new() };
    let set = open(&folder).prefixes(own).threads(1).unwrap();
    let (query, passage) = embedded(&set).await;
    same(&query, &tiny.vector("ask the fox"));
    same(&passage, &tiny.vector("the fox"));
    assert_eq!(set.model().version, set.version());
}
