//! What a user keeps on the server: their profile, account data, tags and whom they ignore.
//!
//! The services decide who may do what and within which bounds; storage keeps it. A changed
//! display name or avatar is carried into the member events of every joined room by a durable
//! job, [`ProfileFanOut`], long after the request that changed it was answered.

mod account_data;
mod error;
mod ignored_users;
mod jobs;
mod profile;
mod settings;
mod tags;
#[cfg(test)]
mod testing;
mod user_directory;

pub use account_data::AccountDataService;
pub use error::AccountError;
pub use ignored_users::IgnoreLists;
pub use jobs::profile_fanout::{MemberEventUpdater, MemberUpdateError, ProfileFanOut};
pub use profile::ProfileService;
pub use settings::{AccountDataSettings, AccountSettings, FanOutSettings, ProfileSettings};
pub use tags::{TagService, Tags};
pub use user_directory::{DirectoryPage, DirectoryUser, UserDirectory};
