//! Finds the public items of a crate and the paths that they are public under.

use std::collections::BTreeMap;

use syn::{
    Fields, FnArg, ImplItem, Item, ItemEnum, ItemImpl, ItemTrait, Signature, TraitItem, Type, UseTree,
    Visibility,
};

use super::print::{attributes, text};
use crate::source::{Module, is_test};

/// The lines of a crate's interface.
pub(super) fn public(crate_name: &str, modules: &[&Module]) -> Vec<String> {
    let by_path = modules.iter().map(|module| (module.path.clone(), *module)).collect();
    let mut found = Found { crate_name, by_path, lines: Vec::new(), types: BTreeMap::new() };
    if let Some(root) = found.by_path.get([].as_slice()).copied() {
        found.module(root, &[], 0);
    }
    for module in modules {
        for item in &module.items {
            if let Item::Impl(item) = item {
                found.implementation(item);
            }
        }
    }
    found.lines
}

struct Found<'m> {
    crate_name: &'m str,
    by_path: BTreeMap<Vec<String>, &'m Module>,
    lines: Vec<String>,
    /// The public path of each type: in a crate, one name is one type.
    types: BTreeMap<String, String>,
}

/// Re-exports lead to re-exports; this many are followed.
const MAX_DEPTH: usize = 8;

