//! The states, what brings each about, and when others hear of it.

use std::time::Duration;

use greenroom_model::{StreamPosition, TestClock};
use ruma::presence::PresenceState::{Offline, Online, Unavailable};
use serde_json::json;

use super::*;
use crate::testing::{MemoryMembers, MemoryOnline, Recorder, alice, bob, event, room};

struct Setup {
    recorder: Arc<Recorder>,
    clock: TestClock,
    tracker: Arc<PresenceTracker>,
    kept: Arc<MemoryOnline>,
}

fn setup() -> Setup {
    setup_with(PresenceSettings::default())
}

fn setup_with(settings: PresenceSettings) -> Setup {
    let clock = TestClock::at(100_000);
    let (recorder, stream) = Recorder::stream();
    let kept = Arc::<MemoryOnline>::default();
    let tracker = PresenceTracker::new(
        MemoryMembers::in_one_room(),
        Arc::clone(&kept) as _,
        stream,
        Arc::new(clock.clone()),
        settings,
    );
    Setup {
        recorder,
        clock,
        tracker: Arc::new(tracker),
        kept,
    }
}

impl Setup {
    fn presence(&self) -> PresenceState {
        self.tracker.presence(alice()).unwrap().presence
    }

    /// Lets time pass, and the timer go off.
    fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        self.tracker.advance();
    }

    fn syncs(&self, set_presence: PresenceState, ms: u64) {
        self.tracker.synced(alice(), set_presence.clone());
        self.pass(ms);
        self.tracker.sync_ended(alice(), set_presence);
    }

    fn put(&self, presence: &PresenceState, status_msg: Option<&str>) {
        let status_msg = status_msg.map(ToOwned::to_owned);
        self.tracker
            .set_status(alice(), alice(), presence, status_msg)
            .unwrap();
    }

    fn sends(&self) {
        let event = Arc::new(event(room(), "$event", &json!({})));
        let kind = ChangeKind::Event {
            event,
            membership: None,
        };
        self.tracker.changed(&[Change {
            position: StreamPosition(9),
            kind,
        }]);
    }

    /// The counters that were announced since this was last asked.
    fn announced(&self) -> Vec<u64> {
        let changes = self.recorder.take().into_iter();
        changes
            .map(|change| match change {
                EphemeralChange::Presence { user_id, counter } if user_id == alice() => counter,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn who_syncs_is_online_and_is_offline_some_time_after_the_last_sync() {
    let setup = setup();
    assert_eq!(setup.tracker.presence(alice()), None);
    setup.tracker.synced(alice(), Online);
    assert_eq!(setup.presence(), Online);
    // A parked sync keeps its user online however long it waits.
    setup.pass(200_000);
    assert_eq!(setup.presence(), Online);
    setup.tracker.sync_ended(alice(), Online);
    setup.pass(29_000);
    setup.syncs(Online, 1_000);
    setup.pass(29_999);
    assert_eq!(setup.presence(), Online);
    setup.announced();
    setup.pass(101);
    assert_eq!(setup.presence(), Offline);
    assert_eq!(setup.announced().len(), 1, "the timer tells others");
}

#[test]
fn a_sync_whose_end_was_lost_does_not_last_forever() {
    let setup = setup();
    setup.tracker.synced(alice(), Online);
    setup.pass(600_000);
    assert_eq!(setup.presence(), Offline);
}

#[test]
fn a_sync_may_ask_not_to_be_seen() {
    let setup = setup();
    setup.syncs(Offline, 1_000);
    assert_eq!(setup.tracker.presence(alice()), None);
    setup.syncs(Unavailable, 1_000);
    assert_eq!(setup.presence(), Unavailable);
}

#[test]
fn the_most_present_of_several_devices_counts() {
    let setup = setup();
    setup.tracker.synced(alice(), Unavailable);
    setup.tracker.synced(alice(), Online);
    assert_eq!(setup.presence(), Online);
    setup.tracker.sync_ended(alice(), Online);
    setup.pass(30_000);
    assert_eq!(setup.presence(), Unavailable);
    setup.tracker.sync_ended(alice(), Unavailable);
    setup.pass(30_000);
    assert_eq!(setup.presence(), Offline);
}

#[test]
fn without_activity_a_user_grows_idle_and_activity_brings_them_back() {
    let setup = setup();
    setup.tracker.synced(alice(), Online);
    assert!(setup.tracker.presence(alice()).unwrap().currently_active);
    setup.pass(60_000);
    let status = setup.tracker.presence(alice()).unwrap();
    assert_eq!(status.last_active_ago_ms, Some(60_000));
    assert!(status.presence == Online && !status.currently_active);
    setup.pass(240_000);
    assert_eq!(setup.presence(), Unavailable);
    // Another sync is no activity.
    setup.tracker.synced(alice(), Online);
    assert_eq!(setup.presence(), Unavailable);
    setup.pass(500);
    setup.announced();
    setup.sends();
    assert_eq!(setup.presence(), Online);
    assert_eq!(
        setup.tracker.presence(alice()).unwrap().last_active_ago_ms,
        Some(0)
    );
    assert_eq!(setup.announced().len(), 1);
}

#[test]
fn who_is_active_already_is_not_announced_with_each_message() {
    let setup = setup();
    setup.tracker.synced(alice(), Online);
    setup.announced();
    for _ in 0..50 {
        setup.sends();
        setup.pass(1_000);
    }
    assert!(setup.announced().is_empty());
    assert_eq!(setup.tracker.users.lock().due.len(), 1);
}

#[test]
fn who_is_not_connected_stays_offline_whatever_they_send() {
    let setup = setup();
    setup.sends();
    assert_eq!(setup.tracker.presence(alice()), None);
    setup.syncs(Online, 0);
    setup.pass(30_000);
    setup.sends();
    assert_eq!(setup.presence(), Offline);
}

#[test]
fn what_is_set_by_hand_holds_against_syncs_until_there_is_activity() {
    let setup = setup();
    setup.tracker.synced(alice(), Online);
    setup.put(&Unavailable, Some("lunch"));
    setup.tracker.synced(alice(), Online);
    let status = setup.tracker.presence(alice()).unwrap();
    assert_eq!(
        (status.presence, status.status_msg.as_deref()),
        (Unavailable, Some("lunch"))
    );
    setup.sends();
    assert_eq!(setup.presence(), Online);
    setup.put(&Online, None);
    assert_eq!(setup.tracker.presence(alice()).unwrap().status_msg, None);
}

#[test]
fn who_hides_by_hand_is_offline_until_the_next_sync_that_says_otherwise() {
    let setup = setup();
    setup.tracker.synced(alice(), Online);
    setup.put(&Offline, None);
    assert_eq!(setup.presence(), Offline);
    setup.sends();
    setup.tracker.sync_ended(alice(), Online);
    setup.syncs(Offline, 1_000);
    assert_eq!(setup.presence(), Offline);
    setup.tracker.synced(alice(), Online);
    assert_eq!(setup.presence(), Online);
}

#[test]
fn changes_in_quick_succession_are_announced_as_one() {
    let setup = setup();
    for round in 0..100 {
        setup.put(&Online, Some(&round.to_string()));
    }
    assert_eq!(setup.announced(), [1]);
    assert_eq!(
        setup
            .tracker
            .presence(alice())
            .unwrap()
            .status_msg
            .as_deref(),
        Some("99")
    );
    setup.pass(500);
    assert_eq!(setup.announced(), [2]);
    assert_eq!(setup.tracker.presence(alice()).unwrap().counter, 2);
    setup.pass(500);
    assert!(setup.announced().is_empty());
}

/// Asks for the counter whenever it is told of a change, as a sync on another thread may.
#[derive(Default)]
struct Asker {
    tracker: std::sync::OnceLock<Arc<PresenceTracker>>,
    seen: Mutex<Vec<(u64, u64)>>,
}

impl ChangeObserver for Asker {
    fn changed(&self, _changes: &[Change]) {}

    fn ephemeral_changed(&self, change: &EphemeralChange) {
        let EphemeralChange::Presence { user_id, counter } = change else {
            return;
        };
        let tracker = self.tracker.get().unwrap();
        assert_eq!(tracker.presence(user_id).unwrap().counter, *counter);
        self.seen.lock().push((*counter, tracker.counter()));
    }
}

#[test]
fn a_counter_is_shown_once_the_observers_know_what_it_counts() {
    let (asker, stream) = (Arc::<Asker>::default(), ChangeStream::new());
    stream.observe(vec![Arc::clone(&asker) as Arc<dyn ChangeObserver>]);
    let tracker = Arc::new(PresenceTracker::new(
        MemoryMembers::in_one_room(),
        Arc::<MemoryOnline>::default(),
        stream,
        Arc::new(TestClock::at(100_000)),
        PresenceSettings::default(),
    ));
    assert!(asker.tracker.set(Arc::clone(&tracker)).is_ok());
    tracker.synced(alice(), Online);
    tracker.synced(bob(), Online);
    assert_eq!(*asker.seen.lock(), [(1, 0), (2, 1)]);
    assert_eq!(tracker.counter(), 2);
}

#[test]
fn a_new_name_is_announced_with_the_presence() {
    let setup = setup();
    let kind = ChangeKind::Profile {
        user_id: alice().to_owned(),
    };
    let change = [Change {
        position: StreamPosition(9),
        kind,
    }];
    setup.tracker.changed(&change);
    assert!(setup.announced().is_empty());
    setup.tracker.synced(alice(), Online);
    setup.pass(500);
    setup.announced();
    setup.tracker.changed(&change);
    assert_eq!(setup.announced(), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_task_announces_what_time_brings() {
    let setup = setup();
    let (stop, shutdown) = watch::channel(false);
    let tracker = Arc::clone(&setup.tracker);
    let task = tokio::spawn(async move { tracker.run(shutdown).await });
    setup.syncs(Online, 0);
    setup.recorder.announced().await;
    setup.announced();
    tokio::time::sleep(Duration::from_secs(1)).await;
    setup.clock.advance(30_000);
    setup.recorder.announced().await;
    assert_eq!(setup.announced(), [2]);
    stop.send_replace(true);
    task.await.unwrap();
}

#[tokio::test]
async fn presence_is_for_those_who_share_a_room() {
    let setup = setup();
    let status = setup.tracker.status(bob(), alice()).await.unwrap();
    assert_eq!(
        (status.presence, status.last_active_ago_ms),
        (Offline, None)
    );
    setup.put(&Online, None);
    assert_eq!(
        setup.tracker.status(bob(), alice()).await.unwrap().presence,
        Online
    );
    let stranger = ruma::user_id!("@stranger:localhost");
    let outcome = setup.tracker.status(stranger, alice()).await;
    assert!(matches!(outcome, Err(EphemeralError::PresenceHidden)));
    assert_eq!(
        setup
            .tracker
            .status(stranger, stranger)
            .await
            .unwrap()
            .presence,
        Offline
    );
}

#[test]
fn bad_statuses_are_refused() {
    let setup = setup();
    let outcome = setup.tracker.set_status(bob(), alice(), &Online, None);
    assert!(matches!(outcome, Err(EphemeralError::AnotherUser)));
    let outcome = setup
        .tracker
        .set_status(alice(), alice(), &"busy".into(), None);
    assert!(matches!(outcome, Err(EphemeralError::InvalidParam(_))));
    let outcome = setup
        .tracker
        .set_status(alice(), alice(), &Online, Some("x".repeat(4097)));
    assert!(matches!(outcome, Err(EphemeralError::InvalidParam(_))));
    assert_eq!(setup.tracker.presence(alice()), None);
}

#[test]
fn switched_off_nothing_is_tracked() {
    let setup = setup_with(PresenceSettings {
        reach: PresenceReach::Off,
        ..PresenceSettings::default()
    });
    setup.syncs(Online, 0);
    setup.put(&Online, None);
    setup.sends();
    assert_eq!(setup.tracker.presence(alice()), None);
    assert!(setup.announced().is_empty());
}

#[test]
fn who_was_online_before_a_restart_and_does_not_return_is_told_offline() {
    let setup = setup();
    setup
        .tracker
        .believe(vec![alice().to_owned(), bob().to_owned()]);
    assert_eq!(setup.tracker.presence(alice()), None, "not decided yet");
    setup.pass(29_000);
    let announced = || setup.recorder.take().len();
    assert_eq!(announced(), 0);
    setup.tracker.synced(bob(), Online);
    assert_eq!(setup.tracker.presence(bob()).unwrap().presence, Online);
    assert_eq!(announced(), 1, "bob is back");
    setup.pass(1_000);
    assert_eq!(setup.presence(), Offline);
    assert_eq!(announced(), 1, "alice is not");
    setup.pass(20_000);
    assert_eq!(announced(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_online_is_kept_for_the_process_after_this_one() {
    let setup = setup();
    let (stop, shutdown) = watch::channel(false);
    let running = Arc::clone(&setup.tracker);
    let running = tokio::spawn(async move { running.run(shutdown).await });
    setup.syncs(Online, 10);
    setup.kept.until(&[alice()]).await;
    // Idle or active makes no difference.
    setup.sends();
    setup.pass(40_000);
    setup.kept.until(&[]).await;
    stop.send(true).unwrap();
    running.await.unwrap();
}
