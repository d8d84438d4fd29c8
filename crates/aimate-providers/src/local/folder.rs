//! Reads the folder of a sentence-transformer.

use std::fs;
use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::prefixes::{Prefixes, PromptsFile};
use super::safetensors::Weights;
use super::tokenizer::Tokenizer;
use super::tokenizer_file::{self, Around};

/// What a folder must be, for error messages.
const NEEDED: &str = "a model is a folder with tokenizer.json, config.json and model.safetensors, such \
    as that of potion-base-8M or all-MiniLM-L6-v2";
/// Maximum tokens of a text if the folder does not say.
const DEFAULT_MAX_TOKENS: usize = 256;
/// The same for static embeddings, as in their own library.
const DEFAULT_STATIC_TOKENS: usize = 512;

/// What every `config.json` has.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
    #[serde(default, rename = "_name_or_path")]
    name_or_path: String,
}

/// How texts become vectors.
pub(super) enum Architecture {
    /// A transformer of BERT's or XLM-RoBERTa's kind.
    Bert(Config),
    /// A vector for each token.
    Static,
}

#[derive(Deserialize)]
struct StaticConfig {
    #[serde(default)]
    max_length: Option<usize>,
}

/// The network, as `config.json` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
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

impl Config {
    /// Positions before that of a text's first token.
    pub(super) fn unused_positions(&self) -> usize {
        // Those of XLM-RoBERTa begin behind that of padding.
        if self.model_type == "xlm-roberta" { self.pad_token_id.unwrap_or(1).saturating_add(1) } else { 0 }
    }
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

/// A model folder whose small files have been read.
pub(super) struct ModelFolder {
    /// The folder as given.
    path: PathBuf,
    /// The folder of the network, mostly the same.
    network: PathBuf,
    pub(super) architecture: Architecture,
    pub(super) pooling: Pooling,
    pub(super) max_tokens: usize,
    /// What `config.json` calls the model.
    written_name: String,
}

impl ModelFolder {
    /// Reads the small files of a folder.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::invalid(format!("there is no folder `{}`; {NEEDED}", path.display())));
        }
        let (network, pooling) = modules(path)?;
        let file = network.join("config.json");
        let Kind { model_type, name_or_path } = needed(&file)?;
        let (path, written_name) = (path.to_owned(), name_or_path);
        if model_type == "model2vec" {
            let StaticConfig { max_length } = needed(&file)?;
            let max_tokens = max_length.filter(|max| *max > 0).unwrap_or(DEFAULT_STATIC_TOKENS);
            let (architecture, pooling) = (Architecture::Static, Pooling::Mean);
            return Ok(Self { path, network, architecture, pooling, max_tokens, written_name });
        }
        if !["bert", "xlm-roberta"].contains(&model_type.as_str()) {
            let wrong = format!(
                "its model_type is `{model_type}`; only `bert`, `xlm-roberta` and `model2vec` can be run here"
            );
            return Err(invalid(&file, &wrong));
        }
        let config: Config = needed(&file)?;
        check(&config).map_err(|wrong| invalid(&file, &wrong))?;
        let pooling = optional::<PoolingFile>(&pooling.join("config.json"))?
            .map_or(Ok(Pooling::Mean), |file| {
                file.mode().map_err(|wrong| invalid(&pooling.join("config.json"), &wrong))
            })?;
        let sentence: Option<SentenceFile> = optional(&network.join("sentence_bert_config.json"))?;
        let max_tokens = sentence.and_then(|file| file.max_seq_length).unwrap_or(DEFAULT_MAX_TOKENS);
        let architecture = Architecture::Bert(config);
        Ok(Self { path, network, architecture, pooling, max_tokens, written_name })
    }

    /// Returns whether the model scores pairs of texts.
    pub(super) fn is_reranker(&self) -> bool {
        let Architecture::Bert(config) = &self.architecture else { return false };
        config.architectures.iter().any(|name| name.ends_with("ForSequenceClassification"))
    }

    /// Returns what the folder says is put before a text, else what its model's family wants.
    pub(super) fn prefixes(&self) -> Result<Prefixes> {
        let file: Option<PromptsFile> = optional(&self.path.join("config_sentence_transformers.json"))?;
        let said = file.and_then(|file| file.prefixes());
        let family = || {
            let names = [self.name(), last(&self.written_name).to_owned()];
            let families = names.iter().map(|name| Prefixes::of_family(name));
            families.into_iter().find(|prefixes| *prefixes != Prefixes::default()).unwrap_or_default()
        };
        Ok(said.unwrap_or_else(family))
    }

    /// Reads the tokenizer; also returns its JSON, for the version.
    pub(super) fn tokenizer(&self) -> Result<(Tokenizer, String)> {
        let path = self.network.join("tokenizer.json");
        let json = text(&path)?.ok_or_else(|| missing(&path))?;
        let wanted = match self.architecture {
            Architecture::Bert(_) => Around::Added,
            Architecture::Static => Around::Nothing,
        };
        let tokenizer = tokenizer_file::read(&json, wanted).map_err(|wrong| invalid(&path, &wrong))?;
        Ok((tokenizer, json))
    }

    /// Opens the weights.
    pub(super) fn weights(&self) -> Result<Weights> {
        let path = self.network.join("model.safetensors");
        if path.is_file() { Weights::open(&path) } else { Err(missing(&path)) }
    }

    /// Returns a hash of everything that determines a vector but the prefixes.
    pub(super) fn hash(&self, weights: &mut Weights, tokenizer: &str) -> Result<VersionHash> {
        let mut hash = Sha256::new();
        weights.hash(&mut hash)?;
        hash.update(tokenizer);
        let settings = match &self.architecture {
            Architecture::Bert(config) => {
                let Config { hidden_act, num_attention_heads, layer_norm_eps, .. } = config;
                if config.unused_positions() > 0 {
                    hash.update(format!("{} unused positions", config.unused_positions()));
                }
                let settings = (self.pooling, hidden_act, num_attention_heads, layer_norm_eps.to_bits());
                format!("{settings:?}")
            }
            Architecture::Static => format!("(static, {})", self.max_tokens),
        };
        Ok(VersionHash { hash, settings })
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
        let written = last(&self.written_name);
        if ["", "model", "models"].contains(&&*folder) && !written.is_empty() {
            return written.to_owned();
        }
        if folder.is_empty() { "model".to_owned() } else { folder.into_owned() }
    }
}

/// What a version is made of, but for the prefixes.
pub(super) struct VersionHash {
    hash: Sha256,
    settings: String,
}

impl VersionHash {
    /// Returns 16 hex digits of a hash of everything that determines a vector.
    pub(super) fn with(&self, Prefixes { query, passage }: &Prefixes) -> String {
        let mut hash = self.hash.clone();
        // As it was before prefixes could be set, so that versions stay what they are.
        let settings = self.settings.trim_end_matches(')');
        hash.update(format!("{settings}, {query:?}, {passage:?})"));
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The last part of a path or a name with slashes.
fn last(name: &str) -> &str {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
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
            "Transformer" | "StaticEmbedding" => network = path.join(module.path),
            "Pooling" => pooling = path.join(module.path),
            "Normalize" => {}
            other => {
                let wrong = format!(
                    "it has a module `{other}`; Transformer, StaticEmbedding, Pooling and Normalize are known"
                );
                return Err(invalid(&file, &wrong));
            }
        }
    }
    Ok((network, pooling))
}

fn check(config: &Config) -> std::result::Result<(), String> {
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
