//! The older ways to ask what is new: `/events`, `/initialSync`, `rooms/{roomId}/initialSync`.
//!
//! They answer from the same index and stores as `/sync`, in the shape of the first API.

mod events;
mod initial;

pub use events::EventsAnswer;
pub use initial::{InitialRoom, InitialSync, MessagesChunk};
