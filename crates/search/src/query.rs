//! What is searched for, and how well an event fits.

use std::collections::BTreeSet;

use crate::{
    fold::{Piece, Script, pieces},
    tokens::of_term,
};

/// A term of words is cut here: what comes later cannot matter much.
const MAX_TERMS: usize = 32;
/// The index is asked for so many tokens at most; the event itself has to have them all.
const MAX_TOKENS: usize = 48;
/// From how many letters on a term is also found inside of words: shorter ones are in too many.
const INSIDE: usize = 5;
/// From how many letters on it is found at the beginning of words: of shorter ones, whole words are.
const BEGINNING: usize = 3;

/// What is searched for: all of some terms, each a word, the beginning of one or, of longer ones, a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Piece>,
}

impl Query {
    /// Reads what a user has typed. Nothing in it is an operator.
    #[must_use]
    pub fn new(search_term: &str) -> Self {
        let mut terms: Vec<Piece> = Vec::new();
        for piece in pieces(search_term) {
            if !terms.contains(&piece) {
                terms.push(piece);
            }
            if terms.len() == MAX_TERMS {
                break;
            }
        }
        Self { terms }
    }

    /// Whether there is no word in it: nothing is found then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The tokens that every hit has.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        let mut tokens = BTreeSet::new();
        for term in &self.terms {
            of_term(term, &mut tokens);
        }
        tokens.into_iter().take(MAX_TOKENS).collect()
    }

    /// How well these texts of one event fit, from 0 up; `None` if they do not. The same for the same
    /// texts every time.
    ///
    /// Whole words count more than beginnings, and those more than insides; where there are more
    /// of them, and few other words, it counts more, and twice if the words follow each other as typed.
    #[must_use]
    pub fn rank(&self, texts: &[String]) -> Option<f32> {
        if self.is_empty() {
            return None;
        }
        let words: Vec<Piece> = texts.iter().flat_map(|text| pieces(text)).collect();
        let mut rank = 0.0;
        for term in &self.terms {
            let (mut best, mut times) = (0.0_f32, 0_u8);
            for fit in words.iter().filter_map(|word| fit(term, word)) {
                best = best.max(fit);
                times = times.saturating_add(1);
            }
            if times == 0 {
                return None;
            }
            rank += best * (1.0 + f32::from(times.min(4)) / 8.0);
        }
        let follow = |start: &[Piece]| {
            let pairs = start.iter().zip(&self.terms);
            start.len() >= self.terms.len()
                && pairs
                    .into_iter()
                    .all(|(word, term)| fit(term, word).is_some())
        };
        if self.terms.len() > 1 && (0..words.len()).any(|at| words.get(at..).is_some_and(follow)) {
            rank *= 2.0;
        }
        let length = u16::try_from(words.len()).unwrap_or(u16::MAX);
        let terms = u8::try_from(self.terms.len()).unwrap_or(u8::MAX);
        Some(rank / f32::from(terms) / (1.0 + f32::from(length) / 50.0))
    }

    /// Takes in the words of a text that are hits, as they are written there.
    pub fn highlight(&self, text: &str, highlights: &mut BTreeSet<String>) {
        let between = |letter: char| letter.is_whitespace() || letter.is_ascii_punctuation();
        for word in text.split(between).filter(|word| !word.is_empty()) {
            for piece in pieces(word) {
                for term in self.terms.iter().filter(|term| fit(term, &piece).is_some()) {
                    // Of what has no words apart, only what was typed: the rest may be a whole sentence.
                    let shown = match piece.script {
                        Script::Unspaced => term.text.clone(),
                        Script::Spaced | Script::Attached => word.to_lowercase(),
                    };
                    highlights.insert(shown);
                }
            }
        }
    }
}

