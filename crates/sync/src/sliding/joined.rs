//! A joined room with something new in it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use greenroom_events::VisibilityHistory;
use greenroom_model::{PageToken, StateKey, StreamPosition};
use greenroom_stream::UnreadCount;
use ruma::{OwnedEventId, OwnedUserId, RoomId, events::room::member::MembershipState};
use serde::Deserialize;

use super::{
    account::UserData,
    answer::{Hero, RoomAnswer},
    ephemeral::{Shown, ShownTimelines},
    facts::content,
    reading::{RoomRead, Sliding},
    required::Required,
    scope::Scoped,
    told::{Delta, Epoch, Kind, Print, Said, Sent},
};
use crate::{
    SyncError,
    index::{BUMP_TYPES, Member, Room, TailEvent, Whole},
    sections::{Timeline, newest_state, tails},
};

const MEMBER: &str = "m.room.member";

/// How many of a room's last events are looked at for one that a room list goes by.
const LOOK_AT: u64 = 500;

/// Whose member event this is, if it is one.
fn member_of(tail: &TailEvent) -> Option<&str> {
    let event = &tail.event;
    let state_key = event.state_key.as_deref()?;
    (event.event_type == MEMBER).then_some(state_key)
}

/// A stretch of a room for an answer.
struct Stretch {
    timeline: Timeline,
    history: Arc<VisibilityHistory>,
    /// Whether it begins with events that the client may have.
    is_expanded: bool,
    /// As [`Sent::shown`].
    shown: u32,
    /// The events that are new, if there is no gap before them.
    new: Option<Timeline>,
}

fn length(timeline: &Timeline) -> u32 {
    u32::try_from(timeline.events.len()).unwrap_or(u32::MAX)
}

/// How many of the last events a client has after a timeline that stands by itself.
fn shown_by(timeline: &Timeline, limit: u32) -> u32 {
    match timeline.limited {
        true => length(timeline).max(limit),
        false => u32::MAX,
    }
}

