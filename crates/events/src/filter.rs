//! Event filters, compiled once per request.

use std::collections::{BTreeSet, HashSet};

use greenroom_model::StoredEvent;
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::filter::{LazyLoadOptions, RoomEventFilter, UrlFilter},
};
use serde::{Deserialize, de::IgnoredAny};

/// Which events of which rooms a client wants. See
/// [filtering](https://spec.matrix.org/v1.19/client-server-api/#filtering).
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<HashSet<OwnedUserId>>,
    not_senders: HashSet<OwnedUserId>,
    rooms: Option<HashSet<OwnedRoomId>>,
    not_rooms: HashSet<OwnedRoomId>,
    has_url: Option<bool>,
    limit: Option<u64>,
    lazy_load: Option<LazyLoad>,
}

/// That member events are wanted only for those whose events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LazyLoad {
    /// Whether members that the client was told of before are to be sent again.
    pub redundant: bool,
}

impl EventFilter {
    /// Compiles a filter.
    #[must_use]
    pub fn new(filter: &RoomEventFilter) -> Self {
        let set = |ids: &Vec<OwnedRoomId>| ids.iter().cloned().collect::<HashSet<_>>();
        Self {
            types: filter.types.clone(),
            not_types: filter.not_types.clone(),
            senders: filter
                .senders
                .as_ref()
                .map(|users| users.iter().cloned().collect()),
            not_senders: filter.not_senders.iter().cloned().collect(),
            rooms: filter.rooms.as_ref().map(set),
            not_rooms: set(&filter.not_rooms),
            has_url: filter.url_filter.map(|url| url == UrlFilter::EventsWithUrl),
            limit: filter.limit.map(u64::from),
            lazy_load: match filter.lazy_load_options {
                LazyLoadOptions::Enabled {
                    include_redundant_members,
                } => Some(LazyLoad {
                    redundant: include_redundant_members,
                }),
                LazyLoadOptions::Disabled => None,
            },
        }
    }

    /// Which events it lets through, as a text that is the same for the same filter, whatever its limit.
    #[must_use]
    pub fn terms(&self) -> String {
        fn sorted<T: Ord>(ids: &HashSet<T>) -> BTreeSet<&T> {
            ids.iter().collect()
        }
        let terms = (
            (&self.types, &self.not_types, self.has_url),
            (self.senders.as_ref().map(sorted), sorted(&self.not_senders)),
            (self.rooms.as_ref().map(sorted), sorted(&self.not_rooms)),
        );
        format!("{terms:?}")
    }

    /// The most events wanted, if the filter says so.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The senders whose events are wanted, if not everybody's.
    #[must_use]
    pub fn senders(&self) -> Option<impl Iterator<Item = &UserId>> {
        let senders = self.senders.as_ref()?;
        Some(senders.iter().map(|user_id| &**user_id))
    }

    /// Whether and how members are lazy-loaded.
    #[must_use]
    pub fn lazy_load(&self) -> Option<LazyLoad> {
        self.lazy_load
    }

    /// Whether anything of a room is wanted.
    #[must_use]
    pub fn allows_room(&self, room_id: &RoomId) -> bool {
        !self.not_rooms.contains(room_id)
            && self
                .rooms
                .as_ref()
                .is_none_or(|rooms| rooms.contains(room_id))
    }

    /// Whether events of this type by this sender are wanted.
    #[must_use]
    pub fn allows_type(&self, event_type: &str, sender: Option<&UserId>) -> bool {
        if self
            .not_types
            .iter()
            .any(|pattern| matches(pattern, event_type))
        {
            return false;
        }
        if self
            .types
            .as_ref()
            .is_some_and(|types| !types.iter().any(|p| matches(p, event_type)))
        {
            return false;
        }
        let Some(sender) = sender else { return true };
        !self.not_senders.contains(sender)
            && self
                .senders
                .as_ref()
                .is_none_or(|senders| senders.contains(sender))
    }

    /// Whether an event is wanted; its room is asked about by [`Self::allows_room`].
    #[must_use]
    pub fn allows(&self, event: &StoredEvent) -> bool {
        self.allows_type(&event.event_type, Some(&event.sender))
            && self.has_url.is_none_or(|wanted| has_url(event) == wanted)
    }

    /// Whether something with this content is wanted, as far as that is for `contains_url` to say.
    #[must_use]
    pub fn allows_content(&self, content: &str) -> bool {
        let has_url = || serde_json::from_str::<Content>(content).is_ok_and(|it| it.url.is_some());
        self.has_url.is_none_or(|wanted| has_url() == wanted)
    }

    /// Whether every event is wanted.
    #[must_use]
    pub fn allows_all(&self) -> bool {
        self.types.is_none()
            && self.not_types.is_empty()
            && self.senders.is_none()
            && self.not_senders.is_empty()
            && self.has_url.is_none()
    }
}

/// Matches a type against a pattern, where `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        // The first place is the best: it leaves most for the parts that follow.
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(Deserialize)]
struct Content {
    url: Option<IgnoredAny>,
}

fn has_url(event: &StoredEvent) -> bool {
    #[derive(Deserialize)]
    struct Event {
        content: Content,
    }
    serde_json::from_slice::<Event>(&event.json).is_ok_and(|event| event.content.url.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("m.room.message", "m.room.message"),
            ("m.*", "m.room.message"),
            ("*", ""),
            ("*", "x"),
            ("*message", "m.room.message"),
            ("m.*.message", "m.room.message"),
            ("a*b*c", "aXbYbZc"),
            ("*a*a*", "aa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("m.room.message", "m.room.messages"),
            ("m.room", "m.room.message"),
            ("", "x"),
            ("a*a", "a"),
            ("*x", "xy"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
