//! Waiting for documents that are read, by this process or another.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use aimate::engine::Knowledge;
use aimate::knowledge::{Document, DocumentFilter, DocumentStatus};
use aimate::{CollectionId, DocumentId, ErrorKind, PageRequest, Result};
use futures_util::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};

/// Between two looks at the queue at least.
const PAUSE: Duration = Duration::from_millis(60);
/// Between two looks at the queue at most.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// A look may take this share of the time: it costs the more, the more files there
/// are, and the cost of a file must not grow with them.
const SHARE: u32 = 30;
/// Documents that are fetched beside each other.
const TOGETHER: usize = 8;

/// Documents of a collection that are not read yet.
pub(crate) struct Waiting {
    knowledge: Knowledge,
    collection: CollectionId,
    open: HashSet<DocumentId>,
    took: Duration,
    /// What is being read at the moment.
    pub(crate) reading: Option<Document>,
}

impl Waiting {
    /// For none yet.
    pub(crate) fn new(knowledge: &Knowledge, collection: CollectionId) -> Self {
        Self {
            knowledge: knowledge.clone(),
            collection,
            open: HashSet::new(),
            took: Duration::ZERO,
            reading: None,
        }
    }

    /// Waits for this one too.
    pub(crate) fn add(&mut self, id: DocumentId) {
        self.open.insert(id);
    }

    /// How many are not read yet.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// How long to wait before the next look: the longer the queue, the longer a
    /// look takes.
    pub(crate) fn pause(&self) -> Duration {
        (self.took * SHARE).clamp(PAUSE, MAX_PAUSE)
    }

    /// The documents of the collection that wait or are being read.
    pub(crate) async fn unfinished(&mut self) -> Result<Vec<Document>> {
        let mut all = Vec::new();
        self.reading = None;
        for status in [DocumentStatus::Pending, DocumentStatus::Processing] {
            let some = documents(&self.knowledge, self.collection, Some(status)).await?;
            if status == DocumentStatus::Processing {
                self.reading = some.iter().find(|document| self.open.contains(&document.id)).cloned();
            }
            all.extend(some);
        }
        Ok(all)
    }

    /// The documents that are over since the last look; those deleted meanwhile
    /// are forgotten.
    pub(crate) async fn look(&mut self) -> Result<Vec<Document>> {
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        let start = Instant::now();
        let unfinished: HashSet<_> =
            self.unfinished().await?.into_iter().map(|document| document.id).collect();
        let left: Vec<_> = self.open.difference(&unfinished).copied().collect();
        let knowledge = &self.knowledge;
        let fetch = |id| async move { (id, knowledge.document(id).await) };
        let mut fetched = stream::iter(left).map(fetch).buffer_unordered(TOGETHER);
        let mut over = Vec::new();
        while let Some((id, document)) = fetched.next().await {
            match document {
                Ok(document) if matches!(document.status, DocumentStatus::Ready | DocumentStatus::Failed) => {
                    self.open.remove(&id);
                    over.push(document);
                }
                // It went back to the queue between two lists.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.open.remove(&id);
                }
                Err(error) => return Err(error),
            }
        }
        over.sort_unstable_by_key(|document| document.id);
        self.took = start.elapsed();
        Ok(over)
    }
}

/// All documents of a collection in this state.
pub(crate) async fn documents(
    knowledge: &Knowledge,
    collection: CollectionId,
    status: Option<DocumentStatus>,
) -> Result<Vec<Document>> {
    let filter = DocumentFilter { collection: Some(collection), status, ..DocumentFilter::default() };
    let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::MAX_LIMIT));
    loop {
        let found = knowledge.documents(&filter, page).await?;
        all.extend(found.data);
        match found.next {
            None => return Ok(all),
            next => page.after = next,
        }
    }
}

/// A progress bar on standard error if that is a terminal.
pub(crate) fn bar() -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} documents  {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    Some(bar)
}
