//! Which user IDs can be made, and by which name somebody means one.
//!
//! See [user identifiers](https://spec.matrix.org/v1.19/appendices/#user-identifiers).

use std::fmt;

use ruma::{OwnedUserId, ServerName, UserId};

use crate::{AuthError, tokens};

/// The longest user ID in bytes, sigil and server name included.
const MAX_USER_ID_BYTES: usize = 255;

/// Why a name cannot become a user ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsernameProblem {
    /// It has no characters.
    Empty,
    /// It has characters outside `a-z 0-9 . _ = - / +`.
    Characters,
    /// The user ID would have more than 255 bytes.
    TooLong,
}

impl fmt::Display for UsernameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Characters => "it may have only the characters a-z, 0-9 and . _ = - / +",
            Self::TooLong => "the user ID would be longer than 255 bytes",
        })
    }
}

/// Localparts that nobody can register.
#[derive(Clone, Debug, Default)]
pub struct ReservedNames {
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl ReservedNames {
    /// Reserves localparts. A trailing `*` reserves everything that starts like this.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        let mut reserved = Self::default();
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some(prefix) => reserved.prefixes.push(prefix.to_owned()),
                None => reserved.names.push(pattern),
            }
        }
        reserved
    }

    fn contains(&self, localpart: &str) -> bool {
        self.names.iter().any(|name| name == localpart)
            || self
                .prefixes
                .iter()
                .any(|prefix| localpart.starts_with(prefix))
    }
}

/// The user ID that `username` asks for. Upper case ASCII is folded: IDs that differ only in case
/// would be mistaken for each other.
pub(crate) fn new_user_id(
    username: &str,
    server_name: &ServerName,
    reserved: &ReservedNames,
) -> Result<OwnedUserId, AuthError> {
    let localpart = username.to_ascii_lowercase();
    if localpart.is_empty() {
        return Err(AuthError::UsernameInvalid(UsernameProblem::Empty));
    }
    if !localpart.bytes().all(is_localpart_byte) {
        return Err(AuthError::UsernameInvalid(UsernameProblem::Characters));
    }
    if localpart.len() + server_name.as_str().len() + "@:".len() > MAX_USER_ID_BYTES {
        return Err(AuthError::UsernameInvalid(UsernameProblem::TooLong));
    }
    if reserved.contains(&localpart) {
        return Err(AuthError::UsernameReserved);
    }
    UserId::parse_with_server_name(localpart, server_name)
        .map_err(|_| AuthError::UsernameInvalid(UsernameProblem::Characters))
}

/// A user ID for somebody who has not asked for one: 12 lower case letters.
pub(crate) fn random_user_id(server_name: &ServerName) -> Result<OwnedUserId, AuthError> {
    // 26 divides 256 badly; the small bias of the first letters does not matter for a name.
    let localpart: String = tokens::random_bytes::<12>()?
        .into_iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect();
    UserId::parse_with_server_name(localpart, server_name)
        .map_err(|_| AuthError::Internal("a random user ID does not parse"))
}

/// The local user that `identifier` (a localpart or a full user ID) may mean, in the order to try
/// them. Empty if it is nobody's here.
///
/// The name as written comes first, since an operator may have made accounts with older, wider
/// rules; then the name in lower case.
pub(crate) fn meant_user_ids(identifier: &str, server_name: &ServerName) -> Vec<OwnedUserId> {
    let as_written = if identifier.starts_with('@') {
        UserId::parse(identifier)
            .ok()
            .filter(|user_id| user_id.server_name() == server_name)
    } else {
        UserId::parse_with_server_name(identifier, server_name).ok()
    };
    let Some(as_written) = as_written else {
        return Vec::new();
    };
    let folded = as_written.localpart().to_ascii_lowercase();
    let folded = (folded != as_written.localpart())
        .then(|| UserId::parse_with_server_name(folded, server_name).ok())
        .flatten();
    std::iter::once(as_written).chain(folded).collect()
}

const fn is_localpart_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+')
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::*;

    fn register(username: &str) -> Result<OwnedUserId, AuthError> {
        let reserved = ReservedNames::new(["server".to_owned(), "_bridge_*".to_owned()]);
        new_user_id(username, server_name!("localhost"), &reserved)
    }

    #[test]
    fn b15_only_the_grammar_of_today_makes_new_ids() {
        for bad in [
            "аlice",
            "a\u{200d}b",
            "admin ",
            "@x:y",
            "",
            "x\0y",
            "é",
            "a b",
            "a%b",
        ] {
            assert!(
                matches!(register(bad), Err(AuthError::UsernameInvalid(_))),
                "{bad:?}"
            );
        }
        let long = "a".repeat(300);
        assert!(matches!(
            register(&long),
            Err(AuthError::UsernameInvalid(UsernameProblem::TooLong))
        ));
        // 255 bytes in all: '@', localpart, ':localhost'.
        assert!(register(&"a".repeat(244)).is_ok());
        assert!(register(&"a".repeat(245)).is_err());
        for good in ["a/b", "a=2f", "..", "0", "+x", "_x-y.z"] {
            assert_eq!(register(good).unwrap().localpart(), good);
        }
    }

    #[test]
    fn b15_upper_case_is_folded() {
        assert_eq!(register("Alice").unwrap(), "@alice:localhost");
    }

    #[test]
    fn reserved_names_are_exclusive() {
        assert!(matches!(
            register("SERVER"),
            Err(AuthError::UsernameReserved)
        ));
        assert!(matches!(
            register("_bridge_x"),
            Err(AuthError::UsernameReserved)
        ));
        assert!(register("server2").is_ok());
    }

    #[test]
    fn a_random_name_is_a_valid_name_without_digits() {
        let user_id = random_user_id(server_name!("localhost")).unwrap();
        assert!(
            user_id
                .localpart()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase())
        );
        assert_eq!(register(user_id.localpart()).unwrap(), user_id);
    }

    #[test]
    fn somebody_is_meant_by_localpart_or_full_id_of_this_server() {
        let here = server_name!("localhost");
        let alice = user_id!("@alice:localhost");
        assert_eq!(meant_user_ids("alice", here), [alice]);
        assert_eq!(meant_user_ids("@alice:localhost", here), [alice]);
        assert_eq!(
            meant_user_ids("Alice", here),
            [user_id!("@Alice:localhost"), alice]
        );
        assert!(meant_user_ids("@alice:elsewhere", here).is_empty());
        assert!(meant_user_ids("@alice", here).is_empty());
    }
}
