//! What a user keeps on the server: their profile, account data, tags, whom they ignore
//! and push rules.
//!
//! The services decide who may do what and within which bounds; storage keeps it. A changed
//! display name or avatar is carried into the member events of every joined room by a durable
//! job, [`ProfileFanOut`], long after the request that changed it was answered.

mod account_data;
mod error;
mod ignored_users;
mod jobs;
mod profile;
mod push_rules;
mod settings;
mod tags;
#[cfg(test)]
mod testing;

pub use account_data::AccountDataService;
pub use error::AccountError;
pub use ignored_users::IgnoreLists;
pub use jobs::profile_fanout::{MemberEventUpdater, MemberUpdateError, ProfileFanOut};
pub use profile::ProfileService;
pub use push_rules::{PushRules, default_push_rules};
pub use settings::{AccountDataSettings, AccountSettings, FanOutSettings, ProfileSettings};
pub use tags::{TagService, Tags};
