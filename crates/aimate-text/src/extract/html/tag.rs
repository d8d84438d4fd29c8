//! The meaning of elements and attributes for text.

/// The role of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Heading(u8),
    /// Begins a paragraph: `p`, `div`, `section`…
    Paragraph,
    List {
        is_numbered: bool,
    },
    Item,
    Quote,
    Pre,
    Code,
    Break,
    Table,
    Row,
    Cell,
    Link,
    Title,
    /// Without text to read.
    Skipped,
    /// Part of a line.
    Inline,
}

pub(super) fn tag(name: &[u8]) -> Tag {
    match name {
        b"h1" => Tag::Heading(1),
        b"h2" => Tag::Heading(2),
        b"h3" => Tag::Heading(3),
        b"h4" => Tag::Heading(4),
        b"h5" => Tag::Heading(5),
        b"h6" => Tag::Heading(6),
        b"p" | b"div" | b"section" | b"article" | b"main" | b"body" | b"html" | b"header" | b"footer"
        | b"nav" | b"aside" | b"address" | b"fieldset" | b"form" | b"figure" | b"figcaption" | b"details"
        | b"summary" | b"dl" | b"dt" | b"dd" | b"hgroup" | b"center" | b"legend" | b"caption" | b"thead"
        | b"tbody" | b"tfoot" | b"hr" | b"dialog" | b"search" => Tag::Paragraph,
        b"ul" | b"menu" | b"dir" => Tag::List { is_numbered: false },
        b"ol" => Tag::List { is_numbered: true },
        b"li" => Tag::Item,
        b"blockquote" => Tag::Quote,
        b"pre" | b"listing" | b"xmp" => Tag::Pre,
        b"code" | b"kbd" | b"samp" | b"tt" => Tag::Code,
        b"br" => Tag::Break,
        b"table" => Tag::Table,
        b"tr" => Tag::Row,
        b"td" | b"th" => Tag::Cell,
        b"a" => Tag::Link,
        b"title" => Tag::Title,
        b"script" | b"style" | b"template" | b"svg" | b"iframe" | b"object" | b"canvas" | b"audio"
        | b"video" | b"select" | b"button" | b"textarea" | b"noscript" | b"datalist" | b"map" | b"rp"
        | b"annotation" => Tag::Skipped,
        _ => Tag::Inline,
    }
}

/// Whether an element has no content and no end tag.
pub(super) fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

/// Which open elements a start tag ends: the innermost with one of the names,
/// unless one of those to stop at is inside of it.
pub(super) struct Ends {
    pub(super) names: &'static [&'static [u8]],
    pub(super) stop: &'static [&'static [u8]],
}

pub(super) fn ended_by(name: &[u8]) -> Option<Ends> {
    let ends = |names, stop| Some(Ends { names, stop });
    match name {
        b"li" => ends(&[b"li"], &[b"ul", b"ol", b"menu", b"td", b"th"]),
        b"dt" | b"dd" => ends(&[b"dt", b"dd"], &[b"dl", b"td", b"th"]),
        b"tr" => ends(&[b"tr"], &[b"table"]),
        b"td" | b"th" => ends(&[b"td", b"th"], &[b"tr", b"table"]),
        b"thead" | b"tbody" | b"tfoot" => ends(&[b"thead", b"tbody", b"tfoot", b"tr"], &[b"table"]),
        _ => match tag(name) {
            Tag::Inline
            | Tag::Link
            | Tag::Code
            | Tag::Break
            | Tag::Skipped
            | Tag::Title
            | Tag::Cell
            | Tag::Row => None,
            _ => ends(
                &[b"p"],
                &[b"td", b"th", b"li", b"table", b"div", b"section", b"article", b"main", b"dd"],
            ),
        },
    }
}

/// The properties of an element that its name and attributes define.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// It is not visible.
    pub(super) is_hidden: bool,
    /// It surrounds the content: a menu, a footer, a notice.
    pub(super) is_frame: bool,
    /// It is the main content.
    pub(super) is_main: bool,
}

impl Marks {
    /// The properties that the name of an element defines.
    pub(super) fn of_name(name: &[u8]) -> Self {
        Self {
            is_hidden: false,
            is_frame: matches!(name, b"nav" | b"aside" | b"footer" | b"dialog" | b"search"),
            is_main: matches!(name, b"main" | b"article"),
        }
    }

    /// Adds the properties that an attribute of the element `name` defines.
    pub(super) fn attribute(&mut self, name: &[u8], key: &[u8], value: &[u8]) {
        let value = value.get(..400).unwrap_or(value).to_ascii_lowercase();
        match key {
            b"hidden" => self.is_hidden = value != b"until-found",
            b"aria-hidden" => self.is_hidden |= value == b"true",
            b"style" => {
                let plain: Vec<u8> = value.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
                self.is_hidden |= super::super::media::find(&plain, b"display:none").is_some();
            }
            b"role" => {
                let frame: [&[u8]; 6] =
                    [b"navigation", b"banner", b"contentinfo", b"complementary", b"search", b"dialog"];
                self.is_frame |= frame.contains(&value.as_slice());
                self.is_main |= value == b"main";
            }
            b"class" | b"id" if !matches!(name, b"html" | b"body" | b"main" | b"article") => {
                let mut words = value.split(|byte| byte.is_ascii_whitespace());
                self.is_frame |= words.any(is_frame_name);
                if key == b"id" {
                    let main: [&[u8]; 5] =
                        [b"content", b"main", b"main-content", b"mw-content-text", b"bodycontent"];
                    self.is_main |= main.contains(&value.as_slice());
                }
            }
            _ => {}
        }
    }
}

/// Whether a class or an id is one of a frame around the content: the word itself,
/// or one that begins or ends with it (`sidebar-left`, `site-footer`).
fn is_frame_name(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 30] = [
        b"nav",
        b"navbar",
        b"navigation",
        b"menu",
        b"sidebar",
        b"footer",
        b"breadcrumb",
        b"breadcrumbs",
        b"cookie",
        b"cookies",
        b"banner",
        b"share",
        b"social",
        b"related",
        b"advert",
        b"ads",
        b"promo",
        b"pagination",
        b"pager",
        b"newsletter",
        b"toolbar",
        b"skip-link",
        b"noprint",
        b"navbox",
        b"catlinks",
        b"mw-editsection",
        b"masthead",
        b"popup",
        b"modal",
        b"toc",
    ];
    if [&b"has-"[..], b"with-", b"no-", b"is-"].iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    NAMES.iter().any(|frame| {
        let begins = name.strip_prefix(*frame).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"));
        let ends = name.strip_suffix(*frame).is_some_and(|rest| rest.ends_with(b"-"));
        begins || ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_known_by_its_names() {
        for name in ["nav", "site-footer", "sidebar-left", "cookie-banner"] {
            assert!(is_frame_name(name.as_bytes()), "{name}");
        }
        for name in ["has-sidebar", "navy", "content", "menuscript", "with-footer"] {
            assert!(!is_frame_name(name.as_bytes()), "{name}");
        }
    }
}
