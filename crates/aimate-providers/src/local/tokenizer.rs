//! Parses `tokenizer.json`. Anything unknown is refused: a single different token
//! would spoil vectors without a sign.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wordpiece::{Cleaning, Tokenizer, Vocabulary};

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
    model: Value,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: Box<str>,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
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
struct WordPieceModel {
    vocab: Vocabulary,
    unk_token: Box<str>,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
}

#[derive(Deserialize)]
struct Template {
    single: Vec<TemplatePart>,
    special_tokens: HashMap<String, SpecialToken>,
}

#[derive(Deserialize)]
enum TemplatePart {
    SpecialToken { id: String, type_id: u32 },
    Sequence { type_id: u32 },
}

#[derive(Deserialize)]
struct SpecialToken {
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

/// Parses the text of a `tokenizer.json`. Its truncation and padding are ignored:
/// they are up to the caller.
pub(super) fn read(json: &str) -> Result<Tokenizer> {
    let file: TokenizerFile = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let normalizer: Normalizer = part("normalizer", "BertNormalizer", file.normalizer)?;
    known("pre_tokenizer", "BertPreTokenizer", &file.pre_tokenizer)?;
    let (before, behind) = around(file.post_processor)?;
    let model: WordPieceModel = match file.model.get("type") {
        // Old files have no type.
        None => parse("model", file.model)?,
        Some(_) => part("model", "WordPiece", file.model)?,
    };
    let unknown = model.vocab.get(&model.unk_token).copied();
    let unknown = unknown.ok_or_else(|| format!("its vocabulary has no `{}`", model.unk_token))?;
    if model.continuing_subword_prefix.is_empty() {
        return Err("its continuing_subword_prefix is empty; `##` is usual".to_owned());
    }
    let longest = model.vocab.keys().map(|entry| entry.len()).max().unwrap_or(0);
    let (pieces, words): (Vocabulary, Vocabulary) =
        model.vocab.into_iter().partition(|(entry, _)| entry.starts_with(&model.continuing_subword_prefix));
    let prefix = model.continuing_subword_prefix.len();
    let pieces =
        pieces.into_iter().map(|(entry, id)| (entry.get(prefix..).unwrap_or_default().into(), id)).collect();
    let special = special(file.added_tokens)?;
    let mut special_begins: Vec<u8> = special.iter().filter_map(|(text, _)| text.bytes().next()).collect();
    special_begins.sort_unstable();
    special_begins.dedup();
    Ok(Tokenizer {
        cleaning: Cleaning {
            drop_control: normalizer.clean_text,
            split_chinese: normalizer.handle_chinese_chars,
            strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
            lowercase: normalizer.lowercase,
        },
        words,
        pieces,
        longest,
        unknown,
        max_word: model.max_input_chars_per_word,
        special,
        special_begins,
        before,
        behind,
    })
}

/// Returns the tokens that are recognized anywhere, the longest first.
fn special(added: Vec<AddedToken>) -> Result<Vec<(Box<str>, u32)>> {
    if let Some(odd) =
        added.iter().find(|token| token.single_word || token.normalized || token.content.is_empty())
    {
        return Err(format!(
            "its added token `{}` is matched as a whole word or after cleaning; only tokens that are matched as they stand are known",
            odd.content
        ));
    }
    let mut special: Vec<_> = added.into_iter().map(|token| (token.content, token.id)).collect();
    special.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    Ok(special)
}

/// Returns the tokens to add before and after a text.
fn around(processor: Value) -> Result<(Vec<u32>, Vec<u32>)> {
    match kind(&processor) {
        "BertProcessing" => {
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
            "its {name} is `{found}`; the tokenizer of a BERT model is needed, whose {name} is `{expected}`"
        )),
    }
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("none")
}

fn parse<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| format!("its {name} cannot be read: {error}"))
}
