//! What users report to the administrators of this server. See [reporting
//! content](https://spec.matrix.org/v1.19/client-server-api/#reporting-content).

use greenroom_model::StoredEvent;
use greenroom_storage::{NewReport, Report, Reported};
use ruma::{
    EventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState,
};

use crate::{RoomError, Rooms};

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 4096;

impl Rooms {
    /// Keeps a report of an event, which the reporter must see in a room that they are joined to.
    /// Whom they ignore they may report all the same.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchEvent`] for any event that is not so, [`RoomError::InvalidParam`] if the
    /// reason is too long.
    pub async fn report_event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
        reporter: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        check(reason.as_deref())?;
        // "Servers MUST verify that the reporting user is currently joined to the room."
        if self.membership(room_id, reporter).await? != Some(MembershipState::Join) {
            return Err(RoomError::NoSuchEvent);
        }
        let event = self
            .parts()
            .timeline
            .event(event_id)
            .await?
            .filter(|event| event.room_id == room_id)
            .ok_or(RoomError::NoSuchEvent)?;
        let history = self.visibility_history(room_id, reporter).await?;
        if !history.allows(&event) {
            return Err(RoomError::NoSuchEvent);
        }
        let subject = Reported::Event {
            room_id: event.room_id,
            event_id: event.event_id,
            sender: event.sender,
        };
        self.keep_report(subject, reporter, reason).await
    }

    /// Keeps a report of a room, in which the reporter need not be. One that is not there is
    /// passed over without a word: who asks learns nothing by it.
    ///
    /// # Errors
    ///
    /// [`RoomError::InvalidParam`] if the reason is too long.
    pub async fn report_room(
        &self,
        room_id: OwnedRoomId,
        reporter: &UserId,
        reason: String,
    ) -> Result<(), RoomError> {
        check(Some(&reason))?;
        self.keep_report(Reported::Room(room_id), reporter, Some(reason))
            .await
    }

    /// Keeps a report of a user, with whom the reporter need share no room. One who is not there is
    /// passed over without a word: who asks learns nothing by it.
    ///
    /// # Errors
    ///
    /// [`RoomError::InvalidParam`] if the reason is too long.
    pub async fn report_user(
        &self,
        user_id: OwnedUserId,
        reporter: &UserId,
        reason: String,
    ) -> Result<(), RoomError> {
        check(Some(&reason))?;
        self.keep_report(Reported::User(user_id), reporter, Some(reason))
            .await
    }

    async fn keep_report(
        &self,
        subject: Reported,
        reporter: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        let report = NewReport {
            reporter: reporter.to_owned(),
            reported: subject.clone(),
            reason: reason.filter(|reason| !reason.is_empty()),
            received_ts_ms: self.parts().clock.now_ms(),
        };
        let Some(report_id) = self.parts().reports.add_report(report).await? else {
            return Ok(());
        };
        match subject {
            Reported::Event {
                room_id, event_id, ..
            } => {
                tracing::warn!(report.id = report_id, user.id = %reporter, room.id = %room_id, event.id = %event_id, "an event was reported");
            }
            Reported::Room(room_id) => {
                tracing::warn!(report.id = report_id, user.id = %reporter, room.id = %room_id, "a room was reported");
            }
            Reported::User(user_id) => {
                tracing::warn!(report.id = report_id, user.id = %reporter, reported.user.id = %user_id, "a user was reported");
            }
        }
        Ok(())
    }

    /// The newest `limit` reports, newest first: all of them, or the open ones only. For operators.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`].
    pub async fn reports(&self, open_only: bool, limit: u64) -> Result<Vec<Report>, RoomError> {
        Ok(self.parts().reports.reports(open_only, limit).await?)
    }

    /// One report, and the event that it is about as it is now. For operators.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`].
    pub async fn report(
        &self,
        report_id: u64,
    ) -> Result<Option<(Report, Option<StoredEvent>)>, RoomError> {
        let Some(report) = self.parts().reports.report(report_id).await? else {
            return Ok(None);
        };
        let event = match &report.report.reported {
            Reported::Event { event_id, .. } => self.parts().timeline.event(event_id).await?,
            Reported::Room(_) | Reported::User(_) => None,
        };
        Ok(Some((report, event)))
    }

    /// Notes that an operator is done with a report. False if it is not there or closed already.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`].
    pub async fn close_report(&self, report_id: u64) -> Result<bool, RoomError> {
        let now = self.parts().clock.now_ms();
        Ok(self.parts().reports.close_report(report_id, now).await?)
    }
}

fn check(reason: Option<&str>) -> Result<(), RoomError> {
    if reason.is_some_and(|reason| reason.len() > MAX_REASON_BYTES) {
        return Err(RoomError::InvalidParam(
            "a reason is at most 4096 bytes long",
        ));
    }
    Ok(())
}
