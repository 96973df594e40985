//! Rooms: made, entered and left, written to, read.

use actix_web::http::Method;
use greenroom_model::TransactionKey;
use greenroom_rooms::TransactionUse;
use ruma::{OwnedEventId, OwnedRoomId, OwnedTransactionId, api::client as spec};
use serde::Serialize;

use crate::{Access, Requester, Routes, custom_endpoint, endpoint, endpoint_at};

mod ban_user;
mod create_room;
mod event_content;
mod event_filter;
mod forget_room;
mod get_context;
mod get_event_anywhere;
mod get_hierarchy;
mod get_member_events;
mod get_message_events;
mod get_relations;
mod get_room_event;
mod get_state_event;
mod get_state_events;
mod get_summary;
mod get_threads;
mod invite_user;
mod join_room;
mod joined_members;
mod joined_rooms;
mod kick_user;
mod knock_room;
mod leave_room;
mod limit;
mod mutual_rooms;
mod redact_event;
mod send_event;
mod send_state_event;
mod subject;
mod summary;
mod timestamp_to_event;
mod unban_user;
mod upgrade_room;

use crate::Author;

pub(super) use self::limit::Limit;

pub(super) fn list(routes: &mut Routes) {
    creation(routes);
    sending(routes);
    membership(routes);
    state(routes);
    history(routes);
    relations(routes);
    discovery(routes);
}

/// A path that ruma does not know, under the old API's version and today's.
macro_rules! both_versions {
    ($path:literal) => {
        &[
            concat!("/_matrix/client/r0/", $path),
            concat!("/_matrix/client/v3/", $path),
        ]
    };
}

fn creation(routes: &mut Routes) {
    endpoint::<spec::room::create_room::v3::Request, _, _>(routes, create_room::post);
    let paths = both_versions!("createRoom/{txn_id}");
    custom_endpoint(routes, &Method::PUT, Access::Token, paths, create_room::put);
    endpoint::<spec::room::upgrade_room::v3::Request, _, _>(routes, upgrade_room::handle);
}

fn sending(routes: &mut Routes) {
    let (post, put, token) = (&Method::POST, &Method::PUT, Access::Token);
    endpoint::<spec::message::send_message_event::v3::Request, _, _>(routes, send_event::put);
    let paths = both_versions!("rooms/{room_id}/send/{event_type}");
    custom_endpoint(routes, post, token, paths, send_event::post);
    endpoint::<spec::redact::redact_event::v3::Request, _, _>(routes, redact_event::put);
    let paths = both_versions!("rooms/{room_id}/redact/{event_id}");
    custom_endpoint(routes, post, token, paths, redact_event::post);
    endpoint::<spec::state::send_state_event::v3::Request, _, _>(routes, send_state_event::keyed);
    let paths = both_versions!("rooms/{room_id}/state/{event_type}");
    custom_endpoint(routes, put, token, paths, send_state_event::unkeyed);
}

