//! What every handler shares.

use std::ops::Deref;
use std::sync::Arc;

use aimate_core::{Engine, Scope};
use tokio::sync::OnceCell;

use crate::Options;
use crate::metrics::Metrics;

/// The state of the router. Clones share it.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

/// What clones of an [`App`] share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// The scope of local mode, once it was asked for.
    pub(crate) local_scope: OnceCell<Scope>,
}

impl App {
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        Self(Arc::new(Shared { engine, options, metrics: Metrics::new(), local_scope: OnceCell::new() }))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
