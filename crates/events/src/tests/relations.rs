use greenroom_model::{Aggregations, Relation, StoredEvent, Thread};
use ruma::{device_id, user_id};
use serde_json::{Value, json};

use crate::{
    Format, Viewer,
    redact::redact,
    relations::{Bundles, relation_in, relation_of, target, targets},
    tests::{built, draft, event_id, object, stored, version},
    view::Related,
};

fn event(event_type: &str, state_key: Option<&str>, content: &Value, position: i64) -> StoredEvent {
    stored(
        &built(draft(event_type, state_key, content), &version(12)),
        position,
    )
}

fn message(relates_to: &Value) -> StoredEvent {
    let content = json!({ "body": "x", "m.relates_to": relates_to });
    event("m.room.message", None, &content, 1)
}

/// What both ways to read a relation say, which is the same.
fn read(event_type: &str, state_key: Option<&str>, content: &Value) -> Option<Relation> {
    let of_draft = relation_in(event_type, state_key, &object(content));
    let stored = event(event_type, state_key, content, 1);
    assert_eq!(relation_of(&stored), of_draft, "{content}");
    of_draft
}

#[test]
fn a_relation_has_a_type_and_a_target() {
    let content = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "$x" } });
    let relation = read("m.room.message", None, &content).unwrap();
    assert_eq!(relation.target, event_id("$x"));
    assert_eq!(
        (relation.rel_type.as_str(), relation.is_edit),
        ("m.thread", false)
    );
    let long = format!("x.{}", "y".repeat(253));
    let content = json!({ "m.relates_to": { "rel_type": long, "event_id": "$a\0\"b" } });
    let relation = read("m.x", Some(""), &content).unwrap();
    assert_eq!(
        (relation.rel_type, relation.target),
        (long, event_id("$a\0\"b"))
    );
}

#[test]
fn b07_b08_what_is_malformed_relates_to_nothing() {
    for relates_to in [
        json!(null),
        json!("$x"),
        json!([{ "rel_type": "m.thread", "event_id": "$x" }]),
        json!({}),
        json!({ "rel_type": "m.thread" }),
        json!({ "event_id": "$x" }),
        json!({ "rel_type": "", "event_id": "$x" }),
        json!({ "rel_type": 1, "event_id": "$x" }),
        json!({ "rel_type": "m.thread", "event_id": ["$x"] }),
        json!({ "rel_type": "m.thread", "event_id": "x" }),
        json!({ "rel_type": "m.thread", "event_id": "" }),
        json!({ "rel_type": "m.thread", "event_id": "$".repeat(256) }),
        json!({ "rel_type": "x".repeat(256), "event_id": "$x" }),
        // "Replies do not use `rel_type`."
        json!({ "m.in_reply_to": { "event_id": "$x" } }),
    ] {
        let content = json!({ "m.relates_to": relates_to });
        assert_eq!(read("m.room.message", None, &content), None, "{relates_to}");
        assert!(target(&message(&relates_to)).threadable, "{relates_to}");
    }
    // In a place where it means nothing.
    let inner = json!({ "x": { "m.relates_to": { "rel_type": "m.thread", "event_id": "$x" } } });
    assert_eq!(read("m.room.message", None, &inner), None);
}

#[test]
fn an_edit_of_a_message_has_new_content() {
    let content = |new: Value| {
        let relates_to = json!({ "rel_type": "m.replace", "event_id": "$x" });
        json!({ "m.relates_to": relates_to, "m.new_content": new })
    };
    let is_edit = |event_type: &str, state_key: Option<&str>, content: &Value| {
        read(event_type, state_key, content).unwrap().is_edit
    };
    assert!(is_edit(
        "m.room.message",
        None,
        &content(json!({ "body": "y" }))
    ));
    for new in [json!(null), json!("y"), json!([])] {
        assert!(!is_edit("m.room.message", None, &content(new)));
    }
    let mut without = content(json!({}));
    without.as_object_mut().unwrap().remove("m.new_content");
    assert!(!is_edit("m.room.message", None, &without));
    // "There is no `m.new_content` property in the cleartext content."
    assert!(is_edit("m.room.encrypted", None, &without));
    // "The replacement and original events must not have a `state_key`."
    assert!(!is_edit(
        "m.room.message",
        Some(""),
        &content(json!({ "body": "y" }))
    ));
}

