//! What identifies rooms, for lists to go by: read once, and again when the state has changed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, de::DeserializeOwned};

use super::{order::Listed, reading::Sliding};
use crate::{
    SyncError,
    index::{Identity, Room},
};

/// How many rooms are read in one question.
const AT_ONCE: usize = 200;

const NAME: &str = "m.room.name";
const AVATAR: &str = "m.room.avatar";
const CREATE: &str = "m.room.create";
const ENCRYPTION: &str = "m.room.encryption";

/// The rooms in a space.
pub(crate) type Children = Arc<HashSet<OwnedRoomId>>;

fn places() -> Vec<StateKey> {
    [NAME, AVATAR, CREATE, ENCRYPTION]
        .map(|event_type| (event_type.to_owned(), String::new()))
        .into()
}

#[derive(Deserialize)]
struct Event<C> {
    content: C,
}

/// The content of an event, if it reads.
pub(super) fn content<C: DeserializeOwned>(event: &StoredEvent) -> Option<C> {
    let event: Event<C> = serde_json::from_slice(&event.json).ok()?;
    Some(event.content)
}

#[derive(Default, Deserialize)]
struct Fields {
    name: Option<String>,
    url: Option<String>,
    #[serde(rename = "type")]
    room_type: Option<String>,
}

/// What these state events say.
fn identity<'e>(events: impl IntoIterator<Item = &'e StoredEvent>) -> Identity {
    let mut identity = Identity::default();
    for event in events {
        let fields = || content::<Fields>(event).unwrap_or_default();
        match event.event_type.as_str() {
            NAME => identity.name = fields().name.filter(|name| !name.is_empty()),
            AVATAR => identity.avatar_url = fields().url.filter(|url| !url.is_empty()),
            CREATE => identity.room_type = fields().room_type,
            ENCRYPTION => identity.is_encrypted = true,
            _ => {}
        }
    }
    identity
}

impl Sliding<'_> {
    /// What identifies a room that the user is in, at the end of the reading.
    pub(super) async fn identity_of_joined(&self, room: &Room) -> Result<Arc<Identity>, SyncError> {
        let upto = self.upto.position;
        if let Some(known) = room.identity_at(upto) {
            return Ok(known);
        }
        let edition = room.edition_at(upto);
        let state = &self.service.parts.state;
        let events = state
            .state_entries_at(&room.room_id, upto, places())
            .await?;
        let identity = Arc::new(identity(&events));
        room.keep_identity(edition, upto, &identity);
        Ok(identity)
    }

    /// What identifies a room that the user is not in, as far as they may know.
    pub(super) async fn identity_of_other(
        &self,
        listed: &Listed,
    ) -> Result<Arc<Identity>, SyncError> {
        if let Some(known) = listed.identity.get() {
            return Ok(Arc::clone(known));
        }
        let identity = match known_at(listed) {
            Some(at) => {
                let state = &self.service.parts.state;
                let events = state
                    .state_entries_at(&listed.room_id, at, places())
                    .await?;
                identity(&events)
            }
            None => Identity::default(),
        };
        let identity = Arc::new(identity);
        Ok(Arc::clone(listed.identity.get_or_init(|| identity)))
    }

    /// Reads what identifies the rooms of which memory does not know it, many at once.
    pub(super) async fn read_identities(&self, rooms: &[Arc<Listed>]) -> Result<(), SyncError> {
        let upto = self.upto.position;
        let mut unknown = Vec::new();
        for listed in rooms {
            match &listed.room {
                Some(room) if room.identity_at(upto).is_none() => {
                    unknown.push((room, room.edition_at(upto)));
                }
                Some(_) => {}
                None => {
                    self.identity_of_other(listed).await?;
                }
            }
        }
        for some in unknown.chunks(AT_ONCE) {
            let ids = some.iter().map(|(room, _)| room.room_id.clone()).collect();
            let store = &self.service.parts.sliding;
            let events = store.entries_of_rooms(ids, places(), upto).await?;
            let mut by_room: HashMap<&RoomId, Vec<&StoredEvent>> = HashMap::new();
            for event in &events {
                by_room.entry(&event.room_id).or_default().push(event);
            }
            for (room, edition) in some {
                let events = by_room.remove(&*room.room_id).unwrap_or_default();
                room.keep_identity(*edition, upto, &Arc::new(identity(events)));
            }
        }
        Ok(())
    }

    /// The rooms in these spaces, as far as the user is in the spaces.
    pub(super) async fn children_of(
        &self,
        spaces: &BTreeSet<OwnedRoomId>,
    ) -> Result<Vec<Children>, SyncError> {
        let mut found = Vec::new();
        for space in spaces {
            let listed = self.rooms.get(space);
            if let Some(room) = listed.and_then(|listed| listed.room.as_ref()) {
                found.push(self.children(room).await?);
            }
        }
        Ok(found)
    }

    async fn children(&self, space: &Room) -> Result<Children, SyncError> {
        #[derive(Deserialize)]
        struct Child {
            via: Vec<String>,
        }
        let upto = self.upto.position;
        let edition = space.edition_at(upto);
        let spaces = &self.user.sliding.spaces;
        if let Some((known, children)) = spaces.lock().get(&space.room_id)
            && Some(*known) == edition
        {
            return Ok(Arc::clone(children));
        }
        let state = &self.service.parts.state;
        let types = Some(vec!["m.space.child".to_owned()]);
        let events = state.state_at(&space.room_id, upto, types).await?;
        // One that names no server is not, or no longer, a child.
        let is_child = |event: &&StoredEvent| {
            content::<Child>(event).is_some_and(|child| !child.via.is_empty())
        };
        let children = events.iter().filter(is_child);
        let children = children
            .filter_map(|event| OwnedRoomId::try_from(event.state_key.as_deref()?).ok())
            .collect();
        let children = Arc::new(children);
        let Some(edition) = edition else {
            return Ok(children);
        };
        let mut spaces = spaces.lock();
        // Those that one request may ask about are no more.
        if spaces.len() >= 1_000 {
            spaces.clear();
        }
        spaces.insert(space.room_id.clone(), (edition, Arc::clone(&children)));
        Ok(children)
    }
}

/// Where somebody who is not in a room may know its state.
fn known_at(listed: &Listed) -> Option<StreamPosition> {
    use ruma::events::room::member::MembershipState;
    match listed.membership {
        MembershipState::Leave | MembershipState::Ban => listed.departed,
        _ => Some(listed.position),
    }
}
