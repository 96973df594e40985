//! The authorization rules by their numbers in the newest room version: what a client can try to
//! break, in old and new room versions.

mod events;
mod memberships;
mod power_levels;
