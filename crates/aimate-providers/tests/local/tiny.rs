//! A tiny BERT of random weights: its folder, and its vectors by definition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aimate_core::{Ids as _, RandomIds};
use serde_json::{Value, json};

/// How numbers are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Precision {
    F32,
    F16,
    Bf16,
}

pub(crate) struct Tiny {
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    pub(crate) activation: &'static str,
    pub(crate) cls: bool,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Tokens of the vocabulary: 5 special ones, the letters, and `##` before each.
pub(crate) const VOCABULARY: usize = 5 + 26 + 26;
/// Positions of the network.
pub(crate) const POSITIONS: usize = 40;

impl Tiny {
    pub(crate) fn new(hidden: usize, heads: usize, inner: usize, layers: usize) -> Self {
        let mut tiny =
            Self { hidden, heads, inner, layers, activation: "gelu", cls: false, tensors: BTreeMap::new() };
        tiny.add("embeddings.word_embeddings.weight", &[VOCABULARY, hidden]);
        tiny.add("embeddings.position_embeddings.weight", &[POSITIONS, hidden]);
        tiny.add("embeddings.token_type_embeddings.weight", &[2, hidden]);
        tiny.pair("embeddings.LayerNorm", &[hidden]);
        for layer in 0..layers {
            let mut pair =
                |part: &str, shape: &[usize]| tiny.pair(&format!("encoder.layer.{layer}.{part}"), shape);
            for part in ["query", "key", "value"] {
                pair(&format!("attention.self.{part}"), &[hidden, hidden]);
            }
            pair("attention.output.dense", &[hidden, hidden]);
            pair("attention.output.LayerNorm", &[hidden]);
            pair("intermediate.dense", &[inner, hidden]);
            pair("output.dense", &[hidden, inner]);
            pair("output.LayerNorm", &[hidden]);
        }
        tiny
    }

    fn pair(&mut self, name: &str, shape: &[usize]) {
        self.add(&format!("{name}.weight"), shape);
        self.add(&format!("{name}.bias"), &shape[..1]);
    }

