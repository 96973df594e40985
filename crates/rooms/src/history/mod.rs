//! Reading a room's events: pages of history, one event, what is around it.
//!
//! Everything here is read from storage, up to the announced position and no further than the
//! reader may see.

mod access;
mod by_time;
mod page;
mod render;

use greenroom_events::{EventFilter, Format, VisibilityHistory};
use greenroom_model::{PageToken, StoredEvent, StreamPosition};
use greenroom_storage::Direction;
use ruma::{
    EventId, OwnedDeviceId, OwnedUserId, RoomId,
    events::room::history_visibility::HistoryVisibility,
};
use serde_json::value::RawValue;

pub(crate) use self::{
    access::Access,
    page::{Source, Wanted},
};
use crate::{RoomError, Rooms};

/// The most events in one answer, whatever a client asks for.
pub(crate) const MAX_LIMIT: u64 = 1000;

/// Who reads.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The user.
    pub user_id: OwnedUserId,
    /// Their device: it alone gets to see its transaction IDs.
    pub device_id: OwnedDeviceId,
}

/// An event as a reader gets it.
pub type EventView = Box<RawValue>;

/// Which page of a room's history is wanted.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// Where to begin: a token, `END`, or nothing for the very first or last event.
    pub from: Option<String>,
    /// Where to stop.
    pub to: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// How many; 10 if not said, 1,000 at most.
    pub limit: Option<u64>,
    /// Which ones.
    pub filter: EventFilter,
    /// In which shape.
    pub format: Format,
}

/// A page of a room's history.
#[derive(Clone, Debug)]
pub struct MessagesPage {
    /// Where it begins.
    pub start: String,
    /// Where the next one begins; `None` if there is no more to see.
    pub end: Option<String>,
    /// The events, in the order of the direction.
    pub chunk: Vec<EventView>,
    /// The senders' member events, if they are lazy-loaded.
    pub state: Vec<EventView>,
}

/// What is around an event.
#[derive(Clone, Debug)]
pub struct Context {
    /// The event itself.
    pub event: EventView,
    /// What came before it, newest first.
    pub before: Vec<EventView>,
    /// What came after it, oldest first.
    pub after: Vec<EventView>,
    /// The state at the last of them.
    pub state: Vec<EventView>,
    /// Where to go on backwards.
    pub start: String,
    /// Where to go on forwards.
    pub end: String,
}

