//! What a room accepts, and what of it one may read.
//!
//! [`Rooms`] is the way in. Writing goes through one actor per room, which owns the room's head
//! and is the only one to append; reading goes to storage, up to the announced position.

mod actor;
mod aliases;
mod create;
mod error;
mod hierarchy;
mod history;
mod member_event;
mod members;
mod membership;
mod mutual;
mod power;
mod preview;
mod relations;
mod reports;
mod search;
mod send;
mod service;
mod upgrade;
mod wish;

pub use create::{CreateRoom, CreatedRoom, InitialState, Preset};
pub use error::RoomError;
pub use hierarchy::{HierarchyPage, HierarchyQuery, HierarchyRoom};
pub use history::{Context, EventView, MessagesPage, PageQuery, Reader};
pub use members::MembersQuery;
pub use membership::{Asked, Invite, JoinTarget, Moderation};
pub use mutual::MutualRooms;
pub use relations::{RelationsPage, RelationsQuery, ThreadsList, ThreadsRequest};
pub use search::{
    ContextWanted, Group, GroupBy, Profile, ResultContext, SearchIndexer, SearchOrder,
    SearchRequest, SearchResult, SearchResults,
};
pub use send::NewEvent;
pub use service::{Parts, Rooms, RoomsSettings};
pub use upgrade::{NotificationSettings, UpgradeRoom};
pub use wish::TransactionUse;
