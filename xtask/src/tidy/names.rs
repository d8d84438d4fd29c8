//! One name of a type, one meaning: within a crate, and beside the public types
//! of aimate-core in every crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Ident, Item, Visibility};

use super::rules::Violation;
use crate::source::{Module, attributes, is_test};

/// Names that several types of one crate have, and why each may.
const SHARED: [(&str, &str, &str); 2] = [
    ("aimate-providers", "ChatDecoder", "each protocol has its own"),
    ("aimate-providers", "WireCall", "each protocol has its own"),
];

/// Names of aimate-core that types of other crates have, and why each may.
const REUSED: [(&str, &str, &str); 6] = [
    ("aimate-http", "Result", "the alias with the error of HTTP"),
    ("aimate-index", "Result", "the alias with the error of an index"),
    ("aimate-py", "Result", "the alias with what becomes an exception"),
    ("aimate-providers", "Chunk", "as the protocol calls it"),
    ("aimate-providers", "Message", "as the protocol calls it"),
    ("aimate-providers", "Result", "the alias with the error of a tokenizer file"),
];

/// A type that is declared somewhere.
struct Declared<'m> {
    module: &'m Module,
    name: String,
    is_public: bool,
}

/// Every name that is used for two things.
pub(crate) fn type_names(modules: &[Module]) -> Vec<Violation> {
    let declared: Vec<Declared<'_>> =
        modules.iter().flat_map(|module| declared(module, &module.items)).collect();
    let mut found = shared(&declared);
    found.extend(reused(&declared));
    found
}

fn shared(declared: &[Declared<'_>]) -> Vec<Violation> {
    let mut places: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for Declared { module, name, .. } in declared {
        places.entry((&module.package, name)).or_default().insert(&module.file);
    }
    let twice = places.into_iter().filter(|(_, files)| files.len() > 1);
    let wrong = twice.filter(|((package, name), _)| !is_listed(&SHARED, package, name));
    wrong
        .map(|((_, name), files)| Violation {
            path: files.iter().next().copied().unwrap_or_default().to_owned(),
            wrong: format!("`{name}` is also a type of {}", others(&files)),
            right: "one name has one meaning within a crate".to_owned(),
        })
        .collect()
}

fn others(files: &BTreeSet<&str>) -> String {
    files.iter().skip(1).copied().collect::<Vec<_>>().join(" and ")
}

fn reused(declared: &[Declared<'_>]) -> Vec<Violation> {
    let is_test_support = |module: &Module| {
        module.path.first().is_some_and(|first| ["conformance", "testing"].contains(&first.as_str()))
    };
    let core: BTreeMap<&str, &str> = declared
        .iter()
        .filter(|one| one.module.package == "aimate-core" && one.is_public && !is_test_support(one.module))
        .map(|one| (one.name.as_str(), one.module.file.as_str()))
        .collect();
    let elsewhere = declared.iter().filter(|one| one.module.package != "aimate-core");
    elsewhere
        .filter_map(|one| Some((one, *core.get(one.name.as_str())?)))
        .filter(|(one, _)| !is_listed(&REUSED, &one.module.package, &one.name))
        .map(|(one, core)| Violation {
            path: one.module.file.clone(),
            wrong: format!("`{}` is a type of {core}, which this one is not", one.name),
            right: "a name of aimate-core means the same in every crate".to_owned(),
        })
        .collect()
}

fn is_listed(list: &[(&str, &str, &str)], package: &str, name: &str) -> bool {
    list.iter().any(|(in_package, listed, _)| *in_package == package && *listed == name)
}

/// The types that are declared among `items` and in their inline modules.
fn declared<'m>(module: &'m Module, items: &[Item]) -> Vec<Declared<'m>> {
    let mut found = Vec::new();
    for item in items.iter().filter(|item| !is_test(attributes(item))) {
        let (ident, visibility): (&Ident, &Visibility) = match item {
            Item::Struct(item) => (&item.ident, &item.vis),
            Item::Enum(item) => (&item.ident, &item.vis),
            Item::Union(item) => (&item.ident, &item.vis),
            Item::Trait(item) => (&item.ident, &item.vis),
            Item::Type(item) => (&item.ident, &item.vis),
            Item::Mod(inner) => {
                let items = inner.content.as_ref().map(|(_, items)| items.as_slice());
                found.extend(declared(module, items.unwrap_or_default()));
                continue;
            }
            _ => continue,
        };
        let is_public = matches!(visibility, Visibility::Public(_));
        found.push(Declared { module, name: ident.to_string(), is_public });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let modules = files.iter().filter_map(|(file, text)| Module::parse(file, text).unwrap());
        type_names(&modules.collect::<Vec<_>>()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_types_of_one_crate_with_one_name_are_reported() {
        let found = said(&[
            ("crates/aimate-x/src/a.rs", "struct Answer;"),
            ("crates/aimate-x/src/b.rs", "mod inner { enum Answer {} }"),
            ("crates/aimate-y/src/a.rs", "struct Answer;"),
        ]);
        assert_eq!(
            found,
            ["crates/aimate-x/src/a.rs: `Answer` is also a type of crates/aimate-x/src/b.rs; \
              one name has one meaning within a crate"]
        );
    }

    #[test]
    fn public_name_of_core_is_not_used_again() {
        let core = ("crates/aimate-core/src/run.rs", "pub struct Run;\nstruct Hidden;");
        let found = said(&[core, ("crates/aimate-x/src/a.rs", "struct Run;\nstruct Hidden;")]);
        assert!(found.len() == 1 && found[0].contains("`Run` is a type of crates/aimate-core"), "{found:?}");
    }

    #[test]
    fn types_of_tests_do_not_count() {
        let text = "#[cfg(test)]\nmod tests { struct Answer; }";
        let found =
            said(&[("crates/aimate-x/src/a.rs", text), ("crates/aimate-x/src/b.rs", "struct Answer;")]);
        assert!(found.is_empty(), "{found:?}");
    }
}
