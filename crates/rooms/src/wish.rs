//! What somebody wants to do in a room, before anybody has checked whether they may.

use greenroom_events::Draft;
use greenroom_model::{StateKey, StreamPosition, TransactionKey};
use greenroom_storage::NewRoom;
use ruma::{OwnedDeviceId, OwnedEventId, OwnedTransactionId, OwnedUserId};
use std::sync::Arc;

/// The transaction ID of a request, and what makes a retry of it the same act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionUse {
    /// Device, endpoint and ID as one key.
    pub key: TransactionKey,
    /// The device that sent it.
    pub device_id: OwnedDeviceId,
    /// The ID itself, which the device gets to see again in `unsigned.transaction_id`.
    pub txn_id: OwnedTransactionId,
}

/// A wish to append to a room.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) act: Act,
    pub(crate) transaction: Option<TransactionUse>,
}

/// What is wished for.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// An event, as its sender wrote it.
    Send(Draft),
    /// A redaction, with what is left of its target.
    Redact {
        draft: Draft,
        target: RedactionTarget,
    },
    /// A change of somebody's membership.
    Member(MemberWish),
    /// Another room in the place of this one.
    Upgrade(UpgradeWish),
}

/// A wish to end a room for the sake of another.
#[derive(Clone, Debug)]
pub(crate) struct UpgradeWish {
    pub(crate) sender: OwnedUserId,
    /// The events of those places of its state that the replacement was made of. What it holds in
    /// them must be the same still.
    pub(crate) places: Vec<(StateKey, Option<OwnedEventId>)>,
    /// All types of state that were read.
    pub(crate) state_types: Vec<String>,
    /// Up to where they were read.
    pub(crate) as_of: StreamPosition,
    /// Who was banned from it then.
    pub(crate) banned: Vec<OwnedUserId>,
    /// The room that takes its place.
    pub(crate) replacement: NewRoom,
}

/// The event that a redaction is about.
#[derive(Clone, Debug)]
pub(crate) struct RedactionTarget {
    pub(crate) event_id: OwnedEventId,
    pub(crate) sender: OwnedUserId,
    /// Whether the server's administration redacts what one of its own users sent.
    pub(crate) by_admin: bool,
    /// The place it holds or held in the state, if it is a state event.
    pub(crate) state: Option<(String, String)>,
    /// Its pruned JSON; `None` if an earlier redaction has emptied it.
    pub(crate) pruned: Option<Arc<[u8]>>,
}

/// A wish to change a membership.
#[derive(Clone, Debug)]
pub(crate) struct MemberWish {
    pub(crate) sender: OwnedUserId,
    pub(crate) target: OwnedUserId,
    pub(crate) action: MemberAction,
    pub(crate) reason: Option<String>,
    /// The target's profile, for the member event.
    pub(crate) display_name: Option<String>,
    pub(crate) avatar_url: Option<String>,
}

/// What is to become of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberAction {
    /// Join; with a member who vouches, where the room's join rule asks for one.
    Join { authorized_by: Option<OwnedUserId> },
    /// Leave, reject an invite, withdraw a knock.
    Leave,
    /// Invite; as a direct chat if said so.
    Invite { is_direct: bool },
    /// Remove somebody, who may come back.
    Kick,
    /// Remove somebody for good.
    Ban,
    /// Lift a ban.
    Unban,
    /// Ask to be let in.
    Knock,
    /// Carry the profile into the member event of somebody who is joined.
    Refresh,
}
