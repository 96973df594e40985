//! A small HTTP/1.1 client: keep-alive, no TLS, one request at a time.

mod codec;
mod connection;
mod target;

pub use codec::{Decoder, Response};
pub use connection::{Connection, Method};
pub use target::Target;
