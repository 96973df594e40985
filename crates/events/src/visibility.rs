//! Who may see an event: the rules of [history visibility].
//!
//! [history visibility]: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility

use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    OwnedUserId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The rule for one event, from the state of the room at that event.
///
/// `joined_later` is whether the reader joined the room at any point after the event was sent,
/// whatever became of that. A visibility that is not understood counts as `shared`.
#[must_use]
pub fn may_see(
    visibility: &HistoryVisibility,
    membership: &MembershipState,
    joined_later: bool,
) -> bool {
    match (visibility, membership) {
        (HistoryVisibility::WorldReadable, _)
        | (_, MembershipState::Join)
        | (HistoryVisibility::Invited, MembershipState::Invite) => true,
        (HistoryVisibility::Invited | HistoryVisibility::Joined, _) => false,
        // `shared`, and what we do not understand.
        (_, _) => joined_later,
    }
}

/// All a room's history says about what one reader may see of it.
#[derive(Clone, Debug)]
pub struct VisibilityHistory {
    reader: OwnedUserId,
    /// In stream order. Before the first one it is `shared`.
    visibility: Vec<(StreamPosition, HistoryVisibility)>,
    /// In stream order. Before the first one it is `leave`.
    memberships: Vec<(StreamPosition, MembershipState)>,
    last_join: Option<StreamPosition>,
    /// An event that is seen whatever the rules say.
    also: Option<StreamPosition>,
    /// Whether the reader's memberships let them see nothing.
    outside: bool,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct VisibilityField {
    history_visibility: HistoryVisibility,
}

#[derive(Deserialize)]
struct MembershipField {
    membership: MembershipState,
}

impl VisibilityHistory {
    /// Reads the histories of two places in the room's state: its visibility, and the reader's
    /// membership. Both in any order.
    ///
    /// "In all cases except `world_readable`, a user needs to join a room to view events in that
    /// room": who was only ever invited is [outside](Self::from_outside), whatever the invite gives
    /// to those who accept it.
    #[must_use]
    pub fn new(
        reader: &UserId,
        visibility_events: &[StoredEvent],
        member_events: &[StoredEvent],
    ) -> Self {
        let mut visibility: Vec<_> = visibility_events
            .iter()
            .map(|event| {
                let field = content_of::<VisibilityField>(event);
                let value = field.map_or(HistoryVisibility::Shared, |it| it.history_visibility);
                (event.position, value)
            })
            .collect();
        let mut memberships: Vec<_> = member_events
            .iter()
            .map(|event| {
                let field = content_of::<MembershipField>(event);
                (
                    event.position,
                    field.map_or(MembershipState::Leave, |it| it.membership),
                )
            })
            .collect();
        visibility.sort_by_key(|(position, _)| *position);
        memberships.sort_by_key(|(position, _)| *position);
        let last_join = memberships
            .iter()
            .rev()
            .find(|(_, membership)| *membership == MembershipState::Join)
            .map(|(position, _)| *position);
        Self {
            reader: reader.to_owned(),
            visibility,
            memberships,
            last_join,
            also: None,
            outside: last_join.is_none(),
        }
    }

    /// Of a reader who has been joined as long as matters: they may see everything.
    #[must_use]
    pub fn joined(reader: &UserId) -> Self {
        Self {
            reader: reader.to_owned(),
            visibility: Vec::new(),
            memberships: vec![(StreamPosition::START, MembershipState::Join)],
            last_join: Some(StreamPosition::START),
            also: None,
            outside: false,
        }
    }

    /// Lets the reader see the event at `position` too: the member event by which they learn that
    /// they were invited or are no longer in the room, which no rule for the room's history gives
    /// them.
    #[must_use]
    pub fn and_event_at(mut self, position: StreamPosition) -> Self {
        self.also = Some(position);
        self
    }

    /// Lets the reader see only what anybody may: for who was never joined, or has forgotten it.
    #[must_use]
    pub fn from_outside(mut self) -> Self {
        self.outside = true;
        self
    }

    /// Whether the reader was joined at `from` and at every member event from there to `upto`.
    #[must_use]
    pub fn was_joined_throughout(&self, from: StreamPosition, upto: StreamPosition) -> bool {
        *self.membership_at(from) == MembershipState::Join
            && self
                .memberships
                .iter()
                .filter(|(position, _)| *position > from && *position <= upto)
                .all(|(_, membership)| *membership == MembershipState::Join)
    }

    /// Whether the reader was joined at any time up to `upto`.
    #[must_use]
    pub fn has_joined_by(&self, upto: StreamPosition) -> bool {
        self.memberships
            .iter()
            .take_while(|(position, _)| *position <= upto)
            .any(|(_, membership)| *membership == MembershipState::Join)
    }

    /// Since when the reader has been joined without a break, as of `upto`; `None` if they are not.
    #[must_use]
    pub fn joined_since(&self, upto: StreamPosition) -> Option<StreamPosition> {
        let upto = self.memberships.iter().take_while(|(at, _)| *at <= upto);
        upto.fold(None, |since, (at, membership)| match membership {
            MembershipState::Join => since.or(Some(*at)),
            _ => None,
        })
    }

    /// Where the reader last ceased to be joined, as of `upto`; `None` if they are joined there,
    /// or have never been.
    #[must_use]
    pub fn departed_by(&self, upto: StreamPosition) -> Option<StreamPosition> {
        let mut departed = None;
        let mut joined = false;
        for (position, membership) in &self.memberships {
            if *position > upto {
                break;
            }
            let joins = *membership == MembershipState::Join;
            match (joined, joins) {
                (_, true) => departed = None,
                (true, false) => departed = Some(*position),
                (false, false) => {}
            }
            joined = joins;
        }
        departed
    }

