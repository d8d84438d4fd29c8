//! What makes vectors: a model in this process, one of a model server, or none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use aimate::knowledge::{Embedder, EmbeddingModel, Scripts};
use aimate::providers::local::{LocalEmbedder, ModelPurpose, ModelShelf, ShelvedModel};
use aimate::{EngineBuilder, Error, ErrorKind, Result};

/// How a model comes into this process.
const GET: &str = "`aimate model add potion-base-8M` fetches one (31 MB; `aimate model list` shows others), or \
    AIMATE_MODEL_DIR names the folder of one";

/// The models of a data folder.
pub(crate) fn shelf(data_dir: &Path) -> ModelShelf {
    ModelShelf::new(data_dir.join("models"))
}

/// The model of a data folder that is used for this.
///
/// # Errors
/// `NotFound` if the chosen one is gone; says what to do.
pub(crate) fn used(data_dir: &Path, purpose: ModelPurpose) -> Result<Option<ShelvedModel>> {
    shelf(data_dir).used(purpose).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let message =
                format!("{error}; `aimate model use NAME` chooses another one, `aimate model use none` none");
            Error::new(error.kind(), message).with_source(error)
        }
        _ => error,
    })
}

/// Why a model of the data folder cannot be loaded, and what to do.
pub(crate) fn damaged(model: &ShelvedModel, error: Error) -> Error {
    let message = format!("{error}; `aimate model remove {}` and add it again", model.name);
    Error::new(error.kind(), message).with_source(error)
}

/// The embedder of new collections, and the folder of the local one.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Embedding {
    /// What makes the vectors of new collections: `local`, `none` (search by words alone) or
    /// CONNECTION/MODEL [default: `local` with a model, else `none`]
    #[arg(long, env = "AIMATE_EMBEDDER", value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// The folder of a model (`tokenizer.json`, `config.json`, weights) that embeds in this process
    /// [default: what `aimate model` put into the data folder]
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
    /// Why the model of the data folder is not loaded, which nothing asks for.
    pub(crate) left_out: Option<String>,
    default: Option<String>,
    /// What the one that new collections use reads, if somebody says so.
    scripts: Option<Scripts>,
}

