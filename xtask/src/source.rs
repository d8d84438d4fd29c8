//! The Rust sources of the crates, parsed.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta};

use crate::process::Result;

/// One source file of a crate: a module.
pub(crate) struct Module {
    /// The name of the crate's folder, which is that of its package.
    pub(crate) package: String,
    /// The module's path in the crate; empty for the root.
    pub(crate) path: Vec<String>,
    /// The file, from the root of the checkout.
    pub(crate) file: String,
    /// The file's content without what only tests have.
    pub(crate) items: Vec<Item>,
}

impl Module {
    /// Parses the text of `file`, such as `crates/aimate-core/src/chat/mod.rs`;
    /// `None` for a file that only tests have.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Option<Self>> {
        let mut parts = file.strip_suffix(".rs").unwrap_or(file).split('/');
        let package = parts.nth(1).unwrap_or_default().to_owned();
        let mut path: Vec<String> = parts.skip(1).map(str::to_owned).collect();
        if path.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
            path.pop();
        }
        if path.iter().any(|part| part == "tests" || part == "fuzzing" || part.ends_with("_tests")) {
            return Ok(None);
        }
        let syntax = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
        let items = syntax.items.into_iter().filter(|item| !is_test(attributes(item))).collect();
        Ok(Some(Self { package, path, file: file.to_owned(), items }))
    }

    /// The module's path as one reads it.
    pub(crate) fn name(&self) -> String {
        if self.path.is_empty() { "lib".to_owned() } else { self.path.join("::") }
    }
}

/// Every module of every crate, sorted by file.
pub(crate) fn modules(root: &Path) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for (file, text) in sources(root)? {
        modules.extend(Module::parse(&file, &text)?);
    }
    Ok(modules)
}

/// Path and text of each Rust file in the `src` of each crate, sorted.
pub(crate) fn sources(root: &Path) -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> =
        entries(&root.join("crates"))?.iter().map(|folder| folder.join("src")).collect();
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
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
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

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A path, from the root of the checkout.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Whether an item is there for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
