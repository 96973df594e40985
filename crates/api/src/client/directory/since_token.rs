//! Where a page of the directory begins or ends.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::OwnedRoomId;

use crate::ApiError;

/// No token that we make is longer: a room ID has 255 bytes at most.
const MAX_TOKEN_BYTES: usize = 400;

/// A place in the directory, which is ordered by members and room ID, and the way on from there.
///
/// It holds nothing that the directory does not show to all, so it is not signed: what somebody
/// makes up is at worst a place where no room is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SinceToken {
    /// How many members the room there has.
    pub(super) members: u64,
    /// The room, which belongs to the page on the other side.
    pub(super) room_id: OwnedRoomId,
    /// Towards the rooms with more members.
    pub(super) backwards: bool,
}

impl SinceToken {
    pub(super) fn encode(&self) -> String {
        let way = if self.backwards { 'b' } else { 'f' };
        URL_SAFE_NO_PAD.encode(format!("{way}{} {}", self.members, self.room_id))
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// 400 `M_INVALID_PARAM` for what [`Self::encode`] has not made.
    pub(super) fn decode(token: &str) -> Result<Self, ApiError> {
        Self::read(token)
            .filter(|read| read.encode() == token)
            .ok_or_else(|| ApiError::invalid_param("This 'since' is not a token of this server."))
    }

    fn read(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (backwards, place) = match text.split_at_checked(1)? {
            ("f", place) => (false, place),
            ("b", place) => (true, place),
            _ => return None,
        };
        let (members, room_id) = place.split_once(' ')?;
        Some(Self {
            members: members
                .parse::<u64>()
                .ok()
                .filter(|members| i64::try_from(*members).is_ok())?,
            room_id: OwnedRoomId::try_from(room_id).ok()?,
            backwards,
        })
    }
}

#[cfg(test)]
mod tests {
    use ruma::owned_room_id;

    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_made() {
        for backwards in [true, false] {
            let token = SinceToken {
                members: 42,
                room_id: owned_room_id!("!tea:localhost"),
                backwards,
            };
            assert_eq!(SinceToken::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn b40_what_no_answer_held_is_a_bad_parameter() {
        let made_up = [
            "x42 !tea:localhost",
            "f-1 !tea:localhost",
            "f042 !tea:localhost",
            "f9223372036854775808 !tea:localhost",
            "f42 #tea:localhost",
            "f42",
            "f",
            "",
        ];
        let junk = ["0", "-1", "END", "s1_AAAA", "\0", "é", &"A".repeat(5_000)];
        let encoded = made_up.map(|text| URL_SAFE_NO_PAD.encode(text));
        let all = encoded.iter().map(String::as_str).chain(junk);
        for token in all {
            let error = SinceToken::decode(token).unwrap_err().to_string();
            assert_eq!(error, "400 M_INVALID_PARAM", "{token:.60}");
        }
    }
}
