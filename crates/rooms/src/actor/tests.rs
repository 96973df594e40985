//! What one room's actor may do to others, and to those who wait for it: nothing.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use greenroom_events::Draft;
use greenroom_model::{StoredEvent, StreamPosition, TestClock, TransactionKey};
use greenroom_storage::{Append, Appended, Committed, NewRoom, RoomHeadRow, RoomUpgrade};
use parking_lot::Mutex;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId,
    ServerName, UserId, owned_room_id, owned_user_id, server_name,
};
use tokio::sync::oneshot;

use super::*;
use crate::wish::{Act, MemberAction, MemberWish, TransactionUse};

/// Where the store panics next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    /// The head is read.
    Head,
    /// An append is handed over.
    Append,
    /// The append is committed; its caller is told.
    Answer,
}

/// Something in the writer's queue.
struct Queued {
    append: Option<Append>,
    answer: oneshot::Sender<Result<(), StorageError>>,
}

/// The write side of rooms in memory, whose commits can be held back.
#[derive(Default)]
struct Shelf {
    events: Mutex<Vec<(StoredEvent, u64, Option<TransactionKey>)>>,
    queue: Mutex<VecDeque<Queued>>,
    held: Mutex<bool>,
    trap: Mutex<Option<(OwnedRoomId, Trap)>>,
    settled: AtomicUsize,
}

impl Shelf {
    fn hold(&self) {
        *self.held.lock() = true;
    }

    fn commit(&self) {
        *self.held.lock() = false;
        self.drain();
    }

    fn set_trap(&self, room_id: &RoomId, trap: Trap) {
        *self.trap.lock() = Some((room_id.to_owned(), trap));
    }

    /// Panics if this is the place. A trap works once.
    fn step(&self, room_id: &RoomId, place: Trap) {
        let mut trap = self.trap.lock();
        if trap
            .as_ref()
            .is_some_and(|(room, at)| room == room_id && *at == place)
        {
            *trap = None;
            drop(trap);
            panic!("as a test of the actors");
        }
    }

    fn queue(&self, append: Option<Append>) -> oneshot::Receiver<Result<(), StorageError>> {
        let (answer, answered) = oneshot::channel();
        self.queue.lock().push_back(Queued { append, answer });
        if !*self.held.lock() {
            self.drain();
        }
        answered
    }

    fn drain(&self) {
        for Queued { append, answer } in self.queue.lock().drain(..) {
            let _ = answer.send(append.map_or(Ok(()), |append| self.write(append)));
        }
    }

    /// Refuses a transaction that was used before.
    fn write(&self, append: Append) -> Result<(), StorageError> {
        let mut events = self.events.lock();
        let used = append.transaction.as_ref().map(|(key, _, _)| *key);
        if used.is_some() && events.iter().any(|(_, _, key)| *key == used) {
            return Err(StorageError::Conflict);
        }
        let position = StreamPosition(i64::try_from(events.len()).unwrap() + 1);
        let event = StoredEvent {
            position,
            event_id: append.event_id,
            room_id: append.room_id,
            event_type: append.event_type,
            state_key: append.state_key,
            sender: append.sender,
            origin_server_ts: append.origin_server_ts,
            json: append.json,
            redacted_by: None,
            replaces_state: append.replaces_state,
            transaction: None,
        };
        events.push((event, append.depth, used));
        Ok(())
    }

    /// The bodies of the room's notes in order, each of which names the event before it.
    fn story(&self, room_id: &RoomId) -> Vec<String> {
        let mut story = Vec::new();
        let mut before: Option<String> = None;
        for (event, _, _) in &*self.events.lock() {
            if event.room_id != room_id {
                continue;
            }
            let json: serde_json::Value = serde_json::from_slice(&event.json).unwrap();
            let named = json["prev_events"]
                .get(0)
                .and_then(serde_json::Value::as_str);
            assert_eq!(named, before.as_deref(), "a fork at {}", event.position);
            before = Some(event.event_id.to_string());
            story.extend(json["content"]["body"].as_str().map(str::to_owned));
        }
        story
    }
}

#[async_trait]
impl RoomStore for Shelf {
    fn append(&self, append: Append) -> Committed {
        let room_id = append.room_id.clone();
        self.step(&room_id, Trap::Append);
        let answered = self.queue(Some(append));
        let trapped = self
            .trap
            .lock()
            .take_if(|(room, at)| *room == room_id && *at == Trap::Answer);
        Box::pin(async move {
            answered.await.unwrap()?;
            assert!(trapped.is_none(), "as a test of the actors");
            Ok(Appended {
                position: StreamPosition(1),
            })
        })
    }