impl Embedding {
    /// Loads the local embedder if there is a model for it.
    ///
    /// # Errors
    /// `Invalid` if the folder holds no model that can be run, or `local` is
    /// asked for without one; `NotFound` if the chosen one is gone.
    pub(crate) async fn load(&self, data_dir: &Path) -> Result<Embedders> {
        let (local, left_out) = match self.open(data_dir).await {
            Ok(local) => (local, None),
            Err(error) if self.is_named() || self.needs_local() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the model of the data folder is not loaded");
                (None, Some(error.to_string()))
            }
        };
        if let (None, Some(name)) = (&local, self.name())
            && (name == "local" || name.starts_with("local/"))
        {
            let how = if several(data_dir).len() > 1 { "`aimate model use NAME` chooses one" } else { GET };
            return Err(Error::invalid(format!(
                "AIMATE_EMBEDDER is `{name}`, which needs a model in this process: {how}"
            )));
        }
        Ok(Embedders { local, left_out, default: self.name().map(str::to_owned), scripts: self.scripts()? })
    }

    async fn open(&self, data_dir: &Path) -> Result<Option<Arc<dyn Embedder>>> {
        let Some(place) = self.place(data_dir)? else { return Ok(None) };
        let start = Instant::now();
        let loading = tokio::task::spawn_blocking(move || open(&place)).await;
        let embedder =
            loading.map_err(|error| Error::internal("loading the embedder failed").with_source(error))??;
        let EmbeddingModel { name, dimensions, .. } = embedder.model();
        tracing::info!(
            model = %name,
            dimensions,
            seconds = format_args!("{:.2}", start.elapsed().as_secs_f32()),
            "the embedder is loaded"
        );
        Ok(Some(embedder))
    }

    /// What new collections use, in words.
    pub(crate) fn told(&self, data_dir: &Path) -> String {
        match (self.name(), self.place(data_dir)) {
            (Some("none"), _) => "by words alone, as AIMATE_EMBEDDER says".to_owned(),
            (Some(name), _) => format!("by words and meaning, with `{name}`"),
            (None, Ok(Some(ModelPlace::Named(folder)))) => {
                format!("by words and meaning, with the model in {}", folder.display())
            }
            (None, Ok(Some(ModelPlace::Shelved(model)))) => {
                format!("by words and meaning, with {}", model.name)
            }
            (None, Ok(None)) => match several(data_dir).as_slice() {
                [] => "by words alone: `aimate model add potion-base-8M` (31 MB) adds meaning".to_owned(),
                names => {
                    format!(
                        "by words alone: `aimate model use NAME` adds meaning, with {}",
                        names.join(" or ")
                    )
                }
            },
            (None, Err(error)) => format!("by words alone: {error}"),
        }
    }

    /// With the model of a data folder that is another than the command's own.
    pub(crate) fn of(&self, data_dir: &Path) -> Result<Self> {
        if !self.needs_local() {
            return Ok(self.clone());
        }
        let model_dir = self.place(data_dir)?.map(|place| place.folder().to_owned());
        Ok(Self { model_dir, ..self.clone() })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.embedder.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    /// Whether AIMATE_MODEL_DIR names a folder, which wins over the data folder.
    pub(crate) fn is_named(&self) -> bool {
        self.model_dir.as_ref().is_some_and(|folder| !folder.as_os_str().is_empty())
    }

    /// Whether new collections are to have a model of this process, if there is one.
    fn needs_local(&self) -> bool {
        self.name().is_none_or(|name| name == "local" || name.starts_with("local/"))
    }

    fn scripts(&self) -> Result<Option<Scripts>> {
        let said = self.embedder_scripts.as_deref().map(str::trim).filter(|said| !said.is_empty());
        let scripts = said.map(str::parse::<Scripts>).transpose();
        scripts.map_err(|error| Error::invalid(format!("AIMATE_EMBEDDER_SCRIPTS: {error}")))
    }

    /// Where the model of this process is: settings win.
    fn place(&self, data_dir: &Path) -> Result<Option<ModelPlace>> {
        if let Some(folder) = self.model_dir.as_ref().filter(|_| self.is_named()) {
            return Ok(Some(ModelPlace::Named(folder.clone())));
        }
        Ok(used(data_dir, ModelPurpose::Embedding)?.map(ModelPlace::Shelved))
    }
}

/// The names of the models that could be used.
fn several(data_dir: &Path) -> Vec<String> {
    let models = shelf(data_dir).list().unwrap_or_default().into_iter();
    models.filter(|model| model.purpose == Some(ModelPurpose::Embedding)).map(|model| model.name).collect()
}

/// Where a model comes from.
enum ModelPlace {
    /// A folder that AIMATE_MODEL_DIR names.
    Named(PathBuf),
    /// The data folder.
    Shelved(ShelvedModel),
}

impl ModelPlace {
    fn folder(&self) -> &Path {
        match self {
            Self::Named(folder) => folder,
            Self::Shelved(model) => &model.folder,
        }
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

fn open(place: &ModelPlace) -> Result<Arc<dyn Embedder>> {
    let embedder = LocalEmbedder::open(place.folder()).map_err(|error| match place {
        ModelPlace::Named(_) => {
            let message = format!("AIMATE_MODEL_DIR: {error}. {GET}");
            Error::new(error.kind(), message).with_source(error)
        }
        ModelPlace::Shelved(model) => damaged(model, error),
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
        let error = embedding.load(Path::new("nowhere")).await.err().unwrap();
        for part in ["AIMATE_MODEL_DIR", "`aimate model add potion-base-8M`"] {
            assert!(error.message().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn folder_without_a_model_is_told() {
        let embedding =
            Embedding { model_dir: Some(PathBuf::from("/nowhere/at/all")), ..Embedding::default() };
        let error = embedding.load(Path::new("nowhere")).await.err().unwrap();
        assert!(error.message().contains("/nowhere/at/all"), "{error}");
    }

    #[tokio::test]
    async fn unknown_script_is_told() {
        let embedding = Embedding { embedder_scripts: Some("Latn,klingon".into()), ..Embedding::default() };
        let error = embedding.load(Path::new("nowhere")).await.err().unwrap();
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
        let embedders = embedding.load(Path::new("nowhere")).await.unwrap();
        assert!(embedders.local.is_none() && embedders.scripts.is_none());
        assert!(embedding.told(Path::new("nowhere")).contains("words alone: `aimate model add"));
    }
}
