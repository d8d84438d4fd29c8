//! What `doctor` tells of documents and of what makes their vectors.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use aimate::engine::{EmbeddingRequest, Knowledge};
use aimate::knowledge::{
    Blob, BlobEntry, DocumentFilter, DocumentStatus, EmbeddingModel, ReferencedBlob, SpaceStatus,
};
use aimate::providers::Transport;
use aimate::{Engine, ErrorKind, PageRequest, Result, Scope, Stores};
use futures_util::TryStreamExt as _;

use super::Report;
use crate::embedder::{Embedders, Embedding};
use crate::reranker;
use crate::terminal::{counted, number, plain};

/// Blobs that are asked about together.
const TOGETHER: usize = 500;
/// How long whoever removes bytes may need for it.
const SETTLE: Duration = Duration::from_secs(2);

/// Loads the local embedder, as every command does.
pub(super) async fn embedder(
    report: &mut Report,
    embedding: &Embedding,
    data_dir: &Path,
) -> Option<Embedders> {
    match embedding.load(data_dir).await {
        Ok(embedders) => {
            match (&embedders.local, &embedders.left_out) {
                (Some(local), _) => {
                    let model = local.model();
                    report.fine(
                        "embedder",
                        &format!(
                            "{} is loaded: {} dimensions, version {}",
                            model.name, model.dimensions, model.version
                        ),
                    );
                }
                (None, Some(why)) => {
                    let what = "the model of the data folder is not loaded; new collections do not need it";
                    report.note("embedder", &format!("{what}: {why}"));
                }
                (None, None) => {
                    let told = embedding.told(data_dir);
                    report.note("embedder", &format!("no model here; new collections are searched {told}"));
                }
            }
            Some(embedders)
        }
        Err(error) => {
            report.problem("embedder", &error.to_string());
            None
        }
    }
}

/// Loads the reranker, if there is one.
pub(super) async fn reranker(report: &mut Report, transport: &Transport, data_dir: &Path) {
    match reranker::load(transport, data_dir).await {
        Ok(_) => {
            if let Some(told) = reranker::told(data_dir) {
                report.fine("reranker", &format!("searches are {told}"));
            }
        }
        Err(error) => report.problem("reranker", &error.to_string()),
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

/// Documents by status, why some failed, and spaces that could not be built or have vectors of
/// a model of this process that is another one than `local`.
pub(super) async fn documents(
    report: &mut Report,
    knowledge: &Knowledge,
    local: Option<&EmbeddingModel>,
) -> Result<()> {
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
                let is_local = space.model.name.starts_with("local/");
                if is_local && space.status == SpaceStatus::Active && local != Some(&space.model) {
                    report.problem(&plain(&collection.name), &not_loaded(&space.model, local));
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

/// What is wrong with a collection that has vectors of `model`, which is not the one that is
/// loaded, and what to do.
fn not_loaded(model: &EmbeddingModel, loaded: Option<&EmbeddingModel>) -> String {
    let EmbeddingModel { name, version, .. } = model;
    let loaded = match loaded {
        Some(loaded) => format!("{} (version {}) is", loaded.name, loaded.version),
        None => "none is".to_owned(),
    };
    format!(
        "its vectors are of {name} (version {version}), but {loaded} loaded: it is searched by words alone and takes \
         no documents; `aimate model use NAME` brings the model back, `aimate model use NAME --collections` makes \
         vectors of another one"
    )
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
    let (mut blobs, mut foreign, mut example) = (Vec::new(), 0, None);
    let mut entries = stores.blobs.list();
    while let Some(entry) = entries.try_next().await? {
        match entry {
            BlobEntry::Blob(blob) => blobs.push(blob),
            BlobEntry::Foreign(name) => {
                foreign += 1;
                example.get_or_insert(name);
            }
        }
    }
    let mut blobs = unneeded(stores, &blobs).await?;
    if !blobs.is_empty() {
        // What another process removes at this moment was listed before it was gone.
        tokio::time::sleep(SETTLE).await;
        let mut still = Vec::new();
        for blob in unneeded(stores, &blobs).await? {
            if stores.blobs.get(&blob).await.is_ok() {
                still.push(blob);
            }
        }
        blobs = still;
    }
    if !blobs.is_empty() {
        report.note("knowledge", &format!("{verb}{} of documents", counted(blobs.len() as u64, "file")));
    }
    for blob in blobs.iter().filter(|_| repair) {
        stores.blobs.delete(blob).await?;
    }
    if let Some(example) = example {
        let text = format!(
            "{} among the documents' bytes are not aiMate's, such as {}; it leaves them alone: move them elsewhere",
            counted(foreign, "file"),
            plain(&example)
        );
        report.note("knowledge", &text);
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

/// Whether the bytes of every document are those that were stored.
pub(super) async fn bytes(report: &mut Report, stores: &Stores) -> Result<()> {
    let (mut after, mut whole) = (None, 0);
    loop {
        let some = stores.maintenance.referenced_blobs(after, PageRequest::MAX_LIMIT).await?;
        let Some(last) = some.last() else { break };
        after = Some(last.blob);
        for referenced in &some {
            match state(stores, referenced).await {
                Ok(()) => whole += 1,
                // Somebody deleted or replaced the document meanwhile.
                Err(_) if !is_referenced(stores, referenced).await? => {}
                Err(why) => report.problem(
                    "bytes",
                    &format!(
                        "those of `{}` (document {}) {why}: put the file back from a backup (`aimate restore`), or \
                         add the document again",
                        plain(&referenced.name),
                        referenced.document
                    ),
                ),
            }
        }
    }
    report.fine("bytes", &format!("those of {} are as they were stored", counted(whole, "document")));
    Ok(())
}

/// What is wrong with the bytes.
async fn state(stores: &Stores, referenced: &ReferencedBlob) -> std::result::Result<(), &'static str> {
    let content = match stores.blobs.get(&referenced.blob).await {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("are gone"),
        Err(_) => return Err("cannot be read"),
    };
    let found = content.read_through().await.map_err(|_| "cannot be read")?;
    match found.size {
        0 if referenced.size > 0 => Err("are empty"),
        size if size != referenced.size => Err("have another size than those that were stored"),
        _ if found.hash != referenced.hash => Err("are not those that were stored"),
        _ => Ok(()),
    }
}

async fn is_referenced(stores: &Stores, referenced: &ReferencedBlob) -> Result<bool> {
    tokio::time::sleep(SETTLE).await;
    Ok(unneeded(stores, &[referenced.blob]).await?.is_empty())
}
