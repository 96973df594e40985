//! Simplified sliding sync: the rooms that a client looks at, and what is new in them.
//!
//! The protocol is
//! [MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186) with its unstable
//! names. A *connection* of a device has been *told* of rooms; a request says which rooms it is
//! about by *lists*, windows on the user's rooms in the order of their last events, and by
//! subscriptions. Events, state and visibility are read by the same code as for `/sync`.

mod account;
mod answer;
mod connections;
mod ephemeral;
mod facts;
mod joined;
mod order;
mod outside;
mod reading;
mod request;
mod required;
mod scope;
mod service;
mod told;

pub use answer::{
    AccountDataAnswer, E2eeAnswer, EventByRoom, ExtensionsAnswer, Hero, ListAnswer, RoomAnswer,
    SlidingAnswer, ToDeviceAnswer,
};
pub(crate) use connections::Connections;
pub(crate) use order::SlidingUser;
pub use request::SlidingBody;
pub use service::SlidingRequest;
pub(crate) use told::RoomKey;
