//! Sessions: begun, refreshed, ended.

use greenroom_auth::LoggedIn;
use ruma::{
    OwnedDeviceId, OwnedServerName, OwnedUserId,
    api::client::session::{
        get_login_types, login as log_in, logout as log_out, logout_all as log_out_all,
        refresh_token,
    },
};
use serde::Serialize;

use crate::{Routes, endpoint, endpoint_at};

mod login;
mod login_types;
mod logout;
mod logout_all;
mod refresh;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<get_login_types::v3::Request, _, _>(routes, login_types::handle);
    endpoint::<log_in::v3::Request, _, _>(routes, login::handle);
    endpoint::<refresh_token::v3::Request, _, _>(routes, refresh::handle);
    // What clients ask for where 1.3 is not among the versions they know.
    endpoint_at::<refresh_token::v3::Request, _, _>(
        routes,
        &["/_matrix/client/unstable/org.matrix.msc2918/refresh"],
        refresh::handle,
    );
    endpoint::<log_out::v3::Request, _, _>(routes, logout::handle);
    endpoint::<log_out_all::v3::Request, _, _>(routes, logout_all::handle);
}

/// What a client is told after a login or a registration. ruma's type for registrations lacks
/// `home_server`, which old clients still read.
#[derive(Debug, Serialize)]
pub(super) struct SessionAnswer {
    user_id: OwnedUserId,
    home_server: OwnedServerName,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<OwnedDeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl SessionAnswer {
    /// For an account that was made without a session.
    pub(super) fn without_login(user_id: OwnedUserId) -> Self {
        let home_server = user_id.server_name().to_owned();
        Self {
            user_id,
            home_server,
            access_token: None,
            device_id: None,
            refresh_token: None,
            expires_in_ms: None,
        }
    }
}

impl From<LoggedIn> for SessionAnswer {
    fn from(session: LoggedIn) -> Self {
        Self {
            access_token: Some(session.access_token.reveal()),
            device_id: Some(session.device_id),
            refresh_token: session.refresh_token.map(greenroom_auth::Token::reveal),
            expires_in_ms: session
                .expires_in
                .map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
            ..Self::without_login(session.user_id)
        }
    }
}
