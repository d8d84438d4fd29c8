use std::sync::LazyLock;

use aimate_index::analysis::{analyze, analyze_query};
use aimate_providers::fuzzing::Tokenizer;

use crate::Target;

const SIGNS: &[&str] = &[
    "the",
    "E-1042",
    "v1.2.3",
    "U.S.",
    "foo_bar",
    "’",
    "é",
    "e\u{301}",
    "ß",
    "İ",
    "ς",
    "漢字",
    "日本",
    "ひら",
    "ガ",
    "\u{3099}",
    "한국",
    "\u{1112}\u{1161}",
    "ไทย",
    "हिन्दी",
    "العربية",
    "😀",
    "👨\u{200D}👩",
    "\u{AD}",
    "\u{200C}",
    "\u{A0}",
    "ﬁ",
    "ﷺ",
    "²",
    "Ⅷ",
    "\0",
    "\u{FFFD}",
    "\u{10FFFF}",
    " ",
    "\n",
    ".",
    "[SEP]",
    "##",
];

pub(super) const TERMS: Target = Target {
    name: "terms",
    run: terms,
    seeds: || {
        let texts = [
            "Run, running: runs! The cat's e-mail is foo_bar@example.org",
            "一只小猫在 한국어 ガギ U.S. v1.2.3",
        ];
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    },
    words: SIGNS,
};

/// A text is found by each term of a question that is its own words.
pub fn terms(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let terms = analyze(&text);
    assert!(terms.counts.is_sorted_by(|one, other| one.0 < other.0));
    assert!(terms.counts.iter().all(|(_, count)| *count > 0));
    for (term, _) in analyze_query(&text).counts {
        assert!(terms.counts.binary_search_by(|(other, _)| other.cmp(&term)).is_ok(), "{term:?}");
    }
}

const JSON: &str = r###"{"added_tokens":[{"id":4,"content":"[SEP]"},{"id":3,"content":"[CLS]"}],
"normalizer":{"type":"BertNormalizer","lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},
{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],
"special_tokens":{"[CLS]":{"ids":[3]},"[SEP]":{"ids":[4]}}},
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":20,
"vocab":{"[UNK]":0,"a":1,"##b":2,"[CLS]":3,"[SEP]":4,"the":5,"##e":6,"é":7,"漢":8,".":9,"run":10,"##ning":11}}}"###;

/// SentencePiece's. The table replaces nothing.
const UNIGRAM: &str = r###"{"added_tokens":[{"id":3,"content":"[SEP]","special":true,"lstrip":true,"normalized":true}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAABhAA=="},
{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]},
"pre_tokenizer":{"type":"Metaspace","replacement":"▁"},
"post_processor":{"type":"RobertaProcessing","sep":["[SEP]",3],"cls":["[SEP]",3]},
"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["▁the",-3.0],["▁",-2.0],["[SEP]",0.0],["é",-4.5],
["漢字",-5.0],["e",-1.0],["s",-1.5],["▁t",-2.5],["h",-2.0]]}}"###;

static KNOWN: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::read(JSON).unwrap());

pub(super) const BERT: Target = Target {
    name: "bert",
    run: bert,
    seeds: || {
        assert!(Tokenizer::read(UNIGRAM).is_some(), "it is as good as none otherwise");
        vec![
            [JSON, "running the [SEP] é漢abe"].join("\0").into_bytes(),
            [UNIGRAM, "the  thes [SEP] é漢字 e "].join("\0").into_bytes(),
            b"\0the run".to_vec(),
        ]
    },
    words: SIGNS,
};

/// Tokens are those of the vocabulary, as many as counted, and a limit cuts them.
pub fn bert(input: &[u8]) {
    let json = input.split(|byte| *byte == 0).next().unwrap();
    let text = String::from_utf8_lossy(input.get(json.len() + 1..).unwrap_or_default());
    let read = Tokenizer::read(&String::from_utf8_lossy(json));
    let tokenizer = read.as_ref().unwrap_or(&KNOWN);
    let all = tokenizer.encode(&text, usize::MAX);
    assert_eq!(all.len(), tokenizer.count(&text));
    assert!(all.iter().all(|token| *token <= tokenizer.largest()));
    let around = tokenizer.count("");
    let max = around + 3;
    let some = tokenizer.encode(&text, max);
    assert_eq!(some.len(), all.len().min(max));
}
