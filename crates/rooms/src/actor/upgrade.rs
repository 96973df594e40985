//! The last events of a room that another one replaces.

use greenroom_events::{Draft, EventSigner, json};
use greenroom_storage::{RoomUpgrade, StorageError};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch};

use super::{
    Tools,
    head::{RoomHead, Step, create_key, power_key},
    recent::InFlight,
};
use crate::{RoomError, upgrade::power_levels, wish::UpgradeWish};

const TOMBSTONE: &str = "m.room.tombstone";

impl RoomHead {
    /// Ends the room with a tombstone and, where its levels allow it, with levels that keep it
    /// quiet.
    pub(super) fn upgrade(
        &mut self,
        wish: &UpgradeWish,
        signer: &EventSigner,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Step, RoomError> {
        let sender_key = ("m.room.member".to_owned(), wish.sender.to_string());
        // With all that the last events need, so that none of them is left half-way.
        let needed = wish.places.iter().map(|(place, _)| place.clone());
        let missing = self.missing(needed.chain([create_key(), power_key(), sender_key]));
        if !missing.is_empty() {
            return Ok(Step::Load(missing));
        }
        for ((event_type, state_key), event_id) in &wish.places {
            let standing = self.held(event_type, state_key).map(|pdu| &pdu.event_id);
            if standing != event_id.as_ref() {
                // Somebody was faster. The writer would find out too, but at the price of all that
                // is built on this.
                return Err(StorageError::Conflict.into());
            }
        }
        let draft = |event_type: &str, content| Draft {
            sender: wish.sender.clone(),
            event_type: event_type.to_owned(),
            state_key: Some(String::new()),
            content,
            redacts: None,
            origin_server_ts_override: None,
        };
        let last_words = tombstone(wish);
        let tombstone = match self.append(draft(TOMBSTONE, last_words), None, None, signer, now)? {
            Step::Append(append) => append,
            other => return Ok(other),
        };
        let levels = self.quieted().and_then(|levels| {
            let levels = draft("m.room.power_levels", levels);
            // "If possible": who may end the room may lack the level to change its levels.
            match self.append(levels, None, None, signer, now) {
                Ok(Step::Append(append)) => Some(*append),
                _ => None,
            }
        });
        Ok(Step::Upgrade(Box::new(RoomUpgrade {
            tombstone: *tombstone,
            levels,
            as_of: wish.as_of,
            state_types: wish.state_types.clone(),
            banned: wish.banned.clone(),
            replacement: wish.replacement.clone(),
        })))
    }

    /// The room's levels, raised so that it stays quiet; `None` if they are unreadable, or there
    /// are none.
    fn quieted(&self) -> Option<CanonicalJsonObject> {
        let levels = self.held("m.room.power_levels", "")?;
        let levels = json::parse_object(levels.content.get().as_bytes()).ok()?;
        Some(power_levels::quieted(levels))
    }
}

fn tombstone(wish: &UpgradeWish) -> CanonicalJsonObject {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    CanonicalJsonObject::from([
        ("body".to_owned(), text("This room has been replaced")),
        (
            "replacement_room".to_owned(),
            text(wish.replacement.room_id.as_str()),
        ),
    ])
}

impl Tools {
    /// Hands an upgrade to the writer.
    pub(super) fn upgrade(&self, upgrade: RoomUpgrade) -> InFlight {
        let generation = upgrade.tombstone.generation;
        let event_id = upgrade.tombstone.event_id.clone();
        InFlight::new(generation, event_id, self.upgrades.upgrade_room(upgrade))
    }
}
