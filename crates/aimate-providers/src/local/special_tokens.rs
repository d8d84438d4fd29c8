//! Tokens that stand in a text as they are, whatever a model makes of words.

/// Tokens that are recognized anywhere in a text, such as `[SEP]`.
#[derive(Default)]
pub(super) struct SpecialTokens {
    /// The longest first.
    tokens: Vec<SpecialToken>,
    /// Their first bytes.
    begins: Vec<u8>,
}

/// One of them.
pub(super) struct SpecialToken {
    pub(super) text: Box<str>,
    pub(super) id: u32,
    /// Whether the white space before it goes with it.
    pub(super) takes_left: bool,
    /// Whether the white space after it goes with it.
    pub(super) takes_right: bool,
}

impl SpecialTokens {
    pub(super) fn new(mut tokens: Vec<SpecialToken>) -> Self {
        tokens.sort_by_key(|token| std::cmp::Reverse(token.text.len()));
        let mut begins: Vec<u8> = tokens.iter().filter_map(|token| token.text.bytes().next()).collect();
        begins.sort_unstable();
        begins.dedup();
        Self { tokens, begins }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.tokens.iter().map(|token| token.id)
    }

    /// The token that `rest` begins with.
    pub(super) fn at(&self, rest: &str) -> Option<&SpecialToken> {
        if !self.begins.contains(rest.as_bytes().first()?) {
            return None;
        }
        self.tokens.iter().find(|token| rest.starts_with(&*token.text))
    }

    /// The next token in `text`, and where it is.
    pub(super) fn next(&self, text: &str) -> Option<(usize, &SpecialToken)> {
        let begins = text.bytes().enumerate().filter(|(_, byte)| self.begins.contains(byte));
        begins.filter_map(|(at, _)| Some((at, self.at(text.get(at..)?)?))).next()
    }
}
