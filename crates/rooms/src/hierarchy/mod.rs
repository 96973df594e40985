//! Trees of spaces, page by page. See [discovering rooms within
//! spaces](https://spec.matrix.org/v1.19/client-server-api/#discovering-rooms-within-spaces).
//!
//! A token says how far a walk has come and when it began; the walk itself is kept in memory for
//! the next page, and walked again where it is not.

mod children;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use greenroom_model::{StreamPosition, TokenSigner};
use greenroom_storage::RoomPreview;
use quick_cache::{Weighter, sync::Cache};
use ruma::{RoomId, UserId};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use self::walk::{Look, Terms, Walk, is_space};
use crate::{RoomError, Rooms};

/// How many rooms are on a page if the client does not say.
const DEFAULT_LIMIT: u64 = 50;
/// The most rooms on a page.
const MAX_LIMIT: u64 = 100;
/// How far down a tree goes at most, and if the client does not say.
const MAX_DEPTH: u32 = 1_000;
/// How many rooms one request looks at, those left out included: who may see few of them gets
/// shorter pages.
const MAX_LOOKED_AT: usize = 1_000;
/// How many rooms one request comes by, where a walk has to be walked again.
const MAX_WALKED_AGAIN: usize = 10_000;
/// How many children's events end a page.
const MAX_CHILD_EVENTS: usize = 5_000;
/// How many rooms the walks that are kept hold together.
const KEPT_ROOMS: u64 = 200_000;
/// How many rooms a walk holds at most that surely is kept.
const MAX_KEPT_WALK: usize = 100_000;
/// A guess at how many walks are kept: so low that the cache has one part, in which there is room for
/// [`MAX_KEPT_WALK`].
const KEPT_WALKS: usize = 32;

const TOKEN_KIND: &str = "h1";

/// Which page of which tree is wanted.
#[derive(Clone, Debug, Default)]
pub struct HierarchyQuery {
    /// The token of the page before.
    pub from: Option<String>,
    /// How many rooms; 50 if not said, 100 at most.
    pub limit: Option<u64>,
    /// How many steps down at most; 1,000 if not said, or if it is more.
    pub max_depth: Option<u64>,
    /// Whether only children count that their space suggests.
    pub suggested_only: bool,
}

/// A page of a tree.
#[derive(Clone, Debug)]
pub struct HierarchyPage {
    /// The rooms: a space before what is in it.
    pub rooms: Vec<HierarchyRoom>,
    /// Where the next page begins; `None` if there is none.
    pub next_batch: Option<String>,
}

/// A room in a tree.
#[derive(Clone, Debug)]
pub struct HierarchyRoom {
    /// What it shows.
    pub preview: Arc<RoomPreview>,
    /// If it is a space, its `m.space.child` events in their order: stripped, with their time.
    pub children_state: Vec<Box<RawValue>>,
}

type SharedWalk = Arc<Mutex<Walk>>;

/// Walks under way. What is not here is walked again.
pub(crate) struct Walks(Cache<Terms, (SharedWalk, u64), BySize>);

#[derive(Clone)]
struct BySize;

impl Weighter<Terms, (SharedWalk, u64)> for BySize {
    fn weight(&self, _: &Terms, (_, size): &(SharedWalk, u64)) -> u64 {
        (*size).max(1)
    }
}

impl Default for Walks {
    fn default() -> Self {
        Self(Cache::with_weighter(KEPT_WALKS, KEPT_ROOMS, BySize))
    }
}

impl Walks {
    fn of(&self, terms: &Terms) -> SharedWalk {
        match self.0.get(terms) {
            Some((walk, _)) => walk,
            None => Arc::new(Mutex::new(Walk::new(terms.clone()))),
        }
    }

    fn keep(&self, terms: Terms, walk: SharedWalk, size: usize) {
        self.0.insert(terms, (walk, size as u64));
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: StreamPosition,
    max_depth: u32,
    suggested_only: bool,
    /// How many rooms of the walk are behind it.
    behind: u32,
    /// A hash of the last one, so that another way is noticed.
    last: [u8; 8],
}

impl Place {
    fn seal(self, tokens: &TokenSigner, user_id: &UserId, root: &RoomId) -> String {
        let mut payload = Vec::with_capacity(25);
        payload.extend(self.at.0.to_be_bytes());
        payload.extend(self.max_depth.to_be_bytes());
        payload.push(self.suggested_only.into());
        payload.extend(self.behind.to_be_bytes());
        payload.extend(self.last);
        tokens.list(TOKEN_KIND, user_id, root.as_str(), &payload)
    }

