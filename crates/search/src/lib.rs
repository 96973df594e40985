//! The words of events: which there are, what a search makes of them, and how well an event fits.
//!
//! Pure. The index of a database holds an event's [`entry`] and gives the candidates of a
//! [`Query`]; which of them are hits is decided by [`Query::rank`] alone, from the event itself. So an
//! index may be coarse, and both engines find the same.

mod fold;
mod query;
mod searchable;
mod tokens;

pub use query::Query;
pub use searchable::{Key, entry, is_searchable, texts};
pub use tokens::{hash, kind_token, room_token, sender_token};

/// Grows when an [`entry`] of the same event is another than before: an index of another version
/// has to be made anew, because what is in it cannot be taken out of it any more.
pub const VERSION: i64 = 1;
