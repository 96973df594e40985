//! Serves one pusher: one thing after the other, in the order of the stream.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use greenroom_events::VisibilityHistory;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::events::room::member::MembershipState;
use tokio::sync::watch;

use super::{
    account::Account,
    backoff,
    context::{Context, Trouble},
    gateway::{self, GatewayFailure},
    notification::{self, EventNames},
    slot::{Config, Notifying, Slot, Task},
};

/// How long to wait after trouble that is ours.
const HOLD: Duration = Duration::from_secs(5);

/// Why what waits is not sent now.
enum Interrupted {
    /// The gateway has not taken something: all that comes after has to wait.
    Gateway,
    /// Something here did not work.
    Here(Trouble),
}

impl<E: Into<Trouble>> From<E> for Interrupted {
    fn from(trouble: E) -> Self {
        Self::Here(trouble.into())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Serves a pusher until there is nothing more to do, or `shutdown` turns true.
pub(super) async fn serve(
    context: Arc<Context>,
    account: Arc<Account>,
    slot: Arc<Slot>,
    mut shutdown: watch::Receiver<bool>,
) {
    let service = Service {
        context: &context,
        account: &account,
        slot: &slot,
    };
    loop {
        if *shutdown.borrow() {
            return;
        }
        let done = match slot.next(context.clock.now_ms()) {
            Task::Nothing => return,
            Task::Wait(wait) => {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = slot.changed() => {}
                    _ = shutdown.wait_for(|stop| *stop) => {}
                }
                Ok(())
            }
            Task::CatchUp => service.catch_up(&shutdown).await,
            Task::Event(event) => service.tell_event(&event).await,
            Task::Unread => service.tell_unread().await,
        };
        match done {
            Ok(()) | Err(Interrupted::Gateway) => {}
            Err(Interrupted::Here(error)) => {
                let user_id = &account.user_id;
                tracing::warn!(%error, user.id = %user_id, "a notification has to wait");
                slot.hold_until(context.clock.now_ms().saturating_add(millis(HOLD)));
            }
        }
    }
}

struct Service<'a> {
    context: &'a Context,
    account: &'a Account,
    slot: &'a Slot,
}

