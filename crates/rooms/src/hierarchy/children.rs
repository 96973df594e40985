//! The children of a space, in their order.

use greenroom_events::stripped::strip_with_time;
use greenroom_model::StoredEvent;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId};
use serde::Deserialize;
use serde_json::value::{RawValue, Value};

/// The longest `order` that counts, in characters, all of them ASCII.
const MAX_ORDER: usize = 50;

/// A room that a space lists.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) room_id: OwnedRoomId,
    /// The `m.space.child` event: stripped, with its time.
    pub(super) state: Box<RawValue>,
    order: Option<String>,
    sent: MilliSecondsSinceUnixEpoch,
    suggested: bool,
}

#[derive(Deserialize)]
struct Pdu {
    content: Content,
}

// Of the wrong type counts as absent.
#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    via: Value,
    #[serde(default)]
    order: Value,
    #[serde(default)]
    suggested: Value,
}

impl Child {
    /// Reads an `m.space.child` event; `None` if it makes no room part of the space: "when [`via` is]
    /// not present or invalid, the child room is not considered to be part of the space".
    fn new(event: &StoredEvent) -> Option<Self> {
        let room_id = event.state_key.as_deref()?.try_into().ok()?;
        let Pdu { content } = serde_json::from_slice(&event.json).ok()?;
        let via = content.via.as_array()?;
        if via.is_empty() || !via.iter().all(Value::is_string) {
            return None;
        }
        let order = content.order.as_str().filter(|order| is_order(order));
        Some(Self {
            room_id,
            state: strip_with_time(event).ok()?,
            order: order.map(ToOwned::to_owned),
            sent: event.origin_server_ts,
            suggested: content.suggested == Value::Bool(true),
        })
    }

    /// What children are ordered by. See [ordering of children within a
    /// space](https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space).
    fn sort_key(&self) -> (bool, &str, MilliSecondsSinceUnixEpoch, &str) {
        let order = self.order.as_deref();
        let room_id = self.room_id.as_str();
        (order.is_none(), order.unwrap_or(""), self.sent, room_id)
    }
}

fn is_order(text: &str) -> bool {
    (1..=MAX_ORDER).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The children among a space's `m.space.child` events, in their order.
pub(super) fn children(events: &[StoredEvent], suggested_only: bool) -> Vec<Child> {
    let mut children: Vec<Child> = events
        .iter()
        .filter_map(Child::new)
        .filter(|child| child.suggested || !suggested_only)
        .collect();
    children.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
    children
}

#[cfg(test)]
pub(super) mod tests {
    use greenroom_model::StreamPosition;
    use ruma::{UInt, event_id, room_id, user_id};
    use serde_json::json;

    use super::*;

    pub(in crate::hierarchy) fn child_event(
        child: &str,
        sent: u32,
        content: &Value,
    ) -> StoredEvent {
        let json = json!({ "content": content, "type": "m.space.child" });
        StoredEvent {
            position: StreamPosition(1),
            event_id: event_id!("$child").to_owned(),
            room_id: room_id!("!space:b").to_owned(),
            event_type: "m.space.child".to_owned(),
            state_key: Some(child.to_owned()),
            sender: user_id!("@a:b").to_owned(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::from(sent)),
            json: json.to_string().into_bytes().into(),
            redacted_by: None,
            replaces_state: None,
            transaction: None,
        }
    }

    fn order_of(events: &[StoredEvent]) -> Vec<String> {
        children(events, false)
            .into_iter()
            .map(|child| child.room_id.to_string())
            .collect()
    }

    #[test]
    fn children_are_ordered_as_in_the_specifications_example() {
        let via = json!(["b"]);
        let events = [
            child_event("!a:b", 40, &json!({"via": via, "order": "aaaa"})),
            child_event("!b:b", 50, &json!({"via": via, "order": " "})),
            child_event("!c:b", 90, &json!({"via": via, "order": "first"})),
            child_event("!d:b", 70, &json!({"via": via})),
            child_event("!e:b", 60, &json!({"via": via})),
        ];
        assert_eq!(order_of(&events), ["!b:b", "!a:b", "!c:b", "!e:b", "!d:b"]);
    }

    #[test]
    fn equal_orders_go_by_time_and_equal_times_by_room_id() {
        let via = json!(["b"]);
        let events = [
            child_event("!z:b", 9, &json!({"via": via})),
            child_event("!y:b", 9, &json!({"via": via})),
            child_event("!x:b", 9, &json!({"via": via, "order": "o"})),
            child_event("!w:b", 9, &json!({"via": via, "order": "o"})),
            child_event("!v:b", 8, &json!({"via": via, "order": "o"})),
        ];
        assert_eq!(order_of(&events), ["!v:b", "!w:b", "!x:b", "!y:b", "!z:b"]);
    }

    #[test]
    fn an_order_that_is_not_valid_counts_as_none() {
        let via = json!(["b"]);
        let mut events = vec![child_event("!last:b", 99, &json!({"via": via}))];
        let bad = [
            json!(""),
            json!("é"),
            json!("\u{7f}"),
            json!("\n"),
            json!("x".repeat(51)),
            json!(5),
            json!(null),
            json!(["a"]),
        ];
        for (number, order) in bad.into_iter().enumerate() {
            let content = json!({"via": via, "order": order});
            events.push(child_event(&format!("!bad{number}:b"), 50, &content));
        }
        let longest = json!({"via": via, "order": "~".repeat(50)});
        events.push(child_event("!first:b", 98, &longest));
        let found = order_of(&events);
        assert_eq!(found.first().unwrap(), "!first:b");
        assert_eq!(found.last().unwrap(), "!last:b");
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn without_a_valid_via_a_room_is_no_child() {
        for content in [
            json!({}),
            json!({"via": []}),
            json!({"via": null}),
            json!({"via": "b"}),
            json!({"via": ["b", 5]}),
            json!({"via": {"0": "b"}}),
        ] {
            let event = child_event("!a:b", 1, &content);
            assert!(order_of(&[event]).is_empty(), "{content}");
        }
        let via = json!({"via": ["b"]});
        for state_key in ["", "a", "#a:b", "@a:b"] {
            let event = child_event(state_key, 1, &via);
            assert!(order_of(&[event]).is_empty(), "{state_key}");
        }
    }

    #[test]
    fn only_what_says_so_is_suggested() {
        let events = [
            json!(true),
            json!(false),
            json!("true"),
            json!(1),
            json!(null),
        ]
        .into_iter()
        .enumerate()
        .map(|(number, suggested)| {
            let content = json!({"via": ["b"], "suggested": suggested});
            child_event(&format!("!{number}:b"), 1, &content)
        })
        .collect::<Vec<_>>();
        assert_eq!(children(&events, true).len(), 1);
        assert_eq!(children(&events, false).len(), 5);
    }

    #[test]
    fn a_child_is_shown_stripped_with_its_time() {
        let event = child_event("!a:b", 7, &json!({"via": ["b"], "m.x": 1}));
        let found = children(&[event], false);
        let shown: Value = serde_json::from_str(found[0].state.get()).unwrap();
        assert_eq!(
            shown,
            json!({
                "content": {"via": ["b"], "m.x": 1},
                "origin_server_ts": 7,
                "sender": "@a:b",
                "state_key": "!a:b",
                "type": "m.space.child",
            })
        );
    }
}