    fn open(tokens: &TokenSigner, user_id: &UserId, root: &RoomId, token: &str) -> Option<Self> {
        let payload = tokens
            .read_list(TOKEN_KIND, user_id, root.as_str(), token)
            .ok()?;
        let (at, rest) = payload.split_first_chunk()?;
        let (max_depth, rest) = rest.split_first_chunk()?;
        let (suggested_only, rest) = rest.split_first()?;
        let (behind, rest) = rest.split_first_chunk()?;
        Some(Self {
            at: StreamPosition(i64::from_be_bytes(*at)),
            max_depth: u32::from_be_bytes(*max_depth),
            suggested_only: *suggested_only != 0,
            behind: u32::from_be_bytes(*behind),
            last: rest.try_into().ok()?,
        })
    }
}

fn short_hash(room_id: &RoomId) -> [u8; 8] {
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(Sha256::digest(room_id.as_str())) {
        *to = from;
    }
    short
}

impl Rooms {
    /// A page of the rooms in a space, and in the spaces in it, depth first: those that the user is
    /// in, may join or knock at, or may read.
    ///
    /// # Errors
    ///
    /// [`RoomError::Forbidden`] if the user may not see the space itself or there is none,
    /// [`RoomError::InvalidParam`] for a limit of zero, a token that is not of this user and space,
    /// and one of a walk on other terms.
    pub async fn hierarchy(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        query: &HierarchyQuery,
    ) -> Result<HierarchyPage, RoomError> {
        let limit = match query.limit {
            Some(0) => return Err(RoomError::InvalidParam("the limit must be above zero")),
            other => other.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let place = self.place(room_id, user_id, query)?;
        // At every page: they may have been banned since the last.
        if self.preview(room_id, Some(user_id)).await?.is_none() {
            return Err(RoomError::Forbidden(
                "you are not allowed to view this room".to_owned(),
            ));
        }
        let terms = Terms {
            user_id: user_id.to_owned(),
            root: room_id.to_owned(),
            at: place.at,
            max_depth: place.max_depth,
            suggested_only: place.suggested_only,
        };
        // One more than on the page shows whether there is another page.
        let spaces = Arc::clone(&self.parts().spaces);
        let mut look = Look::new(spaces, terms.clone(), limit);
        let walks = self.walks();
        let shared = walks.of(&terms);
        let mut walk = shared.lock().await;
        let outcome = page(&mut walk, &mut look, place, limit).await;
        let size = walk.size();
        drop(walk);
        walks.keep(terms, shared, size);
        let (rooms, next) = outcome?;
        Ok(HierarchyPage {
            rooms,
            next_batch: next.map(|next| next.seal(&self.parts().tokens, user_id, room_id)),
        })
    }

    /// Where the page that is asked for begins.
    fn place(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        query: &HierarchyQuery,
    ) -> Result<Place, RoomError> {
        let asked = query.max_depth.unwrap_or(MAX_DEPTH.into());
        let max_depth = u32::try_from(asked).unwrap_or(MAX_DEPTH).min(MAX_DEPTH);
        let now = self.parts().stream.position();
        let Some(from) = &query.from else {
            return Ok(Place {
                at: now,
                max_depth,
                suggested_only: query.suggested_only,
                behind: 0,
                last: [0; 8],
            });
        };
        let place = Place::open(&self.parts().tokens, user_id, room_id, from)
            .filter(|place| place.at <= now)
            .ok_or(RoomError::InvalidParam("the token is unknown"))?;
        if (place.max_depth, place.suggested_only) != (max_depth, query.suggested_only) {
            return Err(RoomError::InvalidParam(
                "suggested_only and max_depth cannot change on paginated requests",
            ));
        }
        Ok(place)
    }
}

/// The rooms from `place` on, and where the next page begins.
async fn page(
    walk: &mut Walk,
    look: &mut Look,
    place: Place,
    limit: usize,
) -> Result<(Vec<HierarchyRoom>, Option<Place>), RoomError> {
    let begin = usize::try_from(place.behind).unwrap_or(usize::MAX);
    let Some(last) = begin.checked_sub(1) else {
        return collect(walk, look, place, limit).await;
    };
    // A walk that was forgotten is walked again, in as many requests as that takes: what it has come by
    // is kept for the next one, which the same token leads to. One that is too large to be kept goes
    // all the way at once, or it would never arrive.
    let mut walked = 0;
    while walk.met(last).is_none() {
        if walked >= MAX_WALKED_AGAIN && walk.size() <= MAX_KEPT_WALK {
            return Ok((Vec::new(), Some(place)));
        }
        walked += 1;
        if !walk.step(look).await? {
            break;
        }
    }
    // What the user may see has changed, and the way with it, since the last page was made.
    if walk
        .met(last)
        .is_none_or(|met| short_hash(&met.room_id) != place.last)
    {
        return Err(RoomError::InvalidParam(
            "the rooms have changed too much to go on: begin anew",
        ));
    }
    collect(walk, look, place, limit).await
}

async fn collect(
    walk: &mut Walk,
    look: &mut Look,
    mut place: Place,
    limit: usize,
) -> Result<(Vec<HierarchyRoom>, Option<Place>), RoomError> {
    let mut rooms = Vec::new();
    let (mut looked_at, mut child_events) = (0, 0);
    loop {
        let next = usize::try_from(place.behind).unwrap_or(usize::MAX);
        if walk.met(next).is_none() && !walk.step(look).await? {
            return Ok((rooms, None));
        }
        let Some(met) = walk.met(next).cloned() else {
            return Ok((rooms, None));
        };
        let preview = if met.again {
            None
        } else {
            look.at(&met.room_id, walk.upcoming(next)).await?
        };
        if let Some(preview) = preview {
            if rooms.len() >= limit || child_events >= MAX_CHILD_EVENTS {
                return Ok((rooms, Some(place)));
            }
            let children = match is_space(&preview) {
                true => look.children(&met.room_id).await?,
                false => Arc::default(),
            };
            child_events += children.len();
            rooms.push(HierarchyRoom {
                preview,
                children_state: children.iter().map(|child| child.state.clone()).collect(),
            });
        }
        place.behind = place.behind.saturating_add(1);
        place.last = short_hash(&met.room_id);
        looked_at += 1;
        if looked_at >= MAX_LOOKED_AT {
            return Ok((rooms, Some(place)));
        }
    }
}