impl Service<'_> {
    async fn catch_up(&self, shutdown: &watch::Receiver<bool>) -> Result<(), Interrupted> {
        let upto = self.context.now();
        let after = self.slot.progress().position;
        if upto > after {
            for missed in self.context.missed(self.account, after, upto).await? {
                if *shutdown.borrow() || self.slot.is_ended() {
                    return Ok(());
                }
                // One at a time: there may be many, and they may be large.
                let context = self.context;
                let event = context
                    .timeline
                    .event(&missed.event_id)
                    .await?
                    .map(Arc::new);
                let notifying = match &event {
                    Some(event) => context.judge(self.account, event).await?,
                    None => None,
                };
                match notifying {
                    Some(notifying) => self.tell_event(&notifying).await?,
                    None => self.slot.passed(missed.position),
                }
            }
            self.slot.passed(upto);
        }
        Ok(())
    }

    /// Tells of an event, if it still is what it was and is not read yet.
    async fn tell_event(&self, waiting: &Notifying) -> Result<(), Interrupted> {
        let position = waiting.event.position;
        let Some((event, unread)) = self.still_to_be_told(&waiting.event).await? else {
            self.slot.passed(position);
            return Ok(());
        };
        let config = self.slot.config();
        let names = match config.event_id_only {
            true => None,
            false => Some(self.names(&event).await?),
        };
        let verdict = &waiting.verdict;
        let body = notification::of_event(&config.pusher, &event, verdict, names, unread);
        self.deliver(&config, body, Some(position), unread).await
    }

    async fn tell_unread(&self) -> Result<(), Interrupted> {
        let unread = self.account.unread(self.context).await?;
        // Of more the events tell that make it more. A gateway that was never told of any need not
        // be told that there are none.
        if unread >= self.slot.progress().unread_told.unwrap_or_default() {
            return Ok(());
        }
        let config = self.slot.config();
        let body = notification::of_unread(&config.pusher, unread);
        self.deliver(&config, body, None, unread).await
    }

    /// An event as it is now, and what is unread; `None` if the user is not to be told of it, or
    /// not any more.
    async fn still_to_be_told(
        &self,
        event: &StoredEvent,
    ) -> Result<Option<(StoredEvent, u64)>, Interrupted> {
        let (context, user_id) = (self.context, &self.account.user_id);
        let (room_id, position) = (&event.room_id, event.position);
        let Some(event) = context.timeline.event(&event.event_id).await? else {
            return Ok(None);
        };
        let ignored = context.ignores.ignored_by(user_id).await?;
        if event.redacted_by.is_some() || ignored.contains(&event.sender) {
            return Ok(None);
        }
        let (visibility, memberships) = context.state.reader_history(room_id, user_id).await?;
        let history = VisibilityHistory::new(user_id, &visibility, &memberships);
        let own = event.is_state("m.room.member", user_id.as_str());
        let is_current = || memberships.iter().all(|other| other.position <= position);
        let joined = |at: StreamPosition| *history.membership_at(at) == MembershipState::Join;
        let concerns = match own {
            // An invite, or its end, as long as it is what counts.
            true => is_current(),
            false => joined(position) && joined(context.now()) && history.allows(&event),
        };
        if !concerns {
            return Ok(None);
        }
        if !own {
            let since = history.joined_since(context.now()).unwrap_or_default();
            if !context.is_unread(user_id, room_id, since, position).await? {
                return Ok(None);
            }
        }
        let unread = self.account.unread(context).await?;
        Ok(Some((event, unread)))
    }

    async fn names(&self, event: &StoredEvent) -> Result<EventNames, Trouble> {
        let place = |event_type: &str, key: &str| (event_type.to_owned(), key.to_owned());
        let keys = vec![
            place("m.room.member", event.sender.as_str()),
            place("m.room.name", ""),
            place("m.room.canonical_alias", ""),
        ];
        let state = self.context.state_now(&event.room_id, keys).await?;
        Ok(EventNames::new(&state))
    }

    /// Sends a notification and notes what became of it.
    async fn deliver(
        &self,
        config: &Config,
        body: Bytes,
        upto: Option<StreamPosition>,
        unread: u64,
    ) -> Result<(), Interrupted> {
        let context = self.context;
        let Some(url) = &config.url else {
            return Ok(());
        };
        let host = context.hosts.host(config.host());
        let sent = {
            let has_failed = self.slot.progress().failures > 0;
            let _leave = context
                .hosts
                .leave(&host, &self.account.slow, has_failed)
                .await;
            if self.slot.is_ended() {
                return Ok(());
            }
            let asked = Instant::now();
            let sent = gateway::notify(&context.outbound, url, body).await;
            host.answered(sent.is_ok(), asked.elapsed());
            sent
        };
        match sent {
            Ok(rejected) if rejected.contains(&config.pusher.id.pushkey) => {
                self.remove_rejected(config).await?;
            }
            Ok(_) => {
                metrics::counter!("greenroom_push_notifications_sent").increment(1);
                self.slot.delivered(upto, unread);
                if host.worked() {
                    tracing::info!(
                        gateway = config.host(),
                        "the push gateway takes notifications again"
                    );
                }
            }
            Err(failure) => {
                metrics::counter!("greenroom_push_notifications_failed").increment(1);
                let wait = self.wait(&failure);
                if host.failed(context.clock.now_ms()) {
                    tracing::warn!(
                        gateway = config.host(),
                        error = %failure,
                        user.id = %self.account.user_id,
                        retry_ms = millis(wait),
                        "a push gateway does not take notifications; they wait, and it is tried again"
                    );
                } else {
                    tracing::debug!(
                        gateway = config.host(),
                        error = %failure,
                        user.id = %self.account.user_id,
                        retry_ms = millis(wait),
                        "a push gateway did not take a notification"
                    );
                }
                self.slot
                    .failed(context.clock.now_ms().saturating_add(millis(wait)));
                self.note().await;
                return Err(Interrupted::Gateway);
            }
        }
        self.note().await;
        Ok(())
    }

    fn wait(&self, failure: &GatewayFailure) -> Duration {
        let failures = self.slot.progress().failures.saturating_add(1);
        backoff::wait(failures, failure.retry_after, &mut rand::rng())
    }

    /// "Homeservers must cease sending notification requests for these pushkeys and remove the
    /// associated pushers": unless it was set again while the gateway answered.
    async fn remove_rejected(&self, config: &Config) -> Result<(), Trouble> {
        let pusher = &config.pusher;
        if self
            .context
            .pushers
            .delete_pusher(&pusher.id, Some(pusher.set_ts_ms))
            .await?
        {
            self.slot.end();
            self.context.feed.pushers_changed(&pusher.id.user_id);
            tracing::info!(
                gateway = config.host(),
                user.id = %pusher.id.user_id,
                app_id = pusher.id.app_id,
                "a push gateway has rejected a pushkey: the pusher is removed"
            );
        }
        Ok(())
    }

    /// Notes how far it has been served. If that fails, it is noted later; a crash before that
    /// repeats a notification.
    async fn note(&self) {
        let Some(progress) = self.slot.to_note() else {
            return;
        };
        let note = vec![(self.slot.id().clone(), progress)];
        match self.context.pushers.note_progress(note).await {
            Ok(()) => self.slot.noted(progress),
            Err(error) => {
                tracing::warn!(%error, "could not note that a notification was sent");
            }
        }
    }
}