/// How well a word fits a term.
fn fit(term: &Piece, word: &Piece) -> Option<f32> {
    if term.script != word.script {
        return None;
    }
    let (term_text, word_text) = (term.text.as_str(), word.text.as_str());
    if term_text == word_text {
        return Some(1.0);
    }
    if term.script == Script::Unspaced {
        return word_text.contains(term_text).then_some(0.9);
    }
    let letters = term_text.chars().count();
    let inside = match term.script {
        Script::Attached => BEGINNING,
        Script::Spaced | Script::Unspaced => INSIDE,
    };
    if letters >= BEGINNING && word_text.starts_with(term_text) {
        return Some(0.6);
    }
    (letters >= inside && word_text.contains(term_text)).then_some(0.3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(term: &str, text: &str) -> Option<f32> {
        Query::new(term).rank(&[text.to_owned()])
    }

    #[test]
    fn words_are_found_in_every_language() {
        for (text, terms) in [
            (
                "The martians have landed, men!",
                &["martian", "MEN landed", "The martians"][..],
            ),
            (
                "Das Elektrofahrrad der Müllers",
                &["fahrrad", "muller", "Müller"],
            ),
            (
                "東京都庁へ行きました",
                &["東京", "京都", "都庁", "行", "行きました"],
            ),
            ("カタカナとひらがな", &["カタカナ", "ｶﾀｶﾅ", "ひらがな"]),
            ("我们明天去北京看电影", &["北京", "明天", "电影", "我"]),
            ("한국어를 공부합니다", &["한국어", "공부", "국어"]),
            ("สวัสดีครับยินดีต้อนรับ", &["สวัสดี", "ยินดี", "ต้อนรับ"]),
            (
                "والكتاب الجديد في المكتبة",
                &["كتاب", "الكتاب", "مكتب", "جديد"],
            ),
            ("הספר החדש", &["ספר", "חדש"]),
            ("Съешь ещё этих мягких", &["мягки", "еще", "СЪЕШЬ"]),
            ("नमस्ते दुनिया", &["दुनिया", "नमस्ते"]),
            ("ភាសាខ្មែរ", &["ខ្មែរ"]),
            ("happy birthday 🎂🎉", &["🎉", "birthday 🎂"]),
        ] {
            for term in terms {
                assert!(rank(term, text).is_some(), "{term} in {text}");
            }
        }
        assert!(rank("ความ", "สวัสดีครับ").is_none());
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (term, text) in [
            ("martians men", "only martians"),
            ("ar", "martians"),
            ("cat", "location"),
            ("京東", "東京"),
            ("", "anything"),
            ("?!", "?!"),
            ("\"", "\"quoted\""),
            ("a*", "abc"),
        ] {
            assert_eq!(rank(term, text), None, "{term} in {text}");
        }
    }

    #[test]
    fn what_fits_better_ranks_higher() {
        for (term, better, worse) in [
            ("art", "the art of war", "the artist at war"),
            ("house", "my house", "my lighthouse"),
            ("green room", "the green room", "a room that is green"),
            ("tea", "tea, tea and more tea", "tea, milk and more sugar"),
            (
                "tea",
                "tea",
                "tea with a very long story about how it was made and by whom",
            ),
        ] {
            assert!(rank(term, better) > rank(term, worse), "{term}");
        }
    }

    #[test]
    fn every_hit_has_the_tokens_that_the_index_is_asked_for() {
        let words: Vec<String> = (0..400).map(|n| format!("word{n}")).collect();
        let long = words.join(" ");
        let query = Query::new(&long);
        assert_eq!(query.terms.len(), MAX_TERMS);
        assert!(query.tokens().len() <= MAX_TOKENS);
        assert!(query.rank(&[long]).is_some());
    }

    #[test]
    fn highlights_are_words_as_they_are_written() {
        let mut found = BTreeSet::new();
        Query::new("cafe martian").highlight("Café with Martians!", &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["café", "martians"]);
        let mut found = BTreeSet::new();
        Query::new("東京").highlight("私は東京に住んでいます", &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["東京"]);
    }
}
