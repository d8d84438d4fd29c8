//! SentencePiece's Unigram tokenizer, as models of the XLM-RoBERTa family have it:
//! replaces characters by a table, splits at spaces, then splits each word into the
//! pieces that are likeliest together.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::charsmap::Charsmap;
use super::special_tokens::SpecialTokens;

/// What stands for a space.
pub(super) const SPACE: char = '▁';
/// How much less likely than any piece a character is that is in none.
const UNKNOWN_PENALTY: f64 = 10.0;
/// Characters of a word at most; a longer one is cut, so that one costs no more than
/// memory of this size.
const MAX_WORD: usize = 8_192;
/// Characters of a piece at most: so many are looked at from each place in a word.
/// SentencePiece itself makes pieces of up to 16.
pub(super) const MAX_PIECE: usize = 256;
/// The trie's first node.
const ROOT: u32 = 0;

/// A tokenizer of the XLM-RoBERTa family, without what is around a text.
pub(super) struct Unigram {
    pub(super) spaces: Spaces,
    pub(super) charsmap: Option<Charsmap>,
    pieces: Trie,
    pub(super) unknown: u32,
    unknown_score: f64,
}

/// What happens to white space.
#[derive(Clone, Copy, Default)]
pub(super) struct Spaces {
    /// Dropped at the beginning.
    pub(super) strip_left: bool,
    /// Dropped at the end.
    pub(super) strip_right: bool,
    /// Several spaces are one.
    pub(super) join: bool,
    /// Words are what is between white space, which is no part of any token but the
    /// space before each.
    pub(super) split: bool,
    /// Each text begins with a space, whether it does or not.
    pub(super) prepend: bool,
}

impl Unigram {
    /// The model of these pieces with their scores; token ids are their indices.
    pub(super) fn new(
        pieces: &[(String, f64)],
        unknown: u32,
        spaces: Spaces,
        charsmap: Option<Charsmap>,
    ) -> Self {
        let worst = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        Self { spaces, charsmap, pieces: Trie::new(pieces), unknown, unknown_score: worst - UNKNOWN_PENALTY }
    }

    /// Emits the tokens of `text`, at most `room`.
    pub(super) fn walk(&self, text: &str, special: &SpecialTokens, room: usize, emit: &mut dyn FnMut(u32)) {
        let mut walk = Walk { model: self, room, word: Vec::new(), path: Vec::new(), emit };
        let mut rest = text;
        while walk.room > 0 {
            let Some((at, token)) = special.next(rest) else { return walk.section(rest) };
            let (section, behind) = rest.split_at_checked(at).unwrap_or_default();
            walk.section(if token.takes_left { section.trim_end() } else { section });
            walk.token(token.id);
            rest = behind.get(token.text.len()..).unwrap_or_default();
            rest = if token.takes_right { rest.trim_start() } else { rest };
        }
    }

    /// All pieces without the space before them.
    pub(super) fn vocabulary(&self) -> impl Iterator<Item = String> + '_ {
        self.pieces.texts()
    }

    /// The largest token id.
    pub(super) fn largest(&self) -> u32 {
        u32::try_from(self.pieces.scores.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// The state of tokenizing one text.
struct Walk<'a> {
    model: &'a Unigram,
    room: usize,
    word: Vec<char>,
    /// For each place in the word, the likeliest way there.
    path: Vec<Step>,
    emit: &'a mut dyn FnMut(u32),
}

/// The last piece of a way through a word.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    from: usize,
    id: u32,
}

const NOWHERE: Step = Step { score: f64::NEG_INFINITY, from: usize::MAX, id: 0 };

