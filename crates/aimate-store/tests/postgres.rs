//! The conformance suite on each PostgreSQL server of `AIMATE_TEST_POSTGRES`, or behind the
//! PgBouncer of `AIMATE_TEST_POOLER`, which is before the first of them.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use aimate_core::Stores;
use aimate_store::{Options, connect_with};

async fn on_postgres(case: impl AsyncFn(&Stores)) {
    let run = async |database: &support::Schema, url: &str| {
        let options = Options { blobs: Some(database.blobs().to_owned()), ..Options::default() };
        let store = connect_with(url, options).await.unwrap();
        case(&store.stores()).await;
        store.close().await;
    };
    match support::pooler() {
        None => support::on_each_server_migrated(async |database| run(database, &database.url()).await).await,
        Some(_) => support::behind_a_pooler(async |database, url| run(database, &url).await).await,
    }
}

aimate_core::conformance_tests!(on_postgres);
