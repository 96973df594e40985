//! Accounts, rooms and messages that exist before anything is measured.

use std::sync::Arc;

use super::{Bench, SETUP_CONCURRENCY, cyclic};
use crate::error::Result;
use crate::latency::Latencies;
use crate::matrix::{Client, HistoryEvent, Room, history};
use crate::parallel;

impl Bench {
    /// Registers `count` accounts, each with its own connection.
    pub(super) async fn accounts(&self, count: usize) -> Result<Vec<Client>> {
        let register =
            |registrar: Arc<crate::matrix::Registrar>| async move { registrar.register().await };
        let registrars = (0..count).map(|_| Arc::clone(&self.registrar)).collect();
        parallel::each(SETUP_CONCURRENCY, registrars, register).await
    }

    /// Has `owners` create `count` public rooms between them; owner `n % owners` creates room `n`.
    pub(super) async fn public_rooms(
        &self,
        owners: Vec<Client>,
        count: usize,
    ) -> Result<(Vec<Client>, Vec<Arc<Room>>)> {
        let many = owners.len();
        let create = move |(first, mut owner): (usize, Client)| async move {
            let mut rooms = Vec::new();
            for index in (first..count).step_by(many.max(1)) {
                rooms.push(Arc::new(
                    owner
                        .create_room("public_chat", &format!("bench room {index}"))
                        .await?,
                ));
            }
            Ok((owner, rooms))
        };
        let created =
            parallel::each(many, owners.into_iter().enumerate().collect(), create).await?;
        let (owners, shares): (Vec<Client>, Vec<Vec<Arc<Room>>>) = created.into_iter().unzip();
        let mut rooms = Vec::with_capacity(count);
        for index in 0..count {
            let share = cyclic(&shares, index)?;
            rooms.push(Arc::clone(cyclic(share, index / many.max(1))?));
        }
        Ok((owners, rooms))
    }
}

/// Has each client join every one of `rooms`.
pub(super) async fn join_all(clients: Vec<Client>, rooms: Vec<Arc<Room>>) -> Result<Vec<Client>> {
    let rooms = Arc::new(rooms);
    let join = |mut client: Client| {
        let rooms = Arc::clone(&rooms);
        async move {
            for room in rooms.iter() {
                client.join(room).await?;
            }
            Ok(client)
        }
    };
    parallel::each(SETUP_CONCURRENCY, clients, join).await
}

/// Sends `count` messages into each of `rooms`; returns the ids by room, oldest first.
pub(super) async fn fill(
    client: &mut Client,
    rooms: &[Arc<Room>],
    count: usize,
) -> Result<Vec<Vec<String>>> {
    let mut acked = Vec::with_capacity(rooms.len());
    for (index, room) in rooms.iter().enumerate() {
        let mut sent = Vec::with_capacity(count);
        for number in 0..count {
            let text = format!("filling, message {number}");
            sent.push(
                client
                    .send_text(room, &format!("fill-{index}-{number}"), &text)
                    .await?,
            );
        }
        acked.push(sent);
    }
    Ok(acked)
}

/// What a room is filled with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Filling {
    /// Short text.
    Text,
    /// As much as a short text is when it is encrypted.
    Encrypted,
}

impl Filling {
    fn event_type(self) -> &'static str {
        match self {
            Self::Text => "m.room.message",
            Self::Encrypted => "m.room.encrypted",
        }
    }

    /// The content of one of them, each another.
    fn content(self, seed: u64) -> String {
        match self {
            Self::Text => format!(r#"{{"msgtype":"m.text","body":"filling, message {seed}"}}"#),
            Self::Encrypted => format!(
                r#"{{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"{}","device_id":"BENCHDEVIC","sender_key":"{}","session_id":"{}"}}"#,
                noise(seed, 480),
                noise(1, 43),
                noise(2, 43),
            ),
        }
    }
}

/// Characters of base64 that look random.
fn noise(seed: u64, length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    (0..length)
        .filter_map(|_| {
            // The generator of Knuth's MMIX; its upper bits are the good ones.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ALPHABET
                .get((state >> 58) as usize)
                .copied()
                .map(char::from)
        })
        .collect()
}

/// Has all `clients` send into one room at once, `count` events between them; returns the ids by
/// client, oldest first.
pub(super) async fn fill_together(
    clients: Vec<Client>,
    room: &Arc<Room>,
    count: usize,
    filling: Filling,
) -> Result<(Vec<Client>, Vec<Vec<String>>)> {
    let many = clients.len().max(1);
    let send = |(first, mut client): (usize, Client)| {
        let room = Arc::clone(room);
        async move {
            let mut sent = Vec::with_capacity(count / many + 1);
            for number in (first..count).step_by(many) {
                let (txn_id, content) = (format!("fill-{number}"), filling.content(number as u64));
                sent.push(
                    client
                        .send(&room, filling.event_type(), &txn_id, &content)
                        .await?,
                );
            }
            Ok((client, sent))
        }
    };
    let filled = parallel::each(many, clients.into_iter().enumerate().collect(), send).await?;
    Ok(filled.into_iter().unzip())
}

/// The ids of a room's messages, oldest first.
pub(super) async fn message_ids(client: &mut Client, room: &Room) -> Result<Vec<String>> {
    let events = history(client, room, &mut Latencies::default()).await?;
    Ok(ids_of_messages(events))
}

/// The ids of the messages among `newest_first`, oldest first.
pub(super) fn ids_of_messages(newest_first: Vec<HistoryEvent>) -> Vec<String> {
    newest_first
        .into_iter()
        .rev()
        .filter(|event| event.event_type == "m.room.message")
        .map(|event| event.event_id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Filling, noise};

    #[test]
    fn a_filling_is_json_of_the_size_of_an_encrypted_message_and_never_the_same() {
        let contents = [1, 2].map(|seed| Filling::Encrypted.content(seed));
        assert_ne!(contents[0], contents[1]);
        let content: serde_json::Value = serde_json::from_str(&contents[0]).expect("is JSON");
        assert_eq!(content["ciphertext"].as_str().map(str::len), Some(480));
        assert_eq!(noise(7, 43), noise(7, 43));
    }
}
