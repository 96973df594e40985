//! Pages of results, and the tokens that lead from one to the next.
//!
//! Results are gathered in *windows*: the hits among a number of candidates next to each other in the
//! stream. What ranks higher comes first within a window; older windows come after it. So however much
//! there is to find, the work for a page is bounded, and who pages on gets to see all of it, once.

use std::cmp::Ordering;

use greenroom_model::{StoredEvent, StreamPosition, TokenSigner};
use ruma::UserId;

use super::{GroupBy, SearchOrder};
use crate::RoomError;

/// An event that was found.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) event: StoredEvent,
    pub(super) rank: f32,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cursor {
    /// A hash of what is searched for: a token is one of this search alone.
    terms: u64,
    order: SearchOrder,
    /// The room whose group is read, by its hash, …
    pub(super) room: Option<u64>,
    /// … and the sender whose group is read, within that room if both are there.
    pub(super) sender: Option<u64>,
    /// Where the window ends.
    pub(super) top: StreamPosition,
    /// Where it begins; `None` if that is still to be found out.
    pub(super) bottom: Option<StreamPosition>,
    /// The last result so far; all are behind it at first.
    last: (f32, StreamPosition),
}

const SIZE: usize = 53;
const IN_ROOM: u8 = 2;
const BY_SENDER: u8 = 4;

impl Cursor {
    /// Before everything up to `top`.
    pub(super) fn start(terms: u64, order: SearchOrder, top: StreamPosition) -> Self {
        Self {
            terms,
            order,
            room: None,
            sender: None,
            top,
            bottom: None,
            last: (f32::INFINITY, StreamPosition(i64::MAX)),
        }
    }

    /// Before everything that is older than the window which begins at `bottom`.
    pub(super) fn older_than(self, bottom: StreamPosition) -> Self {
        let (room, sender) = (self.room, self.sender);
        let start = Self::start(self.terms, self.order, bottom.before());
        Self {
            room,
            sender,
            ..start
        }
    }

    /// The same within a group, by the hash of its key. A group of a group is in both.
    pub(super) fn within(self, by: GroupBy, key: u64) -> Self {
        match by {
            GroupBy::Room => Self {
                room: Some(key),
                ..self
            },
            GroupBy::Sender => Self {
                sender: Some(key),
                ..self
            },
        }
    }

    /// Behind a hit of the window that begins at `bottom`.
    pub(super) fn behind(self, hit: &Hit, bottom: StreamPosition) -> Self {
        Self {
            bottom: Some(bottom),
            last: (hit.rank, hit.event.position),
            ..self
        }
    }

    /// The order of two hits: the one that comes first is less.
    pub(super) fn compare(&self, one: &Hit, other: &Hit) -> Ordering {
        self.order_of(
            (one.rank, one.event.position),
            (other.rank, other.event.position),
        )
    }

    fn order_of(&self, one: (f32, StreamPosition), other: (f32, StreamPosition)) -> Ordering {
        let newer = other.1.cmp(&one.1);
        match self.order {
            SearchOrder::Recent => newer,
            SearchOrder::Rank => other.0.total_cmp(&one.0).then(newer),
        }
    }

    /// Whether a hit is still to come.
    pub(super) fn is_before(&self, hit: &Hit) -> bool {
        self.order_of(self.last, (hit.rank, hit.event.position)) == Ordering::Less
    }

    pub(super) fn seal(&self, tokens: &TokenSigner, user_id: &UserId) -> String {
        let order = match self.order {
            SearchOrder::Rank => 0,
            SearchOrder::Recent => 1,
        };
        let room = self.room.map_or(0, |_| IN_ROOM);
        let sender = self.sender.map_or(0, |_| BY_SENDER);
        let mut payload = [0; SIZE];
        let fields = [order | room | sender]
            .into_iter()
            .chain(self.terms.to_be_bytes())
            .chain(self.room.unwrap_or_default().to_be_bytes())
            .chain(self.sender.unwrap_or_default().to_be_bytes())
            .chain(self.top.0.to_be_bytes())
            .chain(self.bottom.unwrap_or_default().0.to_be_bytes())
            .chain(self.last.0.to_be_bytes())
            .chain(self.last.1.0.to_be_bytes());
        for (to, from) in payload.iter_mut().zip(fields) {
            *to = from;
        }
        tokens.search(user_id, &payload)
    }

    /// Reads a token, which has to be one of this user's for the same search in the same order.
    pub(super) fn open(
        tokens: &TokenSigner,
        user_id: &UserId,
        terms: u64,
        order: SearchOrder,
        token: &str,
    ) -> Result<Self, RoomError> {
        const UNKNOWN: RoomError = RoomError::InvalidParam("next_batch is no token of this search");
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (first, others) = rest.split_first_chunk()?;
            *rest = others;
            Some(*first)
        }
        let payload: [u8; SIZE] = tokens.read_search(user_id, token).map_err(|_| UNKNOWN)?;
        let rest = &mut payload.as_slice();
        let mut read = || {
            let [kind] = take(rest)?;
            let of = u64::from_be_bytes(take(rest)?);
            let room = u64::from_be_bytes(take(rest)?);
            let sender = u64::from_be_bytes(take(rest)?);
            let top = StreamPosition(i64::from_be_bytes(take(rest)?));
            let bottom = StreamPosition(i64::from_be_bytes(take(rest)?));
            let rank = f32::from_be_bytes(take(rest)?);
            let position = StreamPosition(i64::from_be_bytes(take(rest)?));
            let made_for = match kind % 2 {
                0 => SearchOrder::Rank,
                _ => SearchOrder::Recent,
            };
            (of == terms && made_for == order).then_some(Self {
                terms,
                order,
                room: (kind & IN_ROOM != 0).then_some(room),
                sender: (kind & BY_SENDER != 0).then_some(sender),
                top,
                bottom: (bottom > StreamPosition::START).then_some(bottom),
                last: (rank, position),
            })
        };
        read().ok_or(UNKNOWN)
    }
}
