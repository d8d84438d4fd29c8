//! The archives of the crates, as a registry would serve them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{Result, run};
use crate::project::Project;
use crate::source::read;

/// Makes the archive of every crate and compiles what is in them, out of the checkout.
pub(crate) fn package(project: &Project) -> Result {
    let archives = project.target.join("package");
    let _ = fs::remove_dir_all(&archives);
    let mut package = project.cargo();
    package.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    for unpublished in project.packages()?.iter().filter(|package| !package.is_published) {
        package.args(["--exclude", &unpublished.name]);
    }
    run(&mut package)?;

    let folder = archives.join("unpacked");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&archives).map_err(|error| error.to_string())? {
        let archive = entry.map_err(|error| error.to_string())?.path();
        if archive.extension().is_some_and(|ending| ending == "crate") {
            run(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&folder))?;
            let stem = archive.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            names.push(stem.to_owned());
        }
    }
    names.sort();
    fs::write(folder.join("Cargo.toml"), manifest(&names, &read(&project.root.join("Cargo.toml"))?))
        .map_err(|error| error.to_string())?;
    fs::copy(project.root.join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|error| error.to_string())?;
    check(project, &folder)
}

fn check(project: &Project, folder: &Path) -> Result {
    let mut check = project.cargo();
    // With the builds of the checkout, whose dependencies these have too.
    check.current_dir(folder).env("CARGO_TARGET_DIR", &project.target);
    run(check.args(["check", "--workspace", "--all-features", "--quiet"]))
}

/// A workspace of these folders, each `NAME-VERSION`, which find each other here instead of
/// at a registry; with the profiles of the checkout.
fn manifest(folders: &[String], checkout: &str) -> String {
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = {folders:?}\n\n[patch.crates-io]\n");
    for folder in folders {
        if let Some((name, _)) = folder.rsplit_once('-') {
            text.push_str(&format!("{name} = {{ path = {folder:?} }}\n"));
        }
    }
    let profiles = checkout.find("\n[profile.").and_then(|at| checkout.get(at..)).unwrap_or_default();
    text.push_str(profiles);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_find_each_other() {
        let made = manifest(&["aimate-core-0.1.0".to_owned()], "[workspace]\n\n[profile.dev]\ndebug = 1\n");
        assert!(made.contains("members = [\"aimate-core-0.1.0\"]"));
        assert!(made.contains("aimate-core = { path = \"aimate-core-0.1.0\" }"));
        assert!(made.ends_with("[profile.dev]\ndebug = 1\n"));
    }
}
