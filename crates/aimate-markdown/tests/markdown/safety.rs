//! Nothing acts, loads or leads astray, whatever the text says (T26, T28).

use aimate_markdown::Renderer;
use proptest::prelude::*;

fn render(text: &str) -> String {
    Renderer::default().render(text).unwrap()
}

/// Every tag of some HTML, with its attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|tag| tag.split_once('>').map_or(tag, |(tag, _)| tag)).collect()
}

fn is_safe(html: &str) -> Result<(), String> {
    for tag in tags(html) {
        let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap_or_default();
        let known = "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr input li ol p pre section span strong sup table \
             tbody td th thead tr ul math merror mfrac mi mn mo mover mphantom mpadded mroot mrow mspace msqrt mstyle msub \
             msubsup msup mtable mtd mtext mtr munder munderover";
        if !known.split_whitespace().any(|known| known == name) {
            return Err(format!("<{tag}>"));
        }
        // Of attributes, those outside of their values.
        let names: String = tag.split('"').step_by(2).collect();
        for bad in [" on", "style", "src", "srcset", "action", "xlink", "name=", "formaction", "background"] {
            if names.contains(bad) {
                return Err(format!("<{tag}>: {bad}"));
            }
        }
        if let Some(href) = tag.split("href=\"").nth(1) {
            let is_note = href.starts_with("#fn-");
            let is_foreign = ["http://", "https://", "mailto:"].iter().any(|scheme| href.starts_with(scheme))
                && tag.contains("class=\"foreign")
                && tag.contains("target=\"_blank\"")
                && tag.contains("data-host=\"")
                && tag.contains("rel=\"noopener noreferrer nofollow\"");
            if !is_note && !is_foreign {
                return Err(format!("<{tag}>"));
            }
        }
        if tag.split(" id=\"").nth(1).is_some_and(|id| !id.starts_with("fn-")) {
            return Err(format!("<{tag}>"));
        }
    }
    Ok(())
}

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onmouseover=alert(1)>b</b>",
    "<div id=app>\n\n# a\n\n</div>",
    "<style>*{display:none}</style>",
    "<!-- --><svg/onload=alert(1)>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php a ?><script>a</script>",
    "[a](javascript:alert(1))",
    "[a](JaVa&#x0A;ScRiPt&colon;alert(1))",
    "[a](  java\\script:alert\\(1\\) )",
    "[a](<javascript:alert(1)>)",
    "<javascript:alert(1)>",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a]: vbscript:a\n\n[a]",
    "![a](javascript:alert(1))",
    "![a](https://evil.example/?q=secret)",
    "![a][b]\n\n[b]: https://evil.example/a.png",
    "[![a](https://evil.example/a)](https://evil.example/b)",
    "![<script>](https://evil.example/\"onload=\"alert)",
    "![![a](https://evil.example/1)](https://evil.example/2)",
    "[a](https://evil.example/\"onclick=\"alert(1))",
    "[a](https://example.org \"x\\\" onclick=\\\"alert(1)\")",
    "[a](//evil.example) [b](/settings) [c](#app) [d](?a) [e](settings)",
    "<https://evil.example/\"><script>>",
    "https://evil.example/\"onclick=alert(1)",
    "```\"><script>alert(1)</script>\na\n```",
    "```html onclick=alert(1)\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "$<script>alert(1)</script>$",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\href{javascript:alert(1)}{a}$ $\\url{https://evil.example}$",
    "$\\includegraphics{https://evil.example}$ $\\style{background:url(https://evil.example)}{a}$",
    "$\\class{app}{a} \\cssId{app}{a} \\htmlData{a=b}{c}$",
    "$\\color{red\" onclick=\"alert(1)}{a}$",
    "$\\mathchoice\\unicode{60}script\\char60$",
    "[^<script>]: <script>\n\na[^<script>]",
    "[^\"onclick=a]: b\n\na[^\"onclick=a]",
    "|<script>|\n|-|\n|<img src=x>|",
    "- [x] <input onfocus=alert(1) autofocus>",
    "&lt;script&gt; &#60;script&#62; &amp;lt;",
    "\u{0}<script>\u{FDD0}0\u{FDD1}</script>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "</code></pre><script>alert(1)</script>",
    "    </code></pre><script>alert(1)</script>",
    "<BR onload=a> <br/onload=a>",
    "|a|\n|-|\n|<br onload=alert(1)>|",
    "# <a name=app id=app>",
    "> [!NOTE]<script>",
];

