//! The words by which a user is found, and those that are looked for.

use std::collections::BTreeSet;

use ruma::UserId;
use unicode_normalization::UnicodeNormalization as _;

/// How many words a user is found by at most.
const MAX_WORDS: usize = 64;
/// How many words of a search count.
const MAX_SEARCHED: usize = 8;
/// The longest word that is kept, in characters. Longer ones are found by their beginning.
const MAX_CHARS: usize = 64;

/// Text with upper and lower case and accents taken away, so that `José` is found by `jose`. Only
/// the marks of Latin, Greek and Cyrillic letters count as accents: elsewhere they are vowels.
fn fold(text: &str) -> String {
    let plain = text
        .nfkd()
        .filter(|c| !('\u{300}'..='\u{36F}').contains(c))
        .flat_map(char::to_lowercase)
        // Lowercase can bring one back.
        .filter(|c| !('\u{300}'..='\u{36F}').contains(c));
    let mut folded = String::with_capacity(text.len());
    for c in plain {
        match c {
            'ß' => folded.push_str("ss"),
            'ς' => folded.push('σ'),
            'ı' => folded.push('i'),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'æ' => folded.push_str("ae"),
            other => folded.push(other),
        }
    }
    folded.nfc().collect()
}

/// Whether a script is written without spaces, so that a word can begin at any character.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x3040..=0x30FF // Hiragana, Katakana
        | 0x3400..=0x9FFF // Han
        | 0xAC00..=0xD7AF // Hangul: names are written in one
        | 0xF900..=0xFAFF
        | 0x0002_0000..=0x0003_FFFF)
}

/// Whether a character belongs to a word. Marks do: they are vowels in some scripts. Emoji do,
/// too: some names are nothing else.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || !(c.is_ascii() || c.is_whitespace() || c.is_control() || is_mark_of_text(c))
}

/// Punctuation beyond ASCII.
fn is_mark_of_text(c: char) -> bool {
    matches!(u32::from(c), 0x80..=0xBF | 0x2000..=0x206F | 0x2E00..=0x2E7F | 0x3000..=0x303F
        | 0xFE30..=0xFE6F | 0xFF00..=0xFF0F | 0x0010_FFFF)
}

fn split(folded: &str) -> impl Iterator<Item = &str> {
    folded
        .split(|c| !is_of_word(c))
        .filter(|word| !word.is_empty())
}

fn beginning(word: &str) -> String {
    word.chars().take(MAX_CHARS).collect()
}

/// The words by which a user is found: their whole ID, the localpart with its punctuation, and the
/// words of localpart and display name.
pub(super) fn words_of(user_id: &UserId, display_name: Option<&str>) -> BTreeSet<String> {
    let mut words = BTreeSet::from([user_id.as_str().to_lowercase()]);
    let localpart = fold(user_id.localpart());
    words.insert(beginning(&localpart));
    let name = fold(display_name.unwrap_or_default());
    for word in split(&name).chain(split(&localpart)) {
        for (at, c) in word.char_indices() {
            if words.len() >= MAX_WORDS {
                return words;
            }
            if (at == 0 || is_unspaced(c))
                && let Some(rest) = word.get(at..)
            {
                words.insert(beginning(rest));
            }
        }
    }
    words
}

/// What a search looks for, the longest word first. What begins with `@` is an ID as it stands.
pub(super) fn searched(term: &str) -> Vec<String> {
    let term = term.trim();
    if term.starts_with('@') {
        return vec![term.to_lowercase()];
    }
    let folded = fold(term);
    let mut words: Vec<String> = split(&folded).map(beginning).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    words.dedup();
    words.truncate(MAX_SEARCHED);
    words
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    /// Whether a user of this name is found by a term.
    fn finds(term: &str, name: &str) -> bool {
        let words = words_of(user_id!("@u-1.x_2:example.org"), Some(name));
        let searched = searched(term);
        let begins = |wanted: &String| words.iter().any(|word| word.starts_with(wanted));
        !searched.is_empty() && searched.iter().all(begins)
    }

    #[test]
    fn case_and_accents_make_no_difference() {
        for (term, name) in [
            ("ALICE", "alice"),
            ("jose", "José"),
            ("JOSÉ", "jose\u{301}"),
            ("strasse", "Straße"),
            ("STRASSE", "straẞe"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς"),
            ("istanbul", "İSTANBUL"),
            ("жора", "ЖОРА"),
            ("елена", "Ёлена"),
            ("ａｂｃ", "abc"),
            ("ﬁona", "Fiona"),
            ("김", "김철수"),
            ("철수", "김철수"),
            ("太郎", "山田太郎"),
            ("ヤマダ", "ﾔﾏﾀﾞ"),
            ("कि", "किरण"),
            ("🙈", "🙈🙉"),
        ] {
            assert!(finds(term, name), "{term} in {name}");
        }
        // These marks are letters.
        assert!(!finds("का", "किरण"));
    }

    #[test]
    fn every_word_must_begin_a_word_of_the_name() {
        let name = "Dr. Alice (the great) O'Neill-Smith";
        for term in [
            "ali",
            "smith",
            "great al",
            "alice smi",
            "o'neill",
            "neill",
            "dr",
            "the",
        ] {
            assert!(finds(term, name), "{term}");
        }
        for term in ["lice", "alice bob", "mith", "", " ", "()", "\0", "%", "_"] {
            assert!(!finds(term, name), "{term}");
        }
    }

    #[test]
    fn an_id_is_found_whole_in_part_and_by_its_words() {
        for term in [
            "@u-1.x_2:example.org",
            "@u-1",
            "@U-1.X_2:EXAMPLE.org",
            "u-1.x",
            "x",
            "2",
            "u-1.x_2",
        ] {
            assert!(finds(term, ""), "{term}");
        }
        for term in ["@x", "example", "u-1.y", "@u-1.x_2:example.orgy", "@"] {
            assert_eq!(finds(term, ""), term == "@", "{term}");
        }
    }

    #[test]
    fn b42_what_is_kept_and_looked_for_is_bounded() {
        let han = "漢字仮名".repeat(1_000);
        let many = "a b c d e f g h ".repeat(1_000);
        for name in [&han, &many, &"x".repeat(60_000)] {
            let words = words_of(user_id!("@u:x"), Some(name));
            assert!(words.len() <= MAX_WORDS);
            assert!(words.iter().all(|word| word.chars().count() <= 255));
            assert!(searched(name).len() <= MAX_SEARCHED);
        }
        assert!(finds(&"x".repeat(60_000), &"x".repeat(50_000)));
    }
}
