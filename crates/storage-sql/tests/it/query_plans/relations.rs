//! The plans of what asks which events relate to others.

use greenroom_model::{Relation, StreamPosition, Target};
use greenroom_storage::{
    Direction, RelatingQuery, RelationReader, RelationStore as _, RoomStore as _, ThreadsQuery,
};
use serde_json::json;

use super::{assert_uses, plans, uses, watched};
use crate::support::{TestDb, room_with_members};

#[expect(clippy::too_many_lines, reason = "a list of questions")]
#[tokio::test]
async fn the_questions_of_relations_go_by_an_index() {
    let db = TestDb::at(watched());
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let message = room.message(alice, "root");
    db.append(message.clone()).await.unwrap();
    plans(&db.place);
    let mut sent = Vec::new();
    for rel_type in ["m.thread", "m.replace", "m.reference", "m.annotation"] {
        let mut append = room.message(alice, rel_type);
        append.relation = Some(Relation {
            target: message.event_id.clone(),
            rel_type: rel_type.to_owned(),
            key: Some(rel_type.to_owned()),
            is_edit: true,
        });
        db.append(append.clone()).await.unwrap();
        sent.push(append);
    }
    assert_uses(
        &db.place,
        "append",
        "aggregations USING PRIMARY KEY (target=?)",
    );
    let target = Target {
        room_id: room.id.clone(),
        event_id: message.event_id.clone(),
        position: StreamPosition(1),
        event_type: message.event_type.clone(),
        sender: alice.clone(),
        editable: true,
        threadable: true,
    };
    let reader = RelationReader {
        user_id: bob.clone(),
        ignored: None,
        visible: vec![(StreamPosition::START, StreamPosition(i64::MAX))],
    };
    let targets = vec![target.clone()];
    db.aggregations(targets, reader.clone()).await.unwrap();
    let plans_of_all = plans(&db.place);
    let report = format!("{plans_of_all:#?}");
    for index in [
        "aggregations USING PRIMARY KEY (target=?)",
        "relations_by_sender (target=? AND sender=? AND rel_type=? AND event_type=? AND edit_ts>?)",
        "relations_by_rel_type (target=? AND rel_type=? AND position<?)",
        "events USING INTEGER PRIMARY KEY (rowid=?)",
    ] {
        assert!(report.contains(index), "{report}");
    }
    for bad in ["SCAN", "TEMP B-TREE FOR ORDER BY"] {
        assert!(!report.contains(bad), "{report}");
    }
    let partial = RelationReader {
        ignored: Some(std::sync::Arc::new([alice.clone()].into())),
        visible: vec![(StreamPosition::START, StreamPosition(1_000))],
        ..reader
    };
    for index in [
        "relations_by_sender (target=? AND sender=? AND rel_type=?)",
        "relations_by_rel_type (target=? AND rel_type=? AND position<?)",
    ] {
        db.append(room.message(bob, "")).await.unwrap();
        let targets = vec![target.clone()];
        let mut reader = partial.clone();
        reader.ignored = Some(std::sync::Arc::new([bob.clone()].into()));
        let mut reply = room.message(bob, "ignored");
        reply.relation = sent[0].relation.clone();
        db.append(reply).await.unwrap();
        plans(&db.place);
        db.aggregations(targets, reader).await.unwrap();
        assert_uses(&db.place, "aggregations for some", index);
    }
    for (rel_type, event_type, index) in [
        (
            None,
            None,
            "by_target (target=? AND position>? AND position<?)",
        ),
        (
            Some("m.thread"),
            None,
            "by_rel_type (target=? AND rel_type=? AND position>? AND position<?)",
        ),
        (
            Some("m.thread"),
            Some("m.room.message"),
            "by_event_type (target=? AND rel_type=? AND event_type=? AND position>? AND position<?)",
        ),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let query = RelatingQuery {
                room_id: room.id.clone(),
                target: message.event_id.clone(),
                rel_type: rel_type.map(ToOwned::to_owned),
                event_type: event_type.map(ToOwned::to_owned),
                recurse: true,
                after: StreamPosition::START,
                upto: StreamPosition(1_000),
                direction,
                limit: 10,
            };
            db.relating_events(query).await.unwrap();
            let plans = plans(&db.place);
            let steps: Vec<&String> = plans.iter().flat_map(|(_, steps)| steps).collect();
            let report = format!("{plans:#?}");
            let indirect = index.replace("by_target (", "PRIMARY KEY (");
            let indirect = indirect.replace("by_rel_type", "indirect_relations_by_rel_type");
            let indirect = indirect.replace("by_event_type", "indirect_relations_by_event_type");
            for wanted in [&format!("relations_{index}"), &indirect] {
                assert!(
                    steps.iter().any(|step| step.contains(wanted.as_str())),
                    "{report}"
                );
            }
            let sorts = |step: &&&String| step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert_eq!(steps.iter().find(sorts), None, "{report}");
        }
    }
    for participant in [None, Some(bob.clone())] {
        let query = ThreadsQuery {
            room_id: room.id.clone(),
            upto: StreamPosition(1_000),
            participant,
            limit: 10,
        };
        let index = "aggregations USING INDEX aggregations_threads (room_id=? AND latest_reply<?)";
        uses!(db, "SEARCH", db.threads(query.clone()));
        db.threads(query).await.unwrap();
        assert_uses(&db.place, "threads", index);
    }
    uses!(
        db,
        "relations_by_sender (target=? AND sender=? AND rel_type=? AND event_type=?)",
        db.has_annotated(&room.id, &message.event_id, alice, "m.reaction", "x")
    );
    for append in &sent {
        let redaction = room.redaction(alice, append, &json!({}));
        db.append(redaction).await.unwrap();
    }
    let index = "indirect_relations USING INDEX indirect_relations_by_position (position=?)";
    assert_uses(&db.place, "redaction", index);
    db.close().await;
}