    /// Whether the reader may see this event of the room.
    ///
    /// A change of visibility is seen by those whom the old or the new one lets see it; the
    /// reader's own member events by their membership before or after.
    #[must_use]
    pub fn allows(&self, event: &StoredEvent) -> bool {
        let at = event.position;
        if self.also == Some(at) {
            return true;
        }
        let may = |visibility, membership| self.may_see(visibility, membership, at);
        if event.is_state("m.room.history_visibility", "") {
            let membership = self.membership_at(at);
            return may(self.visibility_at(at.before()), membership)
                || may(self.visibility_at(at), membership);
        }
        if event.is_state("m.room.member", self.reader.as_str()) {
            let visibility = self.visibility_at(at);
            return may(visibility, self.membership_at(at.before()))
                || may(visibility, self.membership_at(at));
        }
        may(self.visibility_at(at), self.membership_at(at))
    }

    /// Whether the reader may see the event that the room has at this position, whichever it is:
    /// only at a change of the visibility or of their membership does the state before it matter.
    #[must_use]
    pub fn allows_at(&self, at: StreamPosition) -> bool {
        let by_state_at = |position| {
            let visibility = self.visibility_at(position);
            self.may_see(visibility, self.membership_at(position), at)
        };
        self.also == Some(at) || by_state_at(at) || by_state_at(at.before())
    }

    fn may_see(
        &self,
        visibility: &HistoryVisibility,
        membership: &MembershipState,
        at: StreamPosition,
    ) -> bool {
        if self.outside {
            return may_see(visibility, &MembershipState::Leave, false);
        }
        let joined_later = self.last_join.is_some_and(|joined| joined > at);
        may_see(visibility, membership, joined_later)
    }

    /// The stretches of the room that hold all the reader may see, oldest first and apart from each
    /// other: each from behind its first position up to and with its second.
    ///
    /// At the places where the visibility or the membership changes they may hold an event that
    /// [`Self::allows`] refuses.
    #[must_use]
    pub fn stretches(&self) -> Vec<(StreamPosition, StreamPosition)> {
        let changes = self.visibility.iter().map(|(at, _)| *at);
        let mut changes: Vec<_> = changes
            .chain(self.memberships.iter().map(|(at, _)| *at))
            .chain(self.also)
            .chain([StreamPosition::START])
            .collect();
        changes.sort_unstable();
        changes.dedup();
        let mut stretches: Vec<(StreamPosition, StreamPosition)> = Vec::new();
        for (index, at) in changes.iter().enumerate() {
            let upto = if self.may_see(self.visibility_at(*at), self.membership_at(*at), *at) {
                changes
                    .get(index + 1)
                    .map_or(StreamPosition(i64::MAX), |next| next.before())
            } else {
                *at
            };
            match stretches.last_mut() {
                Some((_, end)) if *end == at.before() => *end = upto,
                _ => stretches.push((at.before(), upto)),
            }
        }
        stretches
    }

    /// The stretches up to `limit` in which the reader may see every event, oldest first and apart
    /// from each other: each from behind its first position up to and with its second.
    ///
    /// Outside of them they may see single events at which the visibility or their membership
    /// changes, for which [`Self::allows`] makes exceptions.
    #[must_use]
    pub fn open_stretches(&self, limit: StreamPosition) -> Vec<(StreamPosition, StreamPosition)> {
        let changes = self.visibility.iter().map(|(at, _)| *at);
        let mut changes: Vec<_> = changes
            .chain(self.memberships.iter().map(|(at, _)| *at))
            .chain([StreamPosition::START])
            .filter(|at| *at <= limit)
            .collect();
        changes.sort_unstable();
        changes.dedup();
        let mut stretches: Vec<(StreamPosition, StreamPosition)> = Vec::new();
        for (index, at) in changes.iter().enumerate() {
            if !self.may_see(self.visibility_at(*at), self.membership_at(*at), *at) {
                continue;
            }
            let next = changes.get(index + 1).map(|next| next.before());
            let upto = next.map_or(limit, |next| next.min(limit));
            match stretches.last_mut() {
                Some((_, end)) if *end == at.before() => *end = upto,
                _ => stretches.push((at.before(), upto)),
            }
        }
        stretches
    }

    /// The reader's membership in the state that the event at `at` left; `leave` before the first.
    #[must_use]
    pub fn membership_at(&self, at: StreamPosition) -> &MembershipState {
        latest(&self.memberships, at).unwrap_or(&MembershipState::Leave)
    }

    /// The room's visibility in the state that the event at `at` left; `shared` before the first.
    #[must_use]
    pub fn visibility_at(&self, at: StreamPosition) -> &HistoryVisibility {
        latest(&self.visibility, at).unwrap_or(&HistoryVisibility::Shared)
    }
}

/// The last value at or before `at`.
fn latest<T>(values: &[(StreamPosition, T)], at: StreamPosition) -> Option<&T> {
    let upto = values.partition_point(|(position, _)| *position <= at);
    values.get(..upto)?.last().map(|(_, value)| value)
}

fn content_of<T: for<'de> Deserialize<'de>>(event: &StoredEvent) -> Option<T> {
    let Content { content } = serde_json::from_slice(&event.json).ok()?;
    serde_json::from_str(content.get()).ok()
}
