//! The project's own rules, as far as a text shows them. This file reads the
//! checkout; the rules are in [`rules`] and see only text.

mod circles;
mod manifest;
mod names;
mod rules;

use std::path::Path;

use crate::process::Result;
use crate::source::{entries, modules, read, relative, sources};
use rules::Violation;

/// Everything in the checkout that breaks a rule.
pub(crate) fn violations(root: &Path) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let crates = entries(&root.join("crates"))?;
    for folder in crates.iter().chain(&[root.join("benches"), root.join("xtask")]) {
        let manifest = folder.join("Cargo.toml");
        let (path, manifest) = (relative(root, &manifest), read(&manifest)?);
        found.extend(rules::boundaries(&path, &manifest));
        found.extend(rules::purity(&path, &manifest));
    }
    found.extend(rules::same_migrations(
        &file_names(&root.join("migrations/sqlite"))?,
        &file_names(&root.join("migrations/postgres"))?,
    ));
    let sources = sources(root)?;
    for (path, text) in &sources {
        found.extend(rules::file_length(path, text));
    }
    let paths: Vec<&str> = sources.iter().map(|(path, _)| path.as_str()).collect();
    found.extend(rules::nouns(&paths));
    found.extend(rules::glossary(&paths, &read(&root.join("ARCHITECTURE.md"))?));
    found.extend(rules::changelog(&read(&root.join("CHANGELOG.md"))?));
    let modules = modules(root)?;
    found.extend(circles::circles(&modules));
    found.extend(names::type_names(&modules));
    Ok(found)
}

fn file_names(folder: &Path) -> Result<Vec<String>> {
    let names = entries(folder)?
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    Ok(names)
}
