//! Token counts: exact if the model's tokenizer is public, else an estimate.

#[cfg(feature = "tiktoken")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Tokens that a chat format spends on each message besides its content
/// (role and separators), as in OpenAI's cookbook "How to count tokens".
pub const MESSAGE_OVERHEAD: u32 = 4;

/// Tokens an image is counted as: OpenAI's price of a 1024 × 1024 picture in
/// high detail, 85 + 4 × 170. Providers differ and do not say beforehand.
pub const IMAGE: u32 = 765;

/// Bytes without white space after which text is estimated instead of encoded:
/// byte-pair merging is quadratic in the length of such a run.
#[cfg(feature = "tiktoken")]
const MAX_RUN: usize = 2_000;

/// The tokenizer of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// OpenAI's `o200k_base`: GPT-4o, 4.1, 5 and the o series.
    O200k,
    /// OpenAI's `cl100k_base`: GPT-4, 3.5 and `text-embedding-3`.
    Cl100k,
    /// No public tokenizer: a quarter token for each ASCII character, one for
    /// each other character. On English prose and Markdown that is 5 to 8 %
    /// above `cl100k_base`.
    Estimate,
}

impl Tokenizer {
    /// Returns the tokenizer of a model by its id; vendor prefixes such as `openai/`
    /// are ignored. Without the feature `tiktoken` it is the estimate for every model.
    pub fn for_model(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if cfg!(not(feature = "tiktoken")) {
            Self::Estimate
        } else if is(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4", "gpt-oss"]) {
            Self::O200k
        } else if is(&["gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002"]) {
            Self::Cl100k
        } else {
            Self::Estimate
        }
    }

    /// Returns its name, as a run's manifest has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
            Self::Estimate => "estimate",
        }
    }

    /// Returns whether counts are exact.
    pub fn is_exact(self) -> bool {
        cfg!(feature = "tiktoken") && self != Self::Estimate
    }

    /// Counts the tokens of `text`; special tokens in it count as ordinary text.
    ///
    /// The first exact count of a process loads the vocabulary, which takes up
    /// to a second: call it from a blocking thread then (see
    /// [`Tokenizer::load`]).
    pub fn count(self, text: &str) -> u32 {
        #[cfg(feature = "tiktoken")]
        if let Some(count) = self.count_exactly(text) {
            return count;
        }
        estimate(text)
    }

    /// Returns `None` where the count has to be an estimate.
    #[cfg(feature = "tiktoken")]
    fn count_exactly(self, text: &str) -> Option<u32> {
        let (encoder, loaded) = match self {
            Self::Estimate => return None,
            Self::O200k => (tiktoken_rs::o200k_base_singleton(), &LOADED_O200K),
            Self::Cl100k => (tiktoken_rs::cl100k_base_singleton(), &LOADED_CL100K),
        };
        loaded.store(true, Ordering::Relaxed);
        let is_mergeable = text.split_ascii_whitespace().all(|run| run.len() <= MAX_RUN);
        is_mergeable.then(|| saturate(encoder.encode_ordinary(text).len()))
    }

    /// Returns the text of these token ids, with U+FFFD for what is half of a
    /// character; `None` without a public vocabulary, or for an id that it has not.
    /// It may load the vocabulary, as counting does.
    pub fn decode(self, ids: &[u32]) -> Option<String> {
        #[cfg(feature = "tiktoken")]
        {
            let encoder = match self {
                Self::Estimate => return None,
                Self::O200k => tiktoken_rs::o200k_base_singleton(),
                Self::Cl100k => tiktoken_rs::cl100k_base_singleton(),
            };
            let bytes = encoder.decode_bytes(ids).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        #[cfg(not(feature = "tiktoken"))]
        {
            let _ = ids;
            None
        }
    }

    /// Loads the vocabulary; does nothing for the estimate or the second time.
    pub fn load(self) {
        self.count("");
    }

    /// Whether counting is quick from now on; always for the estimate.
    pub fn is_loaded(self) -> bool {
        match self {
            #[cfg(feature = "tiktoken")]
            Self::O200k => LOADED_O200K.load(Ordering::Relaxed),
            #[cfg(feature = "tiktoken")]
            Self::Cl100k => LOADED_CL100K.load(Ordering::Relaxed),
            _ => true,
        }
    }
}

