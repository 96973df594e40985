//! The walk with `matrix-sdk`: two people meet in a room and part again.
//!
//! Takes the server from `GREENROOM_URL`. Exits 0 when every step came out as the
//! specification says, and 1 with one line about the first step that did not.

mod history;
mod life;
mod phone;
mod session;

use std::process::ExitCode;

use matrix_sdk::ruma::api::client::account::register;
use matrix_sdk::ruma::api::client::membership::joined_members;
use matrix_sdk::ruma::api::client::profile::DisplayName;
use matrix_sdk::ruma::api::client::receipt::create_receipt::v3::ReceiptType;
use matrix_sdk::ruma::api::client::room::create_room;
use matrix_sdk::ruma::api::client::uiaa::{AuthData, Dummy};
use matrix_sdk::ruma::events::receipt::ReceiptThread;
use matrix_sdk::ruma::events::room::message::RoomMessageEventContent;
use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, TransactionId, UserId};
use matrix_sdk::{RoomMemberships, RoomState};
use session::{
    Difference, Message, PATIENCE, Result, Session, Step, check, refused, same, same_list,
};

/// Messages to page back through: several pages of [`history::PAGE`].
const HISTORY: usize = 25;

fn registration(username: &str, password: &str) -> register::v3::Request {
    let mut request = register::v3::Request::new();
    request.username = Some(username.to_owned());
    request.password = Some(password.to_owned());
    request.auth = Some(AuthData::Dummy(Dummy::new()));
    request
}

async fn register(session: &Session, username: &str, password: &str) -> Result {
    let answer = session
        .client
        .matrix_auth()
        .register(registration(username, password))
        .await;
    let answer = answer.step("register")?;
    same(answer.user_id.localpart(), username, "register: localpart")?;
    check(answer.access_token.is_some(), "register: no token")?;
    same(
        &*answer.user_id,
        session.user_id()?,
        "register: user id of the session",
    )
}

/// Opens another session of Bob's.
async fn login(session: &Session, bobs_id: &UserId) -> Result {
    let auth = session.client.matrix_auth();
    let login = auth
        .login_username(bobs_id, "bob's secret")
        .initial_device_display_name("another")
        .send()
        .await
        .step("login")?;
    same(&*login.user_id, bobs_id, "login: user id")
}

/// Registers both, and opens Bob's other session by login.
async fn accounts(alice: &Session, bob: &Session, laptop: &Session, tag: &str) -> Result {
    register(alice, &format!("rust_alice_{tag}"), "alice's secret").await?;
    register(bob, &format!("rust_bob_{tag}"), "bob's secret").await?;
    let auth = laptop.client.matrix_auth();
    let taken = auth
        .register(registration(&format!("rust_bob_{tag}"), "x"))
        .await;
    refused(taken, "M_USER_IN_USE", "registering a taken name")?;

    let wrong = auth
        .login_username(bob.user_id()?, "not bob's secret")
        .send()
        .await;
    refused(wrong, "M_FORBIDDEN", "login with a wrong password")?;
    login(laptop, bob.user_id()?).await?;
    check(
        laptop.client.device_id() != bob.client.device_id(),
        "login: a second session shares the first one's device",
    )?;
    for session in [alice, bob, laptop] {
        session.who().await?;
    }
    Ok(())
}

async fn profiles(alice: &Session, bob: &Session) -> Result {
    alice
        .client
        .account()
        .set_display_name(Some("Alice Öz"))
        .await
        .step("set name")?;
    bob.client
        .account()
        .set_display_name(Some("Bob"))
        .await
        .step("set name")?;
    let own = alice
        .client
        .account()
        .get_display_name()
        .await
        .step("own name")?;
    same(own.as_deref(), Some("Alice Öz"), "own name")?;
    let account = bob.client.account();
    let profile = account
        .fetch_user_profile_of(alice.user_id()?)
        .await
        .step("profile")?;
    let name = profile.get_static::<DisplayName>().step("profile")?;
    same(name.as_deref(), Some("Alice Öz"), "profile")
}

/// The joined members by the server's word: the client's own list comes from sync.
async fn joined_members(session: &Session, room_id: &RoomId) -> Result<Vec<(OwnedUserId, String)>> {
    let request = joined_members::v3::Request::new(room_id.to_owned());
    let answer = session.client.send(request).await.step("joined members")?;
    let named = answer.joined.into_iter();
    Ok(named
        .map(|(user_id, member)| (user_id, member.display_name.unwrap_or_default()))
        .collect())
}

/// Whether the session sees this member joined, under this name.
async fn sees_joined(session: &Session, room_id: &RoomId, user_id: &UserId, name: &str) -> bool {
    let Some(room) = session.client.get_room(room_id) else {
        return false;
    };
    let Ok(joined) = room.members_no_sync(RoomMemberships::JOIN).await else {
        return false;
    };
    joined
        .iter()
        .any(|member| member.user_id() == user_id && member.display_name() == Some(name))
}

