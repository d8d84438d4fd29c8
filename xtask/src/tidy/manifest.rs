//! The little of `Cargo.toml` that the rules look at.

/// The name of the package.
pub(crate) fn package(manifest: &str) -> &str {
    let line = lines(manifest).find(|(section, line)| {
        *section == "package" && line.split('=').next().is_some_and(|key| key.trim() == "name")
    });
    let value = line.and_then(|(_, line)| line.split('"').nth(1));
    value.unwrap_or_default()
}

/// What the package depends on in use: also to be built and on single platforms,
/// but not what only its tests need.
pub(crate) fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (section, line) in lines(manifest) {
        let mut tables = section.rsplit('.');
        let (inner, outer) = (tables.next(), tables.next());
        if line.starts_with('[') && is_dependencies(outer) {
            // [dependencies.NAME]
            names.extend(inner);
        } else if is_dependencies(inner) {
            let key = line.split([' ', '=', '.']).next();
            names.extend(key.filter(|key| key.starts_with(char::is_alphanumeric)));
        }
    }
    names
}

fn is_dependencies(table: Option<&str>) -> bool {
    matches!(table, Some("dependencies" | "build-dependencies"))
}

/// Each line with the table it stands in; a table's own head stands in it too.
fn lines(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().map(str::trim).map(move |line| {
        if line.starts_with('[') && line.ends_with(']') {
            section = line.trim_matches(['[', ']']);
        }
        (section, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_dependency_is_found_but_for_tests() {
        let manifest = r#"
[package]
name = "example"
[dependencies]
plain = "1"
dotted.workspace = true
# comment = "1"
table = { version = "1", features = [
    "listed",
] }
[dev-dependencies]
tested = "1"
[dev-dependencies.also-tested]
version = "1"
[dependencies.headed]
version = "1"
[target.'cfg(unix)'.dependencies]
platform = "1"
[build-dependencies]
built = "1"
[lints]
workspace = true
"#;
        assert_eq!(package(manifest), "example");
        assert_eq!(dependencies(manifest), ["plain", "dotted", "table", "headed", "platform", "built"]);
    }
}