impl Rooms {
    /// A page of a room's history. See
    /// [`/messages`](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages).
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] if the reader never was and it is not world-readable,
    /// [`RoomError::InvalidParam`] for a token of somebody else, another room or the future.
    pub async fn messages(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        query: PageQuery,
    ) -> Result<MessagesPage, RoomError> {
        let access = self.access(room_id, &reader.user_id).await?;
        let from = match (query.from.as_deref(), query.direction) {
            (None, Direction::Forward) => StreamPosition::START,
            (None | Some("END"), _) => access.now,
            (Some(token), _) => self.boundary(room_id, reader, token, &access)?,
        };
        let to = query
            .to
            .as_deref()
            .map(|token| self.boundary(room_id, reader, token, &access))
            .transpose()?;
        let limit = query.limit.unwrap_or(10).clamp(1, MAX_LIMIT);
        let wanted = page::Wanted {
            from,
            to,
            direction: query.direction,
            limit,
        };
        let read = self
            .read_page(room_id, &access, wanted, &query.filter)
            .await?;
        let state = match query.filter.lazy_load() {
            Some(_) => self.senders(room_id, &read.events).await?,
            None => Vec::new(),
        };
        Ok(MessagesPage {
            // "This will be the same as the value given in `from`."
            start: match query.from {
                Some(given) if given != "END" => given,
                _ => self.token(room_id, reader, from),
            },
            end: read.next.map(|next| self.token(room_id, reader, next)),
            chunk: self
                .render(reader, &access, &read.events, query.format)
                .await?,
            state: self.render(reader, &access, &state, query.format).await?,
        })
    }

    /// One event.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchEvent`] if it is not in this room, or not for this reader to see.
    pub async fn event(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        event_id: &EventId,
    ) -> Result<EventView, RoomError> {
        let (access, event) = self
            .visible_event(room_id, &reader.user_id, event_id)
            .await?;
        let mut views = self
            .render(reader, &access, &[event], Format::CLIENT)
            .await?;
        views.pop().ok_or(RoomError::NoSuchEvent)
    }

    /// One event of any room, in the shape of the first API.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchEvent`].
    pub async fn event_anywhere(
        &self,
        reader: &Reader,
        event_id: &EventId,
    ) -> Result<EventView, RoomError> {
        let found = self
            .parts()
            .timeline
            .event(event_id)
            .await?
            .ok_or(RoomError::NoSuchEvent)?;
        let (access, event) = self
            .visible_event(&found.room_id, &reader.user_id, event_id)
            .await?;
        let mut views = self
            .render(reader, &access, &[event], Format::LEGACY)
            .await?;
        views.pop().ok_or(RoomError::NoSuchEvent)
    }

    /// What is around an event. See [event
    /// context](https://spec.matrix.org/v1.19/client-server-api/#event-context).
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchEvent`].
    pub async fn context(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        event_id: &EventId,
        limit: Option<u64>,
        filter: &EventFilter,
    ) -> Result<Context, RoomError> {
        let (access, event) = self
            .visible_event(room_id, &reader.user_id, event_id)
            .await?;
        let limit = limit.unwrap_or(10).min(MAX_LIMIT);
        // Both say how many there may be at most.
        let limit = filter.limit().map_or(limit, |most| limit.min(most.max(1)));
        let after_limit = limit / 2;
        let before = page::Wanted {
            from: event.position.before(),
            to: None,
            direction: Direction::Backward,
            limit: limit - after_limit,
        };
        let after = page::Wanted {
            from: event.position,
            to: None,
            direction: Direction::Forward,
            limit: after_limit,
        };
        let before = self.read_page(room_id, &access, before, filter).await?;
        let after = self.read_page(room_id, &access, after, filter).await?;
        let last = after
            .events
            .last()
            .map_or(event.position, |event| event.position);
        let state = self
            .context_state(room_id, last, filter, &before, &event, &after)
            .await?;
        let start = before
            .events
            .last()
            .map_or(event.position, |event| event.position)
            .before();
        let format = Format::CLIENT;
        let mut views = self
            .render(reader, &access, std::slice::from_ref(&event), format)
            .await?;
        Ok(Context {
            event: views.pop().ok_or(RoomError::NoSuchEvent)?,
            before: self.render(reader, &access, &before.events, format).await?,
            after: self.render(reader, &access, &after.events, format).await?,
            state: self.render(reader, &access, &state, format).await?,
            start: self.token(room_id, reader, start),
            end: self.token(room_id, reader, last),
        })
    }

    async fn context_state(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        filter: &EventFilter,
        before: &page::Read,
        event: &StoredEvent,
        after: &page::Read,
    ) -> Result<Vec<StoredEvent>, RoomError> {
        if !filter.allows_room(room_id) {
            return Ok(Vec::new());
        }
        let mut state = self.parts().state.state_at(room_id, at, None).await?;
        if filter.lazy_load().is_some() {
            let shown: std::collections::HashSet<&str> = before
                .events
                .iter()
                .chain([event])
                .chain(&after.events)
                .map(|event| event.sender.as_str())
                .collect();
            state.retain(|event| {
                event.event_type != "m.room.member"
                    || event
                        .state_key
                        .as_deref()
                        .is_some_and(|user| shown.contains(user))
            });
        }
        state.retain(|event| filter.allows(event));
        Ok(state)
    }

    /// The member events of those who sent these, as of the newest of them.
    async fn senders(
        &self,
        room_id: &RoomId,
        events: &[StoredEvent],
    ) -> Result<Vec<StoredEvent>, RoomError> {
        let Some(at) = events.iter().map(|event| event.position).max() else {
            return Ok(Vec::new());
        };
        let mut keys: Vec<_> = events
            .iter()
            .map(|event| ("m.room.member".to_owned(), event.sender.to_string()))
            .collect();
        keys.sort();
        keys.dedup();
        Ok(self
            .parts()
            .state
            .state_entries_at(room_id, at, keys)
            .await?)
    }

    /// The visibility that the room has now; `None` if there is no such room.
    pub(crate) async fn current_visibility(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<HistoryVisibility>, RoomError> {
        let keys = ["m.room.create", "m.room.history_visibility"]
            .map(|event_type| (event_type.to_owned(), String::new()));
        let state = self
            .parts()
            .rooms
            .current_state(room_id, keys.to_vec())
            .await?;
        if state.is_empty() {
            return Ok(None);
        }
        let history = VisibilityHistory::new(
            // Whose it is does not matter for the visibility alone.
            &ruma::UserId::new(&self.server_name()),
            &state
                .into_iter()
                .filter(|event| event.event_type == "m.room.history_visibility")
                .collect::<Vec<_>>(),
            &[],
        );
        Ok(Some(
            history.visibility_at(StreamPosition(i64::MAX)).clone(),
        ))
    }

    pub(crate) fn token(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        position: StreamPosition,
    ) -> String {
        self.parts()
            .tokens
            .page(&reader.user_id, room_id, PageToken { position })
    }

    /// Reads a token as a boundary in this room.
    pub(crate) fn boundary(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        token: &str,
        access: &Access,
    ) -> Result<StreamPosition, RoomError> {
        let page = self
            .parts()
            .tokens
            .read_page(&reader.user_id, room_id, token)
            .map_err(|_| RoomError::InvalidParam("unknown pagination token"))?;
        if page.position > access.now {
            return Err(RoomError::InvalidParam("the token is from the future"));
        }
        Ok(page.position)
    }
}
