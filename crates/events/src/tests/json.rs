use crate::{
    JsonError, MAX_NESTING, RoomVersion, build,
    json::{check_nesting, parse_object},
    redact::redact,
    tests::{Seeded, draft, now, object, place, signer, stored, version},
};
use serde_json::json;

fn canonical(text: &str) -> String {
    serde_json::to_string(&parse_object(text.as_bytes()).unwrap()).unwrap()
}

fn is_bad_json(text: &str) -> bool {
    matches!(parse_object(text.as_bytes()), Err(JsonError::BadJson(_)))
}

fn is_not_json(bytes: &[u8]) -> bool {
    matches!(parse_object(bytes), Err(JsonError::NotJson(_)))
}

#[test]
fn b01_numbers_are_integers_that_every_peer_can_hold() {
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551615",
        "1.1",
        "1e3",
    ] {
        assert!(is_bad_json(&format!("{{\"n\":{number}}}")), "{number}");
    }
    for number in [
        "1.0",
        "-0",
        "0.0",
        "1E400",
        "-1e-999",
        "99999999999999999999999",
        "1e1000",
    ] {
        assert!(
            is_bad_json(&format!("{{\"n\":[{{\"m\":{number}}}]}}")),
            "{number}"
        );
    }
    for number in [
        "Infinity",
        "-Infinity",
        "NaN",
        "01",
        "+1",
        ".5",
        "0x1",
        "1.",
    ] {
        assert!(
            is_not_json(format!("{{\"n\":{number}}}").as_bytes()),
            "{number}"
        );
    }
    let limits = r#"{"n":[9007199254740991,-9007199254740991,0]}"#;
    assert_eq!(canonical(limits), limits);
}

#[test]
fn b05_text_is_utf_8_without_a_byte_order_mark() {
    for bytes in [
        &b"{\"body\":\"\x81\"}"[..],
        b"{\"\xff\":1}",
        b"{\"body\":\"\xc0\x80\"}",
        b"{\"body\":\"\xed\xa0\x80\"}",
        b"{\"body\":\"\xf4\x90\x80\x80\"}",
        b"\xef\xbb\xbf{}",
        b"{\0}\0",
        b"\xff\xfe{\0}\0",
        b"{\x81}",
    ] {
        assert!(is_not_json(bytes), "{bytes:?}");
    }
}

