//! [Typing](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications),
//! [presence](https://spec.matrix.org/v1.19/client-server-api/#presence) and
//! [receipts](https://spec.matrix.org/v1.19/client-server-api/#receipts).

pub(super) mod create_receipt;
pub(super) mod create_typing_event;
pub(super) mod get_presence;
pub(super) mod set_presence;
pub(super) mod set_read_marker;
