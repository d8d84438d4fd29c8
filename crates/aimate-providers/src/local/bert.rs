//! The forward pass of BERT over packed sequences: the tokens of all texts of a
//! batch follow each other in one matrix, so nothing is padded. Only attention
//! needs to know where a text begins and ends.

use aimate_core::{Error, Result};
use rayon::prelude::*;
use rten_gemm::{BiasVector, GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::{SimdOp as _, SimdUnaryOp as _};
use rten_tensor::NdTensorView;
use rten_vecmath::{ApproxGelu, Gelu, Normalize, NormalizeOptions, Softmax, Sum, SumSquareSub};

use super::folder::{Activation, Config, Pooling};
use super::safetensors::Weights;

/// Rows per task of operations that work row by row.
const ROWS: usize = 16;

/// A loaded network.
pub(super) struct Bert {
    /// One row per token of the vocabulary.
    words: Vec<f32>,
    /// One row per position, with the vector of token type 0 added.
    positions: Vec<f32>,
    /// What is added to a token of the second type instead; empty if there is none.
    second_type: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    hidden: usize,
    heads: usize,
    inner: usize,
    activation: Activation,
}

struct Layer {
    /// Query, key and value side by side.
    attention: Linear,
    output: Linear,
    output_norm: Norm,
    widen: Linear,
    narrow: Linear,
    narrow_norm: Norm,
}

struct Linear {
    weight: PackedBMatrix<f32>,
    bias: Vec<f32>,
}

struct Norm {
    scale: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

/// The buffers of a thread, reused from pass to pass.
#[derive(Default)]
pub(super) struct Scratch {
    gemm: GemmExecutor,
    state: Vec<f32>,
    /// Query, key and value of each token.
    attention: Vec<f32>,
    /// The output of attention for each text, head after head.
    found: Vec<f32>,
    /// The same, token after token.
    joined: Vec<f32>,
    wide: Vec<f32>,
}

impl Bert {
    /// Loads the network of `config` for texts of `max_tokens`.
    pub(super) fn load(config: &Config, weights: &mut Weights, max_tokens: usize) -> Result<Self> {
        let mut loader = WeightLoader::new(config, weights);
        let hidden = config.hidden_size;
        let words = loader.rows("embeddings.word_embeddings.weight", usize::MAX)?;
        let unused = config.unused_positions();
        let all = max_tokens.saturating_add(unused);
        let mut positions = loader.rows("embeddings.position_embeddings.weight", all)?;
        positions.drain(..positions.len().min(unused.saturating_mul(hidden)));
        let mut types = loader.rows("embeddings.token_type_embeddings.weight", 2)?;
        let mut second_type = types.split_off(hidden.min(types.len()));
        second_type.iter_mut().zip(&types).for_each(|(second, first)| *second -= first);
        for row in positions.chunks_exact_mut(hidden) {
            add(row, &types);
        }
        let norm = loader.norm("embeddings.LayerNorm")?;
        let layers =
            (0..config.num_hidden_layers).map(|number| loader.layer(number)).collect::<Result<_>>()?;
        Ok(Self {
            words,
            positions,
            second_type,
            norm,
            layers,
            hidden,
            heads: config.num_attention_heads,
            inner: config.intermediate_size,
            activation: config.hidden_act,
        })
    }

    /// Returns the size of the vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.len() / self.hidden
    }

    /// Returns the maximum tokens of a text.
    pub(super) fn max_tokens(&self) -> usize {
        self.positions.len() / self.hidden
    }

    /// Returns the dimensions of a vector.
    pub(super) fn dimensions(&self) -> usize {
        self.hidden
    }

    /// Returns one normalized vector per text of a batch.
    pub(super) fn embed(
        &self,
        texts: &[&[u32]],
        pooling: Pooling,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>> {
        self.run(texts, &[], scratch)?;
        let mut rest = scratch.state.as_slice();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let (rows, others) = rest.split_at_checked(text.len() * self.hidden).unwrap_or_default();
            vectors.push(pool(rows, self.hidden, pooling)?);
            rest = others;
        }
        Ok(vectors)
    }

    /// Returns what becomes of the first token of each text of a batch. `seconds` says from
    /// where on the tokens of each are of the second type.
    pub(super) fn first_rows(
        &self,
        texts: &[&[u32]],
        seconds: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>> {
        self.run(texts, seconds, scratch)?;
        let mut start = 0;
        let rows = texts.iter().map(|text| {
            let row = scratch.state.get(start..start + self.hidden).unwrap_or_default().to_vec();
            start += text.len() * self.hidden;
            row
        });
        Ok(rows.collect())
    }

    fn run(&self, texts: &[&[u32]], seconds: &[usize], scratch: &mut Scratch) -> Result<()> {
        self.look_up(texts, seconds, &mut scratch.state)?;
        self.layers
            .iter()
            .try_for_each(|layer| self.layer(layer, texts, scratch))
            .map_err(|error| Error::internal("the forward pass of the model failed").with_source(error))
    }

    fn look_up(&self, texts: &[&[u32]], seconds: &[usize], state: &mut Vec<f32>) -> Result<()> {
        state.clear();
        for (number, text) in texts.iter().enumerate() {
            let second = seconds.get(number).copied().unwrap_or(usize::MAX);
            let positions = self.positions.chunks_exact(self.hidden);
            if text.len() > positions.len() {
                return Err(Error::internal("a text has more tokens than the model has positions"));
            }
            for (at, (id, position)) in text.iter().zip(positions).enumerate() {
                let start = usize::try_from(*id).unwrap_or(usize::MAX).saturating_mul(self.hidden);
                let word = self.words.get(start..start.saturating_add(self.hidden));
                let word = word.ok_or_else(|| Error::internal("a token is outside of the vocabulary"))?;
                state.extend(word.iter().zip(position).map(|(word, position)| word + position));
                if at >= second {
                    let begin = state.len() - self.hidden;
                    add(state.get_mut(begin..).unwrap_or_default(), &self.second_type);
                }
            }
        }
        self.norm.apply(state);
        Ok(())
    }

    fn layer(&self, layer: &Layer, texts: &[&[u32]], scratch: &mut Scratch) -> Result<(), GemmError> {
        let Scratch { gemm, state, attention, found, joined, wide } = scratch;
        let tokens = state.len() / self.hidden;
        resize(attention, tokens * self.hidden * 3);
        resize(found, tokens * self.hidden);
        resize(joined, tokens * self.hidden);
        resize(wide, tokens * self.inner);
        layer.attention.apply(gemm, state, attention, 0.0)?;
        let mut start = 0;
        for text in texts {
            let end = start + text.len();
            let rows = |width: usize| start * width..end * width;
            let input = attention.get(rows(self.hidden * 3)).unwrap_or_default();
            let found = found.get_mut(rows(self.hidden)).unwrap_or_default();
            self.attend(gemm, input, found)?;
            join(found, joined.get_mut(rows(self.hidden)).unwrap_or_default(), self.hidden, self.heads);
            start = end;
        }
        layer.output.apply(gemm, joined, state, 1.0)?;
        layer.output_norm.apply(state);
        layer.widen.apply(gemm, state, wide, 0.0)?;
        self.activate(wide);
        layer.narrow.apply(gemm, wide, state, 1.0)?;
        layer.narrow_norm.apply(state);
        Ok(())
    }

    /// Attention within one text, one head after the other.
    fn attend(&self, gemm: &GemmExecutor, input: &[f32], found: &mut [f32]) -> Result<(), GemmError> {
        let (hidden, side) = (self.hidden, self.hidden / self.heads);
        let tokens = input.len() / (hidden * 3);
        let input = NdTensorView::from_data([tokens, hidden * 3], input);
        let alpha = 1.0 / f64::sqrt(count(side)) as f32;
        let head = |scores: &mut Vec<f32>, number: usize, found: &mut [f32]| {
            let part = |start: usize| input.slice((.., start + number * side..start + (number + 1) * side));
            let (query, key, value) = (part(0), part(hidden), part(hidden * 2));
            resize(scores, tokens * tokens);
            let options = GemmOptions { alpha, ..GemmOptions::default() };
            let key = key.transposed();
            gemm.gemm(scores, GemmInputA::Unpacked(query), GemmInputB::Unpacked(key), options)?;
            for row in scores.chunks_exact_mut(tokens) {
                Softmax::new_mut(row).dispatch();
            }
            let scores = NdTensorView::from_data([tokens, tokens], scores.as_slice());
            let options = GemmOptions::default();
            gemm.gemm(found, GemmInputA::Unpacked(scores), GemmInputB::Unpacked(value), options)
        };
        let heads = found.par_chunks_exact_mut((tokens * side).max(1)).enumerate();
        heads.try_for_each_init(Vec::new, |scores, (number, found)| head(scores, number, found))
    }

    fn activate(&self, wide: &mut [f32]) {
        wide.par_chunks_mut(self.inner * ROWS).for_each(|rows| match self.activation {
            Activation::Gelu => Gelu {}.map_mut(rows),
            Activation::GeluNew => ApproxGelu {}.map_mut(rows),
            Activation::Relu => rows.iter_mut().for_each(|number| *number = number.max(0.0)),
        });
    }
}

impl Linear {
    /// `output = input · weight + bias + keep · output`.
    fn apply(
        &self,
        gemm: &GemmExecutor,
        input: &[f32],
        output: &mut [f32],
        keep: f32,
    ) -> Result<(), GemmError> {
        let width = self.weight.rows();
        let input = NdTensorView::from_data([input.len() / width, width], input);
        let options =
            GemmOptions { beta: keep, bias: Some(BiasVector::Row(&self.bias)), ..GemmOptions::default() };
        gemm.gemm(output, GemmInputA::Unpacked(input), GemmInputB::Packed(&self.weight), options)
    }
}

impl Norm {
    /// Gives each row the mean 0 and the variance 1, then scales it.
    fn apply(&self, rows: &mut [f32]) {
        let width = self.scale.len();
        let one = |row: &mut [f32]| {
            let mean = Sum::new(row).dispatch() / count(width) as f32;
            let variance = SumSquareSub::new(row, mean).dispatch() / count(width) as f32;
            let options = NormalizeOptions {
                pre_scale_bias: mean,
                scale: 1.0 / (variance + self.epsilon).sqrt(),
                element_scale: Some(&self.scale),
                bias: 0.0,
                element_bias: Some(&self.bias),
            };
            Normalize::new_mut(row, options).dispatch();
        };
        rows.par_chunks_mut(width * ROWS).for_each(|rows| rows.chunks_exact_mut(width).for_each(one));
    }
}

/// Puts the heads of each token side by side, `width` numbers per token.
fn join(found: &[f32], joined: &mut [f32], width: usize, heads: usize) {
    let side = width / heads;
    let tokens = joined.len() / width;
    for (number, head) in found.chunks_exact((tokens * side).max(1)).enumerate() {
        for (row, part) in joined.chunks_exact_mut(width).zip(head.chunks_exact(side)) {
            if let Some(place) = row.get_mut(number * side..(number + 1) * side) {
                place.copy_from_slice(part);
            }
        }
    }
}

/// Pools the rows of one text into a vector of length 1.
fn pool(rows: &[f32], width: usize, pooling: Pooling) -> Result<Vec<f32>> {
    let mut rows = rows.chunks_exact(width);
    let mut vector = rows.next().map(<[f32]>::to_vec).unwrap_or_default();
    if pooling == Pooling::Mean {
        // The vector is normalized below, so the sum is as good as the mean.
        rows.for_each(|row| add(&mut vector, row));
    }
    unit(vector)
}

/// Scales a vector to length 1.
pub(super) fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return Err(Error::internal("the model produced a vector that is not finite or has length 0"));
    }
    vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    Ok(vector)
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

fn resize(buffer: &mut Vec<f32>, length: usize) {
    buffer.resize(length, 0.0);
}

fn count(number: usize) -> f64 {
    number as f64
}

/// Reads tensors and packs them for multiplication.
struct WeightLoader<'a> {
    gemm: GemmExecutor,
    weights: &'a mut Weights,
    prefix: &'static str,
    config: &'a Config,
}

