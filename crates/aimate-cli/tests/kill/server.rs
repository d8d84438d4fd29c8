//! The binary as a process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::client::http;

const START: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(database: &str, folder: &Path, upstream: SocketAddr) -> Self {
        Self::start_with(database, folder, upstream, &[]).await
    }

    /// The same with more settings.
    pub(crate) async fn start_with(
        database: &str,
        folder: &Path,
        upstream: SocketAddr,
        settings: &[(&str, &str)],
    ) -> Self {
        // Another process may take the port before the server does.
        for _ in 0..3 {
            let mut server = Self::spawn(database, folder, upstream, settings);
            if server.is_ready().await {
                return server;
            }
            eprintln!("no start on {}: {}", server.address, server.log());
        }
        panic!("the server does not start");
    }

    fn spawn(database: &str, folder: &Path, upstream: SocketAddr, settings: &[(&str, &str)]) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        let log = folder.join("log");
        let output = File::create(&log).expect("a file for the log");
        let child = Command::new(env!("CARGO_BIN_EXE_aimate"))
            .args(["serve", "--addr", &address.to_string(), "--database", database])
            .arg("--data-dir")
            .arg(folder)
            .current_dir(folder)
            .env_clear()
            .env("AI_PROVIDER", "openai")
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("OPENAI_API_KEY", "sk-kill")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log's second handle"))
            .stderr(output)
            .spawn()
            .expect("the binary starts");
        Self { child, address, log }
    }

    async fn is_ready(&mut self) -> bool {
        let (client, deadline) = (http(), Instant::now() + START);
        let url = format!("http://{}/health", self.address);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server runs until it is killed");
        self.child.wait().expect("the server has ended");
    }

    /// What it said since its start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
