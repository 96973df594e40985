//! The contract with the database, in Matrix's terms: one trait per subject, no SQL.
//!
//! Every method that writes is one act: it is committed whole, together with its place in the
//! stream, before it returns, or not at all. Every method that reads sees at least everything
//! that was announced when it was called.

mod account_data;
mod accounts;
mod devices;
mod directory;
mod error;
mod event_times;
mod filters;
mod members;
mod presence;
mod profiles;
mod pushers;
mod receipts;
mod relations;
mod reports;
mod rooms;
mod search;
mod sliding;
mod spaces;
mod state;
mod timeline;
mod uia;
mod unread;
mod upgrades;
mod user_directory;

pub use account_data::{AccountDataEntry, AccountDataStore};
pub use accounts::{Account, AccountStore, NewAccount, Registration, RegistrationToken};
pub use devices::{Device, DeviceStore, NewSession, Refresh, Session, TokenHash};
pub use directory::{DirectoryStore, PublicRoom, PublicRoomsPage, PublicRoomsQuery};
pub use error::StorageError;
pub use event_times::EventTimeStore;
pub use filters::FilterStore;
pub use members::{Member, MemberCounts, MemberStore, RoomMembership, RoomSummary};
pub use presence::PresenceStore;
pub use profiles::{Profile, ProfileStore};
pub use pushers::{Pusher, PusherId, PusherProgress, PusherStore, SetPusher};
pub use receipts::{Receipt, ReceiptStore};
pub use relations::{
    RECURSION_DEPTH, RelatingQuery, RelationReader, RelationStore, ThreadsPage, ThreadsQuery,
};
pub use reports::{NewReport, Report, ReportStore, Reported};
pub use rooms::{Append, Appended, Committed, NewRoom, RedactedEvent, RoomHeadRow, RoomStore};
pub use search::{Judge, SearchQuery, SearchStore};
pub use sliding::SlidingStore;
pub use spaces::{RoomPreview, SpaceStore};
pub use state::{StateStore, StateVersion};
pub use timeline::{Direction, TimelineStore};
pub use uia::{UiaSession, UiaStore};
pub use unread::{KeptUnread, ReadUpto, Reading, UnreadStore};
pub use upgrades::{RoomUpgrade, UpgradeStore};
pub use user_directory::{FoundUser, UserDirectoryStore};
