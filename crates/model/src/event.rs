//! Events as they rest in the database.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId,
    OwnedUserId,
};
use sha2::{Digest, Sha256};

use crate::StreamPosition;

/// A place in a room's state: event type and state key.
pub type StateKey = (String, String);

/// A committed event with what the server knows about it beside its own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where the event stands in the server's stream.
    pub position: StreamPosition,
    /// The event's ID.
    pub event_id: OwnedEventId,
    /// The room it belongs to (also for a version 12 create event, whose own JSON has none).
    pub room_id: OwnedRoomId,
    /// Its type, as on the wire.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// When its sender's server says it was sent.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// The PDU as canonical JSON, signed; redacted content is already gone from it.
    pub json: Arc<[u8]>,
    /// The redaction that emptied this event, if one did.
    pub redacted_by: Option<OwnedEventId>,
    /// The state event whose place this one took.
    pub replaces_state: Option<OwnedEventId>,
    /// The device that sent it and the transaction ID it used, for `unsigned.transaction_id`.
    pub transaction: Option<(OwnedDeviceId, OwnedTransactionId)>,
}

impl StoredEvent {
    /// Whether this is a state event with this type and state key.
    #[must_use]
    pub fn is_state(&self, event_type: &str, state_key: &str) -> bool {
        self.event_type == event_type && self.state_key.as_deref() == Some(state_key)
    }
}

/// What makes a retry the same act: device, endpoint and transaction ID, as one short hash.
///
/// See [transaction identifiers](https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionKey([u8; 16]);

impl TransactionKey {
    /// The key of a transaction ID used by one device on one endpoint.
    ///
    /// `endpoint` is the method and the path up to the transaction ID, with the API version left
    /// out: a client that repeats a request under `r0` and `v3` still means one act.
    #[must_use]
    pub fn new(user_id: &str, device_id: &str, endpoint: &str, txn_id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [user_id, device_id, endpoint, txn_id] {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest) {
            *to = from;
        }
        Self(key)
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_key_keeps_its_parts_apart() {
        let key = TransactionKey::new("@a:b", "D", "PUT rooms/!r/send/m", "1");
        assert_eq!(
            key,
            TransactionKey::new("@a:b", "D", "PUT rooms/!r/send/m", "1")
        );
        for other in [
            TransactionKey::new("@a:bD", "", "PUT rooms/!r/send/m", "1"),
            TransactionKey::new("@a:b", "E", "PUT rooms/!r/send/m", "1"),
            TransactionKey::new("@a:b", "D", "PUT rooms/!q/send/m", "1"),
            TransactionKey::new("@a:b", "D", "PUT rooms/!r/send/m1", ""),
        ] {
            assert_ne!(key, other);
        }
    }
}
