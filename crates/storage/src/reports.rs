//! What users report to the administrators of this server.

use async_trait::async_trait;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};

use crate::StorageError;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// An event. Of what it says nothing is copied: it may be redacted.
    Event {
        /// Where it is.
        room_id: OwnedRoomId,
        /// Which one.
        event_id: OwnedEventId,
        /// Who sent it.
        sender: OwnedUserId,
    },
    /// A room.
    Room(OwnedRoomId),
    /// A local user.
    User(OwnedUserId),
}

/// A report that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReport {
    /// Who reports.
    pub reporter: OwnedUserId,
    /// What.
    pub reported: Reported,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub received_ts_ms: u64,
}

/// A report that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its number: they count up from 1.
    pub report_id: u64,
    /// What was reported.
    pub report: NewReport,
    /// When an administrator was done with it, in milliseconds since the Unix epoch.
    pub closed_ts_ms: Option<u64>,
}

/// Reports.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Keeps a report and gives its number; `None` if there is no such room or user, in which case
    /// nothing is kept. Either way it takes a commit, so that nobody can tell by the time.
    async fn add_report(&self, report: NewReport) -> Result<Option<u64>, StorageError>;

    /// The newest `limit` reports, newest first: all of them, or the open ones only.
    async fn reports(&self, open_only: bool, limit: u64) -> Result<Vec<Report>, StorageError>;

    /// One report.
    async fn report(&self, report_id: u64) -> Result<Option<Report>, StorageError>;

    /// Notes that an administrator is done with a report. False if it is not there or closed
    /// already.
    async fn close_report(&self, report_id: u64, closed_ts_ms: u64) -> Result<bool, StorageError>;
}
