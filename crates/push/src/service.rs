//! The way in: a user's rules, and what they make of events.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dashmap::DashMap;
use greenroom_model::{Clock, StoredEvent, StreamPosition, TokenSigner};
use greenroom_storage::{
    AccountDataStore, MemberStore, ReadUpto, RelationStore, StateStore, TimelineStore, UnreadStore,
};
use greenroom_stream::{
    Change, ChangeKind, ChangeObserver, ChangeStream, IgnoreSource, Unanswered, Unread,
    UnreadQuery, UnreadSource,
};
use quick_cache::sync::Cache;
use ruma::{OwnedUserId, RoomId, UserId};
use tokio::sync::RwLockReadGuard;

use crate::{
    PushError, PushRules, RuleChange,
    event::Candidate,
    judge::Verdict,
    rooms::Rooms,
    user::{Rules, User},
};

/// How long a user whom nobody asks about stays in memory.
const IDLE_AFTER: Duration = Duration::from_mins(30);
/// What all rules of a user may take, in bytes of JSON: each event is held against them.
const MAX_RULES_BYTES: usize = 256 * 1024;
/// How many events are kept as rules look at them: those that many are judging just now.
const CANDIDATES: usize = 256;
/// How many redactions are kept with what they emptied.
const REDACTIONS: usize = 1024;

/// What the service is built from.
pub struct Parts {
    /// What was found unread.
    pub unread: Arc<dyn UnreadStore>,
    /// Where the rules are.
    pub account_data: Arc<dyn AccountDataStore>,
    /// Events in order.
    pub timeline: Arc<dyn TimelineStore>,
    /// What relates to them.
    pub relations: Arc<dyn RelationStore>,
    /// Power levels, names.
    pub state: Arc<dyn StateStore>,
    /// Who is where, and how many.
    pub members: Arc<dyn MemberStore>,
    /// Who is ignored.
    pub ignored: Arc<dyn IgnoreSource>,
    /// What has changed.
    pub stream: ChangeStream,
    /// Makes and checks tokens.
    pub tokens: TokenSigner,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Push rules and unread counts. Clones are handles to the same.
#[derive(Clone)]
pub struct PushService {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) rooms: Rooms,
    users: DashMap<OwnedUserId, Arc<User>>,
    pub(crate) candidates: Cache<StreamPosition, Arc<Candidate>>,
    /// What redactions have emptied, by their positions.
    pub(crate) redactions: Cache<StreamPosition, Option<StreamPosition>>,
    pub(crate) judgments: metrics::Counter,
}

impl PushService {
    /// A service over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let rooms = Rooms::new(Arc::clone(&parts.state), Arc::clone(&parts.members));
        Self {
            inner: Arc::new(Inner {
                parts,
                rooms,
                users: DashMap::new(),
                candidates: Cache::new(CANDIDATES),
                redactions: Cache::new(REDACTIONS),
                judgments: metrics::counter!("greenroom_push_judgments"),
            }),
        }
    }

    /// What has to hear of every committed change.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn ChangeObserver> {
        Arc::clone(&self.inner) as _
    }

    /// Who knows what is unread.
    #[must_use]
    pub fn unread_source(&self) -> Arc<dyn UnreadSource> {
        Arc::clone(&self.inner) as _
    }

    /// A user's rules.
    ///
    /// # Errors
    ///
    /// [`PushError::Storage`].
    pub async fn rules(&self, user_id: &UserId) -> Result<PushRules, PushError> {
        let user = self.inner.user(user_id);
        let rules = self.inner.rules_of(&user).await?;
        Ok(rules.rules.clone())
    }

    /// Changes a user's rules. What has come before is judged by the rules as they were.
    ///
    /// # Errors
    ///
    /// As [`PushRules::changed`]; [`PushError::TooLarge`], [`PushError::Storage`].
    pub async fn change_rules(
        &self,
        user_id: &UserId,
        change: RuleChange,
    ) -> Result<(), PushError> {
        let changed = |rules: &PushRules| rules.changed(change).map(Some);
        self.change(user_id, changed).await
    }

    /// Changes a user's rules, whether the caller waits for it or goes: what has begun to be
    /// written has to be in memory as well.
    async fn change(
        &self,
        user_id: &UserId,
        change: impl FnOnce(&PushRules) -> Result<Option<PushRules>, PushError> + Send + 'static,
    ) -> Result<(), PushError> {
        let (inner, user_id) = (Arc::clone(&self.inner), user_id.to_owned());
        to_its_end(async move { inner.change_rules(&user_id, change).await }).await
    }

    /// Copies a user's rules for a room to the one that has taken its place, unless they have some
    /// for it.
    ///
    /// # Errors
    ///
    /// [`PushError::TooLarge`], [`PushError::Storage`].
    pub async fn carry_over_room_rules(
        &self,
        user_id: &UserId,
        from: &RoomId,
        to: &RoomId,
    ) -> Result<(), PushError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let changed = move |rules: &PushRules| Ok(rules.carried_over(&from, &to));
        self.change(user_id, changed).await
    }

    /// What a user's rules say of an event; `None` if none matches. Whether the user may see the
    /// event, and whether they ignore its sender, is not asked.
    ///
    /// # Errors
    ///
    /// [`PushError::Storage`].
    pub async fn verdict(
        &self,
        user_id: &UserId,
        event: &Arc<StoredEvent>,
    ) -> Result<Option<Arc<Verdict>>, PushError> {
        let inner = &self.inner;
        let user = inner.user(user_id);
        let rules = inner.rules_of(&user).await?;
        let judge = rules.at(event.position);
        let court = inner.court(user_id, judge, &event.room_id).await?;
        inner.judge(judge, &court, event).await
    }

    /// Keeps what was judged for those who are no longer asked about, and forgets them. Call it
    /// every few minutes.
    pub async fn sweep(&self) {
        self.inner.rooms.sweep();
        self.inner.drop_idle(IDLE_AFTER).await;
        metrics::gauge!("greenroom_push_users").set(self.inner.users.len() as f64);
    }

    /// Keeps all that was judged, as far as there is time: what is not kept is judged again.
    pub async fn stop(&self) {
        self.inner.keep_all().await;
    }
}

