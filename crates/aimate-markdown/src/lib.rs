//! Markdown of people and models as HTML that is safe to show.
//!
//! GitHub's Markdown with tables, task lists, footnotes, alerts, bare addresses and formulas
//! (`$…$`, `$$…$$`, `\(…\)`, `\[…\]`, as MathML); code is highlighted by classes. What the
//! text says of HTML is shown as text, no image is loaded, and whatever was made passes a
//! narrow allow-list at the end ([`Renderer::render`]).
//!
//! ```
//! let renderer = aimate_markdown::Renderer::default();
//! let html = renderer.render("**Bold**, <b>not</b>: [a link](https://example.org/)")?;
//! assert!(html.starts_with("<p><strong>Bold</strong>, &lt;b&gt;not&lt;/b&gt;: <a class=\"foreign\""));
//! # Ok::<(), aimate_markdown::TooLong>(())
//! ```
//!
//! An answer that is still being written is rendered block by block: [`whole_blocks`] says
//! how far a text will stay as it is.

mod blocks;
mod clean;
mod code;
mod formula;
mod html;
mod link;
mod mathml;
mod shape;
mod text;

use std::time::Duration;

pub use blocks::{WholeBlocks, whole_blocks};

/// Bytes that a text may have by default.
pub const MAX_TEXT: usize = 1024 * 1024;
/// How long code of one text may be highlighted by default.
const HIGHLIGHT_TIME: Duration = Duration::from_secs(1);

/// How much may be rendered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Bytes that a text may have. Default: [`MAX_TEXT`].
    pub max_text: usize,
    /// How long the code of one text may be highlighted; what is left then is shown plain.
    /// Default: a second.
    pub highlight_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_text: MAX_TEXT, highlight_time: HIGHLIGHT_TIME }
    }
}

impl Options {
    /// Sets [`Options::max_text`].
    #[must_use]
    pub fn max_text(self, bytes: usize) -> Self {
        Self { max_text: bytes, ..self }
    }

    /// Sets [`Options::highlight_time`].
    #[must_use]
    pub fn highlight_time(self, time: Duration) -> Self {
        Self { highlight_time: time, ..self }
    }
}

/// The text is longer than what is rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text has {bytes} bytes; at most {most} are rendered")]
pub struct TooLong {
    /// Bytes that the text has.
    pub bytes: usize,
    /// Bytes that it may have.
    pub most: usize,
}

/// Renders Markdown. It keeps nothing of a text; one is enough for a program.
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    options: Options,
}

impl Renderer {
    /// A renderer with these options.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Renders a text. One that is nested too deep, or that would become far larger than it
    /// is, is shown as it stands, in `<pre class="plain">`.
    ///
    /// # Errors
    /// The text is longer than [`Options::max_text`].
    pub fn render(&self, text: &str) -> Result<String, TooLong> {
        if text.len() > self.options.max_text {
            return Err(TooLong { bytes: text.len(), most: self.options.max_text });
        }
        let text = formula::without_marks(text);
        let rendered = match shape::is_deep(&text) {
            true => Err(html::TooComplex),
            false => html::write(&formula::Marked::whole(&text), self.options.highlight_time),
        };
        // On every path: what is wrong above must not become a hole.
        Ok(clean::html(&rendered.unwrap_or_else(|_| html::plain(&text))))
    }
}
