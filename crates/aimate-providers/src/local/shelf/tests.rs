mod choice;
mod unpacked;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aimate_core::{Ids as _, RandomIds};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::files::hexadecimal;
use super::*;
use crate::{AddressPolicy, Transport};

/// A folder that goes away with the value.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("aimate-shelf-{}", RandomIds.next().simple()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn shelf(&self) -> ModelShelf {
        ModelShelf::new(self.0.join("models"))
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn model(&self, name: &str) -> PathBuf {
        for (file, bytes) in model() {
            self.put(&format!("{name}/{file}"), bytes);
        }
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files of static embeddings of four tokens.
fn model() -> [(&'static str, Vec<u8>); 3] {
    let tokenizer = json!({
        "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1, "b": 2, "c": 3}},
    });
    let header =
        json!({"embeddings": {"dtype": "I8", "shape": [4, 64], "data_offsets": [0, 256]}}).to_string();
    let numbers = (0..=255_u8).collect();
    let weights = [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes(), numbers].concat();
    [
        ("config.json", br#"{"model_type": "model2vec"}"#.to_vec()),
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("model.safetensors", weights),
    ]
}

fn sha256(bytes: &[u8]) -> &'static str {
    let mut hash = Sha256::new();
    hash.update(bytes);
    Box::leak(hexadecimal(hash).into_boxed_str())
}

/// That model as one that is known by name.
fn named(knows: impl Fn(&str) -> bool) -> NamedModel {
    let files = model().map(|(path, bytes)| match knows(path) {
        true => NamedFile::known(path, bytes.len() as u64, sha256(&bytes)),
        false => NamedFile::new(path),
    });
    let [config, tokenizer, weights] = files;
    let files = vec![config, NamedFile::optional("modules.json"), tokenizer, weights];
    NamedModel {
        name: "tiny",
        purpose: ModelPurpose::Embedding,
        bytes: 1_000,
        languages: "",
        scripts: "",
        license: "",
        repository: "acme/tiny",
        revision: "main",
        files: Box::leak(files.into_boxed_slice()),
    }
}

/// A request: its path, and where the wanted range begins.
type Asked = (String, Option<usize>);

struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    /// Bytes after which the connection is closed.
    cut: usize,
}

impl Reply {
    fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        Self { status, headers: headers.to_owned(), body: body.to_vec(), cut: usize::MAX }
    }
}

/// A server that answers as `reply` says; and what it was asked.
#[allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]
async fn server(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let asked = log.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
            let request = (path, range.map(|range| range.trim_end_matches('-').parse().unwrap()));
            asked.lock().unwrap().push(request.clone());
            let Reply { status, headers, body, cut } = reply(&request);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body[..cut.min(length)]).await;
        }
    });
    (url, log)
}

/// The answer of a hub that has the model, and says the checksum of its weights.
fn hub(asked: &Asked) -> Reply {
    let files: HashMap<String, Vec<u8>> =
        model().map(|(path, bytes)| (format!("/acme/tiny/resolve/main/{path}"), bytes)).into();
    let Some(bytes) = files.get(&asked.0) else { return Reply::new(404, "", b"") };
    let tag = match asked.0.ends_with("model.safetensors") {
        true => format!("x-linked-etag: \"{}\"\r\n", sha256(bytes)),
        false => String::new(),
    };
    match asked.1 {
        None => Reply::new(200, &tag, bytes),
        Some(from) if from < bytes.len() => {
            let (last, all) = (bytes.len() - 1, bytes.len());
            Reply::new(206, &format!("{tag}content-range: bytes {from}-{last}/{all}\r\n"), &bytes[from..])
        }
        Some(_) => Reply::new(416, &tag, b""),
    }
}

async fn fetch(place: &Place, url: &str, model: &NamedModel) -> Result<PathBuf> {
    let hub = ModelHub::new(Transport::new()).url(url);
    place.shelf().fetch(&hub, model, &mut |_| ()).await
}

