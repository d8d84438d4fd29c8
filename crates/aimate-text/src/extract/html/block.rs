//! The blocks of a page, and the detection of its main content.

use super::super::error::ExtractError;
use super::super::markdown;
use super::super::output::Output;
use super::tag::Marks;

/// A block of text, such as a paragraph.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) marks: Marks,
    /// How many quotes it is in.
    pub(super) quotes: usize,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Heading(u8),
    Paragraph,
    /// An item of a list: how deep, and its mark; empty for its later paragraphs.
    Item(usize, String),
    Code,
    Table,
}

impl Block {
    pub(super) fn heading(&self) -> Option<&str> {
        matches!(self.kind, Kind::Heading(_)).then_some(self.text.as_str())
    }
}

/// Main content has at least this fraction (1/n) of the text of a page.
const MIN_MAIN_FRACTION: usize = 4;
/// Minimum bytes of `<main>`; a shorter one is a shell that a script fills.
const MIN_MAIN: usize = 200;

/// Returns the main content of a page, without menus, footers and notices.
pub(super) fn main_content(blocks: Vec<Block>) -> Vec<Block> {
    let length = |keep: &dyn Fn(&Block) -> bool| -> usize {
        blocks.iter().filter(|block| keep(block)).map(|block| block.text.len()).sum()
    };
    let all = length(&|_| true);
    let framed = length(&|block| !block.marks.is_frame);
    let main = length(&|block| block.marks.is_main && !block.marks.is_frame);
    if main >= MIN_MAIN.min(all / 2) && main > 0 && main * MIN_MAIN_FRACTION >= framed {
        keep(blocks, |block| block.marks.is_main && !block.marks.is_frame)
    } else if framed * MIN_MAIN_FRACTION >= all && framed > 0 {
        keep(blocks, |block| !block.marks.is_frame)
    } else {
        blocks
    }
}

fn keep(mut blocks: Vec<Block>, wanted: impl Fn(&Block) -> bool) -> Vec<Block> {
    // The title of a page is often in a header before its main element.
    let has_title = blocks.iter().any(|block| wanted(block) && block.kind == Kind::Heading(1));
    let mut title_left = !has_title;
    blocks.retain(|block| {
        let is_title = title_left && block.kind == Kind::Heading(1) && !block.marks.is_frame;
        title_left &= !is_title;
        is_title || wanted(block)
    });
    blocks
}

pub(super) fn write(blocks: &[Block], output: &mut Output) -> Result<(), ExtractError> {
    let mut was_item = false;
    for block in blocks {
        let is_item = matches!(&block.kind, Kind::Item(_, mark) if !mark.is_empty());
        if is_item && was_item {
            output.end_line();
        } else {
            output.end_paragraph();
        };
        was_item = matches!(block.kind, Kind::Item(..));
        let mut text = match &block.kind {
            Kind::Heading(level) => {
                format!("{} {}", "#".repeat(usize::from(*level)), block.text.replace('\n', " "))
            }
            Kind::Paragraph => markdown::escape(&block.text),
            Kind::Item(depth, mark) if mark.is_empty() => indent(&block.text, *depth),
            Kind::Item(depth, mark) => {
                let inner = indent(&block.text, *depth);
                format!("{}{mark} {}", "  ".repeat(depth.saturating_sub(1)), inner.trim_start())
            }
            Kind::Code => {
                let fence = if block.text.contains("```") { "````" } else { "```" };
                format!("{fence}\n{}\n{fence}", block.text)
            }
            Kind::Table => block.text.clone(),
        };
        if block.quotes > 0 {
            let lines = text.lines().map(|line| format!("> {line}"));
            text = lines.collect::<Vec<_>>().join("\n");
        }
        output.push(&text)?;
    }
    Ok(())
}

fn indent(text: &str, depth: usize) -> String {
    let space = "  ".repeat(depth.min(16));
    let lines = text.lines().map(|line| format!("{space}{line}"));
    lines.collect::<Vec<_>>().join("\n")
}
