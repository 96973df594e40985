//! Rule 10, the one for power levels: whoever may change them changes them within their own.

use futures_util::future::join_all;
use greenroom_tests::{Client, TestServer, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room};

const FIELDS: [&str; 7] = [
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
];

/// A room whose levels are partly out of the reach of Bob, who has 50 and may change levels.
struct Levels {
    alice: Client,
    bob: Client,
    room: String,
    version: u32,
    content: Value,
}

impl Levels {
    async fn new(server: &TestServer, version: u32) -> Self {
        let request = json!({"room_version": version.to_string()});
        let (alice, bob, room) = shared_room(server, request).await;
        let mut content = json!({
            "users": {
                &bob.user_id: 50,
                "@equal:localhost": 50,
                "@above:localhost": 75,
                "@below:localhost": 25,
            },
            "events": {
                "m.room.power_levels": 50,
                "org.example.high": 75,
                "org.example.low": 25,
            },
            "notifications": {"room": 75, "low": 25},
            "users_default": 0,
            "events_default": 0,
            "state_default": 50,
            "ban": 75,
            "kick": 50,
            "redact": 75,
            "invite": 25,
        });
        if version < 12 {
            content["users"][&alice.user_id] = json!(100);
        }
        let path = in_room(&room, "state/m.room.power_levels");
        alice.put(&path, content.clone()).await.expect_ok();
        Self {
            alice,
            bob,
            room,
            version,
            content,
        }
    }

    /// The levels with one place changed, or taken out.
    fn with(&self, pointer: &str, value: Option<Value>) -> Value {
        let mut content = self.content.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = content.pointer_mut(parent).unwrap();
        let parent = parent.as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(key.to_owned(), value),
            None => parent.remove(key),
        };
        content
    }

    async fn now(&self) -> Value {
        let now = self.alice.state(&self.room, "m.room.power_levels", "");
        now.await.expect_ok()
    }

    /// Bob tries it. What he should not do changes nothing, what he may do is undone.
    async fn attempt(&self, pointer: &str, value: Option<Value>, right: bool) {
        let content = self.with(pointer, value.clone());
        let path = in_room(&self.room, "state/m.room.power_levels");
        let answer = self.bob.put(&path, content.clone()).await;
        let what = format!("version {}: {pointer} to {value:?}", self.version);
        let shown = format!("{what}: {}", answer.describe());
        if right {
            assert_eq!(answer.status, 200, "{shown}");
            assert_eq!(self.now().await, content, "{what}");
            let undone = self.alice.put(&path, self.content.clone()).await;
            undone.expect_ok();
        } else {
            assert_eq!(answer.status, 403, "{shown}");
            answer.expect_error(403, "M_FORBIDDEN");
            assert_eq!(self.now().await, self.content, "{what}");
        }
    }
}

async fn rooms(server: &TestServer) -> Vec<Levels> {
    join_all([1, 5, 6, 9, 10, 11, 12].map(|version| Levels::new(server, version))).await
}

/// "If the current value is higher than the `sender`'s current power level, reject. If the new
/// value is higher [...], reject."
#[tokio::test]
async fn a05_rule_10_6_the_named_levels() {
    let server = shared_server().await;
    let rooms = rooms(&server).await;
    join_all(rooms.iter().map(async |levels| {
        for field in FIELDS {
            let pointer = format!("/{field}");
            let within = levels.content[field].as_i64().unwrap() <= 50;
            levels.attempt(&pointer, Some(json!(51)), false).await;
            for value in [Some(json!(49)), Some(json!(-5)), None] {
                levels.attempt(&pointer, value, within).await;
            }
        }
    }))
    .await;
}

