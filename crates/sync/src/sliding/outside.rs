//! Rooms that the user is not in: invites and knocks, and those they have left or were removed
//! from.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use greenroom_model::StreamPosition;
use greenroom_storage::RoomMembership;
use ruma::events::room::member::MembershipState;

use super::{
    answer::RoomAnswer,
    order::{Gone, Listed},
    reading::{RoomRead, Sliding},
    scope::Scoped,
    told::{Kind, RoomKey, Said, Sent},
};
use crate::{
    SyncError,
    index::{Standing, TailEvent},
    sections::{Timeline, tails},
};

const MEMBER: &str = "m.room.member";

/// How many rooms that somebody was kicked or banned from a new connection is told of, at most, of
/// either kind.
const REMOVED: u64 = 100;

/// How the user left a room.
struct Left {
    /// Where they ceased to be joined, if that is news.
    departed: Option<StreamPosition>,
    /// Whether the client has the room up to `after`.
    was_in: bool,
    after: StreamPosition,
}

impl Listed {
    fn of_gone(row: &RoomMembership, departed: Option<StreamPosition>) -> Self {
        let standing = Standing {
            membership: row.membership.clone(),
            position: row.position,
            joined_since: row.position,
            sender: row.sender.clone(),
            room: None,
        };
        Self {
            departed,
            forgotten: row.forgotten,
            ..Self::new(&row.room_id, &standing)
        }
    }
}

