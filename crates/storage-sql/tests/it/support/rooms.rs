//! Rooms as their actors would write them: who builds appends on a head of their own.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use greenroom_model::{StreamPosition, TransactionKey};
use greenroom_storage::{Append, Appended, NewRoom, RedactedEvent, RoomStore, StorageError};
use greenroom_storage_sql::Db;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UInt,
    UserId, events::room::member::MembershipState,
};
use serde_json::{Value, json};

use super::user;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A room under construction: what its actor would hold in memory.
pub(crate) struct Room {
    pub(crate) id: OwnedRoomId,
    pub(crate) generation: u64,
    depth: u64,
    state: HashMap<(String, String), OwnedEventId>,
    members: HashMap<String, MembershipState>,
}

impl Room {
    /// A room that is not stored yet.
    pub(crate) fn new(name: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            id: format!("!{name}{number}").try_into().unwrap(),
            generation: number,
            depth: 0,
            state: HashMap::new(),
            members: HashMap::new(),
        }
    }

    /// A room that is stored with its creator as the one member.
    pub(crate) async fn created(db: &Db, name: &str, creator: &UserId) -> Self {
        let mut room = Self::new(name);
        let new_room = room.creation(creator, json!({}));
        db.create_room(new_room).await.unwrap();
        room
    }

    /// The room's first two events, as one act.
    pub(crate) fn creation(&mut self, creator: &UserId, create: Value) -> NewRoom {
        let events = vec![
            self.event(creator, "m.room.create", Some(""), create),
            self.member(creator, creator, MembershipState::Join, json!({})),
        ];
        NewRoom {
            room_id: self.id.clone(),
            version: RoomVersionId::V12,
            creator: creator.to_owned(),
            events,
            alias: None,
            published: false,
            transaction: None,
            created_ts_ms: 5_000,
        }
    }

    /// An event built on what was built before it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the content where they call"
    )]
    pub(crate) fn event(
        &mut self,
        sender: &UserId,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) -> Append {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.depth += 1;
        let event_id: OwnedEventId = format!("$event{number}").try_into().unwrap();
        let mut pdu = json!({
            "type": event_type,
            "room_id": self.id,
            "sender": sender,
            "content": content,
            "depth": self.depth,
            "origin_server_ts": 1_000 + number,
        });
        let replaces_state = state_key.and_then(|state_key| {
            pdu["state_key"] = state_key.into();
            let place = (event_type.to_owned(), state_key.to_owned());
            self.state.insert(place, event_id.clone())
        });
        Append {
            room_id: self.id.clone(),
            generation: self.generation,
            event_id,
            event_type: event_type.to_owned(),
            state_key: state_key.map(ToOwned::to_owned),
            sender: sender.to_owned(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(1_000 + number)),
            steps_back: false,
            depth: self.depth,
            json: pdu.to_string().into_bytes().into(),
            replaces_state,
            membership: None,
            transaction: None,
            relation: None,
            redacts: None,
        }
    }

    /// A member event; `content` says more than the membership.
    pub(crate) fn member(
        &mut self,
        sender: &UserId,
        target: &UserId,
        membership: MembershipState,
        mut content: Value,
    ) -> Append {
        content["membership"] = membership.as_str().into();
        let mut append = self.event(sender, "m.room.member", Some(target.as_str()), content);
        let previous = self.members.insert(target.to_string(), membership.clone());
        append.membership = Some((membership, previous));
        append
    }

    pub(crate) fn join(&mut self, user_id: &UserId) -> Append {
        self.member(user_id, user_id, MembershipState::Join, json!({}))
    }

    pub(crate) fn message(&mut self, sender: &UserId, body: &str) -> Append {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.event(sender, "m.room.message", None, content)
    }

    /// A message sent with a transaction ID, on the device `PHONE`.
    pub(crate) fn message_with(&mut self, sender: &UserId, txn_id: &str) -> Append {
        let mut append = self.message(sender, txn_id);
        let endpoint = format!("PUT rooms/{}/send/m.room.message", self.id);
        let key = TransactionKey::new(sender.as_str(), "PHONE", &endpoint, txn_id);
        append.transaction = Some((key, "PHONE".into(), txn_id.into()));
        append
    }

    /// A redaction of `target`, of which `kept` stays as its content.
    pub(crate) fn redaction(&mut self, sender: &UserId, target: &Append, kept: &Value) -> Append {
        let mut pruned: Value = serde_json::from_slice(&target.json).unwrap();
        pruned["content"] = kept.clone();
        let content = json!({ "redacts": target.event_id });
        let mut append = self.event(sender, "m.room.redaction", None, content);
        append.redacts = Some(RedactedEvent {
            event_id: target.event_id.clone(),
            json: pruned.to_string().into_bytes().into(),
        });
        append
    }

    /// Starts over, as an actor does whose append has failed: the next events are built on what
    /// is stored.
    pub(crate) fn reload(&mut self) {
        self.generation = NEXT.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends a message and gives its position.
    pub(crate) async fn say(&mut self, db: &Db, sender: &UserId, body: &str) -> StreamPosition {
        position(db.append(self.message(sender, body)).await)
    }

    /// Sets a piece of state and gives its position.
    pub(crate) async fn set(
        &mut self,
        db: &Db,
        sender: &UserId,
        event_type: &str,
        content: Value,
    ) -> StreamPosition {
        position(
            db.append(self.event(sender, event_type, Some(""), content))
                .await,
        )
    }

    /// Sets a membership and gives its position.
    pub(crate) async fn set_member(
        &mut self,
        db: &Db,
        sender: &UserId,
        target: &UserId,
        membership: MembershipState,
    ) -> StreamPosition {
        position(
            db.append(self.member(sender, target, membership, json!({})))
                .await,
        )
    }
}

fn position(outcome: Result<Appended, StorageError>) -> StreamPosition {
    outcome.unwrap().position
}

/// A stored room whose members have joined in the order of `names`; the first one created it.
pub(crate) async fn room_with_members(db: &Db, names: &[&str]) -> (Room, Vec<OwnedUserId>) {
    let users: Vec<OwnedUserId> = names.iter().map(|name| user(name)).collect();
    let mut room = Room::created(db, "room", &users[0]).await;
    for user_id in &users[1..] {
        db.append(room.join(user_id)).await.unwrap();
    }
    (room, users)
}
