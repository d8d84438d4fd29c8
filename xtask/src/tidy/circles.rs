//! No two modules of a crate import each other, directly or around a corner.
//!
//! A module and the ones inside it are one thing: what passes between them is
//! not looked at.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Item, ItemUse, UseTree};

use super::rules::Violation;
use crate::source::{Module, attributes, is_test};

/// The circles of imports in each crate.
pub(crate) fn circles(modules: &[Module]) -> Vec<Violation> {
    let mut packages: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for module in modules {
        packages.entry(&module.package).or_default().push(module);
    }
    let circles = packages.values().flat_map(|modules| circles_of(modules));
    circles.map(|circle| violation(&circle)).collect()
}

fn violation(circle: &[&Module]) -> Violation {
    let names: Vec<String> = circle.iter().map(|module| module.name()).collect();
    Violation {
        path: circle.first().map(|module| module.file.clone()).unwrap_or_default(),
        wrong: format!("the imports of {} go in a circle", names.join(", ")),
        right: "move what both need to a third module, or into one of them".to_owned(),
    }
}

/// The sets of modules of one crate that reach each other, each sorted by name.
fn circles_of<'m>(modules: &[&'m Module]) -> Vec<Vec<&'m Module>> {
    let by_path: BTreeMap<&[String], usize> =
        modules.iter().enumerate().map(|(at, module)| (module.path.as_slice(), at)).collect();
    let edges: Vec<BTreeSet<usize>> = modules.iter().map(|module| imports(module, &by_path)).collect();
    let reached: Vec<BTreeSet<usize>> = (0..modules.len()).map(|from| reach(from, &edges)).collect();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut circles = Vec::new();
    for (at, reached_here) in reached.iter().enumerate() {
        if !reached_here.contains(&at) || seen.contains(&at) {
            continue;
        }
        let back = |other: &usize| reached.get(*other).is_some_and(|reached| reached.contains(&at));
        let circle: Vec<usize> = reached_here.iter().copied().filter(back).collect();
        seen.extend(&circle);
        let mut circle: Vec<&Module> = circle.iter().filter_map(|at| modules.get(*at).copied()).collect();
        circle.sort_by_key(|module| module.name());
        circles.push(circle);
    }
    circles
}

/// What can be reached from a module over one import or more.
fn reach(from: usize, edges: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for to in edges.get(at).into_iter().flatten() {
            if reached.insert(*to) {
                next.push(*to);
            }
        }
    }
    reached
}

/// The modules that a module names, but for itself, those it is in and those in it.
fn imports(module: &Module, by_path: &BTreeMap<&[String], usize>) -> BTreeSet<usize> {
    let mut collector = Paths::default();
    for item in &module.items {
        collector.visit_item(item);
    }
    let mut found = BTreeSet::new();
    for path in &collector.found {
        if let Some((target, at)) = resolve(&module.path, path, by_path)
            && !target.starts_with(&module.path)
            && !module.path.starts_with(target)
        {
            found.insert(at);
        }
    }
    found
}

/// The module that a path leads to.
fn resolve<'p>(
    from: &[String],
    path: &[String],
    by_path: &BTreeMap<&'p [String], usize>,
) -> Option<(&'p [String], usize)> {
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => {
            let mut at = from.to_vec();
            at.pop();
            while let Some((next, after)) = rest.split_first()
                && next == "super"
            {
                at.pop();
                rest = after;
            }
            at
        }
        _ => return None,
    };
    for part in rest {
        at.push(part.clone());
        if !by_path.contains_key(at.as_slice()) {
            at.pop();
            break;
        }
    }
    by_path.get_key_value(at.as_slice()).map(|(path, at)| (*path, *at))
}

/// Collects the paths that begin with `crate`, `self` or `super`.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl Visit<'_> for Paths {
    fn visit_item(&mut self, item: &Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        expand(&item.tree, &mut Vec::new(), &mut self.found);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.found.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The paths of a `use`, one for each name that it brings in.
fn expand(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            expand(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| expand(tree, before, found)),
        UseTree::Name(name) => found.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
        UseTree::Rename(name) => found.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
        UseTree::Glob(_) => found.push(before.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let modules = files.iter().filter_map(|(name, text)| {
            Module::parse(&format!("crates/aimate-x/src/{name}.rs"), text).unwrap()
        });
        let modules: Vec<_> = modules.collect();
        circles(&modules).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_modules_that_import_each_other_are_reported() {
        let found = said(&[
            ("a", "use crate::b::{self, One};"),
            ("b", "fn f() { super::a::g() }"),
            ("c", "use super::{a, b};"),
        ]);
        let wrong = "crates/aimate-x/src/a.rs: the imports of a, b go in a circle";
        assert!(found.len() == 1 && found[0].starts_with(wrong), "{found:?}");
    }

    #[test]
    fn circle_around_a_corner_is_reported_once() {
        let found = said(&[("a", "use crate::b;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")]);
        assert!(found.len() == 1 && found[0].contains("a, b, c"), "{found:?}");
    }

    #[test]
    fn module_and_what_is_in_it_may_know_each_other() {
        assert!(said(&[("a/mod", "use self::b::B;"), ("a/b", "use super::A;")]).is_empty());
    }

    #[test]
    fn imports_of_tests_do_not_count() {
        assert!(
            said(&[("a", "use crate::b;"), ("b", "#[cfg(test)]\nmod tests { use crate::a; }")]).is_empty()
        );
    }
}