    async fn settle(&self) -> Result<(), StorageError> {
        self.settled.fetch_add(1, Ordering::AcqRel);
        self.queue(None).await.unwrap()
    }

    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHeadRow>, StorageError> {
        self.step(room_id, Trap::Head);
        let events = self.events.lock();
        let newest = events
            .iter()
            .rfind(|(event, _, _)| event.room_id == room_id);
        Ok(newest.map(|(event, depth, _)| RoomHeadRow {
            version: RoomVersionId::V11,
            newest: Arc::new(event.clone()),
            depth: *depth,
        }))
    }

    async fn current_state(
        &self,
        room_id: &RoomId,
        keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let events = self.events.lock();
        let in_place = |(event_type, state_key): &StateKey| {
            let newest = events.iter().rfind(|(event, _, _)| {
                event.room_id == room_id && event.is_state(event_type, state_key)
            });
            newest.map(|(event, _, _)| event.clone())
        };
        Ok(keys.iter().filter_map(in_place).collect())
    }

    async fn event_of_transaction(
        &self,
        transaction: TransactionKey,
    ) -> Result<Option<OwnedEventId>, StorageError> {
        let events = self.events.lock();
        let made = events.iter().find(|(_, _, key)| *key == Some(transaction));
        Ok(made.map(|(event, _, _)| event.event_id.clone()))
    }

    async fn create_room(&self, _: NewRoom) -> Result<StreamPosition, StorageError> {
        unreachable!("rooms are made by the test")
    }

    async fn room_of_transaction(
        &self,
        _: TransactionKey,
    ) -> Result<Option<OwnedRoomId>, StorageError> {
        unreachable!("no actor asks")
    }

    async fn room_version(&self, _: &RoomId) -> Result<Option<RoomVersionId>, StorageError> {
        unreachable!("no actor asks")
    }

    async fn local_joined_members(
        &self,
        _: &RoomId,
        _: &ServerName,
        _: u64,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        unreachable!("no actor asks")
    }

    async fn joined_any(&self, _: &UserId, _: &[OwnedRoomId]) -> Result<bool, StorageError> {
        unreachable!("no actor asks")
    }
}

#[async_trait]
impl UpgradeStore for Shelf {
    async fn bans(&self, _: &RoomId) -> Result<Vec<StoredEvent>, StorageError> {
        unreachable!("no actor asks")
    }

    fn upgrade_room(&self, _: RoomUpgrade) -> Committed {
        unreachable!("no test upgrades")
    }

    async fn carry_labels(&self, _: &UserId, _: &RoomId, _: &RoomId) -> Result<(), StorageError> {
        unreachable!("no actor asks")
    }
}

fn alice() -> OwnedUserId {
    owned_user_id!("@alice:localhost")
}

fn join() -> Act {
    joining(alice())
}

fn joining(user_id: OwnedUserId) -> Act {
    Act::Member(MemberWish {
        sender: user_id.clone(),
        target: user_id,
        action: MemberAction::Join {
            authorized_by: None,
        },
        reason: None,
        display_name: None,
        avatar_url: None,
    })
}

fn draft(event_type: &str, state_key: Option<&str>, content: [(&str, &str); 1]) -> Act {
    let content: CanonicalJsonObject = content
        .map(|(key, value)| (key.to_owned(), CanonicalJsonValue::String(value.to_owned())))
        .into();
    Act::Send(Draft {
        sender: alice(),
        event_type: event_type.to_owned(),
        state_key: state_key.map(str::to_owned),
        content,
        redacts: None,
        origin_server_ts_override: None,
    })
}

fn wish(act: Act) -> Wish {
    Wish {
        act,
        transaction: None,
    }
}

fn note(body: &str) -> Wish {
    wish(draft("test.note", None, [("body", body)]))
}

struct Setup {
    shelf: Arc<Shelf>,
    registry: Arc<Registry>,
}

