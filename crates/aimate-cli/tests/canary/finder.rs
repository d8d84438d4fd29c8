//! Finds secrets in bytes, however they are written.

use std::collections::{HashMap, HashSet};

/// Characters of a secret in a row that give it away.
const REVEALING: usize = 8;

/// Looks for secrets.
pub(crate) struct Finder {
    /// Whose each run is, and in what form.
    runs: HashMap<Vec<u8>, String>,
    /// The lengths of runs.
    lengths: HashSet<usize>,
    /// What runs begin with.
    begins: HashSet<u64>,
}

impl Finder {
    /// For secrets with their names.
    pub(crate) fn new(secrets: &[(&'static str, &str)]) -> Self {
        let mut runs = HashMap::new();
        for (name, secret) in secrets {
            for (form, text, run) in forms(secret) {
                let text = text.to_ascii_lowercase();
                for window in text.as_bytes().windows(run).filter(|window| !is_common(window)) {
                    runs.insert(window.to_vec(), format!("{name}, {form}"));
                }
            }
        }
        let lengths = runs.keys().map(Vec::len).collect();
        let begins = runs.keys().filter_map(|run| begin(run)).collect();
        Self { runs, lengths, begins }
    }

    /// The names and forms of what is in `text`, each once, with what stands around it.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<String> {
        let lower = text.to_ascii_lowercase();
        let mut found = HashMap::new();
        for at in 0..lower.len() {
            if begin(&lower[at..]).is_none_or(|begin| !self.begins.contains(&begin)) {
                continue;
            }
            for length in &self.lengths {
                let Some(hit) = lower.get(at..at + length).and_then(|run| self.runs.get(run)) else {
                    continue;
                };
                found.entry(hit.clone()).or_insert_with(|| {
                    let around = &text[at.saturating_sub(80)..(at + length + 20).min(text.len())];
                    String::from_utf8_lossy(around).into_owned()
                });
            }
        }
        found.into_iter().map(|(hit, around)| format!("{hit}: …{around}…")).collect()
    }
}

/// What keys of a vendor have in common gives none away.
fn is_common(window: &[u8]) -> bool {
    ["sk-user-"].iter().any(|common| common.as_bytes() == window)
}

fn begin(run: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(run.get(..REVEALING)?.try_into().ok()?))
}

/// The forms of a secret, each with how much of it in a row gives eight characters away.
fn forms(secret: &str) -> Vec<(&'static str, String, usize)> {
    let hex = |prefix: &str| secret.bytes().map(|byte| format!("{prefix}{byte:02x}")).collect::<String>();
    let mut forms = vec![
        ("plain", secret.to_owned(), REVEALING),
        ("reversed", secret.chars().rev().collect(), REVEALING),
        ("hexadecimal", hex(""), 2 * REVEALING),
        ("percent-encoded", hex("%"), 3 * REVEALING),
        ("escaped", hex("\\x"), 4 * REVEALING),
    ];
    for before in ["", "a", "ab"] {
        let whole = base64(&format!("{before}{secret}"));
        // Where it begins and ends depends on its neighbours.
        let own = whole[4..whole.len() - 4].to_owned();
        forms.push(("in base64", own.replace('+', "-").replace('/', "_"), 11));
        forms.push(("in base64", own, 11));
    }
    forms
}

/// RFC 4648, without a library: it is the test's own judge.
pub(crate) fn base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        bits <<= 8 * (3 - chunk.len());
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place) & 63) as usize;
            out.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}
