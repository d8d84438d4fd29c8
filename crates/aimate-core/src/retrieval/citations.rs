//! Citations: passages as the prompt shows them, and the marks that the model
//! writes.
//!
//! A model is told to write `[2]` where it relies on passage 2. When the answer
//! is complete, each mark is resolved, and where a quotation stands before a mark it
//! is looked up in the passage. What may be something else than a mark, such as an
//! interval, an index or code, stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aimate_text::tokens::Tokenizer;
use pulldown_cmark::{Event, Parser, Tag};

use crate::message::{Citation, Message, MessageRole, Part, Quote};

/// What precedes the passages in a prompt.
pub(super) const INSTRUCTION: &str = "Passages from the user's documents are given below. Where one helps, answer from it and \
put its number in square brackets right after the sentence that relies on it, as in [1] or [2][3]. Quote word for word \
or not at all. If the passages do not hold the answer, say so.";

/// What stands in the text of a document where a page ends and the next one begins.
const PAGE_BREAK: char = '\u{c}';
/// Characters between a quotation and its mark at most.
const MAX_DISTANCE: usize = 120;
/// Characters of a quotation at least: shorter ones are names and terms.
const MIN_QUOTE: usize = 12;

/// One passage as a prompt shows it.
pub(super) fn render(passage: &Citation) -> String {
    let Citation { n, title, text, page, .. } = passage;
    let Some(page) = page else {
        return format!("[{n}] {title}\n{text}");
    };
    let mut rendered = format!("[{n}] {title}, page {page}\n");
    for (later, part) in (*page..).zip(text.split(PAGE_BREAK)) {
        if later > *page {
            rendered.push_str(&format!("(page {later})\n"));
        }
        rendered.push_str(part);
    }
    rendered
}

/// The page on which the character `at` of a passage stands: it may go on over
/// several.
fn page_of(passage: &Citation, at: usize) -> Option<u32> {
    let breaks = passage.text.chars().take(at).filter(|one| *one == PAGE_BREAK).count();
    passage.page.map(|page| page.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX)))
}

/// The passages of a message as a prompt shows them; empty without any.
fn render_all<'a>(passages: impl Iterator<Item = &'a Citation>) -> String {
    let rendered: Vec<_> = passages.map(render).collect();
    if rendered.is_empty() { String::new() } else { format!("{INSTRUCTION}\n\n{}", rendered.join("\n\n")) }
}

/// The parts of a question, after the passages that were found for it. The
/// passages are stored with the message, so that later prompts repeat the bytes
/// of this one and providers find them in their cache.
pub(crate) fn with_passages<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<Part> {
    let (mut content, mut passages) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Citation(passage) => passages.push(passage),
            other => content.push(other.clone()),
        }
    }
    let rendered = render_all(passages.into_iter());
    if rendered.is_empty() {
        return content;
    }
    match content.first_mut() {
        Some(Part::Text { text }) => *text = format!("{rendered}\n\n{text}"),
        _ => content.insert(0, Part::text(rendered)),
    }
    content
}

/// Tokens that a question's passages take in a prompt.
pub(super) fn passage_tokens(tokenizer: Tokenizer, passages: &[Citation]) -> u32 {
    tokenizer.count(&render_all(passages.iter()))
}

/// The passages among `content`.
pub(crate) fn passages_of(content: &[Part]) -> Vec<Citation> {
    let passages =
        content.iter().filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None });
    passages.cloned().collect()
}

/// The passages of the last question among the newest `count` messages of a branch.
pub(crate) fn passages_of_newest(path: &[Message], count: usize) -> Vec<Citation> {
    let mut newest = path.iter().rev().take(count.max(1));
    let question = newest.find(|message| message.role == MessageRole::User);
    question.map(|question| passages_of(&question.content)).unwrap_or_default()
}

