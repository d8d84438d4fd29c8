//! Folders that are not what they should be: a clear error, never a panic.

use aimate_core::ErrorKind;
use aimate_providers::local::LocalEmbedder;
use serde_json::{Value, json};

use crate::tiny::{Folder, Precision, Tiny, safetensors, tokenizer};

fn tiny() -> (Tiny, Folder) {
    let tiny = Tiny::new(8, 2, 8, 1);
    let folder = tiny.write(Precision::F32);
    (tiny, folder)
}

#[track_caller]
fn refused(folder: &Folder, said: &str) {
    let Err(error) = LocalEmbedder::open(folder.path()) else { panic!("opened, and should say {said:?}") };
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let (_, folder) = tiny();
        folder.remove(name);
        refused(&folder, &format!("` has no `{name}`; a model is a folder with tokenizer.json"));
    }
    let error = LocalEmbedder::open("/nowhere/at/all".as_ref()).err().unwrap();
    assert!(error.to_string().starts_with("there is no folder `/nowhere/at/all`; a model is"), "{error}");
}

#[test]
fn a_network_of_another_kind_is_refused() {
    let changes: [(&str, Value, &str); 8] = [
        (
            "model_type",
            json!("roberta"),
            "model_type is `roberta`; only `bert`, `xlm-roberta` and `model2vec`",
        ),
        ("hidden_act", json!("silu"), "unknown variant `silu`, expected one of `gelu`"),
        ("position_embedding_type", json!("relative_key"), "is `relative_key`; only `absolute`"),
        ("num_attention_heads", json!(3), "hidden_size 8 cannot be cut into 3 heads"),
        ("num_attention_heads", json!(0), "one of its sizes is 0"),
        ("hidden_size", json!(16), "has the shape [57, 8]; config.json requires [57, 16]"),
        ("num_hidden_layers", json!(2), "there is no tensor `encoder.layer.1.attention.self.query.weight`"),
        ("intermediate_size", json!(-1), "invalid value: integer `-1`"),
    ];
    for (key, value, said) in changes {
        let (tiny, folder) = tiny();
        let mut config = tiny.config();
        config[key] = value;
        folder.put("config.json", config.to_string());
        refused(&folder, said);
    }
    let (_, folder) = tiny();
    folder.put("config.json", "{");
    refused(&folder, "config.json`: EOF while parsing");
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    let changes: [(&str, Value, &str); 8] = [
        (
            "/normalizer",
            json!({"type": "Lowercase"}),
            "normalizer is `Lowercase`; that of a BERT or XLM-RoBERTa model",
        ),
        ("/pre_tokenizer", json!({"type": "Metaspace"}), "pre_tokenizer is `Metaspace`"),
        ("/post_processor", Value::Null, "post_processor is `none`"),
        ("/post_processor/single/2/SpecialToken/type_id", json!(1), "no template of one text with type 0"),
        ("/model/type", json!("BPE"), "model is `BPE`; `WordPiece` and `Unigram` are known"),
        ("/model/unk_token", json!("<unk>"), "its vocabulary has no `<unk>`"),
        ("/model/continuing_subword_prefix", json!(""), "`##` is usual"),
        ("/model/vocab/q", json!(57), "has the token 57 and the weights have 57 tokens"),
    ];
    for (pointer, value, said) in changes {
        let (_, folder) = tiny();
        let mut json = tokenizer();
        *json.pointer_mut(pointer).unwrap() = value;
        folder.put("tokenizer.json", json.to_string());
        refused(&folder, said);
    }
    let (_, folder) = tiny();
    let mut json = tokenizer();
    json["added_tokens"][0]["normalized"] = json!(true);
    folder.put("tokenizer.json", json.to_string());
    refused(&folder, "added token `[PAD]` is matched as a whole word or after cleaning");
}

#[test]
fn pooling_and_modules_that_are_not_known_are_refused() {
    let (_, folder) = tiny();
    folder.put(
        "1_Pooling/config.json",
        r#"{"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true}"#,
    );
    refused(&folder, "the mean or the CLS token alone is known");
    folder.put("1_Pooling/config.json", r#"{"pooling_mode": "lasttoken"}"#);
    refused(&folder, "its pooling is `lasttoken`");
    folder.put("1_Pooling/config.json", r#"{"pooling_mode": "cls"}"#);
    folder.put("modules.json", r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#);
    refused(&folder, "it has a module `Dense`");
    folder.remove("modules.json");
    folder.remove("1_Pooling/config.json");
    LocalEmbedder::open(folder.path()).unwrap();
}

#[test]
fn a_model_with_no_room_for_words_is_refused() {
    let (_, folder) = tiny();
    for max in [0, 2] {
        folder.put("sentence_bert_config.json", format!(r#"{{"max_seq_length": {max}}}"#));
        refused(&folder, &format!("a text may have {max} tokens, which leaves none for words"));
    }
}

#[test]
fn weights_that_end_early_are_refused_wherever_they_end() {
    let (tiny, folder) = tiny();
    let whole = tiny.weights(Precision::F32, "");
    for end in (0..whole.len()).step_by(whole.len() / 200).chain([0, 1, 7, 8, 9, whole.len() - 1]) {
        folder.put("model.safetensors", &whole[..end]);
        refused(&folder, "is not a complete safetensors file");
    }
}

#[test]
fn a_header_that_lies_is_refused() {
    let (_, folder) = tiny();
    let at = |offsets: [u64; 2], shape: Value| {
        let name = "embeddings.word_embeddings.weight";
        let header = json!({name: {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).to_string();
        safetensors(&header, &[0; 64])
    };
    let huge = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    for weights in [
        huge(u64::MAX),
        huge(3),
        huge(1 << 40),
        safetensors("[]", &[]),
        safetensors("{\"a\": {}}", &[]),
        safetensors("\u{1}", &[]),
        at([64, 32], json!([1, 8])),
        at([32, 96], json!([2, 8])),
        at([u64::MAX - 32, u64::MAX], json!([1, 8])),
        at([0, 64], json!([1_u64 << 60, 8])),
        at([0, u64::MAX], json!([1_u64 << 59, 8])),
        at([0, 60], json!([2, 8])),
    ] {
        folder.put("model.safetensors", weights);
        refused(&folder, "is not a complete safetensors file");
    }
    let header = json!({"embeddings.word_embeddings.weight": {"dtype": "I64", "shape": [1, 8], "data_offsets": [0, 64]}});
    folder.put("model.safetensors", safetensors(&header.to_string(), &[0; 64]));
    refused(&folder, "holds I64; only F64, F32, F16 and BF16 are supported");
    for shape in [json!([16]), json!([4, 4]), json!([2, 2, 4])] {
        folder.put("model.safetensors", at([0, 64], shape));
        refused(&folder, "config.json requires");
    }
}
