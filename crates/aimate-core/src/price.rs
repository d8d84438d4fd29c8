//! Prices of models, as an admin sets them, each from a moment on.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::budget::Amount;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::PriceId;
use crate::limit;
use crate::model::Prices;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::usage::{Cost, TokenUsage};

/// What calls of a model cost from a moment on. Calls that are over keep their cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelPrice {
    /// Its id.
    pub id: PriceId,
    /// The model, as `CONNECTION/MODEL`, or all whose names begin with what stands
    /// before a `*` at the end.
    pub model: String,
    /// What it costs.
    #[serde(flatten)]
    pub prices: Prices,
    /// From this moment on, until a later price of the same `model`.
    pub valid_from: Timestamp,
    /// When it was set.
    pub created_at: Timestamp,
}

impl ModelPrice {
    /// Whether it is of this model, and how exactly: the more, the longer its name.
    fn fits(&self, label: &str) -> Option<usize> {
        match self.model.strip_suffix('*') {
            None => (self.model == label).then_some(usize::MAX),
            Some(beginning) => label.starts_with(beginning).then_some(beginning.len()),
        }
    }
}

/// The price of `label` at `now`: of the exact name, else of the longest beginning.
pub(crate) fn price_of(known: &[ModelPrice], label: &str, now: Timestamp) -> Option<Prices> {
    let valid = known.iter().filter(|price| price.valid_from <= now);
    let fitting = valid.filter_map(|price| Some((price.fits(label)?, price.valid_from, price.prices)));
    fitting.max_by_key(|(exactness, valid_from, _)| (*exactness, *valid_from)).map(|(_, _, prices)| prices)
}

/// What the calls of one model cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pricing {
    /// As an admin has set it: it counts before all else.
    pub(crate) set: Option<Prices>,
    /// As its server lists it: it counts where the server does not say what a call cost.
    pub(crate) listed: Option<Prices>,
}

impl Pricing {
    /// What `usage` costs; `None` where nobody says.
    pub(crate) fn cost(&self, usage: &TokenUsage) -> Option<Cost> {
        match (self.set, usage.cost, self.listed) {
            (Some(set), ..) => Some(set.cost(usage)),
            (None, Some(said), _) => Some(said),
            (None, None, listed) => listed.map(|prices| prices.cost(usage)),
        }
    }

    /// What so many tokens are expected to cost.
    pub(crate) fn estimate(&self, input_tokens: u64, output_tokens: u64) -> Amount {
        let mut usage = TokenUsage { input_tokens, output_tokens, ..TokenUsage::default() };
        usage.cost = self.cost(&usage);
        Amount::of(&usage)
    }
}

/// Parameters for setting a price.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewPrice {
    /// The model, as `CONNECTION/MODEL`, or with a `*` at the end, for all whose names
    /// begin so.
    pub model: String,
    /// What it costs, in US dollars per million tokens.
    #[serde(flatten)]
    pub prices: Prices,
    /// From this moment on; absent: from now on. One that is past changes no call that
    /// is over.
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
}

impl NewPrice {
    /// What a million tokens cost at most.
    const MAX: f64 = 1_000_000.0;

    /// A price from now on.
    pub fn new(model: impl Into<String>, prices: Prices) -> Self {
        Self { model: model.into(), prices, valid_from: None }
    }

    /// From this moment on.
    #[must_use]
    pub fn valid_from(mut self, moment: Timestamp) -> Self {
        self.valid_from = Some(moment);
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("model", &self.model, limit::MODEL)?;
        let Prices { input, output, cached } = self.prices;
        for (path, price) in [("input", input), ("output", output), ("cached", cached.unwrap_or(0.0))] {
            if !(0.0..=Self::MAX).contains(&price) {
                return Err(Error::field(
                    path,
                    "is a number of dollars per million tokens, from 0 to 1,000,000",
                ));
            }
        }
        Ok(())
    }
}

/// Where prices are kept: they are the tenant's, whoever of it asks. A foreign or
/// unknown id is `NotFound`.
#[async_trait]
pub trait PriceStore: Send + Sync {
    /// Stores a new price. `Conflict` if there is one of the same model and moment;
    /// `NotFound` without the tenant.
    async fn create(&self, scope: &Scope, price: &ModelPrice) -> Result<()>;
    /// The tenant's prices, by id.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ModelPrice>>;
    /// The price of each model at `now`, and those that come later; at most 10,000. A
    /// tenant has hundreds: the list is not paged.
    async fn current(&self, scope: &Scope, now: Timestamp) -> Result<Vec<ModelPrice>>;
    /// Deletes a price. Calls that are over keep their cost.
    async fn delete(&self, scope: &Scope, id: PriceId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(model: &str, input: f64, valid_from: i64) -> ModelPrice {
        ModelPrice {
            id: uuid::Uuid::nil().into(),
            model: model.into(),
            prices: Prices { input, output: 0.0, cached: None },
            valid_from: Timestamp(valid_from),
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn exact_name_and_latest_moment_count() {
        let known = [
            price("lab/gpt", 1.0, 0),
            price("lab/gpt", 2.0, 10),
            price("lab/gpt", 3.0, 20),
            price("lab/*", 4.0, 15),
            price("*", 5.0, 16),
        ];
        let input = |label, now| price_of(&known, label, Timestamp(now)).map(|prices| prices.input);
        assert_eq!(input("lab/gpt", 0), Some(1.0));
        assert_eq!(input("lab/gpt", 19), Some(2.0));
        assert_eq!(input("lab/gpt", 20), Some(3.0));
        assert_eq!(input("lab/other", 14), None);
        assert_eq!(input("lab/other", 17), Some(4.0));
        assert_eq!(input("x/y", 17), Some(5.0));
    }

    #[test]
    fn prices_have_limits() {
        for (input, output, cached) in
            [(-1.0, 0.0, None), (0.0, f64::NAN, None), (0.0, 0.0, Some(f64::INFINITY))]
        {
            NewPrice::new("a/b", Prices { input, output, cached }).check().unwrap_err();
        }
        NewPrice::new("", Prices::default()).check().unwrap_err();
        NewPrice::new("a/b", Prices::default()).check().unwrap();
    }
}
