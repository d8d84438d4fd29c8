//! Running other programs so that a signal to xtask ends them and still lets
//! every guard on the stack clean up.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What a task gives back.
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a task stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What to print.
    pub(crate) message: String,
    /// What to exit with.
    pub(crate) code: u8,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, code: 1 }
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// How often a waiting xtask looks at its child and for a signal.
const POLL: Duration = Duration::from_millis(50);
/// How long a child may take to end by itself; nextest gives its tests 10 s.
const GRACE: Duration = Duration::from_secs(15);

/// The signal that was caught, or 0.
static CAUGHT: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From here on a signal makes [`run`] and [`pause`] fail, where it would have
/// ended the process with its guards undropped.
pub(crate) fn catch_signals() -> Result {
    for (signal, number) in [(SIGHUP, 1), (SIGINT, 2), (SIGTERM, 15)] {
        signal_hook::flag::register_usize(signal, Arc::clone(&CAUGHT), number)
            .map_err(|error| format!("cannot catch signal {number}: {error}"))?;
    }
    Ok(())
}

/// Runs a program to its end; fails with its exit code.
pub(crate) fn run(command: &mut Command) -> Result {
    let name = describe(command);
    // A group of its own: a terminal's Ctrl-C reaches only xtask, which then ends
    // the whole group, so no test outlives the servers it talks to.
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return outcome(&name, status);
        }
        if let Err(interrupted) = pause() {
            stop(&mut child, "TERM");
            return Err(interrupted);
        }
    }
}

/// Runs a short program, output captured; fails with what it printed to stderr.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} failed: {}", said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Waits for a moment; fails once a signal has been caught.
pub(crate) fn pause() -> Result {
    sleep(POLL);
    match CAUGHT.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(Failure {
            message: format!("stopped by signal {signal}"),
            code: u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }),
    }
}

/// Ends a child that leads its own group: the signal first, SIGKILL when it is
/// still there after [`GRACE`].
pub(crate) fn stop(child: &mut Child, signal: &str) {
    signal_group(child, signal);
    let deadline = Instant::now() + GRACE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            signal_group(child, "KILL");
            let _ = child.wait();
            return;
        }
        sleep(POLL);
    }
}

/// Signals the group of a child that has not been waited for, so its number
/// cannot have passed to a stranger.
fn signal_group(child: &Child, signal: &str) {
    // The shell's own `kill`: std has none, and small images have no program of that name.
    let _ = Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"-$1\""])
        .arg(signal)
        .arg(child.id().to_string())
        .stderr(Stdio::null())
        .status();
}

fn outcome(name: &str, status: ExitStatus) -> Result {
    if status.success() {
        return Ok(());
    }
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    Err(Failure { message: format!("{name} failed ({status})"), code: u8::try_from(code).unwrap_or(1) })
}

fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|word| word.to_string_lossy());
    let words: Vec<_> = std::iter::once(program.into()).chain(arguments).collect();
    format!("`{}`", words.join(" "))
}
