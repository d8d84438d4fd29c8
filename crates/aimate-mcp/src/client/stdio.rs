//! Servers that run as child processes, over their standard input and output.
//!
//! A process gets its arguments as they are, without a shell, an environment with nothing in it
//! but what is named, and a process group of its own, which ends with it.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::tool::ToolEndpoint;
use aimate_core::{Error, Result, Secret};
use rmcp::RoleClient;
use rmcp::model::{ErrorCode, ProtocolVersion, ServerJsonRpcMessage};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::ending::Ending;
use super::errors::Errors;
use super::late::LateAnswer;
use super::session::ServerSession;

/// How long a process may take to end after its input was closed, and after it was told to.
const GRACE: Duration = Duration::from_secs(1);
/// Starts the server and connects to it.
pub(super) async fn connect(
    endpoint: &ToolEndpoint,
    command: &[String],
    environment: &BTreeMap<String, Secret>,
) -> Result<ServerSession> {
    match start(endpoint, command, environment, None).await {
        // It starts more slowly than the SDK waits for the answer to its probe, and speaks the
        // current revision alone.
        Err(Failure::Modern) => {
            let mode =
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
            start(endpoint, command, environment, Some(mode)).await
        }
        other => other,
    }
    .map_err(|failure| match failure {
        Failure::Modern => Errors(endpoint).nonsense("refuses each handshake"),
        Failure::Other(error) => error,
    })
}

/// Why a server could not be connected to.
enum Failure {
    /// It takes the current revision alone.
    Modern,
    Other(Error),
}

async fn start(
    endpoint: &ToolEndpoint,
    command: &[String],
    environment: &BTreeMap<String, Secret>,
    mode: Option<ClientLifecycleMode>,
) -> Result<ServerSession, Failure> {
    let started = ChildTransport::start(endpoint, command, environment);
    let (transport, ending) = started.map_err(Failure::Other)?;
    let opening = async {
        match mode {
            Some(mode) => ServerSession::open_in(mode, transport).await,
            None => ServerSession::open(transport).await,
        }
    };
    match tokio::time::timeout(endpoint.timeout, opening).await {
        Ok(Ok(mut session)) => {
            session.ending = Some(ending);
            Ok(session)
        }
        Ok(Err(ClientInitializeError::JsonRpcError(data)))
            if data.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION =>
        {
            Err(Failure::Modern)
        }
        Ok(Err(error)) => {
            ending.wait().await;
            Err(Failure::Other(ending.explain(Errors(endpoint).connecting(error), endpoint)))
        }
        Err(_) => {
            let error = Errors(endpoint).too_slow("begin to speak MCP");
            Err(Failure::Other(ending.explain(error, endpoint)))
        }
    }
}

/// The standard input and output of a process.
struct ChildTransport {
    input: Arc<tokio::sync::Mutex<Option<ChildStdin>>>,
    output: BufReader<ChildStdout>,
    /// The line that is being read.
    line: Vec<u8>,
    /// Bytes that a line may have.
    max: usize,
    late: LateAnswer,
    ending: Ending,
    group: ProcessGroup,
}

impl ChildTransport {
    fn start(
        endpoint: &ToolEndpoint,
        command: &[String],
        environment: &BTreeMap<String, Secret>,
    ) -> Result<(Self, Ending)> {
        let name = &endpoint.name;
        let broken = |error: Option<io::Error>| {
            let failed = Error::unavailable(format!("tool server `{name}` cannot be started"));
            match error {
                Some(error) => failed.with_advice(&error.kind().to_string()).with_source(error),
                None => failed,
            }
        };
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::invalid(format!("tool server `{name}`: its command is empty")));
        };
        let mut starting = Command::new(program);
        starting.args(arguments).env_clear().kill_on_drop(true);
        starting.envs(environment.iter().map(|(name, value)| (name, value.expose())));
        starting.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        starting.process_group(0);
        let mut child = starting.spawn().map_err(|error| broken(Some(error)))?;
        let (Some(input), Some(output), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken(None));
        };
        let ending = Ending::of(stderr);
        let transport = Self {
            input: Arc::new(tokio::sync::Mutex::new(Some(input))),
            output: BufReader::new(output),
            line: Vec::new(),
            max: endpoint.max_bytes,
            late: LateAnswer::default(),
            ending: ending.clone(),
            group: ProcessGroup::new(child),
        };
        Ok((transport, ending))
    }

    /// The next line, without its end; `None` at the end of the output, or of what is read of
    /// it. Nothing is lost if the future is dropped.
    async fn next_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let piece = self.output.fill_buf().await.ok()?;
            if piece.is_empty() {
                return None;
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let part = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            if self.line.len() + part.len() > self.max {
                // Whose answer it is cannot be told, so all who wait are told.
                self.ending.wrote_too_much(self.max);
                return None;
            }
            self.line.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.output.consume(used);
            if end.is_some() {
                return Some(std::mem::take(&mut self.line));
            }
        }
    }
}

impl Transport<RoleClient> for ChildTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.late.sent(&message);
        let input = self.input.clone();
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut input = input.lock().await;
            // Taken out meanwhile: a line that is written in part, because nobody waits for it any
            // more, would spoil the next one.
            let Some(mut open) = input.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
            open.write_all(&line).await?;
            open.flush().await?;
            *input = Some(open);
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let Some(line) = self.next_line().await else {
                // The last words come first: whoever waits is told of the end after this.
                self.ending.over().await;
                return None;
            };
            match serde_json::from_slice::<ServerJsonRpcMessage>(&line) {
                Ok(message) if self.late.is(&message) => {}
                Ok(message) => return Some(message),
                Err(error) if line.iter().all(u8::is_ascii_whitespace) => drop(error),
                Err(error) => {
                    tracing::debug!(%error, bytes = line.len(), "a tool server wrote a line that is no message");
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        // Somebody may be writing to a process that does not read.
        if let Ok(mut input) = tokio::time::timeout(GRACE, self.input.lock()).await {
            drop(input.take());
        }
        self.group.end().await;
        Ok(())
    }
}

/// A process and those that it started.
struct ProcessGroup {
    leader: Child,
    /// The id of the group; `None` once it was killed.
    id: Option<u32>,
}

impl ProcessGroup {
    fn new(leader: Child) -> Self {
        Self { id: leader.id(), leader }
    }

    /// Ends it: its input was closed; then it is told to, then made to.
    async fn end(&mut self) {
        if tokio::time::timeout(GRACE, self.leader.wait()).await.is_err() {
            self.signal(Strength::Terminate);
            let _ = tokio::time::timeout(GRACE, self.leader.wait()).await;
        }
        self.signal(Strength::Kill);
        self.id = None;
        let _ = self.leader.wait().await;
    }

    #[cfg(unix)]
    fn signal(&self, strength: Strength) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = match strength {
            Strength::Terminate => Signal::TERM,
            Strength::Kill => Signal::KILL,
        };
        let id = self.id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process_group(id, signal);
        }
    }

    #[cfg(not(unix))]
    fn signal(&self, _: Strength) {}
}

#[derive(Clone, Copy)]
enum Strength {
    Terminate,
    Kill,
}

impl Drop for ProcessGroup {
    /// Without the time to wait: all of it at once.
    fn drop(&mut self) {
        self.signal(Strength::Kill);
    }
}
