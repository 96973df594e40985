//! The list of a room's threads.

use std::cmp::Reverse;

use greenroom_events::{
    Format, RoomVersion,
    redact::redact,
    relations::{Bundles, target},
};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::ThreadsQuery;
use ruma::RoomId;

use crate::{EventView, Reader, RoomError, Rooms, history::Access};

/// How many threads a page has if the client does not say.
const DEFAULT_LIMIT: u64 = 20;
/// How many it has at most.
const MAX_LIMIT: u64 = 100;
/// How often one request asks for more threads where none of those found is for the reader.
const ROUNDS: usize = 5;

/// Which of a room's threads are wanted.
#[derive(Clone, Debug, Default)]
pub struct ThreadsRequest {
    /// Where to begin; the newest if not said.
    pub from: Option<String>,
    /// How many; 20 if not said, 100 at most.
    pub limit: Option<u64>,
    /// Only those that the reader has taken part in.
    pub participated: bool,
}

/// A page of a room's threads.
#[derive(Clone, Debug)]
pub struct ThreadsList {
    /// Their roots, those with the newest replies first.
    pub chunk: Vec<EventView>,
    /// Where the next page begins; `None` if there is none.
    pub next_batch: Option<String>,
}

impl Rooms {
    /// The threads of a room. See [querying
    /// threads](https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room).
    ///
    /// Pages are cut by the newest replies of all users; within a page the threads are in the order
    /// of the newest replies that the reader sees.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] if the reader never was and it is not world-readable,
    /// [`RoomError::InvalidParam`] for a token of somebody else, another room or the future.
    pub async fn threads(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        request: ThreadsRequest,
    ) -> Result<ThreadsList, RoomError> {
        let access = self.access(room_id, &reader.user_id).await?;
        let from = match &request.from {
            Some(token) => self.boundary(room_id, reader, token, &access)?,
            // A reply that was committed since counts for those who may see it: nothing is lost
            // to a thread that has moved up meanwhile.
            None => StreamPosition(i64::MAX),
        };
        let limit = request.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let (mut roots, mut bundles) = (Vec::new(), Bundles::new());
        let mut next = Some(from);
        for _ in 0..ROUNDS {
            let Some(upto) = next else { break };
            let query = ThreadsQuery {
                room_id: room_id.to_owned(),
                upto,
                participant: request.participated.then(|| reader.user_id.clone()),
                limit: limit.saturating_sub(roots.len() as u64),
            };
            let page = self.parts().relations.threads(query).await?;
            next = page.next;
            let found = self.parts().timeline.events(page.roots).await?;
            let found = found
                .into_iter()
                .filter(|root| root.room_id == room_id && access.history.allows(root));
            let found: Vec<StoredEvent> = found.collect();
            let targets = found.iter().map(target).collect();
            let relations = &self.parts().relations;
            let summed = relations
                .aggregations(targets, access.relation_reader(reader))
                .await?;
            // One without a reply for the reader is no thread to them.
            let is_thread = |root: &StoredEvent| {
                let summed = summed.get(&root.event_id);
                summed.is_some_and(|summed| summed.thread.is_some())
            };
            roots.extend(found.into_iter().filter(is_thread));
            bundles.extend(summed);
            if roots.len() as u64 >= limit {
                break;
            }
        }
        roots.sort_by_key(|root| Reverse(newest_reply(root, &bundles)));
        let roots = self.without_ignored(room_id, &access, roots).await?;
        Ok(ThreadsList {
            chunk: self
                .render_with(reader, &access, &roots, &bundles, Format::CLIENT)
                .await?,
            next_batch: next.map(|next| self.token(room_id, reader, next)),
        })
    }

    /// "If the thread root event was sent by an ignored user, the event is returned redacted."
    async fn without_ignored(
        &self,
        room_id: &RoomId,
        access: &Access,
        mut roots: Vec<StoredEvent>,
    ) -> Result<Vec<StoredEvent>, RoomError> {
        if !roots.iter().any(|root| access.ignored.hides(root)) {
            return Ok(roots);
        }
        let version = self.parts().rooms.room_version(room_id).await?;
        let version = version
            .and_then(|id| RoomVersion::new(&id))
            .ok_or(RoomError::NoSuchRoom)?;
        for root in &mut roots {
            if access.ignored.hides(root) {
                root.json = redact(&root.json, &version)?.into();
            }
        }
        Ok(roots)
    }
}

fn newest_reply(root: &StoredEvent, bundles: &Bundles) -> Option<StreamPosition> {
    let thread = bundles.get(&root.event_id)?.thread.as_ref()?;
    Some(thread.latest.position)
}
