//! Documents on the command line: from a folder to a cited answer.

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
use std::process::Output;

use command::{Folder, err, out};
use serde_json::{Value, json};

const BUILTIN: (&str, &str) = ("AI_PROVIDER", "builtin");
const BOILER: &str = "# Heating\n\nThe boiler is serviced in May.\n";

impl Folder {
    /// Runs `aimate` without a model server.
    fn run(&self, arguments: &[&str]) -> Output {
        self.aimate(arguments, &[BUILTIN])
    }

    /// Runs `aimate`, which must succeed; returns what it wrote.
    fn well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        out(&output)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The lines of JSON of `ingest --json`, by file name.
    fn lines(output: &Output) -> Vec<(String, Value)> {
        let lines = out(output);
        let read = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut named: Vec<_> = read
            .map(|line| (line["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), line))
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }
}

#[test]
fn folder_is_followed_through_changes() {
    let folder = Folder::new("follow");
    folder.write("docs/boiler.md", BOILER);
    folder.write("docs/deep/garden.txt", "The hedge is cut in autumn.");
    folder.write("docs/pump.md", "The pump runs at night.");
    folder.write("docs/photo.png", b"\x89PNG\r\n\x1a\n0000");
    folder.write("docs/.hidden", "not seen");
    let first = folder.well(&["ingest", "docs"]);
    assert!(
        first.contains(
            "3 added, 0 updated, 0 moved, 0 deleted, 0 unchanged, 0 failed, 1 skipped; 3 chunks in"
        ),
        "{first}"
    );
    assert!(first.contains("ready    docs/boiler.md (1 chunk)"), "{first}");
    let again = folder.well(&["ingest", "docs"]);
    assert!(
        again.contains("0 added, 0 updated, 0 moved, 0 deleted, 3 unchanged, 0 failed, 1 skipped"),
        "{again}"
    );

    folder.write("docs/boiler.md", "# Heating\n\nThe boiler is serviced in June.\n");
    fs::rename(folder.0.join("docs/pump.md"), folder.0.join("docs/water pump.md")).unwrap();
    fs::remove_file(folder.0.join("docs/deep/garden.txt")).unwrap();
    let kept = folder.well(&["ingest", "docs", "--keep-deleted"]);
    assert!(kept.contains("0 added, 1 updated, 1 moved, 0 deleted, 0 unchanged, 0 failed"), "{kept}");
    let last = folder.well(&["ingest", "docs"]);
    assert!(last.contains("0 added, 0 updated, 0 moved, 1 deleted, 2 unchanged, 0 failed"), "{last}");
    assert!(folder.well(&["search", "boiler serviced"]).contains("in June"));
    assert!(!folder.well(&["search", "hedge autumn"]).contains("hedge is cut"));
    assert!(folder.0.join("aimate-data/blobs").is_dir());
}

#[test]
fn json_tells_of_every_document_and_failures_count() {
    let folder = Folder::new("json");
    folder.write("docs/boiler.md", BOILER);
    folder.write("docs/empty.txt", "");
    folder.write("docs/photo.png", b"\x89PNG\r\n\x1a\n0000");
    for is_unchanged in [false, true] {
        let output = folder.run(&["ingest", "docs", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
        assert!(err(&output).contains("1 failed, 1 skipped"), "{}", err(&output));
        let lines = Folder::lines(&output);
        let told: Vec<_> =
            lines.iter().map(|(name, line)| (name.as_str(), line["status"].as_str().unwrap())).collect();
        assert_eq!(told, [("boiler.md", "ready"), ("empty.txt", "failed"), ("photo.png", "skipped")]);
        assert_eq!((&lines[0].1["chunks"], &lines[0].1["error"]), (&1.into(), &Value::Null));
        assert_eq!(lines[0].1["unchanged"], is_unchanged);
        assert!(lines[0].1["id"].is_string());
        assert!(lines[1].1["error"]["detail"].is_string(), "{lines:?}");
    }
    folder.write("docs/empty.txt", "Now it says something.");
    assert!(folder.well(&["ingest", "docs/empty.txt"]).contains("1 updated"));
}

#[test]
fn many_documents_are_deleted_only_where_that_is_allowed() {
    let folder = Folder::new("many");
    for n in 0..30 {
        folder.write(&format!("docs/{n}.md"), format!("The number is {n}."));
    }
    folder.well(&["ingest", "docs"]);
    for n in 0..25 {
        fs::remove_file(folder.0.join(format!("docs/{n}.md"))).unwrap();
    }
    let refused = folder.run(&["ingest", "docs"]);
    assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
    for part in ["25 of the collection's 30 documents are gone", "nothing was changed", "`--delete`"] {
        assert!(err(&refused).contains(part), "{part}: {}", err(&refused));
    }
    assert!(folder.well(&["ingest", "docs", "--keep-deleted"]).contains("0 deleted, 5 unchanged"));
    assert!(folder.well(&["ingest", "docs", "--delete"]).contains("25 deleted, 5 unchanged"));
}

#[cfg(unix)]
#[test]
fn folder_that_cannot_be_read_keeps_its_documents() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let folder = Folder::new("shut");
    folder.write("docs/shut/a.md", "The attic is dry.");
    folder.write("docs/gone.md", "The cellar is wet.");
    folder.write("docs/b.md", BOILER);
    // Root may read everything, so it runs the command as nobody.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        for path in ["", "docs", "docs/shut", "docs/shut/a.md", "docs/gone.md", "docs/b.md"] {
            chown(folder.0.join(path), Some(65_534), Some(65_534)).unwrap();
        }
    }
    let ingest = || {
        let mut command = folder.command(&["ingest", "docs"], &[BUILTIN]);
        if is_root {
            use std::os::unix::process::CommandExt;
            command.uid(65_534).gid(65_534);
        }
        command.output()
    };
    let first = match ingest() {
        // The build folder is closed to nobody.
        Err(error) if is_root && error.kind() == std::io::ErrorKind::PermissionDenied => return,
        first => first.unwrap(),
    };
    assert!(out(&first).contains("3 added"), "{}{}", out(&first), err(&first));
    let shut = folder.0.join("docs/shut");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    fs::remove_file(folder.0.join("docs/gone.md")).unwrap();
    let second = ingest().unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(second.status.code(), Some(1), "{}{}", out(&second), err(&second));
    assert!(
        out(&second).contains("1 deleted, 1 unchanged, 0 failed, 0 skipped, 1 unreadable"),
        "{}",
        out(&second)
    );
    assert!(out(&second).contains("unreadable docs/shut: it cannot be read"), "{}", out(&second));
    let third = ingest().unwrap();
    assert!(out(&third).contains("0 added, 0 updated, 0 moved, 0 deleted, 2 unchanged"), "{}", out(&third));
}

#[test]
fn wrong_calls_say_so() {
    let folder = Folder::new("wrong");
    let missing = folder.run(&["ingest", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2), "{}", err(&missing));
    assert!(err(&missing).contains("`nowhere`"), "{}", err(&missing));
    assert_eq!(folder.run(&["ingest"]).status.code(), Some(2));
    let lost = folder.run(&["search", "x", "--collection", "lost"]);
    assert!(err(&lost).contains("no collection `lost`"), "{}", err(&lost));
    let mode = folder.run(&["search", "x", "--mode", "magic"]);
    assert_eq!(mode.status.code(), Some(2));
    assert!(err(&mode).contains("hybrid"), "{}", err(&mode));
    let local = folder.aimate(&["search", "x"], &[BUILTIN, ("AIMATE_EMBEDDER", "local")]);
    assert!(
        err(&local).contains("`aimate model add potion-base-8M`") && err(&local).contains("AIMATE_MODEL_DIR"),
        "{}",
        err(&local)
    );
}

#[test]
fn search_shows_where_and_why() {
    let folder = Folder::new("search");
    folder.write(
        "docs/boiler.md",
        "# House\n\n## Heating\n\nThe boiler is serviced in May.\n\n## Water\n\nThe pump hums.\n",
    );
    folder.well(&["ingest", "docs", "--collection", "house"]);
    let found =
        folder.well(&["search", "When is the boiler serviced?", "--collection", "house", "--explain"]);
    assert!(found.starts_with(" 1  ") && found.contains("House"), "{found}");
    for part in ["words: rank 1, BM25", "meaning: not found", "terms       boiler", "time        "] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let json = folder.well(&["search", "boiler", "--json", "--explain", "--limit", "1"]);
    let response: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(response["data"].as_array().unwrap().len(), 1, "{json}");
    assert!(response["data"][0]["text"].as_str().unwrap().contains("serviced in May"));
    assert!(response["explain"]["timings"]["total_ms"].is_number());
    assert!(folder.well(&["search", "zebra"]).contains("nothing found"));
}

#[test]
fn chat_cites_the_documents() {
    let folder = Folder::new("cite");
    folder.write("docs/boiler.md", BOILER);
    folder.write("docs/garden.md", "# Garden\n\nThe hedge is cut in autumn.\n");
    folder.well(&["ingest", "docs"]);
    let answer = folder.well(&["chat", "When is the boiler serviced?", "--collection", "documents"]);
    assert!(answer.contains("The boiler is serviced in May.” [1]"), "{answer}");
    assert!(answer.contains("\n[1] Heating"), "{answer}");
    let lost = folder.run(&["chat", "x", "--collection", "lost"]);
    assert!(!lost.status.success());
}

#[test]
fn eval_measures_a_test_collection() {
    let folder = Folder::new("eval");
    let topics =
        ["boiler", "hedge", "pump", "roof", "cellar", "window", "garden", "chimney", "stairs", "door"];
    let lines = |line: &dyn Fn(usize, &str) -> String| -> String {
        topics.iter().enumerate().map(|(n, topic)| line(n, topic) + "\n").collect()
    };
    folder.write(
        "set/corpus.jsonl",
        lines(&|n, topic| {
            format!(r#"{{"_id":"d{n}","title":"The {topic}","text":"How the {topic} is kept."}}"#)
        }),
    );
    folder.write(
        "set/queries.jsonl",
        lines(&|n, topic| format!(r#"{{"_id":"q{n}","text":"Who looks after the {topic}?"}}"#)),
    );
    folder.write(
        "set/qrels.tsv",
        String::from("query-id\tcorpus-id\tscore\n") + &lines(&|n, _| format!("q{n}\td{n}\t1")),
    );
    let table = folder.well(&["eval", "--collection", "set", "--run-dir", "runs"]);
    assert!(table.contains("set: 10 documents in 10 chunks"), "{table}");
    assert!(table.contains("text     1.0000     1.0000      1.0000  1.0000"), "{table}");
    assert!(table.contains("without an embedder"), "{table}");
    let run = fs::read_to_string(folder.0.join("runs/text.trec")).unwrap();
    assert!(run.lines().any(|line| line.starts_with("q3 Q0 d3 1 ")), "{run}");
    assert!(!folder.0.join("aimate-data").exists(), "nothing is left behind");

    let json = folder.well(&[
        "eval",
        "--collection",
        "set",
        "--json",
        "--database",
        "sqlite:own.db",
        "--chunk-size",
        "500",
    ]);
    let measured: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(measured["modes"][0]["score"]["mrr@10"], 1.0, "{json}");
    assert_eq!(measured["embedder"], Value::Null);
    let left = folder.well(&["doctor", "--database", "sqlite:own.db"]);
    assert!(left.contains("0 ready, 0 pending, 0 processing, 0 failed in 0 collections"), "{left}");
    // Half of the questions found nothing before.
    let worse: String =
        run.lines().filter(|line| !line.starts_with("q3 ")).map(|line| format!("{line}\n")).collect();
    folder.write("worse/text.trec", worse.replace("Q0 d1 ", "Q0 d9 "));
    let compared = folder.well(&["eval", "--collection", "set", "--compare", "worse"]);
    assert!(compared.contains("text beside worse/text.trec"), "{compared}");
    assert!(compared.contains("nDCG@10     +0."), "{compared}");
    let same = folder.well(&["eval", "--collection", "set", "--compare", "runs/text.trec", "--json"]);
    let same: Value = serde_json::from_str(&same).unwrap();
    assert_eq!(same["comparisons"][0]["mrr@10"], json!({"mean": 0.0, "low": 0.0, "high": 0.0}), "{same}");
    folder.write("wrong.trec", "q1 Q0 d1 1 high x\n");
    for (run, why) in [("wrong.trec", "line 1"), ("set", "has no `text.trec`"), ("nothing", "cannot read")] {
        let refused = folder.run(&["eval", "--collection", "set", "--compare", run]);
        assert!(!refused.status.success() && err(&refused).contains(why), "{}", err(&refused));
    }
    let vector = folder.run(&["eval", "--collection", "set", "--mode", "vector"]);
    assert!(err(&vector).contains("needs an embedder"), "{}", err(&vector));
}

#[test]
fn doctor_tells_of_documents_and_mends_what_is_left_over() {
    let folder = Folder::new("heal");
    folder.write("docs/boiler.md", BOILER);
    folder.write("docs/empty.txt", "");
    folder.run(&["ingest", "docs"]);
    let well = folder.well(&["doctor"]);
    for part in [
        "1 ready, 0 pending, 0 processing, 1 failed in 1 collection, 1 chunk",
        "failed with `empty`, such as empty.txt",
        "embedder: no model here",
        "nothing is left over",
    ] {
        assert!(well.contains(part), "{part}: {well}");
    }
    // The bytes of a document that is not there, as a crash can leave them.
    let kept = walk(&folder.0.join("aimate-data/blobs")).pop().unwrap();
    let name = kept.file_name().unwrap().to_str().unwrap();
    let other = if name.starts_with('f') { "e" } else { "f" };
    let stray = kept.with_file_name(format!("{other}{}", &name[1..]));
    fs::copy(&kept, &stray).unwrap();
    let found = folder.well(&["doctor"]);
    assert!(found.contains("left over (`--repair` removes it): 1 file"), "{found}\n{}", stray.display());
    assert!(stray.exists());
    assert!(folder.well(&["doctor", "--repair"]).contains("removed: 1 file"));
    assert!(!stray.exists() && kept.exists());
    let broken = folder.aimate(&["doctor"], &[BUILTIN, ("AIMATE_MODEL_DIR", "nowhere")]);
    assert!(!broken.status.success() && out(&broken).contains("PROBLEM  embedder"), "{}", out(&broken));
}

#[test]
fn worker_says_nothing_of_its_own() {
    let folder = Folder::new("worker");
    let output = folder.aimate(&["extract-worker"], &[("AIMATE_TYPO", "x"), ("AIMATE_LOG", "trace")]);
    assert!(!output.status.success());
    assert!(!err(&output).contains("AIMATE_TYPO"), "{}", err(&output));
    assert!(!folder.0.join("aimate-data").exists());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