impl Sliding<'_> {
    /// Reads a joined room.
    pub(super) async fn joined(
        &self,
        scoped: &Scoped,
        room: &Arc<Room>,
        sent: Option<&Sent>,
        data: &UserData,
        delta: &mut Delta,
        shown: &mut ShownTimelines,
    ) -> Result<RoomRead, SyncError> {
        let listed = &scoped.listed;
        let upto = self.upto.position;
        let sent = self.continued(scoped, room, sent).await?;
        let stretch = self.stretch(scoped, room, sent).await?;
        let after = sent.map_or(StreamPosition::START, |sent| sent.upto);
        let is_news = sent.is_none() || room.newest_event() > after;
        let (state, members_since) = self.state(scoped, room, sent, &stretch, delta).await?;
        let mut said = sent.map(|sent| sent.said).unwrap_or_default();
        let mut answer = RoomAnswer::default();
        if is_news {
            said = self
                .say(room, sent.map(|sent| &sent.said), &mut answer)
                .await?;
        }
        let reading = self.like_sync(None, scoped.config.limit);
        if is_news || sent.is_some_and(|sent| room.newest_receipt() > sent.counted) {
            // Threads among it: there is no extension that would tell of them apart.
            said.unread = reading.unread(room, listed.joined_since).await?.room;
        }
        said.is_direct = data.direct.contains(&listed.room_id);
        let was_direct = sent.is_some_and(|sent| sent.said.is_direct);
        answer.is_dm = (said.is_direct != was_direct).then_some(said.is_direct);
        let timeline = &stretch.timeline;
        let before = sent.map(|sent| Said {
            bump_stamp: said.bump_stamp,
            ..sent.said
        });
        // Where only the place in a list has changed, there was nothing to be seen.
        let is_silent = timeline.events.is_empty()
            && !timeline.limited
            && state.is_empty()
            && before == Some(said);
        if let Some(sent) = sent.filter(|_| is_silent) {
            said = sent.said;
        }
        let record = Sent {
            kind: Kind::Joined,
            upto,
            required: Arc::downgrade(&scoped.config.required),
            shown: stretch.shown,
            members_since,
            receipts: sent.map(|sent| sent.receipts).unwrap_or_default(),
            counted: upto,
            has_account_data: sent.is_some_and(|sent| sent.has_account_data),
            said,
        };
        if is_silent {
            return Ok((None, record));
        }
        // Also where it has not changed: clients take a room without counts for one that is read.
        answer.unread = Some(said.unread.into());
        answer.initial = sent.is_none();
        answer.membership = sent.is_none().then_some(MembershipState::Join);
        answer.expanded_timeline = stretch.is_expanded;
        answer.required_state = reading.render_tail(&state, &stretch.history).await?;
        answer.timeline = reading.render_timeline(timeline, &stretch.history).await?;
        answer.limited = timeline.limited;
        answer.prev_batch = Some(self.page(&listed.room_id, timeline.start));
        answer.num_live = Some(self.live(timeline));
        if stretch.is_expanded || sent.is_none() {
            let events = timeline.events.iter();
            let events: HashSet<OwnedEventId> =
                events.map(|tail| tail.event.event_id.clone()).collect();
            let start = timeline.start;
            shown.insert(listed.key, Shown { start, events });
        }
        Ok((Some(answer), record))
    }

    /// What was sent of the room, if the user has been in it since.
    async fn continued<'s>(
        &self,
        scoped: &Scoped,
        room: &Room,
        sent: Option<&'s Sent>,
    ) -> Result<Option<&'s Sent>, SyncError> {
        let Some(sent) = sent.filter(|sent| sent.kind == Kind::Joined) else {
            return Ok(None);
        };
        let joined_since = scoped.listed.joined_since;
        if joined_since <= sent.upto {
            return Ok(Some(sent));
        }
        // Memory may only know the member event of a changed name.
        let history = self.like_sync(None, 0).history(room, joined_since).await?;
        let stayed = history.was_joined_throughout(sent.upto, self.upto.position);
        Ok(stayed.then_some(sent))
    }

    /// The events for an answer.
    async fn stretch(
        &self,
        scoped: &Scoped,
        room: &Room,
        sent: Option<&Sent>,
    ) -> Result<Stretch, SyncError> {
        let room_id = &scoped.listed.room_id;
        let joined_since = scoped.listed.joined_since;
        let (limit, upto) = (scoped.config.limit, self.upto.position);
        let mut new = None;
        if let Some(sent) = sent {
            let reading = self.like_sync(Some(sent.upto), limit);
            let history = reading.history(room, joined_since).await?;
            let timeline = match room.newest_event() > sent.upto {
                true => {
                    reading
                        .timeline(room_id, Some(room), sent.upto, upto, &history)
                        .await?
                }
                false => Timeline {
                    events: Vec::new(),
                    limited: false,
                    start: upto,
                },
            };
            let shown = match timeline.limited {
                true => shown_by(&timeline, limit),
                false => sent.shown.saturating_add(length(&timeline)),
            };
            if shown >= limit {
                let new = (!timeline.limited && limit > 0).then(|| timeline.clone());
                return Ok(Stretch {
                    timeline,
                    history,
                    is_expanded: false,
                    shown,
                    new,
                });
            }
            new = Some(timeline);
        }
        // By itself, with all that the user may see: also what was before they came.
        let reading = self.like_sync(None, limit);
        let history = reading.history(room, joined_since).await?;
        let timeline = reading
            .timeline(room_id, Some(room), StreamPosition::START, upto, &history)
            .await?;
        let shown = shown_by(&timeline, limit);
        let is_expanded = sent.is_some_and(|sent| {
            let first = timeline.events.first();
            first.is_some_and(|first| first.event.position <= sent.upto)
        });
        if !is_expanded && let Some(new) = new {
            // There is nothing older to be seen.
            return Ok(Stretch {
                timeline: new.clone(),
                history,
                is_expanded,
                shown,
                new: Some(new),
            });
        }
        Ok(Stretch {
            timeline,
            history,
            is_expanded,
            shown,
            new,
        })
    }

    /// The state events for an answer, and since when members hold that were sent.
    async fn state(
        &self,
        scoped: &Scoped,
        room: &Room,
        sent: Option<&Sent>,
        stretch: &Stretch,
        delta: &mut Delta,
    ) -> Result<(Vec<Arc<TailEvent>>, Epoch), SyncError> {
        let required = &*scoped.config.required;
        let upto = self.upto.position;
        let known = sent.and_then(|sent| sent.required.upgrade());
        let mut state = match sent {
            None => self.required_now(room, required).await?,
            Some(sent) => {
                let mut state = self.changed(room, sent, required, stretch).await?;
                let is_known = known
                    .as_ref()
                    .is_some_and(|known| required.is_within(known));
                if !is_known {
                    let mut more = self.required_now(room, required).await?;
                    let was_wanted = |tail: &TailEvent| {
                        known.as_ref().is_some_and(|known| known.wants(&tail.event))
                    };
                    let sent: HashSet<_> = state
                        .iter()
                        .map(|tail| tail.event.event_id.clone())
                        .collect();
                    more.retain(|it| !was_wanted(it) && !sent.contains(&it.event.event_id));
                    state.extend(more);
                }
                state
            }
        };
        let mut members_since = sent.map(|sent| sent.members_since).unwrap_or_default();
        if required.is_lazy() {
            // Over a gap, changes of members are not told: those that the client has may be old.
            let was_lazy = known.is_some_and(|known| known.is_lazy());
            if !was_lazy || stretch.timeline.limited {
                members_since = members_since.next(self.base.number(), upto);
            }
            self.add_members(room, members_since, &stretch.timeline, &mut state, delta)
                .await?;
        }
        state.sort_by_key(|tail| tail.event.position);
        Ok((state, members_since))
    }

    /// What changed of the state that is wanted since the room was sent.
    async fn changed(
        &self,
        room: &Room,
        sent: &Sent,
        required: &Required,
        stretch: &Stretch,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let upto = self.upto.position;
        if room.newest_event() <= sent.upto {
            return Ok(Vec::new());
        }
        let mut state = if let Some(new) = &stretch.new {
            newest_state(new)
        } else {
            let store = &self.service.parts.state;
            tails(store.state_changes(&room.room_id, sent.upto, upto).await?)
        };
        let all_members = required.is_lazy() && !stretch.timeline.limited;
        state
            .retain(|tail| required.wants(&tail.event) || all_members && member_of(tail).is_some());
        Ok(state)
    }

    /// The state that is wanted, as it is at the end of the reading.
    async fn required_now(
        &self,
        room: &Room,
        required: &Required,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let upto = self.upto.position;
        let state = &self.service.parts.state;
        let all_members = required.wants_all_members();
        let whole = match all_members {
            true => Whole::State,
            false => Whole::StateWithoutMembers,
        };
        let mut found = match (room.state(whole, upto), required.places()) {
            (None, Some(places)) => {
                let found = state.state_entries_at(&room.room_id, upto, places).await?;
                return Ok(tails(found));
            }
            (Some(found), _) => found,
            (None, None) => {
                let reading = self.like_sync(None, 0);
                let room_id = &room.room_id;
                reading
                    .whole_state(room_id, Some(room), !all_members, upto, upto)
                    .await?
            }
        };
        if !all_members {
            let members = required.members();
            let members = state.state_entries_at(&room.room_id, upto, members).await?;
            found.extend(tails(members));
        }
        found.retain(|tail| required.wants(&tail.event));
        Ok(found)
    }

    /// Adds the member events of those who speak in a timeline, or whom it is about, unless the
    /// client has them.
    async fn add_members(
        &self,
        room: &Room,
        since: Epoch,
        timeline: &Timeline,
        state: &mut Vec<Arc<TailEvent>>,
        delta: &mut Delta,
    ) -> Result<(), SyncError> {
        let member = |user: &str| since.member(&room.room_id, user);
        let known = delta.elsewhere.members.clone();
        let senders = timeline
            .events
            .iter()
            .map(|tail| tail.event.sender.as_str());
        let targets = timeline.events.iter().filter_map(|tail| member_of(tail));
        let mut needed: BTreeSet<&str> = senders
            .chain(targets)
            .filter(|user| !known.has(member(user)))
            .collect();
        for user in state.iter().filter_map(|tail| member_of(tail)) {
            needed.remove(user);
        }
        let keys: Vec<StateKey> = needed
            .into_iter()
            .map(|user| (MEMBER.to_owned(), user.to_owned()))
            .collect();
        let store = &self.service.parts.state;
        let upto = self.upto.position;
        let found = store.state_entries_at(&room.room_id, upto, keys).await?;
        state.extend(tails(found));
        let told = state.iter().filter_map(|tail| member_of(tail));
        let told: Vec<Member> = told.map(member).filter(|it| !known.has(*it)).collect();
        delta.elsewhere.members = known.and(told);
        Ok(())
    }

    /// Says of a room what has changed beside its events.
    async fn say(
        &self,
        room: &Room,
        before: Option<&Said>,
        answer: &mut RoomAnswer,
    ) -> Result<Said, SyncError> {
        let identity = self.identity_of_joined(room).await?;
        let summary = self.like_sync(None, 0).summary(room).await?;
        let heroes = match &summary.heroes {
            Some(heroes) => Some(self.heroes(room, heroes).await?),
            None => None,
        };
        let now = Said {
            name: Print::of(identity.name.as_deref()),
            avatar: Print::of(identity.avatar_url.as_deref()),
            heroes: Print::of(heroes.as_ref()),
            joined: summary.joined_member_count,
            invited: summary.invited_member_count,
            bump_stamp: self.bump_stamp(room).await?.0,
            is_direct: false,
            unread: UnreadCount::default(),
        };
        let is_new = before.is_none();
        let then = before.copied().unwrap_or_default();
        if then.name != now.name {
            answer.name = Some(identity.name.clone());
        }
        if then.avatar != now.avatar {
            answer.avatar = Some(identity.avatar_url.clone());
        }
        if then.heroes != now.heroes {
            answer.heroes = heroes;
        }
        let changed = |then: u64, now: u64| (is_new || then != now).then_some(now);
        answer.joined_count = changed(then.joined, now.joined);
        answer.invited_count = changed(then.invited, now.invited);
        answer.bump_stamp = (is_new || then.bump_stamp != now.bump_stamp).then_some(now.bump_stamp);
        Ok(now)
    }

    /// Members to name a room after, as they are called in it.
    async fn heroes(&self, room: &Room, heroes: &[OwnedUserId]) -> Result<Arc<[Hero]>, SyncError> {
        #[derive(Default, Deserialize)]
        struct Names {
            displayname: Option<String>,
            avatar_url: Option<String>,
        }
        let (room_id, upto) = (&room.room_id, self.upto.position);
        let (facts, edition) = (&self.user.facts, room.edition_at(upto));
        if let Some(known) = edition.and_then(|edition| facts.heroes(room_id, edition)) {
            return Ok(known);
        }
        let keys = heroes.iter();
        let keys = keys.map(|user| (MEMBER.to_owned(), user.to_string()));
        let state = &self.service.parts.state;
        let events = state
            .state_entries_at(room_id, upto, keys.collect())
            .await?;
        let hero = |user_id: &OwnedUserId| {
            let is_theirs = |event: &&greenroom_model::StoredEvent| {
                event.state_key.as_deref() == Some(user_id.as_str())
            };
            let names = events.iter().find(is_theirs).and_then(content::<Names>);
            let Names {
                displayname,
                avatar_url,
            } = names.unwrap_or_default();
            Hero {
                user_id: user_id.clone(),
                displayname,
                avatar_url,
            }
        };
        let heroes: Arc<[Hero]> = heroes.iter().map(hero).collect();
        if let Some(edition) = edition.filter(|edition| room.edition() == *edition) {
            facts.keep_heroes(room_id, edition, Arc::clone(&heroes));
        }
        Ok(heroes)
    }

    /// Where the last event stands that a room list goes by.
    async fn bump_stamp(&self, room: &Room) -> Result<StreamPosition, SyncError> {
        let upto = self.upto.position;
        let known = if let Some(known) = room.newest_bump() {
            known
        } else {
            let store = &self.service.parts.sliding;
            let newest = store
                .newest_of_types(&room.room_id, BUMP_TYPES, LOOK_AT)
                .await?;
            let newest = newest.unwrap_or_default();
            room.bump(newest);
            room.newest_bump().unwrap_or(newest)
        };
        if known <= upto {
            return Ok(known);
        }
        // It is of a moment after the answer.
        let before = room.newest_events(upto);
        let mut before = before.iter().rev().map(|tail| &tail.event);
        let bump = before.find(|event| BUMP_TYPES.contains(&&*event.event_type));
        Ok(bump.map_or(upto, |event| event.position))
    }

    /// How many events at the end of a timeline came since the answer before.
    pub(super) fn live(&self, timeline: &Timeline) -> u64 {
        if self.base.is_fresh() {
            return 0;
        }
        let before = self.base.told.position;
        let events = timeline.events.iter().rev();
        events
            .take_while(|tail| tail.event.position > before)
            .count() as u64
    }

    /// Where to page back from.
    pub(super) fn page(&self, room_id: &RoomId, start: StreamPosition) -> String {
        let tokens = &self.service.parts.tokens;
        let token = PageToken { position: start };
        tokens.page(&self.user.user_id, room_id, token)
    }
}
