//! Rooms that two users share. See [mutual
//! rooms](https://spec.matrix.org/v1.19/client-server-api/#mutual-rooms).

use ruma::{OwnedRoomId, UserId};

use crate::{RoomError, Rooms};

/// How many rooms are on a page.
const PAGE: usize = 500;

const TOKEN_KIND: &str = "m1";

/// A page of the rooms that two users share.
#[derive(Clone, Debug)]
pub struct MutualRooms {
    /// How many there are on all pages.
    pub count: u64,
    /// Those on this page, in the order of their IDs.
    pub joined: Vec<OwnedRoomId>,
    /// Where the next page begins; `None` if there is none.
    pub next_batch: Option<String>,
}

impl Rooms {
    /// Rooms that both users are joined to: none if there is no such other user. A token is good for
    /// as long as anybody keeps it.
    ///
    /// # Errors
    ///
    /// [`RoomError::InvalidParam`] if `other` is the requester or no user ID that could be
    /// registered, or for a token that was not made for these two.
    pub async fn mutual_rooms(
        &self,
        user_id: &UserId,
        other: &UserId,
        from: Option<&str>,
    ) -> Result<MutualRooms, RoomError> {
        if other == user_id {
            return Err(RoomError::InvalidParam("the user ID is your own"));
        }
        if other.validate_strict().is_err() {
            return Err(RoomError::InvalidParam("the user ID is not valid"));
        }
        let tokens = &self.parts().tokens;
        let after = match from {
            Some(token) => tokens
                .read_list(TOKEN_KIND, user_id, other.as_str(), token)
                .map_err(|_| RoomError::InvalidParam("the token is unknown"))?,
            None => Vec::new(),
        };
        let shared = self.parts().members.mutual_rooms(user_id, other).await?;
        let count = shared.len() as u64;
        let (joined, last) = page(shared, &after, PAGE);
        let token =
            |last: OwnedRoomId| tokens.list(TOKEN_KIND, user_id, other.as_str(), last.as_bytes());
        Ok(MutualRooms {
            count,
            joined,
            next_batch: last.map(token),
        })
    }
}

/// The rooms behind `after`, and the last of them if there are more than `limit`.
fn page(
    rooms: Vec<OwnedRoomId>,
    after: &[u8],
    limit: usize,
) -> (Vec<OwnedRoomId>, Option<OwnedRoomId>) {
    let mut ahead = rooms
        .into_iter()
        .filter(|room_id| room_id.as_bytes() > after);
    let page: Vec<OwnedRoomId> = ahead.by_ref().take(limit).collect();
    let last = ahead.next().and_then(|_| page.last().cloned());
    (page, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_is_on_one_page() {
        let rooms: Vec<OwnedRoomId> = ["!a", "!b", "!c", "!d", "!e"]
            .into_iter()
            .map(|id| OwnedRoomId::try_from(id).unwrap())
            .collect();
        for limit in 1..=6 {
            let (mut found, mut after) = (Vec::new(), Vec::new());
            loop {
                let (joined, last) = page(rooms.clone(), &after, limit);
                assert!(joined.len() == limit || last.is_none());
                found.extend(joined);
                match last {
                    Some(last) => after = last.as_bytes().to_owned(),
                    None => break,
                }
            }
            assert_eq!(found, rooms, "{limit}");
        }
        assert_eq!(page(Vec::new(), b"", 5), (Vec::new(), None));
    }
}
