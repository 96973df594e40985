//! The room actor: builds, authorizes and appends events for one room, one at a time.

mod contained;
mod head;
mod recent;
mod registry;
#[cfg(test)]
mod tests;
mod upgrade;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture, fut,
};
use greenroom_events::{EventSigner, Pdu, RoomVersion};
use greenroom_model::{Clock, StateKey, TransactionKey};
use greenroom_storage::{RoomStore, StorageError, UpgradeStore};
use ruma::{OwnedEventId, OwnedRoomId};

use self::recent::{InFlight, Recent};
pub(crate) use self::{
    head::{RoomHead, Step, membership_of},
    registry::{Places, Registry, next_generation},
};
use crate::{RoomError, wish::Wish};

/// How long an actor outlives the news that there is no such room.
const NO_ROOM_AFTER: Duration = Duration::from_secs(1);
/// How many wishes wait in one room's mailbox.
const MAILBOX: usize = 1024;
/// How often a wish may send the actor back to the database for more state. Each round loads what
/// the one before lacked, so two are the rule.
const LOAD_ROUNDS: u8 = 6;

/// What every room actor works with.
pub(crate) struct Tools {
    pub(crate) store: Arc<dyn RoomStore>,
    pub(crate) upgrades: Arc<dyn UpgradeStore>,
    pub(crate) signer: Arc<EventSigner>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) idle: Idle,
}

/// When an actor that nobody needs ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// How often it looks whether anybody still needs it.
    pub(crate) check: Duration,
    /// How long it outlives the last wish.
    pub(crate) after: Duration,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            check: Duration::from_mins(1),
            after: Duration::from_mins(5),
        }
    }
}

/// Append what somebody wishes, if the room allows it. Resolves when the append is in the writer's
/// queue: who wished waits for the commit without the actor, which has no part in it.
#[derive(Message)]
#[rtype(result = "Result<Accepted, RoomError>")]
pub(crate) struct Propose(pub(crate) Arc<Wish>);

/// A wish that the room allows.
pub(crate) enum Accepted {
    /// There is nothing to append: the event is in the database.
    Done(OwnedEventId),
    /// Its append is on the way.
    InFlight(InFlight),
}

/// An append has failed. Who waited for it says so; if nobody did, the next to be refused for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Failed {
    pub(crate) generation: u64,
    pub(crate) transaction: Option<TransactionKey>,
}

/// Builds, authorizes and appends events for one room, one at a time.
///
/// Invariant: `head` is the state after every append handed to the writer, committed or in
/// flight. If one of them fails, or a wish panics, `head` is dropped and loaded again; the writer
/// refuses what was built on a failed one, so nothing is committed with a hole before it.
pub(crate) struct RoomActor {
    room_id: OwnedRoomId,
    tools: Arc<Tools>,
    /// Where the registry finds this actor; it leaves when it ends.
    places: Places,
    head: Option<RoomHead>,
    /// How many heads were dropped. What was read for an earlier one is not taken in.
    dropped: u64,
    recent: Recent,
    /// The newest append that the writer was handed: when it is committed, so are all before it.
    newest: Option<InFlight>,
    last_wish: Instant,
    /// Waits for what is in flight, to end after it.
    ending: bool,
}

/// What a load brings: a head if there was none, and places of the state.
struct Loaded {
    head: Option<RoomHead>,
    asked: Vec<StateKey>,
    found: Vec<Pdu>,
}

type Reply = fut::LocalBoxActorFuture<RoomActor, Result<Accepted, RoomError>>;

impl RoomActor {
    pub(crate) fn new(room_id: OwnedRoomId, tools: Arc<Tools>, places: Places) -> Self {
        Self {
            room_id,
            tools,
            places,
            head: None,
            dropped: 0,
            recent: Recent::default(),
            newest: None,
            last_wish: Instant::now(),
            ending: false,
        }
    }

