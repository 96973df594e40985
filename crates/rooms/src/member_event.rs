//! Member events that a client writes itself, as state instead of by an act like joining.

use greenroom_events::Draft;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, RoomId, UserId};

use crate::{
    RoomError, Rooms,
    wish::{Act, Wish},
};

/// Who vouches for a restricted join. The authorization rules only ask whether that user may
/// invite; that the joining one meets a condition of the room is what the server says by it.
const VOUCHER: &str = "join_authorised_via_users_server";

impl Rooms {
    /// Takes out of a client's member event what only the server may say, and refuses an invite
    /// of somebody who could never come.
    pub(crate) async fn check_member_event(
        &self,
        target: &str,
        content: &mut CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        content.remove(VOUCHER);
        match <&UserId>::try_from(target) {
            Ok(target) if sets(content, "invite") => self.require_user(target).await,
            // What is no user ID is refused with the rest of the event's shape.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Sends a member event as its sender wrote it. A restricted join is vouched for as
    /// [`Self::join`] would.
    pub(crate) async fn send_member_event(
        &self,
        room_id: &RoomId,
        mut draft: Draft,
    ) -> Result<OwnedEventId, RoomError> {
        let target = draft.state_key.clone().unwrap_or_default();
        self.check_member_event(&target, &mut draft.content).await?;
        let joins = sets(&draft.content, "join") && target == draft.sender.as_str();
        let refused = match self.propose(room_id, wish(draft.clone())).await {
            Err(RoomError::Forbidden(refused)) if joins => refused,
            other => return other,
        };
        let Some(voucher) = self.voucher(room_id, &draft.sender).await? else {
            return Err(RoomError::Forbidden(refused));
        };
        let voucher = CanonicalJsonValue::String(voucher.into());
        draft.content.insert(VOUCHER.to_owned(), voucher);
        self.propose(room_id, wish(draft)).await
    }
}

fn sets(content: &CanonicalJsonObject, membership: &str) -> bool {
    matches!(content.get("membership"), Some(CanonicalJsonValue::String(set)) if set == membership)
}

fn wish(draft: Draft) -> Wish {
    Wish {
        act: Act::Send(draft),
        transaction: None,
    }
}
