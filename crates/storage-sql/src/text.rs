//! Text as the database can hold it.
//!
//! PostgreSQL's text cannot contain a NUL, Matrix's strings can. A string that has one is stored
//! with it spelled as an escape, on both engines, so that they compare alike. The escape character
//! is a code point that never stands for anything (U+10FFFF) and is doubled where it occurs.

use std::borrow::Cow;

const ESCAPE: char = '\u{10FFFF}';

/// The string as stored.
pub(crate) fn pack(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut packed = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => packed.extend([ESCAPE, '0']),
            ESCAPE => packed.extend([ESCAPE, ESCAPE]),
            other => packed.push(other),
        }
    }
    Cow::Owned(packed)
}

/// The string, as stored, with upper and lower case taken for the same in every script. The
/// engines' own `lower` knows ASCII only.
pub(crate) fn fold(packed: &str) -> String {
    packed.to_lowercase()
}

/// [`pack`] for a value that is owned by a row.
pub(crate) fn pack_owned(text: &str) -> String {
    pack(text).into_owned()
}

/// The string as it was before [`pack`].
pub(crate) fn unpack(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut unpacked = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == ESCAPE) {
            (_, true) => match chars.next() {
                Some('0') => unpacked.push('\0'),
                Some(other) => unpacked.push(other),
                None => unpacked.push(ESCAPE),
            },
            (other, false) => unpacked.push(other),
        }
    }
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b07_a_nul_survives_the_database() {
        for text in [
            "",
            "plain",
            "a\0b",
            "\0",
            "\u{10FFFF}",
            "\u{10FFFF}0",
            "\0\u{10FFFF}\0é",
        ] {
            let packed = pack(text);
            assert!(!packed.contains('\0'), "{text:?}");
            assert_eq!(unpack(packed.into_owned()), text);
        }
    }

    #[test]
    fn packing_keeps_different_strings_apart() {
        assert_ne!(pack("\0"), pack("\u{10FFFF}0"));
    }
}
