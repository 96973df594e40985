//! Pages of the events that relate to an event.

use greenroom_events::{EventFilter, Format};
use greenroom_model::StreamPosition;
use greenroom_storage::{Direction, RECURSION_DEPTH, RelatingQuery};
use ruma::{EventId, RoomId};

use crate::{
    EventView, Reader, RoomError, Rooms,
    history::{MAX_LIMIT, Source, Wanted},
};

/// How many events a page has if the client does not say.
const DEFAULT_LIMIT: u64 = 20;

/// Which of the events that relate to an event are wanted.
#[derive(Clone, Debug)]
pub struct RelationsQuery {
    /// How they relate to it, if that matters.
    pub rel_type: Option<String>,
    /// Their type, if that matters too.
    pub event_type: Option<String>,
    /// Where to begin: a token, or nothing for the very first or last event.
    pub from: Option<String>,
    /// Where to stop.
    pub to: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// How many; 20 if not said, 1,000 at most.
    pub limit: Option<u64>,
    /// Whether those are wanted too that relate to it by way of others; `None` if not said.
    pub recurse: Option<bool>,
}

/// A page of the events that relate to an event.
#[derive(Clone, Debug)]
pub struct RelationsPage {
    /// The events, in the order of the direction.
    pub chunk: Vec<EventView>,
    /// Where the next page begins; `None` if there is no more to see.
    pub next_batch: Option<String>,
    /// Where this page began; `None` for the first one.
    pub prev_batch: Option<String>,
    /// How many steps away events were looked for, if the client said whether they should be.
    pub recursion_depth: Option<u64>,
}

impl Rooms {
    /// The events that relate to an event. See [the relationships
    /// API](https://spec.matrix.org/v1.19/client-server-api/#relationships-api).
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchEvent`] if the event they are asked of is not in this room, or not for
    /// this reader to see; [`RoomError::InvalidParam`] for a token of somebody else, another room
    /// or the future.
    pub async fn relations(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        event_id: &EventId,
        query: RelationsQuery,
    ) -> Result<RelationsPage, RoomError> {
        // An event by somebody whom they ignore may still have children by others.
        let (access, _) = self
            .readable_event(room_id, &reader.user_id, event_id)
            .await?;
        let boundary = |token: Option<&str>| {
            token
                .map(|token| self.boundary(room_id, reader, token, &access))
                .transpose()
        };
        let recurse = query.recurse == Some(true);
        let relating = RelatingQuery {
            room_id: room_id.to_owned(),
            target: event_id.to_owned(),
            rel_type: query.rel_type,
            event_type: query.event_type,
            recurse,
            after: StreamPosition::START,
            upto: access.now,
            direction: query.direction,
            limit: 0,
        };
        let first = match query.direction {
            Direction::Forward => StreamPosition::START,
            Direction::Backward => access.now,
        };
        let wanted = Wanted {
            from: boundary(query.from.as_deref())?.unwrap_or(first),
            to: boundary(query.to.as_deref())?,
            direction: query.direction,
            limit: query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
        };
        let (source, filter) = (Source::Relating(&relating), EventFilter::default());
        let read = self
            .read_page_of(source, room_id, &access, wanted, &filter)
            .await?;
        Ok(RelationsPage {
            chunk: self
                .render(reader, &access, &read.events, Format::CLIENT)
                .await?,
            next_batch: read.next.map(|next| self.token(room_id, reader, next)),
            prev_batch: query.from,
            recursion_depth: query
                .recurse
                .map(|recurse| if recurse { RECURSION_DEPTH } else { 1 }),
        })
    }
}
