//! What users report to the administrators of this server.

use async_trait::async_trait;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    dsl::{count_star, max},
};
use greenroom_storage::{NewReport, Report, ReportStore, Reported, StorageError};

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{damaged, id, ms, ts},
    schema::{accounts, reports, rooms},
    text::{pack, unpack},
};

type Row = (
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

fn report(row: Row) -> Result<Report, StorageError> {
    let (report_id, received, reporter, room_id, event_id, user_id, reason, closed) = row;
    let room_id = room_id.map(|it| id(it, "room ID")).transpose()?;
    let user_id = user_id.map(|it| id(it, "user ID")).transpose()?;
    let event_id = event_id.map(unpack).map(|it| id(it, "event ID"));
    let subject = match (room_id, event_id.transpose()?, user_id) {
        (Some(room_id), Some(event_id), Some(sender)) => Reported::Event {
            room_id,
            event_id,
            sender,
        },
        (Some(room_id), None, None) => Reported::Room(room_id),
        (None, None, Some(user_id)) => Reported::User(user_id),
        _ => return Err(damaged("report")),
    };
    Ok(Report {
        report_id: ms(report_id),
        report: NewReport {
            reporter: id(reporter, "user ID")?,
            reported: subject,
            reason: reason.map(unpack),
            received_ts_ms: ms(received),
        },
        closed_ts_ms: closed.map(ms),
    })
}

/// Whether there is what is reported. Of an event whoever reports it has made sure.
fn is_there(conn: &mut AnyConnection, reported: &Reported) -> diesel::QueryResult<bool> {
    let count: i64 = match reported {
        Reported::Event { .. } => 1,
        Reported::Room(room_id) => rooms::table
            .find(room_id.as_str())
            .select(count_star())
            .first(conn)?,
        Reported::User(user_id) => accounts::table
            .find(user_id.as_str())
            .select(count_star())
            .first(conn)?,
    };
    Ok(count > 0)
}

fn insert(conn: &mut AnyConnection, report: &NewReport) -> diesel::QueryResult<Option<i64>> {
    if !is_there(conn, &report.reported)? {
        return Ok(None);
    }
    let newest: Option<i64> = reports::table.select(max(reports::report_id)).first(conn)?;
    let report_id = newest.unwrap_or(0) + 1;
    let (room_id, event_id, user_id) = match &report.reported {
        Reported::Event {
            room_id,
            event_id,
            sender,
        } => (Some(room_id), Some(event_id), Some(sender)),
        Reported::Room(room_id) => (Some(room_id), None, None),
        Reported::User(user_id) => (None, None, Some(user_id)),
    };
    diesel::insert_into(reports::table)
        .values((
            reports::report_id.eq(report_id),
            reports::received_ts.eq(ts(report.received_ts_ms)),
            reports::reporter.eq(report.reporter.as_str()),
            reports::room_id.eq(room_id.map(|it| it.as_str())),
            reports::event_id.eq(event_id.map(|it| pack(it.as_str()))),
            reports::user_id.eq(user_id.map(|it| it.as_str())),
            reports::reason.eq(report.reason.as_deref().map(pack)),
        ))
        .execute(conn)?;
    Ok(Some(report_id))
}

#[async_trait]
impl ReportStore for Db {
    async fn add_report(&self, report: NewReport) -> Result<Option<u64>, StorageError> {
        self.write(move |tx| {
            let report_id = insert(tx.conn, &report).map_err(StorageError::from_diesel)?;
            Ok(report_id.map(ms))
        })
        .await
    }

    async fn reports(&self, open_only: bool, limit: u64) -> Result<Vec<Report>, StorageError> {
        self.read(move |conn| {
            let mut wanted = reports::table.into_boxed();
            if open_only {
                wanted = wanted.filter(reports::closed_ts.is_null());
            }
            let rows: Vec<Row> = wanted
                .order(reports::report_id.desc())
                .limit(ts(limit))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(report).collect()
        })
        .await
    }

    async fn report(&self, report_id: u64) -> Result<Option<Report>, StorageError> {
        self.read(move |conn| {
            let row: Option<Row> = reports::table
                .find(ts(report_id))
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(report).transpose()
        })
        .await
    }

    async fn close_report(&self, report_id: u64, closed_ts_ms: u64) -> Result<bool, StorageError> {
        self.write(move |tx| {
            let closed = diesel::update(reports::table.find(ts(report_id)))
                .filter(reports::closed_ts.is_null())
                .set(reports::closed_ts.eq(ts(closed_ts_ms)))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(closed > 0)
        })
        .await
    }
}
