//! The user's own data: what lists go by, and the extension that delivers it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use greenroom_events::invite_permission;
use greenroom_model::StreamPosition;
use greenroom_storage::AccountDataEntry;
use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{answer::AccountDataAnswer, reading::Sliding, scope::Scoped, told::Delta};
use crate::{SyncError, sections::data_event};

/// What lists go by of a user's data.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserData {
    upto: StreamPosition,
    pub(super) direct: Arc<HashSet<OwnedRoomId>>,
    pub(super) tags: Arc<HashMap<OwnedRoomId, HashSet<String>>>,
    /// Whether the user wants no invites: then none is shown to them.
    pub(super) blocks_invites: bool,
}

#[derive(Deserialize)]
struct Tags {
    tags: serde_json::Map<String, Value>,
}

impl UserData {
    /// Takes in what has changed. What does not read as it should says nothing.
    fn take_in(&mut self, changes: &[AccountDataEntry], upto: StreamPosition) {
        self.upto = upto;
        for entry in changes {
            match (entry.data_type.as_str(), &entry.room_id) {
                ("m.direct", None) => {
                    let users: HashMap<String, Value> =
                        serde_json::from_str(entry.content.get()).unwrap_or_default();
                    let rooms = users.values().filter_map(Value::as_array).flatten();
                    let rooms = rooms.filter_map(|room| OwnedRoomId::try_from(room.as_str()?).ok());
                    self.direct = Arc::new(rooms.collect());
                }
                (invite_permission::TYPE, None) => {
                    self.blocks_invites = invite_permission::blocks_all(&entry.content);
                }
                ("m.tag", Some(room_id)) => {
                    let tags = serde_json::from_str::<Tags>(entry.content.get());
                    let tags = tags.map_or_else(
                        |_| HashSet::new(),
                        |it| it.tags.into_iter().map(|(tag, _)| tag).collect(),
                    );
                    let all = Arc::make_mut(&mut self.tags);
                    match tags.is_empty() {
                        true => all.remove(room_id),
                        false => all.insert(room_id.clone(), tags),
                    };
                }
                _ => {}
            }
        }
    }
}

