//! Paging back from a new session's short first sync to the room's creation.

use matrix_sdk::Room;
use matrix_sdk::config::{SyncSettings, SyncToken};
use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::api::client::filter::FilterDefinition;
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::ruma::events::room::message::RoomMessageEventContent;
use matrix_sdk::ruma::{OwnedEventId, RoomId, UInt};

use crate::session::{Difference, Message, Result, Session, Step, check, same, same_list};

/// Events to a page.
pub const PAGE: u32 = 7;

/// Every event before `from`, newest first, page by page.
async fn page_back(room: &Room, from: String) -> Result<Vec<TimelineEvent>> {
    let mut events = Vec::new();
    let mut from = Some(from);
    for _ in 0..100 {
        let Some(start) = from else { return Ok(events) };
        let mut options = MessagesOptions::backward().from(start.as_str());
        options.limit = UInt::from(PAGE);
        let page = room.messages(options).await.step("messages")?;
        let found = page.chunk.len();
        check(
            found <= PAGE as usize,
            format_args!("messages: {found} events for a limit of {PAGE}"),
        )?;
        same(&page.start, &start, "messages: start")?;
        check(
            page.end.as_ref() != Some(&start),
            "messages: the page ends where it started",
        )?;
        events.extend(page.chunk);
        from = page.end;
    }
    Err(Difference("messages: paging back does not end".to_owned()))
}

fn field(event: &TimelineEvent, name: &str) -> Result<String> {
    event.raw().get_field::<String>(name).step(name)?.step(name)
}

/// A new session's short first sync, and everything before it by paging.
pub async fn look_back(laptop: &Session, room_id: &RoomId, said: &[Message]) -> Result {
    let mut filter = FilterDefinition::default();
    filter.room.timeline.limit = Some(UInt::from(5_u32));
    let settings = SyncSettings::new().filter(Filter::FilterDefinition(filter));
    let first = laptop.client.sync_once(settings).await.step("first sync")?;
    let update = first
        .rooms
        .joined
        .get(room_id)
        .step("the room in the first sync")?;
    same(
        update.timeline.events.len(),
        5,
        "first sync: events for a limit of 5",
    )?;
    check(
        update.timeline.limited,
        "first sync: not limited, though there is more",
    )?;
    let prev_batch = update
        .timeline
        .prev_batch
        .clone()
        .step("first sync: prev_batch")?;

    let mut events = page_back(&laptop.room(room_id)?, prev_batch).await?;
    events.reverse();
    events.extend(update.timeline.events.iter().cloned());
    let mut ids: Vec<OwnedEventId> = events.iter().filter_map(TimelineEvent::event_id).collect();
    ids.sort();
    ids.dedup();
    same(ids.len(), events.len(), "history: distinct events")?;
    let oldest = events.first().step("history")?;
    same(
        field(oldest, "type")?,
        "m.room.create",
        "history: the first event",
    )?;

    let mut found = Vec::new();
    for event in &events {
        if field(event, "type")? == "m.room.message" {
            let content: RoomMessageEventContent = event
                .raw()
                .get_field("content")
                .step("content")?
                .step("content")?;
            found.push(Message {
                event_id: event.event_id().step("event id")?,
                sender: event.sender().step("sender")?,
                body: content.body().to_owned(),
            });
        }
    }
    same_list(&found, said, "history: messages in order")
}

/// A first sync has the rooms one has left where its filter asks for them, up to the leave.
pub async fn left_rooms(laptop: &Session, room_id: &RoomId) -> Result {
    let mut filter = FilterDefinition::default();
    filter.room.include_leave = true;
    filter.room.timeline.limit = Some(UInt::from(5_u32));
    let settings = SyncSettings::new()
        .token(SyncToken::NoToken)
        .filter(Filter::FilterDefinition(filter));
    let first = laptop.client.sync_once(settings).await.step("first sync")?;
    let left = first.rooms.left.get(room_id);
    let left = left.step("the left room in a first sync that asked")?;
    let last = left.timeline.events.last();
    let last = last.step("the left room's timeline")?;
    same(field(last, "type")?, "m.room.member", "its last event")?;
    same(
        last.sender().as_deref(),
        laptop.client.user_id(),
        "who left",
    )
}
