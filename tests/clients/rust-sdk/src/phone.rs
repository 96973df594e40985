//! A phone: the room list and the timelines of the mobile apps, by sliding sync.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, pin_mut};
use matrix_sdk::ruma::api::client::receipt::create_receipt::v3::ReceiptType;
use matrix_sdk::ruma::api::client::room::create_room;
use matrix_sdk::ruma::events::Mentions;
use matrix_sdk::ruma::events::reaction::ReactionEventContent;
use matrix_sdk::ruma::events::receipt::ReceiptThread;
use matrix_sdk::ruma::events::relation::{Annotation, Thread};
use matrix_sdk::ruma::events::room::message::{
    Relation, ReplacementMetadata, RoomMessageEventContent,
};
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, RoomId};
use matrix_sdk::{Room, RoomState};
use matrix_sdk_ui::RoomListService;
use matrix_sdk_ui::eyeball_im::{Vector, VectorDiff};
use matrix_sdk_ui::room_list_service::filters::new_filter_non_left;
use matrix_sdk_ui::room_list_service::{RoomList, RoomListItem, RoomListLoadingState};
use matrix_sdk_ui::timeline::{
    EventTimelineItem, RoomExt, Timeline, TimelineItem, TimelineReadReceiptTracking,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::life;
use crate::session::{Difference, PATIENCE, Result, Session, Step, check, same};

/// Rooms that the list shows at once.
const PAGE: usize = 50;

/// A client that syncs by its room list.
pub struct Phone<'a> {
    pub session: &'a Session,
    service: Arc<RoomListService>,
    loop_: JoinHandle<()>,
    /// The number of answers so far, or why the loop has ended.
    synced: watch::Receiver<std::result::Result<u64, String>>,
}

impl<'a> Phone<'a> {
    async fn start(session: &'a Session) -> Result<Self> {
        let service = RoomListService::new(session.client.clone()).await;
        let service = Arc::new(service.step("room list")?);
        let (progress, synced) = watch::channel(Ok(0));
        let running = Arc::clone(&service);
        let loop_ = tokio::spawn(async move {
            let answers = running.sync();
            pin_mut!(answers);
            let mut count = 0;
            while let Some(answer) = answers.next().await {
                count += 1;
                let _ = progress.send(answer.map(|()| count).map_err(|error| format!("{error:?}")));
            }
        });
        Ok(Self {
            session,
            service,
            loop_,
            synced,
        })
    }

    /// Waits until an answer of sliding sync has made `predicate` true.
    pub async fn sees(&self, what: &str, mut predicate: impl FnMut() -> bool) -> Result {
        let mut synced = self.synced.clone();
        let waiting = async {
            loop {
                if let Err(error) = &*synced.borrow_and_update() {
                    return Err(Difference(format!("{what}: sliding sync failed: {error}")));
                }
                if predicate() {
                    return Ok(());
                }
                synced.changed().await.step(what)?;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| Err(Difference(format!("{what}: not seen by sliding sync"))))
    }

    pub fn room(&self, room_id: &RoomId) -> Result<Room> {
        self.service.room(room_id).step("the room in the list")
    }
}

impl Drop for Phone<'_> {
    fn drop(&mut self) {
        self.loop_.abort();
    }
}

/// Waits until the room list, as it is shown, fulfills `predicate`.
pub async fn list_shows(
    list: &RoomList,
    what: &str,
    predicate: impl Fn(&Vector<RoomListItem>) -> bool,
) -> Result {
    let (changes, controller) = list.entries_with_dynamic_adapters(PAGE);
    pin_mut!(changes);
    controller.set_filter(Box::new(new_filter_non_left()));
    let mut shown = Vector::new();
    let waiting = async {
        while let Some(diffs) = changes.next().await {
            for diff in diffs {
                VectorDiff::apply(diff, &mut shown);
            }
            if predicate(&shown) {
                return Ok(());
            }
        }
        Err(Difference(format!("{what}: the list ended")))
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| Err(Difference(format!("{what}: not shown by the room list"))))
}

