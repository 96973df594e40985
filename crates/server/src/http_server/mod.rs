//! From a socket to a request: listeners, TLS, the limits on a slow client, and the adapter for raw quotes in a query.

pub(crate) mod bind;
mod chunks;
mod framer;
pub(crate) mod listen;
mod patience;
mod quote_adapter;
pub(crate) mod tls;
