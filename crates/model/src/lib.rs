//! The words every part of Greenroom shares: positions, tokens, events at rest, the clock.
//!
//! No I/O, no spawning, no decisions. Everything depends on this crate, so it stays small.

mod clock;
mod event;
mod position;
mod relation;
mod token;

pub use clock::{Clock, SystemClock, TestClock};
pub use event::{StateKey, StoredEvent, TransactionKey};
pub use position::StreamPosition;
pub use relation::{
    Aggregations, AnnotationKey, MAX_HOPS, Relation, Target, TargetKey, Thread, rel_type,
};
pub use token::{PageToken, PosToken, SyncToken, TokenError, TokenSigner};
