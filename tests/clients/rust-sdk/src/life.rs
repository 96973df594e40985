//! Signs of life on the phone: who types, who has read what, and a room that moves.

use matrix_sdk::RoomState;
use matrix_sdk::ruma::api::client::receipt::create_receipt::v3::ReceiptType;
use matrix_sdk::ruma::api::client::room::{create_room, upgrade_room};
use matrix_sdk::ruma::events::receipt::ReceiptThread;
use matrix_sdk::ruma::events::relation::Thread;
use matrix_sdk::ruma::events::room::message::Relation;
use matrix_sdk::ruma::{RoomId, RoomVersionId};
use matrix_sdk_ui::room_list_service::RoomList;
use matrix_sdk_ui::timeline::Timeline;

use crate::phone::{Phone, list_shows, send, text, timeline_shows};
use crate::session::{Difference, PATIENCE, Result, Session, Step, same};

/// Alice types and stops.
pub async fn typing(alice: &Session, phone: &Phone<'_>, room_id: &RoomId) -> Result {
    let (_listening, mut typing) = phone.room(room_id)?.subscribe_to_typing_notifications();
    let alices_id = alice.user_id()?;
    for (types, expected) in [(true, vec![alices_id.to_owned()]), (false, vec![])] {
        let notice = alice.room(room_id)?.typing_notice(types).await;
        notice.step("typing")?;
        let waiting = async {
            while typing.recv().await.step("typing on the phone")? != expected {}
            Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| Err(Difference(format!("typing: {expected:?} not seen"))))?;
    }
    Ok(())
}

/// What Bob says on the phone is shown as read by Alice once she has.
pub async fn read_by_the_other(
    alice: &Session,
    phone: &Phone<'_>,
    room_id: &RoomId,
    timeline: &Timeline,
) -> Result {
    let said = send(phone.session, room_id, text("Have you read this?")).await?;
    timeline_shows(timeline, &said, "a message of one's own", |item| {
        item.read_receipts().is_empty()
    })
    .await?;
    let room = alice.room(room_id)?;
    room.send_single_receipt(ReceiptType::Read, ReceiptThread::Main, said.clone())
        .await
        .step("receipt")?;
    let alices_id = alice.user_id()?;
    timeline_shows(timeline, &said, "the other's receipt", |item| {
        item.read_receipts().contains_key(alices_id)
    })
    .await
}

/// What is unread in a thread counts, until the thread is read.
pub async fn unread_in_a_thread(alice: &Session, phone: &Phone<'_>, room_id: &RoomId) -> Result {
    let room = phone.room(room_id)?;
    let unread = || room.unread_notification_counts().notification_count;
    let root = send(phone.session, room_id, text("Who brings what?")).await?;
    phone.sees("nothing unread", || unread() == 0).await?;
    let mut reply = text("I bring bread");
    reply.relates_to = Some(Relation::Thread(Thread::plain(root.clone(), root.clone())));
    let reply = send(alice, room_id, reply).await?;
    phone
        .sees("one unread in the thread", || unread() == 1)
        .await?;
    let thread = ReceiptThread::Thread(root);
    room.send_single_receipt(ReceiptType::Read, thread, reply)
        .await
        .step("threaded receipt")?;
    phone.sees("the thread is read", || unread() == 0).await
}

/// A room is replaced; Bob follows into the new one and leaves the old.
pub async fn moved(alice: &Session, phone: &Phone<'_>, list: &RoomList) -> Result {
    let mut request = create_room::v3::Request::new();
    request.name = Some("Too small".to_owned());
    request.preset = Some(create_room::v3::RoomPreset::PublicChat);
    request.room_version = Some(RoomVersionId::V11);
    let created = alice.client.create_room(request).await;
    let old_id = created.step("create room")?.room_id().to_owned();
    let joined = phone.session.client.join_room_by_id(&old_id).await;
    joined.step("join")?;
    list_shows(list, "the room", |shown| {
        shown.iter().any(|room| room.room_id() == old_id)
    })
    .await?;

    let request = upgrade_room::v3::Request::new(old_id.clone(), RoomVersionId::V12);
    let upgraded = alice.client.send(request).await.step("upgrade")?;
    let new_id = upgraded.replacement_room;
    let old = phone.room(&old_id)?;
    let successor = || old.successor_room().map(|next| next.room_id);
    phone
        .sees("the tombstone", || successor().as_ref() == Some(&new_id))
        .await?;
    let joined = phone.session.client.join_room_by_id(&new_id).await;
    joined.step("join the new room")?;
    list_shows(list, "the new room", |shown| {
        let room = shown.iter().find(|room| room.room_id() == new_id);
        room.is_some_and(|room| room.name().as_deref() == Some("Too small"))
    })
    .await?;
    let before = phone.room(&new_id)?.predecessor_room();
    same(
        before.map(|room| room.room_id),
        Some(old_id.clone()),
        "the new room's predecessor",
    )?;

    old.leave().await.step("leave the old room")?;
    list_shows(list, "the list without the old room", |shown| {
        shown.iter().all(|room| room.room_id() != old_id)
    })
    .await?;
    same(old.state(), RoomState::Left, "the old room")
}
