use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::extract::{Heading, PageMark};
use crate::testing::signs;

fn document(kind: TextKind, text: &str) -> Extracted {
    let mut headings = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if kind == TextKind::Markdown && (1..=6).contains(&level) {
            let title = line.trim_matches(['#', ' ', '\n']).to_owned();
            headings.push(Heading { start, level: u8::try_from(level).unwrap(), title });
        }
        start += line.len();
    }
    Extracted {
        title: None,
        media_type: "text/plain".to_owned(),
        kind,
        text: text.to_owned(),
        pages: Vec::new(),
        headings,
        warnings: Vec::new(),
    }
}

fn texts<'d>(document: &'d Extracted, pieces: &[Piece]) -> Vec<&'d str> {
    pieces.iter().map(|piece| &document.text[piece.start..piece.end]).collect()
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// The rules that hold for every text.
fn check(document: &Extracted, chunking: Chunking, max_tokens: usize) -> Vec<Piece> {
    let text = &document.text;
    // A token is a byte.
    let pieces = split(document, chunking, max_tokens, &|text| text.len());
    let (mut covered, mut last) = (0, 0);
    for piece in &pieces {
        let content = &text[piece.start..piece.end];
        assert!(!content.is_empty() && content == content.trim(), "{content:?}");
        assert!(characters(content) <= chunking.size as usize, "{} characters", characters(content));
        assert!(content.len() <= max_tokens || characters(content) == 1, "{content:?}");
        assert_eq!(
            (piece.start_char, piece.end_char),
            (characters(&text[..piece.start]), characters(&text[..piece.end]))
        );
        assert!(piece.end > covered && (piece.start > last || last == 0), "{piece:?} after {covered}");
        if piece.start > covered {
            assert_eq!(text[covered..piece.start].trim(), "");
        } else {
            assert!(characters(&text[piece.start..covered]) <= chunking.overlap as usize);
        }
        (covered, last) = (piece.end, piece.start);
    }
    assert_eq!(text[covered..].trim(), "");
    pieces
}