/// The same for each entry of `events` and, since version 6, `notifications`.
#[tokio::test]
async fn a05_rule_10_7_and_8_the_levels_of_events_and_notifications() {
    let server = shared_server().await;
    let rooms = rooms(&server).await;
    join_all(rooms.iter().map(async |levels| {
        for (high, low, new, judged) in [
            (
                "/events/org.example.high",
                "/events/org.example.low",
                "/events/new",
                true,
            ),
            (
                "/notifications/room",
                "/notifications/low",
                "/notifications/new",
                levels.version >= 6,
            ),
        ] {
            for value in [Some(json!(49)), Some(json!(76)), None] {
                levels.attempt(high, value, !judged).await;
            }
            levels.attempt(low, Some(json!(51)), !judged).await;
            levels.attempt(new, Some(json!(51)), !judged).await;
            for (pointer, value) in [(low, Some(json!(50))), (low, None), (new, Some(json!(50)))] {
                levels.attempt(pointer, value, true).await;
            }
        }
    }))
    .await;
}

/// "For each entry being changed in, or removed from, the `users` property, other than the
/// `sender`'s own entry: if the current value is greater than or equal to the `sender`'s [...]".
#[tokio::test]
async fn a05_rule_10_9_and_10_the_levels_of_users() {
    let server = shared_server().await;
    let rooms = rooms(&server).await;
    join_all(rooms.iter().map(async |levels| {
        for name in ["equal", "above"] {
            let pointer = format!("/users/@{name}:localhost");
            for value in [Some(json!(49)), Some(json!(0)), Some(json!(76)), None] {
                levels.attempt(&pointer, value, false).await;
            }
        }
        let own = format!("/users/{}", levels.bob.user_id);
        for pointer in ["/users/@below:localhost", "/users/@new:localhost", &own] {
            levels.attempt(pointer, Some(json!(51)), false).await;
            levels.attempt(pointer, Some(json!(49)), true).await;
        }
        levels.attempt("/users/@below:localhost", None, true).await;
        levels
            .attempt("/users/@new:localhost", Some(json!(50)), true)
            .await;
        levels.attempt(&own, None, true).await;
    }))
    .await;
}

/// "If any of the properties [...] are present and not an integer, reject", and what else is no
/// power level: refused before it is judged. Before version 10 an integer may be a string.
#[tokio::test]
async fn a05_b20_rule_10_1_to_10_4_levels_are_integers_of_users() {
    let server = shared_server().await;
    let rooms = rooms(&server).await;
    join_all(rooms.iter().map(async |levels| {
        let strings = levels.version < 10;
        let path = in_room(&levels.room, "state/m.room.power_levels");
        let below = "/users/@below:localhost".to_owned();
        let fields = FIELDS.iter().map(|field| format!("/{field}"));
        let maps = ["/events/org.example.low".to_owned(), below.clone()];
        for pointer in fields.chain(maps) {
            for wrong in [
                json!(1.5),
                json!([]),
                json!({}),
                json!(true),
                json!("x"),
                json!(9_007_199_254_740_992_u64),
            ] {
                let content = levels.with(&pointer, Some(wrong));
                let answer = levels.alice.put(&path, content).await;
                let shown = (levels.version, &pointer, answer.describe());
                assert_eq!(answer.status, 400, "{shown:?}");
                answer.expect_error(400, "M_BAD_JSON");
            }
        }
        for (pointer, wrong) in [
            ("/users", json!([])),
            ("/users", json!({"below": 1})),
            ("/events", json!("x")),
        ] {
            let content = levels.with(pointer, Some(wrong));
            let answer = levels.alice.put(&path, content).await;
            answer.expect_error(400, "M_BAD_JSON");
        }
        assert_eq!(levels.now().await, levels.content);
        for pointer in ["/kick", &below, "/events/org.example.low"] {
            let content = levels.with(pointer, Some(json!("20")));
            let answer = levels.alice.put(&path, content).await;
            let right = if strings { 200 } else { 400 };
            assert_eq!(answer.status, right, "{pointer}: {}", answer.describe());
        }
        if levels.version >= 12 {
            for creator in [&levels.alice] {
                let pointer = format!("/users/{}", creator.user_id);
                levels.attempt(&pointer, Some(json!(50)), false).await;
            }
        }
    }))
    .await;
}
