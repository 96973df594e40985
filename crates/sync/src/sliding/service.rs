//! Sliding sync itself: read, and if there is nothing, wait and read again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use greenroom_stream::SyncPresence;
use ruma::{OwnedDeviceId, OwnedUserId};

use super::{
    answer::SlidingAnswer,
    connections::Base,
    reading::{Read, Sliding, as_sync_request},
    request::{Rules, SlidingBody},
};
use crate::{
    SyncError,
    hub::Cue,
    service::{Present, SyncService},
};

/// A sliding sync that a client asks for.
#[derive(Clone, Debug)]
pub struct SlidingRequest {
    /// Who.
    pub user_id: OwnedUserId,
    /// On which device.
    pub device_id: OwnedDeviceId,
    /// The position of the last answer; `None` to start afresh.
    pub pos: Option<String>,
    /// How the user wants to be seen.
    pub set_presence: SyncPresence,
    /// How long to wait for something to come. Who starts afresh does not wait.
    pub timeout: Duration,
    /// What is wanted.
    pub body: SlidingBody,
}

impl SyncService {
    /// Answers a sliding sync, at the latest when its timeout is over.
    ///
    /// The same request again has the same answer, and what has come since: an answer counts once
    /// the client comes back with its position.
    ///
    /// # Errors
    ///
    /// [`SyncError::UnknownPos`] for a position that is not of this user, device and connection,
    /// or no longer known; [`SyncError::BadRequest`].
    pub async fn sliding_sync(&self, request: SlidingRequest) -> Result<SlidingAnswer, SyncError> {
        let service = &*self.inner;
        let SlidingRequest {
            user_id,
            device_id,
            pos,
            set_presence,
            timeout,
            body,
        } = request;
        let rules = body.compile(&user_id)?;
        let base = service.connections.base(
            &service.parts.tokens,
            &user_id,
            &device_id,
            &rules.conn_id,
            pos.as_deref(),
        )?;
        let request = as_sync_request(&user_id, &device_id, set_presence);
        let mut user = service.index.user(&user_id).await?;
        let _present = Present::begin(service, &request);
        let until = Instant::now() + timeout.min(service.parts.settings.max_timeout);
        loop {
            let seen = user.cue();
            let upto = service.now_for(&user).await;
            // Only lists go by the order of all rooms.
            let in_order = !rules.lists.is_empty();
            let Some(rooms) =
                user.sliding
                    .rooms(&user, &service.index.moves, upto.position, in_order)
            else {
                continue;
            };
            let reading = Sliding {
                service,
                user: Arc::clone(&user),
                rules: &rules,
                base: &base,
                rooms,
                upto,
                ignored: service.parts.ignored.ignored_by(&user_id).await?,
                request: &request,
            };
            // Boxed, so that a request that only waits does not keep the room for reading.
            let Some(read) = reading.read().boxed().await? else {
                continue;
            };
            if user.is_forgotten() {
                user = service.index.user(&user_id).await?;
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            // Who waits does not hold the order of the rooms: it can be changed in place.
            drop(reading);
            let is_due = base.is_fresh() || left.is_zero() || !read.answer.is_empty();
            let is_over = is_due || {
                let parked = service
                    .hub
                    .park(Arc::clone(&user), device_id.clone(), seen, left);
                parked.await == Cue::Answer
            };
            if is_over {
                return self.sliding_answer(&request.user_id, &device_id, &rules, &base, read);
            }
        }
    }

    /// Gives an answer its position.
    fn sliding_answer(
        &self,
        user_id: &ruma::UserId,
        device_id: &ruma::DeviceId,
        rules: &Rules,
        base: &Base,
        read: Read,
    ) -> Result<SlidingAnswer, SyncError> {
        let Read { mut answer, delta } = read;
        let service = &*self.inner;
        answer.pos = service.connections.answered(
            &service.parts.tokens,
            user_id,
            device_id,
            &rules.conn_id,
            base,
            delta,
        )?;
        Ok(answer)
    }
}
