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
    let list = folder.well(&["model", "list"]);
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
        second.contains("by words alone: `aimate model use NAME` adds meaning, with other or six"),
        "{second}"
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
