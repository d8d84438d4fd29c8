//! One port of the store in an application's own hands: here it writes a line for each
//! bill, and leaves the keeping to the store that it wraps.
//!
//! `cargo run --example custom_store`

use std::sync::Arc;

use aimate::usage::{ListedUsage, UsageFilter, UsageRecord, UsageStore, UsageSum};
use aimate::{Engine, Page, PageRequest, Result, Scope, Stores, Turn, async_trait};

struct Ledger(Arc<dyn UsageStore>);

#[async_trait]
impl UsageStore for Ledger {
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()> {
        for (scope, record) in records {
            println!("{}: {} tokens of {}", scope.user, record.usage.output_tokens, record.model);
        }
        self.0.record(records).await
    }

    async fn summarize(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        self.0.summarize(scope, filter).await
    }

    async fn summarize_all(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        self.0.summarize_all(filter).await
    }

    async fn records(
        &self,
        scope: &Scope,
        filter: &UsageFilter,
        page: PageRequest,
    ) -> Result<Page<ListedUsage>> {
        self.0.records(scope, filter, page).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut stores = Stores::from(aimate::store::connect("sqlite::memory:").await?);
    stores.usage = Arc::new(Ledger(stores.usage));
    let engine = Engine::builder().store(stores).connection(aimate::providers::builtin()).build().await?;
    let me = engine.local_scope().await?;
    engine.chat(&me, Turn::new("Hello")).await?.message().await?;
    println!("{:?}", engine.usage(&me, &UsageFilter::default()).await?);
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
