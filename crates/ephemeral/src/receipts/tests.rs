//! Who may say that they have read what.

use greenroom_model::{StreamPosition, TestClock};
use ruma::{event_id, room_id};
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    MemoryMembers, MemoryReceipts, MemoryState, MemoryTimeline, bob, event, room,
};

struct Setup {
    receipts: Arc<MemoryReceipts>,
    timeline: Arc<MemoryTimeline>,
    members: Arc<MemoryMembers>,
    service: ReceiptService,
}

fn setup() -> Setup {
    let (receipts, timeline) = (
        Arc::<MemoryReceipts>::default(),
        Arc::<MemoryTimeline>::default(),
    );
    let members = MemoryMembers::in_one_room();
    let service = ReceiptService::new(
        Arc::clone(&receipts) as _,
        Arc::clone(&timeline) as _,
        Arc::<MemoryState>::default(),
        Arc::clone(&members) as _,
        Arc::new(TestClock::at(1_234)),
    );
    timeline.add(event(room(), "$event", &json!({ "body": "hello" })));
    Setup {
        receipts,
        timeline,
        members,
        service,
    }
}

impl Setup {
    async fn read(
        &self,
        receipt_type: &str,
        event_id: &str,
        thread: ReceiptThread,
    ) -> Result<(), EphemeralError> {
        let event_id = EventId::parse(event_id).unwrap();
        self.service
            .set_receipt(bob(), room(), receipt_type, &event_id, &thread)
            .await
    }

    fn relate(&self, event_id: &str, rel_type: &str, parent: &str) {
        let relation = json!({ "m.relates_to": { "rel_type": rel_type, "event_id": parent } });
        self.timeline.add(event(room(), event_id, &relation));
    }

    fn nothing_written(&self) -> bool {
        self.receipts.0.lock().is_empty()
    }
}

fn thread(root: &str) -> ReceiptThread {
    ReceiptThread::Thread(EventId::parse(root).unwrap())
}

#[tokio::test]
async fn a_receipt_is_kept_with_its_event_thread_and_time() {
    let setup = setup();
    setup
        .read("m.read", "$event", ReceiptThread::Unthreaded)
        .await
        .unwrap();
    setup
        .read("m.read.private", "$event", ReceiptThread::Main)
        .await
        .unwrap();
    let receipt = |receipt_type: &str, thread_id: Option<&str>| Receipt {
        user_id: bob().to_owned(),
        receipt_type: receipt_type.to_owned(),
        thread_id: thread_id.map(ToOwned::to_owned),
        event_id: event_id!("$event").to_owned(),
        event_position: StreamPosition(7),
        ts_ms: 1_234,
    };
    let written = setup.receipts.0.lock().clone();
    assert_eq!(
        written,
        [
            (vec![receipt("m.read", None)], None),
            (vec![receipt("m.read.private", Some("main"))], None),
        ]
    );
}

#[tokio::test]
async fn a15_a_receipt_for_an_event_of_another_room_or_of_none_is_refused() {
    let setup = setup();
    let elsewhere = room_id!("!elsewhere:localhost");
    setup
        .timeline
        .add(event(elsewhere, "$elsewhere", &json!({})));
    for event_id in ["$elsewhere", "$nowhere"] {
        for receipt_type in ["m.read", "m.read.private", "m.fully_read"] {
            let outcome = setup
                .read(receipt_type, event_id, ReceiptThread::Unthreaded)
                .await;
            assert!(
                matches!(outcome, Err(EphemeralError::UnknownEvent)),
                "{event_id}"
            );
        }
    }
    assert!(setup.nothing_written());
}

#[tokio::test]
async fn a15_who_is_not_joined_cannot_read() {
    let setup = setup();
    for membership in [
        MembershipState::Leave,
        MembershipState::Invite,
        MembershipState::Ban,
    ] {
        setup.members.set(room(), bob(), membership);
        let outcome = setup
            .read("m.read", "$event", ReceiptThread::Unthreaded)
            .await;
        assert!(matches!(outcome, Err(EphemeralError::NotJoined)));
    }
    assert!(setup.nothing_written());
}

