//! `GET /_matrix/client/*/account/whoami`

use ruma::api::client::account::whoami::v3;

use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    _: Ruma<v3::Request>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let mut response = v3::Response::new(requester.user_id, false);
    response.device_id = Some(requester.device_id);
    Ok(Ruma(response))
}
