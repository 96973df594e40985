//! `POST /_matrix/client/*/rooms/{roomId}/read_markers`

use actix_web::web;
use greenroom_ephemeral::{ReadMarkers, ReceiptService};
use ruma::api::client::read_marker::set_read_marker::v3;

use crate::{ApiError, Author, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    Ruma(request): Ruma<v3::Request>,
    receipts: web::Data<ReceiptService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let markers = ReadMarkers {
        fully_read: request.fully_read,
        read: request.read_receipt,
        read_private: request.private_read_receipt,
    };
    receipts
        .set_read_markers(&requester.user_id, &request.room_id, markers)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
