//! The comparison finds what it is there to find.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::act::{Act, Kind};
use crate::findings::Findings;
use crate::journal::{Ack, Journal, Record, Shelf};
use crate::reading::compare_timeline;

const ROOM: &str = "!room";
const SENDER: &str = "@writer:localhost";

fn message(number: u64) -> Act {
    Act {
        writer: 0,
        number,
        kind: Kind::Message,
        room: ROOM.to_owned(),
        slot: String::new(),
    }
}

fn acknowledged(number: u64) -> Record {
    Record {
        act: message(number),
        ack: Some(Ack {
            id: Some(format!("${number}")),
            tries: 1,
            generation: 0,
        }),
    }
}

fn event(number: u64) -> Value {
    let mark = message(number).mark();
    json!({
        "type": "m.room.message",
        "event_id": format!("${number}"),
        "sender": SENDER,
        "content": {"body": format!("message {mark}"), "mark": mark},
    })
}

/// What is found when acts 1, 2 and 3 were acknowledged: lost, duplicated, reordered, altered,
/// stray.
fn found(timeline: &[Value]) -> [usize; 5] {
    let records = [1, 2, 3].map(acknowledged);
    let mut findings = Findings::default();
    compare_timeline(&mut findings, ROOM, timeline, SENDER, &records);
    [
        findings.lost.len(),
        findings.duplicated.len(),
        findings.reordered.len(),
        findings.altered.len(),
        findings.stray.len(),
    ]
}

#[test]
fn what_is_there_once_and_in_order_is_well() {
    assert_eq!(found(&[1, 2, 3].map(event)), [0; 5]);
}

#[test]
fn each_kind_of_loss_is_found() {
    assert_eq!(found(&[1, 3].map(event)), [1, 0, 0, 0, 0]);
    assert_eq!(found(&[1, 2, 2, 3].map(event)), [0, 1, 0, 0, 0]);
    assert_eq!(found(&[2, 1, 3].map(event)), [0, 0, 1, 0, 0]);
    assert_eq!(found(&[1, 2, 3, 4].map(event)), [0, 0, 0, 0, 1]);
    let mut altered = [1, 2, 3].map(event);
    altered[1]["content"]["body"] = json!("something else");
    assert_eq!(found(&altered), [0, 0, 0, 1, 0]);
    let mut renamed = [1, 2, 3].map(event);
    renamed[1]["event_id"] = json!("$another");
    assert_eq!(found(&renamed), [0, 0, 0, 1, 0]);
}

#[test]
fn what_nobody_acknowledged_may_be_there_or_not_but_once() {
    let mut records = [1, 2, 3].map(acknowledged);
    records[2].ack = None;
    for (timeline, duplicated) in [(vec![1, 2], 0), (vec![1, 2, 3], 0), (vec![1, 2, 3, 3], 1)] {
        let timeline: Vec<Value> = timeline.into_iter().map(event).collect();
        let mut findings = Findings::default();
        compare_timeline(&mut findings, ROOM, &timeline, SENDER, &records);
        assert_eq!(findings.lost, Vec::<String>::new());
        assert_eq!(findings.duplicated.len(), duplicated);
    }
}

#[tokio::test]
async fn the_journal_gives_back_what_was_written() {
    let shelf = Shelf::new();
    let journal = Journal::create(shelf.path());
    let first = acknowledged(1);
    journal.intend(&first.act).await;
    let ack = first.ack.as_ref().expect("made so");
    journal.acknowledge(&first.act, ack).await;
    journal.intend(&message(2)).await;
    let read: BTreeMap<usize, Vec<Record>> = journal.read();
    let acks = read[&0]
        .iter()
        .map(|record| Some(record.ack.as_ref()?.id.clone()));
    assert_eq!(
        acks.collect::<Vec<_>>(),
        [Some(Some("$1".to_owned())), None]
    );
    assert_eq!(read[&0][1].act.mark(), "0.2");
}
