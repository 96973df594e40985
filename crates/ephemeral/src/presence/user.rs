//! One user's presence as a function of what they did and of time.

use ruma::presence::PresenceState;

use crate::PresenceSettings;

/// What others see of a user. A difference is worth an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) presence: Presence,
    pub(super) currently_active: bool,
}

impl Shown {
    pub(super) const ONLINE: Self = Self {
        presence: Presence::Online,
        currently_active: false,
    };

    pub(super) const OFFLINE: Self = Self {
        presence: Presence::Offline,
        currently_active: false,
    };
}

/// The three states of the specification, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Online,
    Unavailable,
    Offline,
}

impl Presence {
    pub(super) fn from_wire(presence: &PresenceState) -> Option<Self> {
        match presence {
            PresenceState::Online => Some(Self::Online),
            PresenceState::Unavailable => Some(Self::Unavailable),
            PresenceState::Offline => Some(Self::Offline),
            _ => None,
        }
    }
}

impl From<Presence> for PresenceState {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Online => Self::Online,
            Presence::Unavailable => Self::Unavailable,
            Presence::Offline => Self::Offline,
        }
    }
}

/// The syncs of all of a user's devices that ask for the same presence.
#[derive(Clone, Copy, Debug, Default)]
struct Syncs {
    /// How many are under way.
    open: u32,
    /// When the last one began or ended.
    last_ms: Option<u64>,
}

impl Syncs {
    /// When the user counts as gone unless something happens.
    fn until_ms(self, settings: &PresenceSettings) -> Option<u64> {
        let lasts_ms = if self.open > 0 {
            settings.longest_sync_ms
        } else {
            settings.offline_after_ms
        };
        self.last_ms.map(|last_ms| last_ms.saturating_add(lasts_ms))
    }

    fn alive(self, now_ms: u64, settings: &PresenceSettings) -> bool {
        self.until_ms(settings)
            .is_some_and(|until_ms| now_ms < until_ms)
    }
}

/// What a user did, as far as their presence depends on it.
#[derive(Debug, Default)]
pub(super) struct User {
    online: Syncs,
    unavailable: Syncs,
    /// A presence other than online that the user asked for by hand.
    by_hand: Option<Presence>,
    last_active_ms: Option<u64>,
    pub(super) status_msg: Option<String>,
}

impl User {
    /// What others see at `now_ms`.
    pub(super) fn shown(&self, now_ms: u64, settings: &PresenceSettings) -> Shown {
        let online = self.online.alive(now_ms, settings);
        let connected = online || self.unavailable.alive(now_ms, settings);
        if !connected || self.by_hand == Some(Presence::Offline) {
            return Shown::OFFLINE;
        }
        let active_within = |limit_ms: u64| {
            self.last_active_ms
                .is_some_and(|last_ms| now_ms < last_ms.saturating_add(limit_ms))
        };
        let available = self.by_hand != Some(Presence::Unavailable);
        if online && available && active_within(settings.idle_after_ms) {
            let currently_active = active_within(settings.active_for_ms);
            Shown {
                presence: Presence::Online,
                currently_active,
            }
        } else {
            Shown {
                presence: Presence::Unavailable,
                currently_active: false,
            }
        }
    }

    /// When what others see may change by the passing of time alone.
    pub(super) fn next_change_ms(&self, now_ms: u64, settings: &PresenceSettings) -> Option<u64> {
        let after_activity = |limit_ms| {
            self.last_active_ms
                .map(|last_ms| last_ms.saturating_add(limit_ms))
        };
        [
            self.online.until_ms(settings),
            self.unavailable.until_ms(settings),
            after_activity(settings.active_for_ms),
            after_activity(settings.idle_after_ms),
        ]
        .into_iter()
        .flatten()
        .filter(|due_ms| *due_ms > now_ms)
        .min()
    }

    /// Milliseconds since the user was last active.
    pub(super) fn last_active_ago_ms(&self, now_ms: u64) -> Option<u64> {
        self.last_active_ms
            .map(|last_ms| now_ms.saturating_sub(last_ms))
    }

    /// A device begins to sync.
    ///
    /// A sync is not an activity, or nobody would ever be idle; but to come online is one.
    pub(super) fn sync_began(&mut self, as_: Presence, now_ms: u64, settings: &PresenceSettings) {
        let online = self.online.alive(now_ms, settings);
        let connected = online || self.unavailable.alive(now_ms, settings);
        let hidden = self.by_hand == Some(Presence::Offline);
        if hidden || !connected {
            self.by_hand = None;
        }
        if as_ == Presence::Online && (hidden || !online) {
            self.last_active_ms = Some(now_ms);
        }
        if let Some(syncs) = self.syncs(as_) {
            syncs.open = syncs.open.saturating_add(1);
            syncs.last_ms = Some(now_ms);
        }
    }

    /// A sync has ended.
    pub(super) fn sync_ended(&mut self, as_: Presence, now_ms: u64) {
        if let Some(syncs) = self.syncs(as_) {
            syncs.open = syncs.open.saturating_sub(1);
            syncs.last_ms = Some(now_ms);
        }
    }

    /// The user did something. If they are connected at all, and did not hide, they are online.
    pub(super) fn was_active(&mut self, now_ms: u64, settings: &PresenceSettings) {
        self.last_active_ms = Some(now_ms);
        if self.by_hand == Some(Presence::Unavailable) {
            self.by_hand = None;
        }
        let online = self.online.alive(now_ms, settings);
        if !online && self.unavailable.alive(now_ms, settings) {
            self.online.last_ms = Some(now_ms);
        }
    }

    /// The user says by hand what they are.
    pub(super) fn set(&mut self, presence: Presence, status_msg: Option<String>, now_ms: u64) {
        self.by_hand = (presence != Presence::Online).then_some(presence);
        self.status_msg = status_msg;
        self.last_active_ms = Some(now_ms);
        if let Some(syncs) = self.syncs(presence) {
            syncs.last_ms = Some(now_ms);
        }
    }

    fn syncs(&mut self, as_: Presence) -> Option<&mut Syncs> {
        match as_ {
            Presence::Online => Some(&mut self.online),
            Presence::Unavailable => Some(&mut self.unavailable),
            Presence::Offline => None,
        }
    }
}
