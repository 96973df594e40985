//! Account data that nobody has set.

use ruma::UserId;
use serde_json::value::RawValue;

/// Account data that every user has without having set it, such as the predefined push rules.
pub trait BuiltinAccountData: Send + Sync {
    /// Types and contents. What the user has set of the same type takes their place.
    fn of(&self, user_id: &UserId) -> Vec<(String, Box<RawValue>)>;
}
