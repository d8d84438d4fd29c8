//! Words that are as frequent as those of a language are.

use super::random::Random;

/// Made-up words, the most frequent first: word n occurs 1/n as often as the
/// first (Zipf's law).
pub(super) struct Vocabulary {
    words: Vec<String>,
    /// Frequencies added up, to 1.
    sums: Vec<f64>,
}

impl Vocabulary {
    pub(super) const WORDS: usize = 50_000;

    pub(super) fn new() -> Self {
        let total: f64 = (1..=Self::WORDS).map(|rank| 1.0 / rank as f64).sum();
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(Self::WORDS);
        for rank in 1..=Self::WORDS {
            sum += 1.0 / rank as f64 / total;
            sums.push(sum);
        }
        Self { words: (0..Self::WORDS).map(word).collect(), sums }
    }

    /// The word of a rank, from 0.
    pub(super) fn word(&self, rank: usize) -> &str {
        &self.words[rank % Self::WORDS]
    }

    fn any(&self, random: &mut Random) -> &str {
        let at = random.unit();
        self.word(self.sums.partition_point(|sum| *sum < at))
    }

    /// A text of so many words, in sentences.
    pub(super) fn text(&self, random: &mut Random, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for _ in 0..words {
            self.push(random, &mut text);
        }
        text
    }

    /// Appends paragraphs, about `bytes` long together.
    pub(super) fn paragraphs(&self, random: &mut Random, bytes: usize, text: &mut String) {
        let end = text.len() + bytes;
        while text.len() < end {
            for _ in 0..40 + random.below(60) {
                self.push(random, text);
            }
            text.push_str(".\n\n");
        }
    }

    fn push(&self, random: &mut Random, text: &mut String) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(if random.below(12) == 0 { ". " } else { " " });
        }
        text.push_str(self.any(random));
    }
}

/// Syllables, then a letter that no stemmer takes off.
fn word(rank: usize) -> String {
    const CONSONANTS: &[u8] = b"bdfgklmnprtvz";
    const VOWELS: &[u8] = b"aeiou";
    let mut word = String::new();
    let mut left = rank;
    loop {
        word.push(char::from(CONSONANTS[left % CONSONANTS.len()]));
        left /= CONSONANTS.len();
        word.push(char::from(VOWELS[left % VOWELS.len()]));
        left /= VOWELS.len();
        if left == 0 {
            break;
        }
    }
    word.push('x');
    word
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_different_and_few_of_them_are_frequent() {
        let vocabulary = Vocabulary::new();
        assert_eq!(vocabulary.words.iter().collect::<HashSet<_>>().len(), Vocabulary::WORDS);
        let text = vocabulary.text(&mut Random::new(1), 10_000);
        let count = |word: &str| text.split([' ', '.']).filter(|other| *other == word).count();
        assert!(count(vocabulary.word(0)) > 500);
        assert!(count(vocabulary.word(1_000)) < 10);
    }
}