/// Checks what the session knows of the room and its two members.
async fn agrees(
    session: &Session,
    room_id: &RoomId,
    alias: &RoomAliasId,
    [alice, bob]: [&UserId; 2],
) -> Result {
    let room = session.room(room_id)?;
    same(room.state(), RoomState::Joined, "own membership")?;
    same(room.name().as_deref(), Some("The walk"), "room name")?;
    same(room.topic().as_deref(), Some("Along the river"), "topic")?;
    same(
        room.canonical_alias().as_deref(),
        Some(alias),
        "canonical alias",
    )?;
    for (user_id, name) in [(alice, "Alice Öz"), (bob, "Bob")] {
        let seen = sees_joined(session, room_id, user_id, name).await;
        check(seen, format_args!("{name} among the members by sync"))?;
    }
    let both = [
        (alice.to_owned(), "Alice Öz".to_owned()),
        (bob.to_owned(), "Bob".to_owned()),
    ];
    same(
        joined_members(session, room_id).await?,
        both,
        "joined members",
    )
}

/// Alice creates a room and invites Bob, who joins by its alias.
async fn meet(alice: &Session, bob: &Session, tag: &str) -> Result<OwnedRoomId> {
    let mut request = create_room::v3::Request::new();
    request.room_alias_name = Some(format!("rust_walk_{tag}"));
    request.name = Some("The walk".to_owned());
    request.topic = Some("Along the river".to_owned());
    request.preset = Some(create_room::v3::RoomPreset::PrivateChat);
    let created = alice
        .client
        .create_room(request)
        .await
        .step("create room")?;
    let room_id = created.room_id().to_owned();
    let alias = format!("#rust_walk_{tag}:{}", alice.user_id()?.server_name());
    let alias = RoomAliasId::parse(alias).step("alias")?;
    let resolved = bob
        .client
        .resolve_room_alias(&alias)
        .await
        .step("resolve alias")?;
    same(&resolved.room_id, &room_id, "resolve alias")?;
    alice
        .sees("the created room", async || created.name().is_some())
        .await?;

    let uninvited = bob
        .client
        .join_room_by_id_or_alias((&*alias).into(), &[])
        .await;
    refused(uninvited, "M_FORBIDDEN", "joining a private room uninvited")?;
    created
        .invite_user_by_id(bob.user_id()?)
        .await
        .step("invite")?;
    let state = |session: &Session| session.client.get_room(&room_id).map(|room| room.state());
    bob.sees("the invite", async || {
        state(bob) == Some(RoomState::Invited)
    })
    .await?;
    let invited = bob.room(&room_id)?;
    let invite = invited.invite_details().await.step("invite")?;
    same(&*invite.inviter_id, alice.user_id()?, "invite: sender")?;
    same(
        invited.name().as_deref(),
        Some("The walk"),
        "invite: room name in the invite state",
    )?;

    let joined = bob
        .client
        .join_room_by_id_or_alias((&*alias).into(), &[])
        .await;
    same(
        joined.step("join by alias")?.room_id(),
        &*room_id,
        "join by alias",
    )?;
    let bobs_id = bob.user_id()?;
    bob.sees("the joined room", async || {
        sees_joined(bob, &room_id, bobs_id, "Bob").await
    })
    .await?;
    alice
        .sees("the other's join", async || {
            sees_joined(alice, &room_id, bobs_id, "Bob").await
        })
        .await?;

    for session in [alice, bob] {
        agrees(
            session,
            &room_id,
            &alias,
            [alice.user_id()?, bob.user_id()?],
        )
        .await?;
    }
    Ok(room_id)
}

async fn say(session: &Session, room_id: &RoomId, body: &str, txn: &str) -> Result<Message> {
    let txn_id = <&TransactionId>::from(txn).to_owned();
    let content = RoomMessageEventContent::text_plain(body);
    let sending = session
        .room(room_id)?
        .send(content)
        .with_transaction_id(txn_id)
        .await;
    Ok(Message {
        event_id: sending.step("send")?.response.event_id,
        sender: session.user_id()?.to_owned(),
        body: body.to_owned(),
    })
}