#[cfg(feature = "tiktoken")]
static LOADED_O200K: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "tiktoken")]
static LOADED_CL100K: AtomicBool = AtomicBool::new(false);

/// Returns the context window of model families whose servers do not report it,
/// from the vendors' model pages; where a family has several, the smallest.
pub fn known_window(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let windows: [(&str, u32); 41] = [
        ("gpt-5", 400_000),
        ("gpt-4.1", 1_047_576),
        ("gpt-4.5", 128_000),
        ("gpt-4o", 128_000),
        ("chatgpt-4o", 128_000),
        ("gpt-4-turbo", 128_000),
        ("gpt-4", 8_192),
        ("gpt-3.5", 16_385),
        ("gpt-oss", 131_072),
        ("o1", 200_000),
        ("o3", 200_000),
        ("o4", 200_000),
        ("claude", 200_000),
        ("gemini", 1_048_576),
        ("gemma-3", 131_072),
        ("gemma3", 131_072),
        ("deepseek", 65_536),
        ("kimi-k2", 131_072),
        ("moonshot-v1-8k", 8_192),
        ("moonshot-v1-32k", 32_768),
        ("moonshot-v1-128k", 131_072),
        ("mistral-large", 131_072),
        ("mistral-medium", 131_072),
        ("mistral-small", 32_768),
        ("ministral", 131_072),
        ("codestral", 32_768),
        ("magistral", 40_960),
        ("grok", 131_072),
        ("sonar", 127_000),
        ("command-a", 256_000),
        ("command-r", 128_000),
        ("glm-4.5", 131_072),
        ("glm-4.6", 200_000),
        ("minimax-m", 196_608),
        ("qwen-max", 32_768),
        ("qwen-plus", 131_072),
        ("llama-3.1", 131_072),
        ("llama-3.2", 131_072),
        ("llama-3.3", 131_072),
        ("nova-pro", 300_000),
        ("nova-lite", 300_000),
    ];
    windows.into_iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, window)| window)
}

/// Estimates a quarter token for each ASCII character, rounded up, and one for
/// each other character.
pub fn estimate(text: &str) -> u32 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().count() - ascii;
    saturate(ascii.div_ceil(4) + other)
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "tiktoken")]
    #[test]
    fn known_counts_are_exact() {
        // OpenAI cookbook, "How to count tokens with tiktoken".
        assert_eq!(Tokenizer::Cl100k.count("tiktoken is great!"), 6);
        assert_eq!(Tokenizer::O200k.count("tiktoken is great!"), 6);
    }

    #[cfg(feature = "tiktoken")]
    #[test]
    fn special_tokens_in_user_text_are_ordinary_text() {
        assert!(Tokenizer::O200k.count("<|endoftext|>") > 1);
    }

    #[cfg(feature = "tiktoken")]
    #[test]
    fn model_families_have_their_tokenizer() {
        assert_eq!(Tokenizer::for_model("gpt-4o-mini"), Tokenizer::O200k);
        assert_eq!(Tokenizer::for_model("openai/o3"), Tokenizer::O200k);
        assert_eq!(Tokenizer::for_model("gpt-4-turbo"), Tokenizer::Cl100k);
        assert_eq!(Tokenizer::for_model("llama3.2"), Tokenizer::Estimate);
    }

    #[cfg(feature = "tiktoken")]
    #[test]
    fn ids_become_their_text() {
        assert_eq!(Tokenizer::Cl100k.decode(&[15339, 1917]).as_deref(), Some("hello world"));
        assert_eq!(Tokenizer::Cl100k.decode(&[9_000_000]), None);
        assert_eq!(Tokenizer::Estimate.decode(&[1]), None);
    }

    #[test]
    fn estimate_counts_cjk_by_character() {
        assert_eq!(estimate("abcd"), 1);
        assert_eq!(estimate("你好"), 2);
        assert_eq!(estimate(""), 0);
    }

    #[test]
    fn endless_word_is_estimated_not_encoded() {
        let text = "a".repeat(400_000);
        assert_eq!(Tokenizer::O200k.count(&text), 100_000);
    }
}