#[test]
fn only_an_annotation_has_a_key() {
    let content = |rel_type: &str, key: Value| json!({ "m.relates_to": { "rel_type": rel_type, "event_id": "$x", "key": key } });
    let key = |content: &Value| read("m.reaction", None, content).unwrap().key;
    let huge = "👍\0".repeat(5_000);
    assert_eq!(key(&content("m.annotation", json!(huge))), Some(huge));
    assert_eq!(key(&content("m.annotation", json!(5))), None);
    assert_eq!(key(&content("m.thread", json!("x"))), None);
}

#[test]
fn what_can_be_edited_and_what_threads_begin_at() {
    let plain = event("m.room.message", None, &json!({ "body": "x" }), 1);
    assert!(target(&plain).editable && target(&plain).threadable);
    let edit = message(&json!({ "rel_type": "m.replace", "event_id": "$x" }));
    assert!(!target(&edit).editable && !target(&edit).threadable);
    let reply = message(&json!({ "rel_type": "m.thread", "event_id": "$x" }));
    assert!(target(&reply).editable && !target(&reply).threadable);
    let mut redacted = plain.clone();
    redacted.redacted_by = Some(event_id("$r"));
    assert!(!target(&redacted).editable && target(&redacted).threadable);
    // "State events do not currently receive bundled aggregations."
    let state = event("m.room.topic", Some(""), &json!({ "topic": "x" }), 2);
    assert_eq!(targets([&plain, &state]), [target(&plain)]);
}

#[test]
fn a_redaction_takes_the_relation_in_every_room_version() {
    for number in 1..=12 {
        let content = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "$x" } });
        let mut reply = message(&content["m.relates_to"]);
        reply.json = redact(&reply.json, &version(number)).unwrap().into();
        assert_eq!(relation_of(&reply), None, "version {number}");
    }
}

#[test]
fn bundles_are_written_into_unsigned() {
    let alice = user_id!("@alice:localhost");
    let root = event("m.room.message", None, &json!({ "body": "root" }), 1);
    let latest = event("m.room.message", None, &json!({ "body": "latest" }), 2);
    let edit = event("m.room.message", None, &json!({ "body": "edit" }), 3);
    let edit_of_latest = event("m.room.message", None, &json!({ "body": "edited" }), 4);
    let thread = |latest: &StoredEvent| Thread {
        latest: latest.clone(),
        count: 7,
        participated: true,
    };
    let bundles = Bundles::from([
        (
            root.event_id.clone(),
            Aggregations {
                edit: Some(edit.clone()),
                thread: Some(thread(&latest)),
                references: vec![event_id("$one"), event_id("$two")],
            },
        ),
        (
            latest.event_id.clone(),
            Aggregations {
                edit: Some(edit_of_latest),
                // What no room has is not followed for ever.
                thread: Some(thread(&latest)),
                references: Vec::new(),
            },
        ),
        (edit.event_id.clone(), Aggregations::default()),
    ]);
    let viewer = Viewer {
        user_id: alice,
        device_id: Some(device_id!("PHONE")),
        now_ms: 0,
        history: None,
        format: Format::CLIENT,
        fields: None,
        bundles: Some(&bundles),
    };
    let view = |viewer: &Viewer<'_>, event: &StoredEvent| -> Value {
        let view = viewer.view(event, &Related::new()).unwrap();
        serde_json::from_str(view.get()).unwrap()
    };
    let shown = view(&viewer, &root);
    assert_eq!(shown["content"]["body"], "root", "the content stays");
    let relations = &shown["unsigned"]["m.relations"];
    let chunk = json!({ "chunk": [{ "event_id": "$one" }, { "event_id": "$two" }] });
    assert_eq!(relations["m.reference"], chunk);
    // "Formatted as normal."
    let replace = &relations["m.replace"];
    assert_eq!(replace["content"]["body"], "edit");
    assert_eq!(replace["room_id"], root.room_id.as_str());
    assert_eq!(relations["m.thread"]["count"], 7);
    assert_eq!(relations["m.thread"]["current_user_participated"], true);
    let latest_event = &relations["m.thread"]["latest_event"];
    assert_eq!(latest_event["content"]["body"], "latest");
    let inner = latest_event["unsigned"]["m.relations"].as_object().unwrap();
    assert_eq!(inner.len(), 1);
    assert_eq!(inner["m.replace"]["content"]["body"], "edited");
    let bare = view(&viewer, &edit);
    assert_eq!(bare["unsigned"].get("m.relations"), None);

    let sync = Viewer {
        format: Format::SYNC,
        ..viewer
    };
    let shown = view(&sync, &root);
    let replace = &shown["unsigned"]["m.relations"]["m.replace"];
    assert_eq!(replace.get("room_id"), None, "as around it");
}
