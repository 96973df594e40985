//! Events that relate to others: which of them may be sent, and how they are found.

mod relating;
mod sending;
mod threads;

pub(crate) use self::sending::Annotations;
pub use self::{
    relating::{RelationsPage, RelationsQuery},
    threads::{ThreadsList, ThreadsRequest},
};
