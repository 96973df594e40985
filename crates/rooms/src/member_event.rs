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
    /// Takes out of a client's member event what only the server may say, puts in the profile where
    /// the client says nothing of it, and refuses an invite of somebody who could or would never come.
    ///
    /// "When homeservers emit room membership events for their own users, they should include the
    /// display name and avatar URL fields in these events."
    pub(crate) async fn check_member_event(
        &self,
        target: &str,
        content: &mut CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        content.remove(VOUCHER);
        // What is no user ID is refused with the rest of the event's shape.
        let Ok(target) = <&UserId>::try_from(target) else {
            return Ok(());
        };
        if sets(content, "invite") {
            self.require_invitable(target).await?;
        }
        if ["join", "invite", "knock"]
            .iter()
            .any(|it| sets(content, it))
        {
            self.add_profile(target, content).await?;
        }
        Ok(())
    }

    async fn add_profile(
        &self,
        target: &UserId,
        content: &mut CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        let missing = |key: &&str| !content.contains_key(*key);
        let missing: Vec<&str> = ["displayname", "avatar_url"]
            .into_iter()
            .filter(missing)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let profile = self.parts().profiles.profile(target).await?;
        let profile = profile.unwrap_or_default();
        for key in missing {
            if let Some(text) = profile.get(key).and_then(|value| value.as_str()) {
                content.insert(key.to_owned(), CanonicalJsonValue::String(text.to_owned()));
            }
        }
        Ok(())
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
            Ok(joined) if joins => {
                self.settle_in(room_id, &draft.sender).await?;
                return Ok(joined);
            }
            other => return other,
        };
        let Some(voucher) = self.voucher(room_id, &draft.sender).await? else {
            return Err(RoomError::Forbidden(refused));
        };
        let voucher = CanonicalJsonValue::String(voucher.into());
        draft.content.insert(VOUCHER.to_owned(), voucher);
        let sender = draft.sender.clone();
        let joined = self.propose(room_id, wish(draft)).await?;
        self.settle_in(room_id, &sender).await?;
        Ok(joined)
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
