//! What `deny.toml` says of licenses, banned crates and sources, checked without
//! cargo-deny: so it is checked everywhere. With cargo-deny, that checks it, and
//! security advisories with it.

use std::fmt;

use serde_json::Value;

use crate::process::{Result, capture, run};
use crate::project::Project;
use crate::source::read;

/// Cargo's own registry, which cargo-deny allows by default.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks the dependencies.
pub(crate) fn deny(project: &Project) -> Result {
    let metadata =
        capture(project.cargo().args(["metadata", "--format-version", "1", "--all-features", "--locked"]))?;
    let metadata = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = packages(&metadata);
    report(&newer(&packages))?;
    let has_cargo_deny = project.cargo().args(["deny", "--version"]).output();
    if has_cargo_deny.is_ok_and(|output| output.status.success()) {
        return run(project.cargo().args(["deny", "check"]));
    }
    eprintln!("cargo-deny is not installed: licenses, bans and sources are checked, advisories are not");
    let rules = Rules::parse(&read(&project.root.join("deny.toml"))?)?;
    report(&rules.broken(&packages))
}

fn report(found: &[String]) -> Result {
    for wrong in found {
        eprintln!("{wrong}");
    }
    if found.is_empty() { Ok(()) } else { Err(format!("{} dependencies may not be", found.len()).into()) }
}

/// A package that is built or tested with.
struct Package {
    name: String,
    version: String,
    /// As its manifest has it: an SPDX expression.
    license: String,
    /// The oldest Rust that it says it builds with.
    rust: Option<String>,
    /// `None` for one of this checkout.
    source: Option<String>,
}

fn packages(metadata: &Value) -> Vec<Package> {
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_owned);
    let listed = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let packages = listed.iter().map(|package| Package {
        name: text(package, "name").unwrap_or_default(),
        version: text(package, "version").unwrap_or_default(),
        license: text(package, "license").unwrap_or_default(),
        rust: text(package, "rust_version"),
        source: text(package, "source"),
    });
    packages.collect()
}

/// Packages that ask for a newer Rust than this checkout says it builds with.
fn newer(packages: &[Package]) -> Vec<String> {
    let own = packages.iter().filter(|package| package.source.is_none());
    let Some(ours) = own.filter_map(|package| package.rust.as_deref()).min_by_key(|rust| numbers(rust))
    else {
        return vec!["no package of this checkout says which Rust it builds with".to_owned()];
    };
    let newer = packages.iter().filter_map(|package| {
        let rust = package.rust.as_deref().filter(|rust| numbers(rust) > numbers(ours))?;
        Some(format!("{package}: it needs Rust {rust}; `rust-version` in Cargo.toml says {ours}"))
    });
    newer.collect()
}

/// A version without what comes after its numbers; `1.94` is `1.94.0`.
fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = version.split(['.', '-', '+']).map_while(|number| number.parse().ok());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// The part of `deny.toml` that is checked here.
struct Rules {
    licenses: Vec<String>,
    /// Names, each with a license that it alone may have.
    exceptions: Vec<(String, String)>,
    /// Names, each with the version that it must be below to be banned.
    bans: Vec<(String, Option<String>)>,
}

