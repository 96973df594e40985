//! `GET /_matrix/client/*/login`

use ruma::api::client::session::get_login_types::v3;

use crate::{ApiError, Ruma};

pub(super) async fn handle(_: Ruma<v3::Request>) -> Result<Ruma<v3::Response>, ApiError> {
    let password = v3::LoginType::Password(v3::PasswordLoginType::new());
    Ok(Ruma(v3::Response::new(vec![password])))
}