#[tokio::test]
async fn model_is_fetched_checked_and_placed() {
    for knows in [true, false] {
        let (url, asked) = server(hub).await;
        let place = Place::new();
        let mut told = Vec::new();
        let folder = place
            .shelf()
            .fetch(
                &ModelHub::new(Transport::new()).url(format!("{url}/")),
                &named(|_| knows),
                &mut |progress| {
                    told.push((progress.file.to_owned(), progress.bytes, progress.total));
                },
            )
            .await
            .unwrap();
        assert_eq!(LocalEmbedder::open(&folder).unwrap().name(), "tiny");
        let all = model()[2].1.len() as u64;
        assert_eq!(told.last().unwrap(), &("model.safetensors".to_owned(), all, Some(all)));
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        assert_eq!(asked.lock().unwrap().len(), 4, "the optional file is asked for, and need not be there");
        assert_eq!(place.shelf().used(ModelPurpose::Embedding).unwrap().unwrap().name, "tiny");
        let again = fetch(&place, &url, &named(|_| true)).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let mut names: Vec<_> =
            fs::read_dir(place.0.join("models")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".tiny.lock", ".used", "tiny"], "nothing else is left over");
    }
}

#[tokio::test]
async fn what_breaks_off_is_gone_on_with() {
    let (url, asked) = server(|asked: &Asked| {
        let is_weights = asked.0.ends_with("model.safetensors");
        Reply { cut: if is_weights && asked.1.is_none() { 100 } else { usize::MAX }, ..hub(asked) }
    })
    .await;
    let place = Place::new();
    fetch(&place, &url, &named(|_| false)).await.unwrap();
    let asked = asked.lock().unwrap();
    let ranges: Vec<_> =
        asked.iter().filter(|asked| asked.0.ends_with("safetensors")).map(|asked| asked.1).collect();
    assert_eq!(ranges, [None, Some(100)]);
}

#[tokio::test]
async fn what_was_fetched_before_is_used() {
    let (url, asked) = server(hub).await;
    let place = Place::new();
    let weights = &model()[2].1;
    place.put("models/.tiny.part/model.safetensors", &weights[..50]);
    fetch(&place, &url, &named(|_| true)).await.unwrap();
    assert_eq!(asked.lock().unwrap().last().unwrap().1, Some(50));
    // All of it: known by its checksum, or by what the hub says when it is asked for more.
    for knows in [true, false] {
        let place = Place::new();
        place.put("models/.tiny.part/model.safetensors", weights);
        fetch(&place, &url, &named(|_| knows)).await.unwrap();
        let last = asked.lock().unwrap().last().unwrap().clone();
        assert_eq!(last.1, (!knows).then_some(weights.len()));
    }
    // Another file: it is not kept, and the next try begins anew.
    let place = Place::new();
    place.put("models/.tiny.part/model.safetensors", [0; 50]);
    assert_eq!(fetch(&place, &url, &named(|_| true)).await.unwrap_err().kind(), ErrorKind::Upstream);
    fetch(&place, &url, &named(|_| true)).await.unwrap();
}

#[tokio::test]
async fn wrong_bytes_are_not_kept() {
    let swapped = |asked: &Asked| {
        let mut reply = hub(asked);
        if let Some(last) = reply.body.last_mut().filter(|_| asked.0.ends_with("safetensors")) {
            *last ^= 1;
        }
        reply
    };
    let short = |asked: &Asked| {
        let mut reply = hub(asked);
        if asked.0.ends_with("safetensors") {
            reply.body.truncate(200);
        }
        reply
    };
    // Before anything of the weights is read: they would break off.
    let silent = |asked: &Asked| {
        let cut = if asked.0.ends_with("safetensors") { 10 } else { usize::MAX };
        Reply { headers: String::new(), cut, ..hub(asked) }
    };
    let servers = [server(swapped).await.0, server(short).await.0, server(silent).await.0];
    let says = ["it should have", "it should have", "says no SHA-256"];
    for (url, said) in servers.iter().zip(says) {
        let place = Place::new();
        let error = fetch(&place, url, &named(|path| path == "config.json")).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Upstream && error.to_string().contains(said), "{error}");
        assert!(!place.0.join("models/.tiny.part/model.safetensors").exists());
        assert_eq!(place.shelf().list().unwrap(), []);
    }
}

