//! The levels of a statement: the statement itself, and each query in it. What a level names
//! stands in its own `FROM`; all else comes from a row outside.

use std::collections::HashSet;

/// The words and signs of one level, without those of the queries in it.
type Level = Vec<String>;

/// What begins a query, after a parenthesis too.
const QUERIES: [&str; 5] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"];
/// What stands before a table that is read or changed.
const BEFORE_TABLES: [&str; 4] = ["FROM", "JOIN", "UPDATE", "USING"];

/// What is wrong with a statement whose rows are one tenant's: a level that reads one of
/// `tables` without the tenant's parameter, or compares its tenant with a row outside.
/// Nothing of a statement that binds no tenant.
pub(crate) fn faults(text: &str, tables: &HashSet<String>) -> Vec<String> {
    let levels = levels(text);
    if !levels.iter().any(names_parameter) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for level in &levels {
        if let Some(table) = sources(level).into_iter().find(|name| tables.contains(*name))
            && !names_parameter(level)
        {
            faults.push(format!("`{table}` is read without the tenant's parameter: {}", level.join(" ")));
        }
        faults.extend(outer_tenants(level));
    }
    faults
}

/// The tables that a statement reads or changes.
pub(crate) fn tables_of(text: &str) -> HashSet<String> {
    levels(text).iter().flat_map(|level| sources(level).into_iter().map(str::to_owned)).collect()
}

/// Whether a statement's rows are one tenant's.
pub(crate) fn is_of_one_tenant(text: &str) -> bool {
    levels(text).iter().any(names_parameter)
}

fn is_tenant(word: &str) -> bool {
    word == "tenant_id" || word.ends_with(".tenant_id")
}

/// The two sides of each comparison by `=`.
fn equalities(level: &Level) -> impl Iterator<Item = [&str; 2]> {
    level.windows(3).filter(|three| three[1] == "=").map(|three| [three[0].as_str(), three[2].as_str()])
}

fn names_parameter(level: &Level) -> bool {
    equalities(level).any(|[left, right]| {
        is_tenant(left) && right.starts_with('$') || is_tenant(right) && left.starts_with('$')
    })
}

/// The tenants of rows outside that the level compares its own with.
fn outer_tenants(level: &Level) -> impl Iterator<Item = String> {
    let here = aliases(level);
    equalities(level).filter(|sides| sides.iter().all(|side| is_tenant(side))).flat_map(move |sides| {
        let outside = sides
            .into_iter()
            .filter(|side| side.strip_suffix(".tenant_id").is_some_and(|row| !here.contains(row)));
        outside.map(|side| format!("`{side}` is a row's outside")).collect::<Vec<_>>()
    })
}

/// The tables and common tables that a level reads or changes.
fn sources(level: &Level) -> Vec<&str> {
    let mut sources = Vec::new();
    for (at, word) in level.iter().enumerate() {
        let is_lock = at > 0 && ["FOR", "DO"].contains(&level[at - 1].as_str());
        if BEFORE_TABLES.contains(&word.as_str()) && !is_lock {
            sources.extend(level.get(at + 1).map(String::as_str));
        }
    }
    sources
}

/// What rows are called in a level.
fn aliases(level: &Level) -> HashSet<&str> {
    let mut aliases: HashSet<&str> = sources(level).into_iter().collect();
    for (at, word) in level.iter().enumerate() {
        let is_source = at > 0 && BEFORE_TABLES.contains(&level[at - 1].as_str());
        if is_source || word == ")" || word == "AS" {
            let next = level.get(at + 1).map(String::as_str);
            aliases.extend(next.filter(|next| next.starts_with(|c: char| c.is_ascii_lowercase())));
        }
    }
    aliases
}

/// The levels of a statement, each arm of a union for itself.
fn levels(text: &str) -> Vec<Level> {
    let words = words(text);
    let mut done = Vec::new();
    // Those that have begun, and which parenthesis began one.
    let mut open: Vec<Level> = vec![Vec::new()];
    let mut is_query = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "(" => {
                open.last_mut().unwrap().push(word.clone());
                let begins = words.get(at + 1).is_some_and(|next| QUERIES.contains(&next.as_str()));
                is_query.push(begins);
                if begins {
                    open.push(Vec::new());
                }
            }
            ")" => {
                if is_query.pop().unwrap() {
                    done.push(open.pop().unwrap());
                }
                open.last_mut().unwrap().push(word.clone());
            }
            _ => open.last_mut().unwrap().push(word.clone()),
        }
    }
    assert!(is_query.is_empty(), "a parenthesis does not end: {text}");
    done.extend(open);
    let arms = |level: Level| level.split(|word| word == "UNION").map(<[String]>::to_vec).collect::<Vec<_>>();
    done.into_iter().flat_map(arms).collect()
}

/// Words with the dots and dollars in them, and signs one by one; nothing of strings.
fn words(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
    let mut words: Vec<String> = Vec::new();
    for (place, part) in text.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push("''".into());
            continue;
        }
        let mut rest = part.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (word, after) = rest.split_at(length);
            words.push(word.to_owned());
            rest = after.trim_start();
        }
    }
    words
}