impl Inner {
    pub(crate) fn user(&self, user_id: &UserId) -> Arc<User> {
        // Under the map's lock, so that the user is not swept away in between.
        if let Some(user) = self.users.get(user_id) {
            user.touch();
            return Arc::clone(&user);
        }
        let user = self
            .users
            .entry(user_id.to_owned())
            .or_insert_with(|| Arc::new(User::new(user_id)));
        user.touch();
        Arc::clone(&user)
    }

    pub(crate) fn users(&self) -> Vec<Arc<User>> {
        self.users.iter().map(|user| Arc::clone(&user)).collect()
    }

    /// Forgets a user unless somebody has asked again.
    pub(crate) fn remove_idle(&self, user: &User, after: Duration) {
        self.users
            .remove_if(&user.user_id, |_, user| user.idle_for() >= after);
    }

    /// The user's rules, for as long as they must not change.
    pub(crate) async fn rules_of<'a>(
        &self,
        user: &'a User,
    ) -> Result<RwLockReadGuard<'a, Rules>, PushError> {
        loop {
            let rules = user.rules.read().await;
            if let Ok(rules) = RwLockReadGuard::try_map(rules, Option::as_ref) {
                return Ok(rules);
            }
            let mut rules = user.rules.write().await;
            if rules.is_none() {
                *rules = Some(self.read_rules(&user.user_id).await?);
            }
        }
    }

    pub(crate) async fn read_rules(&self, user_id: &UserId) -> Result<Rules, PushError> {
        let store = &self.parts.account_data;
        let stored = store.account_data(user_id, None, "m.push_rules").await?;
        let rules = stored.and_then(|content| {
            let rules = PushRules::stored(user_id, &content);
            if rules.is_none() {
                tracing::error!(%user_id, "stored push rules do not read; the predefined ones hold");
            }
            rules
        });
        let rules = rules.unwrap_or_else(|| PushRules::of(user_id));
        Ok(Rules::new(user_id, rules))
    }

    async fn change_rules(
        &self,
        user_id: &UserId,
        change: impl FnOnce(&PushRules) -> Result<Option<PushRules>, PushError>,
    ) -> Result<(), PushError> {
        let user = self.user(user_id);
        // Nothing is judged meanwhile, and no other change comes in between.
        let mut held = user.rules.write().await;
        let before = match held.take() {
            Some(rules) => rules,
            None => self.read_rules(user_id).await?,
        };
        let before = held.insert(before);
        let Some(rules) = change(&before.rules)? else {
            return Ok(());
        };
        let content = rules.content();
        if content.get().len() > MAX_RULES_BYTES {
            return Err(PushError::TooLarge {
                max_bytes: MAX_RULES_BYTES,
            });
        }
        let upto = self.parts.stream.position();
        let unread = self.settle(&user, before, upto).await?;
        let store = &self.parts.unread;
        // Events may be committed before the change and have not been judged yet: those are still
        // the old rules' to judge.
        let changed_at = store.set_push_rules(user_id, content, unread).await?;
        let old = Arc::clone(&before.judge);
        let mut rules = Rules::new(user_id, rules);
        rules.before = Some((changed_at, old));
        *held = Some(rules);
        Ok(())
    }
}

/// Does something to its end, also if the caller is dropped before.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, PushError>> + Send + 'static,
) -> Result<T, PushError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(Unanswered(error.to_string()).into()))
}

#[async_trait]
impl UnreadSource for Inner {
    async fn unread(&self, asked: UnreadQuery<'_>) -> Result<Unread, Unanswered> {
        Ok(self.unread_in(asked).await?)
    }
}

impl ChangeObserver for Inner {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            match &change.kind {
                ChangeKind::Event { event, .. } if event.state_key.is_some() => {
                    self.rooms.changed(event);
                }
                ChangeKind::Receipt {
                    room_id,
                    user_id,
                    thread_id,
                    event_position,
                    ..
                } => {
                    let user = self.users.get(user_id).map(|user| Arc::clone(&user));
                    if let Some(room) = user.and_then(|user| user.known_room(room_id)) {
                        room.receipt(ReadUpto {
                            thread_id: thread_id.clone(),
                            event_position: *event_position,
                            position: change.position,
                        });
                    }
                }
                // A message is judged when somebody asks, and what a redaction has emptied is
                // found by the redaction. Rules change by this service alone.
                ChangeKind::Event { .. }
                | ChangeKind::Redacted { .. }
                | ChangeKind::AccountData { .. }
                | ChangeKind::Forgotten { .. }
                | ChangeKind::SessionsEnded { .. }
                | ChangeKind::Profile { .. } => {}
            }
        }
    }

    fn forget(&self) {
        self.rooms.forget();
        self.users.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_change_that_has_begun_ends_though_the_caller_is_gone() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let mut caller = Box::pin(to_its_end(async move {
            let going = wait.await;
            done.send(going.is_ok()).ok();
            Ok(())
        }));
        assert!(futures_util::poll!(caller.as_mut()).is_pending());
        drop(caller);
        go.send(()).unwrap();
        assert_eq!(is_done.await, Ok(true));
    }
}