impl Setup {
    /// Two rooms that alice is in, on one arbiter.
    fn new(idle: Idle) -> Self {
        let shelf = Arc::new(Shelf::default());
        let tools = Tools {
            store: Arc::clone(&shelf) as Arc<dyn RoomStore>,
            upgrades: Arc::clone(&shelf) as Arc<dyn UpgradeStore>,
            signer: Arc::new(EventSigner::generate(server_name!("localhost")).unwrap()),
            clock: Arc::new(TestClock::at(1)),
            idle,
        };
        for room_id in [tea(), milk()] {
            let version = RoomVersion::new(&RoomVersionId::V11).unwrap();
            let mut head = RoomHead::new_room(Some(room_id), version, next_generation());
            let create = draft("m.room.create", Some(""), [("room_version", "11")]);
            for act in [create, join()] {
                let step = head.accept(&wish(act), &tools.signer, tools.clock.now());
                let Ok(Step::Append(append)) = step else {
                    panic!("the room cannot be made");
                };
                shelf.write(*append).unwrap();
            }
        }
        let registry = Arc::new(Registry::start(tools, 1));
        Self { shelf, registry }
    }

    fn propose(
        &self,
        room_id: OwnedRoomId,
        wish: Wish,
    ) -> tokio::task::JoinHandle<Result<OwnedEventId, RoomError>> {
        let registry = Arc::clone(&self.registry);
        actix::spawn(async move { registry.propose(&room_id, wish).await })
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let done = async {
            while !what(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), done)
            .await
            .unwrap();
    }
}

fn tea() -> OwnedRoomId {
    owned_room_id!("!tea:localhost")
}

fn milk() -> OwnedRoomId {
    owned_room_id!("!milk:localhost")
}

#[test]
fn a55_a_panic_fails_its_own_wish_and_nothing_that_is_in_flight() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle::default());
        let shelf = &setup.shelf;
        shelf.hold();
        let first = setup.propose(tea(), note("first"));
        let neighbor = setup.propose(milk(), note("neighbor"));
        setup
            .until(|setup| setup.shelf.queue.lock().len() == 2)
            .await;

        shelf.set_trap(&tea(), Trap::Append);
        let broken = setup.propose(tea(), note("broken")).await.unwrap();
        assert!(matches!(broken, Err(RoomError::Panicked)), "{broken:?}");

        // What comes next waits for what is in flight, and is built on it.
        let next = setup.propose(tea(), note("next"));
        setup
            .until(|setup| setup.shelf.queue.lock().len() == 3)
            .await;
        shelf.commit();
        for sent in [first, neighbor, next] {
            sent.await.unwrap().unwrap();
        }
        assert_eq!(shelf.story(&tea()), ["first", "next"]);
        assert_eq!(shelf.story(&milk()), ["neighbor"]);
        // Who had nothing to do with it did not even have to load again.
        assert_eq!(shelf.settled.load(Ordering::Acquire), 1);
    });
}

#[test]
fn a55_after_a_panic_anywhere_the_room_goes_on() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle::default());
        for (trap, written) in [
            (Trap::Head, false),
            (Trap::Append, false),
            (Trap::Answer, true),
        ] {
            setup.shelf.set_trap(&tea(), trap);
            let body = format!("{trap:?}");
            let broken = setup.propose(tea(), note(&body)).await.unwrap();
            assert!(matches!(broken, Err(RoomError::Panicked)), "{broken:?}");
            let kept = setup.shelf.story(&tea()).contains(&body);
            assert_eq!(kept, written, "{trap:?}");
            let next = setup.propose(tea(), note("next")).await.unwrap();
            assert!(next.is_ok(), "{next:?}");
        }
        assert_eq!(
            setup.shelf.story(&tea()),
            ["next", "next", "Answer", "next"]
        );
    });
}

#[test]
fn a55_a_retry_of_what_panicked_after_its_commit_finds_its_event() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle::default());
        let once = || Wish {
            transaction: Some(TransactionUse {
                key: TransactionKey::new("@alice:localhost", "PHONE", "send", "1"),
                device_id: "PHONE".into(),
                txn_id: "1".into(),
            }),
            ..note("once")
        };
        setup.shelf.set_trap(&tea(), Trap::Answer);
        let first = setup.propose(tea(), once()).await.unwrap().unwrap();
        let second = setup.propose(tea(), once()).await.unwrap().unwrap();
        assert_eq!(first, second);
        assert_eq!(setup.shelf.story(&tea()), ["once"]);
    });
}

