//! Pushers: setting them, and what reaches the push gateway.

mod delivery;
mod endpoints;
mod retry;

use greenroom_tests::{Client, PushGateway, TestServer};
use serde_json::{Value, json};

/// A pusher as a client sets it.
fn pusher(url: &str, pushkey: &str) -> Value {
    json!({
        "app_id": "org.example.app",
        "pushkey": pushkey,
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": { "url": url },
    })
}

/// Sets a pusher.
async fn set(user: &Client, pusher: Value) {
    let answer = user.post("pushers/set", pusher).await.expect_ok();
    assert_eq!(answer, json!({}));
}

/// A user's pushers.
async fn pushers(user: &Client) -> Vec<Value> {
    let mut answer = user.get("pushers").await.expect_ok();
    match answer["pushers"].take() {
        Value::Array(pushers) => pushers,
        other => panic!("no list: {other}"),
    }
}

/// Alice, who has a pusher with the key `alice`, in a room with Bob, who has none.
struct Pair {
    server: TestServer,
    gateway: PushGateway,
    alice: Client,
    bob: Client,
    room: String,
}

impl Pair {
    async fn new() -> Self {
        let gateway = PushGateway::start().await;
        let server = TestServer::builder().gateway(&gateway).start().await;
        let alice = server.register("alice").await;
        let bob = server.register("bob").await;
        let room = bob.create_public_room().await;
        alice.join(&room).await;
        set(&alice, pusher(&gateway.url(), "alice")).await;
        Self {
            server,
            gateway,
            alice,
            bob,
            room,
        }
    }

    /// Bob says something. Gives the event's ID.
    async fn say(&self, text: &str) -> String {
        self.bob.send_text(&self.room, text, text).await
    }

    /// The next notification must be of this event.
    async fn told_of(&mut self, event_id: &str) -> Value {
        let told = self.gateway.told().await;
        assert_eq!(told["event_id"], event_id, "{told}");
        told
    }
}
