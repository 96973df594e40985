//! [Profiles](https://spec.matrix.org/v1.19/client-server-api/#profiles).

pub(super) mod delete_profile_field;
pub(super) mod get_profile;
pub(super) mod get_profile_field;
pub(super) mod set_profile_field;
