//! What is sent as the body of a request.

use greenroom_tests::WireStream;

use super::*;

/// Bodies that are no JSON object, and what each is.
fn no_objects() -> Vec<(Vec<u8>, &'static str)> {
    let not_json: [&[u8]; 20] = [
        b"  ",
        b"{",
        b"{\"a\":",
        b"{\"a\":\"b",
        b"{} {}",
        b"{'a':1}",
        b"{\"a\":1,}",
        b"a=b&c=d",
        b"{\"a\":NaN}",
        b"{\"a\":-Infinity}",
        b"{\"a\":01}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\x81\"}",
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"\0",
        br#"{"a":"\ud800"}"#,
        br#"{"\udfff":1}"#,
    ];
    let bad_json = ["[]", "null", "true", "\"x\"", "1", "[{}]", "1e400"];
    let not_json = not_json.map(|body| (body.to_vec(), "M_NOT_JSON"));
    let bad_json = bad_json.map(|body| (body.as_bytes().to_vec(), "M_BAD_JSON"));
    let deep = ["[".repeat(200_000), "{\"a\":".repeat(200_000)];
    let deep = deep.map(|body| (body.into_bytes(), "M_BAD_JSON"));
    not_json.into_iter().chain(bad_json).chain(deep).collect()
}

#[tokio::test]
async fn b04_b05_b08_no_endpoint_takes_a_body_that_is_no_object() {
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let before = (stage.alice.now().await, stage.bob.now().await);
    for endpoint in endpoints().into_iter().filter(Endpoint::takes_a_body) {
        let path = stage.path(&endpoint, None);
        for (body, errcode) in no_objects() {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let answer = stage
                .alice
                .raw(endpoint.method.clone(), &path, &[], body)
                .await;
            if endpoint.is_a_page() {
                assert_refused(&answer, &shown);
                continue;
            }
            let found = (answer.status, answer.body["errcode"].as_str());
            assert_eq!(
                found,
                (400, Some(errcode)),
                "{shown}: {}",
                answer.describe()
            );
            assert_refused(&answer, &shown);
        }
    }
    // Nothing has happened: nobody has anything new, and Alice is still logged in.
    assert_eq!((stage.alice.now().await, stage.bob.now().await), before);
    assert_unharmed(&server).await;
}

#[tokio::test]
async fn a54_no_endpoint_decodes_a_compressed_body() {
    // `{}` by gzip, which every endpoint would take if it were decoded.
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let before = stage.alice.now().await;
    for endpoint in endpoints().into_iter().filter(Endpoint::takes_a_body) {
        let path = stage.path(&endpoint, None);
        for coding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "x"] {
            let headers = [("content-encoding", coding)];
            let answer = stage
                .alice
                .raw(endpoint.method.clone(), &path, &headers, GZIP)
                .await;
            assert_refused(&answer, &coding);
            if !endpoint.is_a_page() {
                answer.expect_error(400, "M_NOT_JSON");
            }
        }
    }
    assert_eq!(stage.alice.now().await, before);
    assert_unharmed(&server).await;
}

#[tokio::test]
async fn b08_no_endpoint_waits_for_a_body_that_is_too_large() {
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let before = stage.alice.now().await;
    let chunk = " ".repeat(3 << 20);
    for endpoint in endpoints().into_iter().filter(Endpoint::takes_a_body) {
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n",
            endpoint.method,
            stage.path(&endpoint, None),
            stage.alice.token.as_deref().unwrap()
        );
        // Announced: the answer comes although not a byte of it does.
        let mut stream = WireStream::connect(&server).await;
        let announced = format!("{head}Content-Length: 1000000000\r\n\r\n");
        let answer = stream.exchange(announced.as_bytes()).await;
        assert_eq!(
            (answer.status, &answer.json()["errcode"]),
            (413, &json!("M_TOO_LARGE")),
            "{endpoint:?}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        // Not announced: the answer comes although it has no end. The connection may break while
        // we still write.
        let mut stream = WireStream::connect(&server).await;
        let endless = format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n",
            chunk.len()
        );
        let _broken = stream.write(endless.as_bytes()).await;
        if let Some(answer) = stream.read().await {
            assert_eq!(
                (answer.status, &answer.json()["errcode"]),
                (413, &json!("M_TOO_LARGE")),
                "{endpoint:?}"
            );
        }
    }
    assert_eq!(stage.alice.now().await, before);
    assert_unharmed(&server).await;
}

