//! What `doctor` tells of documents and of what makes their vectors.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aimate::engine::{EmbeddingRequest, Knowledge};
use aimate::knowledge::{Blob, DocumentFilter, DocumentStatus, SpaceStatus};
use aimate::{Engine, PageRequest, Result, Scope, Stores};
use futures_util::TryStreamExt as _;

use super::Report;
use crate::embedder::{Embedders, Embedding};
use crate::terminal::{counted, number, plain};

/// Blobs that are asked about together.
const TOGETHER: usize = 500;
/// How long a new document's bytes may be there before the document is.
const SETTLE: Duration = Duration::from_secs(2);

/// Loads the local embedder, as every command does.
pub(super) async fn embedder(report: &mut Report, embedding: &Embedding) -> Option<Embedders> {
    match embedding.load().await {
        Ok(embedders) => {
            match &embedders.local {
                Some(local) => {
                    let model = local.model();
                    report.fine(
                        "embedder",
                        &format!(
                            "{} is loaded: {} dimensions, version {}",
                            model.name, model.dimensions, model.version
                        ),
                    );
                }
                None => report.note(
                    "embedder",
                    &format!("no model folder; new collections are searched {}", embedding.told()),
                ),
            }
            Some(embedders)
        }
        Err(error) => {
            report.problem("embedder", &error.to_string());
            None
        }
    }
}

/// Tries the embedder of new collections where it is a model server's.
pub(super) async fn remote_embedder(report: &mut Report, engine: &Engine, me: &Scope, embedding: &Embedding) {
    let Some(name) = embedding.name().filter(|name| name.contains('/') && !name.starts_with("local/")) else {
        return;
    };
    match engine.embed(me, EmbeddingRequest::new(["a test"]).model(name)).await {
        Ok(response) => {
            let dimensions = response.vectors.first().map_or(0, Vec::len);
            report.fine("embedder", &format!("{} answers with {dimensions} dimensions", response.model));
        }
        Err(error) => report.problem("embedder", &format!("{name}: {error}")),
    }
}

/// Documents by status, why some failed, and spaces that could not be built.
pub(super) async fn documents(report: &mut Report, knowledge: &Knowledge) -> Result<()> {
    let (mut collections, mut chunks) = (0_u64, 0_u64);
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let found = knowledge.collections(page).await?;
        for collection in found.data {
            collections += 1;
            chunks += collection.chunk_count;
            for space in knowledge.spaces(collection.id).await? {
                if space.status == SpaceStatus::Failed {
                    let why = space.error.unwrap_or_default();
                    let text = format!("the vectors of `{}` could not be built: {why}", space.model.name);
                    report.problem(&plain(&collection.name), &text);
                }
            }
        }
        match found.next {
            None => break,
            next => page.after = next,
        }
    }
    let mut told = Vec::new();
    for status in
        [DocumentStatus::Ready, DocumentStatus::Pending, DocumentStatus::Processing, DocumentStatus::Failed]
    {
        told.push(format!("{} {status}", number(count(report, knowledge, status).await?)));
    }
    report.fine(
        "documents",
        &format!(
            "{} in {}, {}",
            told.join(", "),
            counted(collections, "collection"),
            counted(chunks, "chunk")
        ),
    );
    Ok(())
}

/// How many documents are in this state; the reasons of those that failed.
async fn count(report: &mut Report, knowledge: &Knowledge, status: DocumentStatus) -> Result<u64> {
    let filter = DocumentFilter { status: Some(status), ..DocumentFilter::default() };
    let (mut count, mut page) = (0, PageRequest::first(PageRequest::MAX_LIMIT));
    let mut reasons: BTreeMap<String, (u64, String)> = BTreeMap::new();
    loop {
        let found = knowledge.documents(&filter, page).await?;
        count += found.data.len() as u64;
        for document in found.data.into_iter().filter(|_| status == DocumentStatus::Failed) {
            let code = document.error.map(|error| error.code.to_string()).unwrap_or_default();
            reasons.entry(code).or_insert((0, document.name)).0 += 1;
        }
        match found.next {
            None => break,
            next => page.after = next,
        }
    }
    for (code, (count, example)) in reasons {
        report.note(
            "documents",
            &format!("{} failed with `{code}`, such as {}", number(count), plain(&example)),
        );
    }
    Ok(count)
}

/// Rows and files that nothing needs, which `repair` removes.
pub(super) async fn left_over(report: &mut Report, stores: &Stores, repair: bool) -> Result<()> {
    let verb = if repair { "removed: " } else { "left over (`--repair` removes it): " };
    let orphans = stores.maintenance.orphans(repair).await?;
    orphans.iter().for_each(|orphan| report.note("knowledge", &format!("{verb}{orphan}")));
    let mut blobs = unneeded(stores, &stores.blobs.list().try_collect::<Vec<_>>().await?).await?;
    if !blobs.is_empty() {
        // The bytes of a document that is added at this moment are there before
        // the document is.
        tokio::time::sleep(SETTLE).await;
        blobs = unneeded(stores, &blobs).await?;
    }
    if !blobs.is_empty() {
        report.note("knowledge", &format!("{verb}{} of documents", counted(blobs.len() as u64, "file")));
    }
    for blob in blobs.iter().filter(|_| repair) {
        stores.blobs.delete(blob).await?;
    }
    if orphans.is_empty() && blobs.is_empty() {
        report.fine("knowledge", "nothing is left over");
    }
    Ok(())
}

async fn unneeded(stores: &Stores, blobs: &[Blob]) -> Result<Vec<Blob>> {
    let mut all = HashSet::new();
    for some in blobs.chunks(TOGETHER) {
        all.extend(stores.maintenance.unreferenced_blobs(some).await?);
    }
    Ok(all.into_iter().collect())
}
