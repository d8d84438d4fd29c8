//! Reads the folder of a sentence-transformer.

use std::fs;
use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::safetensors::Weights;
use super::tokenizer;
use super::wordpiece::Tokenizer;

/// What a folder must be, for error messages.
const NEEDED: &str = "AIMATE_MODEL_DIR must be the folder of a sentence-transformer: \
    tokenizer.json, config.json and model.safetensors of a BERT model such as all-MiniLM-L6-v2";
/// Maximum tokens of a text if the folder does not say.
const DEFAULT_MAX_TOKENS: usize = 256;

/// The network, as `config.json` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    model_type: String,
    #[serde(default, rename = "_name_or_path")]
    name_or_path: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    pub(super) hidden_act: Activation,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_hidden_layers: usize,
    #[serde(default = "default_epsilon")]
    pub(super) layer_norm_eps: f32,
}

fn default_epsilon() -> f32 {
    1e-12
}

/// The activation function of the feed-forward layer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Activation {
    /// GELU by the error function.
    Gelu,
    /// GELU approximated by the hyperbolic tangent.
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// `max(0, x)`.
    Relu,
}

/// How the vectors of the tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

/// The prefixes that a model expects, by purpose.
#[derive(Clone, Debug, Default)]
pub(super) struct PromptPrefixes {
    pub(super) query: String,
    pub(super) passage: String,
}

/// A model folder whose small files have been read.
pub(super) struct ModelFolder {
    /// The folder as given.
    path: PathBuf,
    /// The folder of the network, mostly the same.
    network: PathBuf,
    pub(super) config: Config,
    pub(super) pooling: Pooling,
    pub(super) prompts: PromptPrefixes,
    pub(super) max_tokens: usize,
}

impl ModelFolder {
    /// Reads the small files of a folder.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::invalid(format!("there is no folder `{}`; {NEEDED}", path.display())));
        }
        let (network, pooling) = modules(path)?;
        let config: Config = needed(&network.join("config.json"))?;
        check(&config).map_err(|wrong| invalid(&network.join("config.json"), &wrong))?;
        let pooling = optional::<PoolingFile>(&pooling.join("config.json"))?
            .map_or(Ok(Pooling::Mean), |file| {
                file.mode().map_err(|wrong| invalid(&pooling.join("config.json"), &wrong))
            })?;
        let sentence: Option<SentenceFile> = optional(&network.join("sentence_bert_config.json"))?;
        let max_tokens = sentence.and_then(|file| file.max_seq_length).unwrap_or(DEFAULT_MAX_TOKENS);
        let prompts: Option<TransformersFile> = optional(&path.join("config_sentence_transformers.json"))?;
        let prompts = prompts.map(TransformersFile::prompts).unwrap_or_default();
        Ok(Self { path: path.to_owned(), network, config, pooling, prompts, max_tokens })
    }

    /// Reads the tokenizer; also returns its JSON, for the version.
    pub(super) fn tokenizer(&self) -> Result<(Tokenizer, String)> {
        let path = self.network.join("tokenizer.json");
        let json = text(&path)?.ok_or_else(|| missing(&path))?;
        let tokenizer = tokenizer::read(&json).map_err(|wrong| invalid(&path, &wrong))?;
        Ok((tokenizer, json))
    }

    /// Opens the weights.
    pub(super) fn weights(&self) -> Result<Weights> {
        let path = self.network.join("model.safetensors");
        if path.is_file() { Weights::open(&path) } else { Err(missing(&path)) }
    }

    /// Returns 16 hex digits of a hash of everything that determines a vector.
    pub(super) fn version(&self, weights: &mut Weights, tokenizer: &str) -> Result<String> {
        let Config { hidden_act, num_attention_heads, layer_norm_eps, .. } = self.config;
        let PromptPrefixes { query, passage } = &self.prompts;
        let mut hash = Sha256::new();
        weights.hash(&mut hash)?;
        hash.update(tokenizer);
        let rest = (self.pooling, hidden_act, num_attention_heads, layer_norm_eps.to_bits(), query, passage);
        hash.update(format!("{rest:?}"));
        let hex = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(hex)
    }

    /// Returns the name of the model: that of the folder, unless it is generic.
    pub(super) fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut names = path.iter().rev().map(|part| part.to_string_lossy());
        let folder = names.next().unwrap_or_default();
        // The cache of Hugging Face: models--ORG--NAME/snapshots/COMMIT.
        let cached = names.nth(1).filter(|name| name.starts_with("models--"));
        if let Some(name) = cached.as_ref().and_then(|name| name.rsplit("--").next()) {
            return name.to_owned();
        }
        let written = self.config.name_or_path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if ["", "model", "models"].contains(&&*folder) && !written.is_empty() {
            return written.to_owned();
        }
        if folder.is_empty() { "model".to_owned() } else { folder.into_owned() }
    }
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Returns the folders of the network and of the pooling.
fn modules(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let file = path.join("modules.json");
    let (mut network, mut pooling) = (path.to_owned(), path.join("1_Pooling"));
    for module in optional::<Vec<Module>>(&file)?.unwrap_or_default() {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => network = path.join(module.path),
            "Pooling" => pooling = path.join(module.path),
            "Normalize" => {}
            other => {
                let wrong =
                    format!("it has a module `{other}`; Transformer, Pooling and Normalize are known");
                return Err(invalid(&file, &wrong));
            }
        }
    }
    Ok((network, pooling))
}