impl<'m> Found<'m> {
    /// Adds what a module makes public under `path`.
    fn module(&mut self, module: &'m Module, path: &[String], depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for item in &module.items {
            match item {
                Item::Use(item) if is_public(&item.vis) => {
                    let mut uses = Vec::new();
                    flatten(&item.tree, &mut Vec::new(), &mut uses);
                    for (target, name) in uses {
                        self.exported(module, &target, &name, path, depth, &attributes(&item.attrs));
                    }
                }
                item => self.item(module, item, path, None, depth),
            }
        }
    }

    /// Adds an item, under its own name unless it is exported under another.
    fn item(
        &mut self,
        module: &'m Module,
        item: &'m Item,
        path: &[String],
        name: Option<&str>,
        depth: usize,
    ) {
        let Some((visibility, own_name)) = head(item) else { return };
        if !is_public(visibility) {
            return;
        }
        let name = name.unwrap_or(&own_name);
        let full = self.path(path, name);
        let notes = attributes(crate::source::attributes(item));
        match item {
            Item::Mod(_) => {
                self.lines.push(format!("pub mod {full}{notes}"));
                let inner: Vec<String> = module.path.iter().cloned().chain([own_name.clone()]).collect();
                if let Some(inner) = self.by_path.get(&inner).copied() {
                    let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
                    self.module(inner, &path, depth);
                }
                return;
            }
            Item::Const(item) => self.lines.push(format!("pub const {full}: {}", text(&item.ty))),
            Item::Static(item) => self.lines.push(format!("pub static {full}: {}", text(&item.ty))),
            Item::Fn(item) => self.lines.push(format!("{}{notes}", signature(&item.sig, &full))),
            Item::Type(item) => {
                self.lines.push(format!("pub type {full}{} = {}", text(&item.generics), text(&item.ty)));
            }
            Item::Struct(item) => {
                self.lines.push(format!("pub struct {full}{}{notes}", text(&item.generics)));
                self.fields(&full, &item.fields);
            }
            Item::Enum(item) => self.variants(&full, item, &notes),
            Item::Trait(item) => self.trait_items(&full, item, &notes),
            _ => return,
        }
        self.types.entry(own_name).or_insert(full);
    }

    /// Adds what a `pub use` brings in.
    fn exported(
        &mut self,
        from: &'m Module,
        target: &[String],
        name: &str,
        path: &[String],
        depth: usize,
        notes: &str,
    ) {
        let Some((module, rest)) = self.lead(from, target) else {
            let full = self.path(path, name);
            self.lines.push(format!("pub use {} as {full}{notes}", target.join("::")));
            return;
        };
        match rest {
            [] if name == "*" => self.module(module, path, depth + 1),
            [] => {
                let full = self.path(path, name);
                self.lines.push(format!("pub mod {full}{notes}"));
                let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
                self.module(module, &path, depth + 1);
            }
            [wanted, ..] => {
                for item in &module.items {
                    match item {
                        Item::Use(item) if is_reachable(&item.vis) => {
                            let mut uses = Vec::new();
                            flatten(&item.tree, &mut Vec::new(), &mut uses);
                            for (target, _) in uses.iter().filter(|(_, exported)| exported == wanted) {
                                self.exported(module, target, name, path, depth + 1, notes);
                            }
                        }
                        item if head(item).is_some_and(|(_, own)| own == *wanted) => {
                            self.item(module, item, path, Some(name), depth + 1);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The module of this crate that a path leads to, and what of it is left;
    /// `None` for a path of another crate.
    fn lead<'t>(&self, from: &Module, target: &'t [String]) -> Option<(&'m Module, &'t [String])> {
        let (first, mut rest) = target.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.path.clone(),
            "super" => from.path.split_last()?.1.to_vec(),
            _ => {
                rest = target;
                from.path.clone()
            }
        };
        let start = at.len();
        while let Some((next, after)) = rest.split_first() {
            at.push(next.clone());
            if !self.by_path.contains_key(&at) {
                at.pop();
                break;
            }
            rest = after;
        }
        let is_own = ["crate", "self", "super"].contains(&first.as_str())
            || at.len() > start
            || from.items.iter().any(|item| head(item).is_some_and(|(_, name)| name == *first));
        is_own.then(|| self.by_path.get(&at).copied()).flatten().map(|module| (module, rest))
    }

    fn path(&self, path: &[String], name: &str) -> String {
        let parts = [self.crate_name.to_owned()].into_iter().chain(path.iter().cloned());
        parts.chain([name.to_owned()]).collect::<Vec<_>>().join("::")
    }

    fn fields(&mut self, full: &str, fields: &Fields) {
        for (at, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or_else(|| at.to_string(), ToString::to_string);
            self.lines.push(format!("pub field {full}::{name}: {}", text(&field.ty)));
        }
    }

    fn variants(&mut self, full: &str, item: &ItemEnum, notes: &str) {
        self.lines.push(format!("pub enum {full}{}{notes}", text(&item.generics)));
        for variant in &item.variants {
            let types = variant.fields.iter().map(|field| match &field.ident {
                Some(name) => format!("{name}: {}", text(&field.ty)),
                None => text(&field.ty),
            });
            let types = types.collect::<Vec<_>>().join(", ");
            let fields = match &variant.fields {
                Fields::Named(_) => format!(" {{ {types} }}"),
                Fields::Unnamed(_) => format!("({types})"),
                Fields::Unit => String::new(),
            };
            self.lines.push(format!(
                "pub variant {full}::{}{fields}{}",
                variant.ident,
                attributes(&variant.attrs)
            ));
        }
    }

    fn trait_items(&mut self, full: &str, item: &ItemTrait, notes: &str) {
        let bounds = text(&item.supertraits);
        let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
        self.lines.push(format!("pub trait {full}{}{bounds}{notes}", text(&item.generics)));
        for inner in &item.items {
            let line = match inner {
                TraitItem::Fn(one) => {
                    let provided = if one.default.is_some() { " (provided)" } else { "" };
                    format!("{}{provided}", signature(&one.sig, &format!("{full}::{}", one.sig.ident)))
                }
                TraitItem::Const(one) => format!("pub const {full}::{}: {}", one.ident, text(&one.ty)),
                TraitItem::Type(one) => format!("pub type {full}::{}", one.ident),
                _ => continue,
            };
            self.lines.push(line);
        }
    }

    /// Adds the public methods of a type, and the traits that it implements.
    fn implementation(&mut self, item: &ItemImpl) {
        let Type::Path(of) = item.self_ty.as_ref() else { return };
        let Some(name) = of.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
        let Some(full) = self.types.get(&name).cloned() else { return };
        if is_test(&item.attrs) {
            return;
        }
        if let Some((_, path, _)) = &item.trait_ {
            let notes = attributes(&item.attrs);
            self.lines.push(format!("impl {} for {full}{notes}", text(path)));
            return;
        }
        for inner in &item.items {
            match inner {
                ImplItem::Fn(one) if is_public(&one.vis) => {
                    let notes = attributes(&one.attrs);
                    let name = format!("{full}::{}", one.sig.ident);
                    self.lines.push(format!("{}{notes}", signature(&one.sig, &name)));
                }
                ImplItem::Const(one) if is_public(&one.vis) => {
                    self.lines.push(format!("pub const {full}::{}: {}", one.ident, text(&one.ty)));
                }
                _ => {}
            }
        }
    }
}

/// A function by its full name, without its body.
fn signature(sig: &Signature, full: &str) -> String {
    let words = [(sig.constness.is_some(), "const "), (sig.asyncness.is_some(), "async ")];
    let words: String = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let inputs = sig.inputs.iter().map(|input| match input {
        FnArg::Receiver(receiver) => text(receiver),
        FnArg::Typed(input) => text(input),
    });
    let inputs = inputs.collect::<Vec<_>>().join(", ");
    let output = text(&sig.output);
    let output = if output.is_empty() { output } else { format!(" {output}") };
    let wheres = sig.generics.where_clause.as_ref().map(|clause| format!(" {}", text(clause)));
    let generics = text(&sig.generics);
    format!("pub {words}fn {full}{generics}({inputs}){output}{}", wheres.unwrap_or_default())
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether another module of the crate can name it.
fn is_reachable(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// The visibility and the name of an item that has one.
fn head(item: &Item) -> Option<(&Visibility, String)> {
    let (visibility, ident) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Mod(item) => (&item.vis, &item.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    Some((visibility, ident.to_string()))
}

/// The paths of a `use`, each with the name that it gets; `*` for all of a module.
fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => found.push((with(before, &name.ident), name.ident.to_string())),
        UseTree::Rename(name) => found.push((with(before, &name.ident), name.rename.to_string())),
        UseTree::Glob(_) => found.push((before.clone(), "*".to_owned())),
    }
}

fn with(before: &[String], last: &syn::Ident) -> Vec<String> {
    before.iter().cloned().chain([last.to_string()]).collect()
}
