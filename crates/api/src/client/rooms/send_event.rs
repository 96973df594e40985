//! `PUT /_matrix/client/*/rooms/{roomId}/send/{eventType}/{txnId}`, and `POST` of the first API
//! without a transaction ID

use actix_web::web;
use greenroom_rooms::{NewEvent, Rooms};
use ruma::{OwnedRoomId, OwnedTransactionId};

use super::{Author, SentEvent, event_content::EventContent};
use crate::{ApiError, JsonAnswer, Limited, Path};

pub(super) async fn put(
    author: Author,
    Path((room_id, event_type, txn_id)): Path<(OwnedRoomId, String, OwnedTransactionId)>,
    EventContent(content): EventContent,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let endpoint = format!("PUT rooms/{room_id}/send/{event_type}");
    let transaction = super::transaction(&requester, &endpoint, txn_id);
    let event = NewEvent {
        sender: requester.user_id,
        event_type,
        state_key: None,
        content: &content,
        redacts: None,
        origin_server_ts: None,
        by_admin: requester.admin,
    };
    let event_id = rooms.send(&room_id, event, Some(transaction)).await?;
    Ok(JsonAnswer(SentEvent { event_id }))
}

pub(super) async fn post(
    author: Author,
    Path((room_id, event_type)): Path<(OwnedRoomId, String)>,
    EventContent(content): EventContent,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let event = NewEvent {
        sender: requester.user_id,
        event_type,
        state_key: None,
        content: &content,
        redacts: None,
        origin_server_ts: None,
        by_admin: requester.admin,
    };
    let event_id = rooms.send(&room_id, event, None).await?;
    Ok(JsonAnswer(SentEvent { event_id }))
}