#[test]
fn what_is_so_already_is_acknowledged_after_the_commit_that_made_it_so() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle::default());
        let sign = || wish(draft("test.sign", Some(""), [("body", "open")]));
        setup.shelf.hold();
        let queued = |count| move |setup: &Setup| setup.shelf.queue.lock().len() == count;
        let first = setup.propose(tea(), sign());
        setup.until(queued(1)).await;
        let same = setup.propose(tea(), sign());
        // The actor has answered whoever asked before this one.
        let last = setup.propose(tea(), note("last"));
        setup.until(queued(2)).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(!same.is_finished(), "acknowledged before the commit");
        setup.shelf.commit();
        let event_id = first.await.unwrap().unwrap();
        assert_eq!(same.await.unwrap().unwrap(), event_id);
        last.await.unwrap().unwrap();
        // And at once, when it is committed.
        let again = setup.propose(tea(), sign()).await.unwrap().unwrap();
        assert_eq!(again, event_id);
        assert_eq!(setup.shelf.story(&tea()), ["open", "last"]);
    });
}

#[test]
fn an_actor_that_nobody_needs_leaves_nothing_in_memory() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle {
            check: Duration::from_millis(1),
            after: Duration::ZERO,
        });
        let nowhere = owned_room_id!("!nowhere:localhost");
        let gone = |setup: &Setup| setup.registry.place_count() == 0;
        setup.propose(tea(), note("one")).await.unwrap().unwrap();
        setup.until(gone).await;

        // One that waits for a commit stays, or its caller would ask again for what is written.
        setup.shelf.hold();
        let sent = setup.propose(tea(), note("two"));
        setup
            .until(|setup| {
                setup
                    .shelf
                    .queue
                    .lock()
                    .iter()
                    .any(|it| it.append.is_some())
            })
            .await;
        for _ in 0..3 {
            let refused = setup.propose(nowhere.clone(), note("x")).await.unwrap();
            assert!(matches!(refused, Err(RoomError::NoSuchRoom)));
            setup.until(|setup| setup.registry.place_count() == 1).await;
        }
        setup.shelf.commit();
        sent.await.unwrap().unwrap();
        setup.until(gone).await;
        assert_eq!(setup.shelf.story(&tea()), ["one", "two"]);
    });
}

#[test]
fn who_joins_while_the_actor_ends_joins_once() {
    actix::System::new().block_on(async {
        let setup = Setup::new(Idle {
            check: Duration::from_millis(1),
            after: Duration::ZERO,
        });
        let rules = draft("m.room.join_rules", Some(""), [("join_rule", "public")]);
        setup.propose(tea(), wish(rules)).await.unwrap().unwrap();
        let mut joined = Vec::new();
        for round in 0..150 {
            // Wherever the actor is between its beginning and its end, or after it.
            for _ in 0..(round * 37) % 101 {
                tokio::task::yield_now().await;
            }
            let user_id = OwnedUserId::try_from(format!("@user{round}:localhost")).unwrap();
            let join = || setup.propose(tea(), wish(joining(user_id.clone())));
            let [first, again] = [join(), join()];
            let event_id = first.await.unwrap().unwrap();
            assert_eq!(again.await.unwrap().unwrap(), event_id, "round {round}");
            joined.push(event_id);
        }
        setup.until(|setup| setup.registry.place_count() == 0).await;
        // No fork, no gap, and nobody twice.
        assert!(setup.shelf.story(&tea()).is_empty());
        let events = setup.shelf.events.lock();
        let written: Vec<&OwnedEventId> = events
            .iter()
            .filter(|(event, _, _)| {
                event
                    .state_key
                    .as_deref()
                    .is_some_and(|key| key.starts_with("@user"))
            })
            .map(|(event, _, _)| &event.event_id)
            .collect();
        assert_eq!(written, joined.iter().collect::<Vec<_>>());
    });
}

#[test]
fn an_event_that_is_older_than_the_one_before_it_says_so() {
    let signer = EventSigner::generate(server_name!("localhost")).unwrap();
    let version = RoomVersion::new(&RoomVersionId::V11).unwrap();
    let mut head = RoomHead::new_room(Some(tea()), version, next_generation());
    let create = || draft("m.room.create", Some(""), [("room_version", "11")]);
    let said = |body| draft("test.note", None, [("body", body)]);
    let acts = [create(), join(), said("1"), said("2"), said("3")];
    let steps = acts.into_iter().zip([5_u32, 5, 3, 3, 4]);
    let steps_back: Vec<bool> = steps
        .map(|(act, ts)| {
            let time = ruma::MilliSecondsSinceUnixEpoch(ts.into());
            match head.accept(&wish(act), &signer, time) {
                Ok(Step::Append(append)) => append.steps_back,
                _ => panic!("not appended"),
            }
        })
        .collect();
    assert_eq!(steps_back, [false, false, true, false, false]);
}