/// Both say something and see the other's words; then Alice goes on and on.
async fn talk(alice: &Session, bob: &Session, room_id: &RoomId) -> Result<Vec<Message>> {
    let hello = say(alice, room_id, "Hello, Bob! 🌿", "hello").await?;
    let sees =
        |session: &Session, said: &Message| session.seen(|seen| seen.messages.contains(said));
    bob.sees("alice's message", async || sees(bob, &hello))
        .await?;
    let again = say(alice, room_id, "Hello, Bob! 🌿", "hello").await?;
    same(&again, &hello, "the same transaction id again")?;
    let answer = say(bob, room_id, "Hello, Alice", "answer").await?;
    alice
        .sees("bob's answer", async || sees(alice, &answer))
        .await?;

    let mut said = vec![hello, answer];
    for n in 0..HISTORY {
        said.push(
            say(
                alice,
                room_id,
                &format!("message {n}"),
                &format!("message{n}"),
            )
            .await?,
        );
    }
    for session in [alice, bob] {
        let all = async || session.seen(|seen| seen.messages.len() >= said.len());
        session.sees("the rest of the talk", all).await?;
        session.seen(|seen| same_list(&seen.messages, &said, "messages in order by sync"))?;
    }
    Ok(said)
}

/// Typing, a read receipt and a new name reach the other side.
async fn signs_of_life(alice: &Session, bob: &Session, room_id: &RoomId, last: &Message) -> Result {
    let room = bob.room(room_id)?;
    let bobs_id = bob.user_id()?;
    room.typing_notice(true).await.step("typing")?;
    alice
        .sees("bob typing", async || {
            alice.seen(|seen| seen.typing == [bobs_id])
        })
        .await?;
    room.typing_notice(false).await.step("typing stops")?;
    alice
        .sees("bob no longer typing", async || {
            alice.seen(|seen| seen.typing.is_empty())
        })
        .await?;

    let event_id = last.event_id.clone();
    room.send_single_receipt(ReceiptType::Read, ReceiptThread::Unthreaded, event_id)
        .await
        .step("receipt")?;
    let read = (last.event_id.clone(), bobs_id.to_owned());
    alice
        .sees("bob's read receipt", async || {
            alice.seen(|seen| seen.read.contains(&read))
        })
        .await?;

    bob.client
        .account()
        .set_display_name(Some("Robert"))
        .await
        .step("set name")?;
    let renamed = async || sees_joined(alice, room_id, bobs_id, "Robert").await;
    alice.sees("bob's new name in the room", renamed).await
}

/// Bob leaves; everybody logs out; no token works afterwards.
async fn part(mut sessions: [Session; 3], room_id: &RoomId) -> Result {
    let [alice, bob, laptop] = &sessions;
    bob.room(room_id)?.leave().await.step("leave")?;
    let bobs_id = bob.user_id()?;
    let gone = async || !sees_joined(alice, room_id, bobs_id, "Robert").await;
    alice.sees("bob's leaving", gone).await?;
    let left = async || {
        bob.room(room_id)
            .is_ok_and(|room| room.state() == RoomState::Left)
    };
    bob.sees("his own leaving", left).await?;
    let remaining = joined_members(alice, room_id).await?;
    same(
        remaining,
        [(alice.user_id()?.to_owned(), "Alice Öz".to_owned())],
        "joined members after the leave",
    )?;
    say(alice, room_id, "Bob has left", "left").await?;
    history::left_rooms(laptop, room_id).await?;

    bob.client.logout().await.step("logout")?;
    laptop.who().await?; // One session's logout leaves the other alone.
    laptop.client.logout().await.step("logout")?;
    alice.client.logout().await.step("logout")?;
    for session in &mut sessions {
        session.stop();
        refused(
            session.client.whoami().await,
            "M_UNKNOWN_TOKEN",
            "whoami after logout",
        )?;
    }
    Ok(())
}

async fn walk(url: &str) -> Result {
    let tag = uuid::Uuid::new_v4().simple().to_string();
    let mut alice = Session::new(url).await?;
    let mut bob = Session::new(url).await?;
    let laptop = Session::new(url).await?;
    accounts(&alice, &bob, &laptop, &tag).await?;
    profiles(&alice, &bob).await?;
    alice.start().await?;
    bob.start().await?;
    let room_id = meet(&alice, &bob, &tag).await?;
    let said = talk(&alice, &bob, &room_id).await?;
    history::look_back(&laptop, &room_id, &said).await?;
    signs_of_life(
        &alice,
        &bob,
        &room_id,
        said.last().step("the last message")?,
    )
    .await?;
    let phone = Session::new(url).await?;
    login(&phone, bob.user_id()?).await?;
    let last = &said.last().step("the last message")?.event_id;
    phone::carry(&alice, &phone, &room_id, last).await?;
    phone.client.logout().await.step("logout")?;
    part([alice, bob, laptop], &room_id).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match std::env::var("GREENROOM_URL") {
        Ok(url) => tokio::time::timeout(10 * PATIENCE, walk(&url)).await,
        Err(_) => Ok(Err(Difference("GREENROOM_URL is not set".to_owned()))),
    };
    match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(difference)) => eprintln!("matrix-sdk: {difference}"),
        Err(_) => eprintln!("matrix-sdk: the walk took longer than {:?}", 10 * PATIENCE),
    }
    ExitCode::FAILURE
}
