//! Models on the command line: from words alone to meaning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;

use command::{Folder, err, out};
use serde_json::json;

const BUILTIN: (&str, &str) = ("AI_PROVIDER", "builtin");
/// Words of the model, each its own axis; `warm` and `heated` mean the same to it.
const WORDS: [&str; 6] = ["[UNK]", "boiler", "garden", "pump", "warm", "heated"];

impl Folder {
    fn run(&self, arguments: &[&str]) -> Output {
        self.aimate(arguments, &[BUILTIN])
    }

    /// Runs `aimate`, which must succeed; returns what it wrote.
    fn well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        out(&output)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The folder of a model of six words.
    fn model(&self, name: &str) {
        let ids: serde_json::Map<_, _> =
            WORDS.iter().zip(0..).map(|(word, id)| ((*word).to_owned(), json!(id))).collect();
        let tokenizer = json!({
            "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": ids},
        });
        let numbers: Vec<u8> =
            (0..6_usize).flat_map(|row| (0..6).map(move |at| u8::from(at == row.min(4)))).collect();
        let header =
            json!({"embeddings": {"dtype": "I8", "shape": [6, 6], "data_offsets": [0, 36]}}).to_string();
        let weights = [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes(), numbers].concat();
        self.write(&format!("{name}/config.json"), r#"{"model_type": "model2vec"}"#);
        self.write(&format!("{name}/tokenizer.json"), tokenizer.to_string());
        self.write(&format!("{name}/model.safetensors"), weights);
    }
}

impl Folder {
    /// The folder of a cross-encoder that finds everything as good: its weights are 0.
    fn judge(&self, name: &str) {
        let layer = |part: &str| format!("encoder.layer.0.{part}");
        let mut shapes = vec![
            ("embeddings.word_embeddings.weight".to_owned(), vec![6, 2]),
            ("embeddings.position_embeddings.weight".to_owned(), vec![64, 2]),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, 2]),
            ("classifier.weight".to_owned(), vec![1, 2]),
            ("classifier.bias".to_owned(), vec![1]),
        ];
        let linear = [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ];
        for part in linear.map(layer).into_iter().chain(["pooler.dense".to_owned()]) {
            shapes.extend([(format!("{part}.weight"), vec![2, 2]), (format!("{part}.bias"), vec![2])]);
        }
        for part in [
            "embeddings.LayerNorm".to_owned(),
            layer("attention.output.LayerNorm"),
            layer("output.LayerNorm"),
        ] {
            shapes.extend([(format!("{part}.weight"), vec![2]), (format!("{part}.bias"), vec![2])]);
        }
        let (mut header, mut end) = (json!({}), 0);
        for (name, shape) in shapes {
            let start = end;
            end += shape.iter().product::<usize>() * 4;
            header[name] = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        }
        let header = header.to_string();
        let weights =
            [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes(), vec![0; end]].concat();
        let config = json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_act": "gelu",
            "hidden_size": 2, "intermediate_size": 2, "num_attention_heads": 1, "num_hidden_layers": 1});
        let tokenizer = json!({
            "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[SEP]": 1, "[CLS]": 2, "boiler": 3}},
        });
        self.write(&format!("{name}/config.json"), config.to_string());
        self.write(&format!("{name}/tokenizer.json"), tokenizer.to_string());
        self.write(&format!("{name}/model.safetensors"), weights);
    }
}

#[test]
fn reranker_orders_what_is_found() {
    let folder = Folder::new("judge");
    folder.write("docs/boiler.md", "The boiler keeps it warm.");
    folder.well(&["ingest", "docs", "--collection", "docs"]);
    let search = ["search", "boiler", "--collection", "docs", "--explain"];
    assert!(!folder.well(&search).contains("reranked 0."));
    folder.judge("judge");
    let added = folder.well(&["model", "add", "judge"]);
    assert!(added.contains("by words alone") && added.contains("reranked by judge"), "{added}");
    assert!(folder.well(&["model", "list"]).contains("here, used, a reranker"));
    let found = folder.well(&search);
    assert!(found.contains("reranked 0.500"), "{found}");
    assert!(folder.well(&["model", "use", "judge"]).contains("orders the best hits"));
    // An empty setting is none.
    let found = folder.aimate(&search, &[BUILTIN, ("AIMATE_RERANKER_URL", "")]);
    assert!(out(&found).contains("reranked 0.500"), "{}", err(&found));
    let refused = folder.run(&["model", "use", "judge", "--collections"]);
    assert!(err(&refused).contains("needs a model that embeds"), "{}", err(&refused));
    folder.well(&["model", "use", "none"]);
    assert!(!folder.well(&search).contains("reranked 0."));
}

