//! Small helpers for text that goes into errors, columns and logs.

/// Cuts `text` to at most `max` characters, marking the cut with `…`.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// How alike two names are, from 0 to 1: the share of pairs of neighbouring
/// characters that they have in common (the Sørensen–Dice coefficient). It does
/// not mind how the words of a name are ordered, nor a word too many.
#[allow(clippy::cast_precision_loss, reason = "names have far fewer than 2^52 characters")]
pub(crate) fn similarity(a: &str, b: &str) -> f64 {
    let pairs = |text: &str| -> Vec<(char, char)> {
        let mut pairs: Vec<_> = text.chars().zip(text.chars().skip(1)).collect();
        pairs.sort_unstable();
        pairs
    };
    let (a, b) = (pairs(a), pairs(b));
    let (mut i, mut j, mut common) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    2.0 * common as f64 / (a.len() + b.len()).max(1) as f64
}

/// Gives an enum its one spelling: `as_str`, `Display` and `FromStr` for
/// columns, JSON and error text alike.
macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// The name used in JSON, columns and messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err($crate::error::Error::invalid(format!(
                        "`{}` is not one of {}",
                        $crate::text::shorten(text, 64),
                        [$($name),*].join(", "),
                    ))),
                }
            }
        }
    };
}
pub(crate) use names;

/// Makes an enum of codes that may grow: each has one stable text, and a text
/// that this version does not know is kept in `Other`. So what a newer version
/// stored can be read, and is handed on unchanged.
macro_rules! open_names {
    (
        $(#[$meta:meta])*
        pub enum $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$doc])* $variant,)*
            /// A code that this version does not know.
            Other(String),
        }

        impl $type {
            /// The stable text used in JSON, columns and logs.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($name => Self::$variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                text.to_owned().into()
            }
        }

        impl From<$type> for String {
            fn from(code: $type) -> Self {
                match code {
                    $type::Other(text) => text,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }
    };
}
pub(crate) use open_names;

/// Tells a field that is `null` from one that is absent.
pub(crate) fn present<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::similarity;

    #[test]
    fn similar_names_share_most_pairs() {
        assert!((similarity("gpt-5", "gpt-5") - 1.0).abs() < 1e-9);
        assert!(similarity("openai/gpt-5:online", "openai/gpt-5") > 0.7);
        assert!(similarity("gpt-5o-mini", "gpt-4o-mini") > similarity("gpt-5o-mini", "llama3.2:latest"));
        assert!(similarity("a", "b").abs() < 1e-9);
    }
}
