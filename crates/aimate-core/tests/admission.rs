//! Every public call of the engine and its handles lets nobody in who may not act,
//! read from the source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Expr, ImplItem, Item, Type, Visibility};

/// What lets a scope in.
const GATES: [&str; 3] = ["admit", "admit_admin", "admit_as"];

/// Types of the engine whose methods act for a user.
const HANDLES: [&str; 16] = [
    "Budgets",
    "Connections",
    "Conversations",
    "Engine",
    "Files",
    "Groups",
    "Knowledge",
    "Models",
    "PriceTable",
    "Prompts",
    "Runs",
    "Shares",
    "ToolServers",
    "Uploads",
    "Users",
    "Workspaces",
];

/// Calls that nobody has to be let in for.
const OPEN: [(&str, &str); 10] = [
    // The one user of local mode is made by it.
    ("Engine", "local_scope"),
    // Of the process, not of a user.
    ("Engine", "ping"),
    ("Engine", "ready"),
    ("Engine", "drain"),
    // Of whoever has the link.
    ("Engine", "shared"),
    // The operator's.
    ("Engine", "usage_of_all"),
    ("Engine", "sweep"),
    // What a login saw, of somebody who is perhaps nobody.
    ("Engine", "record_audit"),
    ("Engine", "rotate_keys"),
    ("Engine", "key_states"),
];

/// Types that only the operator holds, and builders that are checked elsewhere.
const OPERATORS: [&str; 5] = ["EngineBuilder", "ScopeBuilder", "Tenants", "Answer", "RateLimiter"];

/// What the body of a method calls on `self`.
#[derive(Default)]
struct Calls(BTreeSet<String>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_gate = GATES.contains(&call.method.to_string().as_str());
        if is_gate || is_self(&call.receiver) {
            self.0.insert(call.method.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// `self`, or the field of it that is the same handle in a clone.
fn is_self(receiver: &Expr) -> bool {
    match receiver {
        Expr::Path(path) => path.path.is_ident("self"),
        Expr::Field(field) => {
            matches!(&field.member, syn::Member::Named(name) if name == "knowledge")
        }
        _ => false,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Public methods that wait, or give a stream, by type and name, each with what it
/// calls.
fn methods() -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    for item in files(&folder)
        .iter()
        .flat_map(|path| syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap().items)
    {
        let Item::Impl(of) = item else { continue };
        let Type::Path(name) = &*of.self_ty else { continue };
        let name = name.path.segments.last().unwrap().ident.to_string();
        if of.trait_.is_some() {
            continue;
        }
        for item in &of.items {
            let ImplItem::Fn(method) = item else { continue };
            let text = quote(&method.sig.output);
            let waits = method.sig.asyncness.is_some() || text.contains("Stream");
            if waits && matches!(method.vis, Visibility::Public(_)) {
                let mut calls = Calls::default();
                calls.visit_block(&method.block);
                found.insert((name.clone(), method.sig.ident.to_string()), calls.0);
            }
        }
    }
    found
}

/// The names in a return type.
fn quote(output: &syn::ReturnType) -> String {
    struct Names(String);
    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, name: &'ast syn::Ident) {
            self.0.push_str(&name.to_string());
        }
    }
    let mut names = Names(String::new());
    names.visit_return_type(output);
    names.0
}

#[test]
fn sec_t17_every_call_of_a_user_is_let_in_first() {
    let methods = methods();
    let open: BTreeSet<_> = OPEN.iter().map(|(of, name)| ((*of).to_owned(), (*name).to_owned())).collect();
    assert!(open.iter().all(|method| methods.contains_key(method)), "an open call is not there any more");
    let of_users = methods.iter().filter(|((of, _), _)| HANDLES.contains(&of.as_str()));
    let of_users: BTreeMap<_, _> = of_users.filter(|(method, _)| !open.contains(method)).collect();
    assert!(of_users.len() > 50, "only {} calls were found", of_users.len());

    // One is checked that calls a gate, or another one that is.
    let mut checked: BTreeSet<&(String, String)> = BTreeSet::new();
    loop {
        let more: Vec<_> = of_users
            .iter()
            .filter(|(method, calls)| {
                !checked.contains(**method)
                    && calls.iter().any(|call| {
                        GATES.contains(&call.as_str()) || checked.contains(&(method.0.clone(), call.clone()))
                    })
            })
            .map(|(method, _)| *method)
            .collect();
        if more.is_empty() {
            break;
        }
        checked.extend(more);
    }
    let missing: Vec<_> = of_users.keys().filter(|method| !checked.contains(**method)).collect();
    assert!(missing.is_empty(), "these let anybody in: {missing:?}");
}

#[test]
fn every_type_with_such_calls_is_known() {
    let types: BTreeSet<_> = methods().into_keys().map(|(of, _)| of).collect();
    let known: BTreeSet<_> = HANDLES.iter().chain(&OPERATORS).map(|&of| of.to_owned()).collect();
    let unknown: Vec<_> = types.difference(&known).collect();
    assert!(unknown.is_empty(), "say of {unknown:?} whether they act for a user");
}
