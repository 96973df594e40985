//! One pusher in memory: what waits for it, and how far it has been served.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Pusher, PusherId, PusherProgress};
use parking_lot::Mutex;
use tokio::sync::Notify;
use url::Url;

use super::wish::PusherData;
use crate::Verdict;

/// How many events wait in memory. More than this are read from storage again when it is their
/// turn.
const MAX_WAITING: usize = 64;

/// A pusher as it was set last.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) pusher: Pusher,
    /// `None` if the stored data has none, which nobody could have set.
    pub(super) url: Option<Url>,
    pub(super) event_id_only: bool,
}

impl Config {
    fn new(pusher: Pusher) -> Self {
        let data = serde_json::from_str::<PusherData<'_>>(pusher.data.get()).ok();
        Self {
            url: data.as_ref().and_then(PusherData::url),
            event_id_only: data.is_some_and(|data| data.event_id_only()),
            pusher,
        }
    }

    /// Who the gateway is, as far as the log and the limits are concerned.
    pub(super) fn host(&self) -> &str {
        self.url
            .as_ref()
            .and_then(Url::host_str)
            .unwrap_or_default()
    }
}

/// An event that notifies, and how.
#[derive(Clone, Debug)]
pub(super) struct Notifying {
    pub(super) event: Arc<StoredEvent>,
    pub(super) verdict: Arc<Verdict>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Task {
    /// Read what was missed, from storage.
    CatchUp,
    /// Tell of an event that was just appended.
    Event(Notifying),
    /// Tell how many messages are unread, if that has changed.
    Unread,
    /// Wait so long after a failure, or until something changes.
    Wait(Duration),
    /// Nothing: whoever asked is to go.
    Nothing,
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    progress: PusherProgress,
    /// What storage knows of it.
    noted: PusherProgress,
    waiting: VecDeque<Notifying>,
    behind: bool,
    unread_changed: bool,
    /// Not to be tried before, for a reason that is not the gateway's, in milliseconds.
    held_until_ms: u64,
    stage: Stage,
}

/// Whether somebody serves a pusher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody.
    Idle,
    /// A task.
    Served,
    /// Nobody any more: it is deleted.
    Ended,
}

/// One pusher. It is served by at most one task at a time.
#[derive(Debug)]
pub(super) struct Slot {
    id: PusherId,
    state: Mutex<State>,
    woken: Notify,
}

impl Slot {
    /// A pusher from storage. What was committed since it was served last is still to be read.
    pub(super) fn new(pusher: Pusher, progress: PusherProgress) -> Self {
        Self {
            id: pusher.id.clone(),
            state: Mutex::new(State {
                config: Arc::new(Config::new(pusher)),
                progress,
                noted: progress,
                waiting: VecDeque::new(),
                behind: true,
                unread_changed: false,
                held_until_ms: 0,
                stage: Stage::Idle,
            }),
            woken: Notify::new(),
        }
    }

