//! One `matrix-sdk` client with its own live sync loop, and what it has seen.

use std::fmt::{self, Debug, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use matrix_sdk::config::{RequestConfig, SyncSettings};
use matrix_sdk::ruma::events::receipt::{ReceiptType, SyncReceiptEvent};
use matrix_sdk::ruma::events::room::message::OriginalSyncRoomMessageEvent;
use matrix_sdk::ruma::events::typing::SyncTypingEvent;
use matrix_sdk::ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};
use matrix_sdk::{Client, Room, ThreadingSupport};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long anything may take before the walk gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long the server may park one sync.
const LONG_POLL: Duration = Duration::from_secs(10);

/// What the server did otherwise than the specification says.
#[derive(Debug)]
pub struct Difference(pub String);

impl Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

pub type Result<T = ()> = std::result::Result<T, Difference>;

/// Fails with `what` unless `holds`.
pub fn check(holds: bool, what: impl Display) -> Result {
    if holds {
        Ok(())
    } else {
        Err(Difference(what.to_string()))
    }
}

/// Fails unless both are equal.
pub fn same<A: Debug + PartialEq<B>, B: Debug>(
    found: A,
    expected: B,
    what: impl Display,
) -> Result {
    check(
        found == expected,
        format_args!("{what}: expected {expected:?}, found {found:?}"),
    )
}

/// Fails with the first place where two lists differ.
pub fn same_list<T: Debug + PartialEq>(found: &[T], expected: &[T], what: &str) -> Result {
    let length = expected.len();
    for (place, pair) in found.iter().zip(expected).enumerate() {
        same(
            pair.0,
            pair.1,
            format_args!("{what}: at {place} of {length}"),
        )?;
    }
    same(found.len(), length, format_args!("{what}: length"))
}

/// Names the step that failed.
pub trait Step<T> {
    fn step(self, what: &str) -> Result<T>;
}

impl<T, E: Debug> Step<T> for std::result::Result<T, E> {
    fn step(self, what: &str) -> Result<T> {
        self.map_err(|error| Difference(format!("{what}: {error:?}")))
    }
}

impl<T> Step<T> for Option<T> {
    fn step(self, what: &str) -> Result<T> {
        self.ok_or_else(|| Difference(format!("{what}: not there")))
    }
}

/// Checks that a step was refused with this Matrix code.
pub fn refused<T: Debug, E: Into<matrix_sdk::Error>>(
    outcome: std::result::Result<T, E>,
    code: &str,
    what: &str,
) -> Result {
    match outcome.map_err(Into::into) {
        Ok(answer) => Err(Difference(format!(
            "{what}: expected {code}, found {answer:?}"
        ))),
        Err(error) => {
            let kind = error.client_api_error_kind();
            let kind = kind.step(&format!("{what}: a Matrix error in {error:?}"))?;
            same(kind.errcode().as_str(), code, what)
        }
    }
}

/// A message as the other side must see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub event_id: OwnedEventId,
    pub sender: OwnedUserId,
    pub body: String,
}

/// What a session has seen by sync.
#[derive(Default)]
pub struct Seen {
    pub messages: Vec<Message>,
    pub typing: Vec<OwnedUserId>,
    pub read: Vec<(OwnedEventId, OwnedUserId)>,
}

#[derive(Clone)]
enum Progress {
    Synced,
    Failed(String),
}

/// A client, its live sync loop once started, and what that has seen.
pub struct Session {
    pub client: Client,
    seen: Arc<Mutex<Seen>>,
    syncing: Option<(JoinHandle<()>, watch::Receiver<Progress>)>,
}

impl Session {
    /// A client of the server at `url`, not logged in yet.
    pub async fn new(url: &str) -> Result<Self> {
        let client = Client::builder()
            .homeserver_url(url)
            .with_threading_support(ThreadingSupport::Enabled {
                with_subscriptions: false,
            })
            .request_config(RequestConfig::new().disable_retry().timeout(PATIENCE))
            .build()
            .await
            .step("client")?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        remember_messages(&client, &seen);
        remember_signs_of_life(&client, &seen);
        Ok(Self {
            client,
            seen,
            syncing: None,
        })
    }

    pub fn user_id(&self) -> Result<&UserId> {
        self.client.user_id().step("user id of the session")
    }

    pub fn room(&self, room_id: &RoomId) -> Result<Room> {
        self.client.get_room(room_id).step("the room in the client")
    }

    pub fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks that the token is of this user and device.
    pub async fn who(&self) -> Result {
        let who = self.client.whoami().await.step("whoami")?;
        same(&*who.user_id, self.user_id()?, "whoami: user")?;
        same(
            who.device_id.as_deref(),
            self.client.device_id(),
            "whoami: device",
        )
    }

    /// Starts the live sync loop and waits for its first answer.
    pub async fn start(&mut self) -> Result {
        let (progress, mut synced) = watch::channel(Progress::Synced);
        synced.mark_unchanged();
        let client = self.client.clone();
        let task = tokio::spawn(async move {
            let settings = SyncSettings::new().timeout(LONG_POLL);
            loop {
                if let Err(error) = client.sync_once(settings.clone()).await {
                    let _ = progress.send(Progress::Failed(format!("{error:?}")));
                    return;
                }
                let _ = progress.send(Progress::Synced);
            }
        });
        let first = tokio::time::timeout(PATIENCE, synced.changed()).await;
        first
            .step("the first sync in time")?
            .step("the first sync")?;
        self.syncing = Some((task, synced));
        Ok(())
    }

    pub fn stop(&mut self) {
        if let Some((task, _)) = self.syncing.take() {
            task.abort();
        }
    }

    /// Waits until a sync response has made `predicate` true.
    pub async fn sees(&self, what: &str, predicate: impl AsyncFn() -> bool) -> Result {
        let (_, synced) = self.syncing.as_ref().step("the sync loop")?;
        let mut synced = synced.clone();
        let waiting = async {
            loop {
                let progress = synced.borrow_and_update().clone();
                if let Progress::Failed(error) = progress {
                    return Err(Difference(format!("{what}: sync failed: {error}")));
                }
                if predicate().await {
                    return Ok(());
                }
                synced.changed().await.step(what)?;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Difference(format!(
                "{what}: not seen by sync within {PATIENCE:?}"
            ))),
        }
    }
}

fn remember_messages(client: &Client, seen: &Arc<Mutex<Seen>>) {
    let seen = Arc::clone(seen);
    client.add_event_handler(move |event: OriginalSyncRoomMessageEvent| {
        let body = event.content.body().to_owned();
        let message = Message {
            event_id: event.event_id,
            sender: event.sender,
            body,
        };
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .messages
            .push(message);
        std::future::ready(())
    });
}

fn remember_signs_of_life(client: &Client, seen: &Arc<Mutex<Seen>>) {
    let typists = Arc::clone(seen);
    client.add_event_handler(move |event: SyncTypingEvent| {
        typists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .typing = event.content.user_ids;
        std::future::ready(())
    });
    let readers = Arc::clone(seen);
    client.add_event_handler(move |event: SyncReceiptEvent| {
        let mut seen = readers.lock().unwrap_or_else(PoisonError::into_inner);
        for (event_id, mut receipts) in event.content.0 {
            for user_id in receipts
                .remove(&ReceiptType::Read)
                .unwrap_or_default()
                .into_keys()
            {
                seen.read.push((event_id.clone(), user_id));
            }
        }
        std::future::ready(())
    });
}
