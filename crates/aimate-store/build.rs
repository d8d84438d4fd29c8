//! Lists the migrations for `migrations.rs`, which embeds them.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where to write by its environment"
)]

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // A link in the checkout, so that the package has them too.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let migrations = Path::new(&folder).join("migrations").canonicalize()?;
    println!("cargo::rerun-if-changed={}", migrations.display());
    let mut code = String::new();
    for (name, folder) in [("SQLITE", "sqlite"), ("POSTGRES", "postgres")] {
        let mut files = fs::read_dir(migrations.join(folder))?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<PathBuf>>>()?;
        files.sort();
        writeln!(code, "#[cfg(feature = \"{folder}\")]\npub(crate) const {name}: &[Embedded] = &[")?;
        for file in files {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let (version, description) = stem.split_once('_').ok_or("a migration is NNNN_<noun>.sql")?;
            let (version, description) = (version.parse::<i64>()?, description.replace('_', " "));
            writeln!(code, "    ({version}, {description:?}, include_str!({:?})),", file.canonicalize()?)?;
        }
        writeln!(code, "];")?;
    }
    let output = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&output).join("migrations.rs"), code)?;
    Ok(())
}