    pub(super) fn id(&self) -> &PusherId {
        &self.id
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.state.lock().config)
    }

    pub(super) fn progress(&self) -> PusherProgress {
        self.state.lock().progress
    }

    /// Whether it has been deleted.
    pub(super) fn is_ended(&self) -> bool {
        self.state.lock().stage == Stage::Ended
    }

    /// It was set again, or not: it is tried again at once if it was.
    pub(super) fn set_again(&self, pusher: Pusher) {
        let mut state = self.state.lock();
        if state.config.pusher.set_ts_ms == pusher.set_ts_ms {
            return;
        }
        state.config = Arc::new(Config::new(pusher));
        state.progress.failures = 0;
        state.progress.retry_ts_ms = 0;
        drop(state);
        self.woken.notify_one();
    }

    /// It was deleted: nothing more is sent.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.stage = Stage::Ended;
        state.waiting.clear();
        drop(state);
        self.woken.notify_one();
    }

    /// An event that notifies its user. True if nobody serves it yet: the caller has to see to it.
    #[must_use]
    pub(super) fn offer(&self, event: &Notifying) -> bool {
        let mut state = self.state.lock();
        if !state.behind {
            if state.waiting.len() == MAX_WAITING {
                state.waiting.clear();
                state.behind = true;
            } else {
                state.waiting.push_back(event.clone());
            }
        }
        state.begin()
    }

    /// Events may have passed unseen. True as for [`Self::offer`].
    #[must_use]
    pub(super) fn fall_behind(&self) -> bool {
        let mut state = self.state.lock();
        state.behind = true;
        state.waiting.clear();
        state.begin()
    }

    /// What is unread may have changed. True as for [`Self::offer`].
    #[must_use]
    pub(super) fn unread_changed(&self) -> bool {
        let mut state = self.state.lock();
        state.unread_changed = true;
        state.begin()
    }

    /// What is to be done next by the task that serves it.
    pub(super) fn next(&self, now_ms: u64) -> Task {
        let mut state = self.state.lock();
        if state.stage != Stage::Ended {
            let at_ms = state.progress.retry_ts_ms.max(state.held_until_ms);
            let has_work = state.behind || state.unread_changed || !state.waiting.is_empty();
            if has_work && at_ms > now_ms {
                return Task::Wait(Duration::from_millis(at_ms - now_ms));
            }
            if std::mem::take(&mut state.behind) {
                return Task::CatchUp;
            }
            while let Some(event) = state.waiting.pop_front() {
                if event.event.position > state.progress.position {
                    return Task::Event(event);
                }
            }
            if std::mem::take(&mut state.unread_changed) {
                return Task::Unread;
            }
            state.stage = Stage::Idle;
        }
        Task::Nothing
    }

    /// Returns when something has changed that may end a wait.
    pub(super) async fn changed(&self) {
        self.woken.notified().await;
    }

    /// Nothing up to `position` is to be sent any more. Storage need not know at once: who looks
    /// at the same events again decides the same.
    pub(super) fn passed(&self, position: StreamPosition) {
        let mut state = self.state.lock();
        state.progress.position = state.progress.position.max(position);
    }

    /// Everything up to `position` was looked at, and what notifies was offered.
    pub(super) fn looked_at(&self, position: StreamPosition) {
        let mut state = self.state.lock();
        if state.stage == Stage::Idle && !state.behind && state.waiting.is_empty() {
            state.progress.position = state.progress.position.max(position);
        }
    }

    /// The gateway has taken what was sent, and knows of so many unread messages. Gives whether it
    /// had failed before.
    pub(super) fn delivered(&self, upto: Option<StreamPosition>, unread: u64) -> bool {
        let mut state = self.state.lock();
        let progress = &mut state.progress;
        let had_failed = progress.failures > 0;
        *progress = PusherProgress {
            position: progress.position.max(upto.unwrap_or_default()),
            unread_told: Some(unread),
            failures: 0,
            retry_ts_ms: 0,
        };
        had_failed
    }

    /// The gateway has not taken what was sent: all that waits is read from storage again when it
    /// is tried next.
    pub(super) fn failed(&self, retry_ts_ms: u64) {
        let mut state = self.state.lock();
        state.progress.failures = state.progress.failures.saturating_add(1);
        state.progress.retry_ts_ms = retry_ts_ms;
        state.behind = true;
        state.unread_changed = true;
        state.waiting.clear();
    }

    /// Something here did not work: the same as [`Self::failed`], but the gateway is not to blame.
    pub(super) fn hold_until(&self, ts_ms: u64) {
        let mut state = self.state.lock();
        state.held_until_ms = ts_ms;
        state.behind = true;
        state.unread_changed = true;
        state.waiting.clear();
    }

    /// The task that served it is gone before its time: the next one waits.
    pub(super) fn rest_until(&self, ts_ms: u64) {
        self.hold_until(ts_ms);
        let mut state = self.state.lock();
        if state.stage == Stage::Served {
            state.stage = Stage::Idle;
        }
    }

    /// How far it has been served, if storage does not know that yet.
    pub(super) fn to_note(&self) -> Option<PusherProgress> {
        let state = self.state.lock();
        (state.progress != state.noted && state.stage != Stage::Ended).then_some(state.progress)
    }

    /// Storage knows.
    pub(super) fn noted(&self, progress: PusherProgress) {
        self.state.lock().noted = progress;
    }
}

