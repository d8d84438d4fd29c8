//! Finds the end of a chunk and the start of the next one.

use icu_segmenter::options::{SentenceBreakInvariantOptions, WordBreakInvariantOptions};
use icu_segmenter::{GraphemeClusterSegmenter, SentenceSegmenter, WordSegmenter};

use super::mark::{Mark, Rank};

/// The extent of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSpan {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of characters.
    pub(super) characters: usize,
    /// Whether a heading follows it.
    before_heading: bool,
}

pub(super) struct Cutter<'d> {
    text: &'d str,
    marks: &'d [Mark],
    is_code: bool,
}

impl<'d> Cutter<'d> {
    pub(super) fn new(text: &'d str, marks: &'d [Mark], is_code: bool) -> Self {
        Self { text, marks, is_code }
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'d str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Returns the first position at or after `at` that is not white space.
    pub(super) fn next_visible(&self, at: usize) -> usize {
        let rest = self.slice(at, self.text.len());
        self.text.len() - rest.trim_start().len()
    }

    /// Returns the chunk of at most `size` characters at `start`, which is not
    /// white space.
    pub(super) fn span(&self, start: usize, size: usize) -> ChunkSpan {
        let limit = self.forward(start, size);
        let (end, before_heading) =
            if limit == self.text.len() { (limit, false) } else { self.end(start, limit) };
        let text = self.slice(start, end).trim_end();
        ChunkSpan { start, end: start + text.len(), characters: text.chars().count(), before_heading }
    }

    /// Returns the position `characters` after `at`, at most the end of the text.
    fn forward(&self, at: usize, characters: usize) -> usize {
        let rest = self.slice(at, self.text.len());
        rest.char_indices().nth(characters).map_or(self.text.len(), |(index, _)| at + index)
    }

    /// Returns the clearest break of `start..limit` that leaves at least half of it
    /// (a third before a heading), and whether it is before a heading.
    fn end(&self, start: usize, limit: usize) -> (usize, bool) {
        let half = self.text.ceil_char_boundary(start + (limit - start) / 2);
        let third = start + (limit - start) / 3;
        let (mut best, mut line) = (None::<Mark>, None);
        // From the end: among equally clear breaks, the last one fills the chunk best.
        for mark in self.marks_between(start, limit).iter().rev() {
            match mark.rank {
                _ if mark.start <= third => break,
                Rank::Heading(_) => {}
                _ if mark.start <= half => continue,
                Rank::Line => {
                    line = line.or(Some(mark.start));
                    continue;
                }
                Rank::Item | Rank::Block => {}
            }
            if best.is_none_or(|best| mark.rank > best.rank) {
                best = Some(*mark);
            }
        }
        if let Some(mark) = best {
            return (mark.start, matches!(mark.rank, Rank::Heading(_)));
        }
        let sentence = if self.is_code { None } else { self.last_sentence(half, limit) };
        (sentence.or(line).unwrap_or_else(|| self.last_word(half, limit)), false)
    }

    fn marks_between(&self, after: usize, to: usize) -> &'d [Mark] {
        let first = self.marks.partition_point(|mark| mark.start <= after);
        let rest = self.marks.get(first..).unwrap_or_default();
        rest.get(..rest.partition_point(|mark| mark.start <= to)).unwrap_or_default()
    }

    /// The last start of a sentence in `after..=to`.
    fn last_sentence(&self, after: usize, to: usize) -> Option<usize> {
        let text = self.slice(after, to);
        let mut ends = text.char_indices().rev().filter(|(_, character)| is_stop(*character));
        ends.find_map(|(index, stop)| self.sentence_after(after + index, stop, to))
    }

    /// The first start of a sentence in `from..to`.
    fn first_sentence(&self, from: usize, to: usize) -> Option<usize> {
        let text = self.slice(from, to);
        let mut ends = text.char_indices().filter(|(_, character)| is_stop(*character));
        ends.find_map(|(index, stop)| self.sentence_after(from + index, stop, to))
    }

    /// Where the next sentence starts, if the full stop at `at` ends one.
    fn sentence_after(&self, at: usize, stop: char, to: usize) -> Option<usize> {
        let rest = self.slice(at + stop.len_utf8(), self.text.len());
        let closed = rest.trim_start_matches(is_closing);
        let next = closed.trim_start();
        let start = self.text.len() - next.len();
        let first = next.chars().next()?;
        let ends = match stop {
            '。' | '！' | '？' | '।' => !is_stop(first),
            _ if next.len() == closed.len() => false,
            // Initials and abbreviations such as `Mr.` are short.
            '.' => !first.is_lowercase() && ends_word(self.slice(0, at)),
            _ => !first.is_lowercase(),
        };
        (ends && start <= to).then_some(start)
    }

