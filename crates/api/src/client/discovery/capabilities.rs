//! `GET /_matrix/client/*/capabilities`

use std::collections::BTreeMap;

use greenroom_events::RoomVersion;
use ruma::api::client::discovery::get_capabilities::v3;
use serde_json::{Value, json};

use crate::{ApiError, JsonAnswer, Requester, Ruma};

// Said in full: ruma's type leaves out what is the default.
pub(super) async fn handle(
    _: Requester,
    _: Ruma<v3::Request>,
) -> Result<JsonAnswer<Value>, ApiError> {
    let available: BTreeMap<&str, &str> = RoomVersion::supported()
        .iter()
        .map(|version| (version.as_str(), "stable"))
        .collect();
    Ok(JsonAnswer(json!({
        "capabilities": {
            "m.change_password": { "enabled": true },
            "m.room_versions": {
                "default": RoomVersion::DEFAULT.as_str(),
                "available": available,
            },
            "m.set_displayname": { "enabled": true },
            "m.set_avatar_url": { "enabled": true },
            "m.profile_fields": { "enabled": true },
            "m.3pid_changes": { "enabled": false },
            "m.get_login_token": { "enabled": false },
            "m.forget_forced_upon_leave": { "enabled": false },
        }
    })))
}
