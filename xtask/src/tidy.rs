//! The project's own rules, as far as a text shows them. This file reads the
//! checkout; the rules are in [`rules`] and see only text.

mod manifest;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Result;
use rules::Violation;

/// Everything in the checkout that breaks a rule.
pub(crate) fn violations(root: &Path) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let crates = entries(&root.join("crates"))?;
    for folder in crates.iter().chain(&[root.join("benches"), root.join("xtask")]) {
        let manifest = folder.join("Cargo.toml");
        found.extend(rules::boundaries(&relative(root, &manifest), &read(&manifest)?));
    }
    found.extend(rules::same_migrations(
        &names(&root.join("migrations/sqlite"))?,
        &names(&root.join("migrations/postgres"))?,
    ));
    let sources = sources(root, &crates)?;
    for (path, text) in &sources {
        found.extend(rules::file_length(path, text));
    }
    let paths: Vec<&str> = sources.iter().map(|(path, _)| path.as_str()).collect();
    found.extend(rules::nouns(&paths));
    found.extend(rules::changelog(&read(&root.join("CHANGELOG.md"))?));
    Ok(found)
}

/// Path and text of each Rust file in the `src` of each crate.
fn sources(root: &Path, crates: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> = crates.iter().map(|folder| folder.join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                sources.push((relative(root, &entry), read(&entry)?));
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// What a folder holds, sorted; nothing when it is not there (git keeps no empty one).
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(read) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let entries = read.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    entries.sort();
    Ok(entries)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let names = entries(folder)?
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    Ok(names)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