    fn propose(&mut self, wish: Arc<Wish>, rounds: u8) -> Reply {
        if let Some(same) = wish
            .transaction
            .as_ref()
            .and_then(|used| self.recent.get(used.key))
        {
            return Box::pin(fut::ok(Accepted::InFlight(same)));
        }
        let step = match &mut self.head {
            None => Ok(Step::Load(Vec::new())),
            Some(head) => head.accept(&wish, &self.tools.signer, self.tools.clock.now()),
        };
        match step {
            Err(refused) => Box::pin(fut::err(refused)),
            Ok(Step::Nothing(event_id)) => Box::pin(fut::ok(self.already(event_id))),
            Ok(Step::Append(append)) => {
                let in_flight = self.append(*append, &wish);
                Box::pin(fut::ok(Accepted::InFlight(in_flight)))
            }
            Ok(Step::Upgrade(upgrade)) => {
                let in_flight = self.tools.upgrade(*upgrade);
                self.newest = Some(in_flight.clone());
                Box::pin(fut::ok(Accepted::InFlight(in_flight)))
            }
            Ok(Step::Load(keys)) => self.load_then_propose(keys, wish, rounds),
        }
    }

    /// Hands an append to the writer, before anything is awaited: appends reach it in the order
    /// in which the head moved.
    fn append(&mut self, append: greenroom_storage::Append, wish: &Wish) -> InFlight {
        let (generation, event_id) = (append.generation, append.event_id.clone());
        let in_flight = InFlight::new(generation, event_id, self.tools.store.append(append));
        if let Some(used) = &wish.transaction {
            self.recent.insert(used.key, in_flight.clone());
        }
        self.newest = Some(in_flight.clone());
        in_flight
    }

    /// Says that an event has done what is wished for, once the event is committed: it may be on
    /// its way itself.
    fn already(&self, event_id: OwnedEventId) -> Accepted {
        let generation = self.head.as_ref().map(RoomHead::generation);
        match &self.newest {
            Some(newest) if Some(newest.generation) == generation => {
                Accepted::InFlight(newest.before(event_id))
            }
            _ => Accepted::Done(event_id),
        }
    }

    /// Forgets a head that an append of its generation has proven wrong.
    fn head_failed(&mut self, generation: u64) {
        if self
            .head
            .as_ref()
            .is_some_and(|head| head.generation() == generation)
        {
            tracing::debug!(room.id = %self.room_id, "an append failed, the head is loaded again");
            self.drop_head();
        }
    }

    fn drop_head(&mut self) {
        self.head = None;
        self.dropped += 1;
    }

    fn load_then_propose(&mut self, keys: Vec<StateKey>, wish: Arc<Wish>, rounds: u8) -> Reply {
        let Some(rounds) = rounds.checked_sub(1) else {
            let error = StorageError::Damaged("the room's state does not load".to_owned());
            return Box::pin(fut::err(error.into()));
        };
        let generation = self.head.as_ref().map(RoomHead::generation);
        let version = self.head.as_ref().map(|head| head.version().clone());
        let dropped = self.dropped;
        let (tools, room_id) = (Arc::clone(&self.tools), self.room_id.clone());
        let load = async move {
            if version.is_none() && dropped > 0 {
                // Appends of the head before may be on their way still, or in doubt. They are
                // committed or refused before anything is built on what the database says.
                tools.store.settle().await?;
            }
            load(tools, room_id, version, keys).await
        };
        Box::pin(load.into_actor(self).then(move |loaded, actor, ctx| {
            let installed = match loaded {
                Ok(_) if actor.dropped != dropped => Ok(()),
                loaded => loaded.and_then(|loaded| actor.install(loaded, generation)),
            };
            match installed {
                Ok(()) => actor.propose(wish, rounds),
                Err(error) => {
                    if matches!(error, RoomError::NoSuchRoom) {
                        // Anybody can name rooms that are not there: none of them stays in memory.
                        // Those who asked at the same time are answered first.
                        ctx.run_later(NO_ROOM_AFTER, |actor, ctx| {
                            if actor.head.is_none() {
                                ctx.stop();
                            }
                        });
                    }
                    Box::pin(fut::err(error)) as Reply
                }
            }
        }))
    }

