//! Carries a changed display name or avatar into the member events of every joined room.
//!
//! Storage notes in the act that changes a profile that the user's rooms have to be told, and
//! keeps the note until they all were. So a crash at any point costs a repetition and never a
//! room: telling a room twice changes nothing, because the updater sends an event only where the
//! profile differs from the member event.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use greenroom_storage::{MemberStore, ProfileStore, StorageError};
use greenroom_stream::{Change, ChangeKind, ChangeObserver};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::FanOutSettings;

/// Why a room was not told of a profile.
#[derive(Debug, thiserror::Error)]
pub enum MemberUpdateError {
    /// The room does not take the event and never will: the user is no longer joined, or its
    /// rules refuse them. There is nothing left to do there.
    #[error("the room refuses the event: {0}")]
    Refused(String),
    /// It did not work now. It will be tried again.
    #[error("the room could not be told: {0}")]
    Failed(String),
}

/// Somebody who can send member events: the rooms, as wiring presents them to this crate.
#[async_trait]
pub trait MemberEventUpdater: Send + Sync {
    /// Makes the user's member event in the room agree with their profile: reads the profile, and
    /// sends a `join` with it if it differs from the member event. Does nothing if they are not
    /// joined.
    ///
    /// # Errors
    ///
    /// See [`MemberUpdateError`].
    async fn update_member_event(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), MemberUpdateError>;
}

/// The job. It is also the observer that wakes it: name it in
/// [`greenroom_stream::ChangeStream::observe`] and [`run`](Self::run) it once.
pub struct ProfileFanOut {
    profiles: Arc<dyn ProfileStore>,
    members: Arc<dyn MemberStore>,
    updater: Arc<dyn MemberEventUpdater>,
    settings: FanOutSettings,
    woken: Notify,
}

impl ChangeObserver for ProfileFanOut {
    fn changed(&self, changes: &[Change]) {
        // The note is in storage; this only says that it is worth a look.
        if changes
            .iter()
            .any(|change| matches!(change.kind, ChangeKind::Profile { .. }))
        {
            self.woken.notify_one();
        }
    }
}

/// Users whose rooms could not all be told, and when to try again.
type Postponed = HashMap<OwnedUserId, Retry>;

struct Retry {
    at: Instant,
    wait: Duration,
}

impl ProfileFanOut {
    /// A job over these parts.
    #[must_use]
    pub fn new(
        profiles: Arc<dyn ProfileStore>,
        members: Arc<dyn MemberStore>,
        updater: Arc<dyn MemberEventUpdater>,
        settings: FanOutSettings,
    ) -> Self {
        Self {
            profiles,
            members,
            updater,
            settings,
            woken: Notify::new(),
        }
    }

    /// Works off what is pending, first what an earlier process left, then whatever comes, until
    /// `shutdown` turns true or its sender is gone.
    ///
    /// Dropping it or shutting down between two rooms is safe: the next run begins that user anew.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let mut postponed = Postponed::new();
        tokio::select! {
            () = self.work(&mut postponed) => {}
            // An error means that the sender is gone, which is a shutdown as well.
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    async fn work(&self, postponed: &mut Postponed) {
        loop {
            let next = self.round(postponed).await;
            match next {
                Some(at) => {
                    tokio::select! {
                        () = self.woken.notified() => {}
                        () = sleep_until(at) => {}
                    }
                }
                None => self.woken.notified().await,
            }
        }
    }

    /// Tells the rooms of everyone who is pending and not postponed. Returns when to look again
    /// without being woken.
    async fn round(&self, postponed: &mut Postponed) -> Option<Instant> {
        let pending = match self.profiles.pending_profile_changes().await {
            Ok(pending) => pending,
            Err(error) => {
                tracing::warn!(%error, "could not read pending profile changes");
                return Some(Instant::now() + self.first_wait());
            }
        };
        postponed.retain(|user_id, _| pending.iter().any(|(pending, _)| pending == user_id));
        let now = Instant::now();
        let due = pending
            .into_iter()
            .filter(|(user_id, _)| postponed.get(user_id).is_none_or(|retry| retry.at <= now));
        let outcomes = stream::iter(due.collect::<Vec<_>>())
            .map(|(user_id, version)| async move {
                let outcome = self.tell_rooms(&user_id, version).await;
                (user_id, outcome)
            })
            .buffer_unordered(self.settings.concurrent_users.max(1))
            .collect::<Vec<_>>()
            .await;
        for (user_id, outcome) in outcomes {
            match outcome {
                Ok(()) => {
                    postponed.remove(&user_id);
                }
                Err(error) => {
                    let wait = self.next_wait(postponed.get(&user_id));
                    let retry_ms = wait.as_millis();
                    tracing::warn!(
                        %error,
                        user.id = %user_id,
                        retry_ms,
                        "a profile change has not reached every room"
                    );
                    postponed.insert(
                        user_id,
                        Retry {
                            at: Instant::now() + wait,
                            wait,
                        },
                    );
                }
            }
        }
        postponed.values().map(|retry| retry.at).min()
    }

    /// Tells all rooms of one user, and then storage that they know.
    async fn tell_rooms(&self, user_id: &UserId, version: u64) -> Result<(), FanOutError> {
        let rooms = self
            .members
            .rooms_of(user_id, &[MembershipState::Join])
            .await?;
        let failures = stream::iter(rooms)
            .map(|room| self.tell_room(room.room_id, user_id))
            .buffer_unordered(self.settings.concurrent_rooms.max(1))
            .filter_map(|outcome| async move { outcome.err() })
            .collect::<Vec<_>>()
            .await;
        match failures.into_iter().next() {
            Some(failure) => Err(failure.into()),
            None => Ok(self.profiles.profile_change_done(user_id, version).await?),
        }
    }

    async fn tell_room(
        &self,
        room_id: OwnedRoomId,
        user_id: &UserId,
    ) -> Result<(), MemberUpdateError> {
        match self.updater.update_member_event(&room_id, user_id).await {
            Err(MemberUpdateError::Refused(reason)) => {
                tracing::debug!(room.id = %room_id, user.id = %user_id, reason, "profile refused");
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn first_wait(&self) -> Duration {
        Duration::from_millis(self.settings.retry_after_ms.max(1))
    }

    fn next_wait(&self, before: Option<&Retry>) -> Duration {
        let longest = Duration::from_millis(self.settings.max_retry_after_ms);
        before.map_or(self.first_wait(), |retry| (retry.wait * 2).min(longest))
    }
}

#[derive(Debug, thiserror::Error)]
enum FanOutError {
    #[error(transparent)]
    Update(#[from] MemberUpdateError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

#[cfg(test)]
mod tests;
