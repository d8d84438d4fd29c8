//! The state that all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use aimate_core::{Engine, Scope};
use tokio::sync::OnceCell;

use crate::metrics::Metrics;
use crate::options::Options;

/// The state of the router. Clones share it.
#[derive(Clone)]
pub(crate) struct App(Arc<AppState>);

/// The fields of an [`App`].
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// The scope of local mode, after its first use.
    pub(crate) local_scope: OnceCell<Scope>,
}

impl App {
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        Self(Arc::new(AppState {
            engine,
            options,
            metrics: Metrics::default(),
            local_scope: OnceCell::new(),
        }))
    }
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}