#[tokio::test]
async fn all_files_are_of_one_commit() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let (url, asked) = server(move |asked: &Asked| {
        let mut reply = hub(&(asked.0.replace(commit, "main"), asked.1));
        reply.headers.push_str(&format!("x-repo-commit: {commit}\r\n"));
        reply
    })
    .await;
    fetch(&Place::new(), &url, &named(|_| false)).await.unwrap();
    let paths: Vec<_> = asked.lock().unwrap().iter().map(|asked| asked.0.clone()).collect();
    let wanted = ["main/config.json", "modules.json", "tokenizer.json", "model.safetensors"];
    let wanted = wanted.map(|file| match file.strip_prefix("main/") {
        Some(_) => format!("/acme/tiny/resolve/{file}"),
        None => format!("/acme/tiny/resolve/{commit}/{file}"),
    });
    assert_eq!(paths, wanted);
}

#[tokio::test]
async fn model_is_fetched_once_at_a_time() {
    let (url, _) = server(hub).await;
    let (place, model) = (Place::new(), named(|_| true));
    let (one, other) = tokio::join!(fetch(&place, &url, &model), fetch(&place, &url, &model));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(LocalEmbedder::open(&one.unwrap()).is_ok());
    // Until it is placed, which is after its part is whole.
    let place = Place::new();
    place.shelf().make().unwrap();
    let lock = Lock::new(&place.0.join("models"), "tiny").unwrap();
    assert_eq!(fetch(&place, &url, &model).await.unwrap_err().kind(), ErrorKind::Conflict);
    drop(lock);
    fetch(&place, &url, &model).await.unwrap();
}

#[tokio::test]
async fn file_larger_than_it_should_be_is_refused() {
    let (url, _) = server(|asked: &Asked| {
        let mut reply = hub(asked);
        reply.body.extend([b' '; 10]);
        reply
    })
    .await;
    let error = fetch(&Place::new(), &url, &named(|_| true)).await.unwrap_err();
    assert!(error.to_string().contains("larger at the hub than the 27 bytes"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_the_policy_goes() {
    let (store, _) = server(hub).await;
    let lead = |to: String| {
        move |asked: &Asked| {
            Reply::new(302, &format!("location: {to}{}\r\n{}", asked.0, hub(asked).headers), b"")
        }
    };
    let (url, _) = server(lead(store.clone())).await;
    fetch(&Place::new(), &url, &named(|_| false)).await.unwrap();
    let strict = Transport::new().untrusted_policy(AddressPolicy::public_only());
    for (to, transport) in [
        (store, strict),
        ("http://10.0.0.1".to_owned(), Transport::new()),
        ("http://169.254.169.254".to_owned(), Transport::new()),
    ] {
        let (url, _) = server(lead(to.clone())).await;
        let hub = ModelHub::new(transport).url(url);
        let error = Place::new().shelf().fetch(&hub, &named(|_| true), &mut |_| ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{to}: {error}");
    }
    let (round, asked) = server(|_| Reply::new(307, "location: /again\r\n", b"")).await;
    let error = fetch(&Place::new(), &round, &named(|_| true)).await.unwrap_err();
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn hub_without_the_model_is_told() {
    for (status, said) in
        [(404, "has no `/acme/tiny/resolve/main/config.json`"), (401, "refuses"), (503, "failed at")]
    {
        let (url, _) = server(move |_| Reply::new(status, "", b"")).await;
        let error = fetch(&Place::new(), &url, &named(|_| false)).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let error = fetch(&Place::new(), "nothing", &named(|_| false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = fetch(&Place::new(), "http://127.0.0.1:9", &named(|_| false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn fetched_model_that_cannot_be_run_is_not_placed() {
    let (url, _) = server(|asked: &Asked| match asked.0.ends_with("config.json") {
        true => Reply::new(200, "", br#"{"model_type": "gpt2"}"#),
        false => hub(asked),
    })
    .await;
    let place = Place::new();
    let error = fetch(&place, &url, &named(|path| path != "config.json")).await.unwrap_err();
    assert!(error.to_string().contains("gpt2"), "{error}");
    assert_eq!(place.shelf().list().unwrap(), []);
}
