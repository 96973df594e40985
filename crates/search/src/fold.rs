//! Text without what a search does not tell apart: case, width, accents, vowel points.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How a script is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Words stand apart: Latin, Greek, Cyrillic, Devanagari and most others.
    Spaced,
    /// Words stand apart, but particles are attached to them: Arabic, Hebrew and their kin.
    Attached,
    /// Nothing says where a word ends, or endings are attached to it: Han, Kana, Hangul, Thai, Lao,
    /// Khmer, Burmese, Tibetan. Pictures too, each of which is a word.
    Unspaced,
}

/// A piece of folded text: a word, or a run of letters between which nothing says where words end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) script: Script,
    pub(crate) text: String,
}

/// The pieces of a text, in order.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = false;
    for letter in folded(text) {
        let Some(script) = script(letter, pieces.last().filter(|_| open)) else {
            open = false;
            continue;
        };
        match pieces.last_mut() {
            Some(piece) if open && piece.script == script => piece.text.push(letter),
            _ => pieces.push(Piece {
                script,
                text: letter.into(),
            }),
        }
        open = true;
    }
    pieces
}

/// Compatible forms are one, accents of letters are gone, and so is case.
///
/// Upper case first, so that `ß` and `SS`, `ς` and `Σ` are one too.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkd()
        .filter(|letter| !is_ignored(*letter))
        .nfc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        // The capital of some letters is one with an accent.
        .filter(|letter| !is_ignored(*letter))
}

/// Accents of European letters, points of Arabic and Hebrew ones, and what is not seen at all.
fn is_ignored(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36F}'
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}'
        | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

/// What a letter belongs to; `None` between words. A mark belongs to what it stands on.
fn script(letter: char, before: Option<&Piece>) -> Option<Script> {
    match letter {
        '\u{E00}'..='\u{109F}'
        | '\u{1100}'..='\u{11FF}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{A960}'..='\u{A97F}'
        | '\u{AA60}'..='\u{AA7F}'
        | '\u{3031}'..='\u{3035}'
        | '\u{3041}'..='\u{318F}'
        | '\u{31A0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{1B000}'..='\u{1B16F}'
        | '\u{20000}'..='\u{3FFFF}'
        | '々'
            if letter.is_alphanumeric() || is_combining_mark(letter) =>
        {
            Some(Script::Unspaced)
        }
        '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}' => Some(Script::Unspaced),
        '\u{590}'..='\u{8FF}' if letter.is_alphabetic() => Some(Script::Attached),
        _ if is_combining_mark(letter) => before.map(|piece| piece.script),
        // A digit goes with the word that it stands in.
        _ if letter.is_numeric() => Some(match before {
            Some(piece) if piece.script == Script::Attached => Script::Attached,
            _ => Script::Spaced,
        }),
        _ if letter.is_alphanumeric() => Some(Script::Spaced),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn case_width_accents_and_points_make_no_difference() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("Crème Brûlée", "creme brulee"),
            ("ＦＵＬＬ", "full"),
            ("ΣΊΣΥΦΟΣ", "σισυφος"),
            ("Ёлка", "елка"),
            ("İstanbul", "istanbul"),
            ("ﬁne", "fine"),
            ("cafe\u{301}", "café"),
            ("ｶﾞｷﾞｸﾞ", "ガギグ"),
            ("كِتَاب", "كتاب"),
            ("أحمد", "احمد"),
            ("שָׁלוֹם", "שלום"),
            ("한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}"),
            ("Tiếng Việt", "tieng viet"),
        ] {
            assert_eq!(pieces(one), pieces(other), "{one} {other}");
        }
        // In these the mark makes another letter.
        assert_ne!(cut("か"), cut("が"));
        assert_ne!(cut("हिन्दी"), cut("हनद"));
        assert_ne!(cut("ไทย"), cut("ไท้ย"));
    }

    #[test]
    fn words_are_cut_where_scripts_and_punctuation_cut_them() {
        for (text, words) in [
            ("It's over: 9,000!", &["it", "s", "over", "9", "000"][..]),
            (
                "foo_bar-baz.example.com",
                &["foo", "bar", "baz", "example", "com"],
            ),
            ("iPhoneを買った。", &["iphone", "を買った"]),
            ("ver2 v2beta", &["ver2", "v2beta"]),
            ("हिन्दी में", &["हिन्दी", "में"]),
            ("🎉 party🎉🎉", &["🎉", "party", "🎉🎉"]),
            ("\" * ( NEAR AND \0 '", &["near", "and"]),
            ("", &[]),
            ("?!… — ․", &[]),
        ] {
            assert_eq!(cut(text), words, "{text}");
        }
    }
}