/// The page of a passage that says most of the words of `sentence`; the first of
/// several.
fn page_saying(passage: &Citation, sentence: &str) -> Option<u32> {
    let page = passage.page?;
    if !passage.text.contains(PAGE_BREAK) {
        return Some(page);
    }
    let words_of = |text: &str| -> BTreeSet<String> {
        let words = text.split(|one: char| !one.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let wanted = words_of(sentence);
    let said = (page..)
        .zip(passage.text.split(PAGE_BREAK))
        .map(|(page, text)| (page, words_of(text).intersection(&wanted).count()));
    let best = said.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(page, _)| page)
}

/// The sentence that ends at `end`, where a mark stands, and the marks before it.
fn sentence_before(text: &str, end: usize) -> &str {
    let head = text.get(..end).unwrap_or_default();
    let line = head.rsplit('\n').next().unwrap_or_default();
    let body = line.trim_end().trim_end_matches(['.', '!', '?', ']', '[', ' ']);
    let start = [". ", "! ", "? ", "] "].iter().filter_map(|stop| Some(body.rfind(stop)? + stop.len())).max();
    body.get(start.unwrap_or(0)..).unwrap_or_default()
}

/// An answer with its marks resolved.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resolved {
    /// The answer: its text, and after the last part the passages it cites, by
    /// number.
    pub(crate) content: Vec<Part>,
    /// Numbers that name no passage.
    pub(crate) unknown: Vec<u32>,
    /// Quotations that do not stand in the passage they are ascribed to.
    pub(crate) misquoted: Vec<(u32, String)>,
}

/// Resolves the marks of an answer against the passages it was given. A mark of several numbers
/// becomes one for each, unless the answer `keeps_text`.
pub(crate) fn resolve(content: Vec<Part>, passages: &[Citation], keeps_text: bool) -> Resolved {
    let mut resolved = Resolved::default();
    if passages.is_empty() {
        resolved.content = content;
        return resolved;
    }
    let mut cited: BTreeMap<u32, Vec<Quote>> = BTreeMap::new();
    let mut sentences: BTreeMap<u32, String> = BTreeMap::new();
    for part in content {
        let part = match part {
            Part::Text { text } => {
                for mark in marks(&text, |n| passages.iter().any(|passage| passage.n == *n)) {
                    for n in mark.numbers {
                        sentences.entry(n).or_insert_with(|| sentence_before(&text, mark.start).to_owned());
                    }
                }
                let plain = resolve_text(&text, passages, &mut cited, &mut resolved);
                Part::Text { text: if keeps_text { text } else { plain } }
            }
            other => other,
        };
        resolved.content.push(part);
    }
    for (n, quotes) in cited {
        if let Some(passage) = passages.iter().find(|passage| passage.n == n) {
            let missing = quotes.iter().filter(|quote| !quote.found);
            resolved.misquoted.extend(missing.map(|quote| (n, quote.text.clone())));
            // A passage that goes on over pages is cited where it is quoted, else
            // where it says most of what the sentence says.
            let quoted = quotes.iter().find_map(|quote| quote.start);
            let page = match quoted.and_then(|at| at.checked_sub(passage.start)) {
                Some(at) => page_of(passage, usize::try_from(at).unwrap_or(usize::MAX)),
                None => page_saying(passage, sentences.get(&n).map_or("", String::as_str)),
            };
            resolved.content.push(Part::Citation(Citation { page, quotes, ..passage.clone() }));
        }
    }
    resolved
}