impl Sliding<'_> {
    /// The rooms that the user is no longer in and that belong to their lists all the same: those
    /// that the client has been told of, and those that somebody has removed the user from.
    pub(super) async fn gone_rooms(&self) -> Result<Gone, SyncError> {
        if self.base.is_fresh() {
            return self.removed_rooms().await;
        }
        let told = &self.base.told;
        let known = &told.elsewhere.gone;
        if self.user.newest_membership() <= told.position {
            return Ok(Arc::clone(known));
        }
        let (after, upto) = (told.position, self.upto.position);
        let (user_id, members) = (&self.user.user_id, &self.service.parts.members);
        let mut rows = members.left_rooms(user_id, after, upto).await?;
        rows.extend(members.forgotten_rooms(user_id, after, upto).await?);
        let mut gone = Vec::new();
        for row in rows {
            let departed = self.departed(&row).await?;
            let is_told = told.rooms.contains_key(&RoomKey::new(&row.room_id));
            let was_removed = row.sender != *user_id && !row.forgotten && departed.is_some();
            if is_told || was_removed {
                gone.push(Arc::new(Listed::of_gone(&row, departed)));
            }
        }
        let is_newer = |it: &Listed| gone.iter().any(|gone| gone.room_id == it.room_id);
        let stay: Vec<_> = known
            .iter()
            .filter(|it| !is_newer(it) && !self.rooms.by_key.contains_key(&it.key))
            // A forgotten room is told of once.
            .filter(|it| !it.forgotten || !self.is_told(it))
            .cloned()
            .collect();
        gone.extend(stay);
        gone.sort_by_key(|it| Reverse(it.position));
        Ok(gone.into())
    }

    fn is_told(&self, listed: &Listed) -> bool {
        let sent = self.base.told.rooms.get(&listed.key);
        sent.is_some_and(|sent| sent.kind == Kind::Gone && sent.upto >= listed.position)
    }

    /// Where the user ceased to be joined, if they ever were.
    async fn departed(&self, row: &RoomMembership) -> Result<Option<StreamPosition>, SyncError> {
        let reading = self.like_sync(None, 0);
        let history = reading.full_history(&row.room_id).await?;
        Ok(history.departed_by(row.position))
    }

    /// The rooms that somebody has removed the user from who was in them.
    async fn removed_rooms(&self) -> Result<Gone, SyncError> {
        let removed = &self.user.sliding.removed;
        let memberships = self.user.newest_membership();
        if let Some((known, rooms)) = &*removed.lock()
            && *known == memberships
        {
            return Ok(Arc::clone(rooms));
        }
        let store = &self.service.parts.sliding;
        let rows = store.removed_rooms(&self.user.user_id, REMOVED).await?;
        let mut rooms = Vec::new();
        for row in rows {
            let departed = self.departed(&row).await?;
            if departed.is_some() && row.position <= self.upto.position {
                rooms.push(Arc::new(Listed::of_gone(&row, departed)));
            }
        }
        let rooms: Gone = rooms.into();
        if self.user.newest_membership() <= self.upto.position {
            *removed.lock() = Some((memberships, Arc::clone(&rooms)));
        }
        Ok(rooms)
    }

    /// What was sent of a room that the user is not in.
    fn sent_outside(scoped: &Scoped, sent: Option<&Sent>, kind: Kind) -> Sent {
        Sent {
            kind,
            upto: scoped.listed.position,
            required: Arc::downgrade(&scoped.config.required),
            shown: u32::MAX,
            has_account_data: sent.is_some_and(|sent| sent.has_account_data),
            said: Said {
                bump_stamp: scoped.listed.position.0,
                ..Said::default()
            },
            ..Sent::default()
        }
    }

    /// A room that the user is invited to or knocks on.
    pub(super) async fn outside(
        &self,
        scoped: &Scoped,
        sent: Option<&Sent>,
    ) -> Result<RoomRead, SyncError> {
        let listed = &scoped.listed;
        let standing = Standing {
            membership: listed.membership.clone(),
            position: listed.position,
            joined_since: listed.joined_since,
            sender: listed.sender.clone(),
            room: None,
        };
        let reading = self.like_sync(None, 0);
        let stripped = reading.stripped_state(&listed.room_id, &standing).await?;
        let answer = RoomAnswer {
            initial: true,
            membership: Some(listed.membership.clone()),
            invite_state: Some(stripped.events),
            bump_stamp: Some(listed.position.0),
            ..RoomAnswer::default()
        };
        let sent = Self::sent_outside(scoped, sent, Kind::Outside);
        Ok((Some(answer), sent))
    }

    /// A room that the user is no longer in: up to where they left.
    pub(super) async fn gone(
        &self,
        scoped: &Scoped,
        sent: Option<&Sent>,
    ) -> Result<RoomRead, SyncError> {
        let listed = &scoped.listed;
        let (room_id, left_at) = (&listed.room_id, listed.position);
        let after = sent.map_or(StreamPosition::START, |sent| sent.upto);
        let reading = self.like_sync(Some(after), scoped.config.limit);
        let history = reading.full_history(room_id).await?.and_event_at(left_at);
        let was_in = sent.is_some_and(|sent| sent.kind == Kind::Joined)
            && *history.membership_at(after) == MembershipState::Join;
        // Who declined an invite knows nothing of the room but that, even if they were in it once.
        let departed = listed
            .departed
            .filter(|departed| !listed.forgotten && *departed > after);
        let lower = match departed {
            Some(_) if was_in => after,
            Some(_) => StreamPosition::START,
            None => left_at.before(),
        };
        let timeline = reading
            .timeline(room_id, None, lower, left_at, &history)
            .await?;
        let left = Left {
            departed,
            was_in,
            after,
        };
        let state = self.state_until(scoped, &left, &timeline).await?;
        let is_new = sent.is_none_or(|sent| sent.kind != Kind::Gone) && !was_in;
        let mut answer = RoomAnswer {
            initial: is_new,
            membership: Some(listed.membership.clone()),
            bump_stamp: Some(left_at.0),
            limited: timeline.limited,
            prev_batch: Some(self.page(room_id, timeline.start)),
            num_live: Some(self.live(&timeline)),
            required_state: reading.render_tail(&state, &history).await?,
            timeline: reading.render_timeline(&timeline, &history).await?,
            ..RoomAnswer::default()
        };
        if is_new && departed.is_some() {
            let identity = self.identity_of_other(listed).await?;
            answer.name = identity.name.clone().map(Some);
            answer.avatar = identity.avatar_url.clone().map(Some);
        }
        let sent = Self::sent_outside(scoped, sent, Kind::Gone);
        Ok((Some(answer), sent))
    }

    /// The state that is wanted of a room that the user has left: up to where they did, and the
    /// event by which they are not in it.
    async fn state_until(
        &self,
        scoped: &Scoped,
        left: &Left,
        timeline: &Timeline,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let listed = &scoped.listed;
        let (room_id, left_at) = (&listed.room_id, listed.position);
        let required = &scoped.config.required;
        let me = self.user.user_id.as_str();
        let store = &self.service.parts.state;
        let mut state = match left.departed {
            Some(departed) if left.was_in => {
                tails(store.state_changes(room_id, left.after, departed).await?)
            }
            Some(departed) => {
                let reading = self.like_sync(None, 0);
                let lazy = !required.wants_all_members();
                reading
                    .whole_state(room_id, None, lazy, departed, departed)
                    .await?
            }
            None => Vec::new(),
        };
        let is_own = |tail: &Arc<TailEvent>| tail.event.is_state(MEMBER, me);
        state.retain(|tail| required.wants(&tail.event) && !is_own(tail));
        if let Some(departed) = left.departed
            && required.is_lazy()
        {
            let members: BTreeSet<String> = timeline
                .events
                .iter()
                .map(|tail| tail.event.sender.to_string())
                .filter(|user| user != me)
                .collect();
            let members = members.into_iter().map(|user| (MEMBER.to_owned(), user));
            let members = store
                .state_entries_at(room_id, departed, members.collect())
                .await?;
            let has = |event_id: &ruma::EventId| {
                state.iter().any(|tail| &*tail.event.event_id == event_id)
            };
            let members: Vec<_> = tails(members)
                .into_iter()
                .filter(|tail| !has(&tail.event.event_id))
                .collect();
            state.extend(members);
        }
        let own = vec![(MEMBER.to_owned(), me.to_owned())];
        let own = store.state_entries_at(room_id, left_at, own).await?;
        state.extend(tails(own));
        Ok(state)
    }
}
