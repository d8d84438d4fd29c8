//! The rules. Each takes the text it is about and gives what breaks it.

use std::fmt;

use super::manifest::{dependencies, package};

/// One place that breaks a rule.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(super) path: String,
    pub(super) wrong: String,
    pub(super) right: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, wrong, right } = self;
        write!(formatter, "{path}: {wrong}; {right}")
    }
}

/// What few may depend on, and who may. An adapter is here so that neither core
/// nor another adapter can lean on it.
const BOUNDARIES: [(&str, &[&str]); 18] = [
    ("ammonia", &["aimate-markdown"]),
    ("axum", &["aimate-http", "aimate-bench"]),
    ("clap", &["aimate-cli", "aimate-bench"]),
    ("object_store", &["aimate-object-store"]),
    ("pyo3", &["aimate-py"]),
    // The types of its requests are in rmcp's interface; its client comes from aimate-providers.
    ("reqwest", &["aimate-providers", "aimate-object-store", "aimate-mcp", "aimate-bench"]),
    ("rmcp", &["aimate-mcp"]),
    ("sqlx", &["aimate-store"]),
    ("tracing-subscriber", &["aimate-cli", "aimate-py"]),
    ("aimate", &["aimate-bench", "aimate-cli", "aimate-py"]),
    ("aimate-cli", &["aimate-py"]),
    ("aimate-http", &["aimate", "aimate-bench", "aimate-fuzz"]),
    ("aimate-markdown", &["aimate", "aimate-http"]),
    ("aimate-mcp", &["aimate", "aimate-bench", "aimate-http", "aimate-py"]),
    ("aimate-object-store", &["aimate", "aimate-bench"]),
    ("aimate-providers", &["aimate", "aimate-bench", "aimate-fuzz", "aimate-mcp", "aimate-py"]),
    ("aimate-store", &["aimate", "aimate-bench", "aimate-py"]),
    ("aimate-sync", &["aimate", "aimate-bench", "aimate-py"]),
];

/// Crates that stand by themselves, and the crates of this workspace that each
/// may depend on: what it does is of use without an engine.
const PURE: [(&str, &[&str]); 3] = [("aimate-index", &[]), ("aimate-markdown", &[]), ("aimate-text", &[])];

/// The vocabulary of ARCHITECTURE.md: a noun has one module name everywhere.
const NOUNS: &str = "user session workspace group prompt conversation share message run file upload connection \
    model knowledge tool usage audit tenant memory agent research canvas market alert webhook \
    retention";

/// The crates that must call a noun what core calls it.
const FACES: [&str; 3] = ["aimate-store", "aimate-http", "aimate-py"];

/// The most lines of a source file, its tests not counted.
const MAX_LINES: usize = 500;

/// A package depends only on what its place in the map allows.
pub(crate) fn boundaries(path: &str, manifest: &str) -> Vec<Violation> {
    let package = package(manifest);
    let dependencies = dependencies(manifest);
    BOUNDARIES
        .iter()
        .filter(|(name, may)| dependencies.contains(name) && !may.contains(&package))
        .map(|(name, may)| Violation {
            path: path.to_owned(),
            wrong: format!("{package} depends on {name}"),
            right: format!("only {} may, others only in dev-dependencies", may.join(", ")),
        })
        .collect()
}

/// A crate that stands by itself depends on nothing that would tie it down.
pub(crate) fn purity(path: &str, manifest: &str) -> Vec<Violation> {
    let package = package(manifest);
    let Some((_, may)) = PURE.iter().find(|(pure, _)| *pure == package) else {
        return Vec::new();
    };
    let own = |name: &&str| name.starts_with("aimate") && !may.contains(name);
    dependencies(manifest)
        .into_iter()
        .filter(own)
        .map(|name| Violation {
            path: path.to_owned(),
            wrong: format!("{package} depends on {name}"),
            right: "it must be of use without an engine".to_owned(),
        })
        .collect()
}

