//! [Room aliases](https://spec.matrix.org/v1.19/client-server-api/#room-aliases) and the
//! [published room
//! directory](https://spec.matrix.org/v1.19/client-server-api/#published-room-directory).

use actix_web::http::Method;
use ruma::api::client::{
    alias as alias_of, directory as directory_of, room::aliases as aliases_of,
};

use crate::{Access, Routes, custom_endpoint, endpoint};

mod create_alias;
mod delete_alias;
mod get_alias;
mod get_room_visibility;
mod public_rooms;
mod room_aliases;
mod set_room_visibility;
mod since_token;

const PUBLIC_ROOMS: [&str; 2] = [
    "/_matrix/client/r0/publicRooms",
    "/_matrix/client/v3/publicRooms",
];

pub(super) fn list(routes: &mut Routes) {
    endpoint::<alias_of::create_alias::v3::Request, _, _>(routes, create_alias::handle);
    endpoint::<alias_of::get_alias::v3::Request, _, _>(routes, get_alias::handle);
    endpoint::<alias_of::delete_alias::v3::Request, _, _>(routes, delete_alias::handle);
    endpoint::<aliases_of::v3::Request, _, _>(routes, room_aliases::handle);
    endpoint::<directory_of::get_room_visibility::v3::Request, _, _>(
        routes,
        get_room_visibility::handle,
    );
    endpoint::<directory_of::set_room_visibility::v3::Request, _, _>(
        routes,
        set_room_visibility::handle,
    );
    custom_endpoint(
        routes,
        &Method::GET,
        Access::Anybody,
        &PUBLIC_ROOMS,
        public_rooms::get,
    );
    custom_endpoint(
        routes,
        &Method::POST,
        Access::Token,
        &PUBLIC_ROOMS,
        public_rooms::post,
    );
}
