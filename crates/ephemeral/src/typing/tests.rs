//! Starting, stopping, expiring and forgetting.

use greenroom_model::{StreamPosition, TestClock};
use greenroom_stream::MembershipChange;
use ruma::event_id;
use serde_json::json;

use super::*;
use crate::testing::{MemoryMembers, Recorder, alice, bob, event, room};

struct Setup {
    members: Arc<MemoryMembers>,
    recorder: Arc<Recorder>,
    clock: TestClock,
    tracker: Arc<TypingTracker>,
}

fn setup(settings: TypingSettings) -> Setup {
    let (members, clock) = (MemoryMembers::in_one_room(), TestClock::at(1_000));
    let (recorder, stream) = Recorder::stream();
    let tracker = TypingTracker::new(
        Arc::clone(&members) as _,
        stream,
        Arc::new(clock.clone()),
        settings,
    );
    Setup {
        members,
        recorder,
        clock,
        tracker: Arc::new(tracker),
    }
}

impl Setup {
    async fn types(&self, user_id: &UserId, timeout_ms: Option<u64>) {
        let timeout = timeout_ms.map(Duration::from_millis);
        self.tracker
            .set_typing(user_id, room(), user_id, timeout)
            .await
            .unwrap();
    }

    fn typers(&self) -> (u64, Vec<OwnedUserId>) {
        let TypingUsers { counter, user_ids } = self.tracker.typing(room()).unwrap();
        (counter, user_ids)
    }
}

fn typing(counter: u64) -> EphemeralChange {
    EphemeralChange::Typing {
        room_id: room().to_owned(),
        counter,
    }
}

#[tokio::test]
async fn who_starts_and_stops_is_announced_and_who_goes_on_is_not() {
    let setup = setup(TypingSettings::default());
    assert_eq!(setup.tracker.typing(room()), None);
    setup.types(alice(), Some(30_000)).await;
    setup.types(bob(), Some(30_000)).await;
    setup.types(alice(), Some(30_000)).await;
    assert_eq!(
        setup.typers(),
        (2, vec![alice().to_owned(), bob().to_owned()])
    );
    setup.types(alice(), None).await;
    setup.types(alice(), None).await;
    assert_eq!(setup.typers(), (3, vec![bob().to_owned()]));
    assert_eq!(setup.tracker.counter(), 3);
    assert_eq!(setup.recorder.take(), [typing(1), typing(2), typing(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_typing_and_wakes_syncs() {
    let setup = setup(TypingSettings::default());
    let (_stop, shutdown) = watch::channel(false);
    let tracker = Arc::clone(&setup.tracker);
    tokio::spawn(async move { tracker.run(shutdown).await });
    setup.types(alice(), Some(5_000)).await;
    setup.recorder.announced().await;
    setup.recorder.take();
    // The clock decides: the timer alone, which goes off now and again, ends nothing.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(setup.typers(), (1, vec![alice().to_owned()]));
    setup.clock.advance(5_000);
    setup.recorder.announced().await;
    assert_eq!(setup.recorder.take(), [typing(2)]);
    assert_eq!(setup.typers(), (2, vec![]));
}

#[tokio::test]
async fn who_types_on_gets_the_new_timeout() {
    let setup = setup(TypingSettings::default());
    setup.types(alice(), Some(5_000)).await;
    setup.clock.advance(4_000);
    setup.types(alice(), Some(5_000)).await;
    setup.clock.advance(4_000);
    assert_eq!(setup.tracker.advance(), Some(10_000));
    setup.types(alice(), Some(500)).await;
    setup.clock.advance(500);
    assert_eq!(setup.tracker.advance(), None);
    assert_eq!(setup.typers(), (2, vec![]));
}

#[tokio::test]
async fn a_timeout_is_cut_to_the_longest_and_none_at_all_means_not_typing() {
    let setup = setup(TypingSettings::default());
    setup.types(alice(), Some(u64::MAX)).await;
    assert_eq!(setup.tracker.advance(), Some(1_000 + 120_000));
    setup.types(alice(), Some(0)).await;
    assert_eq!(setup.typers(), (2, vec![]));
}

#[tokio::test]
async fn only_joined_members_type_and_only_for_themselves() {
    let setup = setup(TypingSettings::default());
    let timeout = Some(Duration::from_secs(1));
    let outcome = setup
        .tracker
        .set_typing(bob(), room(), alice(), timeout)
        .await;
    assert!(matches!(outcome, Err(EphemeralError::AnotherUser)));
    for membership in [
        MembershipState::Leave,
        MembershipState::Invite,
        MembershipState::Ban,
    ] {
        setup.members.set(room(), bob(), membership);
        let outcome = setup
            .tracker
            .set_typing(bob(), room(), bob(), timeout)
            .await;
        assert!(matches!(outcome, Err(EphemeralError::NotJoined)));
    }
    assert_eq!(setup.recorder.take(), []);
}

#[tokio::test]
async fn who_leaves_no_longer_types() {
    let setup = setup(TypingSettings::default());
    setup.types(alice(), Some(30_000)).await;
    let membership = MembershipChange {
        event_id: event_id!("$leave").to_owned(),
        user_id: alice().to_owned(),
        previous: Some(MembershipState::Join),
        membership: MembershipState::Leave,
    };
    let kind = ChangeKind::Event {
        event: Arc::new(event(room(), "$leave", &json!({}))),
        membership: Some(membership),
    };
    setup.tracker.changed(&[Change {
        position: StreamPosition(9),
        kind,
    }]);
    assert_eq!(setup.typers(), (2, vec![]));
}

#[tokio::test]
async fn a_forgotten_room_is_still_empty_for_who_saw_somebody_type() {
    let setup = setup(TypingSettings {
        max_silent_rooms: 2,
        ..TypingSettings::default()
    });
    let rooms: Vec<OwnedRoomId> = (0..4)
        .map(|n| RoomId::parse(format!("!{n}:localhost")).unwrap())
        .collect();
    for room_id in &rooms {
        setup.members.set(room_id, alice(), MembershipState::Join);
        let timeout = Some(Duration::from_secs(1));
        setup
            .tracker
            .set_typing(alice(), room_id, alice(), timeout)
            .await
            .unwrap();
        setup
            .tracker
            .set_typing(alice(), room_id, alice(), None)
            .await
            .unwrap();
    }
    let counters: Vec<u64> = rooms
        .iter()
        .map(|room_id| setup.tracker.typing(room_id).unwrap().counter)
        .collect();
    // The first went silent at 2 and the second at 4; both are told as of the latter.
    assert_eq!(counters, [4, 4, 6, 8]);
    assert_eq!(setup.tracker.rooms.lock().by_id.len(), 2);
    assert!(setup.tracker.rooms.lock().deadlines.is_empty());
}
