//! The public interface of each library, as a text that is checked in: a change
//! of it is seen in review, and never happens by the way.

mod items;
mod print;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process::Result;
use crate::source::{Module, modules, read};

/// The crates that others depend on.
const LIBRARIES: [&str; 12] = [
    "aimate",
    "aimate-accounts",
    "aimate-core",
    "aimate-http",
    "aimate-index",
    "aimate-markdown",
    "aimate-mcp",
    "aimate-object-store",
    "aimate-providers",
    "aimate-store",
    "aimate-sync",
    "aimate-text",
];

/// Writes the interface of each library to `api/`, or fails where it is not what
/// stands there.
pub(crate) fn api(root: &Path, is_write: bool) -> Result {
    let modules = modules(root)?;
    let mut packages: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for module in &modules {
        packages.entry(&module.package).or_default().push(module);
    }
    let folder = root.join("api");
    let mut changed = Vec::new();
    for library in LIBRARIES {
        let Some(modules) = packages.get(library) else { continue };
        let text = interface(library, modules);
        let file = folder.join(format!("{library}.txt"));
        if is_write {
            let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, text));
            written.map_err(|error| format!("{}: {error}", file.display()))?;
        } else if read(&file).unwrap_or_default() != text {
            changed.push(format!("api/{library}.txt"));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the public interface is not what {} says; `cargo xtask api --write` writes it anew: look at the \
         difference and commit it with the change",
        changed.join(", ")
    )
    .into())
}

/// The interface of one crate, an item a line, sorted.
fn interface(library: &str, modules: &[&Module]) -> String {
    let mut lines = items::public(&library.replace('-', "_"), modules);
    lines.sort();
    lines.dedup();
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        let modules = files.iter().filter_map(|(file, text)| {
            Module::parse(&format!("crates/aimate-x/src/{file}.rs"), text).unwrap()
        });
        let modules: Vec<Module> = modules.collect();
        interface("aimate-x", &modules.iter().collect::<Vec<_>>()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn public_items_of_public_modules_are_listed() {
        let found = lines(&[
            ("lib", "pub mod a;\nmod b;\npub(crate) fn hidden() {}"),
            ("a", "pub const N: usize = 1;\nfn hidden() {}"),
            ("b", "pub fn unreachable() {}"),
        ]);
        assert_eq!(found, ["pub const aimate_x::a::N: usize", "pub mod aimate_x::a"]);
    }

    #[test]
    fn item_of_a_private_module_is_listed_where_it_is_exported() {
        let found = lines(&[
            ("lib", "mod run;\npub use run::{Run, start as begin};\npub use other_crate::Thing;"),
            (
                "run",
                "#[derive(Debug, Clone)]\npub struct Run { pub id: u32, hidden: u8 }\n\
                 impl Run { pub async fn wait(&self, n: &[u8]) -> Result<()> {} fn hidden(&self) {} }\n\
                 impl Drop for Run { fn drop(&mut self) {} }\npub fn start<T: Into<String>>(of: T) -> Run {}",
            ),
        ]);
        assert_eq!(
            found,
            [
                "impl Drop for aimate_x::Run",
                "pub async fn aimate_x::Run::wait(&self, n: &[u8]) -> Result<()>",
                "pub field aimate_x::Run::id: u32",
                "pub fn aimate_x::begin<T: Into<String>>(of: T) -> Run",
                "pub struct aimate_x::Run #[derive(Clone, Debug)]",
                "pub use other_crate::Thing as aimate_x::Thing",
            ]
        );
    }

    #[test]
    fn traits_and_enums_are_listed_with_what_is_in_them() {
        let found = lines(&[(
            "lib",
            "#[non_exhaustive]\npub enum E { A, B(u8), C { n: u8 } }\n\
             pub trait T: Send { const N: u8; type O; fn f(&self) -> Self::O; fn g(&self) {} }",
        )]);
        assert_eq!(
            found,
            [
                "pub const aimate_x::T::N: u8",
                "pub enum aimate_x::E #[non_exhaustive]",
                "pub fn aimate_x::T::f(&self) -> Self::O",
                "pub fn aimate_x::T::g(&self) (provided)",
                "pub trait aimate_x::T: Send",
                "pub type aimate_x::T::O",
                "pub variant aimate_x::E::A",
                "pub variant aimate_x::E::B(u8)",
                "pub variant aimate_x::E::C { n: u8 }",
            ]
        );
    }
}
