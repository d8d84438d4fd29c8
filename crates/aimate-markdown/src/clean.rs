//! What HTML may come out, whatever went in: the last step on every path.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use crate::code;

/// Before the ids that notes have: no text chooses an id.
pub(crate) const NOTE: &str = "fn-";

const HTML_TAGS: &[&str] = &[
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "input",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "span",
    "strong",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Presentation alone: nothing that holds HTML, loads or links.
const MATH_TAGS: &[&str] = &[
    "math",
    "merror",
    "mfrac",
    "mi",
    "mn",
    "mo",
    "mover",
    "mphantom",
    "mpadded",
    "mroot",
    "mrow",
    "mspace",
    "msqrt",
    "mstyle",
    "msub",
    "msubsup",
    "msup",
    "mtable",
    "mtd",
    "mtext",
    "mtr",
    "munder",
    "munderover",
];

const MATH_ATTRIBUTES: &[(&str, &[&str])] = &[
    ("math", &["display"]),
    ("mfrac", &["linethickness"]),
    ("mi", &["mathvariant"]),
    (
        "mo",
        &[
            "accent",
            "form",
            "fence",
            "largeop",
            "lspace",
            "maxsize",
            "minsize",
            "movablelimits",
            "rspace",
            "separator",
            "stretchy",
            "symmetric",
        ],
    ),
    ("mover", &["accent"]),
    ("mrow", &["displaystyle", "scriptlevel"]),
    ("mspace", &["depth", "height", "width"]),
    ("mstyle", &["displaystyle", "scriptlevel"]),
    ("munder", &["accentunder"]),
    ("munderover", &["accent", "accentunder"]),
];

const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["href", "data-host"]),
    ("div", &["id"]),
    ("input", &["checked", "disabled"]),
    ("ol", &["start"]),
    ("pre", &["data-language"]),
];

const CLASSES: &[(&str, &[&str])] = &[
    ("a", &["foreign", "image"]),
    ("blockquote", &["note", "tip", "important", "warning", "caution"]),
    ("code", &["math"]),
    ("div", &["footnote", "table"]),
    ("li", &["task"]),
    ("pre", &["code", "plain"]),
    ("section", &["footnotes"]),
    ("sup", &["footnote"]),
    ("td", ALIGNMENTS),
    ("th", ALIGNMENTS),
    ("span", &["image"]),
];

const ALIGNMENTS: &[&str] = &["left", "center", "right"];

const MATH_CLASSES: &[(&str, &[&str])] = &[
    ("mo", &["small"]),
    ("mi", &["small"]),
    ("mrow", &["mop-negated"]),
    (
        "mtable",
        &[
            "menv-align",
            "menv-alignlike",
            "menv-arraylike",
            "menv-cases",
            "menv-cells-left",
            "menv-cells-right",
            "menv-matrix",
            "menv-multline",
        ],
    ),
    (
        "mtd",
        &[
            "cell-left",
            "cell-right",
            "menv-border-only",
            "menv-left-dashed",
            "menv-left-solid",
            "menv-nonumber",
            "menv-right-dashed",
            "menv-right-solid",
        ],
    ),
    ("mtr", &["menv-hdashline", "menv-hline"]),
];

static HTML: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HTML_TAGS.iter().chain(MATH_TAGS).copied().collect())
        .tag_attributes(map(&[ATTRIBUTES, MATH_ATTRIBUTES]))
        .allowed_classes(map(&[CLASSES, &[("span", code::CLASSES)], MATH_CLASSES]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Custom(Box::new(note)))
        .link_rel(Some("noopener noreferrer nofollow"))
        .tag_attribute_values(HashMap::from([
            ("a", HashMap::from([("target", HashSet::from(["_blank"]))])),
            ("input", HashMap::from([("type", HashSet::from(["checkbox"]))])),
        ]))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("div", "id") if !value.starts_with(NOTE) => None,
            _ => Some(Cow::Borrowed(value)),
        });
    builder
});

static MATHML: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(MATH_TAGS.iter().copied().collect())
        .tag_attributes(map(&[MATH_ATTRIBUTES]))
        .allowed_classes(map(&[MATH_CLASSES]))
        .url_schemes(HashSet::new())
        .link_rel(None);
    builder
});

/// What is allowed of a rendered text.
pub(crate) fn html(html: &str) -> String {
    HTML.clean(html).to_string()
}

/// What is allowed of a formula: no HTML, which its texts could hold.
pub(crate) fn mathml(mathml: &str) -> String {
    MATHML.clean(mathml).to_string()
}

/// Of addresses within the page, notes alone.
fn note(address: &str) -> Option<Cow<'_, str>> {
    let is_note = address.strip_prefix('#').is_some_and(|id| id.starts_with(NOTE));
    is_note.then_some(Cow::Borrowed(address))
}

fn map(lists: &[&[(&'static str, &'static [&'static str])]]) -> HashMap<&'static str, HashSet<&'static str>> {
    let mut map = HashMap::<_, HashSet<_>>::new();
    for (element, values) in lists.iter().copied().flatten() {
        map.entry(*element).or_default().extend(values.iter().copied());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_t26_nothing_that_acts_or_loads_comes_out() {
        for bad in [
            "<script>alert(1)</script>",
            "<img src=https://evil.example/a>",
            "<svg onload=alert(1)><script>a</script></svg>",
            "<style>*{background:url(https://evil.example)}</style>",
            "<p style='background:url(https://evil.example)' onclick=alert(1) id=a>",
            "<iframe src=https://evil.example></iframe>",
            "<math><annotation-xml encoding='text/html'><script>a</script></annotation-xml></math>",
            "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
            "<math href='javascript:alert(1)'><maction actiontype='statusline#http://evil.example'>a</maction></math>",
            "<math><mi href='https://evil.example' xlink:href='https://evil.example'>a</mi></math>",
            "<form action=https://evil.example><button>a</button></form>",
            "<input type=image src=https://evil.example><input type=text name=password>",
            "<a href='//evil.example/a'>a</a><a href=/a>a</a><a href='javascript:alert(1)'>a</a>",
            "<link rel=stylesheet href=https://evil.example><base href=https://evil.example><meta http-equiv=refresh>",
            "<div id=app class='login foreign hl-k'><span class='modal'>a</span></div>",
        ] {
            let cleaned = html(bad);
            for sign in [
                "evil",
                "alert",
                "style",
                "<img",
                "<svg",
                "script",
                "onerror",
                "id=",
                "login",
                "modal",
                "foreign",
                "hl-k",
                "type=\"image\"",
                "type=\"text\"",
                "href",
                "<form",
                "<button",
                "maction",
                "mglyph",
                "annotation",
            ] {
                assert!(!cleaned.contains(sign), "{sign} in {cleaned} of {bad}");
            }
        }
    }

    #[test]
    fn formula_holds_no_html() {
        let cleaned =
            mathml("<math><mtext><a href=https://evil.example>b</a><strong>c</strong></mtext></math>");
        assert_eq!(cleaned, "<math><mtext>bc</mtext></math>");
    }
}
