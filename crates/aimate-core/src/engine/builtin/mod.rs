//! aiMate's own tools that need the engine, and the list of all of them.

mod knowledge_search;
mod web_fetch;

use std::sync::Arc;

use super::Engine;
use crate::tool::WebSearch;
use crate::tool::builtin::{current_time, web_search};

impl Engine {
    /// Registers aiMate's own tools: those that what the engine was built with allows, and
    /// the application has none of the same name for.
    pub(super) fn register_builtin_tools(&self, search: Option<Arc<dyn WebSearch>>) {
        let knowledge = &self.inner.knowledge;
        let fetcher = knowledge.fetcher.clone();
        let fetch = fetcher.map(|fetcher| web_fetch::web_fetch(fetcher, knowledge.extractor.clone()));
        let own = [current_time(self.inner.sources.clone()), knowledge_search::knowledge_search(&self.inner)];
        self.inner.tools.add(own.into_iter().chain(fetch).chain(search.map(web_search)));
    }
}