#[tokio::test]
async fn receipts_have_three_types() {
    let setup = setup();
    for receipt_type in ["m.seen", "", "m.read.public"] {
        let outcome = setup
            .read(receipt_type, "$event", ReceiptThread::Unthreaded)
            .await;
        assert!(
            matches!(outcome, Err(EphemeralError::InvalidParam(_))),
            "{receipt_type}"
        );
    }
    let outcome = setup
        .read("m.fully_read", "$event", ReceiptThread::Main)
        .await;
    assert!(matches!(outcome, Err(EphemeralError::InvalidParam(_))));
    setup
        .read("m.fully_read", "$event", ReceiptThread::Unthreaded)
        .await
        .unwrap();
    let marker = Some(event_id!("$event").to_owned());
    assert_eq!(*setup.receipts.0.lock(), [(vec![], marker)]);
}

#[tokio::test]
async fn read_markers_are_set_all_or_none() {
    let setup = setup();
    let (event, nowhere) = (
        event_id!("$event").to_owned(),
        event_id!("$nowhere").to_owned(),
    );
    let mut markers = ReadMarkers {
        fully_read: Some(event.clone()),
        read: Some(event.clone()),
        read_private: Some(nowhere),
    };
    let outcome = setup
        .service
        .set_read_markers(bob(), room(), markers.clone())
        .await;
    assert!(matches!(outcome, Err(EphemeralError::UnknownEvent)));
    assert!(setup.nothing_written());
    setup
        .service
        .set_read_markers(bob(), room(), ReadMarkers::default())
        .await
        .unwrap();
    assert!(setup.nothing_written());
    markers.read_private = Some(event.clone());
    setup
        .service
        .set_read_markers(bob(), room(), markers)
        .await
        .unwrap();
    let writes = setup.receipts.0.lock().clone();
    let [(receipts, fully_read)] = &*writes else {
        panic!("{writes:?}")
    };
    assert_eq!((receipts.len(), fully_read), (2, &Some(event)));
}

#[tokio::test]
async fn a_threaded_receipt_is_for_an_event_of_its_thread() {
    let setup = setup();
    setup.relate("$reply", "m.thread", "$event");
    setup.relate("$reaction", "m.annotation", "$reply");
    setup.relate("$liked", "m.annotation", "$event");
    for (event_id, thread_of_it) in [
        ("$event", ReceiptThread::Main),
        ("$event", thread("$event")),
        ("$reply", thread("$event")),
        ("$reaction", thread("$event")),
        ("$liked", ReceiptThread::Main),
    ] {
        setup.read("m.read", event_id, thread_of_it).await.unwrap();
    }
    for (event_id, another_thread) in [
        ("$reply", ReceiptThread::Main),
        ("$reaction", ReceiptThread::Main),
        ("$reply", thread("$reply2")),
        ("$liked", thread("$event")),
        ("$event", thread("$reply")),
        (
            "$event",
            ReceiptThread::try_from(Some("nonsense")).unwrap_or(thread("$other")),
        ),
    ] {
        let outcome = setup.read("m.read", event_id, another_thread.clone()).await;
        assert!(
            matches!(outcome, Err(EphemeralError::InvalidParam(_))),
            "{event_id} {another_thread:?}"
        );
    }
}

#[tokio::test]
async fn relations_are_followed_so_far_and_no_further() {
    let setup = setup();
    // A loop, and an event that relates to itself.
    setup.relate("$a", "m.reference", "$b");
    setup.relate("$b", "m.reference", "$a");
    setup.relate("$self", "m.reference", "$self");
    for event_id in ["$a", "$self"] {
        setup
            .read("m.read", event_id, ReceiptThread::Main)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_does_not_look_like_a_relation_is_none() {
    let setup = setup();
    let odd: [Value; 4] = [
        json!({ "m.relates_to": 7 }),
        json!({ "m.relates_to": { "rel_type": "m.thread" } }),
        json!({ "m.relates_to": { "rel_type": 1, "event_id": "$event" } }),
        json!({ "m.relates_to": null }),
    ];
    for content in odd {
        setup.timeline.add(event(room(), "$odd", &content));
        setup
            .read("m.read", "$odd", ReceiptThread::Main)
            .await
            .unwrap();
    }
}
