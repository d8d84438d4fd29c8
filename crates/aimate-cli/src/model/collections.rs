//! Gives the model of this process to the collections that are there.

use std::time::Duration;

use aimate::engine::Knowledge;
use aimate::knowledge::{Collection, CollectionChange, EmbeddingModel, SpaceStatus};
use aimate::{Error, PageRequest, Result};

use crate::config::Config;
use crate::terminal::{counted, plain, say};

/// Between two looks at a space that is being built.
const PAUSE: Duration = Duration::from_millis(200);

/// Builds the vectors of every collection of local mode that has none, or those of another model of
/// this process, and waits for them. Those of a model server's stay.
pub(super) async fn build(config: &Config) -> Result<()> {
    let embedders = config.embedding.load(&config.data_dir).await?;
    let Some(model) = embedders.local.map(|local| local.model().clone()) else {
        return Err(Error::internal("the model that was chosen is not loaded"));
    };
    let (builder, _) = config.engine().await?;
    let engine = builder.build().await?;
    let me = engine.local_scope().await?;
    let outcome = Box::pin(all(&engine.knowledge(&me), &model)).await;
    engine.drain(Duration::ZERO).await;
    outcome
}

async fn all(knowledge: &Knowledge, model: &EmbeddingModel) -> Result<()> {
    let (mut page, mut built) = (PageRequest::first(PageRequest::MAX_LIMIT), 0);
    loop {
        let found = knowledge.collections(page).await?;
        for collection in &found.data {
            if wants(knowledge, collection, model).await? {
                one(knowledge, collection, model).await?;
                built += 1;
            }
        }
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    say(&format!("{} got the vectors of `{}`", counted(built, "collection"), model.name));
    Ok(())
}

async fn wants(knowledge: &Knowledge, collection: &Collection, model: &EmbeddingModel) -> Result<bool> {
    let spaces = knowledge.spaces(collection.id).await?;
    let active = spaces.iter().find(|space| space.status == SpaceStatus::Active);
    Ok(active.is_none_or(|space| space.model.name.starts_with("local/") && space.model != *model))
}

async fn one(knowledge: &Knowledge, collection: &Collection, model: &EmbeddingModel) -> Result<()> {
    let change = CollectionChange { embedder: Some(model.name.clone()), ..CollectionChange::default() };
    knowledge.update_collection(collection.id, change).await?;
    loop {
        let spaces = knowledge.spaces(collection.id).await?;
        let ours = spaces.into_iter().find(|space| space.model == *model);
        let Some(space) = ours.filter(|space| space.status != SpaceStatus::Retired) else {
            return Err(Error::conflict(format!(
                "somebody else changed the model of `{}` meanwhile",
                plain(&collection.name)
            )));
        };
        match space.status {
            SpaceStatus::Active => break,
            SpaceStatus::Failed => {
                return Err(Error::unavailable(format!(
                    "the vectors of `{}` could not be made: {}; stop the server, which may not know the model yet, \
                     and ask again",
                    plain(&collection.name),
                    space.error.unwrap_or_default()
                )));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    say(&format!("{}: {}", plain(&collection.name), counted(collection.chunk_count, "chunk")));
    Ok(())
}