    /// Numbers that each format can write exactly: multiples of 1/64 below 2.
    fn add(&mut self, name: &str, shape: &[usize]) {
        let mut seed = name.bytes().fold(7_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 24) as f32 - 127.5).round() / 64.0
        };
        let numbers = (0..shape.iter().product()).map(|_| next()).collect();
        self.tensors.insert(name.to_owned(), (shape.to_vec(), numbers));
    }

    pub(crate) fn config(&self) -> Value {
        json!({
            "model_type": "bert", "hidden_act": self.activation, "hidden_size": self.hidden,
            "intermediate_size": self.inner, "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers, "max_position_embeddings": POSITIONS,
            "layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "vocab_size": VOCABULARY,
        })
    }

    /// The folder of the model.
    pub(crate) fn write(&self, number: Precision) -> Folder {
        let folder = Folder::new();
        folder.put("config.json", self.config().to_string());
        folder.put("tokenizer.json", tokenizer().to_string());
        folder.put("model.safetensors", self.weights(number, ""));
        let pooling = json!({"pooling_mode_cls_token": self.cls, "pooling_mode_mean_tokens": !self.cls});
        folder.put("1_Pooling/config.json", pooling.to_string());
        folder
    }

    pub(crate) fn weights(&self, number: Precision, prefix: &str) -> Vec<u8> {
        let (mut header, mut data) = (json!({"__metadata__": {"format": "pt"}}), Vec::new());
        for (name, (shape, numbers)) in &self.tensors {
            let start = data.len();
            for value in numbers {
                let bits = value.to_bits();
                match number {
                    Precision::F32 => data.extend(bits.to_le_bytes()),
                    Precision::Bf16 => data.extend(((bits >> 16) as u16).to_le_bytes()),
                    Precision::F16 => data.extend(half(*value).to_le_bytes()),
                }
            }
            let dtype = format!("{number:?}").to_uppercase();
            header[format!("{prefix}{name}")] =
                json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        }
        safetensors(&header.to_string(), &data)
    }

    fn tensor(&self, name: &str) -> Vec<f64> {
        self.tensors[name].1.iter().map(|number| f64::from(*number)).collect()
    }

    /// The vector of a text of letters, by definition.
    pub(crate) fn vector(&self, text: &str) -> Vec<f64> {
        let rows = self.rows(&ids(text), usize::MAX);
        let pooled = if self.cls {
            rows[0].clone()
        } else {
            rows.iter().skip(1).fold(rows[0].clone(), |a, b| sum(&a, b))
        };
        let length = dot(&pooled, &pooled).sqrt();
        pooled.iter().map(|number| number / length).collect()
    }

    /// The score of a question and a passage of letters, by definition, and that of the head
    /// that [`Tiny::with_head`] added.
    pub(crate) fn score(&self, query: &str, passage: &str, is_roberta: bool) -> f64 {
        let (mut pair, passage) = (ids(query), ids(passage));
        let second = if is_roberta { usize::MAX } else { pair.len() };
        if is_roberta {
            pair.push(3);
        }
        pair.extend(&passage[1..]);
        let first = self.rows(&pair, second).remove(0);
        let (dense, out) = if is_roberta {
            ("classifier.dense", "classifier.out_proj")
        } else {
            ("pooler.dense", "classifier")
        };
        let pooled: Vec<f64> = self.linear(dense, &first).iter().map(|number| number.tanh()).collect();
        1.0 / (1.0 + (-self.linear(out, &pooled)[0]).exp())
    }

    /// With what makes one score.
    pub(crate) fn with_head(mut self, is_roberta: bool) -> Self {
        let hidden = self.hidden;
        if is_roberta {
            self.pair("classifier.dense", &[hidden, hidden]);
            self.pair("classifier.out_proj", &[1, hidden]);
        } else {
            self.pair("pooler.dense", &[hidden, hidden]);
            self.pair("classifier", &[1, hidden]);
        }
        self
    }

    fn rows(&self, ids: &[usize], second: usize) -> Vec<Vec<f64>> {
        let [words, positions, types] = ["word", "position", "token_type"]
            .map(|table| self.tensor(&format!("embeddings.{table}_embeddings.weight")));
        let row = |table: &[f64], number: usize| table[number * self.hidden..][..self.hidden].to_vec();
        let mut rows: Vec<Vec<f64>> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| {
                sum(&sum(&row(&words, *id), &row(&positions, at)), &row(&types, usize::from(at >= second)))
            })
            .map(|row| self.norm("embeddings.LayerNorm", &row))
            .collect();
        for layer in 0..self.layers {
            rows = self.layer(&format!("encoder.layer.{layer}."), &rows);
        }
        rows
    }

    fn layer(&self, layer: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let map = |part: &str, row: &[f64]| self.linear(&format!("{layer}{part}"), row);
        let [queries, keys, values] = ["query", "key", "value"].map(|part| {
            rows.iter().map(|row| map(&format!("attention.self.{part}"), row)).collect::<Vec<_>>()
        });
        let side = self.hidden / self.heads;
        let attend = |query: &[f64]| {
            let mut found = Vec::new();
            for head in (0..self.hidden).step_by(side) {
                let part = head..head + side;
                let weights = keys
                    .iter()
                    .map(|key| dot(&query[part.clone()], &key[part.clone()]) / (side as f64).sqrt());
                let weights: Vec<f64> = weights.collect();
                let max = weights.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = weights.iter().map(|weight| (weight - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                found.extend(part.map(|at| {
                    weights.iter().zip(&values).map(|(weight, value)| weight / total * value[at]).sum::<f64>()
                }));
            }
            found
        };
        let one = |(row, query): (&Vec<f64>, &Vec<f64>)| {
            let row = sum(row, &map("attention.output.dense", &attend(query)));
            let row = self.norm(&format!("{layer}attention.output.LayerNorm"), &row);
            let wide: Vec<f64> =
                map("intermediate.dense", &row).iter().map(|number| self.activate(*number)).collect();
            self.norm(&format!("{layer}output.LayerNorm"), &sum(&row, &map("output.dense", &wide)))
        };
        rows.iter().zip(&queries).map(one).collect()
    }

    fn linear(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let weight = self.tensor(&format!("{name}.weight"));
        let bias = self.tensor(&format!("{name}.bias"));
        weight.chunks_exact(row.len()).zip(bias).map(|(weight, bias)| dot(weight, row) + bias).collect()
    }

    fn norm(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let (scale, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let normal = row.iter().map(|number| (number - mean) / (variance + 1e-12).sqrt());
        normal.zip(scale).zip(bias).map(|((number, scale), bias)| number * scale + bias).collect()
    }

    fn activate(&self, x: f64) -> f64 {
        match self.activation {
            "gelu" => 0.5 * x * (1.0 + erf(x / 2_f64.sqrt())),
            "relu" => x.max(0.0),
            _ => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
        }
    }
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The error function: its series, or 1 where that is as close (1e-8).
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut total) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    total * 2.0 / std::f64::consts::PI.sqrt()
}

/// A float of 16 bits for a number that it can hold exactly.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    if value == 0.0 {
        return sign;
    }
    sign | (((((bits >> 23) & 0xff) - 112) << 10) as u16) | ((bits >> 13) & 0x3ff) as u16
}

/// The tokens of words of letters, as the tokenizer below makes them.
fn ids(text: &str) -> Vec<usize> {
    let mut ids = vec![2];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let letters = word.bytes().map(|letter| usize::from(letter - b'a'));
        ids.extend(letters.enumerate().map(|(at, letter)| if at == 0 { 5 + letter } else { 31 + letter }));
    }
    ids.push(3);
    ids
}

pub(crate) fn tokenizer() -> Value {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let letters = ('a'..='z').map(String::from);
    let entries =
        special.clone().into_iter().chain(letters.clone()).chain(letters.map(|letter| format!("##{letter}")));
    let vocab: BTreeMap<String, usize> = entries.zip(0..).collect();
    let added: Vec<Value> = special
        .iter()
        .zip(0..)
        .map(|(text, id)| json!({"id": id, "content": text, "special": true}))
        .collect();
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 16}},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2]}, "[SEP]": {"id": "[SEP]", "ids": [3]}}},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab},
    })
}

/// A file of this header and data.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let length = header.len() as u64;
    [&length.to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A folder that goes away with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("aimate-test-{}", RandomIds.next().simple()));
        std::fs::create_dir_all(path.join("1_Pooling")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
