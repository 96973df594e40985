//! The job against rooms that fail, refuse, and watch how many are told at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{room_id, user_id};
use serde_json::json;

use super::*;
use crate::testing::{MemoryMembers, MemoryProfiles};

/// Rooms that note whom they were told of.
#[derive(Default)]
struct Rooms {
    told: Mutex<Vec<OwnedRoomId>>,
    /// How many more times each room fails before it works.
    failures: Mutex<HashMap<OwnedRoomId, usize>>,
    refuses: Mutex<Vec<OwnedRoomId>>,
    now: AtomicUsize,
    most: AtomicUsize,
    changed: Notify,
}

#[async_trait]
impl MemberEventUpdater for Rooms {
    async fn update_member_event(
        &self,
        room_id: &RoomId,
        _user_id: &UserId,
    ) -> Result<(), MemberUpdateError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if self
            .refuses
            .lock()
            .iter()
            .any(|refusing| refusing == room_id)
        {
            return Err(MemberUpdateError::Refused("banned".to_owned()));
        }
        if let Some(left) = self.failures.lock().get_mut(room_id)
            && *left > 0
        {
            *left -= 1;
            return Err(MemberUpdateError::Failed("busy".to_owned()));
        }
        self.told.lock().push(room_id.to_owned());
        self.changed.notify_one();
        Ok(())
    }
}

struct Setup {
    profiles: Arc<MemoryProfiles>,
    rooms: Arc<Rooms>,
    job: Arc<ProfileFanOut>,
    stop: watch::Sender<bool>,
}

fn alice() -> &'static UserId {
    user_id!("@alice:localhost")
}

fn setup(room_ids: &[&RoomId], settings: FanOutSettings) -> Setup {
    let profiles = Arc::new(MemoryProfiles::of(&[alice()]));
    let members = Arc::new(MemoryMembers::joined(alice(), room_ids));
    let rooms = Arc::new(Rooms::default());
    let updater = Arc::clone(&rooms) as Arc<dyn MemberEventUpdater>;
    let job = ProfileFanOut::new(Arc::clone(&profiles) as _, members, updater, settings);
    Setup {
        profiles,
        rooms,
        job: Arc::new(job),
        stop: watch::channel(false).0,
    }
}

impl Setup {
    async fn rename(&self) {
        let value = Some(json!("Alice"));
        assert!(
            self.profiles
                .set_profile_field(alice(), "displayname", value)
                .await
                .unwrap()
        );
    }

    fn announce(&self) {
        let kind = ChangeKind::Profile {
            user_id: alice().to_owned(),
        };
        self.job.changed(&[Change {
            position: StreamPosition(1),
            kind,
        }]);
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        let (job, shutdown) = (Arc::clone(&self.job), self.stop.subscribe());
        tokio::spawn(async move { job.run(shutdown).await })
    }

    async fn nothing_pending(&self) {
        while !self
            .profiles
            .pending_profile_changes()
            .await
            .unwrap()
            .is_empty()
        {
            self.profiles.done.notified().await;
        }
    }

    fn told(&self) -> Vec<OwnedRoomId> {
        let mut told = self.rooms.told.lock().clone();
        told.sort();
        told
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_left_is_taken_up_at_start() {
    let setup = setup(
        &[room_id!("!a:x"), room_id!("!b:x")],
        FanOutSettings::default(),
    );
    setup.rename().await;
    let job = setup.start();
    setup.nothing_pending().await;
    assert_eq!(setup.told(), ["!a:x", "!b:x"]);
    setup.stop.send_replace(true);
    job.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_the_job() {
    let setup = setup(&[room_id!("!a:x")], FanOutSettings::default());
    let _job = setup.start();
    tokio::task::yield_now().await;
    setup.rename().await;
    setup.announce();
    setup.nothing_pending().await;
    assert_eq!(setup.told(), ["!a:x"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_fails_keeps_the_change_pending_until_it_works() {
    let setup = setup(
        &[room_id!("!a:x"), room_id!("!b:x")],
        FanOutSettings::default(),
    );
    setup
        .rooms
        .failures
        .lock()
        .insert(room_id!("!b:x").to_owned(), 3);
    setup.rename().await;
    let _job = setup.start();
    setup.nothing_pending().await;
    // Telling a room again changes nothing, so the ones that worked are simply told again.
    assert_eq!(setup.told(), ["!a:x", "!a:x", "!a:x", "!a:x", "!b:x"]);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_waits_for_a_retry_is_not_tried_at_every_wake() {
    let setup = setup(&[room_id!("!a:x")], FanOutSettings::default());
    setup
        .rooms
        .failures
        .lock()
        .insert(room_id!("!a:x").to_owned(), 1);
    setup.rename().await;
    let mut postponed = Postponed::new();
    let again = setup.job.round(&mut postponed).await.unwrap();
    assert_eq!(again, Instant::now() + Duration::from_secs(1));
    assert_eq!(setup.job.round(&mut postponed).await, Some(again));
    assert_eq!(setup.told(), [] as [OwnedRoomId; 0]);
    sleep_until(again).await;
    assert_eq!(setup.job.round(&mut postponed).await, None);
    assert_eq!(setup.told(), ["!a:x"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_refuses_does_not_hold_up_the_others() {
    let setup = setup(
        &[room_id!("!a:x"), room_id!("!b:x")],
        FanOutSettings::default(),
    );
    setup.rooms.refuses.lock().push(room_id!("!a:x").to_owned());
    setup.rename().await;
    let _job = setup.start();
    setup.nothing_pending().await;
    assert_eq!(setup.told(), ["!b:x"]);
}

#[tokio::test(start_paused = true)]
async fn so_many_rooms_at_once_and_no_more() {
    let room_ids: Vec<OwnedRoomId> = (0..40)
        .map(|n| RoomId::parse(format!("!{n:02}:x")).unwrap())
        .collect();
    let room_ids: Vec<&RoomId> = room_ids.iter().map(|room_id| &**room_id).collect();
    let setup = setup(
        &room_ids,
        FanOutSettings {
            concurrent_rooms: 5,
            ..FanOutSettings::default()
        },
    );
    setup.rename().await;
    let _job = setup.start();
    setup.nothing_pending().await;
    assert_eq!(setup.told().len(), 40);
    assert_eq!(setup.rooms.most.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn a_wiring_that_is_gone_ends_the_job() {
    let setup = setup(&[], FanOutSettings::default());
    let job = setup.start();
    drop(setup.stop);
    job.await.unwrap();
}
