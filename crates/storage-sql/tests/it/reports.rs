//! What users report to the administrators.

use greenroom_storage::{NewReport, ReportStore, Reported};
use ruma::{event_id, room_id};

use crate::support::{Room, TestDb, register, user};

fn new(reported: Reported) -> NewReport {
    NewReport {
        reporter: user("bob"),
        reported,
        reason: Some("bad\0 \u{10FFFF} 🙈".to_owned()),
        received_ts_ms: 7,
    }
}

#[tokio::test]
async fn reports_come_back_as_they_were_kept_until_they_are_closed() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let room = Room::created(&db, "room", &alice).await;
    let event = Reported::Event {
        room_id: room.id.clone(),
        event_id: event_id!("$x").to_owned(),
        sender: alice.clone(),
    };
    let reports = [
        new(event),
        new(Reported::Room(room.id.clone())),
        NewReport {
            reason: None,
            ..new(Reported::User(alice.clone()))
        },
    ];
    for (number, report) in reports.iter().enumerate() {
        let report_id = db.add_report(report.clone()).await.unwrap().unwrap();
        assert_eq!(report_id, number as u64 + 1);
        let kept = db.report(report_id).await.unwrap().unwrap();
        assert_eq!((&kept.report, kept.closed_ts_ms), (report, None));
    }
    assert!(db.close_report(2, 9).await.unwrap());
    assert!(!db.close_report(2, 10).await.unwrap());
    assert!(!db.close_report(99, 10).await.unwrap());
    let ids = |open_only, limit| {
        let db = db.clone();
        async move {
            let found = db.reports(open_only, limit).await.unwrap();
            found
                .iter()
                .map(|report| (report.report_id, report.closed_ts_ms))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(true, 9).await, [(3, None), (1, None)]);
    assert_eq!(ids(false, 2).await, [(3, None), (2, Some(9))]);
    assert_eq!(db.report(99).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_there_is_not_kept() {
    let db = TestDb::new();
    for reported in [
        Reported::Room(room_id!("!nowhere").to_owned()),
        Reported::User(user("nobody")),
    ] {
        assert_eq!(db.add_report(new(reported)).await.unwrap(), None);
    }
    assert!(db.reports(false, 9).await.unwrap().is_empty());
}