    /// Ends once nothing is in flight: a successor reads the head from the database.
    fn settle_then_stop(&mut self, after: Duration) -> fut::LocalBoxActorFuture<Self, ()> {
        self.ending = true;
        let tools = Arc::clone(&self.tools);
        let settled = async move { tools.store.settle().await };
        Box::pin(settled.into_actor(self).map(move |settled, actor, ctx| {
            actor.ending = false;
            if settled.is_ok() && actor.last_wish.elapsed() >= after {
                ctx.stop();
            }
        }))
    }

    /// Takes in what was loaded, unless another load was quicker.
    fn install(&mut self, loaded: Loaded, generation: Option<u64>) -> Result<(), RoomError> {
        if let (None, Some(head)) = (&self.head, loaded.head) {
            self.head = Some(head);
        }
        match &mut self.head {
            Some(head) if generation.is_none() || generation == Some(head.generation()) => {
                head.install(&loaded.asked, loaded.found)
            }
            _ => Ok(()),
        }
    }
}

/// Reads what is missing: the head itself if `version` is not known yet, or places of the state.
async fn load(
    tools: Arc<Tools>,
    room_id: OwnedRoomId,
    version: Option<RoomVersion>,
    keys: Vec<StateKey>,
) -> Result<Loaded, RoomError> {
    let Some(version) = version else {
        let row = tools
            .store
            .room_head(&room_id)
            .await?
            .ok_or(RoomError::NoSuchRoom)?;
        let version = RoomVersion::new(&row.version)
            .ok_or_else(|| StorageError::Damaged(format!("room version {}", row.version)))?;
        let newest = Pdu::from_stored(&row.newest, &version)?;
        let head = RoomHead::stored(&newest, version, next_generation())?;
        return Ok(Loaded {
            head: Some(head),
            asked: Vec::new(),
            found: Vec::new(),
        });
    };
    let stored = tools.store.current_state(&room_id, keys.clone()).await?;
    let found = stored
        .iter()
        .map(|event| Pdu::from_stored(event, &version))
        .collect::<Result<_, _>>()?;
    Ok(Loaded {
        head: None,
        asked: keys,
        found,
    })
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        metrics::gauge!("greenroom_room_actors").increment(1.0);
        let Idle { check, after } = self.tools.idle;
        ctx.run_interval(check, move |actor, ctx| {
            if actor.ending || actor.last_wish.elapsed() < after {
                return;
            }
            if actor.head.is_none() && actor.dropped == 0 {
                ctx.stop();
            } else {
                ctx.spawn(actor.settle_then_stop(after));
            }
        });
    }

    fn stopped(&mut self, ctx: &mut Self::Context) {
        let own = ctx.address();
        self.places
            .remove_if(&self.room_id, |_, place| place.is(&own));
    }
}

impl Drop for RoomActor {
    fn drop(&mut self) {
        metrics::gauge!("greenroom_room_actors").decrement(1.0);
    }
}

impl Handler<Propose> for RoomActor {
    type Result = actix::ResponseActFuture<Self, Result<Accepted, RoomError>>;

    fn handle(&mut self, Propose(wish): Propose, _: &mut Self::Context) -> Self::Result {
        self.last_wish = Instant::now();
        self.contained(|actor| actor.propose(wish, LOAD_ROUNDS))
    }
}

impl Handler<Failed> for RoomActor {
    type Result = ();

    fn handle(&mut self, failed: Failed, _: &mut Self::Context) {
        if let Some(key) = failed.transaction {
            self.recent.remove_failed(key, failed.generation);
        }
        self.head_failed(failed.generation);
    }
}
