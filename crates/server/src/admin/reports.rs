//! What users reported, for an operator to read.

use std::fmt::Write as _;

use greenroom_model::StoredEvent;
use greenroom_rooms::Rooms;
use greenroom_storage::{Report, Reported};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::AdminError;

/// How many reports a list shows.
const SHOWN: u64 = 1_000;
/// How many characters of a reason are on a line of a list.
const REASON_CHARS: usize = 60;
/// How many characters of an event are shown.
const EVENT_CHARS: usize = 4_000;

/// The reports, the newest last, a line each.
pub(super) async fn list(rooms: &Rooms, all: bool) -> Result<String, AdminError> {
    let mut text = String::new();
    let reports = rooms
        .reports(!all, SHOWN)
        .await
        .map_err(AdminError::Reports)?;
    for report in reports.iter().rev() {
        let said = &report.report;
        let reason = shortened(said.reason.as_deref().unwrap_or_default(), REASON_CHARS);
        let state = if report.closed_ts_ms.is_some() {
            "closed  "
        } else {
            ""
        };
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "{}  {}  {state}{} reports {}: {reason}",
            report.report_id,
            time_of(said.received_ts_ms),
            said.reporter,
            subject(&said.reported),
        );
    }
    Ok(text)
}

/// One report in full, with what the event says now.
pub(super) async fn show(rooms: &Rooms, report_id: u64) -> Result<String, AdminError> {
    let (report, event) = rooms
        .report(report_id)
        .await
        .map_err(AdminError::Reports)?
        .ok_or(AdminError::NoSuchReport(report_id))?;
    Ok(in_full(&report, event.as_ref()))
}

/// Closes a report. To close it twice is no mistake.
pub(super) async fn close(rooms: &Rooms, report_id: u64) -> Result<String, AdminError> {
    let closed = rooms
        .close_report(report_id)
        .await
        .map_err(AdminError::Reports)?;
    if closed {
        return Ok(format!("report {report_id} is closed\n"));
    }
    let found = rooms.report(report_id).await.map_err(AdminError::Reports)?;
    match found {
        Some(_) => Ok(format!("report {report_id} was closed already\n")),
        None => Err(AdminError::NoSuchReport(report_id)),
    }
}

fn in_full(report: &Report, event: Option<&StoredEvent>) -> String {
    let said = &report.report;
    let mut lines = vec![
        ("report", report.report_id.to_string()),
        ("received", time_of(said.received_ts_ms)),
        ("reporter", said.reporter.to_string()),
    ];
    match &said.reported {
        Reported::Event {
            room_id,
            event_id,
            sender,
        } => {
            lines.push(("room", printable(room_id.as_str())));
            lines.push(("event", printable(event_id.as_str())));
            lines.push(("sender", printable(sender.as_str())));
        }
        Reported::Room(room_id) => lines.push(("room", printable(room_id.as_str()))),
        Reported::User(user_id) => lines.push(("user", printable(user_id.as_str()))),
    }
    let reason = said.reason.as_deref().unwrap_or("(none)");
    lines.push(("reason", printable(reason)));
    let closed = report
        .closed_ts_ms
        .map_or("no".to_owned(), |ms| format!("at {}", time_of(ms)));
    lines.push(("closed", closed));
    if let Some(event) = event {
        let what = match event.redacted_by {
            Some(_) => "redacted".to_owned(),
            None => shortened(content(event), EVENT_CHARS),
        };
        lines.push(("type", printable(&event.event_type)));
        lines.push(("content", what));
    }
    let mut text = String::new();
    for (name, value) in lines {
        let _written = writeln!(text, "{name:<9} {value}");
    }
    text
}

/// The content of an event as JSON.
fn content(event: &StoredEvent) -> &str {
    #[derive(Deserialize)]
    struct Pdu<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    serde_json::from_slice::<Pdu<'_>>(&event.json).map_or("(damaged)", |pdu| pdu.content.get())
}

fn subject(reported: &Reported) -> String {
    match reported {
        Reported::Event {
            room_id, sender, ..
        } => printable(&format!("an event of {sender} in {room_id}")),
        Reported::Room(room_id) => printable(&format!("the room {room_id}")),
        Reported::User(user_id) => printable(&format!("the user {user_id}")),
    }
}

/// In UTC, to the second.
fn time_of(ts_ms: u64) -> String {
    let seconds = i64::try_from(ts_ms / 1_000).unwrap_or(i64::MAX);
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(time) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        ),
        Err(_) => format!("{ts_ms} ms"),
    }
}

fn shortened(text: &str, chars: usize) -> String {
    let mut short: String = text.chars().take(chars).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    printable(&short)
}

/// On one line, with what could tell a terminal to do something written as an escape: users wrote
/// it.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_wrote_tells_a_terminal_nothing() {
        assert_eq!(
            printable("a\u{1b}[2J\n\u{9b}1m\u{202e}\"é\" \\"),
            "a\\u{1b}[2J\\n\\u{9b}1m\\u{202e}\"é\" \\"
        );
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time_of(0), "1970-01-01T00:00:00Z");
        assert_eq!(time_of(1_766_620_799_999), "2025-12-24T23:59:59Z");
        assert_eq!(time_of(u64::MAX), format!("{} ms", u64::MAX));
    }
}
