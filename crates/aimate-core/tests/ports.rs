//! What holds for every storage port, read from the source: few methods, a
//! scope first, and a conformance case that calls each method for somebody
//! else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, FnArg, Item, Token, TraitItem, Type};

/// Methods of a port at most.
const MAX_METHODS: usize = 12;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The Rust files in a folder and below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The fields of `Stores`, each with the port that it holds, and what the
/// documentation of `Stores` lists as having no scope.
fn stores() -> (BTreeMap<String, String>, BTreeSet<String>) {
    let file = parse(&source().join("stores.rs"));
    let stores = file.items.iter().find_map(|item| match item {
        Item::Struct(item) if item.ident == "Stores" => Some(item),
        _ => None,
    });
    let stores = stores.unwrap();
    let fields =
        stores.fields.iter().map(|field| (field.ident.as_ref().unwrap().to_string(), innermost(&field.ty)));
    let listed = stores.attrs.iter().filter_map(|attribute| {
        let syn::Meta::NameValue(doc) = &attribute.meta else { return None };
        let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &doc.value else { return None };
        let row = line.value();
        let name = row.trim().strip_prefix("| [`")?.split("`]").next()?.to_owned();
        Some(name)
    });
    (fields.collect(), listed.collect())
}

/// The name of the innermost type: `Port` of `Arc<dyn Port>`.
fn innermost(ty: &Type) -> String {
    struct Last(String);
    impl<'ast> Visit<'ast> for Last {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            if let Some(segment) = path.segments.last() {
                self.0 = segment.ident.to_string();
            }
            visit::visit_path(self, path);
        }
    }
    let mut last = Last(String::new());
    last.visit_type(ty);
    last.0
}

/// The methods of each port, and whether their first argument is a scope.
fn ports(names: &BTreeSet<&str>) -> BTreeMap<String, Vec<(String, bool)>> {
    let mut found = BTreeMap::new();
    for item in files(&source()).iter().flat_map(|path| parse(path).items) {
        let Item::Trait(port) = item else { continue };
        if !names.contains(port.ident.to_string().as_str()) {
            continue;
        }
        let methods = port.items.iter().filter_map(|item| match item {
            TraitItem::Fn(method) => {
                let is_scope = |argument: &FnArg| {
                    matches!(argument, FnArg::Typed(typed)
                        if matches!(&*typed.ty, Type::Reference(to) if innermost(&to.elem) == "Scope"))
                };
                let has_scope = method.sig.inputs.iter().nth(1).is_some_and(is_scope);
                Some((method.sig.ident.to_string(), has_scope))
            }
            _ => None,
        });
        found.insert(port.ident.to_string(), methods.collect());
    }
    found
}

/// Calls of the ports for somebody who is not the owner.
#[derive(Default)]
struct ForeignCalls {
    /// What a local variable stands for: a field of `Stores`.
    aliases: BTreeMap<String, String>,
    /// Variables of loops over those who are not the owner.
    foreign: BTreeSet<String>,
    /// Fields of `Stores` with a method.
    calls: BTreeSet<(String, String)>,
}

impl ForeignCalls {
    /// The field of `Stores` that an expression stands for.
    fn field(&self, receiver: &Expr) -> Option<String> {
        match receiver {
            Expr::Reference(to) => self.field(&to.expr),
            Expr::Field(field) => match (&*field.base, &field.member) {
                (Expr::Path(base), syn::Member::Named(name)) if base.path.is_ident("stores") => {
                    Some(name.to_string())
                }
                (Expr::Field(base), syn::Member::Named(name)) if matches!(&base.member, syn::Member::Named(of) if of == "stores") => {
                    Some(name.to_string())
                }
                _ => None,
            },
            Expr::Path(path) => self.aliases.get(&path.path.get_ident()?.to_string()).cloned(),
            _ => None,
        }
    }

    fn is_foreign(&self, scope: &Expr) -> bool {
        match scope {
            Expr::Reference(to) => self.is_foreign(&to.expr),
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| self.foreign.contains(&name.to_string()))
            }
            Expr::Field(field) => {
                matches!(&field.member, syn::Member::Named(name) if name == "other" || name == "stranger")
            }
            Expr::MethodCall(call) => call.method == "others",
            Expr::Array(array) => array.elems.iter().any(|element| self.is_foreign(element)),
            Expr::Tuple(tuple) => tuple.elems.iter().any(|element| self.is_foreign(element)),
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for ForeignCalls {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.aliases.clear();
        self.foreign.clear();
        visit::visit_item_fn(self, function);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && let Some(field) = self.field(&init.expr)
        {
            self.aliases.insert(name.ident.to_string(), field);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_for_loop(&mut self, each: &'ast syn::ExprForLoop) {
        if let (syn::Pat::Ident(name), true) = (&*each.pat, self.is_foreign(&each.expr)) {
            self.foreign.insert(name.ident.to_string());
        }
        visit::visit_expr_for_loop(self, each);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some(field) = self.field(&call.receiver)
            && call.args.first().is_some_and(|scope| self.is_foreign(scope))
        {
            self.calls.insert((field, call.method.to_string()));
        }
        visit::visit_expr_method_call(self, call);
    }

    /// Calls are often made within an assertion.
    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(found.tokens.clone());
        for argument in arguments.iter().flatten() {
            // The tokens do not live as long as the file, so another visitor looks
            // at them.
            let mut inner = ForeignCalls {
                aliases: self.aliases.clone(),
                foreign: self.foreign.clone(),
                calls: BTreeSet::new(),
            };
            inner.visit_expr(argument);
            self.calls.extend(inner.calls);
        }
    }
}

#[test]
fn ports_are_small() {
    let (fields, _) = stores();
    let names = fields.values().map(String::as_str).collect();
    let ports = ports(&names);
    assert_eq!(ports.len(), names.len(), "a port of `Stores` was not found");
    for (port, methods) in ports {
        assert!(methods.len() <= MAX_METHODS, "{port} has {} methods", methods.len());
    }
}

#[test]
fn sec_t17_methods_without_a_scope_are_those_that_are_listed() {
    let (fields, listed) = stores();
    let mut found = BTreeSet::new();
    for (port, methods) in ports(&fields.values().map(String::as_str).collect()) {
        if methods.iter().all(|(_, has_scope)| !has_scope) {
            found.insert(port);
            continue;
        }
        found.extend(methods.iter().filter(|method| !method.1).map(|method| format!("{port}::{}", method.0)));
    }
    assert_eq!(found, listed);
}

#[test]
fn sec_t17_each_method_with_a_scope_has_its_foreign_scope_case() {
    let (fields, _) = stores();
    let ports = ports(&fields.values().map(String::as_str).collect());
    let mut visitor = ForeignCalls::default();
    for path in files(&source().join("conformance")) {
        visitor.visit_file(&parse(&path));
    }
    let expected = fields.iter().flat_map(|(field, port)| {
        let scoped = ports.get(port).into_iter().flatten().filter(|method| method.1);
        scoped.map(|method| (field.clone(), method.0.clone()))
    });
    let missing: Vec<_> = expected.filter(|call| !visitor.calls.contains(call)).collect();
    assert!(missing.is_empty(), "no conformance case calls these for another user: {missing:?}");
}
