//! `POST /_matrix/client/*/rooms/{roomId}/receipt/{receiptType}/{eventId}`

use actix_web::web;
use greenroom_ephemeral::ReceiptService;
use ruma::{
    OwnedEventId, OwnedRoomId, api::client::receipt::create_receipt::v3,
    events::receipt::ReceiptThread,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

/// A wrong `thread_id` is told from a wrong body, so it is read by hand.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(default, deserialize_with = "present")]
    thread_id: Option<Value>,
}

/// What is there, also if it is null: that is no thread either.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub(super) async fn handle(
    author: Author,
    Path((room_id, receipt_type, event_id)): Path<(OwnedRoomId, String, OwnedEventId)>,
    JsonBody(body): JsonBody<Body>,
    receipts: web::Data<ReceiptService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let thread = thread(body.thread_id)?;
    receipts
        .set_receipt(
            &requester.user_id,
            &room_id,
            &receipt_type,
            &event_id,
            &thread,
        )
        .await?;
    Ok(Ruma(v3::Response::new()))
}

fn thread(thread_id: Option<Value>) -> Result<ReceiptThread, ApiError> {
    let thread = match thread_id {
        None => Ok(ReceiptThread::Unthreaded),
        Some(Value::String(thread_id)) => ReceiptThread::try_from(Some(thread_id)).map_err(drop),
        Some(_) => Err(()),
    };
    thread.map_err(|()| {
        ApiError::invalid_param("The thread_id must be main or the event ID of a thread's root.")
    })
}