fn membership(routes: &mut Routes) {
    use spec::membership::{
        ban_user, forget_room, invite_user, join_room_by_id, join_room_by_id_or_alias, kick_user,
        leave_room, unban_user,
    };
    endpoint::<invite_user::v3::Request, _, _>(routes, self::invite_user::handle);
    endpoint::<join_room_by_id::v3::Request, _, _>(routes, join_room::by_id);
    endpoint::<join_room_by_id_or_alias::v3::Request, _, _>(routes, join_room::by_id_or_alias);
    endpoint::<leave_room::v3::Request, _, _>(routes, self::leave_room::handle);
    endpoint::<forget_room::v3::Request, _, _>(routes, self::forget_room::handle);
    endpoint::<kick_user::v3::Request, _, _>(routes, self::kick_user::handle);
    endpoint::<ban_user::v3::Request, _, _>(routes, self::ban_user::handle);
    endpoint::<unban_user::v3::Request, _, _>(routes, self::unban_user::handle);
    let paths = both_versions!("knock/{room_id_or_alias}");
    endpoint_at::<spec::knock::knock_room::v3::Request, _, _>(routes, paths, knock_room::handle);

    // In the first API each of them could be put under a transaction ID.
    let (put, token) = (&Method::PUT, Access::Token);
    let paths = both_versions!("rooms/{room_id}/invite/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::invite_user::handle);
    let paths = both_versions!("rooms/{room_id}/join/{txn_id}");
    custom_endpoint(routes, put, token, paths, join_room::by_id);
    let paths = both_versions!("join/{room_id_or_alias}/{txn_id}");
    custom_endpoint(routes, put, token, paths, join_room::by_id_or_alias);
    let paths = both_versions!("rooms/{room_id}/leave/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::leave_room::handle);
    let paths = both_versions!("rooms/{room_id}/forget/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::forget_room::handle);
    let paths = both_versions!("rooms/{room_id}/kick/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::kick_user::handle);
    let paths = both_versions!("rooms/{room_id}/ban/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::ban_user::handle);
    let paths = both_versions!("rooms/{room_id}/unban/{txn_id}");
    custom_endpoint(routes, put, token, paths, self::unban_user::handle);
}

fn state(routes: &mut Routes) {
    use spec::{
        membership::{
            get_member_events, joined_members as joined_members_of, joined_rooms as joined_rooms_of,
        },
        state::{get_state_event_for_key, get_state_events},
    };
    endpoint::<get_state_events::v3::Request, _, _>(routes, self::get_state_events::handle);
    endpoint::<get_state_event_for_key::v3::Request, _, _>(routes, get_state_event::keyed);
    custom_endpoint(
        routes,
        &Method::GET,
        Access::Token,
        both_versions!("rooms/{room_id}/state/{event_type}"),
        get_state_event::unkeyed,
    );
    endpoint::<get_member_events::v3::Request, _, _>(routes, self::get_member_events::handle);
    endpoint::<joined_members_of::v3::Request, _, _>(routes, joined_members::handle);
    endpoint::<joined_rooms_of::v3::Request, _, _>(routes, joined_rooms::handle);
}

/// Events that relate to others.
fn relations(routes: &mut Routes) {
    use spec::relations::{
        get_relating_events, get_relating_events_with_rel_type,
        get_relating_events_with_rel_type_and_event_type,
    };
    endpoint::<get_relating_events::v1::Request, _, _>(routes, get_relations::of_any_type);
    endpoint::<get_relating_events_with_rel_type::v1::Request, _, _>(
        routes,
        get_relations::of_rel_type,
    );
    endpoint::<get_relating_events_with_rel_type_and_event_type::v1::Request, _, _>(
        routes,
        get_relations::of_event_type,
    );
    endpoint::<spec::threads::get_threads::v1::Request, _, _>(routes, get_threads::handle);
}

fn history(routes: &mut Routes) {
    endpoint::<spec::message::get_message_events::v3::Request, _, _>(
        routes,
        get_message_events::handle,
    );
    endpoint::<spec::context::get_context::v3::Request, _, _>(routes, get_context::handle);
    endpoint::<spec::room::get_event_by_timestamp::v1::Request, _, _>(
        routes,
        timestamp_to_event::handle,
    );
    endpoint::<spec::room::get_room_event::v3::Request, _, _>(routes, get_room_event::handle);
    custom_endpoint(
        routes,
        &Method::GET,
        Access::Token,
        both_versions!("events/{event_id}"),
        get_event_anywhere::handle,
    );
}

/// Rooms that one need not be in.
fn discovery(routes: &mut Routes) {
    // js-sdk and the Rust SDK ask under different paths where a server is older than 1.15.
    let paths = [
        "/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}",
        "/_matrix/client/unstable/im.nheko.summary/rooms/{room_id_or_alias}/summary",
        "/_matrix/client/v1/room_summary/{room_id_or_alias}",
    ];
    endpoint_at::<spec::room::get_summary::v1::Request, _, _>(routes, &paths, get_summary::handle);
    // Before v1.19 the answer had no count; nobody minds that there is one.
    let paths = [
        "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms",
        "/_matrix/client/v1/mutual_rooms",
    ];
    endpoint_at::<spec::membership::get_mutual_rooms::v1::Request, _, _>(
        routes,
        &paths,
        mutual_rooms::handle,
    );
    endpoint::<spec::space::get_hierarchy::v1::Request, _, _>(routes, get_hierarchy::handle);
}

/// What a client is told of an event that it sent.
#[derive(Debug, Serialize)]
struct SentEvent {
    event_id: OwnedEventId,
}

/// What a client is told of a room that it entered or knocked at.
#[derive(Debug, Serialize)]
struct EnteredRoom {
    room_id: OwnedRoomId,
}

fn reader(requester: Requester) -> greenroom_rooms::Reader {
    greenroom_rooms::Reader {
        user_id: requester.user_id,
        device_id: requester.device_id,
    }
}

/// What makes a retry of a request the same act. `endpoint` is its method and the path up to the
/// transaction ID.
fn transaction(
    requester: &Requester,
    endpoint: &str,
    txn_id: OwnedTransactionId,
) -> TransactionUse {
    let (user_id, device_id) = (&requester.user_id, &requester.device_id);
    TransactionUse {
        key: TransactionKey::new(
            user_id.as_str(),
            device_id.as_str(),
            endpoint,
            txn_id.as_str(),
        ),
        device_id: device_id.clone(),
        txn_id,
    }
}
