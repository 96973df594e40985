//! What is true for the moment: who types, who is online, and how far everyone has read.
//!
//! Typing and presence are in memory only, behind the traits of `greenroom-stream` through which
//! a sync reads them; receipts are kept by storage. Each tracker has one task for all its timers:
//! wiring spawns their `run`.

mod error;
mod presence;
mod receipts;
mod settings;
#[cfg(test)]
mod testing;
mod timer;
mod typing;

pub use error::EphemeralError;
pub use presence::PresenceTracker;
pub use receipts::{ReadMarkers, ReceiptService};
pub use settings::{EphemeralSettings, PresenceReach, PresenceSettings, TypingSettings};
pub use typing::TypingTracker;
