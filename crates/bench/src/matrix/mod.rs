//! The part of the client-server API that the scenarios use.

mod account;
mod client;
mod history;
mod sync;

pub use account::Registrar;
pub(crate) use client::success;
pub use client::{Client, Room, escape};
pub use history::{HistoryEvent, history};
pub use sync::{JoinedRoom, SyncAnswer, Timeline, TimelineEvent};
