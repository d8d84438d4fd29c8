//! The conformance suite on SQLite, in memory and in a file.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use aimate_core::Stores;

mod memory {
    use super::*;

    async fn in_memory(case: impl AsyncFn(&Stores)) {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        case(&store.stores()).await;
        store.close().await;
    }

    aimate_core::conformance_tests!(in_memory);
}

mod file {
    use super::*;

    async fn in_a_file(case: impl AsyncFn(&Stores)) {
        let folder = support::Folder::new();
        let store = aimate_store::connect(&folder.url()).await.unwrap();
        case(&store.stores()).await;
        store.close().await;
        support::ledger::is_balanced_on_sqlite(&folder.url()).await;
    }

    aimate_core::conformance_tests!(in_a_file);
}
