//! What is new for you: `/sync`, and the older ways to ask the same.
//!
//! [`SyncService`] is the way in. An in-memory index knows which rooms concern a user and where
//! each room's newest change stands, so that a sync asks the database only about rooms that
//! changed. A request with nothing to read waits in the hub until something concerns its user.

mod answer;
mod error;
mod filter;
mod hub;
mod index;
mod legacy;
mod sections;
mod service;
mod sliding;
#[cfg(test)]
mod testing;

pub use answer::{
    Batch, EventList, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, RoomsAnswer, Summary,
    SyncAnswer,
};
pub use error::SyncError;
pub use filter::{CompiledFilter, FilterChoice};
pub use legacy::{EventsAnswer, InitialRoom, InitialSync, MessagesChunk};
pub use service::{Parts, SyncRequest, SyncService, SyncSettings};
pub use sliding::{
    AccountDataAnswer, E2eeAnswer, EventByRoom, ExtensionsAnswer, Hero, ListAnswer, RoomAnswer,
    SlidingAnswer, SlidingBody, SlidingRequest, ToDeviceAnswer,
};