impl Walk<'_> {
    /// What is between two special tokens.
    fn section(&mut self, text: &str) {
        let mut words = Words { begun: false, held: Vec::new(), was_space: false };
        match &self.model.charsmap {
            Some(charsmap) => charsmap.replace(text, |character| self.character(&mut words, character)),
            None => {
                text.chars().all(|character| self.character(&mut words, character));
            }
        }
        if !self.model.spaces.strip_right {
            for space in std::mem::take(&mut words.held) {
                self.space(&mut words, space);
            }
        }
        self.end_word();
    }

    /// Takes a character; false when there is no room for more.
    fn character(&mut self, words: &mut Words, character: char) -> bool {
        let spaces = self.model.spaces;
        if !character.is_whitespace() {
            for space in std::mem::take(&mut words.held) {
                self.space(words, space);
            }
            words.was_space = false;
            self.push(words, character);
        } else if words.begun || !spaces.strip_left {
            let is_again = words.was_space && character == ' ';
            if !(spaces.join && is_again) && words.held.len() < MAX_WORD {
                words.held.push(character);
            }
            words.was_space = character == ' ';
        }
        self.room > 0
    }

    fn space(&mut self, words: &mut Words, space: char) {
        if self.model.spaces.split {
            self.end_word();
        } else {
            self.push(words, if space == ' ' { SPACE } else { space });
        }
    }

    /// Adds a character to the word, or begins one with it.
    fn push(&mut self, words: &mut Words, character: char) {
        let is_first = !words.begun || self.model.spaces.split && self.word.is_empty();
        if character == SPACE || self.word.len() >= MAX_WORD {
            self.end_word();
        } else if is_first && self.model.spaces.prepend {
            self.word.push(SPACE);
        }
        words.begun = true;
        self.word.push(character);
    }

    /// Emits the tokens of the word that ends here, if there is one.
    fn end_word(&mut self) {
        let (word, mut path) = (std::mem::take(&mut self.word), std::mem::take(&mut self.path));
        self.model.likeliest(&word, &mut path);
        let (mut ids, mut at) = (Vec::new(), word.len());
        while at > 0 {
            let Some(step) = path.get(at).filter(|step| step.from < at) else { break };
            // Characters of no piece are one token together.
            if step.id != self.model.unknown || ids.last() != Some(&step.id) {
                ids.push(step.id);
            }
            at = step.from;
        }
        ids.iter().rev().for_each(|id| self.token(*id));
        self.word = word;
        self.word.clear();
        self.path = path;
    }

    fn token(&mut self, id: u32) {
        if self.room > 0 {
            self.room -= 1;
            (self.emit)(id);
        }
    }
}

/// What is known of the words so far of a section.
struct Words {
    /// Whether there was a character that is no white space at its edge.
    begun: bool,
    /// White space that belongs to the text if something follows.
    held: Vec<char>,
    was_space: bool,
}

impl Unigram {
    /// Finds the pieces of `word` with the largest sum of scores.
    fn likeliest(&self, word: &[char], path: &mut Vec<Step>) {
        path.clear();
        path.resize(word.len() + 1, NOWHERE);
        if let Some(first) = path.first_mut() {
            first.score = 0.0;
        }
        for start in 0..word.len() {
            let here = path.get(start).map_or(f64::NEG_INFINITY, |step| step.score);
            let mut offer = |end: usize, score: f64, id: u32| {
                if let Some(step) = path.get_mut(end).filter(|step| here + score > step.score) {
                    *step = Step { score: here + score, from: start, id };
                }
            };
            let (mut node, mut is_known) = (ROOT, false);
            for (end, character) in (start + 1..).zip(word.get(start..).unwrap_or_default()) {
                let Some(next) = self.pieces.child(node, *character) else { break };
                node = next;
                if let Some((id, score)) = self.pieces.piece(node) {
                    offer(end, score, id);
                    is_known |= end == start + 1;
                }
            }
            if !is_known {
                offer(start + 1, self.unknown_score, self.unknown);
            }
        }
    }
}

/// The pieces, found character by character.
struct Trie {
    /// The node that a node's character leads to.
    children: HashMap<u64, u32, RandomState>,
    /// The piece that ends at a node.
    ends: Vec<Option<u32>>,
    scores: Vec<f64>,
}

impl Trie {
    fn new(pieces: &[(String, f64)]) -> Self {
        let mut trie =
            Self { children: HashMap::default(), ends: vec![None], scores: Vec::with_capacity(pieces.len()) };
        for (id, (text, score)) in (0..).zip(pieces) {
            trie.scores.push(*score);
            let mut node = ROOT;
            for character in text.chars() {
                let next = u32::try_from(trie.ends.len()).unwrap_or(u32::MAX);
                node = *trie.children.entry(key(node, character)).or_insert_with(|| {
                    trie.ends.push(None);
                    next
                });
            }
            if let Some(end) = trie.ends.get_mut(usize::try_from(node).unwrap_or(usize::MAX))
                && node != ROOT
            {
                *end = Some(id);
            }
        }
        trie.ends.shrink_to_fit();
        trie
    }

    fn child(&self, node: u32, character: char) -> Option<u32> {
        self.children.get(&key(node, character)).copied()
    }

    fn piece(&self, node: u32) -> Option<(u32, f64)> {
        let id = (*self.ends.get(usize::try_from(node).ok()?)?)?;
        Some((id, *self.scores.get(usize::try_from(id).ok()?)?))
    }

