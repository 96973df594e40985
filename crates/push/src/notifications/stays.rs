//! Where in a room a user was notified.

use greenroom_events::VisibilityHistory;
use greenroom_model::StreamPosition;
use ruma::events::room::member::MembershipState;

/// A part of a room: from behind its first position up to and with its second.
pub(super) type Stretch = (StreamPosition, StreamPosition);

/// The stretches of a room that a user was joined in, and the changes of their membership by
/// themselves: nothing else notifies them.
pub(super) fn stays(
    history: &VisibilityHistory,
    changes: impl Iterator<Item = StreamPosition>,
) -> Vec<Stretch> {
    let mut stays: Vec<Stretch> = Vec::new();
    let mut changes = changes.peekable();
    while let Some(at) = changes.next() {
        let upto = match *history.membership_at(at) == MembershipState::Join {
            true => changes
                .peek()
                .map_or(StreamPosition(i64::MAX), |next| next.before()),
            false => at,
        };
        match stays.last_mut() {
            Some((_, end)) if *end == at.before() => *end = upto,
            _ => stays.push((at.before(), upto)),
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use greenroom_model::StoredEvent;
    use ruma::{MilliSecondsSinceUnixEpoch, UInt, event_id, room_id, user_id};
    use serde_json::json;

    use super::*;

    fn member(at: i64, membership: &str) -> StoredEvent {
        let json = json!({"content": {"membership": membership}}).to_string();
        StoredEvent {
            position: StreamPosition(at),
            event_id: event_id!("$event").to_owned(),
            room_id: room_id!("!room:localhost").to_owned(),
            event_type: "m.room.member".to_owned(),
            state_key: Some("@alice:localhost".to_owned()),
            sender: user_id!("@alice:localhost").to_owned(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::from(0_u32)),
            json: Arc::from(json.as_bytes()),
            redacted_by: None,
            replaces_state: None,
            transaction: None,
        }
    }

    #[test]
    fn only_where_the_user_was_there_a_room_is_read() {
        let of = |changes: &[(i64, &str)]| {
            let events: Vec<_> = changes
                .iter()
                .map(|(at, membership)| member(*at, membership))
                .collect();
            let history = VisibilityHistory::new(user_id!("@alice:localhost"), &[], &events);
            let stays = stays(&history, events.iter().map(|event| event.position));
            stays
                .into_iter()
                .map(|(after, upto)| (after.0, upto.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[(1000, "join")]), [(999, i64::MAX)]);
        assert_eq!(
            of(&[
                (5, "invite"),
                (9, "join"),
                (20, "join"),
                (30, "leave"),
                (90, "join")
            ]),
            [(4, 5), (8, 30), (89, i64::MAX)]
        );
    }
}