impl State {
    fn begin(&mut self) -> bool {
        let idle = self.stage == Stage::Idle;
        if idle {
            self.stage = Stage::Served;
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use ruma::{MilliSecondsSinceUnixEpoch, UInt, event_id, room_id, user_id};
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn slot() -> Slot {
        let url = "https://gateway.example/_matrix/push/v1/notify";
        let pusher = Pusher {
            id: PusherId {
                user_id: user_id!("@alice:localhost").to_owned(),
                app_id: "app".to_owned(),
                pushkey: "key".to_owned(),
            },
            device_id: "D".into(),
            app_display_name: String::new(),
            device_display_name: String::new(),
            profile_tag: None,
            lang: String::new(),
            data: to_raw_value(&json!({ "url": url, "format": "event_id_only" })).unwrap(),
            set_ts_ms: 1,
        };
        let progress = PusherProgress {
            position: StreamPosition(10),
            ..PusherProgress::default()
        };
        Slot::new(pusher, progress)
    }

    fn event(position: i64) -> Notifying {
        let event = Arc::new(StoredEvent {
            position: StreamPosition(position),
            event_id: event_id!("$event").to_owned(),
            room_id: room_id!("!room:localhost").to_owned(),
            event_type: "m.room.message".to_owned(),
            state_key: None,
            sender: user_id!("@bob:localhost").to_owned(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::from(0_u32)),
            json: Arc::from(&b"{}"[..]),
            redacted_by: None,
            replaces_state: None,
            transaction: None,
        });
        let verdict = Arc::new(Verdict {
            actions: Arc::from([]),
            notifies: true,
            highlights: false,
        });
        Notifying { event, verdict }
    }

    /// What it says is next, in a word.
    fn next(slot: &Slot, now_ms: u64) -> String {
        match slot.next(now_ms) {
            Task::CatchUp => "catch up".to_owned(),
            Task::Event(it) => format!("event {}", it.event.position),
            Task::Unread => "unread".to_owned(),
            Task::Wait(wait) => format!("wait {}", wait.as_millis()),
            Task::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_pusher_first_catches_up_and_then_takes_events_in_order() {
        let slot = slot();
        assert!(slot.config().event_id_only);
        assert_eq!(slot.config().host(), "gateway.example");
        assert!(slot.fall_behind(), "nobody serves it");
        assert!(!slot.offer(&event(11)), "somebody serves it");
        assert_eq!(next(&slot, 0), "catch up");
        for position in [11, 12, 13] {
            assert!(!slot.offer(&event(position)));
        }
        // The catching up has seen the first one.
        slot.passed(StreamPosition(11));
        assert!(!slot.unread_changed());
        for expected in ["event 12", "event 13", "unread", "nothing"] {
            assert_eq!(next(&slot, 0), expected);
        }
        slot.looked_at(StreamPosition(20));
        assert_eq!(slot.progress().position, StreamPosition(20));
        assert!(slot.offer(&event(24)), "nobody serves it any more");
        slot.looked_at(StreamPosition(30));
        assert_eq!(slot.progress().position, StreamPosition(20), "one waits");
    }

    #[test]
    fn what_is_too_much_for_memory_is_read_again() {
        let slot = slot();
        assert!(slot.fall_behind());
        assert_eq!(next(&slot, 0), "catch up");
        for position in 11..=75 {
            assert!(!slot.offer(&event(position)));
        }
        assert_eq!(next(&slot, 0), "catch up");
        assert_eq!(next(&slot, 0), "nothing");
    }

    #[test]
    fn after_a_failure_everything_waits_for_its_time() {
        let slot = slot();
        assert!(slot.fall_behind());
        assert_eq!(next(&slot, 0), "catch up");
        slot.failed(500);
        assert_eq!(slot.to_note().unwrap().failures, 1);
        assert!(!slot.offer(&event(11)));
        assert_eq!(next(&slot, 400), "wait 100");
        assert_eq!(next(&slot, 500), "catch up");
        assert!(slot.delivered(Some(StreamPosition(11)), 4));
        let progress = slot.to_note().unwrap();
        let expected = PusherProgress {
            position: StreamPosition(11),
            unread_told: Some(4),
            ..PusherProgress::default()
        };
        assert_eq!(progress, expected);
        slot.noted(progress);
        assert_eq!(slot.to_note(), None);
        slot.hold_until(900);
        assert_eq!(next(&slot, 600), "wait 300");
    }

    #[test]
    fn set_again_it_is_tried_at_once_and_ended_it_is_not() {
        let slot = slot();
        assert!(slot.fall_behind());
        slot.failed(500);
        let mut again = slot.config().pusher.clone();
        slot.set_again(again.clone());
        assert_eq!(next(&slot, 0), "wait 500", "it is the same");
        again.set_ts_ms = 2;
        slot.set_again(again);
        assert_eq!(next(&slot, 0), "catch up");
        assert!(!slot.offer(&event(11)));
        slot.end();
        assert_eq!(next(&slot, 0), "nothing");
        assert!(!slot.offer(&event(12)) && !slot.unread_changed());
        assert_eq!(slot.to_note(), None);
    }
}