fn ids(shown: &Vector<RoomListItem>) -> Vec<OwnedRoomId> {
    shown.iter().map(|room| room.room_id().to_owned()).collect()
}

/// Waits until the timeline shows the event so that `predicate` holds for it.
pub async fn timeline_shows(
    timeline: &Timeline,
    event_id: &OwnedEventId,
    what: &str,
    predicate: impl Fn(&EventTimelineItem) -> bool,
) -> Result {
    let (mut shown, changes) = timeline.subscribe().await;
    pin_mut!(changes);
    let is_it = |item: &Arc<TimelineItem>| {
        item.as_event()
            .is_some_and(|event| event.event_id() == Some(event_id) && predicate(event))
    };
    let waiting = async {
        while !shown.iter().any(is_it) {
            for diff in changes.next().await.step(what)? {
                VectorDiff::apply(diff, &mut shown);
            }
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| Err(Difference(format!("{what}: not shown by the timeline"))))
}

pub async fn send(
    session: &Session,
    room_id: &RoomId,
    content: RoomMessageEventContent,
) -> Result<OwnedEventId> {
    let sent = session.room(room_id)?.send(content).await.step("send")?;
    Ok(sent.response.event_id)
}

pub fn text(body: &str) -> RoomMessageEventContent {
    RoomMessageEventContent::text_plain(body)
}

fn body_is(item: &EventTimelineItem, body: &str) -> bool {
    item.content()
        .as_message()
        .is_some_and(|message| message.body() == body)
}

/// What happens to a message: an edit, a reaction, a thread, a deletion.
async fn relate(alice: &Session, room_id: &RoomId, timeline: &Timeline) -> Result {
    let root = send(alice, room_id, text("At noon?")).await?;
    timeline_shows(timeline, &root, "a message", |item| {
        body_is(item, "At noon?")
    })
    .await?;

    let edit = text("At one?").make_replacement(ReplacementMetadata::new(root.clone(), None));
    send(alice, room_id, edit).await?;
    timeline_shows(timeline, &root, "the edited message", |item| {
        body_is(item, "At one?")
    })
    .await?;

    let reaction = ReactionEventContent::new(Annotation::new(root.clone(), "🎉".to_owned()));
    let room = alice.room(room_id)?;
    let reacted = room.send(reaction).await.step("react")?.response.event_id;
    let reactions = |item: &EventTimelineItem| {
        item.content()
            .reactions()
            .and_then(|all| all.get("🎉").map(|by| by.len()))
            .unwrap_or_default()
    };
    timeline_shows(timeline, &root, "the reaction", |item| reactions(item) == 1).await?;
    room.redact(&reacted, None, None).await.step("redact")?;
    timeline_shows(timeline, &root, "no reaction", |item| reactions(item) == 0).await?;

    let mut latest = root.clone();
    for body in ["bread", "salt"] {
        let mut reply = text(body);
        reply.relates_to = Some(Relation::Thread(Thread::plain(root.clone(), latest)));
        latest = send(alice, room_id, reply).await?;
    }
    timeline_shows(timeline, &root, "the thread's summary", |item| {
        item.content()
            .thread_summary()
            .is_some_and(|thread| thread.num_replies == 2)
    })
    .await?;

    let deleted = send(alice, room_id, text("Oops")).await?;
    timeline_shows(timeline, &deleted, "a message", |item| {
        body_is(item, "Oops")
    })
    .await?;
    room.redact(&deleted, None, None).await.step("redact")?;
    timeline_shows(timeline, &deleted, "the deleted message", |item| {
        item.content().is_redacted()
    })
    .await
}

/// The server's counts reach the list, and go when the message is read on the phone.
async fn unread(alice: &Session, phone: &Phone<'_>, room_id: &RoomId) -> Result {
    let room = phone.room(room_id)?;
    let counts = || {
        let counts = room.unread_notification_counts();
        (counts.notification_count, counts.highlight_count)
    };
    let bobs_id = phone.session.user_id()?.to_owned();
    let before = send(alice, room_id, text("Read up to here")).await?;
    room.send_single_receipt(ReceiptType::Read, ReceiptThread::Unthreaded, before)
        .await
        .step("receipt")?;
    phone.sees("nothing unread", || counts() == (0, 0)).await?;
    send(alice, room_id, text("Nobody in particular")).await?;
    phone.sees("one unread", || counts() == (1, 0)).await?;
    let mention = text("Bob!").add_mentions(Mentions::with_user_ids([bobs_id]));
    let last = send(alice, room_id, mention).await?;
    phone.sees("a mention", || counts() == (2, 1)).await?;
    room.send_single_receipt(ReceiptType::Read, ReceiptThread::Unthreaded, last)
        .await
        .step("receipt")?;
    phone.sees("all read", || counts() == (0, 0)).await
}

/// Rooms come, move to the top and go.
async fn list(alice: &Session, phone: &Phone<'_>, list: &RoomList, room_id: &RoomId) -> Result {
    let mut request = create_room::v3::Request::new();
    request.name = Some("Second".to_owned());
    request.invite = vec![phone.session.user_id()?.to_owned()];
    let created = alice
        .client
        .create_room(request)
        .await
        .step("create room")?;
    let second = created.room_id().to_owned();
    list_shows(list, "the invite", |shown| {
        shown
            .iter()
            .any(|room| room.room_id() == second && room.state() == RoomState::Invited)
    })
    .await?;
    phone.room(&second)?.join().await.step("join")?;
    list_shows(list, "the second room", |shown| {
        let room = shown.iter().find(|room| room.room_id() == second);
        room.is_some_and(|room| {
            room.state() == RoomState::Joined && room.name().as_deref() == Some("Second")
        })
    })
    .await?;
    for first in [room_id, &*second, room_id] {
        send(alice, first, text("to the top")).await?;
        list_shows(list, "the room at the top", |shown| {
            ids(shown).first().is_some_and(|id| id == first)
        })
        .await?;
    }
    created
        .kick_user(phone.session.user_id()?, Some("enough"))
        .await
        .step("kick")?;
    list_shows(list, "the list without the room", |shown| {
        ids(shown) == [room_id.to_owned()]
    })
    .await
}

/// Bob's phone, in the room that he and Alice have talked in; `last` is its last message.
pub async fn carry(
    alice: &Session,
    bob: &Session,
    room_id: &RoomId,
    last: &OwnedEventId,
) -> Result {
    let phone = Phone::start(bob).await?;
    let rooms = phone.service.all_rooms().await.step("all rooms")?;
    list_shows(&rooms, "the room", |shown| {
        ids(shown) == [room_id.to_owned()]
    })
    .await?;
    let loaded = rooms.loading_state().get();
    check(
        matches!(
            loaded,
            RoomListLoadingState::Loaded {
                maximum_number_of_rooms: Some(1)
            }
        ),
        format_args!("the list's length: {loaded:?}"),
    )?;
    let room = phone.room(room_id)?;
    same(room.name().as_deref(), Some("The walk"), "room name")?;
    phone.service.subscribe_to_rooms(&[room_id]).await;
    let timeline = room
        .timeline_builder()
        .track_read_marker_and_receipts(TimelineReadReceiptTracking::AllEvents)
        .build()
        .await
        .step("timeline")?;
    timeline_shows(&timeline, last, "the last message", |_| true).await?;
    relate(alice, room_id, &timeline).await?;
    unread(alice, &phone, room_id).await?;
    life::unread_in_a_thread(alice, &phone, room_id).await?;
    life::typing(alice, &phone, room_id).await?;
    life::read_by_the_other(alice, &phone, room_id, &timeline).await?;
    list(alice, &phone, &rooms, room_id).await?;
    life::moved(alice, &phone, &rooms).await?;
    phone.service.stop_sync().step("stop")?;
    let _ = phone.synced.clone().changed().now_or_never();
    Ok(())
}
