//! What a judge has to know beside the event.

use std::sync::Arc;

use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{RoomId, UserId};

use crate::{
    PushError,
    event::Candidate,
    judge::{Judge, Verdict},
    rooms::{NEWEST, RoomNow},
    service::Inner,
};

/// What a judge has to know beside the event: the room and the user's name in it as they are. For
/// events that were sent before they became so it is read what was then.
pub(crate) struct Court {
    room: Arc<RoomNow>,
    /// Asked for only where a rule wants it.
    name: Option<NameSince>,
}

/// A user's display name in a room, and the event that set it.
struct NameSince {
    since: StreamPosition,
    display_name: Option<String>,
}

impl Inner {
    /// What is to be known of a room to judge what has been sent to it so far.
    pub(crate) async fn court(
        &self,
        user_id: &UserId,
        judge: &Judge,
        room_id: &RoomId,
    ) -> Result<Court, PushError> {
        let room = self.rooms.now(room_id).await?;
        let name = match judge.asks_display_name() {
            true => Some(self.name_at(user_id, room_id, NEWEST).await?),
            false => None,
        };
        Ok(Court { room, name })
    }

    async fn name_at(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        at: StreamPosition,
    ) -> Result<NameSince, PushError> {
        let place = ("m.room.member".to_owned(), user_id.to_string());
        let state = &self.parts.state;
        let member = state.state_entries_at(room_id, at, vec![place]).await?;
        let member = member.first();
        Ok(NameSince {
            since: member.map(|event| event.position).unwrap_or_default(),
            display_name: member.and_then(display_name),
        })
    }

    pub(crate) async fn judge(
        &self,
        judge: &Judge,
        court: &Court,
        event: &Arc<StoredEvent>,
    ) -> Result<Option<Arc<Verdict>>, PushError> {
        self.judgments.increment(1);
        let candidate = self.candidates.get(&event.position).unwrap_or_else(|| {
            let candidate = Arc::new(Candidate::new(Arc::clone(event)));
            self.candidates
                .insert(event.position, Arc::clone(&candidate));
            candidate
        });
        let (room_id, at) = (&event.room_id, event.position);
        let before;
        let name = match &court.name {
            // A judge that asks for it may be of rules that have changed meanwhile.
            None if judge.asks_display_name() => {
                before = self.name_at(judge.user_id(), room_id, at).await?;
                Some(&before)
            }
            Some(name) if name.since > at => {
                before = self.name_at(judge.user_id(), room_id, at).await?;
                Some(&before)
            }
            name => name.as_ref(),
        };
        let name = name.and_then(|name| name.display_name.as_deref());
        let now = &court.room.powerless;
        let then;
        let room = if !judge.asks_power(&candidate, now, name) {
            now
        } else if let Some(same) = self.rooms.with_power(&court.room, room_id, at).await? {
            same
        } else {
            let (power, _) = self.rooms.power_at(room_id, at).await?;
            then = now.with(power);
            &then
        };
        Ok(judge.judge(&candidate, room, name).cloned())
    }
}

fn display_name(member: &StoredEvent) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Content {
        displayname: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Pdu {
        content: Content,
    }
    let pdu: Pdu = serde_json::from_slice(&member.json).ok()?;
    pdu.content.displayname
}
