//! The differences between OpenAI's API and OpenRouter's.

/// A variant of OpenAI's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's own.
    OpenAi,
    /// OpenRouter's.
    OpenRouter,
}

impl Dialect {
    /// Headers of every request. OpenRouter attributes calls to applications by
    /// them.
    pub(super) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenAi => &[],
            Self::OpenRouter => {
                &[("http-referer", "https://github.com/aimate/aimate"), ("x-title", "aiMate")]
            }
        }
    }
}
