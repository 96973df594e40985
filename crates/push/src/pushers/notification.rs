//! What a gateway is told: [`POST /_matrix/push/v1/notify`].
//!
//! [`POST /_matrix/push/v1/notify`]: https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify

use bytes::Bytes;
use greenroom_model::StoredEvent;
use greenroom_storage::Pusher;
use ruma::{
    OwnedRoomAliasId, SecondsSinceUnixEpoch, UInt,
    api::push_gateway::send_event_notification::v1::{
        Device, Notification, NotificationCounts, NotificationPriority, PusherData as DeviceData,
    },
    push::{Action, HighlightTweakValue, HttpPusherData, Tweak},
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use crate::Verdict;

#[derive(Serialize)]
struct Body<N> {
    notification: N,
}

#[derive(Deserialize)]
struct Pdu<C> {
    content: C,
}

#[derive(Deserialize)]
struct Names {
    displayname: Option<String>,
    name: Option<String>,
    alias: Option<OwnedRoomAliasId>,
}

/// How people call the room and the sender of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventNames {
    sender: Option<String>,
    room: Option<String>,
    alias: Option<OwnedRoomAliasId>,
}

impl EventNames {
    /// Reads them from events of the room's state: its name, its canonical alias, and the sender's
    /// membership. Others are passed over.
    pub(super) fn new(state: &[StoredEvent]) -> Self {
        let mut names = Self::default();
        for event in state {
            let Ok(Pdu { content }) = serde_json::from_slice::<Pdu<Names>>(&event.json) else {
                continue;
            };
            match event.event_type.as_str() {
                "m.room.member" => names.sender = content.displayname,
                "m.room.name" => names.room = content.name.filter(|name| !name.is_empty()),
                "m.room.canonical_alias" => names.alias = content.alias,
                _ => {}
            }
        }
        names
    }
}

/// A count as JSON takes it.
fn count(number: u64) -> UInt {
    UInt::new_saturating(number)
}

fn device(pusher: &Pusher) -> Device {
    let mut device = Device::new(pusher.id.app_id.clone(), pusher.id.pushkey.clone());
    device.pushkey_ts = Some(SecondsSinceUnixEpoch(count(pusher.set_ts_ms / 1000)));
    device.data = serde_json::from_str::<HttpPusherData>(pusher.data.get())
        .map(DeviceData::from)
        .unwrap_or_default();
    device
}

fn body(notification: impl Serialize) -> Bytes {
    // Neither has keys that are no text, so both always serialize.
    serde_json::to_vec(&Body { notification })
        .unwrap_or_default()
        .into()
}

/// What wakes a device at once: what makes a sound, what is highlighted, and what only the device
/// can tell, because it is encrypted.
fn priority(event: &StoredEvent, tweaks: &[Tweak]) -> NotificationPriority {
    let rouses = |tweak: &Tweak| {
        matches!(
            tweak,
            Tweak::Sound(_) | Tweak::Highlight(HighlightTweakValue::Yes)
        )
    };
    match event.event_type == "m.room.encrypted" || tweaks.iter().any(rouses) {
        true => NotificationPriority::High,
        false => NotificationPriority::Low,
    }
}

/// Tells of an event: its ID and where it is, and all about it if `names` are given.
pub(super) fn of_event(
    pusher: &Pusher,
    event: &StoredEvent,
    verdict: &Verdict,
    names: Option<EventNames>,
    unread: u64,
) -> Bytes {
    let tweaks: Vec<Tweak> = verdict
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::SetTweak(tweak) => Some(tweak.clone()),
            _ => None,
        })
        .collect();
    let mut device = device(pusher);
    let mut notification = Notification::default();
    notification.event_id = Some(event.event_id.clone());
    notification.room_id = Some(event.room_id.clone());
    notification.prio = priority(event, &tweaks);
    notification.counts = NotificationCounts::new(count(unread), count(0));
    if let Some(names) = names {
        notification.event_type = Some(event.event_type.as_str().into());
        notification.sender = Some(event.sender.clone());
        notification.sender_display_name = names.sender;
        notification.room_name = names.room;
        notification.room_alias = names.alias;
        notification.user_is_target = event.is_state("m.room.member", pusher.id.user_id.as_str());
        notification.content = serde_json::from_slice::<Pdu<Box<RawValue>>>(&event.json)
            .ok()
            .map(|pdu| pdu.content);
        device.tweaks = tweaks;
    }
    notification.devices = vec![device];
    body(notification)
}

