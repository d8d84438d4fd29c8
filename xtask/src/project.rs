//! Where the checkout and its build folder are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::{Result, capture, run};

/// The checkout that the tasks work on.
pub(crate) struct Project {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the user has put it.
    pub(crate) target: PathBuf,
}

/// A crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// The names of its features, `default` among them.
    pub(crate) features: Vec<String>,
    /// Whether it does not say `publish = false`.
    pub(crate) is_published: bool,
}

impl Package {
    fn read(package: &Value) -> Option<Self> {
        // `null` is a crate for every registry.
        let is_published = !package.get("publish")?.as_array().is_some_and(Vec::is_empty);
        let features = package.get("features")?.as_object()?.keys().cloned().collect();
        Some(Self { name: package.get("name")?.as_str()?.to_owned(), features, is_published })
    }
}

impl Project {
    /// The checkout this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("CARGO_MANIFEST_DIR is not set; start me as `cargo xtask`")?;
        let root = PathBuf::from(manifest).join("..");
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let program = env::current_exe().map_err(|error| format!("own program: {error}"))?;
        // The program is TARGET/debug/xtask.
        let target = program
            .ancestors()
            .nth(2)
            .ok_or_else(|| format!("{} is not in a target folder", program.display()))?;
        Ok(Self { target: target.to_path_buf(), root })
    }

    /// The crates of the workspace.
    pub(crate) fn packages(&self) -> Result<Vec<Package>> {
        let metadata =
            capture(self.cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
        let metadata: Value =
            serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
        let packages =
            metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata: no packages")?;
        Ok(packages.iter().filter_map(Package::read).collect())
    }

    /// Builds all of the workspace, for tests that start what is built.
    pub(crate) fn build(&self) -> Result {
        // With the targets of the tests: without them, dependencies have other features, and all
        // would be built once more.
        run(self.cargo().args(["build", "--workspace", "--all-features", "--all-targets"]))
    }

    /// Cargo, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        // `cargo run` describes xtask in these. Some build scripts (ring's) watch
        // them, so passing them on would rebuild what plain `cargo test` has built.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        command
    }
}