#[test]
fn search_goes_on_without_a_broken_reranker() {
    let folder = Folder::new("broken-judge");
    folder.write("docs/boiler.md", "The boiler keeps it warm.");
    folder.well(&["ingest", "docs", "--collection", "docs"]);
    folder.judge("judge");
    folder.well(&["model", "add", "judge"]);
    assert!(folder.well(&["doctor"]).contains("searches are reranked by judge"));
    folder.write("set/corpus.jsonl", r#"{"_id": "d1", "title": "", "text": "The boiler keeps it warm."}"#);
    folder.write("set/queries.jsonl", r#"{"_id": "q1", "text": "boiler"}"#);
    folder.write("set/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
    let eval = ["eval", "--collection", "set"];
    folder.well(&eval);

    folder.write("aimate-data/models/judge/model.safetensors", "short");
    let search = ["search", "boiler", "--collection", "docs", "--explain"];
    let found = folder.well(&search);
    assert!(found.contains("boiler") && !found.contains("reranked 0."), "{found}");
    // What measures searches does not leave it out.
    assert!(err(&folder.run(&eval)).contains("`aimate model remove judge`"));
    let doctor = folder.run(&["doctor"]);
    assert!(!doctor.status.success());
    assert!(out(&doctor).contains("reranker: ") && out(&doctor).contains("`aimate model remove judge`"));

    fs::remove_dir_all(folder.0.join("aimate-data/models/judge")).unwrap();
    assert!(folder.well(&search).contains("boiler"));
    let doctor = folder.run(&["doctor"]);
    assert!(out(&doctor).contains("`aimate model use none`"), "{}", out(&doctor));
    folder.well(&["model", "remove", "judge"]);
    folder.well(&["doctor"]);
}

#[test]
fn collections_of_another_model_are_told_until_they_are_built_anew() {
    let folder = Folder::new("stale");
    folder.model("six");
    folder.well(&["model", "add", "six"]);
    folder.well(&["model", "add", "six", "--name", "other"]);
    folder.write("docs/boiler.md", "The boiler keeps it warm.");
    folder.well(&["ingest", "docs", "--collection", "docs"]);
    let told = folder.well(&["model", "use", "other"]);
    assert!(told.contains("by words alone") && told.contains("take no documents"), "{told}");
    assert!(folder.well(&["search", "heated", "--collection", "docs"]).contains("nothing found"));
    folder.write("docs/garden.md", "The garden is green.");
    assert!(!folder.run(&["ingest", "docs", "--collection", "docs"]).status.success());
    let doctor = folder.run(&["doctor"]);
    assert!(!doctor.status.success());
    for part in ["docs: its vectors are of local/six", "local/other", "`aimate model use NAME --collections`"]
    {
        assert!(out(&doctor).contains(part), "{}", out(&doctor));
    }
    // Settings win, so that it would be another model than `other`.
    let refused =
        folder.aimate(&["model", "use", "other", "--collections"], &[BUILTIN, ("AIMATE_MODEL_DIR", "six")]);
    assert!(err(&refused).contains("AIMATE_MODEL_DIR"), "{}", err(&refused));
    assert!(out(&folder.run(&["doctor"])).contains("local/six"));
    folder.well(&["model", "use", "other", "--collections"]);
    assert!(folder.well(&["search", "heated", "--collection", "docs"]).contains("boiler"));
    let doctor = out(&folder.run(&["doctor"]));
    assert!(!doctor.contains("its vectors are of"), "{doctor}");
}

#[test]
fn model_brings_meaning_to_what_is_there_and_what_comes() {
    let folder = Folder::new("meaning");
    let doctor = folder.well(&["doctor"]);
    assert!(doctor.contains("by words alone: `aimate model add potion-base-8M`"), "{doctor}");
    folder.write("old/boiler.md", "The boiler keeps it warm.");
    folder.write("old/garden.md", "The garden is green.");
    folder.well(&["ingest", "old", "--collection", "old"]);
    assert!(folder.well(&["search", "heated", "--collection", "old"]).contains("nothing found"));

    folder.model("six");
    let added = folder.well(&["model", "add", "six"]);
    assert!(added.contains("added six") && added.contains("by words and meaning, with six"), "{added}");
    assert!(added.contains("--collections"), "{added}");
    let doctor = folder.well(&["doctor"]);
    assert!(doctor.contains("local/six is loaded: 6 dimensions"), "{doctor}");

    folder.write("new/boiler.md", "The boiler keeps it warm.");
    folder.well(&["ingest", "new", "--collection", "new"]);
    assert!(folder.well(&["search", "heated", "--collection", "new"]).contains("boiler"));
    assert!(folder.well(&["search", "heated", "--collection", "old"]).contains("nothing found"));
    let built = folder.well(&["model", "use", "six", "--collections"]);
    assert!(
        built.contains("old: 2 chunks") && built.contains("1 collection got the vectors of `local/six`"),
        "{built}"
    );
    let found = folder.well(&["search", "heated", "--collection", "old"]);
    assert!(found.contains(" 1 ") && found.contains("boiler"), "{found}");
    let again = folder.well(&["model", "use", "six", "--collections"]);
    assert!(again.contains("0 collections got"), "{again}");
}

#[test]
fn models_are_listed_chosen_and_removed() {
    let folder = Folder::new("shelf");
    let list = out(&folder.aimate(&["model", "list"], &[BUILTIN, ("AIMATE_MODEL_HUB", "")]));
    assert!(
        list.contains(
            "`aimate model add potion-base-8M`: English (Latn), MIT, https://huggingface.co/minishlab"
        ),
        "{list}"
    );
    folder.model("six");
    folder.well(&["model", "add", "six"]);
    assert!(folder.well(&["model", "list"]).contains("here, used"));
    let second = folder.well(&["model", "add", "six", "--name", "other"]);
    assert!(
        second.contains("with six") && second.contains("`aimate model use other` sets it to be used"),
        "{second}"
    );
    fs::create_dir(folder.0.join("aimate-data/models/tmp")).unwrap();
    assert!(folder.well(&["model", "list"]).contains("here, but cannot be read"));
    assert!(folder.well(&["doctor"]).contains("local/six is loaded"));
    let none = folder.well(&["model", "use", "none"]);
    assert!(
        none.contains("by words alone: `aimate model use NAME` adds meaning, with other or six"),
        "{none}"
    );
    let local = folder.aimate(&["search", "x"], &[BUILTIN, ("AIMATE_EMBEDDER", "local")]);
    assert!(err(&local).contains("`aimate model use NAME` chooses one"), "{}", err(&local));
    assert!(folder.well(&["model", "use", "other"]).contains("with other"));
    // Settings win.
    let set = folder.aimate(&["doctor"], &[BUILTIN, ("AIMATE_MODEL_DIR", "six")]);
    assert!(out(&set).contains("local/six is loaded"), "{}", out(&set));
    assert!(folder.well(&["doctor"]).contains("local/other is loaded"));
    assert!(folder.well(&["model", "use", "none"]).contains("words alone"));
    assert!(folder.well(&["doctor"]).contains("no model here"));
    folder.well(&["model", "remove", "other"]);
    folder.well(&["model", "use", "six"]);
    folder.well(&["model", "remove", "six"]);
    assert!(folder.0.join("six/config.json").exists());
    for (arguments, said) in [
        (["model", "remove", "six"], "there is no model `six`"),
        (["model", "use", "six"], "there is no model `six`"),
        (["model", "add", "nonsense"], "no model that is known by name: potion-base-8M"),
        (["model", "add", "."], "has no `config.json`"),
    ] {
        let output = folder.run(&arguments);
        assert!(!output.status.success() && err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn damaged_model_says_how_to_mend_it() {
    let folder = Folder::new("damaged");
    folder.model("six");
    folder.well(&["model", "add", "six"]);
    folder.write("aimate-data/models/six/model.safetensors", "short");
    let doctor = folder.run(&["doctor"]);
    assert!(!doctor.status.success());
    assert!(out(&doctor).contains("`aimate model remove six` and add it again"), "{}", out(&doctor));
    assert!(!folder.run(&["model", "use", "six"]).status.success());
    // Nothing asks for it.
    let doctor = folder.aimate(&["doctor"], &[BUILTIN, ("AIMATE_EMBEDDER", "none")]);
    assert!(doctor.status.success(), "{}", out(&doctor));
    assert!(out(&doctor).contains("the model of the data folder is not loaded"), "{}", out(&doctor));
}

/// A hub that has nothing but other bytes than it should; returns what it was asked.
fn wrong_hub() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), Vec::new());
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
            let body = " ".repeat(202);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

#[test]
fn hub_is_asked_for_the_model_and_not_believed() {
    let folder = Folder::new("hub");
    let (url, asked) = wrong_hub();
    let output = folder.aimate(&["model", "add", "potion-base-8m"], &[BUILTIN, ("AIMATE_MODEL_HUB", &url)]);
    assert!(!output.status.success());
    assert!(
        out(&output).contains(&format!(
            "fetching potion-base-8M (31 MB, English, MIT) from {url}/minishlab/potion-base-8M"
        )),
        "{}",
        out(&output)
    );
    assert!(err(&output).contains("`config.json` came with 202 bytes and the SHA-256"), "{}", err(&output));
    let first = asked.recv().unwrap();
    let commit = "bf8b056651a2c21b8d2565580b8569da283cab23";
    assert_eq!(first, format!("GET /minishlab/potion-base-8M/resolve/{commit}/config.json HTTP/1.1"));
    assert!(!folder.0.join("aimate-data/models/potion-base-8M").exists());
    let unknown =
        folder.aimate(&["model", "add", "bge-small-en-v1.5"], &[BUILTIN, ("AIMATE_MODEL_HUB", &url)]);
    assert!(out(&unknown).contains("its checksum is not known here"), "{}", out(&unknown));
    let named = folder.run(&["model", "add", "potion-base-8M", "--name", "mine"]);
    assert!(err(&named).contains("keeps its name"), "{}", err(&named));
}