/// A body that the endpoint takes, with every field that it knows.
fn usual_body(endpoint: &Endpoint, stage: &Stage) -> Value {
    let other = &stage.bob.user_id;
    let path = endpoint.path;
    let end = path.rsplit_once('/').map_or("", |(_, end)| end);
    match end {
        "register" => json!({
            "username": "x", "password": "wordpass", "device_id": "D", "inhibit_login": false,
            "initial_device_display_name": "d", "refresh_token": false,
            "auth": {"type": "m.login.dummy", "session": "x"},
        }),
        "login" => json!({
            "type": "m.login.password", "user": "x", "password": "x", "device_id": "D",
            "initial_device_display_name": "d", "refresh_token": false,
            "identifier": {"type": "m.id.user", "user": "x"},
        }),
        "refresh" => json!({"refresh_token": "x"}),
        "password" => json!({
            "new_password": "x", "logout_devices": false,
            "auth": {"type": "m.login.password", "session": "x", "password": "x",
                "identifier": {"type": "m.id.user", "user": "x"}},
        }),
        "deactivate" => {
            json!({"erase": false, "id_server": "x", "auth": {"type": "x", "session": "x"}})
        }
        "createRoom" => json!({
            "name": "x", "topic": "x", "preset": "private_chat", "visibility": "private",
            "invite": [other], "invite_3pid": [], "is_direct": false, "room_version": "12",
            // One that is there would be taken the second time.
            "room_alias_name": null,
            "initial_state": [{"type": "x", "state_key": "", "content": {}}],
            "power_level_content_override": {"users": {}, "ban": 50},
            "creation_content": {"m.federate": true},
        }),
        "invite" | "kick" | "ban" | "unban" => json!({"user_id": other, "reason": "x"}),
        "join" | "leave" | "forget" | "{room_id_or_alias}" => {
            json!({"reason": "x", "third_party_signed": null})
        }
        "{event_type}" | "{state_key}" if path.contains("/account_data/") => json!({"x": 1}),
        "{event_type}" | "{state_key}" => json!({"topic": "x", "msgtype": "m.text", "body": "x"}),
        "{event_id}" if path.contains("/receipt/") => json!({"thread_id": "main"}),
        "{event_id}" => json!({"reason": "x"}),
        "read_markers" => json!({
            "m.fully_read": stage.event, "m.read": stage.event, "m.read.private": stage.event,
        }),
        "{user_id}" => json!({"typing": true, "timeout": 1_000}),
        "status" => json!({"presence": "online", "status_msg": "x"}),
        "{field}" => json!({"displayname": "x"}),
        "{room_alias}" => json!({"room_id": stage.room}),
        "{room_id}" => json!({"visibility": "public"}),
        "{tag}" => json!({"order": 0.5}),
        "publicRooms" => json!({
            "limit": 1, "since": "x", "server": null, "include_all_networks": false,
            "third_party_instance_id": "x",
            "filter": {"generic_search_term": "x", "room_types": [null]},
        }),
        "filter" => json!({
            "event_fields": ["type"], "event_format": "client",
            "presence": {"limit": 1, "types": ["x"], "senders": ["@x:y"]},
            "account_data": {"not_types": ["x"]},
            "room": {"rooms": ["!x"], "include_leave": true, "ephemeral": {}, "timeline": {
                "limit": 1, "contains_url": true, "lazy_load_members": true,
            }},
        }),
        _ => json!({"x": 1}),
    }
}

/// Values that stand in for others. Written as JSON, since some are none for `serde_json`.
fn odd_values() -> Vec<String> {
    let plain = [
        "null",
        "true",
        "0",
        "-1",
        "9007199254740992",
        "-9007199254740993",
        "18446744073709551616",
        "1.5",
        "-0",
        "1e3",
        "1e400",
        "\"\"",
        "\"\\u0000\"",
        "\"\\uffff\"",
        "\"\u{1f600}\"",
        "\"<script>\"",
        "[]",
        "[null]",
        "[[]]",
        "[\"\",1]",
        "{}",
        "{\"\":{}}",
        "{\"a\":{\"b\":[1.5]}}",
    ];
    let mut values: Vec<String> = plain.map(str::to_owned).into();
    values.push(format!("\"{}\"", "x".repeat(256)));
    values.push(format!("\"@{}:x\"", "\u{1f600}".repeat(255)));
    values.push(format!("\"{}\"", "x".repeat(100_000)));
    values.push(format!("[{}]", vec!["\"x\""; 10_000].join(",")));
    values.push(format!("{}{}", "[".repeat(900), "]".repeat(900)));
    values.push(format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)));
    values
}

/// A body with one of its values, however deep, replaced by each of the others.
fn mutations(body: &Value) -> Vec<String> {
    const HERE: &str = "\"the value that is replaced\"";
    fn holes(value: &Value) -> Vec<Value> {
        let mut found = vec![serde_json::from_str(HERE).unwrap()];
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    for hole in holes(value) {
                        let mut copy = map.clone();
                        copy.insert(key.clone(), hole);
                        found.push(copy.into());
                    }
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    for hole in holes(value) {
                        let mut copy = list.clone();
                        copy[index] = hole;
                        found.push(copy.into());
                    }
                }
            }
            _ => {}
        }
        found
    }
    let values = odd_values();
    let with_holes = holes(body).into_iter().skip(1).map(|hole| hole.to_string());
    with_holes
        .flat_map(|hole| {
            values
                .iter()
                .map(move |value| hole.replace(HERE, value))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn b02_b04_b07_b12_every_endpoint_bears_json_of_the_wrong_shape() {
    let server = quiet_server().await;
    // What has a transaction ID is there without one too.
    let newest = endpoints()
        .into_iter()
        .filter(|it| it.takes_a_body() && it.is_newest() && !it.path.ends_with("/{txn_id}"));
    for endpoint in newest {
        let mut stage = Stage::set(&server).await;
        let body = usual_body(&endpoint, &stage);
        for body in mutations(&body) {
            let path = stage.path(&endpoint, None);
            let answer = stage
                .alice
                .raw(endpoint.method.clone(), &path, &[], body.as_str())
                .await;
            assert_answered(&answer, &body);
            // It was good enough to log out, to leave, to deactivate: again with somebody else.
            if answer.status == 200
                && ["/logout", "/leave", "/deactivate", "/forget"]
                    .iter()
                    .any(|it| path.contains(it))
            {
                stage = Stage::set(&server).await;
            }
        }
        // Whatever was accepted can be read.
        if let Some(rest) = endpoint.path.strip_prefix("/_matrix/client/v3/rooms/") {
            let bob = &stage.bob;
            let read = bob.get("sync").await;
            assert_eq!(read.status, 200, "{rest}: {}", read.describe());
        }
    }
    assert_unharmed(&server).await;
}
