//! One running server and its data.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::Durability;
use super::account::Account;
use crate::folder::TempFolder;
use crate::process::{Result, capture, pause, stop};

/// How long a server may take to answer; it takes under a second.
const START: Duration = Duration::from_secs(60);

/// A running server. Dropping it stops the server and deletes its data.
pub(crate) struct Server {
    process: Child,
    port: u16,
    // Deleted after `drop` below has stopped the process.
    folder: TempFolder,
}

impl Server {
    /// Starts a server from the folder of programs and waits until it answers.
    pub(crate) fn start(programs: &Path, account: &Account, durability: Durability) -> Result<Self> {
        let port = free_port()?;
        let parent = account.reachable(&[&env::temp_dir(), Path::new("/tmp")])?;
        let name = format!("aimate-pg-data-{}-{port}", std::process::id());
        let folder = TempFolder::create(parent.join(name))?;
        let data = folder.path().join("data");
        initialise(programs, account, &data)?;

        let log = File::create(folder.path().join("log"));
        let log = log.map_err(|error| format!("the server's log: {error}"))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = account.command(&programs.join("postgres"));
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in settings(durability) {
            command.arg("-c").arg(setting);
        }
        let process = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Not reached by a terminal's Ctrl-C: the tests end first.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start postgres: {error}"))?;
        let mut server = Self { process, port, folder };
        server.wait_until_ready(programs, account)?;
        Ok(server)
    }

    /// The address of its first database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Fails, with the end of its log, when the server has stopped by itself.
    pub(crate) fn check_running(&mut self) -> Result {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                Err(format!("postgres stopped ({status}):\n{}", tail.join("\n")).into())
            }
            Err(error) => Err(format!("postgres: {error}").into()),
        }
    }

    fn wait_until_ready(&mut self, programs: &Path, account: &Account) -> Result {
        let deadline = Instant::now() + START;
        let address = format!("host=127.0.0.1 port={} user=postgres", self.port);
        loop {
            self.check_running()?;
            let mut psql = account.command(&programs.join("psql"));
            psql.current_dir(self.folder.path())
                .args(["-qX", "-d", &address, "-c"])
                .arg("CREATE EXTENSION IF NOT EXISTS vector");
            match capture(&mut psql) {
                Ok(_) => return Ok(()),
                Err(failure) if Instant::now() >= deadline => return Err(failure),
                Err(_) => pause()?,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT is PostgreSQL's immediate shutdown: the data is deleted next anyway.
        stop(&mut self.process, "QUIT");
    }
}

fn initialise(programs: &Path, account: &Account, data: &Path) -> Result {
    fs::create_dir(data).map_err(|error| format!("{}: {error}", data.display()))?;
    account.hand_over(data)?;
    let mut initdb = account.command(&programs.join("initdb"));
    initdb
        .current_dir("/")
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        // The package has no ICU.
        .args(["--encoding=UTF8", "--locale=C.UTF-8"])
        .arg("-D")
        .arg(data);
    capture(&mut initdb).map(drop)
}

fn settings(durability: Durability) -> Vec<&'static str> {
    let durable: &[&str] = match durability {
        Durability::Fast => &["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
        Durability::Durable => &["fsync=on", "synchronous_commit=on", "full_page_writes=on"],
    };
    let common = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"];
    [&common, durable].concat()
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}").into())
}
