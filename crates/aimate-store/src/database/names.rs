//! What tables and indexes are called: as in the statements, or under a prefix,
//! for a database that has tables of an application too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use aimate_core::{Error, Result};

/// Bytes of a prefix or of a schema's name at most: PostgreSQL cuts names after 63,
/// and the longest index's has 31.
const MAX_PREFIX: usize = 32;
const MAX_SCHEMA: usize = 63;

/// The names of one database's tables and indexes.
#[derive(Clone, Default)]
pub(crate) struct Names(Option<Arc<Prefixed>>);

struct Prefixed {
    prefix: String,
    /// The literals that were rewritten before, by where they stand in memory.
    texts: RwLock<HashMap<(usize, usize), Arc<str>>>,
}

impl Names {
    /// Names that begin with `prefix`.
    ///
    /// # Errors
    /// `Invalid` if it cannot begin a name.
    pub(crate) fn new(prefix: Option<&str>) -> Result<Self> {
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else { return Ok(Self::default()) };
        check_name("table_prefix", prefix, MAX_PREFIX)?;
        Ok(Self(Some(Arc::new(Prefixed { prefix: prefix.to_owned(), texts: RwLock::default() }))))
    }

    /// Whether they are as in the statements.
    pub(crate) fn are_plain(&self) -> bool {
        self.0.is_none()
    }

    /// What they begin with.
    pub(crate) fn prefix(&self) -> &str {
        self.0.as_ref().map_or("", |prefixed| &prefixed.prefix)
    }

    /// What the table or index `name` is called.
    pub(crate) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    /// `text` with these names.
    pub(crate) fn rewrite(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |prefixed| rewritten(text, &prefixed.prefix))
    }

    /// A statement's `text` with these names; `None` if they are as in it.
    pub(crate) fn literal(&self, text: &'static str) -> Option<Arc<str>> {
        let prefixed = self.0.as_ref()?;
        let key = (text.as_ptr().addr(), text.len());
        let known = prefixed.texts.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        Some(known.unwrap_or_else(|| {
            let text: Arc<str> = rewritten(text, &prefixed.prefix).into();
            prefixed.texts.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&text));
            text
        }))
    }
}

/// Checks the name of a schema.
///
/// # Errors
/// `Invalid` if it is none that needs no quotes.
pub(crate) fn check_schema(schema: &str) -> Result<()> {
    check_name("schema", schema, MAX_SCHEMA)
}

/// Checks the name of a role.
///
/// # Errors
/// `Invalid` if it is none that needs no quotes.
#[cfg(feature = "postgres")]
pub(super) fn check_role(role: &str) -> Result<()> {
    check_name("row_level_security", role, MAX_SCHEMA)
}

fn check_name(field: &str, name: &str, most: usize) -> Result<()> {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if begins && goes_on && name.len() <= most && !name.starts_with("pg_") {
        return Ok(());
    }
    Err(Error::field(
        field,
        format!(
            "must be of the letters a to z, digits and `_`, begin with no digit and not with `pg_`, and have 1 to \
             {most} characters, such as `ai_`"
        ),
    ))
}

/// The tables and indexes that `migration` makes.
pub(crate) fn made_by(migration: &str) -> impl Iterator<Item = &str> {
    let mut words = migration.lines().filter(|line| !line.trim_start().starts_with("--")).flat_map(|line| {
        line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
    });
    let mut is_made = false;
    std::iter::from_fn(move || {
        loop {
            match words.next()? {
                "CREATE" => is_made = true,
                "UNIQUE" | "TABLE" | "INDEX" if is_made => {}
                name if is_made => {
                    is_made = false;
                    if name != "EXTENSION" {
                        return Some(name);
                    }
                }
                _ => {}
            }
        }
    })
}

/// Every table and index of every database.
static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let texts = crate::migrations::ALL.iter().flat_map(|migrations| migrations.iter());
    texts.flat_map(|(_, _, sql)| made_by(sql)).chain([crate::migrations::TABLE]).collect()
});

/// `text` with `prefix` before each table's and index's name, wherever it stands
/// outside of strings and comments. No column and no alias is called like a table.
fn rewritten(text: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => rest.get(1..).and_then(|inner| inner.find('\'')).map(|end| end + 2),
            '-' if rest.starts_with("--") => rest.find('\n'),
            c if is_word(c) => Some(rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
            c => Some(c.len_utf8()),
        };
        let (token, after) = rest.split_at(length.unwrap_or(rest.len()));
        if KNOWN.contains(token) && !out.ends_with('.') {
            out.push_str(prefix);
        }
        out.push_str(token);
        rest = after;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use aimate_core::ErrorKind;

    use super::*;

    #[test]
    fn tables_and_indexes_are_renamed_and_nothing_else() {
        let names = Names::new(Some("ai_")).unwrap();
        let text = "INSERT INTO messages AS m (run_id, role) -- messages\n SELECT r.runs, 'users' FROM runs r \
                    WHERE messages.id = r.id AND x = 'it''s runs'; DROP INDEX segment_codes_space_id";
        assert_eq!(
            names.rewrite(text),
            "INSERT INTO ai_messages AS m (run_id, role) -- messages\n SELECT r.runs, 'users' FROM ai_runs r \
             WHERE ai_messages.id = r.id AND x = 'it''s runs'; DROP INDEX ai_segment_codes_space_id"
        );
        assert_eq!(names.of("runs"), "ai_runs");
        let literal = "SELECT id FROM runs";
        assert_eq!(names.literal(literal).as_deref(), Some("SELECT id FROM ai_runs"));
        assert_eq!(names.literal(literal), names.literal(literal));
        assert!(Names::default().literal(literal).is_none());
    }

    #[test]
    fn every_table_and_index_is_known() {
        for name in ["users", "aimate_migrations", "usage_records", "segment_codes", "runs_unfinished"] {
            assert!(KNOWN.contains(name), "{name}");
        }
        assert!(KNOWN.len() > 50);
        assert!(KNOWN.iter().all(|name| name.len() + MAX_PREFIX <= 63), "PostgreSQL would cut a name");
    }

    #[test]
    fn names_that_need_quotes_are_refused() {
        for prefix in
            ["ai\"", "ai'; DROP TABLE x; --", "Ai_", "1ai", "a i", "ä", "pg_x", &"a".repeat(33), "a.b"]
        {
            let error = Names::new(Some(prefix)).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{prefix}");
            assert!(error.message().contains("`table_prefix`"), "{error}");
        }
        assert!(Names::new(Some("")).unwrap().are_plain());
        assert_eq!(check_schema("").err().map(|error| error.kind()), Some(ErrorKind::Invalid));
        assert!(check_schema("acme_ai2").is_ok());
    }
}