impl<'a> WeightLoader<'a> {
    fn new(config: &'a Config, weights: &'a mut Weights) -> Self {
        // A model with a task head has its encoder under the name of the network.
        let has = |prefix: &&str| weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = ["bert.", "roberta."].into_iter().find(has).unwrap_or_default();
        Self { gemm: GemmExecutor::new(), weights, prefix, config }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.weights.read(&format!("{}{name}", self.prefix), shape)
    }

    /// The first rows of a table of vectors.
    fn rows(&mut self, name: &str, max: usize) -> Result<Vec<f32>> {
        let hidden = self.config.hidden_size;
        let shape = self.weights.shape(&format!("{}{name}", self.prefix))?;
        let rows = shape.first().copied().unwrap_or(0);
        let mut table = self.tensor(name, &[rows, hidden])?;
        table.truncate(rows.min(max) * hidden);
        table.shrink_to_fit();
        Ok(table)
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let shape = [self.config.hidden_size];
        // Weights that were converted from TensorFlow have its names.
        let is_old = self.weights.has(&format!("{}{name}.gamma", self.prefix));
        let [scale, bias] = if is_old { ["gamma", "beta"] } else { ["weight", "bias"] };
        Ok(Norm {
            scale: self.tensor(&format!("{name}.{scale}"), &shape)?,
            bias: self.tensor(&format!("{name}.{bias}"), &shape)?,
            epsilon: self.config.layer_norm_eps,
        })
    }

    /// Linear maps of the same input as one, their outputs side by side.
    fn linear(&mut self, names: &[String], from: usize, to: usize) -> Result<Linear> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(self.tensor(&format!("{name}.weight"), &[to, from])?);
            bias.extend(self.tensor(&format!("{name}.bias"), &[to])?);
        }
        let weight = NdTensorView::from_data([bias.len(), from], weight.as_slice());
        Ok(Linear { weight: self.gemm.prepack_b(weight.transposed()), bias })
    }

    fn layer(&mut self, number: usize) -> Result<Layer> {
        let Config { hidden_size: hidden, intermediate_size: inner, .. } = *self.config;
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Layer {
            attention: self.linear(&attention, hidden, hidden)?,
            output: self.linear(&[name("attention.output.dense")], hidden, hidden)?,
            output_norm: self.norm(&name("attention.output.LayerNorm"))?,
            widen: self.linear(&[name("intermediate.dense")], hidden, inner)?,
            narrow: self.linear(&[name("output.dense")], inner, hidden)?,
            narrow_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }
}
