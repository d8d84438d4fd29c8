//! Parses `tokenizer.json`. Anything unknown is refused: a single different token
//! would spoil vectors without a sign.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::charsmap::Charsmap;
use super::special_tokens::{SpecialToken, SpecialTokens};
use super::tokenizer::{Pieces, Tokenizer};
use super::unigram::{MAX_PIECE, SPACE, Spaces, Unigram};
use super::wordpiece::{Cleaning, Vocabulary, WordPiece};

/// The error is what is wrong with the file.
type Result<T, E = String> = std::result::Result<T, E>;

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    model: ModelFile,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: Box<str>,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

/// The model, of either kind.
#[derive(Deserialize)]
struct ModelFile {
    /// Old files of WordPiece have none.
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Entries,
    unk_token: Option<Box<str>>,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<usize>,
    unk_id: Option<u32>,
    #[serde(default)]
    byte_fallback: bool,
}

/// A vocabulary: ids by text, or texts with scores.
enum Entries {
    Ids(Vocabulary),
    Scores(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Entries;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut ids = Vocabulary::default();
                while let Some((text, id)) = map.next_entry()? {
                    ids.insert(text, id);
                }
                Ok(Entries::Ids(ids))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                let mut scores = Vec::new();
                while let Some(piece) = list.next_element()? {
                    scores.push(piece);
                }
                Ok(Entries::Scores(scores))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
struct Normalizer {
    #[serde(default = "yes")]
    clean_text: bool,
    #[serde(default = "yes")]
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    lowercase: bool,
}

#[derive(Deserialize)]
struct Metaspace {
    replacement: char,
    add_prefix_space: Option<bool>,
    prepend_scheme: Option<String>,
    #[serde(default = "yes")]
    split: bool,
}

#[derive(Deserialize)]
struct Template {
    single: Vec<TemplatePart>,
    special_tokens: HashMap<String, TemplateToken>,
}

#[derive(Deserialize)]
enum TemplatePart {
    SpecialToken { id: String, type_id: u32 },
    Sequence { type_id: u32 },
}

#[derive(Deserialize)]
struct TemplateToken {
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct BertProcessing {
    sep: (String, u32),
    cls: (String, u32),
}

fn yes() -> bool {
    true
}

/// What of a text's tokens is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// What the file adds around them too.
    Added,
    /// They alone: the file need not say what it adds.
    Nothing,
}

/// Parses the text of a `tokenizer.json`. Its truncation and padding are ignored:
/// they are up to the caller.
pub(super) fn read(json: &str, wanted: Around) -> Result<Tokenizer> {
    let file: TokenizerFile = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let is_unigram = file.model.kind.as_deref() == Some("Unigram");
    let model = if is_unigram {
        Pieces::Unigram(unigram(file.model, file.normalizer, file.pre_tokenizer)?)
    } else {
        Pieces::WordPiece(word_piece(file.model, file.normalizer, &file.pre_tokenizer)?)
    };
    let (before, behind) = match wanted {
        Around::Added => around(file.post_processor)?,
        Around::Nothing => Default::default(),
    };
    Ok(Tokenizer { model, special: special(file.added_tokens, is_unigram)?, before, behind })
}

fn word_piece(model: ModelFile, normalizer: Value, pre_tokenizer: &Value) -> Result<WordPiece> {
    // The kind of the model says best what a file is.
    let kind = model.kind.as_deref().unwrap_or("WordPiece");
    if kind != "WordPiece" {
        return Err(format!("its model is `{kind}`; `WordPiece` and `Unigram` are known"));
    }
    let normalizer: Normalizer = part("normalizer", "BertNormalizer", normalizer)?;
    known("pre_tokenizer", "BertPreTokenizer", pre_tokenizer)?;
    let Entries::Ids(vocab) = model.vocab else { return Err("its vocabulary has no ids".to_owned()) };
    let needs = |name: &str| format!("its model has no `{name}`");
    let unk_token = model.unk_token.ok_or_else(|| needs("unk_token"))?;
    let prefix = model.continuing_subword_prefix.ok_or_else(|| needs("continuing_subword_prefix"))?;
    let max_word = model.max_input_chars_per_word.ok_or_else(|| needs("max_input_chars_per_word"))?;
    let unknown = vocab.get(&unk_token).copied();
    let unknown = unknown.ok_or_else(|| format!("its vocabulary has no `{unk_token}`"))?;
    if prefix.is_empty() {
        return Err("its continuing_subword_prefix is empty; `##` is usual".to_owned());
    }
    let longest = vocab.keys().map(|entry| entry.len()).max().unwrap_or(0);
    let (pieces, words): (Vocabulary, Vocabulary) =
        vocab.into_iter().partition(|(entry, _)| entry.starts_with(&prefix));
    let bare = |entry: Box<str>| entry.get(prefix.len()..).unwrap_or_default().into();
    let pieces = pieces.into_iter().map(|(entry, id)| (bare(entry), id)).collect();
    let cleaning = Cleaning {
        drop_control: normalizer.clean_text,
        split_chinese: normalizer.handle_chinese_chars,
        strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
        lowercase: normalizer.lowercase,
    };
    Ok(WordPiece { cleaning, words, pieces, longest, unknown, max_word })
}

fn unigram(model: ModelFile, normalizer: Value, pre_tokenizer: Value) -> Result<Unigram> {
    let Entries::Scores(pieces) = model.vocab else { return Err("its vocabulary has no scores".to_owned()) };
    if model.byte_fallback {
        return Err("its model has a token for each byte (`byte_fallback`), which is not known".to_owned());
    }
    let unknown = model.unk_id.filter(|id| usize::try_from(*id).is_ok_and(|id| id < pieces.len()));
    let unknown = unknown.ok_or("its unk_id is none of its vocabulary")?;
    if let Some((piece, score)) = pieces.iter().find(|(_, score)| !score.is_finite()) {
        return Err(format!("the score of its piece `{piece}` is {score}"));
    }
    if let Some((piece, _)) = pieces.iter().find(|(piece, _)| piece.chars().nth(MAX_PIECE).is_some()) {
        return Err(format!("its piece `{piece:.40}…` has more than {MAX_PIECE} characters"));
    }
    let (mut spaces, mut charsmap) = (Spaces::default(), None);
    for step in steps("normalizer", "normalizers", normalizer)? {
        normalize(&step, &mut spaces, &mut charsmap)?;
    }
    let mut steps = steps("pre_tokenizer", "pretokenizers", pre_tokenizer)?;
    if steps.len() == 2 && steps.first().is_some_and(|step| kind(step) == "WhitespaceSplit") {
        spaces.split = true;
        steps.remove(0);
    }
    let step = if steps.len() == 1 { steps.remove(0) } else { Value::Null };
    let metaspace: Metaspace = part("pre_tokenizer", "Metaspace", step)?;
    let always = metaspace.add_prefix_space.unwrap_or(true);
    spaces.prepend = match metaspace.prepend_scheme.as_deref() {
        _ if metaspace.replacement != SPACE || !metaspace.split => {
            return Err(format!("its pre_tokenizer does not split at spaces that are written `{SPACE}`"));
        }
        None => always,
        Some("always") => true,
        Some("never") => false,
        Some(other) => {
            return Err(format!(
                "its pre_tokenizer's prepend_scheme is `{other}`; `always` and `never` are known"
            ));
        }
    };
    Ok(Unigram::new(&pieces, unknown, spaces, charsmap))
}

/// Takes one step of a normalizer over.
fn normalize(step: &Value, spaces: &mut Spaces, charsmap: &mut Option<Charsmap>) -> Result<()> {
    let says = |name: &str| step.get(name).and_then(Value::as_bool) == Some(true);
    match kind(step) {
        "Precompiled" if charsmap.is_none() => {
            let table = step.get("precompiled_charsmap").and_then(Value::as_str).unwrap_or_default();
            let table = Charsmap::read(table);
            *charsmap = Some(table.map_err(|error| format!("its precompiled_charsmap: {error}"))?);
        }
        "Strip" => {
            spaces.strip_left |= says("strip_left");
            spaces.strip_right |= says("strip_right");
        }
        "Replace"
            if step.pointer("/pattern/Regex").and_then(Value::as_str) == Some(" {2,}")
                && matches!(step.get("content").and_then(Value::as_str), Some(" " | "▁")) =>
        {
            spaces.join = true;
        }
        other => {
            return Err(format!(
                "its normalizer has a step `{other}`; those of XLM-RoBERTa are known: a table of characters, \
                 and what is done to spaces"
            ));
        }
    }
    Ok(())
}

/// The steps of a sequence, or the one that is there.
fn steps(name: &str, list: &str, value: Value) -> Result<Vec<Value>> {
    match kind(&value) {
        "none" => Ok(Vec::new()),
        "Sequence" => parse(name, value.get(list).cloned().unwrap_or_default()),
        _ => Ok(vec![value]),
    }
}

/// Returns the tokens that are recognized anywhere.
///
/// XLM-RoBERTa's `<mask>` is said to be matched after normalizing, which leaves such
/// a token as it is.
fn special(added: Vec<AddedToken>, is_unigram: bool) -> Result<SpecialTokens> {
    let is_odd = |token: &AddedToken| {
        let is_changed = token.normalized && !(is_unigram && token.special);
        token.single_word || is_changed || token.content.is_empty()
    };
    if let Some(odd) = added.iter().find(|token| is_odd(token)) {
        return Err(format!(
            "its added token `{}` is matched as a whole word or after cleaning; only tokens that are matched as they stand are known",
            odd.content
        ));
    }
    let special = |token: AddedToken| SpecialToken {
        text: token.content,
        id: token.id,
        takes_left: token.lstrip,
        takes_right: token.rstrip,
    };
    Ok(SpecialTokens::new(added.into_iter().map(special).collect()))
}

/// Returns the tokens to add before and after a text.
fn around(processor: Value) -> Result<(Vec<u32>, Vec<u32>)> {
    match kind(&processor) {
        "BertProcessing" | "RobertaProcessing" => {
            let BertProcessing { sep, cls } = parse("post_processor", processor)?;
            Ok((vec![cls.1], vec![sep.1]))
        }
        _ => {
            let template: Template = part("post_processor", "TemplateProcessing", processor)?;
            let (mut before, mut behind, mut seen) = (Vec::new(), Vec::new(), false);
            for part in &template.single {
                match part {
                    TemplatePart::Sequence { type_id: 0 } if !seen => seen = true,
                    TemplatePart::SpecialToken { id, type_id: 0 }
                        if template.special_tokens.contains_key(id) =>
                    {
                        let ids = template.special_tokens.get(id).map(|special| &special.ids);
                        let side = if seen { &mut behind } else { &mut before };
                        side.extend(ids.into_iter().flatten());
                    }
                    _ => return Err("its post_processor is no template of one text with type 0".to_owned()),
                }
            }
            Ok((before, behind))
        }
    }
}

fn part<T: DeserializeOwned>(name: &str, expected: &str, value: Value) -> Result<T> {
    known(name, expected, &value)?;
    parse(name, value)
}

fn known(name: &str, expected: &str, value: &Value) -> Result<()> {
    match kind(value) {
        found if found == expected => Ok(()),
        found => Err(format!(
            "its {name} is `{found}`; that of a BERT or XLM-RoBERTa model is needed, `{expected}` here"
        )),
    }
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("none")
}

fn parse<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| format!("its {name} cannot be read: {error}"))
}
