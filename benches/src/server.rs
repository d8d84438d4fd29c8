//! The servers as processes, what the system says of them, and the folder they work in.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::client::Client;

const START: Duration = Duration::from_secs(30);
/// Of Linux's times in `/proc`, on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// A running server. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// The model server.
    pub(crate) async fn upstream(folder: &Folder) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--port", &port]);
        Self::start(command, "upstream", address, "/v1/models", folder).await
    }

    /// The pass-through to a model server.
    pub(crate) async fn passthrough(folder: &Folder, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let (port, to) = (address.port().to_string(), upstream.port().to_string());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["passthrough", "--port", &port, "--upstream", &to]);
        Self::start(command, "passthrough", address, "/v1/models", folder).await
    }

    /// aimate on a database, connected to a model server.
    pub(crate) async fn aimate(
        binary: &Path,
        name: &str,
        database: &str,
        folder: &Folder,
        upstream: SocketAddr,
    ) -> Result<Self> {
        let address = free_address()?;
        // What a server in use has; a shell's default of 1,024 files is less than
        // the case of 1,000 streams needs.
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""])
            .arg(binary)
            .args(["serve", "--addr", &address.to_string(), "--database", database])
            .arg("--data-dir")
            .arg(folder.path.join(format!("{name}-data")))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AI_PROVIDER", "openai")
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("OPENAI_API_KEY", "sk-bench")
            .env("AIMATE_LOG", "warn");
        Self::start(command, name, address, "/health", folder).await
    }

    async fn start(
        mut command: Command,
        name: &str,
        address: SocketAddr,
        ready: &str,
        folder: &Folder,
    ) -> Result<Self> {
        let log = folder.path.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = command
            .current_dir(&folder.path)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut process = Self { child, address };
        let deadline = Instant::now() + START;
        loop {
            if let Ok(mut client) = Client::connect(address).await
                && client.call("GET", ready, None).await.is_ok()
            {
                return Ok(process);
            }
            let ended = process.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{name} does not answer; it said:\n{said}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Processor time it has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// Processor time that this process has used.
    pub(crate) fn own_cpu() -> Result<Duration> {
        cpu("self")
    }

    /// Memory it holds, in KiB.
    pub(crate) fn resident(&self) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("/proc tells no VmRSS")?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may have spaces; user and system time are the 12th
    // and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("odd /proc/PID/stat")?;
    let times: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
    Ok(Duration::from_millis(times.iter().sum::<u64>() * 1_000 / TICKS_PER_SECOND))
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A folder that goes with the value. It is beside the program: the system's
/// temporary folder may be in memory, where a durable write costs nothing.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let program = std::env::current_exe()?;
        let parent = program.parent().ok_or("the program is in no folder")?;
        let path = parent.join(format!("bench-data-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// The path of a name in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The address of a new SQLite database in it.
    pub(crate) fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.path.join(format!("{name}.db")).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
