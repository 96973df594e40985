//! Who may see what, computed from a room's events by the words of the specification's chapter
//! on history visibility, and from nothing that the server says about visibility.

use std::collections::BTreeMap;

use serde_json::Value;

/// A room as somebody sees it who was in it all along: all its events, oldest first.
pub(super) struct Room {
    pub(super) id: String,
    pub(super) events: Vec<Value>,
}

/// What one user is to see of a room.
pub(super) struct Reader<'a> {
    room: &'a Room,
    user_id: &'a str,
    /// Whether they have told the server to forget the room, and are not in it again.
    forgotten: bool,
}

fn is_state(event: &Value, event_type: &str, state_key: &str) -> bool {
    event["type"] == event_type && event["state_key"] == state_key
}

pub(super) fn id(event: &Value) -> &str {
    event["event_id"].as_str().unwrap()
}

impl Room {
    /// The content's field of the last of the events in this place, as of the event at `upto`
    /// (and without it where `upto` counts as not yet sent).
    fn latest<'a>(
        &'a self,
        upto: usize,
        place: (&str, &str),
        field: &str,
        default: &'a str,
    ) -> &'a str {
        let mut before = self.events[..upto].iter().rev();
        before
            .find(|event| is_state(event, place.0, place.1))
            .map_or(default, |event| event["content"][field].as_str().unwrap())
    }

    /// "By default if no `history_visibility` is set [...] assumed to be `shared`."
    pub(super) fn visibility(&self, upto: usize) -> &str {
        let place = ("m.room.history_visibility", "");
        self.latest(upto, place, "history_visibility", "shared")
    }

    fn membership(&self, upto: usize, user_id: &str) -> &str {
        self.latest(upto, ("m.room.member", user_id), "membership", "leave")
    }

    /// The IDs of the events that were the room's state after the first `upto` events, sorted.
    pub(super) fn state(&self, upto: usize) -> Vec<&str> {
        let mut places = BTreeMap::new();
        for event in &self.events[..upto] {
            if let Some(state_key) = event["state_key"].as_str() {
                places.insert((event["type"].as_str().unwrap(), state_key), id(event));
            }
        }
        let mut state: Vec<&str> = places.into_values().collect();
        state.sort_unstable();
        state
    }

    /// How many are in the room now.
    pub(super) fn joined_members(&self) -> usize {
        let state = self.state(self.events.len()).into_iter();
        let members = state.map(|event_id| self.event(event_id));
        let members = members.filter(|event| event["type"] == "m.room.member");
        members
            .filter(|event| event["content"]["membership"] == "join")
            .count()
    }

    pub(super) fn event(&self, event_id: &str) -> &Value {
        let found = self.events.iter().find(|event| id(event) == event_id);
        found.unwrap_or_else(|| panic!("{event_id} is no event of the room"))
    }

    pub(super) fn position(&self, event_id: &str) -> usize {
        let found = self.events.iter().position(|event| id(event) == event_id);
        found.unwrap_or_else(|| panic!("{event_id} is no event of the room"))
    }

    /// Where the replies to an event stand.
    pub(super) fn replies(&self, event_id: &str) -> Vec<usize> {
        let relates = |event: &Value| event["content"]["m.relates_to"]["event_id"] == event_id;
        let all = self.events.iter().enumerate();
        all.filter(|(_, event)| relates(event))
            .map(|(at, _)| at)
            .collect()
    }

    pub(super) fn read_by<'a>(&'a self, user_id: &'a str, forgotten: bool) -> Reader<'a> {
        Reader {
            room: self,
            user_id,
            forgotten,
        }
    }
}

impl Reader<'_> {
    pub(super) fn membership(&self) -> &str {
        self.room.membership(self.room.events.len(), self.user_id)
    }

    /// What they were right after an event.
    pub(super) fn membership_at(&self, at: usize) -> &str {
        self.room.membership(at + 1, self.user_id)
    }

    fn joined_after(&self, at: usize) -> bool {
        let mut later = self.room.events[at..].iter();
        later.any(|event| {
            is_state(event, "m.room.member", self.user_id)
                && event["content"]["membership"] == "join"
        })
    }

    /// "Once they have joined a room, they will gain access to a subset of events in the room."
    pub(super) fn knows_the_room(&self) -> bool {
        !self.forgotten && self.joined_after(0)
    }

    /// The numbered rules, for one visibility and one membership.
    fn rules(&self, at: usize, visibility: &str, membership: &str) -> bool {
        // "In all cases except `world_readable`, a user needs to join a room to view events."
        visibility == "world_readable"
            || (self.knows_the_room()
                && (membership == "join"
                    || (visibility == "shared" && self.joined_after(at + 1))
                    || (visibility == "invited" && membership == "invite")))
    }

    /// Whether the user may see the event at this place of the timeline.
    pub(super) fn sees(&self, at: usize) -> bool {
        let event = &self.room.events[at];
        let (before, after) = (at, at + 1);
        let visibility = self.room.visibility(after);
        let membership = self.room.membership(after, self.user_id);
        if is_state(event, "m.room.history_visibility", "") {
            // "... if the `history_visibility` before or after the event would allow them".
            return self.rules(at, self.room.visibility(before), membership)
                || self.rules(at, visibility, membership);
        }
        if is_state(event, "m.room.member", self.user_id) {
            // "... if their `membership` before or after the event would allow them".
            return self.rules(at, visibility, self.room.membership(before, self.user_id))
                || self.rules(at, visibility, membership);
        }
        self.rules(at, visibility, membership)
    }

    /// How many events had been sent, the last of them included, when the user last ceased to be
    /// joined; all of them if they are joined.
    ///
    /// "If the user has left the room then the state is taken from the state of the room when
    /// they left."
    pub(super) fn departed(&self) -> usize {
        let events = &self.room.events;
        let joined = |upto: usize| self.room.membership(upto, self.user_id) == "join";
        if joined(events.len()) {
            return events.len();
        }
        let last = (1..=events.len()).rev().find(|upto| joined(*upto));
        last.map_or(0, |upto| upto + 1)
    }

    /// Where they came into the room, of those who are in it: after that they were always there.
    pub(super) fn joined_at(&self) -> usize {
        let joined = |upto: &usize| self.room.membership(*upto, self.user_id) == "join";
        let all = (0..=self.room.events.len()).rev();
        all.take_while(joined).last().map_or(0, |upto| upto - 1)
    }

    /// The state that the user may ask for: how many events it is of. `None` for those who may
    /// read nothing of the room as such.
    pub(super) fn state_upto(&self) -> Option<usize> {
        let now = self.room.events.len();
        match self.room.visibility(now) {
            _ if self.knows_the_room() => Some(self.departed()),
            "world_readable" => Some(now),
            _ => None,
        }
    }

    /// The IDs of the events that they may see of those in this range, oldest first.
    pub(super) fn visible(&self, range: std::ops::Range<usize>) -> Vec<&str> {
        range
            .filter(|at| self.sees(*at))
            .map(|at| id(&self.room.events[at]))
            .collect()
    }
}
