//! What an operator can set about the HTTP side.

use ruma::OwnedServerName;

use crate::Network;

/// Settings of the client-server API, as `web::Data<ApiSettings>` in the app.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The name of this server, after the colon in its users' IDs.
    pub server_name: OwnedServerName,
    /// The URL that clients reach this server under, without a slash at the end, for
    /// `/.well-known/matrix/client`. `None` if it is not known: then that file is not served.
    pub public_base_url: Option<String>,
    /// The largest body of a request in bytes.
    pub body_limit_bytes: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            server_name: ruma::server_name!("localhost").to_owned(),
            public_base_url: None,
            body_limit_bytes: 2 * 1024 * 1024,
            trusted_proxies: Vec::new(),
        }
    }
}
