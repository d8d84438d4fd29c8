//! The `aimate` command as a newcomer runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;

use command::{Folder, err, out};

#[test]
fn migrate_says_what_it_applied_and_then_nothing() {
    let folder = Folder::new("migrate");
    let first = folder.aimate(&["migrate"], &[]);
    assert!(first.status.success(), "{}", err(&first));
    assert!(out(&first).contains("applied "), "{}", out(&first));
    let second = folder.aimate(&["migrate"], &[]);
    assert!(!out(&second).contains("applied "), "{}", out(&second));
    assert!(out(&second).contains("up to date"), "{}", out(&second));
}

#[test]
fn chat_answers_without_any_model_and_goes_on() {
    let folder = Folder::new("chat");
    let first = folder.aimate(&["chat", "Hello"], &[("AI_PROVIDER", "builtin")]);
    assert!(first.status.success(), "{}", err(&first));
    assert!(out(&first).contains("model"), "{}", out(&first));
    assert!(folder.0.join("aimate-data/aimate.db").exists());
    let lost = folder.aimate(
        &["chat", "Hello", "--conversation", "0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f"],
        &[("AI_PROVIDER", "builtin")],
    );
    assert!(!lost.status.success());
    assert!(err(&lost).contains("there is no conversation"), "{}", err(&lost));
}

#[test]
fn doctor_says_what_is_wrong() {
    let folder = Folder::new("doctor");
    let well = folder.aimate(&["doctor"], &[("AI_PROVIDER", "builtin")]);
    assert!(well.status.success(), "{}{}", out(&well), err(&well));
    let ill = folder.aimate(&["doctor"], &[("ENCRYPTION_KEY", "change_me_in_production")]);
    assert!(!ill.status.success());
    assert!(out(&ill).contains("ENCRYPTION_KEY"), "{}", out(&ill));
    let away = folder.aimate(&["doctor"], &[("DATABASE_URL", "postgres://u:s3cret@127.0.0.1:9/x")]);
    assert!(!away.status.success());
    assert!(!(out(&away) + &err(&away)).contains("s3cret"));
}

#[test]
fn serve_refuses_what_would_be_open_to_others() {
    let folder = Folder::new("open");
    for (arguments, environment) in
        [(["--addr", "0.0.0.0:0"], vec![]), (["--addr", "127.0.0.1:0"], vec![("JWT_SECRET", "x")])]
    {
        let refused = folder.aimate(&arguments, &environment);
        assert!(!refused.status.success());
        assert!(err(&refused).contains("JWT_SECRET"), "{}", err(&refused));
        assert!(err(&refused).contains("openssl rand -base64 32"), "{}", err(&refused));
    }
}

#[test]
fn weak_encryption_key_is_refused() {
    let folder = Folder::new("weak");
    let refused = folder.aimate(&["chat", "x"], &[("ENCRYPTION_KEY", "change_me_in_production")]);
    assert!(!refused.status.success());
    assert!(err(&refused).contains("openssl rand -base64 32"), "{}", err(&refused));
}

#[test]
fn extract_prints_text_headings_and_warnings() {
    let folder = Folder::new("extract");
    std::fs::write(folder.0.join("a.md"), "# Boiler\n\nServiced in May.\n").unwrap();
    std::fs::write(folder.0.join("b.txt"), b"caf\xe9 au lait, d\xe9j\xe0 vu\n").unwrap();
    let read = folder.aimate(&["extract", "a.md", "b.txt"], &[]);
    assert!(read.status.success(), "{}", err(&read));
    assert_eq!(out(&read), "# Boiler\n\nServiced in May.\ncafé au lait, déjà vu\n");
    assert!(
        err(&read).contains("a.md: text/markdown, 26 characters\ntitle: Boiler\n  Boiler\n"),
        "{}",
        err(&read)
    );
    assert!(err(&read).contains("warning: the text was not UTF-8"), "{}", err(&read));
    assert!(!folder.0.join("aimate-data").exists(), "nothing is stored");

    let cut = folder.aimate(&["extract", "a.md"], &[("AIMATE_READ_TEXT", "0")]);
    assert!(err(&cut).contains("--read-text"), "{}", err(&cut));

    let json = folder.aimate(&["extract", "--json", "a.md", "none.md"], &[]);
    assert!(!json.status.success());
    let lines: Vec<serde_json::Value> =
        out(&json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["document"]["headings"][0]["title"], "Boiler");
    assert_eq!(lines[1]["error"]["kind"], "io");
}
