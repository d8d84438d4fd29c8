//! The `.env` file: that of the data folder, or one that `--env-file` names. None
//! is looked for anywhere else: a folder that somebody works in, and those above
//! it, may be a stranger's.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use aimate::{Error, Result};

/// The settings of the README that do not begin with `AIMATE_`; those of OpenTelemetry are read
/// by it alone, from the environment: spans may go with a key that is there.
const SETTINGS: [&str; 19] = [
    "AI_PROVIDER",
    "ALLOWED_ORIGINS",
    "BRAVE_API_KEY",
    "DATABASE_DIRECT_URL",
    "DATABASE_POOL_SIZE",
    "DATABASE_ROW_LEVEL_SECURITY",
    "DATABASE_SCHEMA",
    "DATABASE_TABLE_PREFIX",
    "DATABASE_TIMEOUT",
    "DATABASE_URL",
    "ENCRYPTION_KEY",
    "JWT_SECRET",
    "JWT_SECRET_PREVIOUS",
    "OLLAMA_HOST",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENROUTER_API_KEY",
    "PORT",
    "RUST_LOG",
];
const DATA_DIR: &str = "AIMATE_DATA_DIR";

/// The names that were taken from a file, and the file.
static TAKEN: OnceLock<(PathBuf, HashSet<String>)> = OnceLock::new();

/// Names of a file that were left alone, and why.
pub(crate) struct LeftAlone {
    pub(crate) names: Vec<String>,
    pub(crate) file: PathBuf,
}

/// Reads the file, before the arguments take their defaults from the environment.
/// What the environment has already is kept, and names that are no settings of
/// aiMate are left alone: they would be those of other programs.
///
/// # Errors
/// `Invalid` if a file is named and cannot be read, or one is malformed.
pub(crate) fn load(arguments: impl Iterator<Item = OsString>) -> Result<Option<LeftAlone>> {
    let Place { file, is_named } = place(arguments, std::env::var_os(DATA_DIR));
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if !is_named && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::invalid(format!(
                "the settings in {} cannot be read: {error}",
                file.display()
            )));
        }
    };
    let malformed = |error: &dyn std::fmt::Display| Error::invalid(format!("{}: {error}", file.display()));
    let (mut taken, mut names) = (Vec::new(), Vec::new());
    for pair in dotenvy::from_read_iter(text.as_bytes()) {
        let (name, value) = pair.map_err(|error| malformed(&error))?;
        if !is_setting(&name) || (!is_named && name == DATA_DIR) {
            names.push(name);
        } else if std::env::var_os(&name).is_none() {
            taken.push((name, value));
        }
    }
    let lines: String = taken.iter().map(|(name, value)| line(name, value)).collect();
    let again: std::result::Result<Vec<_>, _> = dotenvy::from_read_iter(lines.as_bytes()).collect();
    if again.map_err(|error| malformed(&error))? != taken {
        return Err(malformed(&"a value has characters that cannot be kept"));
    }
    dotenvy::from_read(lines.as_bytes()).map_err(|error| malformed(&error))?;
    let _ = TAKEN.set((file.clone(), taken.into_iter().map(|(name, _)| name).collect()));
    Ok((!names.is_empty()).then_some(LeftAlone { names, file }))
}

/// The value of `key`, a secret, for the address of `address`: an address that a
/// file gives is not sent a key from elsewhere, because whoever wrote the file
/// would get it.
pub(crate) fn key_for(key: &str, address: &str) -> Option<String> {
    let value = std::env::var(key).ok().filter(|value| !value.trim().is_empty())?;
    may_be_sent(key, address).then_some(value)
}

/// Whether the value of `key` may be sent to the address of `address`; see [`key_for`].
pub(crate) fn may_be_sent(key: &str, address: &str) -> bool {
    let Some((file, taken)) = TAKEN.get() else { return true };
    let may = may_meet(key, address, taken);
    if !may {
        tracing::warn!(
            "{address} is from {} and {key} is not: the key is not sent there; put both into one place",
            file.display()
        );
    }
    may
}

fn may_meet(key: &str, address: &str, taken: &HashSet<String>) -> bool {
    !taken.contains(address) || taken.contains(key)
}

fn is_setting(name: &str) -> bool {
    name.starts_with("AIMATE_") || SETTINGS.contains(&name)
}

