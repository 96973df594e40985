//! What an event is: pure rules, no I/O and no clock.
//!
//! From a client's wish to a signed PDU ([`draft`], [`check`], [`sign`]), what a redaction leaves of
//! it ([`mod@redact`]), who may send it ([`auth`]) and see it ([`visibility`]), and how clients read
//! it ([`client_format`], [`event_fields`], [`stripped`]) and what relates to it ([`relations`]).

pub mod auth;
pub mod check;
pub mod client_format;
pub mod draft;
mod envelope;
mod error;
pub mod event_fields;
pub mod filter;
pub mod invite_permission;
pub mod json;
pub mod pdu;
pub mod redact;
pub mod relations;
pub mod sign;
pub mod stripped;
pub mod version;
pub mod view;
pub mod visibility;

pub use client_format::{ClientEvent, Format, Shape, Unsigned};
pub use draft::{Draft, EventRef, Place, build, room_id_for_create};
pub use error::EventError;
pub use event_fields::EventFields;
pub use filter::EventFilter;
pub use json::{JsonError, MAX_NESTING};
pub use pdu::Pdu;
pub use sign::EventSigner;
pub use version::RoomVersion;
pub use view::Viewer;
pub use visibility::VisibilityHistory;

#[cfg(test)]
mod tests;
