//! What a call of a model used: as the provider says, else as aiMate counts.

use std::sync::Arc;

use aimate_text::tokens::Tokenizer;

use super::context::message_tokens;
use crate::message::Part;
use crate::price::Pricing;
use crate::usage::TokenUsage;

/// Bytes of an answer from which on its tokens are counted off the async threads.
const LONG_TEXT: usize = 32 * 1024;

/// How the usage of a call is counted where the provider does not report it.
pub(crate) struct Accounting {
    pub(crate) pricing: Pricing,
    pub(crate) tokenizer: Tokenizer,
    /// Tokens of the prompt as aiMate counted them.
    pub(crate) prompt_tokens: u64,
}

impl Accounting {
    /// The usage of one answer of the model, of these parts: what the provider said, else what
    /// aiMate counts; with a cost where an admin has set a price, the provider reports one or
    /// the model has prices.
    pub(super) async fn usage_of(&self, reported: Option<TokenUsage>, answer: &[Part]) -> TokenUsage {
        let is_possible = |usage: &TokenUsage| usage.bounded(&TokenUsage::default()) == *usage;
        let mut usage = match reported {
            Some(usage) if is_possible(&usage) => usage,
            reported => {
                let (tokens, _) = counted(self.tokenizer, answer.to_vec()).await;
                let counted = TokenUsage {
                    input_tokens: self.prompt_tokens,
                    output_tokens: u64::from(tokens),
                    estimated: true,
                    ..TokenUsage::default()
                };
                reported.map_or(counted, |reported| reported.bounded(&counted))
            }
        };
        usage.cost = self.pricing.cost(&usage);
        usage
    }
}

/// The tokens of an answer; a long one is counted off the async threads.
pub(super) async fn counted(tokenizer: Tokenizer, content: Vec<Part>) -> (u32, Vec<Part>) {
    if content.iter().map(Part::bytes).sum::<usize>() <= LONG_TEXT {
        return (message_tokens(tokenizer, &content), content);
    }
    let content = Arc::new(content);
    let parts = content.clone();
    let count = tokio::task::spawn_blocking(move || message_tokens(tokenizer, &parts)).await;
    let count = count.unwrap_or_else(|_| message_tokens(Tokenizer::Estimate, &content));
    (count, Arc::unwrap_or_clone(content))
}
