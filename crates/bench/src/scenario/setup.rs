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