#[test]
fn sec_t26_hostile_texts_become_harmless() {
    for text in HOSTILE {
        let html = render(text);
        assert!(is_safe(&html).is_ok(), "{text}: {:?} in {html}", is_safe(&html));
    }
}

#[test]
fn sec_t26_html_is_shown_as_text() {
    assert_eq!(render("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n");
    assert_eq!(
        render("<div>\n*a*\n</div>").trim_end(),
        "<pre class=\"plain\">&lt;div&gt;\n*a*\n&lt;/div&gt;</pre>"
    );
    assert_eq!(render("a<br>b"), "<p>a&lt;br&gt;b</p>\n");
}

#[test]
fn sec_t28_no_image_is_loaded() {
    assert_eq!(
        render("![a *b*](https://evil.example/?q=1)").trim_end(),
        "<p><a class=\"foreign image\" target=\"_blank\" href=\"https://evil.example/?q=1\" data-host=\"evil.example\" \
         rel=\"noopener noreferrer nofollow\">a b</a></p>"
    );
    for text in ["![a](data:image/png;base64,AA)", "![a](/logo.png)", "![a](mailto:a@b.example)"] {
        assert_eq!(render(text).trim_end(), "<p><span class=\"image\">a</span></p>", "{text}");
    }
    let within = render("[![a](https://one.example/1)](https://two.example/2)");
    assert!(within.contains("data-host=\"two.example\"") && !within.contains("one.example"), "{within}");
}

#[test]
fn sec_t28_links_say_where_they_lead() {
    let link = |href: &str, host: &str, text: &str| {
        format!(
            "<p><a class=\"foreign\" target=\"_blank\" href=\"{href}\" data-host=\"{host}\" \
             rel=\"noopener noreferrer nofollow\">{text}</a></p>"
        )
    };
    for (text, expected) in [
        ("[a](https://example.org/b)", link("https://example.org/b", "example.org", "a")),
        (
            "[google.com](https://google.com@evil.example)",
            link("https://google.com@evil.example/", "evil.example", "google.com"),
        ),
        (
            "https://example.org/a_b",
            link("https://example.org/a_b", "example.org", "https://example.org/a_b"),
        ),
        ("<https://example.org>", link("https://example.org/", "example.org", "https://example.org")),
        ("www.example.org", link("https://www.example.org/", "www.example.org", "www.example.org")),
        ("<me@example.org>", link("mailto:me@example.org", "example.org", "me@example.org")),
        ("[a]\n\n[a]: https://example.org", link("https://example.org/", "example.org", "a")),
    ] {
        assert_eq!(render(text).trim_end(), expected, "{text}");
    }
    for text in
        ["[a](/b)", "[a](b)", "[a](#b)", "[a](//example.org)", "[a](ftp://example.org)", "[a](javascript:b)"]
    {
        assert_eq!(render(text), "<p>a</p>\n", "{text}");
    }
    let nested = render("[see https://example.org/1](https://example.org/2)");
    assert_eq!(nested.matches("<a ").count(), 1, "{nested}");
}

/// Pieces of which hostile texts are made.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        3 => proptest::sample::select(vec![
            "\n", "\n\n", " ", "  ", "    ", "\t", "*", "**", "_", "`", "```", "~~~", "~~", "$", "$$", "\\(", "\\)", "\\[", "\\]",
            "[", "]", "(", ")", "![", "](", "<", ">", "\"", "'", "&", "&lt;", "|", "-", "- ", "1. ", "> ", "#", "=", "---", "[^1]",
            "[^1]:", "[x]", "\\", "a", "<br>", "https://a.example/", "\r\n", "\u{FDD0}", "\u{FDD1}", "0", "é", "漢",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn sec_t26_whatever_is_said_is_harmless(text in pieces()) {
        let html = render(&text);
        prop_assert!(is_safe(&html).is_ok(), "{:?} in {html}", is_safe(&html));
    }
}
