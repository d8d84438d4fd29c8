//! Converts web pages to Markdown, without menus, footers and notices.

mod block;
mod convert;
mod tag;

use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::output::Output;
use super::{decode, media};

use block::Block;

/// Which part of a page is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentScope {
    /// The main content: menus, footers and notices are left out.
    Main,
    /// All of it: a message.
    Whole,
    /// All of it, and it is one of the parts of a book.
    Chapter,
}

/// A parsed page.
pub(super) struct HtmlPage {
    /// The text of its `<title>`.
    pub(super) title: Option<String>,
    blocks: Vec<Block>,
    /// Whether elements beyond the maximum depth were flattened.
    pub(super) is_flat: bool,
}

impl HtmlPage {
    /// Reads a page; one that is `xml` may close any element with `/>`.
    pub(super) fn read(text: &str, scope: ContentScope, is_xml: bool, limits: &Limits) -> Self {
        // Those of messages are decoration, or count who opens them.
        let has_pictures = scope != ContentScope::Whole;
        let (blocks, title, is_flat) = convert::convert(text, is_xml, has_pictures, limits);
        let blocks = if scope == ContentScope::Main { block::main_content(blocks) } else { blocks };
        Self { title, blocks, is_flat }
    }

    /// The first heading.
    pub(super) fn heading(&self) -> Option<&str> {
        self.blocks.iter().find_map(Block::heading)
    }

    pub(super) fn write(&self, output: &mut Output) -> Result<(), ExtractError> {
        block::write(&self.blocks, output)
    }
}

pub(super) fn read(bytes: &[u8], media_type: &str, limits: &Limits) -> Result<Extracted, ExtractError> {
    let (text, warning) = decode::decode(bytes, charset(bytes).as_deref())?;
    let mut output = Output::new(limits);
    if let Some(warning) = warning {
        output.warn(warning);
    }
    let page = HtmlPage::read(&text, ContentScope::Main, media_type == media::XHTML, limits);
    if page.is_flat {
        output
            .warn(format!("elements nested more than {} levels deep were read as plain text", limits.depth));
    }
    if let Some(title) = &page.title {
        output.title(title);
    }
    let outcome = page.write(&mut output);
    output.keep(outcome)?;
    output.finish(media_type, TextKind::Markdown)
}

/// Returns the declared encoding of a page.
pub(super) fn charset(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..2_048).unwrap_or(bytes).to_ascii_lowercase();
    let mark = [&b"charset="[..], b"encoding="]
        .into_iter()
        .find_map(|mark| Some(media::find(&head, mark)? + mark.len()));
    let rest = head.get(mark?..)?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest);
    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:.".contains(byte))?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_page(html: &str) -> Extracted {
        read(html.as_bytes(), media::HTML, &Limits::default()).unwrap()
    }

    #[test]
    fn page_becomes_markdown_without_its_frame() {
        let html = r#"<!doctype html><html><head><title>The page | Site</title><style>x{}</style></head><body class="has-sidebar">
            <nav><ul><li><a href="/">Home</a></li></ul></nav><div class="cookie-banner">We use cookies</div>
            <main><h1>The <em>page</em></h1><p>First   paragraph with<br>a <a href="x">link</a> &amp; <code>code</code>.
            <p>Second.<ul><li>One<li>Two<ol><li>a</li><li>b</ol></ul>
            <pre><code>let x = 1;
  y</code></pre>
            <table><tr><th>Name<th>Age<tr><td>Ada<td>36</table>
            <script>alert("<p>no</p>")</script></main><footer>Imprint</footer></body></html>"#;
        let page = read_page(html);
        assert_eq!(page.title.as_deref(), Some("The page | Site"));
        assert_eq!(
            page.text,
            "# The page\n\nFirst paragraph with\na link & `code`.\n\nSecond.\n\n- One\n- Two\n  1. a\n  2. b\n\n\
             ```\nlet x = 1;\n  y\n```\n\n| Name | Age |\n| --- | --- |\n| Ada | 36 |"
        );
        assert_eq!(page.headings.len(), 1);
    }

    #[test]
    fn pictures_are_told_and_lists_begin_with_their_number() {
        let html = "<p>See <img src=a.png alt='the crane'>.<img alt='b.png'><ol start=25><li>x<li>y<li value=40>z</ol>";
        assert_eq!(read_page(html).text, "See ![the crane]().\n\n25. x\n26. y\n40. z");
        let message = HtmlPage::read(html, ContentScope::Whole, false, &Limits::default());
        assert_eq!(message.blocks.first().map(|block| block.text.as_str()), Some("See ."));
    }

    #[test]
    fn page_that_is_all_frame_is_kept() {
        assert_eq!(read_page("<nav><a href=a>One</a> <a href=b>Two</a></nav>").text, "One Two");
    }

    #[test]
    fn hidden_text_is_left_out() {
        let html =
            "<p>Seen<p hidden>Not<p style='display: none'>Nor<p>Also <span aria-hidden=true>x</span>seen";
        assert_eq!(read_page(html).text, "Seen\n\nAlso seen");
    }

    #[test]
    fn deep_nesting_is_read_flat() {
        let html = format!("{}deep{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
        let page = read_page(&html);
        assert_eq!(page.text, "deep");
        assert_eq!(page.warnings.len(), 1);
    }

    #[test]
    fn tables_for_layout_are_paragraphs() {
        let html = "<table><tr><td><p>One</p><p>Two</p></td></tr><tr><td>Three</td></tr></table>";
        assert_eq!(read_page(html).text, "One\n\nTwo\n\nThree");
    }

    #[test]
    fn cells_that_span_others_keep_values_under_their_columns() {
        let rows = "<table><tr><th>Grade<th>City<th>Rate<tr><td rowspan=2>Director<td>Taiyuan<td>480\
                    <tr><td>Datong<td>450<tr><td>Staff<td colspan=2>none</table>";
        assert_eq!(
            read_page(rows).text,
            "| Grade | City | Rate |\n| --- | --- | --- |\n| Director | Taiyuan | 480 |\n\
             | Director | Datong | 450 |\n| Staff | none |  |"
        );
        let columns = "<table><tr><th>Region</th><th colspan=\"2\">Spring</th><th colspan=\"2\">Autumn</th></tr>\
                       <tr><td>EU</td><td>11</td><td>12</td><td>13</td><td>14</td></tr></table>";
        assert_eq!(
            read_page(columns).text,
            "| Region | Spring |  | Autumn |  |\n| --- | --- | --- | --- | --- |\n| EU | 11 | 12 | 13 | 14 |"
        );
        let hostile = "<table><tr><td colspan=999999999999 rowspan=0>a<td colspan=-1>b<tr><td>c</table>";
        assert!(read_page(hostile).text.len() < 20_000);
    }

    #[test]
    fn declared_encoding_is_used() {
        let mut html = b"<html><meta charset=\"iso-8859-2\"><p>".to_vec();
        html.extend([0xb1, 0xe6]);
        assert_eq!(read(&html, media::HTML, &Limits::default()).unwrap().text, "ąć");
    }
}