fn resolve_text(
    text: &str,
    passages: &[Citation],
    cited: &mut BTreeMap<u32, Vec<Quote>>,
    resolved: &mut Resolved,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let is_known = |n: &u32| passages.iter().any(|passage| passage.n == *n);
    for mark in marks(text, is_known) {
        if !mark.numbers.iter().all(is_known) {
            resolved.unknown.extend(mark.numbers);
            continue;
        }
        let known = &mark.numbers;
        let Some(before) = text.get(from..mark.start) else { continue };
        let quote = quote_before(text.get(..mark.start).unwrap_or_default());
        for n in known {
            let quotes = cited.entry(*n).or_default();
            if let (Some(quote), Some(passage)) = (quote, passages.iter().find(|passage| passage.n == *n)) {
                quotes.push(find_quote(quote, passage));
            }
        }
        out.push_str(before);
        for n in known {
            out.push_str(&format!("[{n}]"));
        }
        from = mark.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// A mark in a text: `[1]`, `[1, 2]`.
struct Mark {
    start: usize,
    end: usize,
    numbers: Vec<u32>,
}

/// Where the text of a stored answer cites: each number of `cited` with the characters at which
/// its mark stands, in their order.
pub fn citation_places(text: &str, cited: &[u32]) -> Vec<(u32, Range<u64>)> {
    let characters = |bytes: usize| text.get(..bytes).unwrap_or_default().chars().count() as u64;
    let known = marks(text, |n| cited.contains(n)).into_iter();
    let places = known.filter(|mark| mark.numbers.iter().all(|n| cited.contains(n)));
    places
        .flat_map(|Mark { start, end, numbers }| {
            let place = characters(start)..characters(end);
            numbers.into_iter().map(move |n| (n, place.clone()))
        })
        .collect()
}

/// The marks of a text: those whose numbers are all known, and those of one number
/// that is not. None is glued to a word, in code or a link.
fn marks(text: &str, is_known: impl Fn(&u32) -> bool) -> Vec<Mark> {
    let code = code(text);
    let mut marks: Vec<Mark> = Vec::new();
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find('[')).map(|next| at + next) {
        at = start + 1;
        let Some((inner, after)) = text.get(at..).and_then(|rest| rest.split_once(']')) else { break };
        let end = at + inner.len() + 1;
        let numbers: Option<Vec<u32>> =
            inner.split([',', ';']).map(|n| n.trim().trim_start_matches('^').parse().ok()).collect();
        let Some(numbers) = numbers.filter(|numbers| !numbers.contains(&0)) else { continue };
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let follows_mark = marks.last().is_some_and(|mark| mark.end == start);
        let is_glued = before.is_some_and(is_of_word)
            || (before == Some(']') && !follows_mark)
            || after.starts_with(is_of_word);
        let is_link = after.starts_with('(')
            || (after.starts_with(':') && !after.starts_with(": "))
            || after.starts_with(": http");
        let is_code = code.iter().any(|range| range.contains(&start));
        let is_mark = numbers.iter().all(&is_known) || matches!(numbers.as_slice(), [1..100]);
        if is_mark && !is_glued && !is_link && !is_code {
            marks.push(Mark { start, end, numbers });
            at = end;
        }
    }
    marks
}

/// Whether a bracket beside `c` belongs to a word, as in `x[3]`. Scripts that put no
/// spaces between words are none to judge by.
fn is_of_word(c: char) -> bool {
    let is_spaceless =
        matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{2E80}'..);
    c == '_' || (c.is_alphanumeric() && !is_spaceless)
}

/// Where code is in a text, as CommonMark has it.
fn code(text: &str) -> Vec<Range<usize>> {
    if !text.contains(['`', '~', '\t']) && !text.contains("    ") {
        return Vec::new();
    }
    let events = Parser::new(text).into_offset_iter();
    let is_code = |event: &Event<'_>| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
    events.filter(|(event, _)| is_code(event)).map(|(_, range)| range).collect()
}

/// The quotation that ends shortly before the end of `text`, in the same line.
fn quote_before(text: &str) -> Option<&str> {
    const PAIRS: [(char, char); 4] = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»')];
    let line = text.rsplit('\n').next()?;
    let (close_at, close) =
        line.char_indices().rev().take(MAX_DISTANCE).find(|(_, c)| PAIRS.iter().any(|pair| pair.1 == *c))?;
    // Another sentence between them: the mark is not the quotation's.
    let between = line.get(close_at + close.len_utf8()..)?;
    if between.contains(". ") || between.contains(']') {
        return None;
    }
    let head = line.get(..close_at)?;
    let opens =
        PAIRS.iter().filter(|pair| pair.1 == close).filter_map(|pair| Some((head.rfind(pair.0)?, pair.0)));
    let (open_at, open) = opens.max()?;
    let quote = head.get(open_at + open.len_utf8()..)?.trim();
    (quote.chars().count() >= MIN_QUOTE).then_some(quote)
}

/// Finds a quotation in its passage. Letters and digits count, white space and
/// punctuation do not; an ellipsis stands for any text.
fn find_quote(quote: &str, passage: &Citation) -> Quote {
    let hay = normalize(&passage.text);
    let letters: String = hay.iter().map(|(c, _)| *c).collect();
    let (mut from, mut first, mut last, mut found) = (0, None, 0, true);
    let replaced = quote.replace("...", "…").replace("[…]", "…");
    for piece in replaced.split('…') {
        let needle: String = normalize(piece).into_iter().map(|(c, _)| c).collect();
        if needle.is_empty() {
            continue;
        }
        let Some(at) = letters.get(from..).and_then(|rest| rest.find(&needle)).map(|at| from + at) else {
            found = false;
            break;
        };
        from = at + needle.len();
        let chars_before = |byte: usize| letters.get(..byte).map_or(0, |head| head.chars().count());
        let position = |n: usize| hay.get(n).map_or(0, |(_, at)| *at);
        first.get_or_insert(position(chars_before(at)));
        last = position(chars_before(from).saturating_sub(1)) + 1;
    }
    let start = first.filter(|_| found).map(|first| passage.start + first as u64);
    let end = start.map(|_| passage.start + last as u64);
    Quote { text: quote.to_owned(), found: found && start.is_some(), start, end }
}

/// The letters and digits of `text` in lower case, each with its position.
fn normalize(text: &str) -> Vec<(char, usize)> {
    let mut out = Vec::with_capacity(text.len());
    for (at, c) in text.chars().enumerate().filter(|(_, c)| c.is_alphanumeric()) {
        out.extend(c.to_lowercase().map(|c| (c, at)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(n: u32, text: &str) -> Citation {
        Citation {
            n,
            document_id: Some(uuid::Uuid::nil().into()),
            file_id: None,
            chunk_id: Some(uuid::Uuid::nil().into()),
            title: "Manual".to_owned(),
            source: None,
            url: None,
            page: Some(3),
            start: 100,
            end: 100 + text.chars().count() as u64,
            text: text.to_owned(),
            score: 0.5,
            quotes: Vec::new(),
            is_stale: false,
        }
    }

    fn answer(text: &str) -> Resolved {
        let passages = [
            passage(1, "The boiler is serviced in May.\nBring the key."),
            passage(2, "The pump — a small one — runs at night."),
        ];
        resolve(vec![Part::text(text)], &passages, false)
    }

    fn text(resolved: &Resolved) -> &str {
        match &resolved.content[0] {
            Part::Text { text } => text,
            _ => "",
        }
    }

    fn cited(resolved: &Resolved) -> Vec<&Citation> {
        let parts = resolved.content.iter();
        parts.filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None }).collect()
    }

    #[test]
    fn marks_become_citations_once_each() {
        let resolved = answer("In May [1]. At night [2], and again [1, 2].");
        assert_eq!(text(&resolved), "In May [1]. At night [2], and again [1][2].");
        assert_eq!(cited(&resolved).iter().map(|one| one.n).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn places_are_counted_in_characters() {
        let places = citation_places("Größe 🦀 [1], x[1], `[2]` and [2][7].", &[1, 2]);
        assert_eq!(places, [(1, 8..11), (2, 29..32)]);
    }

    #[test]
    fn mark_that_names_nothing_stays_and_is_told() {
        let resolved = answer("In May [7]. See [this](http://example.org), `a[1]` and [note].");
        assert_eq!(text(&resolved), "In May [7]. See [this](http://example.org), `a[1]` and [note].");
        assert_eq!(resolved.unknown, [7]);
        assert!(cited(&resolved).is_empty());
    }

    #[test]
    fn what_may_be_no_mark_stays() {
        for text_alone in [
            "in [0, 1], prices in [10, 20] euros, see item x[2] and [2024]",
            "a stray ` and\n\n```\na[1] = [1]\n```\n",
            "~~~\nsee [1]\n~~~",
            "code:\n\n    see [1]\n",
            "``a ` [1]``",
            "[1, 99] and [1]st, [note][1], f(x)_[1] and слово[1]",
            "[1]: https://example.org",
        ] {
            let resolved = answer(text_alone);
            assert_eq!(text(&resolved), text_alone);
            assert!(cited(&resolved).is_empty() && resolved.unknown.is_empty(), "{text_alone}");
        }
        for (written, count) in [
            ("五月进行维修[1]。", 1),
            ("In May.[1][2]", 2),
            ("(see [2])", 1),
            ("**May** [1]", 1),
            ("a ` b [1]", 1),
        ] {
            let resolved = answer(written);
            assert_eq!((text(&resolved), cited(&resolved).len()), (written, count));
        }
    }

    #[test]
    fn quotations_are_looked_up() {
        let resolved =
            answer("It says “boiler is serviced in  May. Bring” [1] and \"the pump runs at noon\" [2].");
        let all = cited(&resolved);
        let quote = &all[0].quotes[0];
        assert!(quote.found);
        assert_eq!((quote.start, quote.end), (Some(104), Some(136)));
        assert!(!all[1].quotes[0].found);
        assert_eq!(resolved.misquoted, [(2, "the pump runs at noon".to_owned())]);
        assert!(cited(&answer("\"The pump … runs at night\" [2]"))[0].quotes[0].found);
    }

    #[test]
    fn passage_on_two_pages_is_cited_by_the_page_that_says_it() {
        let barn = "The roof of the barn has new tiles.\n\n\u{c}Its insurance number is 5512-AK.";
        for (answer, page) in [
            ("\"The roof of the barn has new tiles\" [1].", 3),
            ("\"Its insurance number is 5512-AK.\" [1]", 4),
            ("The tiles are new. The number is \"5512-AK\" [1].", 4),
            ("The barn's roof is new [1].", 3),
            ("Yes [1].", 3),
        ] {
            let resolved = resolve(vec![Part::text(answer)], &[passage(1, barn)], false);
            assert_eq!(cited(&resolved)[0].page, Some(page), "{answer}");
        }
        let shown = render(&passage(1, barn));
        assert_eq!(
            shown,
            "[1] Manual, page 3\nThe roof of the barn has new tiles.\n\n(page 4)\nIts insurance number is 5512-AK."
        );
    }

    #[test]
    fn without_passages_nothing_changes() {
        let content = vec![Part::text("See [1].")];
        assert_eq!(resolve(content.clone(), &[], false).content, content);
    }

    #[test]
    fn what_is_no_mark_stays_as_it_is() {
        for text_alone in ["[", "[1", "[,]", "[]", "[a]", "`[1]`", "[99999999999999999999]", "[-1]", "1]"] {
            let resolved = answer(text_alone);
            assert_eq!(text(&resolved), text_alone);
            assert!(cited(&resolved).is_empty() && resolved.unknown.is_empty(), "{text_alone}");
        }
    }

    #[test]
    fn marks_are_found_among_stray_brackets_and_quotation_marks() {
        for (written, shown, numbers) in [
            ("[[[1]]]", "[[[1]]]", vec![1]),
            ("”[1]", "”[1]", vec![1]),
            ("“”[1]", "“”[1]", vec![1]),
            ("[1][2][3]", "[1][2][3]", vec![1, 2]),
            ("[^1]", "[1]", vec![1]),
            ("[1;2]", "[1][2]", vec![1, 2]),
        ] {
            let resolved = answer(written);
            assert_eq!(text(&resolved), shown);
            assert_eq!(cited(&resolved).iter().map(|one| one.n).collect::<Vec<_>>(), numbers, "{written}");
            assert!(cited(&resolved).iter().all(|one| one.quotes.is_empty()), "{written}");
        }
    }
}
