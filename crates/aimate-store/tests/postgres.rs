//! The conformance suite on each PostgreSQL server of `AIMATE_TEST_POSTGRES`.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use aimate_core::Stores;

async fn on_postgres(case: impl AsyncFn(&Stores)) {
    support::on_each_server_migrated(async |schema| {
        let store = support::connected(schema).await;
        case(&store.stores()).await;
        store.close().await;
    })
    .await;
}

aimate_core::conformance_tests!(on_postgres);
