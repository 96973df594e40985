//! The client-server API over HTTP.
//!
//! A handler translates: it takes a request of the specification, asks the crate that decides, and
//! turns what comes back into a response. What is common to all of them is here: reading requests
//! ([`Ruma`]), who asks ([`Requester`]), how often ([`RateLimits`]), what goes wrong
//! ([`ApiError`]), and the list of endpoints ([`client`]).

mod address;
mod api_version;
mod author;
mod body;
pub mod client;
mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod endpoint;
mod error;
mod path;
mod query;
mod rate_limit;
mod requester;
mod routes;
mod ruma_http;
mod settings;
mod sparing_log;
mod uia_body;
mod visitor;

pub use address::{ClientAddress, Network, NotANetwork};
pub use api_version::ApiVersion;
pub(crate) use author::Author;
pub(crate) use body::FormBody;
pub use body::JsonBody;
pub use endpoint::{custom_endpoint, endpoint, endpoint_at};
pub use error::ApiError;
pub use path::Path;
pub use query::Query;
pub use rate_limit::{Limited, Limits, Rate, RateLimitSettings, RateLimits};
pub use requester::Requester;
pub use routes::{Access, PathArgs, RouteEntry, Routes};
pub use ruma_http::{JsonAnswer, Ruma};
pub use settings::ApiSettings;
pub use uia_body::UiaBody;
pub(crate) use visitor::Visitor;
