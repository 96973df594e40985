//! `POST /_matrix/client/*/search`

use std::collections::BTreeMap;

use actix_web::web;
use greenroom_events::EventFilter;
use greenroom_rooms::{
    ContextWanted, EventView, Group, GroupBy, Reader, ResultContext, Rooms, SearchOrder,
    SearchRequest, SearchResults,
};
use greenroom_search::Key;
use ruma::{OwnedRoomId, api::client::filter::RoomEventFilter};
use serde::{Deserialize, Serialize};

use crate::{ApiError, Author, JsonAnswer, Limited, Query, body::JsonBody};

#[derive(Deserialize)]
pub(super) struct Params {
    next_batch: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Body {
    search_categories: Wanted,
}

#[derive(Deserialize)]
struct Wanted {
    room_events: Option<Criteria>,
}

#[derive(Deserialize)]
struct Criteria {
    search_term: String,
    keys: Option<Vec<SearchedKey>>,
    filter: Option<RoomEventFilter>,
    order_by: Option<OrderBy>,
    event_context: Option<EventContext>,
    include_state: Option<bool>,
    groupings: Option<Groupings>,
}

#[derive(Clone, Copy, Deserialize)]
enum SearchedKey {
    #[serde(rename = "content.body")]
    Body,
    #[serde(rename = "content.name")]
    Name,
    #[serde(rename = "content.topic")]
    Topic,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderBy {
    Rank,
    Recent,
}

#[derive(Deserialize)]
struct EventContext {
    #[serde(default = "five")]
    before_limit: u64,
    #[serde(default = "five")]
    after_limit: u64,
    #[serde(default)]
    include_profile: bool,
}

fn five() -> u64 {
    5
}

#[derive(Deserialize)]
struct Groupings {
    #[serde(default)]
    group_by: Vec<Grouping>,
}

#[derive(Deserialize)]
struct Grouping {
    key: GroupKey,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GroupKey {
    RoomId,
    Sender,
}

#[derive(Serialize)]
pub(super) struct Answer {
    search_categories: Categories,
}

#[derive(Serialize)]
struct Categories {
    #[serde(skip_serializing_if = "Option::is_none")]
    room_events: Option<RoomEvents>,
}

#[derive(Serialize)]
struct RoomEvents {
    count: u64,
    highlights: Vec<String>,
    results: Vec<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<BTreeMap<OwnedRoomId, Vec<EventView>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<&'static str, BTreeMap<String, FoundGroup>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[derive(Serialize)]
struct Found {
    rank: f32,
    result: EventView,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

#[derive(Serialize)]
struct Context {
    start: String,
    end: String,
    events_before: Vec<EventView>,
    events_after: Vec<EventView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_info: Option<BTreeMap<String, Profile>>,
}

#[derive(Serialize)]
struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

#[derive(Serialize)]
struct FoundGroup {
    order: u64,
    results: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    Query(params): Query<Params>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Lookup)?;
    let Some(criteria) = body.search_categories.room_events else {
        let search_categories = Categories { room_events: None };
        return Ok(JsonAnswer(Answer { search_categories }));
    };
    let reader = Reader {
        user_id: requester.user_id,
        device_id: requester.device_id,
    };
    let wanted = criteria.request(params.next_batch);
    let results = rooms.search(&reader, &wanted).await?;
    let search_categories = Categories {
        room_events: Some(results.into()),
    };
    Ok(JsonAnswer(Answer { search_categories }))
}

impl Criteria {
    fn request(self, next_batch: Option<String>) -> SearchRequest {
        let keys = self.keys.map(|keys| {
            let key = |key: &SearchedKey| match key {
                SearchedKey::Body => Key::Body,
                SearchedKey::Name => Key::Name,
                SearchedKey::Topic => Key::Topic,
            };
            keys.iter().map(key).collect()
        });
        let group_by = self.groupings.map_or_else(Vec::new, |groupings| {
            let group = |grouping: &Grouping| match grouping.key {
                GroupKey::RoomId => GroupBy::Room,
                GroupKey::Sender => GroupBy::Sender,
            };
            groupings.group_by.iter().map(group).collect()
        });
        SearchRequest {
            term: self.search_term,
            keys: keys.unwrap_or_else(|| Key::ALL.to_vec()),
            filter: EventFilter::new(&self.filter.unwrap_or_default()),
            order: match self.order_by {
                Some(OrderBy::Recent) => SearchOrder::Recent,
                Some(OrderBy::Rank) | None => SearchOrder::Rank,
            },
            context: self.event_context.map(|context| ContextWanted {
                before_limit: context.before_limit,
                after_limit: context.after_limit,
                include_profile: context.include_profile,
            }),
            include_state: self.include_state.unwrap_or_default(),
            group_by,
            next_batch: next_batch.filter(|token| !token.is_empty()),
        }
    }
}

impl From<SearchResults> for RoomEvents {
    fn from(results: SearchResults) -> Self {
        let found = results.results.into_iter().map(|result| Found {
            rank: result.rank,
            result: result.event,
            context: result.context.map(Context::from),
        });
        let groups = results.groups.into_iter().map(|(by, groups)| {
            let by = match by {
                GroupBy::Room => "room_id",
                GroupBy::Sender => "sender",
            };
            let groups = groups.into_iter();
            (by, groups.map(|(key, group)| (key, group.into())).collect())
        });
        Self {
            count: results.count,
            highlights: results.highlights,
            results: found.collect(),
            state: results.state,
            groups: groups.collect(),
            next_batch: results.next_batch,
        }
    }
}

impl From<Group> for FoundGroup {
    fn from(group: Group) -> Self {
        Self {
            order: group.order,
            results: group.results,
            next_batch: group.next_batch,
        }
    }
}

impl From<ResultContext> for Context {
    fn from(context: ResultContext) -> Self {
        let profile = |(user_id, profile): (String, greenroom_rooms::Profile)| {
            let profile = Profile {
                displayname: profile.displayname,
                avatar_url: profile.avatar_url,
            };
            (user_id, profile)
        };
        Self {
            start: context.start,
            end: context.end,
            events_before: context.before,
            events_after: context.after,
            profile_info: context
                .profiles
                .map(|profiles| profiles.into_iter().map(profile).collect()),
        }
    }
}
