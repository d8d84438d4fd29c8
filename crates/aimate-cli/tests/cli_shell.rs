//! The `aimate` command among others: pipes, settings in files, what is no file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "common/model_server.rs"]
mod model_server;

use std::io::Write;
use std::process::{Output, Stdio};

use command::{Folder, err, out};
use model_server::ModelServer;

const KEY: &str = "sk-canary-0123456789";

/// Runs `aimate chat` with this on standard input.
fn piped(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Output {
    let mut command = folder.command(arguments, environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn what_is_piped_in_is_one_prompt_before_the_one_that_is_given() {
    let folder = Folder::new("pipe");
    let server = ModelServer::start();
    let environment = [("OPENAI_BASE_URL", server.url.as_str()), ("AI_PROVIDER", "openai")];
    let asked = piped(&folder, &["chat", "--model", "openai/m"], &environment, b"one\ntwo\n\nthree\n");
    assert!(asked.status.success(), "{}", err(&asked));
    assert_eq!(out(&asked).trim(), "Yes");
    assert!(server.asked().contains(r#""content":"one\ntwo\n\nthree\n""#), "{}", server.asked());
    let asked = piped(&folder, &["chat", "Sum up.", "--model", "openai/m"], &environment, b"four\nfive\n");
    assert!(asked.status.success(), "{}", err(&asked));
    assert!(server.asked().contains(r#""content":"four\nfive\n\nSum up.""#), "{}", server.asked());
    let empty = piped(&folder, &["chat"], &environment, b" \n");
    assert!(!empty.status.success());
    assert!(err(&empty).contains("there is no prompt"), "{}", err(&empty));
    let long = piped(&folder, &["chat"], &environment, &vec![b'x'; (4 << 20) + 1]);
    assert!(err(&long).contains("standard input is longer than 4194304 bytes"), "{}", err(&long));
}

#[test]
fn closed_pipe_ends_the_command_quietly() {
    let folder = Folder::new("closed");
    for arguments in [vec!["chat", "Hello"], vec!["migrate"], vec!["search", "x"]] {
        let mut command = folder.command(&arguments, &[("AI_PROVIDER", "builtin")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert!(!err(&ended).contains("panicked"), "{arguments:?}: {}", err(&ended));
        assert!(ended.status.code().is_some(), "{arguments:?}");
    }
}

/// Asks a model with these files of settings beside it, and the key in the environment
/// or not; returns what the server at the address of the files was asked.
fn ask_with(name: &str, files: &[(&str, &str)], arguments: &[&str], key: &str) -> String {
    let folder = Folder::new(name);
    let server = ModelServer::start();
    for (path, text) in files {
        let path = folder.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("URL", &format!("OPENAI_BASE_URL={}", server.url))).unwrap();
    }
    let mut environment = vec![("AI_PROVIDER", "openai")];
    if !key.is_empty() {
        environment.push(("OPENAI_API_KEY", key));
    }
    let arguments = [&["chat", "Hello", "--model", "openai/m"], arguments].concat();
    let mut command = folder.command(&arguments, &environment);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    assert!(!err(&ended).contains("panicked"), "{}", err(&ended));
    server.asked()
}

#[test]
fn address_of_a_file_never_meets_a_key_from_elsewhere() {
    let asked = ask_with("env-split", &[("aimate-data/.env", "URL\n")], &[], KEY);
    assert!(asked.contains("POST /v1/chat/completions") && !asked.contains(KEY), "{asked}");
    let both = format!("URL\nOPENAI_API_KEY={KEY}\n");
    let asked = ask_with("env-both", &[("aimate-data/.env", &both)], &[], "");
    assert!(asked.contains(&format!("Bearer {KEY}")) || asked.contains(&format!("bearer {KEY}")), "{asked}");
    let asked = ask_with("env-named", &[("my.env", &both)], &["--env-file", "my.env"], "");
    assert!(asked.contains(KEY), "{asked}");
}

#[test]
fn settings_of_the_folder_one_works_in_are_not_read() {
    let folder = Folder::new("env-here");
    std::fs::write(folder.0.join(".env"), "AI_PROVIDER=nonsense\n").unwrap();
    let here = folder.0.join("below");
    std::fs::create_dir_all(&here).unwrap();
    for place in [&folder.0, &here] {
        let mut command = folder.command(&["chat", "Hello"], &[("AIMATE_LOG", "warn")]);
        let ended =
            command.current_dir(place).env("AI_PROVIDER", "builtin").stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{}", err(&ended));
    }
    let named = folder.aimate(&["chat", "Hello", "--env-file", ".env"], &[]);
    assert!(err(&named).contains("`nonsense` is not one of"), "{}", err(&named));
    let absent = folder.aimate(&["chat", "Hello", "--env-file", "none.env"], &[]);
    assert!(!absent.status.success() && err(&absent).contains("none.env"), "{}", err(&absent));
}

#[test]
fn names_that_are_no_settings_are_left_alone() {
    let folder = Folder::new("env-names");
    std::fs::create_dir_all(folder.0.join("aimate-data")).unwrap();
    std::fs::write(
        folder.0.join("aimate-data/.env"),
        "LD_PRELOAD=/x.so\nAIMATE_DATA_DIR=/nowhere\nAI_PROVIDER=builtin\n",
    )
    .unwrap();
    let ended = folder.aimate(&["chat", "Hello"], &[]);
    assert!(ended.status.success(), "{}", err(&ended));
    assert!(err(&ended).contains("LD_PRELOAD, AIMATE_DATA_DIR"), "{}", err(&ended));
}

#[cfg(unix)]
#[test]
fn ingest_says_what_is_no_file() {
    let folder = Folder::new("device");
    let ended = folder.aimate(&["ingest", "/dev/zero"], &[("AI_PROVIDER", "builtin")]);
    assert!(!ended.status.success());
    assert!(err(&ended).contains("`/dev/zero`: it is a device, not a file or folder"), "{}", err(&ended));
}

#[test]
fn origin_that_is_none_is_refused_at_the_start() {
    let folder = Folder::new("origins");
    for origins in ["null", "*", "https://a.example,app.example.org", "https://a.example/path"] {
        let ended = folder.aimate(&["serve", "--addr", "127.0.0.1:0"], &[("ALLOWED_ORIGINS", origins)]);
        assert!(!ended.status.success());
        assert!(err(&ended).contains("is not the origin of a web page"), "{origins}: {}", err(&ended));
    }
}