impl Sliding<'_> {
    /// What lists go by of the user's data, as of now.
    pub(super) async fn user_data(&self) -> Result<Arc<UserData>, SyncError> {
        let upto = self.upto.position;
        let known = self.user.sliding.data.lock().clone();
        if let Some(known) = &known
            && self.user.newest_account_data() <= known.upto
        {
            return Ok(Arc::clone(known));
        }
        let mut data = known.map(|known| (*known).clone()).unwrap_or_default();
        let store = &self.service.parts.account_data;
        let changes = store
            .account_data_changes(&self.user.user_id, data.upto, upto)
            .await?;
        data.take_in(&changes, upto);
        let data = Arc::new(data);
        let mut known = self.user.sliding.data.lock();
        if known.as_ref().is_none_or(|known| known.upto < upto) {
            *known = Some(Arc::clone(&data));
        }
        Ok(data)
    }

    /// The extension: global data, and that of the rooms where it is wanted.
    pub(super) async fn account_data(
        &self,
        scoped: &[Scoped],
        delta: &mut Delta,
    ) -> Result<Option<AccountDataAnswer>, SyncError> {
        let Some(scope) = &self.rules.account_data else {
            return Ok(None);
        };
        let upto = self.upto.position;
        let told = &self.base.told.elsewhere;
        let mut answer = AccountDataAnswer::default();
        let mut behind: HashSet<_> = told.account_data_behind.iter().copied().collect();
        let mut of_rooms = BTreeMap::<OwnedRoomId, Vec<Box<RawValue>>>::new();
        let after = told.account_data.unwrap_or_default();
        let is_first = told.account_data.is_none();
        if is_first || self.user.newest_account_data() > after {
            let changes = self.global_changes(after, is_first).await?;
            for entry in &changes {
                match &entry.room_id {
                    None => answer.global.push(data_event(entry, None)?),
                    Some(room_id) => {
                        let events = of_rooms.entry(room_id.clone()).or_default();
                        events.push(data_event(entry, None)?);
                    }
                }
            }
            for room_id in of_rooms.keys() {
                behind.insert(super::told::RoomKey::new(room_id));
            }
        }
        let wanted = scoped.iter().filter(|it| it.is_in(scope));
        for room in wanted {
            let listed = &room.listed;
            let Some(mut sent) = self.sent(listed.key, delta) else {
                // It is not told of yet.
                continue;
            };
            let is_behind = behind.remove(&listed.key);
            if !is_behind && sent.has_account_data {
                continue;
            }
            let fresh = of_rooms.remove(&listed.room_id);
            let was_behind = told.account_data_behind.contains(&listed.key);
            let events = match fresh {
                Some(events) if sent.has_account_data && !was_behind => events,
                // What has changed since the beginning is all there is.
                events if is_first => events.unwrap_or_default(),
                _ => self.all_data_of(&listed.room_id).await?,
            };
            if !events.is_empty() {
                answer.rooms.insert(listed.room_id.clone(), events);
            }
            if !sent.has_account_data {
                sent.has_account_data = true;
                delta.send(listed.key, sent);
            }
        }
        // Of rooms that the client has not got yet, it gets all with them.
        behind.retain(|key| {
            self.base
                .told
                .rooms
                .get(key)
                .is_some_and(|sent| sent.has_account_data)
        });
        let mut behind: Vec<_> = behind.into_iter().collect();
        behind.sort_unstable();
        delta.elsewhere.account_data_behind = behind.into();
        delta.elsewhere.account_data = Some(upto);
        Ok(Some(answer).filter(|answer| !answer.is_empty()))
    }

    /// What has changed of the user's data, and the first time what everybody has.
    async fn global_changes(
        &self,
        after: StreamPosition,
        is_first: bool,
    ) -> Result<Vec<AccountDataEntry>, SyncError> {
        let parts = &self.service.parts;
        let upto = self.upto.position;
        let user_id = &self.user.user_id;
        let mut changes = parts
            .account_data
            .account_data_changes(user_id, after, upto)
            .await?;
        if !is_first {
            return Ok(changes);
        }
        for (data_type, content) in parts.builtin_account_data.of(user_id) {
            let is_set =
                |entry: &AccountDataEntry| entry.room_id.is_none() && entry.data_type == data_type;
            if !changes.iter().any(is_set) {
                changes.push(AccountDataEntry {
                    room_id: None,
                    data_type,
                    content,
                    position: upto,
                });
            }
        }
        Ok(changes)
    }

    async fn all_data_of(&self, room_id: &ruma::RoomId) -> Result<Vec<Box<RawValue>>, SyncError> {
        let store = &self.service.parts.sliding;
        let all = store.room_account_data(&self.user.user_id, room_id).await?;
        all.iter().map(|entry| data_event(entry, None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is written where it is given away"
    )]
    fn entry(room: Option<&str>, data_type: &str, content: serde_json::Value) -> AccountDataEntry {
        AccountDataEntry {
            room_id: room.map(|room| OwnedRoomId::try_from(room).unwrap()),
            data_type: data_type.to_owned(),
            content: serde_json::value::to_raw_value(&content).unwrap(),
            position: StreamPosition(1),
        }
    }

    #[test]
    fn direct_rooms_and_tags_are_what_was_set_last() {
        let mut data = UserData::default();
        let room = OwnedRoomId::try_from("!a:b").unwrap();
        let tag = |name: &str| json!({"tags": {name: {"order": 0.5}}});
        let changes = [
            entry(
                None,
                "m.direct",
                json!({"@x:b": ["!a:b"], "@y:b": ["!c:d"]}),
            ),
            entry(Some("!a:b"), "m.tag", tag("m.favourite")),
            entry(Some("!c:d"), "m.direct", json!({"@x:b": ["!no:b"]})),
        ];
        data.take_in(&changes, StreamPosition(2));
        assert_eq!(data.direct.len(), 2);
        assert!(data.tags.get(&room).unwrap().contains("m.favourite"));
        let odd = json!({"@x:b": "!a:b", "@y:b": ["no room", 1, "!a:b"], "z": null});
        data.take_in(&[entry(None, "m.direct", odd)], StreamPosition(3));
        assert_eq!(data.direct.len(), 1, "what reads is taken");
        data.take_in(&[entry(None, "m.direct", json!([1]))], StreamPosition(3));
        assert!(data.direct.is_empty());
        let untagged = [entry(Some("!a:b"), "m.tag", json!({"tags": {}}))];
        data.take_in(&untagged, StreamPosition(4));
        assert!(data.tags.is_empty());
    }
}
