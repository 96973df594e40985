//! `GET` and `POST /_matrix/client/*/publicRooms`

use actix_web::web;
use greenroom_rooms::Rooms;
use greenroom_storage::{PublicRoom, PublicRoomsPage, PublicRoomsQuery};
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};

use super::since_token::SinceToken;
use crate::{ApiError, ApiSettings, JsonAnswer, JsonBody, Query, client::rooms::Limit};

/// How many rooms are on a page if the client does not say.
const DEFAULT_LIMIT: u64 = 100;
/// The most rooms on a page.
const MAX_LIMIT: u64 = 500;
/// The longest term to search for: longer than any name and shorter than what a database's
/// pattern matching minds.
const MAX_SEARCH_BYTES: usize = 1_024;
/// How many room types one filter may name.
const MAX_ROOM_TYPES: usize = 100;

#[derive(Deserialize)]
pub(super) struct GetParams {
    limit: Option<Limit>,
    since: Option<String>,
    server: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PostParams {
    server: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Body {
    limit: Option<u64>,
    since: Option<String>,
    filter: Option<Filter>,
    third_party_instance_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Filter {
    generic_search_term: Option<String>,
    room_types: Option<Vec<Option<String>>>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    chunk: Vec<Chunk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    total_room_count_estimate: u64,
}

// State may say anything: what ruma's type would not take as an alias or an avatar is shown too.
#[derive(Serialize)]
struct Chunk {
    room_id: OwnedRoomId,
    num_joined_members: u64,
    world_readable: bool,
    guest_can_join: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join_rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_type: Option<String>,
}

pub(super) async fn get(
    Query(params): Query<GetParams>,
    rooms: web::Data<Rooms>,
    settings: web::Data<ApiSettings>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    require_own(params.server.as_deref(), &settings)?;
    let since = since(params.since.as_deref())?;
    let query = query(Limit::of(params.limit), since.as_ref(), Filter::default())?;
    let page = rooms.public_rooms(query).await?;
    Ok(JsonAnswer(Answer::new(page, since.as_ref())))
}

pub(super) async fn post(
    Query(params): Query<PostParams>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
    settings: web::Data<ApiSettings>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    require_own(params.server.as_deref(), &settings)?;
    let since = since(body.since.as_deref())?;
    let query = query(body.limit, since.as_ref(), body.filter.unwrap_or_default())?;
    let elsewhere = body.third_party_instance_id.filter(|id| !id.is_empty());
    let page = match elsewhere {
        // There is no bridge here, so no other network has rooms.
        Some(_) => PublicRoomsPage::default(),
        None => rooms.public_rooms(query).await?,
    };
    Ok(JsonAnswer(Answer::new(page, since.as_ref())))
}

fn require_own(server: Option<&str>, settings: &ApiSettings) -> Result<(), ApiError> {
    match server {
        Some(server) if !server.is_empty() && server != settings.server_name.as_str() => {
            Err(ApiError::not_found(
                "This server does not federate yet, so it knows no other server's rooms.",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn since(token: Option<&str>) -> Result<Option<SinceToken>, ApiError> {
    token
        .filter(|token| !token.is_empty())
        .map(SinceToken::decode)
        .transpose()
}

fn query(
    limit: Option<u64>,
    since: Option<&SinceToken>,
    filter: Filter,
) -> Result<PublicRoomsQuery, ApiError> {
    let term = filter.generic_search_term;
    if term
        .as_ref()
        .is_some_and(|term| term.len() > MAX_SEARCH_BYTES)
    {
        return Err(ApiError::invalid_param("The search term is too long."));
    }
    let types = filter.room_types;
    if types
        .as_ref()
        .is_some_and(|types| types.len() > MAX_ROOM_TYPES)
    {
        return Err(ApiError::invalid_param("There are too many room types."));
    }
    Ok(PublicRoomsQuery {
        search_term: term,
        room_types: types,
        limit: limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
        from: since.map(|since| (since.members, since.room_id.clone())),
        backwards: since.is_some_and(|since| since.backwards),
    })
}

impl Answer {
    fn new(page: PublicRoomsPage, since: Option<&SinceToken>) -> Self {
        let token = |room: Option<&PublicRoom>, backwards| {
            room.map(|room| {
                SinceToken {
                    members: room.joined_members,
                    room_id: room.room_id.clone(),
                    backwards,
                }
                .encode()
            })
        };
        let backwards = since.is_some_and(|since| since.backwards);
        // On the side that the client came from there is at least the room it came from.
        let (more_after, more_before) = if backwards {
            (true, page.more)
        } else {
            (page.more, since.is_some())
        };
        let next_batch = token(page.rooms.last().filter(|_| more_after), false);
        let prev_batch = token(page.rooms.first().filter(|_| more_before), true);
        Self {
            chunk: page.rooms.into_iter().map(Chunk::from).collect(),
            next_batch,
            prev_batch,
            total_room_count_estimate: page.total,
        }
    }
}

impl From<PublicRoom> for Chunk {
    fn from(room: PublicRoom) -> Self {
        Self {
            room_id: room.room_id,
            num_joined_members: room.joined_members,
            world_readable: room.world_readable,
            guest_can_join: room.guest_can_join,
            name: room.name,
            topic: room.topic,
            canonical_alias: room.canonical_alias,
            avatar_url: room.avatar_url,
            join_rule: room.join_rule,
            room_type: room.room_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::RoomId;

    use super::*;

    fn page(names: &[&str], more: bool) -> PublicRoomsPage {
        let rooms = names.iter().map(|name| PublicRoom {
            room_id: RoomId::parse(format!("!{name}:localhost")).unwrap(),
            name: None,
            topic: None,
            canonical_alias: None,
            avatar_url: None,
            join_rule: None,
            room_type: None,
            guest_can_join: false,
            world_readable: false,
            joined_members: 7,
        });
        PublicRoomsPage {
            rooms: rooms.collect(),
            more,
            total: 9,
        }
    }

    fn since(name: &str, backwards: bool) -> SinceToken {
        SinceToken {
            members: 7,
            room_id: RoomId::parse(format!("!{name}:localhost")).unwrap(),
            backwards,
        }
    }

    /// The rooms that the two tokens of an answer stand at.
    fn tokens(answer: &Answer) -> (Option<String>, Option<String>) {
        let room = |token: &Option<String>, backwards| {
            let token = SinceToken::decode(token.as_deref()?).unwrap();
            assert_eq!(token.backwards, backwards);
            Some(token.room_id.to_string())
        };
        (
            room(&answer.prev_batch, true),
            room(&answer.next_batch, false),
        )
    }

    #[test]
    fn each_way_that_has_more_has_a_token() {
        let at = |name: &str| Some(format!("!{name}:localhost"));
        let first = Answer::new(page(&["d", "c"], true), None);
        assert_eq!(tokens(&first), (None, at("c")));
        let only = Answer::new(page(&["d", "c"], false), None);
        assert_eq!(tokens(&only), (None, None));
        let last = Answer::new(page(&["b", "a"], false), Some(&since("c", false)));
        assert_eq!(tokens(&last), (at("b"), None));
        let back = Answer::new(page(&["d", "c"], false), Some(&since("b", true)));
        assert_eq!(tokens(&back), (None, at("c")));
        let empty = Answer::new(page(&[], false), Some(&since("a", false)));
        assert_eq!(tokens(&empty), (None, None));
    }

    #[test]
    fn b42_a_search_has_its_bounds() {
        let asked = |limit, term: usize, types: usize| {
            let filter = Filter {
                generic_search_term: Some("x".repeat(term)),
                room_types: Some(vec![None; types]),
            };
            query(limit, None, filter)
                .map(|query| query.limit)
                .map_err(|error| error.to_string())
        };
        assert_eq!(asked(None, 1, 1), Ok(DEFAULT_LIMIT));
        assert_eq!(asked(Some(0), 1, 1), Ok(1));
        assert_eq!(asked(Some(u64::MAX), 1, 1), Ok(MAX_LIMIT));
        let refused = Err("400 M_INVALID_PARAM".to_owned());
        assert_eq!(asked(None, 60_000, 1), refused);
        assert_eq!(asked(None, 1, 40_000), refused);
    }
}
