use serde_json::{Value, json, value::to_raw_value};

use crate::EventFields;

fn keep(event: &Value, paths: &[&str]) -> Value {
    let fields = EventFields::new(paths.iter().copied());
    let kept = fields.apply(&to_raw_value(event).unwrap()).unwrap();
    serde_json::from_str(kept.get()).unwrap()
}

#[test]
fn paths_choose_fields() {
    let event = json!({
        "type": "m.room.message", "sender": "@a:b",
        "content": { "body": "b", "msgtype": "m.text", "nested": { "a": 1, "b": 2 } },
    });
    assert_eq!(keep(&event, &[]), json!({}));
    assert_eq!(keep(&event, &["type"]), json!({ "type": "m.room.message" }));
    assert_eq!(
        keep(&event, &["content.body"]),
        json!({ "content": { "body": "b" } })
    );
    assert_eq!(
        keep(&event, &["content.nested.a", "content.body", "sender"]),
        json!({ "content": { "body": "b", "nested": { "a": 1 } }, "sender": "@a:b" })
    );
    for order in [["content", "content.body"], ["content.body", "content"]] {
        assert_eq!(keep(&event, &order), json!({ "content": event["content"] }));
    }
    for nowhere in [
        "nothing",
        "content.nothing",
        "type.x",
        "content.body.x",
        "",
        ".",
        "content.",
        ".content",
    ] {
        assert_eq!(keep(&event, &[nowhere]), json!({}), "{nowhere}");
    }
}

#[test]
fn a_backslash_escapes_a_dot_or_itself() {
    let event = json!({ "content": {
        "m.relates_to": { "a": 1 }, "m\\foo": 2, "m\\x": 3, "m\\": { "y": 4 }, "": { "": 5 },
    } });
    let content = |path: &str| keep(&event, &[path])["content"].clone();
    assert_eq!(
        content(r"content.m\.relates_to"),
        json!({ "m.relates_to": { "a": 1 } })
    );
    assert_eq!(
        content(r"content.m\.relates_to.a"),
        json!({ "m.relates_to": { "a": 1 } })
    );
    assert_eq!(content(r"content.m\\foo"), json!({ "m\\foo": 2 }));
    assert_eq!(content(r"content.m\x"), json!({ "m\\x": 3 }));
    assert_eq!(content(r"content.m\\.y"), json!({ "m\\": { "y": 4 } }));
    assert_eq!(content(r"content.m\"), json!({ "m\\": { "y": 4 } }));
    assert_eq!(content("content.."), json!({ "": { "": 5 } }));
    assert_eq!(content("content.m.relates_to"), Value::Null);
}
