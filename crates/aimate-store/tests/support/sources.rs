//! The statements in the crate's sources.

use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Which databases a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
    /// PostgreSQL's `COPY`, which cannot be prepared.
    Copy,
}

/// A statement in the sources.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: PathBuf,
    pub(crate) on: On,
    pub(crate) text: String,
}

/// What [`statements`] finds.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) statements: Vec<Found>,
    /// Files with a `Sql` that is made of something else than literals.
    pub(crate) made: Vec<PathBuf>,
}

impl Sources {
    /// The texts for a database.
    pub(crate) fn on(&self, on: On) -> impl Iterator<Item = &str> {
        self.statements.iter().filter(move |found| found.on == on).map(|found| found.text.as_str())
    }
}

/// All statements: whatever is given to a variant of `Sql`, anywhere in `src`.
pub(crate) fn statements() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::default();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("tests.rs") {
                // Statements that only tests run.
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let file = path.strip_prefix(&root).unwrap().to_owned();
                Finder { sources: &mut sources, file }.visit_file(&syn::parse_file(&text).unwrap());
            }
        }
    }
    sources
}

struct Finder<'s> {
    sources: &'s mut Sources,
    file: PathBuf,
}

impl Finder<'_> {
    fn add(&mut self, on: &[On], text: Option<&syn::Expr>) {
        let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) = text else {
            self.sources.made.push(self.file.clone());
            return;
        };
        for on in on {
            self.sources.statements.push(Found { file: self.file.clone(), on: *on, text: text.value() });
        }
    }
}

/// The variant of `Sql` that a path names.
fn variant(path: &syn::Path) -> Option<String> {
    let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let variant = names.next()?;
    (names.next()? == "Sql").then_some(variant)
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            match variant(&path.path).as_deref() {
                Some("Same") => self.add(&[On::Sqlite, On::Postgres], call.args.first()),
                Some("Sqlite") => self.add(&[On::Sqlite], call.args.first()),
                Some("Postgres") => self.add(&[On::Postgres], call.args.first()),
                Some("Copy") => self.add(&[On::Copy], call.args.first()),
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_struct(&mut self, value: &'ast syn::ExprStruct) {
        if variant(&value.path).as_deref() == Some("Each") {
            for field in &value.fields {
                let is_sqlite = matches!(&field.member, syn::Member::Named(name) if name == "sqlite");
                self.add(&[if is_sqlite { On::Sqlite } else { On::Postgres }], Some(&field.expr));
            }
        }
        visit::visit_expr_struct(self, value);
    }
}