#[test]
fn b05_a_lone_surrogate_is_no_character() {
    for text in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud83dx"}"#,
        r#"{"\udc00":1}"#,
    ] {
        assert!(is_not_json(text.as_bytes()), "{text}");
    }
    assert_eq!(canonical(r#"{"a":"\ud83d\ude00"}"#), r#"{"a":"😀"}"#);
}

#[test]
fn b07_nul_is_a_character_like_others() {
    assert_eq!(
        canonical(r#"{"\u0000":"a\u0000b"}"#),
        r#"{"\u0000":"a\u0000b"}"#
    );
}

#[test]
fn b08_only_objects_are_content() {
    for text in ["[]", "null", "\"x\"", "1", "true", "[{}]"] {
        assert!(is_bad_json(text), "{text}");
    }
    let quoted = parse_object(b"\"secret\"").unwrap_err().to_string();
    assert!(!quoted.contains("secret"), "{quoted}");
    for text in [
        "",
        " ",
        "\n",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{'a':1}",
        "{} {}",
        "{}x",
    ] {
        assert!(is_not_json(text.as_bytes()), "{text}");
    }
    assert_eq!(canonical(" {\t} \n"), "{}");
}

#[test]
fn the_last_of_equal_keys_counts() {
    assert_eq!(
        canonical(r#"{"a":1,"\u0061":{"b":1,"b":2},"b":0}"#),
        r#"{"a":{"b":2},"b":0}"#
    );
}

/// The examples of the specification's appendix, and what they leave open.
#[test]
fn b10_canonical_json_has_one_form() {
    for (text, expected) in [
        ("{}", "{}"),
        (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
        (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"medium":"email","address":"john.doe@example.org"},{"medium":"msisdn","address":"123456789"}]}}}"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        (r#"{ "a": null }"#, r#"{"a":null}"#),
        // By code point, not by UTF-16 unit.
        ("{\"😀\":1,\"\u{ff5e}\":2}", "{\"\u{ff5e}\":2,\"😀\":1}"),
        // The shortest escapes, and none where none is needed.
        (
            r#"{"a":"\/\u0022\u005c\u0008\u0009\u000A\u000c\u000d\u001F\u000b\u007f\u2028"}"#,
            "{\"a\":\"/\\\"\\\\\\b\\t\\n\\f\\r\\u001f\\u000b\u{7f}\u{2028}\"}",
        ),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn b10_canonical_json_reads_back_as_itself() {
    let mut seeded = Seeded(10);
    for _ in 0..2_000 {
        let value = seeded.object(4);
        let text = canonical(&value.to_string());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
        assert_eq!(canonical(&text), text);
    }
}

#[test]
fn nesting_counts_what_is_open_and_nothing_in_strings() {
    let brackets = "[{".repeat(MAX_NESTING);
    assert_eq!(
        check_nesting(format!("{{\"a\":\"{brackets}\"}}").as_bytes()),
        Ok(())
    );
    assert_eq!(
        check_nesting(format!("{{\"\\\"{brackets}\":1}}").as_bytes()),
        Ok(())
    );
    assert_eq!(
        check_nesting(format!("{{\"\\\\\":\"{brackets}\"}}").as_bytes()),
        Ok(())
    );
    assert_eq!(
        check_nesting("[],".repeat(MAX_NESTING + 1).as_bytes()),
        Ok(())
    );
    assert_eq!(
        check_nesting(format!("\"\\\\\"{brackets}").as_bytes()),
        Err(JsonError::TooDeep)
    );
    assert_eq!(check_nesting("[".repeat(MAX_NESTING).as_bytes()), Ok(()));
    assert_eq!(
        check_nesting("[".repeat(MAX_NESTING + 1).as_bytes()),
        Err(JsonError::TooDeep)
    );
    assert_eq!(check_nesting("]".repeat(9).as_bytes()), Ok(()));
    assert_eq!(check_nesting(br#""\"#), Ok(()));
}

fn nested(levels: usize, open: &str, close: &str) -> String {
    format!(
        "{{\"a\":{}1{}}}",
        open.repeat(levels - 1),
        close.repeat(levels - 1)
    )
}

#[test]
fn b04_nesting_past_the_limit_is_refused_before_it_is_read() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for levels in [MAX_NESTING + 1, 30_000] {
            let text = nested(levels, open, close);
            assert_eq!(parse_object(text.as_bytes()), Err(JsonError::TooDeep));
        }
    }
    assert!(is_not_json("{\"a\":".repeat(MAX_NESTING).as_bytes()));
}

/// Everything an event goes through in an unoptimized build, on three quarters of a worker thread's
/// stack: the rest is for those who call it.
#[test]
fn b04_nesting_up_to_the_limit_fits_the_stack() {
    let work = || {
        let version = version(12);
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[[{\"a\":", "}]]")] {
            for levels in [100, 128, 1_000, MAX_NESTING] {
                let levels = if open.len() > 6 { levels / 3 } else { levels };
                survives(&nested(levels, open, close), &version);
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(1536 * 1024);
    thread.spawn(work).unwrap().join().unwrap();
}

fn survives(text: &str, version: &RoomVersion) {
    let content = parse_object(text.as_bytes()).unwrap();
    let copy = content.clone();
    assert_eq!(content, copy);
    let mut draft = draft("m.room.create", Some(""), &json!({}));
    // A type whose content redactions keep, and one whose content they drop.
    for event_type in ["m.room.message", "m.room.power_levels"] {
        draft.event_type = event_type.to_owned();
        draft.content = content.clone();
        draft
            .content
            .insert("users".to_owned(), content["a"].clone());
        let pdu = build(draft.clone(), &place(version), version, &signer(), now()).unwrap();
        let event = crate::ClientEvent::new(&stored(&pdu, 1)).unwrap();
        event
            .render(&crate::Unsigned::default(), crate::Format::SYNC)
            .unwrap();
        redact(&pdu.json, version).unwrap();
    }
    drop(object(&json!({})));
}
