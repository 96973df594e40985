//! Whether somebody wants to be invited at all.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The type of the account data that says so.
pub const TYPE: &str = "m.invite_permission_config";

/// Whether this content of [`TYPE`] refuses every invite. "A missing, invalid or unsupported value
/// means that the user wants to receive invites as normal."
///
/// See [invite permission](https://spec.matrix.org/v1.19/client-server-api/#invite-permission).
#[must_use]
pub fn blocks_all(content: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Config {
        default_action: String,
    }
    serde_json::from_str::<Config>(content.get())
        .is_ok_and(|config| config.default_action == "block")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_block_blocks() {
        for (content, right) in [
            (r#"{"default_action":"block"}"#, true),
            (r#"{"default_action":"block","org.example":1}"#, true),
            (r#"{"default_action":"Block"}"#, false),
            (r#"{"default_action":"allow"}"#, false),
            (r#"{"default_action":null}"#, false),
            (r#"{"default_action":["block"]}"#, false),
            (r#"{"defaultAction":"block"}"#, false),
            ("{}", false),
        ] {
            let content = RawValue::from_string(content.to_owned()).unwrap();
            assert_eq!(blocks_all(&content), right, "{content}");
        }
    }
}
