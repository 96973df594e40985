//! Push rules, what they make of an event, and what is unread.
//!
//! See [push notifications](https://spec.matrix.org/v1.19/client-server-api/#push-notifications).

mod event;
mod glob;
mod judge;
mod room;
mod rules;

pub use event::Candidate;
pub use judge::{Judge, Verdict};
pub use room::{NotificationPower, RoomContext};
pub use rules::{PushRules, default_push_rules};
