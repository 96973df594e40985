//! The one order of everything that `/sync` can deliver.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the server's one stream of committed changes.
///
/// The writer assigns positions inside the transaction that makes a change true, so committed
/// order is stream order: who has seen position *n* has seen everything up to *n*. Positions
/// grow but are not dense. Zero is before everything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StreamPosition(pub i64);

impl StreamPosition {
    /// Before the first change.
    pub const START: Self = Self(0);

    /// The position just before this one, never below [`Self::START`].
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1).max(0))
    }

    /// The position just after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