/// A setting so that nothing in its value means anything.
fn line(name: &str, value: &str) -> String {
    format!("{name}='{}'\n", value.replace('\'', "'\\''"))
}

/// Which file is read.
#[derive(Debug, PartialEq)]
struct Place {
    file: PathBuf,
    /// Whether the caller named it.
    is_named: bool,
}

/// The file that these arguments mean. They are read once more by clap, which
/// refuses what is wrong with them.
fn place(arguments: impl Iterator<Item = OsString>, data_dir: Option<OsString>) -> Place {
    let (mut file, mut folder) = (None, data_dir.filter(|folder| !folder.is_empty()));
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else { continue };
        if text == "--" {
            break;
        }
        for (flag, value) in [("--env-file", &mut file), ("--data-dir", &mut folder)] {
            match text.strip_prefix(flag) {
                Some("") => *value = arguments.next().or(value.take()),
                Some(rest) if rest.starts_with('=') => *value = Some(rest.trim_start_matches('=').into()),
                _ => {}
            }
        }
    }
    match file {
        Some(file) => Place { file: file.into(), is_named: true },
        None => {
            let folder = folder.map_or_else(|| PathBuf::from("aimate-data"), PathBuf::from);
            Place { file: folder.join(".env"), is_named: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(arguments: &[&str], data_dir: Option<&str>) -> (String, bool) {
        let arguments = std::iter::once("aimate").chain(arguments.iter().copied()).map(OsString::from);
        let Place { file, is_named } = place(arguments, data_dir.map(OsString::from));
        (file.display().to_string(), is_named)
    }

    #[test]
    fn file_is_that_of_the_data_folder_or_a_named_one() {
        assert_eq!(place_of(&[], None), ("aimate-data/.env".into(), false));
        assert_eq!(place_of(&["serve"], Some("/a")), ("/a/.env".into(), false));
        assert_eq!(place_of(&["chat", "--data-dir", "/b"], Some("/a")), ("/b/.env".into(), false));
        assert_eq!(place_of(&["--data-dir=/b", "--env-file", "x"], None), ("x".into(), true));
        assert_eq!(place_of(&["--env-file=x"], None), ("x".into(), true));
        assert_eq!(place_of(&["chat", "--", "--env-file", "x"], None), ("aimate-data/.env".into(), false));
    }

    #[test]
    fn address_of_a_file_meets_only_the_key_of_that_file() {
        let taken = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        assert!(may_meet("KEY", "URL", &taken(&[])));
        assert!(may_meet("KEY", "URL", &taken(&["KEY"])));
        assert!(may_meet("KEY", "URL", &taken(&["KEY", "URL"])));
        assert!(!may_meet("KEY", "URL", &taken(&["URL"])));
    }

    #[test]
    fn values_survive_whatever_is_in_them() {
        for value in ["a", "", "a b", "it's", "$HOME", "a\"b", "a\\b", "#x", "a=b", " a ", "a\nb"] {
            let lines = line("NAME", value);
            let read: Vec<_> = dotenvy::from_read_iter(lines.as_bytes()).map(Result::unwrap).collect();
            assert_eq!(read, [("NAME".to_owned(), value.to_owned())], "{lines}");
        }
    }

    #[test]
    fn only_own_names_are_settings() {
        assert!(is_setting("AIMATE_LOG") && is_setting("OPENAI_BASE_URL"));
        for foreign in ["LD_PRELOAD", "PATH", "HTTPS_PROXY", "SSL_CERT_FILE", "aimate_log"] {
            assert!(!is_setting(foreign), "{foreign}");
        }
    }

    #[test]
    fn settings_of_the_readme_are_settings() {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once("\n## Settings\n").unwrap();
        let (table, _) = rest.split_once("\n### ").unwrap();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
        let names: HashSet<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        assert!(names.contains("DATABASE_URL"), "{names:?}");
        for name in &names {
            assert!(is_setting(name) || name.starts_with("OTEL_"), "{name}");
        }
        // RUST_LOG is in the sentence on AIMATE_LOG.
        for name in SETTINGS.iter().filter(|name| **name != "RUST_LOG") {
            assert!(names.contains(name), "{name} is not in the README");
        }
    }
}
