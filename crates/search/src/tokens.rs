//! Tokens: what the index of a database knows an event by.

use std::collections::BTreeSet;

use super::{
    fold::{Piece, Script},
    searchable::Key,
};

/// Begins the tokens that are not of words: a letter of nobody's, which no word has.
const MARK: char = '\u{E000}';

/// The letters that make a token where words are apart: three, so that parts of words are found.
const SPACED: usize = 3;

/// The token of every event of a room, from the [`hash`] of its ID.
#[must_use]
pub fn room_token(room: u64) -> String {
    format!("{MARK}r{:011x}", room >> 20)
}

/// The token of every event of a sender, from the [`hash`] of their ID.
#[must_use]
pub fn sender_token(user: u64) -> String {
    format!("{MARK}s{:08x}", user >> 32)
}

/// The token of every event that has something under this key; `None` for the bodies of messages, which
/// is what nearly all of them are.
#[must_use]
pub fn kind_token(key: Key) -> Option<String> {
    match key {
        Key::Body => None,
        Key::Name => Some(format!("{MARK}n")),
        Key::Topic => Some(format!("{MARK}t")),
    }
}

/// FNV-1a: short, and the same for ever. Two that share it cost a candidate that is no hit.
#[must_use]
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Takes in the tokens that an event with this piece has.
pub(crate) fn of_text(piece: &Piece, tokens: &mut BTreeSet<String>) {
    match piece.script {
        Script::Spaced | Script::Attached => grams(&piece.text, SPACED, tokens),
        Script::Unspaced => {
            grams(&piece.text, 1, tokens);
            grams(&piece.text, 2, tokens);
        }
    }
}

/// Takes in the tokens that an event has to have in which this piece is searched for.
pub(crate) fn of_term(piece: &Piece, tokens: &mut BTreeSet<String>) {
    let size = match piece.script {
        Script::Spaced | Script::Attached => SPACED,
        Script::Unspaced => 2,
    };
    grams(&piece.text, size, tokens);
}

/// All runs of `size` letters; the whole text if it is shorter.
fn grams(text: &str, size: usize, tokens: &mut BTreeSet<String>) {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if starts.len() <= size {
        tokens.insert(text.to_owned());
        return;
    }
    let ends = starts.iter().skip(size).copied().chain([text.len()]);
    tokens.extend(
        starts
            .iter()
            .zip(ends)
            .filter_map(|(start, end)| text.get(*start..end))
            .map(ToOwned::to_owned),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::pieces;

    fn tokens(text: &str, of: fn(&Piece, &mut BTreeSet<String>)) -> Vec<String> {
        let mut tokens = BTreeSet::new();
        for piece in pieces(text) {
            of(&piece, &mut tokens);
        }
        tokens.into_iter().collect()
    }

    #[test]
    fn words_have_their_parts_as_tokens() {
        assert_eq!(tokens("Ok, Gehen!", of_text), ["ehe", "geh", "hen", "ok"]);
        assert_eq!(
            tokens("日本語", of_text),
            ["日", "日本", "本", "本語", "語"]
        );
        assert_eq!(tokens("日本語", of_term), ["日本", "本語"]);
        assert_eq!(tokens("日", of_term), ["日"]);
        assert_eq!(tokens("a", of_term), ["a"]);
    }

    #[test]
    fn an_event_has_every_token_of_a_term_that_is_in_it() {
        for (text, term) in [
            ("die Elektrofahrräder", "fahrrad"),
            ("東京都に行きました", "京都"),
            ("서울에서 만나요", "서울"),
            ("สวัสดีครับ", "ครับ"),
            ("والكتابة", "كتاب"),
            ("我们明天去北京", "明天"),
            ("ok", "OK"),
        ] {
            let has = tokens(text, of_text);
            for token in tokens(term, of_term) {
                assert!(has.contains(&token), "{text} {term} {token}");
            }
        }
    }

    #[test]
    fn tokens_of_rooms_and_senders_are_those_of_no_word() {
        for token in [
            room_token(hash("!r:b")),
            sender_token(hash("@a:b")),
            kind_token(Key::Name).unwrap(),
        ] {
            assert!(token.starts_with(MARK));
            assert!(!tokens(&token, of_text).contains(&token));
        }
        assert_ne!(room_token(hash("!r:b")), room_token(hash("!q:b")));
    }
}
