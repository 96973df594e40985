//! Push rules, what they make of an event, and what is unread.
//!
//! See [push notifications](https://spec.matrix.org/v1.19/client-server-api/#push-notifications).

mod court;
mod error;
mod event;
mod glob;
mod judge;
mod notifications;
mod pushers;
mod room;
mod rooms;
mod rules;
mod service;
mod unread;
mod user;

pub use error::PushError;
pub use event::Candidate;
pub use judge::{Judge, Verdict};
pub use notifications::{Notification, NotificationsPage, NotificationsQuery};
pub use pushers::{PusherError, PusherParts, PusherView, PusherWish, Pushers};
pub use room::{NotificationPower, RoomContext};
pub use rules::{PushRules, RuleChange, Standing, default_push_rules};
pub use service::{Parts, PushService};