fn check(config: &Config) -> std::result::Result<(), String> {
    if config.model_type != "bert" {
        return Err(format!("its model_type is `{}`; only `bert` can be run here", config.model_type));
    }
    if let Some(odd) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return Err(format!("its position_embedding_type is `{odd}`; only `absolute` can be run here"));
    }
    let Config { hidden_size, intermediate_size, num_attention_heads, num_hidden_layers, .. } = *config;
    if [hidden_size, intermediate_size, num_attention_heads, num_hidden_layers].contains(&0) {
        return Err("one of its sizes is 0".to_owned());
    }
    if !hidden_size.is_multiple_of(num_attention_heads) {
        return Err(format!("its hidden_size {hidden_size} cannot be cut into {num_attention_heads} heads"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct SentenceFile {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct TransformersFile {
    #[serde(default)]
    prompts: Option<std::collections::HashMap<String, Option<String>>>,
}

impl TransformersFile {
    fn prompts(self) -> PromptPrefixes {
        let prompts = self.prompts.unwrap_or_default();
        let find =
            |names: &[&str]| names.iter().find_map(|name| prompts.get(*name)?.clone()).unwrap_or_default();
        PromptPrefixes { query: find(&["query"]), passage: find(&["document", "passage"]) }
    }
}

#[derive(Deserialize)]
struct PoolingFile {
    /// Written by newer versions instead of the flags.
    pooling_mode: Option<String>,
    #[serde(flatten)]
    flags: serde_json::Map<String, serde_json::Value>,
}

impl PoolingFile {
    fn mode(&self) -> std::result::Result<Pooling, String> {
        let flags = self.flags.iter().filter(|(_, value)| **value == true);
        let flags: Vec<&str> = flags.filter_map(|(name, _)| name.strip_prefix("pooling_mode_")).collect();
        let modes = self.pooling_mode.as_deref().map_or(flags, |mode| vec![mode]);
        match modes.as_slice() {
            ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
            ["cls_token" | "cls"] => Ok(Pooling::Cls),
            others => Err(format!(
                "its pooling is `{}`; the mean or the CLS token alone is known",
                others.join(" + ")
            )),
        }
    }
}

fn needed<T: DeserializeOwned>(path: &Path) -> Result<T> {
    optional(path)?.ok_or_else(|| missing(path))
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(json) = text(path)? else { return Ok(None) };
    serde_json::from_str(&json).map(Some).map_err(|error| invalid(path, &error.to_string()))
}

fn text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(invalid(path, &error.to_string())),
    }
}

fn missing(path: &Path) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(path).display();
    Error::invalid(format!("`{folder}` has no `{name}`; {NEEDED}"))
}

fn invalid(path: &Path, wrong: &str) -> Error {
    Error::invalid(format!("`{}`: {wrong}", path.display()))
}
