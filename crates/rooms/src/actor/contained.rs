//! A wish that panics harms nobody else's: neither what its room has accepted nor the other rooms
//! of its arbiter.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix::{Actor, ActorFuture, fut};

use super::{Accepted, Reply, RoomActor};
use crate::RoomError;

struct Contained(Reply);

impl RoomActor {
    /// Runs what `begin` begins to its end. If it panics on the way, it alone fails, and the next
    /// wish starts from the database.
    pub(super) fn contained(&mut self, begin: impl FnOnce(&mut Self) -> Reply) -> Reply {
        match catch_unwind(AssertUnwindSafe(|| begin(self))) {
            Ok(reply) => Box::pin(Contained(reply)),
            Err(_) => Box::pin(fut::err(self.panicked())),
        }
    }

    /// Nobody knows what the panic left of the head, or whether it came before or after an append
    /// was handed to the writer. (The panic hook has logged where it was.)
    fn panicked(&mut self) -> RoomError {
        metrics::counter!("greenroom_room_panics").increment(1);
        tracing::error!(room.id = %self.room_id, "a wish panicked, the room is loaded again");
        self.drop_head();
        RoomError::Panicked
    }
}

impl ActorFuture<RoomActor> for Contained {
    type Output = Result<Accepted, RoomError>;

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut RoomActor,
        ctx: &mut <RoomActor as Actor>::Context,
        task: &mut Context<'_>,
    ) -> Poll<Self::Output> {
        let reply = self.0.as_mut();
        match catch_unwind(AssertUnwindSafe(|| reply.poll(actor, ctx, task))) {
            Ok(outcome) => Poll::Ready(ready!(outcome)),
            // It is done with, and not polled again.
            Err(_) => Poll::Ready(Err(actor.panicked())),
        }
    }
}
