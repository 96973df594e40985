//! Greenroom, a Matrix homeserver.

mod data_dir;
mod http_server;
mod shutdown;

fn main() {}
