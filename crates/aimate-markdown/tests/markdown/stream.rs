//! A text that is still being written is rendered block by block.

use aimate_markdown::{Renderer, WholeBlocks, whole_blocks};
use proptest::prelude::*;

#[track_caller]
fn whole(text: &str, expected: &str) {
    let found = whole_blocks(text);
    assert_eq!(&text[..found.bytes], expected, "{text:?}");
    assert_eq!(found.utf16, expected.encode_utf16().count());
}

#[test]
fn last_block_is_never_whole() {
    whole("", "");
    whole("a", "");
    whole("a\n", "");
    whole("a\n\n", "");
    whole("a\n\nb", "");
    whole("a\n\nb\n", "a\n\n");
    whole("# a\nb\n", "# a\n");
    whole("a\n\n    b\n", "a\n\n");
    whole("🙂é\n\nb\n", "🙂é\n\n");
}

#[test]
fn half_a_line_decides_nothing() {
    whole("a\n#", "");
    whole("a\n# b\n", "a\n");
    whole("a\n-", "");
    whole("a\n- ", "");
}

#[test]
fn lists_and_tables_go_on() {
    whole("- a\n- b\n", "");
    whole("- a\n\n- b\n", "");
    whole("- a\n\n  b\n", "");
    whole("- a\n\nb\n", "- a\n\n");
    whole("|a|\n|-|\n|b|\n", "");
    whole("|a|\n|-|\n|b|\n\nc\n", "|a|\n|-|\n|b|\n\n");
}

#[test]
fn open_code_and_formulas_go_on() {
    whole("a\n\n```\nb\n\nc\n", "a\n\n");
    whole("```\nb\n\nc\n", "");
    whole("```\nb\n```\nc\n", "```\nb\n```\n");
    whole("a\n\n$$\nb\n\n- c\n", "a\n\n");
    whole("\\[\nb\n\n- c\n\n", "");
    whole("$$\nb\n\n- c\n$$\n\nd\n", "$$\nb\n\n- c\n$$\n\n");
    // A formula is not as long as that.
    let long = format!("$$\n{}c\n", "a\n\n".repeat(5_000));
    assert!(whole_blocks(&long).bytes > 10_000);
}

#[test]
fn text_that_is_nested_too_deep_waits() {
    assert_eq!(whole_blocks(&format!("a\n\n{}b\n\nc\n", ">".repeat(1_000))), WholeBlocks::default());
}

/// Renders a text as it comes, a few characters at once.
fn rendered_as_it_comes(text: &str, step: usize) -> String {
    let renderer = Renderer::default();
    let (mut html, mut done) = (String::new(), 0);
    let ends = text.char_indices().map(|(at, _)| at).step_by(step);
    for end in ends {
        let Some(rest) = text.get(done..end) else { continue };
        let found = whole_blocks(rest).bytes;
        html.push_str(&renderer.render(&rest[..found]).unwrap());
        done += found;
    }
    html + &renderer.render(&text[done..]).unwrap()
}

fn lines() -> impl Strategy<Value = String> {
    let line = proptest::sample::select(vec![
        "",
        "",
        "",
        "a",
        "a *b*",
        "**c",
        "# d",
        "## e",
        "- f",
        "  - g",
        "  h",
        "1. i",
        "2. j",
        "> k",
        "> - l",
        ">",
        "---",
        "===",
        "```",
        "```rust",
        "~~~",
        "    m",
        "|n|o|",
        "|-|-|",
        "|p|q|",
        "$$",
        "\\[",
        "\\]",
        "$r$",
        "s\\",
        "* t",
        "- [x] u",
        "https://a.example/",
        "x $$",
        "\t- w",
        "- ",
        "1.",
        "#",
        "+ y",
        "`z",
        "> $$",
        "- $$",
        "é漢🙂",
    ]);
    proptest::collection::vec(line, 1..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn blocks_are_those_of_the_whole(text in lines(), step in 1_usize..9) {
        let whole = Renderer::default().render(&text).unwrap();
        prop_assert_eq!(rendered_as_it_comes(&text, step), whole);
    }
}