/// Both databases have the same migrations.
pub(crate) fn same_migrations(sqlite: &[String], postgres: &[String]) -> Vec<Violation> {
    let missing = |from: &[String], to: &[String], folder: &str| -> Vec<Violation> {
        from.iter()
            .filter(|name| !to.contains(name))
            .map(|name| Violation {
                path: format!("migrations/{folder}"),
                wrong: format!("has no {name}, which the other database has"),
                right: "each migration is in both folders under one name".to_owned(),
            })
            .collect()
    };
    let mut found = missing(sqlite, postgres, "postgres");
    found.extend(missing(postgres, sqlite, "sqlite"));
    found
}

/// Store, HTTP and Python have no noun that core has not, nor another name for one.
pub(crate) fn nouns(paths: &[&str]) -> Vec<Violation> {
    let core: Vec<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix("crates/aimate-core/src/"))
        .flat_map(modules)
        .collect();
    let mut found = Vec::new();
    for path in paths {
        let faces = FACES.iter();
        let inner = faces.filter_map(|face| path.strip_prefix(&format!("crates/{face}/src/")));
        for module in inner.flat_map(modules) {
            if is_noun(module) && !core.contains(&module) {
                found.push(Violation {
                    path: (*path).to_owned(),
                    wrong: format!("aimate-core has no module `{module}`"),
                    right: "a noun has the same module name in core".to_owned(),
                });
            }
            if let Some(noun) = module.strip_suffix('s').filter(|noun| is_noun(noun)) {
                found.push(Violation {
                    path: (*path).to_owned(),
                    wrong: format!("`{module}` is a plural"),
                    right: format!("a noun's module is singular: `{noun}`"),
                });
            }
        }
    }
    found
}

/// The glossary of ARCHITECTURE.md says what each noun of core means.
pub(crate) fn glossary(paths: &[&str], architecture: &str) -> Vec<Violation> {
    let mut lines = architecture.lines().skip_while(|line| *line != "## Glossary");
    if lines.next().is_none() {
        return Vec::new();
    }
    let entries: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let is_there = |noun: &str| entries.iter().any(|entry| term(entry).eq_ignore_ascii_case(noun));
    let core = paths.iter().filter_map(|path| path.strip_prefix("crates/aimate-core/src/"));
    let mut nouns: Vec<&str> = core.flat_map(modules).filter(|module| is_noun(module)).collect();
    nouns.sort_unstable();
    nouns.dedup();
    nouns
        .into_iter()
        .filter(|noun| !is_there(noun))
        .map(|noun| Violation {
            path: "ARCHITECTURE.md".to_owned(),
            wrong: format!("the glossary does not have `{noun}`"),
            right: "each noun has its line: what it means, in the field's own words".to_owned(),
        })
        .collect()
}

/// The term that a line of a list or a table explains.
fn term(entry: &str) -> &str {
    let entry = entry.trim_start_matches(['|', '-', ' ']);
    let end = entry.find(['|', ':', '(', ',', '—']).unwrap_or(entry.len());
    entry.get(..end).unwrap_or_default().trim_matches(['*', '`', ' '])
}

/// No source file is too long to be read at one go.
pub(crate) fn file_length(path: &str, text: &str) -> Option<Violation> {
    if modules(path).any(|part| ["tests", "testing", "conformance"].contains(&part)) {
        return None;
    }
    let lines = text.lines().take_while(|line| *line != "mod tests {").count();
    (lines > MAX_LINES).then(|| Violation {
        path: path.to_owned(),
        wrong: format!("{lines} lines without its tests"),
        right: format!("the most is {MAX_LINES}; make it a folder of files about one thing each"),
    })
}

/// The change log has a place for what comes next.
pub(crate) fn changelog(text: &str) -> Option<Violation> {
    let is_there = text.lines().any(|line| line.starts_with("## ") && line.contains("Unreleased"));
    (!is_there).then(|| Violation {
        path: "CHANGELOG.md".to_owned(),
        wrong: "has no section for what is not released yet".to_owned(),
        right: "a heading `## [Unreleased]` opens it".to_owned(),
    })
}

fn is_noun(word: &str) -> bool {
    NOUNS.split(' ').any(|noun| noun == word)
}

