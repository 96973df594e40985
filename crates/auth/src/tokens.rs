//! Access and refresh tokens: random, recognizable, and stored only as a hash.
//!
//! A token is `gr_` (access) or `grr_` (refresh), 32 characters of base64url (192 random bits from
//! the operating system) and 6 characters of a checksum. The prefix lets secret scanners find a
//! leaked one; the checksum lets the server refuse a mistyped or guessed one without a look-up.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use greenroom_storage::TokenHash;
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};

use crate::AuthError;

const RANDOM_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 4;

/// Which of the two a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Goes with every request.
    Access,
    /// Buys a new pair.
    Refresh,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "gr_",
            Self::Refresh => "grr_",
        }
    }
}

/// A token as the client sees it. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token itself: for the answer to the client and nothing else.
    #[must_use]
    pub fn reveal(self) -> String {
        self.0
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> TokenHash {
        hash(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A new token that nobody can guess.
pub(crate) fn generate(kind: TokenKind) -> Result<Token, AuthError> {
    let body = random_text::<RANDOM_BYTES>()?;
    let check = checksum(kind, &body);
    Ok(Token(format!("{}{body}{check}", kind.prefix())))
}

/// The hash to look a presented token up by; `None` if it cannot be one of ours.
pub(crate) fn parse(kind: TokenKind, presented: &str) -> Option<TokenHash> {
    let rest = presented.strip_prefix(kind.prefix())?;
    let (body, check) = rest.split_at_checked(RANDOM_BYTES / 3 * 4)?;
    (check == checksum(kind, body)).then(|| hash(presented))
}

/// `N` random bytes from the operating system, in base64url.
pub(crate) fn random_text<const N: usize>() -> Result<String, AuthError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<N>()?))
}

/// `N` random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| AuthError::Internal("no randomness"))?;
    Ok(bytes)
}

fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token).into())
}

fn checksum(kind: TokenKind, body: &str) -> String {
    let digest = Sha256::new()
        .chain_update(kind.prefix())
        .chain_update(body)
        .finalize();
    URL_SAFE_NO_PAD.encode(digest.get(..CHECKSUM_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognized_by_its_kind_only() {
        let token = generate(TokenKind::Access).unwrap();
        let expected = token.hash();
        let text = token.reveal();
        assert_eq!(parse(TokenKind::Access, &text), Some(expected));
        assert_eq!(parse(TokenKind::Refresh, &text), None);
    }

    #[test]
    fn a72_tokens_are_long_and_no_two_are_alike() {
        const { assert!(RANDOM_BYTES * 8 >= 128) };
        let tokens: std::collections::HashSet<String> = (0..1_000)
            .map(|_| generate(TokenKind::Access).unwrap().reveal())
            .collect();
        assert_eq!(tokens.len(), 1_000);
        // Prefix, 192 bits in base64, checksum.
        assert!(tokens.iter().all(|token| token.len() == 3 + 32 + 6));
    }

    #[test]
    fn what_is_not_a_token_is_refused_without_a_look_up() {
        let text = generate(TokenKind::Access).unwrap().reveal();
        let mut flipped = text.clone();
        let last = flipped.pop().unwrap();
        flipped.push(if last == 'A' { 'B' } else { 'A' });
        for bad in [
            "",
            "gr_",
            "grr_",
            "syt_abc",
            "gr_ä",
            &flipped,
            &format!("{text}x"),
        ] {
            assert_eq!(parse(TokenKind::Access, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        let token = generate(TokenKind::Refresh).unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
