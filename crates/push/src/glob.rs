//! [Glob-style patterns](https://spec.matrix.org/v1.19/appendices/#glob-style-matching), without
//! regard to case.

use regex::{Regex, RegexBuilder};

/// What a pattern may take of memory once it is compiled, in bytes.
const SIZE_LIMIT: usize = 256 * 1024;

/// A pattern, ready to be matched often. Time to match grows with the text alone.
#[derive(Clone, Debug)]
pub(crate) enum Glob {
    /// The whole of a text, in lower case.
    Exact(String),
    /// With wildcards, or somewhere in the text.
    Regex(Regex),
}

impl Glob {
    /// A pattern for the whole of a text. `None` if it is too large.
    pub(crate) fn whole(pattern: &str) -> Option<Self> {
        if !pattern.contains(['*', '?']) {
            return Some(Self::Exact(pattern.to_lowercase()));
        }
        regex(&format!("^{}$", translated(pattern)))
    }

    /// A pattern for a part of a text that starts and ends at a word boundary: at an end of the
    /// text, or beside or at a character that is no `[A-Za-z0-9_]`. `None` if it is too large.
    pub(crate) fn words(pattern: &str) -> Option<Self> {
        if pattern.is_empty() {
            return Some(Self::Exact(String::new()));
        }
        regex(&between_boundaries(&translated(pattern)))
    }

    /// The same for a text without wildcards.
    pub(crate) fn literal_words(text: &str) -> Option<Self> {
        regex(&between_boundaries(&regex::escape(text)))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(pattern) if pattern.is_ascii() && text.is_ascii() => {
                pattern.eq_ignore_ascii_case(text)
            }
            Self::Exact(pattern) => *pattern == text.to_lowercase(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn regex(pattern: &str) -> Option<Glob> {
    let compiled = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .size_limit(SIZE_LIMIT)
        .build();
    compiled.ok().map(Glob::Regex)
}

fn between_boundaries(expression: &str) -> String {
    let boundary = r"(?-u:\b{start-half}|\b{end-half})";
    format!("{boundary}{expression}{boundary}")
}

/// A pattern as a regular expression. A run of wildcards becomes one repetition: `?*?` is "at
/// least two characters".
fn translated(pattern: &str) -> String {
    let mut expression = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let is_wildcard = |it: char| matches!(it, '*' | '?');
        let run = match is_wildcard(first) {
            true => rest.find(|it| !is_wildcard(it)),
            false => rest.find(is_wildcard),
        };
        let (run, after) = rest.split_at(run.unwrap_or(rest.len()));
        if is_wildcard(first) {
            let least = run.matches('?').count();
            let most = if run.contains('*') { "," } else { "" };
            expression.extend([".{", &least.to_string(), most, "}"]);
        } else {
            expression.push_str(&regex::escape(run));
        }
        rest = after;
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pattern: &str, text: &str) -> bool {
        Glob::whole(pattern).unwrap().matches(text)
    }

    fn words(pattern: &str, text: &str) -> bool {
        Glob::words(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_pattern_matches_the_whole_value_without_regard_to_case() {
        for text in ["Lunch plans", "LUNCH", "lunch\nat two"] {
            assert!(whole("lunc?*", text), "{text}");
        }
        for text in [" lunch", "lunc", ""] {
            assert!(!whole("lunc?*", text), "{text}");
        }
        assert!(whole("*", ""));
        assert!(whole("m.notice", "M.Notice"));
        assert!(!whole("m.notice", "mxnotice"));
        assert!(!whole("m.notice", "m.notices"));
        assert!(whole("ÄÖ", "äö") && whole("?Ö", "äö"));
        assert!(whole("a??*b", "axyzb") && !whole("a??*b", "axb"));
        assert!(whole(r"[a].\d", r"[A].\D"), "nothing else is special");
    }

    #[test]
    fn words_are_matched_from_boundary_to_boundary() {
        for text in [
            "An example event.",
            "exple",
            "An exciting triple-whammy",
            "ex\nple",
        ] {
            assert!(words("ex*ple", text), "{text}");
        }
        for text in ["examples", "an_example", "complexple", ""] {
            assert!(!words("ex*ple", text), "{text}");
        }
        assert!(words("cake", "Cake!") && words("cake", "a-cake-b") && words("cake", "日cake本"));
        assert!(!words("cake", "pancake") && !words("cake", "cakes") && !words("cake", "cake_"));
        assert!(
            words("cake", "pancake and cake"),
            "not only the first place"
        );
        assert!(words("@room", "hi @room") && words("@room", "hi@room: x"));
        assert!(!words("@room", "@rooms"));
        assert!(words("日本", "日本語"), "a word is made of ASCII");
        assert!(words("a b", "x a b y") && !words("a b", "xa b y"));
        assert!(words("", "") && !words("", "x"));
    }

    #[test]
    fn the_text_may_be_long_and_the_pattern_may_not() {
        let text = "ba ".repeat(30_000);
        assert!(!words("a", &text));
        assert!(!words("a*c", &text));
        assert!(Glob::words(&"?".repeat(100)).is_some());
        assert!(Glob::whole(&"?".repeat(100_000)).is_none());
        assert!(Glob::words(&"a*?".repeat(20_000)).is_none());
    }
}
