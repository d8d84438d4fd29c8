//! Who the servers run as.

use std::env;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Result, capture};

/// `nobody` on every system; needs no entry in the user list.
const NOBODY: u32 = 65534;

/// The account that xtask runs as, which decides what the servers run as:
/// `postgres` refuses root, so root starts it as uid 65534.
pub(crate) struct Account {
    uid: u32,
}

impl Account {
    /// The account of this process.
    pub(crate) fn current() -> Result<Self> {
        let uid = capture(Command::new("id").arg("-u"))?;
        let uid = uid.parse().map_err(|_| format!("`id -u` said {uid:?}, not a number"))?;
        Ok(Self { uid })
    }

    /// A command that runs as the servers' account, without the settings that
    /// libpq and PostgreSQL would take from the developer's environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            // Even a SIGKILL of xtask takes the server with it.
            command.args(["--pdeathsig", "QUIT"]);
            if self.is_root() {
                command.arg(format!("--reuid={NOBODY}"));
                command.arg(format!("--regid={NOBODY}"));
                command.arg("--clear-groups");
            }
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Gives a folder to the servers' account.
    pub(crate) fn hand_over(&self, folder: &Path) -> Result {
        if self.is_root() {
            chown(folder, Some(NOBODY), Some(NOBODY))
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(())
    }

    /// Whether only this account could have written what `found` describes.
    pub(crate) fn owns(&self, found: &Metadata) -> bool {
        found.uid() == self.uid && found.mode() & 0o022 == 0
    }

    /// The first folder that the servers' account can get to. Root's build folder
    /// is often below a home that nobody else may enter.
    pub(crate) fn reachable(&self, folders: &[&Path]) -> Result<PathBuf> {
        folders
            .iter()
            .filter_map(|folder| folder.canonicalize().ok())
            .find(|folder| !self.is_root() || open_to_all(folder))
            .ok_or_else(|| format!("uid {NOBODY} can enter none of {folders:?}").into())
    }

    fn is_root(&self) -> bool {
        self.uid == 0
    }
}

fn open_to_all(folder: &Path) -> bool {
    folder.ancestors().all(|part| part.metadata().is_ok_and(|found| found.mode() & 0o001 != 0))
}
