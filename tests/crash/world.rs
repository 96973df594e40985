//! The accounts and rooms that the swarm lives in.

use futures_util::future::join_all;
use greenroom_tests::{Client, TestServer};
use serde_json::json;

/// Accounts that write.
const WRITERS: usize = 12;
/// Rooms that all are in, all the time.
const HALLS: usize = 3;
/// The types of state that each writer keeps, under their own key.
pub const STATE_TYPES: [&str; 2] = ["com.example.mood", "com.example.place"];
/// The types of account data that each writer keeps, of the account and of each hall.
pub const DATA_TYPES: [&str; 3] = ["com.example.a", "com.example.b", "com.example.c"];

/// The accounts and rooms that the swarm lives in.
#[derive(Clone)]
pub struct World {
    /// Is in all rooms and reads.
    pub witness: Client,
    /// Each writes by its own.
    pub writers: Vec<Client>,
    /// Rooms that all are in, all the time.
    pub halls: Vec<String>,
    /// A room that the writers join and leave.
    pub door: String,
}

impl World {
    /// Registers the accounts and makes the rooms.
    pub async fn create(server: &TestServer) -> Self {
        let witness = server.register("witness").await;
        let names = (0..WRITERS).map(|index| format!("writer{index}"));
        let writers = join_all(names.map(|name| async move { server.register(&name).await })).await;
        let mut rooms = Vec::new();
        for _ in 0..=HALLS {
            let request = json!({
                "preset": "public_chat",
                "power_level_content_override": {"state_default": 0},
            });
            rooms.push(witness.create_room(request).await);
        }
        let door = rooms.pop().expect("made above");
        for hall in &rooms {
            join_all(writers.iter().map(|writer| writer.join(hall))).await;
        }
        Self {
            witness,
            writers,
            halls: rooms,
            door,
        }
    }

    /// All rooms.
    pub fn rooms(&self) -> impl Iterator<Item = &String> {
        self.halls.iter().chain([&self.door])
    }

    /// The witness says this in every room: a line across all that happens.
    pub async fn announce(&self, mark: &str) {
        let content = json!({"msgtype": "m.notice", "body": mark, "mark": mark});
        let said = self.rooms().map(|room| {
            self.witness
                .send(room, "m.room.message", mark, content.clone())
        });
        join_all(said).await;
    }
}

/// What the witness says before the swarm goes on after an interruption.
pub fn resumed(generation: u64) -> String {
    format!("resumed.{generation}")
}

/// What the witness says when the swarm has ended.
pub const END: &str = "end";