/// Tells how many messages are unread, and nothing else.
///
/// "Counts whose value is zero should be omitted", but here the zero is the message: gateways that
/// are in use leave the badge as it is where they find no number.
pub(super) fn of_unread(pusher: &Pusher, unread: u64) -> Bytes {
    body(json!({
        "counts": { "unread": count(unread) },
        "devices": [device(pusher)],
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use greenroom_model::StreamPosition;
    use greenroom_storage::PusherId;
    use ruma::{event_id, room_id, user_id};
    use serde_json::{Value, value::to_raw_value};

    use super::*;

    fn pusher(data: &Value) -> Pusher {
        Pusher {
            id: PusherId {
                user_id: user_id!("@alice:localhost").to_owned(),
                app_id: "org.example".to_owned(),
                pushkey: "key".to_owned(),
            },
            device_id: "D".into(),
            app_display_name: "App".to_owned(),
            device_display_name: "Phone".to_owned(),
            profile_tag: None,
            lang: "en".to_owned(),
            data: to_raw_value(data).unwrap(),
            set_ts_ms: 12_345_678,
        }
    }

    fn event(event_type: &str, state_key: Option<&str>, content: &Value) -> StoredEvent {
        StoredEvent {
            position: StreamPosition(3),
            event_id: event_id!("$event").to_owned(),
            room_id: room_id!("!room:localhost").to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(ToOwned::to_owned),
            sender: user_id!("@bob:localhost").to_owned(),
            origin_server_ts: ruma::MilliSecondsSinceUnixEpoch(UInt::from(9_u32)),
            json: json!({ "content": content })
                .to_string()
                .into_bytes()
                .into(),
            redacted_by: None,
            replaces_state: None,
            transaction: None,
        }
    }

    fn verdict(actions: Value) -> Verdict {
        let actions: Vec<Action> = serde_json::from_value(actions).unwrap();
        Verdict {
            notifies: true,
            highlights: actions.iter().any(Action::is_highlight),
            actions: Arc::from(actions),
        }
    }

    fn read(body: &Bytes) -> Value {
        serde_json::from_slice::<Value>(body).unwrap()["notification"].clone()
    }

    #[test]
    fn an_event_is_told_with_everything_about_it() {
        let pusher = pusher(&json!({"url": "https://x", "custom": {"a": 1}}));
        let message = event("m.room.message", None, &json!({"body": "hi"}));
        let verdict = verdict(json!([
            "notify", {"set_tweak": "sound", "value": "ping"}, {"set_tweak": "highlight"},
            {"set_tweak": "org.example.flash", "value": [1]},
        ]));
        let names = EventNames::new(&[
            event(
                "m.room.member",
                Some("@bob:localhost"),
                &json!({"displayname": "Bob"}),
            ),
            event("m.room.name", Some(""), &json!({"name": "Tea"})),
            event(
                "m.room.canonical_alias",
                Some(""),
                &json!({"alias": "#tea:localhost"}),
            ),
        ]);
        let told = read(&of_event(&pusher, &message, &verdict, Some(names), 2));
        let expected = json!({
            "event_id": "$event",
            "room_id": "!room:localhost",
            "type": "m.room.message",
            "sender": "@bob:localhost",
            "sender_display_name": "Bob",
            "room_name": "Tea",
            "room_alias": "#tea:localhost",
            "content": {"body": "hi"},
            "counts": {"unread": 2},
            "devices": [{
                "app_id": "org.example",
                "pushkey": "key",
                "pushkey_ts": 12345,
                "data": {"custom": {"a": 1}},
                "tweaks": {"sound": "ping", "highlight": true, "org.example.flash": [1]},
            }],
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn b81_by_its_id_only_an_event_is_told_without_any_content() {
        let pusher = pusher(&json!({"url": "https://x", "format": "event_id_only"}));
        let message = event("m.room.message", None, &json!({"body": "hi"}));
        let verdict = verdict(json!(["notify", {"set_tweak": "sound", "value": "ping"}]));
        let told = read(&of_event(&pusher, &message, &verdict, None, 0));
        let expected = json!({
            "event_id": "$event",
            "room_id": "!room:localhost",
            "devices": [{
                "app_id": "org.example",
                "pushkey": "key",
                "pushkey_ts": 12345,
                "data": {"format": "event_id_only"},
            }],
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn what_makes_no_sound_is_of_low_priority_unless_it_is_encrypted() {
        let pusher = pusher(&json!({"url": "https://x"}));
        let prio = |event_type: &str, actions: Value| {
            let event = event(event_type, None, &json!({}));
            read(&of_event(&pusher, &event, &verdict(actions), None, 1))["prio"].clone()
        };
        assert_eq!(prio("m.room.message", json!(["notify"])), "low");
        let quiet = json!(["notify", {"set_tweak": "highlight", "value": false}]);
        assert_eq!(prio("m.room.message", quiet), "low");
        // High is what it is if it is left out.
        let highlight = json!(["notify", {"set_tweak": "highlight"}]);
        assert_eq!(prio("m.room.message", highlight), Value::Null);
        assert_eq!(prio("m.room.encrypted", json!(["notify"])), Value::Null);
    }

    #[test]
    fn who_is_meant_by_a_member_event_is_told_so() {
        let pusher = pusher(&json!({"url": "https://x"}));
        let is_target = |state_key: &str| {
            let invite = event(
                "m.room.member",
                Some(state_key),
                &json!({"membership": "invite"}),
            );
            let told = of_event(
                &pusher,
                &invite,
                &verdict(json!(["notify"])),
                Some(EventNames::default()),
                0,
            );
            read(&told)["user_is_target"].clone()
        };
        assert_eq!(is_target("@alice:localhost"), true);
        assert_eq!(is_target("@carol:localhost"), Value::Null);
    }

    #[test]
    fn a_count_is_told_by_itself_also_when_it_is_zero() {
        let pusher = pusher(&json!({"url": "https://x", "format": "event_id_only"}));
        for unread in [0, 7] {
            let told = read(&of_unread(&pusher, unread));
            assert_eq!(told["counts"], json!({"unread": unread}));
            assert_eq!(told["devices"][0]["pushkey"], "key");
            assert_eq!(told.as_object().unwrap().len(), 2);
        }
    }

    #[test]
    fn names_that_are_none_are_left_out() {
        let state = [
            event("m.room.name", Some(""), &json!({"name": ""})),
            event(
                "m.room.canonical_alias",
                Some(""),
                &json!({"alias": "nonsense"}),
            ),
            event(
                "m.room.member",
                Some("@bob:localhost"),
                &json!({"displayname": 5}),
            ),
            event("m.room.topic", Some(""), &json!({"name": "x"})),
        ];
        assert_eq!(EventNames::new(&state), EventNames::default());
    }
}