/// Words with what a text may have between them.
fn paragraphs() -> impl Strategy<Value = String> {
    let breaks = [" ", " ", " ", " ", ". B", "\n", "\n\n", "\n## H ", "\n- ", "\n```\n", "  ", "。"];
    vec(("[a-z]{1,12}", select(breaks.to_vec())), 0..300)
        .prop_map(|words| words.iter().flat_map(|(word, end)| [word.as_str(), end]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_covered_within_the_limits(
        text in prop_oneof![signs(1_000), paragraphs()],
        kind in select(&[TextKind::Plain, TextKind::Markdown, TextKind::Code]),
        (size, overlap) in (1..400_u32).prop_flat_map(|size| (Just(size), 0..size.div_ceil(2))),
        max_tokens in select(&[usize::MAX, 64, 7]),
    ) {
        check(&document(kind, &text), Chunking { size, overlap }, max_tokens);
    }

    #[test]
    fn pages_and_headings_are_those_before_a_chunk(
        lines in vec(("#{0,3}", "[a-z]{1,30}"), 1..60),
        page_length in 1..200_usize,
        size in 20..200_u32,
    ) {
        let text: String = lines.iter().map(|(marks, word)| format!("{marks} {word}\n")).collect();
        let mut markdown = document(TextKind::Markdown, &text);
        markdown.pages = (0..)
            .zip((0..text.len()).step_by(page_length))
            .map(|(number, start)| PageMark { start, number, label: None })
            .collect();
        for piece in check(&markdown, Chunking { size, overlap: size / 4 }, usize::MAX) {
            let page = markdown.pages.iter().rfind(|page| page.start <= piece.start);
            prop_assert_eq!(piece.page, page.map(|page| page.number));
            prop_assert_eq!(&piece.headings, &path(&markdown, piece.start));
        }
    }
}

/// The headings above `at`, each under the ones that enclose it.
fn path(document: &Extracted, at: usize) -> Vec<String> {
    let above: Vec<_> = document.headings.iter().filter(|heading| heading.start <= at).collect();
    let encloses =
        |(n, heading): &(usize, &&Heading)| above[n + 1..].iter().all(|later| later.level > heading.level);
    above.iter().enumerate().filter(encloses).map(|(_, heading)| heading.title.clone()).collect()
}

#[test]
fn chunk_ends_at_the_clearest_break() {
    let sentence = "Some words that make up a sentence. ";
    let text = format!("{}\n\n{}", sentence.repeat(2).trim(), sentence.repeat(3).trim());
    let plain = document(TextKind::Plain, &text);
    let chunking = Chunking { size: 120, overlap: 0 };
    let pieces = check(&plain, chunking, usize::MAX);
    assert_eq!(texts(&plain, &pieces), [sentence.repeat(2).trim(), sentence.repeat(3).trim()]);
    let plain = document(TextKind::Plain, &sentence.repeat(6));
    let pieces = check(&plain, chunking, usize::MAX);
    assert_eq!(texts(&plain, &pieces), [sentence.repeat(3).trim(), sentence.repeat(3).trim()]);
}

#[test]
fn overlap_starts_at_a_sentence() {
    let text = "This is one sentence here. And this one is another. ".repeat(5);
    let plain = document(TextKind::Plain, &text);
    let pieces = check(&plain, Chunking { size: 110, overlap: 40 }, usize::MAX);
    let texts = texts(&plain, &pieces);
    assert!(
        texts.len() > 2 && texts.iter().all(|text| text.starts_with("This is") || text.starts_with("And"))
    );
    assert!(pieces[1].start < pieces[0].end);
}

#[test]
fn chunk_has_the_path_of_headings_it_starts_under() {
    let words = "Words of this section. ".repeat(4);
    let text =
        format!("# Book\n\n{words}\n\n## First\n\n{words}\n\n### Deep\n\n{words}\n\n## Second\n\n{words}");
    let markdown = document(TextKind::Markdown, &text);
    let pieces = check(&markdown, Chunking { size: 120, overlap: 30 }, usize::MAX);
    let paths: Vec<_> = pieces.iter().map(|piece| piece.headings.join("/")).collect();
    assert_eq!(paths, ["Book", "Book/First", "Book/First/Deep", "Book/Second"]);
    assert!(texts(&markdown, &pieces)[2].starts_with("### Deep"));
}

#[test]
fn chunk_has_the_page_it_starts_on() {
    let mut plain = document(TextKind::Plain, &"Ten bytes\n".repeat(60));
    let page = |start, number| PageMark { start, number, label: None };
    plain.pages = vec![page(0, 1), page(0, 2), page(300, 3)];
    let pieces = check(&plain, Chunking { size: 200, overlap: 0 }, usize::MAX);
    let pages: Vec<_> = pieces.iter().map(|piece| piece.page).collect();
    assert_eq!(pages.first(), Some(&Some(2)));
    assert!(pieces.iter().all(|piece| (piece.page == Some(3)) == (piece.start >= 300)));
}

#[test]
fn code_is_cut_between_lines() {
    let code = document(TextKind::Code, &"fn name() {\n    call();\n\n    call();\n}\n\n".repeat(20));
    let pieces = check(&code, Chunking { size: 150, overlap: 0 }, usize::MAX);
    assert!(texts(&code, &pieces).iter().all(|text| text.starts_with("fn name") && text.ends_with('}')));
}

#[test]
fn blank_text_has_no_chunks() {
    for text in ["", " \n\t ", "\u{3000}\n"] {
        assert!(check(&document(TextKind::Plain, text), Chunking::default(), 10).is_empty());
    }
}

#[test]
fn hard_texts_take_linear_time() {
    let chunking = Chunking { size: 1_000, overlap: 499 };
    for unit in
        ["x", "👨‍👩‍👧", "字", ".", "。", ")", "# h\n", "```\n", "\n", "ก", "e\u{301}", ". ", "- ", "\u{301}"]
    {
        let text = unit.repeat(400_000 / unit.len());
        for kind in [TextKind::Plain, TextKind::Markdown, TextKind::Code] {
            let document = document(kind, &text);
            let pieces = split(&document, chunking, usize::MAX, &|_| 1);
            assert!(pieces.len() <= 1 + text.len() / 200, "{unit:?}: {}", pieces.len());
        }
    }
}

#[test]
fn settings_say_what_would_be_right() {
    let check = |size, overlap| Chunking { size, overlap }.check();
    assert_eq!(check(1_000, 200), Ok(()));
    assert_eq!(check(8_000, 3_999), Ok(()));
    let error = check(99, 0).unwrap_err();
    assert_eq!(error.to_string(), "`size` is 99; it must be 100 to 8000 characters");
    let error = check(100, 50).unwrap_err();
    assert!(error.field == "overlap" && error.message.contains("less than half"), "{error}");
}
