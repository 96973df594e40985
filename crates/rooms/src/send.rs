//! Sending events, state and redactions.

use std::sync::Arc;

use greenroom_events::{Draft, RoomVersion, check::canonical_aliases, json, redact::redact};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId,
    OwnedUserId, RoomId, UserId, events::room::server_acl::RoomServerAclEventContent,
};

use crate::{
    RoomError, Rooms,
    wish::{Act, RedactionTarget, TransactionUse, Wish},
};

pub(crate) const CANONICAL_ALIAS: &str = "m.room.canonical_alias";

const SERVER_ACL: &str = "m.room.server_acl";

/// An event that a client asks to send.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type.
    pub event_type: String,
    /// Its state key, for a state event.
    pub state_key: Option<String>,
    /// Its content as the client wrote it: a JSON object.
    pub content: &'a [u8],
    /// For a redaction, its target, where the endpoint names it apart from the content.
    pub redacts: Option<OwnedEventId>,
    /// A time other than now, for those who may set one.
    pub origin_server_ts: Option<MilliSecondsSinceUnixEpoch>,
    /// Whether the sender administers this server.
    pub by_admin: bool,
}

impl Rooms {
    /// Sends an event into a room. Resolves after the commit, with the event's ID: that of the
    /// first try if `transaction` was used before.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] if the sender is not joined or there is no such room,
    /// [`RoomError::Forbidden`] if the room does not allow it, [`RoomError::Event`] if the event
    /// itself is not right, [`RoomError::NoSuchEvent`] for a redaction of nothing,
    /// [`RoomError::DuplicateAnnotation`] and [`RoomError::NestedThread`] for what it relates to.
    pub async fn send(
        &self,
        room_id: &RoomId,
        event: NewEvent<'_>,
        transaction: Option<TransactionUse>,
    ) -> Result<OwnedEventId, RoomError> {
        let content = json::parse_object(event.content)
            .map_err(|error| RoomError::from(greenroom_events::EventError::from(error)))?;
        let is_redaction = event.event_type == "m.room.redaction" && event.state_key.is_none();
        if event.event_type == CANONICAL_ALIAS && event.state_key.as_deref() == Some("") {
            self.check_new_aliases(room_id, &event.sender, &content)
                .await?;
        }
        if event.event_type == SERVER_ACL && event.state_key.as_deref() == Some("") {
            self.check_server_acl(&content)?;
        }
        let by_admin = event.by_admin;
        let draft = Draft {
            sender: event.sender,
            event_type: event.event_type,
            state_key: event.state_key,
            content,
            redacts: event.redacts,
            origin_server_ts_override: event.origin_server_ts,
        };
        let _one_by_one = self.annotations().enter(&draft).await;
        if let Some(event_id) = self
            .check_relation(room_id, &draft, transaction.as_ref())
            .await?
        {
            return Ok(event_id);
        }
        let sent = if draft.event_type == "m.room.member" && draft.state_key.is_some() {
            self.send_member_event(room_id, draft).await
        } else {
            let act = if is_redaction {
                self.redaction(room_id, draft, by_admin).await?
            } else {
                Act::Send(draft)
            };
            self.propose(room_id, Wish { act, transaction }).await
        };
        sent.map_err(|error| match error {
            // Whether there is such a room is nobody's business who is not in it.
            RoomError::NoSuchRoom => RoomError::NotInRoom,
            other => other,
        })
    }

    /// Finds what a redaction leaves of its target.
    async fn redaction(
        &self,
        room_id: &RoomId,
        mut draft: Draft,
        by_admin: bool,
    ) -> Result<Act, RoomError> {
        let named = match draft.content.get("redacts") {
            Some(CanonicalJsonValue::String(named)) => EventId::parse(named).ok(),
            _ => None,
        };
        let version = self.parts().rooms.room_version(room_id).await?;
        let version = version
            .and_then(|id| RoomVersion::new(&id))
            .ok_or(RoomError::NotInRoom)?;
        if draft.redacts.is_none() {
            // Sent like any event: the target is moved to where the room version keeps it.
            if !version.redacts_in_content() {
                draft.content.remove("redacts");
            }
            draft.redacts = named;
        }
        let target_id = draft.redacts.clone().ok_or(RoomError::InvalidParam(
            "a redaction must name the event it redacts",
        ))?;
        let target = self
            .parts()
            .timeline
            .event(&target_id)
            .await?
            .filter(|target| target.room_id == room_id);
        let Some(target) = target else {
            // What is in a room is nobody's business who is not.
            self.require_joined(room_id, &draft.sender).await?;
            return Err(RoomError::NoSuchEvent);
        };
        if target.is_state("m.room.create", "") {
            return Err(RoomError::Forbidden(
                "the create event cannot be redacted".to_owned(),
            ));
        }
        let pruned = match &target.redacted_by {
            Some(_) => None,
            None => Some(Arc::from(redact(&target.json, &version)?)),
        };
        let state = target
            .state_key
            .map(|state_key| (target.event_type, state_key));
        let target = RedactionTarget {
            event_id: target.event_id,
            by_admin: by_admin && self.is_local(target.sender.server_name()),
            sender: target.sender,
            state,
            pruned,
        };
        Ok(Act::Redact { draft, target })
    }

    /// The content of the state event of a type with an empty state key; empty if there is none.
    pub(crate) async fn current_content(
        &self,
        room_id: &RoomId,
        event_type: &str,
    ) -> Result<CanonicalJsonObject, RoomError> {
        let key = (event_type.to_owned(), String::new());
        let current = self.parts().rooms.current_state(room_id, vec![key]).await?;
        let event = current.first().map(|event| json::parse_object(&event.json));
        match event
            .and_then(Result::ok)
            .and_then(|mut event| event.remove("content"))
        {
            Some(CanonicalJsonValue::Object(content)) => Ok(content),
            _ => Ok(CanonicalJsonObject::new()),
        }
    }

    /// Refuses an access list that shuts out this server itself: nobody who is in the room by it
    /// could ever take it back.
    ///
    /// "Failing to provide an `allow` rule of some kind will prevent all servers from participating
    /// in the room, including the sender. This renders the room unusable."
    pub(crate) fn check_server_acl(&self, content: &CanonicalJsonObject) -> Result<(), RoomError> {
        let mut content = content.clone();
        // "Defaults to `true` if missing or otherwise not a boolean."
        content.retain(|key, value| {
            key != "allow_ip_literals" || matches!(value, CanonicalJsonValue::Bool(_))
        });
        let list = serde_json::to_value(&content)
            .and_then(serde_json::from_value::<RoomServerAclEventContent>);
        // A list of another shape is refused with the rest of the event's.
        if list.is_ok_and(|list| !list.is_allowed(&self.server_name())) {
            return Err(RoomError::InvalidParam(
                "this access list would shut out the server that you are on",
            ));
        }
        Ok(())
    }

    /// Refuses aliases that are new in the room's `m.room.canonical_alias` and do not point to it.
    ///
    /// See [`m.room.canonical_alias`](https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias).
    async fn check_new_aliases(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        content: &CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        let wanted = canonical_aliases(content)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let current = self.current_content(room_id, CANONICAL_ALIAS).await?;
        let known = canonical_aliases(&current).unwrap_or_default();
        for alias in wanted {
            if known.contains(&alias) {
                continue;
            }
            match self.parts().directory.alias(&alias).await? {
                Some((target, _)) if target == room_id => {}
                _ => {
                    // Which ones are known already is nobody's business who is not in the room.
                    self.require_joined(room_id, sender).await?;
                    return Err(RoomError::BadAlias(alias));
                }
            }
        }
        Ok(())
    }
}
