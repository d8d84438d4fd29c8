//! `aimate serve` as a process of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::command::Folder;

/// A server, whose output is in the file `log` of its folder.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on a free port.
    pub(crate) async fn start(folder: &Folder, environment: &[(&str, &str)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
        let log = File::options().create(true).append(true).open(folder.0.join("log")).unwrap();
        let child = folder
            .command(&["serve", "--addr", &free.to_string()], environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, url: format!("http://{free}") };
        let (client, until) = (http(), Instant::now() + Duration::from_secs(30));
        while Instant::now() < until && server.child.try_wait().unwrap().is_none() {
            let health = client.get(format!("{}/health", server.url)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no start: {}", fs::read_to_string(folder.0.join("log")).unwrap());
    }

    /// Lets it end by itself.
    pub(crate) fn stop(&mut self) {
        let id = self.child.id().to_string();
        let told = std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client.
pub(crate) fn http() -> reqwest::Client {
    // Fails when another client was made before, and then it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}
