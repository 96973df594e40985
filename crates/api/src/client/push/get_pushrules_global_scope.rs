//! `GET /_matrix/client/*/pushrules/global/`

use greenroom_push::PushRules;
use serde_json::value::RawValue;

use crate::{JsonAnswer, Requester};

pub(super) async fn handle(requester: Requester) -> JsonAnswer<Box<RawValue>> {
    JsonAnswer(PushRules::of(&requester.user_id).global())
}
