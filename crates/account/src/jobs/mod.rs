//! Work that goes on after the request that caused it was answered.

pub(crate) mod profile_fanout;
