use greenroom_storage::Reading;
use ruma::event_id;

use super::*;

fn at(position: i64) -> StreamPosition {
    StreamPosition(position)
}

fn receipt(thread: Option<&str>, upto: i64) -> ReadUpto {
    ReadUpto {
        thread_id: thread.map(ToOwned::to_owned),
        event_position: at(upto),
        position: at(upto + 100),
    }
}

/// Four events, the second and the fourth in a thread.
fn tally() -> Tally {
    let mut tally = Tally::default();
    for position in 1..=4 {
        let thread = (position % 2 == 0).then(|| event_id!("$root").to_owned());
        tally.add(at(position), thread, position == 3);
        tally.judged(at(position));
    }
    tally
}

fn positions(tally: &Tally) -> Vec<i64> {
    tally
        .positions()
        .iter()
        .map(|position| position.0)
        .collect()
}

#[test]
fn a_receipt_clears_its_thread_or_the_room_and_what_comes_behind_it_is_read() {
    for (thread, upto, left) in [
        (None, 2, vec![3, 4]),
        (Some("main"), 4, vec![2, 4]),
        (Some("$root"), 2, vec![1, 3, 4]),
        (Some("$other"), 4, vec![1, 2, 3, 4]),
    ] {
        let mut tally = tally();
        tally.read(&receipt(thread, upto));
        assert_eq!(positions(&tally), left, "{thread:?} {upto}");
    }
    let mut ahead = tally();
    ahead.read(&receipt(None, 9));
    ahead.add(at(8), None, true);
    assert!(ahead.is_empty() && ahead.counts().room.notifications == 0);
    assert_eq!(
        ahead.unknown_after(),
        at(9),
        "what is read need not be judged"
    );
}

#[test]
fn a_row_and_the_receipts_since_it_give_the_same_counts() {
    let tally = tally();
    let mut same = Tally::new(Reading {
        unread: Some(tally.kept()),
        receipts: vec![],
    });
    assert_eq!(same.counts().room, tally.counts().room);
    assert_eq!(same.counts().threads, tally.counts().threads);
    assert_eq!(same.judged_upto(), at(4));
    let read = Tally::new(Reading {
        unread: Some(tally.kept()),
        receipts: vec![receipt(None, 3), receipt(Some("$root"), 2)],
    });
    assert_eq!(positions(&read), [4]);
    assert_eq!(
        read.counts().changed,
        at(103),
        "who was told before has to be told"
    );
    same.redacted(at(3), at(5));
    assert_eq!(positions(&same), [1, 2, 4]);
    assert_eq!(
        (same.counts().room.highlights, same.counts().changed),
        (0, at(5))
    );
    same.sent(at(6), Some(event_id!("$root")));
    assert_eq!(positions(&same), [1]);
    same.sent(at(7), None);
    assert!(same.is_empty());
    let damaged = KeptUnread {
        judged_upto: at(4),
        events: b"\xff".to_vec(),
    };
    let anew = Tally::new(Reading {
        unread: Some(damaged),
        receipts: vec![],
    });
    assert_eq!(anew.judged_upto(), StreamPosition::START);
}

#[test]
fn rows_are_rewritten_for_as_much_as_is_new_in_them() {
    let mut tally = Tally::default();
    let mut rows = 0;
    for position in 1..=100_000 {
        tally.add(at(position), None, false);
        tally.count_judged();
        if tally.is_worth_keeping(KEEP_AFTER) {
            rows += 1;
            tally.set_unsaved(0);
        }
    }
    assert!((1..=20).contains(&rows), "{rows}");
}