    /// The last start of a word in `after..=to`, as well as the script shows it.
    fn last_word(&self, after: usize, to: usize) -> usize {
        let text = self.slice(after, to);
        if self.slice(to, self.text.len()).starts_with(char::is_whitespace) {
            return to;
        }
        let space = text.char_indices().rev().find(|(_, character)| character.is_whitespace());
        if let Some((index, space)) = space.filter(|(index, _)| *index > 0) {
            return after + index + space.len_utf8();
        }
        if text.is_ascii() {
            return to;
        }
        // With one more character, since the text would fit as a whole.
        let wider = self.slice(after, self.forward(to, 1));
        after + last_break(wider, to - after)
    }

    /// Returns the start of the chunk after `span` if it repeats at most
    /// `characters`.
    pub(super) fn overlap_start(&self, span: &ChunkSpan, characters: usize) -> Option<usize> {
        if characters == 0 || span.before_heading {
            return None;
        }
        let end = span.end;
        let text = self.slice(span.start, end);
        let (index, _) = text.char_indices().nth_back(characters - 1)?;
        let from = span.start + index;
        let marks = self.marks_between(from.saturating_sub(1), end.saturating_sub(1));
        // Text above the last heading would get the wrong heading path.
        if let Some(heading) = marks.iter().rev().find(|mark| matches!(mark.rank, Rank::Heading(_))) {
            return Some(heading.start);
        }
        let block = marks.iter().find(|mark| mark.rank != Rank::Line).map(|mark| mark.start);
        let sentence = if self.is_code { None } else { self.first_sentence(from, end) };
        let clear = block.into_iter().chain(sentence).min().filter(|start| *start < end);
        let start =
            clear.or_else(|| marks.first().map(|mark| mark.start)).or_else(|| self.first_word(from, end));
        start.map(|start| self.next_visible(start)).filter(|start| *start < end)
    }

    /// The first start of a word in `from..to`.
    fn first_word(&self, from: usize, to: usize) -> Option<usize> {
        let text = self.slice(from, to);
        if self.slice(0, from).ends_with(char::is_whitespace) {
            return Some(from);
        }
        match text.find(char::is_whitespace) {
            Some(index) => Some(from + index),
            // No spaces: where a character of a script without them starts.
            None => {
                let index = text.find(|character: char| !is_attached(character) && !character.is_ascii())?;
                let joined = self.slice(0, from + index).ends_with('\u{200D}');
                (!joined).then_some(from + index)
            }
        }
    }
}

/// The last break of `text` at or before byte `to`, of the clearest kind that has
/// one: between sentences, words, or what a reader sees as characters. It knows
/// the words of scripts without spaces, by dictionaries.
fn last_break(text: &str, to: usize) -> usize {
    let last = |breaks: &mut dyn Iterator<Item = usize>| {
        breaks.take_while(|at| *at <= to).last().filter(|at| *at > 0)
    };
    let sentences = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
    last(&mut sentences.segment_str(text))
        .or_else(|| {
            let words = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
            last(&mut words.segment_str(text))
        })
        .or_else(|| last(&mut GraphemeClusterSegmenter::new().segment_str(text)))
        .unwrap_or(to)
}

fn is_stop(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '।' | '؟' | '۔')
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』' | '）' | '*' | '_')
}

/// Whether `before` ends with a word of three letters or more, or a bracket.
fn ends_word(before: &str) -> bool {
    let mut last = before.chars().rev().take(3);
    let is_word = |character: char| character.is_alphanumeric();
    let first = last.next();
    first.is_some_and(is_closing) || (first.is_some_and(is_word) && last.all(is_word))
}

/// Whether the character belongs to the one before it.
fn is_attached(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
        || matches!(character, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}')
}

#[cfg(test)]
mod tests {
    use text_splitter::{ChunkConfig, TextSplitter};

    use super::last_break;

    #[test]
    fn breaks_without_spaces_are_those_of_text_splitter() {
        let texts = [
            "ภาษาไทยเป็นภาษาที่เขียนโดยไม่มีช่องว่างระหว่างคำและใช้พยางค์หลายแบบ",
            "東京都庁は新宿区にあります。隣の建物は大きい。ひらがなとカタカナがまざる文です",
            "黑豹队的防守只放弃了三百零八分，在联盟中排名第六。他们也以二十四次拦截领先联盟！",
            "ភាសាខ្មែរគឺជាភាសាកំណើតរបស់ជនជាតិខ្មែរ",
            "한국어는띄어쓰기가있지만여기에는없다",
            "Donaudampfschifffahrtsgesellschaftskapitänsmützenüberzug",
            "https://example.org/größe?a=1&b=2#teil-3.4,5;6",
            "👨\u{200D}👩\u{200D}👧🇩🇪e\u{301}o\u{308}한국",
        ];
        for text in texts {
            let ends: Vec<usize> =
                text.char_indices().map(|(at, _)| at).skip(1).chain([text.len()]).collect();
            for (characters, pair) in (1..).zip(ends.windows(2)) {
                let wider = &text[..pair[1]];
                let config = ChunkConfig::new(characters).with_trim(false);
                let first = TextSplitter::new(config).chunks(wider).next().map_or(0, str::len);
                assert_eq!(last_break(wider, pair[0]), first.min(pair[0]), "{wider}");
            }
        }
    }
}