    /// The texts of all pieces, without the space before them.
    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let mut parents = vec![(ROOT, '\0'); self.ends.len()];
        for (key, node) in &self.children {
            let (parent, character) = ((key >> 21) as u32, char::from_u32((key & 0x1f_ffff) as u32));
            if let Some(place) = usize::try_from(*node).ok().and_then(|node| parents.get_mut(node)) {
                *place = (parent, character.unwrap_or_default());
            }
        }
        let ends = self.ends.iter().enumerate().filter(|(_, end)| end.is_some());
        ends.map(move |(mut node, _)| {
            let mut text = Vec::new();
            while let Some((parent, character)) = parents.get(node).filter(|_| node != 0) {
                text.push(*character);
                node = usize::try_from(*parent).unwrap_or(0);
            }
            text.iter().rev().filter(|character| **character != SPACE).collect()
        })
    }
}

/// The key of a node's child: a character has 21 bits.
fn key(node: u32, character: char) -> u64 {
    u64::from(node) << 21 | u64::from(u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::super::charsmap::tests::of_bytes;
    use super::super::special_tokens::SpecialToken;
    use super::*;

    const XLM: Spaces =
        Spaces { strip_left: false, strip_right: false, join: false, split: true, prepend: true };
    const PIECES: [(&str, f64); 10] = [
        ("<unk>", 0.0),
        ("▁", -4.0),
        ("▁ab", -3.0),
        ("a", -2.0),
        ("b", -2.5),
        ("▁a", -2.2),
        ("bc", -2.0),
        ("c", -3.0),
        ("<mask>", 0.0),
        ("▁▁", -4.5),
    ];

    fn tokens(spaces: Spaces, text: &str, room: usize) -> Vec<u32> {
        let pieces = PIECES.map(|(text, score)| (text.to_owned(), score));
        let charsmap = Charsmap::read(&of_bytes(&[(b'\t', " "), (b'A', "a")])).unwrap();
        let model = Unigram::new(&pieces, 0, spaces, Some(charsmap));
        let mask = SpecialToken { text: "<mask>".into(), id: 8, takes_left: true, takes_right: false };
        let mut ids = Vec::new();
        model.walk(text, &SpecialTokens::new(vec![mask]), room, &mut |id| ids.push(id));
        ids
    }

    #[test]
    fn likeliest_pieces_are_found() {
        // ▁a + bc (-4.2) is likelier than ▁ab + c (-6).
        assert_eq!(tokens(XLM, "abc", 9), [5, 6]);
        assert_eq!(tokens(XLM, "Ab\t ab", 9), [2, 2]);
        assert_eq!(tokens(XLM, "a漢字b", 9), [5, 0, 4]);
        assert_eq!(tokens(XLM, "漢字 漢", 9), [1, 0, 1, 0]);
        assert_eq!(tokens(XLM, "", 9), [0; 0]);
        assert_eq!(tokens(XLM, "a▁a", 9), [5, 5]);
    }

    #[test]
    fn special_tokens_are_recognized_and_take_the_space_before_them() {
        assert_eq!(tokens(Spaces { split: false, ..XLM }, "a <mask> b", 9), [5, 8, 1, 4]);
        assert_eq!(tokens(XLM, "ab<mask>ab", 9), [2, 8, 2]);
        assert_eq!(tokens(XLM, "ab<mask>ab", 2), [2, 8]);
        assert_eq!(tokens(XLM, "ab ab ab", 2), [2, 2]);
    }

    #[test]
    fn white_space_is_what_the_file_says() {
        let kept = Spaces { split: false, ..XLM };
        assert_eq!(tokens(kept, " a  ab ", 9), [5, 1, 2, 1]);
        let joined = Spaces { join: true, strip_right: true, ..kept };
        assert_eq!(tokens(joined, " a  ab  ", 9), [5, 2]);
        assert_eq!(tokens(Spaces { strip_left: true, prepend: false, ..joined }, "  a  ab ", 9), [3, 2]);
        assert_eq!(tokens(Spaces { prepend: false, ..kept }, "ab ab", 9), [3, 4, 2]);
    }

    #[test]
    fn long_word_is_cut() {
        let text = "a".repeat(MAX_WORD * 2);
        assert_eq!(tokens(XLM, &text, usize::MAX).len(), MAX_WORD * 2);
    }

    #[test]
    fn pieces_are_told_without_their_space() {
        let pieces = PIECES.map(|(text, score)| (text.to_owned(), score));
        let model = Unigram::new(&pieces, 0, XLM, None);
        let mut all: Vec<_> = model.vocabulary().collect();
        all.sort_unstable();
        assert_eq!(all, ["", "", "<mask>", "<unk>", "a", "a", "ab", "b", "bc", "c"]);
        assert_eq!(model.largest(), 9);
    }
}
