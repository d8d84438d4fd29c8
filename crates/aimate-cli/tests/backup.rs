//! What of a data folder outlives its server: backups, whole files after a stop,
//! and a doctor and a `/ready` that tell the truth.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and start processes"
)]

#[path = "common/command.rs"]
mod command;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use command::{Folder, err, out};
use sqlx::Connection as _;

const BUILTIN: (&str, &str) = ("AI_PROVIDER", "builtin");
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Runs `aimate`, which must fail; returns what it wrote.
    fn ill(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        assert!(!err(&output).contains("panicked"), "{}", err(&output));
        out(&output) + &err(&output)
    }

    /// With two documents.
    fn filled(name: &str) -> Self {
        let folder = Self::new(name);
        fs::create_dir_all(folder.0.join("docs")).unwrap();
        fs::write(folder.0.join("docs/boiler.md"), "The boiler is serviced in May.\n").unwrap();
        fs::write(folder.0.join("docs/tap.md"), "The main tap is in the cellar.\n").unwrap();
        folder.well(&["ingest", "docs"]);
        folder
    }

    fn data(&self, name: &str) -> PathBuf {
        self.0.join("aimate-data").join(name)
    }

    /// The files with the documents' bytes.
    fn blobs(&self) -> Vec<PathBuf> {
        files(&self.data("blobs"))
    }

    /// Changes the database behind everybody's back.
    fn sql(&self, statement: &'static str) {
        let url = format!("sqlite:{}", self.data("aimate.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut session = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(statement).execute(&mut session).await.unwrap();
            session.close().await.unwrap();
        });
    }

    fn finds(&self, arguments: &[&str]) {
        let found = self.well(&[&["search", "main tap", "--mode", "text"], arguments].concat());
        assert!(found.contains("cellar"), "{found}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// A running server; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.unwrap();
        let mut command = folder.command(&["serve", "--addr", &address.to_string()], &[BUILTIN]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, address };
        server.until("GET /ready", "200");
        server
    }

    /// The whole answer; empty if there is none.
    fn ask(&self, request: &str, body: &str) -> String {
        let mut answer = String::new();
        let mut ask = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let length = body.len();
            write!(
                stream,
                "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{body}",
                self.address
            )?;
            stream.read_to_string(&mut answer)
        };
        let _ = ask();
        answer
    }

    /// Waits for an answer with this status; returns it.
    fn until(&self, request: &str, status: &str) -> String {
        let begun = Instant::now();
        loop {
            let answer = self.ask(request, "");
            if answer.starts_with(&format!("HTTP/1.1 {status}")) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{request}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGTERM, and its end.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn backup_of_a_running_server_is_opened_by_another_process_and_brought_back() {
    let folder = Folder::filled("backup");
    let server = Server::start(&folder);
    let told = folder.well(&["backup", "copy.db"]);
    assert!(told.contains("2 documents") && told.contains("encryption key is in it"), "{told}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(folder.0.join("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = folder.ill(&["backup", "copy.db"]);
    assert!(again.contains("is there already"), "{again}");
    let busy = folder.ill(&["restore", "copy.db", "--replace"]);
    assert!(busy.contains("a process works on"), "{busy}");
    let without = folder.well(&["backup", "no-key.db", "--without-key"]);
    assert!(without.contains("encryption key is not in it"), "{without}");
    server.stop();

    // Another process opens the file as it is.
    fs::copy(folder.0.join("copy.db"), folder.0.join("opened.db")).unwrap();
    folder.finds(&["--database", "sqlite:opened.db"]);

    let restored = folder.well(&["restore", "copy.db", "--data-dir", "fresh"]);
    assert!(restored.contains("2 documents"), "{restored}");
    folder.finds(&["--data-dir", "fresh"]);
    let fresh = folder.0.join("fresh");
    assert_eq!(
        fs::read(fresh.join("encryption.key")).unwrap().trim_ascii(),
        fs::read(folder.data("encryption.key")).unwrap().trim_ascii()
    );
    let (was, is) = (folder.blobs(), files(&fresh.join("blobs")));
    let bytes = |files: &[PathBuf]| files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    assert_eq!((was.len(), bytes(&was)), (2, bytes(&is)));
    let doctor = folder.well(&["doctor", "--data-dir", "fresh"]);
    assert!(doctor.contains("all is well") && doctor.contains("nothing is left over"), "{doctor}");

    let taken = folder.ill(&["restore", "copy.db", "--data-dir", "fresh"]);
    assert!(taken.contains("--replace"), "{taken}");
    folder.well(&["restore", "no-key.db", "--data-dir", "fresh", "--replace"]);
    folder.finds(&["--data-dir", "fresh"]);
    let aside = fs::read_dir(&fresh).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("aimate.db.replaced-")
    });
    assert_eq!(aside.count(), 1);
}

#[test]
fn damaged_backup_touches_nothing() {
    let folder = Folder::filled("damaged-backup");
    folder.well(&["backup", "copy.db"]);
    let mut bytes = fs::read(folder.0.join("copy.db")).unwrap();
    let text = b"The main tap is in the cellar.\n";
    let places: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    for at in places {
        bytes[at] = b't';
    }
    fs::write(folder.0.join("copy.db"), bytes).unwrap();
    let told = folder.ill(&["restore", "copy.db", "--data-dir", "fresh"]);
    assert!(told.contains("damaged"), "{told}");
    assert!(!folder.0.join("fresh").exists());
    let whole = fs::read(folder.0.join("copy.db")).unwrap();
    fs::write(folder.0.join("cut.db"), &whole[..whole.len() / 2]).unwrap();
    let told = folder.ill(&["restore", "cut.db", "--data-dir", "fresh"]);
    assert!(told.contains("damaged"), "{told}");
    fs::write(folder.0.join("no-backup"), "hello").unwrap();
    let told = folder.ill(&["restore", "no-backup", "--data-dir", "fresh"]);
    assert!(told.contains("is no backup"), "{told}");
}

#[test]
fn stopped_server_leaves_one_whole_file() {
    let folder = Folder::filled("whole-file");
    let server = Server::start(&folder);
    let created = server.ask("POST /api/v1/conversations", r#"{"title":"kept"}"#);
    assert!(created.contains("kept"), "{created}");
    server.stop();
    let log = fs::metadata(folder.data("aimate.db-wal")).map_or(0, |about| about.len());
    assert_eq!(log, 0);
    fs::create_dir(folder.0.join("copy")).unwrap();
    fs::copy(folder.data("aimate.db"), folder.0.join("copy/aimate.db")).unwrap();
    folder.finds(&["--data-dir", "copy"]);
}

#[test]
fn quiet_server_has_all_in_one_file() {
    let folder = Folder::filled("quiet");
    let server = Server::start(&folder);
    server.ask("POST /api/v1/conversations", r#"{"title":"kept-while-running"}"#);
    let begun = Instant::now();
    let is_in_it = || {
        let bytes = fs::read(folder.data("aimate.db")).unwrap();
        bytes.windows(18).any(|window| window == b"kept-while-running")
    };
    while !is_in_it() {
        assert!(begun.elapsed() < PATIENCE, "it stays in the log");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(server);
}

#[test]
fn ready_tells_that_the_file_is_gone_or_another() {
    let folder = Folder::filled("ready");
    let server = Server::start(&folder);
    let (file, aside) = (folder.data("aimate.db"), folder.data("aside.db"));
    fs::rename(&file, &aside).unwrap();
    let told = server.until("GET /ready", "503");
    assert!(told.contains("file is gone"), "{told}");
    let refused = server.ask("POST /api/v1/conversations", "{}");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    fs::write(&file, "").unwrap();
    let begun = Instant::now();
    while !server.until("GET /ready", "503").contains("another file") {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused = server.ask("POST /api/v1/conversations", "{}");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    fs::rename(&aside, &file).unwrap();
    server.until("GET /ready", "200");
    let stored = server.ask("POST /api/v1/conversations", r#"{"title":"again"}"#);
    assert!(stored.contains("again"), "{stored}");
    server.stop();
}

#[test]
fn doctor_finds_bytes_that_are_not_those_that_were_stored() {
    let folder = Folder::filled("doctor-bytes");
    let [one, two] = folder.blobs().try_into().unwrap();
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(&one, "").unwrap();
    assert!(folder.ill(&["doctor"]).contains("are empty"));
    let mut altered = first.clone();
    altered[0] ^= 1;
    fs::write(&one, &altered).unwrap();
    fs::write(&two, &second).unwrap();
    let told = folder.ill(&["doctor"]);
    assert!(told.contains("are not those that were stored") && told.contains("restore"), "{told}");
    // Nor are they served.
    let server = Server::start(&folder);
    let list = server.ask("GET /api/v1/knowledge/documents", "");
    let ids: Vec<&str> = list.split("\"id\":\"").skip(1).map(|rest| &rest[..36]).collect();
    assert_eq!(ids.len(), 2, "{list}");
    let contents: Vec<_> = ids
        .iter()
        .map(|id| server.ask(&format!("GET /api/v1/knowledge/documents/{id}/content"), ""))
        .collect();
    assert_eq!(
        contents.iter().filter(|content| content.starts_with("HTTP/1.1 200")).count(),
        1,
        "{contents:?}"
    );
    assert_eq!(
        contents.iter().filter(|content| content.starts_with("HTTP/1.1 500")).count(),
        1,
        "{contents:?}"
    );
    server.stop();
    fs::remove_file(&one).unwrap();
    assert!(folder.ill(&["doctor"]).contains("are gone"));
    fs::write(folder.0.join("secret"), &first).unwrap();
    std::os::unix::fs::symlink(folder.0.join("secret"), &one).unwrap();
    let told = folder.ill(&["doctor"]);
    assert!(told.contains("are gone") && told.contains("are not aiMate's"), "{told}");
    fs::remove_file(&one).unwrap();
    fs::write(&one, &first).unwrap();
    fs::write(folder.data("blobs/notes.txt"), "mine").unwrap();
    let told = folder.well(&["doctor", "--repair"]);
    assert!(told.contains("1 file among the documents' bytes"), "{told}");
    assert!(folder.data("blobs/notes.txt").exists());
}

#[test]
fn doctor_finds_an_audit_record_that_was_changed() {
    let folder = Folder::filled("doctor-audit");
    let server = Server::start(&folder);
    for name in ["one", "two", "three"] {
        let body = format!(
            r#"{{"name":"{name}","provider":"openai","url":"http://127.0.0.1:9/v1","is_enabled":false}}"#
        );
        let made = server.ask("POST /api/v1/connections", &body);
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }
    assert!(
        server.ask("GET /api/v1/audit?action=connection.created&limit=1", "").contains("next_cursor\":\"")
    );
    server.stop();
    let told = folder.well(&["doctor", "--audit"]);
    assert!(told.contains("3 records") && told.contains("the newest is 3:"), "{told}");
    let head = told.split("the newest is ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    folder.well(&["doctor", "--audit", "--audit-head", &head]);
    folder.sql("UPDATE audit_records SET actor_id = zeroblob(16) WHERE sequence = 2");
    let told = folder.ill(&["doctor", "--audit"]);
    assert!(told.contains("record 2, or the hash before it, was changed"), "{told}");
    folder.sql("DELETE FROM audit_records WHERE sequence > 1");
    folder.well(&["doctor", "--audit"]);
    let told = folder.ill(&["doctor", "--audit", "--audit-head", &head]);
    assert!(told.contains("record 2 is missing"), "{told}");
}

#[test]
fn doctor_finds_damaged_pages() {
    let folder = Folder::filled("doctor-pages");
    let file = folder.data("aimate.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let told = folder.ill(&["doctor"]);
    assert!(told.contains("damaged") && told.contains("restore"), "{told}");
}

#[test]
fn doctor_says_what_it_can_to_a_full_or_closed_output() {
    let folder = Folder::filled("doctor-full");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = folder.command(&["doctor"], &[BUILTIN]);
    let output = command.stdout(full).output().unwrap();
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
}

#[test]
fn lost_key_is_not_replaced_while_it_alone_opens_something() {
    let folder = Folder::filled("lost-key");
    let server = Server::start(&folder);
    let body = r#"{"name":"lab","provider":"openai","url":"http://127.0.0.1:9/v1","api_key":"sk-secret"}"#;
    let created = server.ask("POST /api/v1/connections", body);
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    server.stop();
    fs::rename(folder.data("encryption.key"), folder.data("elsewhere")).unwrap();
    let told = folder.ill(&["serve", "--addr", "127.0.0.1:0"]);
    assert!(told.contains("encryption.key is gone"), "{told}");
    assert!(!folder.data("encryption.key").exists());
    fs::rename(folder.data("elsewhere"), folder.data("encryption.key")).unwrap();
    Server::start(&folder).stop();
}

#[test]
fn postgres_is_told_how_it_is_backed_up() {
    let folder = Folder::new("backup-postgres");
    let told = folder.ill(&["backup", "x.db", "--database", "postgres://me:hunter2@127.0.0.1:1/d"]);
    assert!(told.contains("pg_dump --format=custom") && told.contains("blobs"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let told = folder.ill(&["backup", "x.db"]);
    assert!(told.contains("there is no database"), "{told}");
}
