//! What a text costs grows with its length, and no faster.

use std::time::Duration;

use aimate_markdown::{MAX_TEXT, Options, Renderer, whole_blocks};
use rustix::time::{ClockId, clock_gettime};

/// Texts of about this many bytes that have been hard for some renderer.
fn hard(bytes: usize) -> Vec<(&'static str, String)> {
    let of = |piece: &str| piece.repeat(bytes / piece.len());
    let around = |before: &str, after: &str| {
        let n = bytes / (before.len() + after.len());
        before.repeat(n) + "a" + &after.repeat(n)
    };
    let columns = (bytes as f64).sqrt() as usize / 2;
    vec![
        ("quotes", of(">")),
        ("quotes with spaces", of("> ")),
        ("lists", of("- ")),
        ("lists by numbers", of("1. ")),
        ("deep lists", (0..columns).map(|n| format!("{}- a\n", "  ".repeat(n))).collect()),
        ("a deep list with blanks", format!("{}a{}", "- ".repeat(60), of("\n"))),
        ("a deep quote with lines", format!("{}a{}", ">".repeat(60), of("\nb"))),
        ("stars", of("*")),
        ("stars apart", of("*a ")),
        ("strong", around("**a ", "b**")),
        ("emphasis", around("*a ", "b*")),
        ("mixed emphasis", of("*a **b _c __d ")),
        ("strikes", of("~a ")),
        ("strikes of two", of("~~a ")),
        ("brackets", of("[")),
        ("closed brackets", around("[", "]")),
        ("links", of("[a](b")),
        ("links to nowhere", of("[a](<b")),
        ("images", of("![")),
        ("nested images", around("![", "](b)")),
        ("link parentheses", format!("[a]({}", of("("))),
        ("references", format!("[a]: https://b.example/{}\n\n{}", "c".repeat(500), of("[a] "))),
        ("definitions", of("[a]: b\n")),
        ("open definitions", of("[a]: <b\n")),
        ("footnotes", of("[^a]: b\n")),
        ("footnote references", format!("{}\n\n[^a]: b\n", of("[^a]"))),
        ("nested footnotes", of("[^a]: [^b]: ")),
        ("backticks", of("`")),
        ("backticks of many lengths", (1..columns).map(|n| "`".repeat(n) + " ").collect()),
        ("fences", of("```\n")),
        ("fences of code", of("```rust\nfn a() {}\n```\n")),
        ("entities", of("&#38;&amp;&")),
        ("backslashes", of("\\")),
        ("escapes", of("\\\\(")),
        ("html", of("<a ")),
        ("comments", of("<!--")),
        ("instructions", of("<?")),
        ("declarations", of("<!A ")),
        ("cdata", of("<![CDATA[")),
        ("attributes", format!("<a{}", of(" b"))),
        (
            "table",
            format!("|{0}\n|{1}\n{2}", "a|".repeat(columns), "-|".repeat(columns), "|\n".repeat(bytes / 4)),
        ),
        ("pipes", of("|")),
        ("dollars", of("$")),
        ("dollar pairs", of("$a ")),
        ("dollars of two", of("$$a ")),
        ("displays", of("$$\n")),
        ("displays with text", of("$$a\n\n")),
        ("brackets of formulas", of("\\[\n")),
        ("parentheses of formulas", of("\\(a ")),
        ("formulas", of("$x$ ")),
        ("formulas of lines", of("$$\nx\n$$\n\n")),
        ("a formula", format!("$${}$$", "{".repeat(bytes.min(8_000)))),
        ("roots", format!("$${}$$", "\\sqrt".repeat(bytes.min(8_000) / 5))),
        ("fences in formulas", of("$$\n```\n$$\n")),
        ("addresses", of("https://a.example/ ")),
        ("addresses in brackets", format!("https://a.example/{}", of(")"))),
        ("address after address", of("http://a")),
        ("w", of("w")),
        ("www", of("www.")),
        ("a word", of("a")),
        ("lines", of("a\n")),
        ("tabs", of("\t")),
        ("carriage returns", of("a\r")),
    ]
}

/// What the processor does for it, whatever else the machine does meanwhile.
fn time(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = now();
    work();
    now() - start
}

/// Eight times the text may cost eight times the work, and some more for what is not of the
/// text; what grows with the square costs sixty-four times. Caches are shared with what
/// else runs, so there are three tries.
fn grows_evenly(name: &str, small: &str, large: &str, work: impl Fn(&str)) {
    let tries: Vec<_> = (0..3)
        .map(|_| (time(|| work(small)).max(Duration::from_millis(2)), time(|| work(large))))
        .take_while(|(small, large)| *large > *small * 30)
        .collect();
    assert!(tries.len() < 3, "{name}: for a text, and for eight times as much: {tries:?}");
}

#[test]
fn hard_texts_cost_no_more_than_their_length() {
    let renderer = Renderer::new(Options::default().highlight_time(Duration::from_secs(60)));
    // What is loaded once.
    renderer.render("```rust\nfn a() {}\n```\n\n$x$").unwrap();
    let (small, large) = (hard(4 * 1024), hard(32 * 1024));
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        grows_evenly(name, small, large, |text| drop(renderer.render(text).unwrap()));
        grows_evenly(name, small, large, |text| {
            whole_blocks(text);
        });
    }
}

#[test]
fn longest_texts_stay_within_bounds() {
    let hard = hard(MAX_TEXT - 4096);
    for name in ["references", "quotes"] {
        let text = &hard.iter().find(|(hard, _)| *hard == name).unwrap().1;
        let html = Renderer::default().render(text.get(..MAX_TEXT).unwrap_or(text)).unwrap();
        // What is shown as it stands has five bytes for one at most.
        assert!(html.len() <= 5 * MAX_TEXT + 100, "{name}: {}", html.len());
        assert!(!html.is_empty(), "{name}");
    }
}

#[test]
fn deep_text_is_shown_as_it_stands() {
    for piece in [">", "- ", "**a "] {
        let text = piece.repeat(10_000);
        let html = Renderer::default().render(&text).unwrap();
        if html.starts_with("<pre") {
            assert_eq!(html, format!("<pre class=\"plain\">{}</pre>", text.replace('>', "&gt;")));
        }
    }
    let deep = format!("{}a\n\n{}", "> ".repeat(65), "b");
    assert!(Renderer::default().render(&deep).unwrap().starts_with("<pre class=\"plain\">"));
    let flat = format!("{}a\n\n{}", "> ".repeat(60), "b");
    assert!(Renderer::default().render(&flat).unwrap().starts_with("<blockquote>"));
}

#[test]
fn wide_table_is_shown_as_it_stands() {
    let table = |rows: usize| format!("{}\n{}\n{}", "|a".repeat(500), "|-".repeat(500), "|b\n".repeat(rows));
    assert!(Renderer::default().render(&table(38)).unwrap().contains("<table>"));
    assert!(Renderer::default().render(&table(4_000)).unwrap().starts_with("<pre class=\"plain\">"));
}
