//! The names by which models call the tools of servers.

use sha2::{Digest as _, Sha256};

use crate::hash::hex;

/// Characters of a name that every provider takes.
const MAX_NAME: usize = 64;
/// Characters of the hash that tells apart what would be called the same.
const MAX_HASH: usize = 8;

/// The name by which models call a tool: `SERVER__TOOL`, if every provider takes that and no
/// other tool can have it; else the same with a hash. It depends on these two names alone, so
/// that it is the same in each turn.
pub(super) fn offered_name(server: &str, tool: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let full = format!("{server}__{tool}");
    let is_split_once = full.matches("__").count() == 1 && !server.ends_with('_') && !tool.starts_with('_');
    if is_split_once && full.len() <= MAX_NAME && full.chars().all(fits) {
        return full;
    }
    with_hash(&full, &format!("{server}/{tool}"))
}

/// A name that no other has, of one that does not fit or that two would have.
pub(super) fn with_hash(name: &str, of: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let hash: String = hex(&Sha256::digest(of)).chars().take(MAX_HASH).collect();
    let head: String = name.chars().map(fit).take(MAX_NAME - MAX_HASH - 1).collect();
    format!("{head}_{hash}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn name_fits_every_provider() {
        assert_eq!(offered_name("files", "read_file"), "files__read_file");
        assert_eq!(offered_name("my-files", "read-2"), "my-files__read-2");
        let mut seen = BTreeSet::new();
        let long = "x".repeat(200);
        for (server, tool) in [
            ("files", "read file"),
            ("files", "read_file "),
            ("files", "läs"),
            ("files", "读"),
            ("files", "写"),
            ("files", "a/b"),
            ("my files", "b"),
            (long.as_str(), "a"),
            (long.as_str(), "b"),
            ("a", long.as_str()),
            ("a__b", "c"),
            ("a", "b__c"),
            ("a_", "b"),
            ("a", "_b"),
            ("a", "b"),
        ] {
            let name = offered_name(server, tool);
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            assert!((1..=64).contains(&name.len()) && name.chars().all(fits), "{name}");
            assert!(seen.insert(name.clone()), "{name}");
            assert_eq!(name, offered_name(server, tool));
        }
    }
}
