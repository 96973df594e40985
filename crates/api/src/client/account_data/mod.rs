//! [Client config](https://spec.matrix.org/v1.19/client-server-api/#client-config) and [room
//! tagging](https://spec.matrix.org/v1.19/client-server-api/#room-tagging).

pub(super) mod create_tag;
pub(super) mod delete_tag;
pub(super) mod get_global_account_data;
pub(super) mod get_room_account_data;
pub(super) mod get_tags;
pub(super) mod set_global_account_data;
pub(super) mod set_room_account_data;