impl Rules {
    fn parse(toml: &str) -> Result<Self> {
        let mut rules = Self { licenses: Vec::new(), exceptions: Vec::new(), bans: Vec::new() };
        let mut section = "";
        for line in toml.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if line.starts_with('[') && line.ends_with(']') && !line.contains('"') {
                section = line.trim_matches(['[', ']']);
            } else if section == "licenses" && line.starts_with('"') {
                rules.licenses.extend(line.split('"').nth(1).map(str::to_owned));
            } else if section == "licenses" && line.starts_with("{ crate = ") {
                let mut quoted = line.split('"').skip(1).step_by(2).map(str::to_owned);
                rules.exceptions.extend(quoted.next().zip(quoted.next()));
            } else if section == "bans" && line.starts_with("{ crate = ") {
                let banned = line.split('"').nth(1).unwrap_or_default();
                let (name, below) =
                    banned.split_once(":<").map_or((banned, None), |(name, v)| (name, Some(v)));
                rules.bans.push((name.to_owned(), below.map(str::to_owned)));
            }
        }
        // Rules that are laid out otherwise must not pass for none.
        if rules.licenses.is_empty() || rules.bans.is_empty() {
            return Err("deny.toml: no licenses or no bans are found; each stands on a line".into());
        }
        Ok(rules)
    }

    fn broken(&self, packages: &[Package]) -> Vec<String> {
        let foreign = packages.iter().filter(|package| package.source.is_some());
        let mut found = Vec::new();
        for package in foreign {
            let is_exception =
                |(name, license): &(String, String)| *name == package.name && *license == package.license;
            if !self.allows(&package.license) && !self.exceptions.iter().any(is_exception) {
                found.push(format!(
                    "{package}: its license is `{}`, which deny.toml does not allow",
                    package.license
                ));
            }
            if self.bans.iter().any(|ban| is_banned(package, ban)) {
                found.push(format!("{package}: deny.toml bans it and says why"));
            }
            if package.source.as_deref() != Some(REGISTRY) {
                found.push(format!("{package}: it is not from Cargo's own registry"));
            }
        }
        found
    }

    /// Whether an SPDX expression can be met; `/` is how old manifests write `OR`.
    fn allows(&self, expression: &str) -> bool {
        let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = expression.split_whitespace().collect();
        let mut rest = words.as_slice();
        self.either(&mut rest) && rest.is_empty()
    }

    fn either(&self, rest: &mut &[&str]) -> bool {
        let mut is_met = self.all(rest);
        while let ["OR", after @ ..] = *rest {
            *rest = after;
            is_met |= self.all(rest);
        }
        is_met
    }

    fn all(&self, rest: &mut &[&str]) -> bool {
        let mut is_met = self.one(rest);
        while let ["AND", after @ ..] = *rest {
            *rest = after;
            is_met &= self.one(rest);
        }
        is_met
    }

    fn one(&self, rest: &mut &[&str]) -> bool {
        let [word, after @ ..] = *rest else { return false };
        *rest = after;
        if *word == "(" {
            let is_met = self.either(rest);
            // The closing bracket.
            *rest = rest.get(1..).unwrap_or_default();
            return is_met;
        }
        let mut license = (*word).to_owned();
        if let [with @ "WITH", exception, after @ ..] = *rest {
            license = format!("{word} {with} {exception}");
            *rest = after;
        }
        self.licenses.contains(&license)
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

fn is_banned(package: &Package, (name, below): &(String, Option<String>)) -> bool {
    package.name == *name && below.as_ref().is_none_or(|below| numbers(&package.version) < numbers(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "[licenses]\nallow = [\n    \"MIT\",\n    # Data.\n    \"Apache-2.0 WITH LLVM-exception\",\n]\n\
        [bans]\ndeny = [\n    { crate = \"openssl\", reason = \"TLS\" },\n    { crate = \"sqlx:<0.8.1\", reason = \"x\" },\n]\n";

    fn broken(name: &str, version: &str, license: &str, source: &str) -> usize {
        let package = Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: license.to_owned(),
            rust: None,
            source: Some(source.to_owned()),
        };
        Rules::parse(RULES).unwrap().broken(&[package]).len()
    }

    #[test]
    fn license_must_be_one_that_is_allowed() {
        for (license, is_allowed) in [
            ("MIT", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT AND (GPL-3.0 OR MIT)", true),
            ("(MIT AND GPL-3.0) OR GPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("", false),
        ] {
            assert_eq!(broken("a", "1.0.0", license, REGISTRY), usize::from(!is_allowed), "{license}");
        }
    }

    #[test]
    fn exception_is_for_one_crate() {
        let rules = format!(
            "{RULES}[licenses]\nexceptions = [\n    {{ crate = \"a\", allow = [\"MPL-2.0\"] }},\n]\n"
        );
        let rules = Rules::parse(&rules).unwrap();
        let broken = |name: &str, license: &str| {
            let (name, license) = (name.to_owned(), license.to_owned());
            let source = Some(REGISTRY.to_owned());
            rules.broken(&[Package { name, version: "1.0.0".to_owned(), license, source, rust: None }]).len()
        };
        assert_eq!((broken("a", "MPL-2.0"), broken("a", "GPL-3.0"), broken("b", "MPL-2.0")), (0, 1, 1));
    }

    #[test]
    fn banned_crate_and_banned_version_are_reported() {
        assert_eq!(broken("openssl", "1.0.0", "MIT", REGISTRY), 1);
        assert_eq!(broken("sqlx", "0.8.0", "MIT", REGISTRY), 1);
        assert_eq!(broken("sqlx", "0.8.1", "MIT", REGISTRY), 0);
        assert_eq!(broken("sqlx", "0.10.0", "MIT", REGISTRY), 0);
    }

    #[test]
    fn sec_t11_sqlx_with_lengths_that_overflow_is_banned() {
        let rules = Rules::parse(include_str!("../../deny.toml")).unwrap();
        let of = |version: &str| Package {
            name: "sqlx".to_owned(),
            version: version.to_owned(),
            license: "MIT".to_owned(),
            rust: None,
            source: Some(REGISTRY.to_owned()),
        };
        assert_eq!(rules.broken(&[of("0.8.0"), of("0.7.4")]).len(), 2);
        let used = include_str!("../../Cargo.lock").split("\n\n").find(|of| of.contains("name = \"sqlx\""));
        let version = used.and_then(|of| of.split("version = \"").nth(1)?.split('"').next()).unwrap();
        assert_eq!(rules.broken(&[of(version)]), Vec::<String>::new());
    }

    #[test]
    fn dependency_that_needs_a_newer_rust_is_reported() {
        let of = |name: &str, rust: &str, is_own: bool| Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: String::new(),
            rust: (!rust.is_empty()).then(|| rust.to_owned()),
            source: (!is_own).then(|| REGISTRY.to_owned()),
        };
        let own = || of("own", "1.94", true);
        assert_eq!(newer(&[own(), of("a", "1.94.0", false), of("b", "", false)]), Vec::<String>::new());
        let wrong = newer(&[of("a", "1.94.1", false), own(), of("b", "1.100", false)]);
        assert!(wrong[0].starts_with("a 1.0.0: it needs Rust 1.94.1; ") && wrong.len() == 2, "{wrong:?}");
        assert_eq!(newer(&[of("a", "1.50", false)]).len(), 1);
    }

    #[test]
    fn other_source_is_reported() {
        assert_eq!(broken("a", "1.0.0", "MIT", "git+https://example.org/a"), 1);
    }

    #[test]
    fn rules_that_cannot_be_read_are_no_rules() {
        assert!(Rules::parse("[licenses]\nallow = [\"MIT\"]\n").is_err());
    }
}