/// The names in a path, the file's without its ending.
fn modules(path: &str) -> impl Iterator<Item = &str> {
    path.strip_suffix(".rs").unwrap_or(path).split('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(found: impl IntoIterator<Item = Violation>) -> Vec<String> {
        found.into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn core_may_not_depend_on_an_adapter() {
        let manifest = "[package]\nname = \"aimate-core\"\n[dependencies]\naimate-store.workspace = true\n";
        assert_eq!(
            said(boundaries("crates/aimate-core/Cargo.toml", manifest)),
            ["crates/aimate-core/Cargo.toml: aimate-core depends on aimate-store; \
                 only aimate, aimate-bench, aimate-py may, others only in dev-dependencies"]
        );
    }

    #[test]
    fn the_owner_of_a_boundary_and_its_tests_may_cross_it() {
        let owner = "[package]\nname = \"aimate-http\"\n[dependencies]\naxum = \"0.8\"\n\
                     [dev-dependencies]\nreqwest = \"0.13\"\n";
        assert!(boundaries("Cargo.toml", owner).is_empty());
    }

    #[test]
    fn pure_crate_depends_on_no_other_of_ours() {
        let manifest = "[package]\nname = \"aimate-index\"\n[dependencies]\naimate-core.workspace = true\n";
        assert_eq!(
            said(purity("x", manifest)),
            ["x: aimate-index depends on aimate-core; it must be of use without an engine"]
        );
        assert!(purity("x", &manifest.replace("aimate-index", "aimate-store")).is_empty());
    }

    #[test]
    fn glossary_has_each_noun_of_core() {
        let paths = [
            "crates/aimate-core/src/run.rs",
            "crates/aimate-core/src/user.rs",
            "crates/aimate-x/src/tool.rs",
        ];
        let text =
            "## Glossary\n| **run** | The generation of one answer. |\n\n## Next\n- `user`: not here\n";
        let found = said(glossary(&paths, text));
        assert!(found.len() == 1 && found[0].contains("does not have `user`"), "{found:?}");
    }

    #[test]
    fn a_migration_of_one_database_alone_is_reported() {
        let one = ["0001_user.sql".to_owned()];
        assert_eq!(
            said(same_migrations(&one, &[])),
            ["migrations/postgres: has no 0001_user.sql, which the other database has; \
                 each migration is in both folders under one name"]
        );
        assert_eq!(same_migrations(&[], &one).len(), 1);
        assert!(same_migrations(&one, &one).is_empty());
    }

    #[test]
    fn a_noun_is_in_core_too() {
        let user = "crates/aimate-store/src/user.rs";
        assert_eq!(
            said(nouns(&[user])),
            ["crates/aimate-store/src/user.rs: aimate-core has no module `user`; \
                 a noun has the same module name in core"]
        );
        assert!(nouns(&[user, "crates/aimate-core/src/user.rs"]).is_empty());
        assert!(nouns(&[user, "crates/aimate-core/src/user/rules.rs"]).is_empty());
        assert!(nouns(&["crates/aimate-store/src/connect.rs"]).is_empty());
    }

    #[test]
    fn a_noun_is_singular() {
        assert_eq!(
            said(nouns(&["crates/aimate-http/src/users.rs"])),
            ["crates/aimate-http/src/users.rs: `users` is a plural; a noun's module is singular: `user`"]
        );
    }

    #[test]
    fn a_long_file_is_reported_but_for_its_tests() {
        let path = "crates/aimate-core/src/run.rs";
        let long = "\n".repeat(MAX_LINES + 1);
        assert_eq!(file_length(path, &long).iter().count(), 1);
        let tested = format!("{}mod tests {{\n{long}", "\n".repeat(MAX_LINES));
        assert!(file_length(path, &tested).is_none());
        assert!(file_length("crates/aimate-core/src/conformance/run.rs", &long).is_none());
    }

    #[test]
    fn a_changelog_has_an_unreleased_section() {
        assert!(changelog("# Changes\n\n## [Unreleased]\n").is_none());
        assert_eq!(changelog("# Changes\n\n## 0.1.0\n").iter().count(), 1);
    }
}
