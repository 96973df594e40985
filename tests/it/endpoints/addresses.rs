//! What is sent in the address of a request: path and query.

use super::*;

/// In place of what a path names, percent-encoded.
fn odd_segments() -> Vec<String> {
    let plain = [
        "x",
        "%00",
        "a%00b",
        "%20",
        "%21",
        "%21%00",
        "%40",
        "%23",
        "%24",
        "%25",
        "%2F",
        "..%2F..%2Fetc",
        "%21a%3Ab%3Ac",
        "%40a%3Ab",
        "%40a%3A",
        "%40%3Ab",
        "%23a%3Ab",
        "%24a%3Ab",
        "%C3%A9",
        "%F0%9F%98%80",
        "%E2%80%8D",
        "%EF%BB%BF",
        "null",
        "-1",
        "0",
        "9223372036854775808",
        "%3Cscript%3E",
        "%22",
        "m.room.member",
        "m.room.create",
        "m.room.power_levels",
        "%40A%3Alocalhost",
        "%40x%3ALOCALHOST",
        "%40x%3Alocalhost.",
        "%40x%3Alocalhost%3A99999",
        "%40x%3A%5B%3A%3A1%5D%3A8448",
        "%40x%3Axn--bcher-kva.example",
        "%40x%3Ab%C3%BCcher.example",
    ];
    let mut segments: Vec<String> = plain.map(str::to_owned).into();
    for sigil in ["", "!", "@", "#", "$"] {
        segments.push(encode(&format!("{sigil}{}", "x".repeat(255))));
        segments.push(encode(&format!(
            "{sigil}{}:localhost",
            "\u{1f600}".repeat(255)
        )));
        segments.push(encode(&format!("{sigil}x:{}", "x".repeat(240))));
    }
    segments.push("x".repeat(10_000));
    segments
}

#[tokio::test]
async fn b12_b17_every_endpoint_bears_odd_identifiers() {
    let server = quiet_server().await;
    let mut stage = Stage::set(&server).await;
    for endpoint in endpoints().iter().filter(|it| it.is_newest()) {
        for variable in endpoint.variables() {
            let send = async |stage: &Stage, segment: &str| {
                let mut path = stage.path(endpoint, Some((variable, segment)));
                if path.ends_with("/events") || path.ends_with("/sync") {
                    path.push_str("?timeout=0");
                }
                stage
                    .alice
                    .raw(endpoint.method.clone(), &path, &[], "{}")
                    .await
            };
            for segment in odd_segments() {
                let answer = send(&stage, &segment).await;
                assert_answered(&answer, &(variable, &segment));
            }
            for segment in ["%FF", "a%C0%AFb", "%ED%A0%80", "%F8%88%80%80%80"] {
                let answer = send(&stage, segment).await;
                answer.expect_error(400, "M_INVALID_PARAM");
            }
        }
        if stage.alice.get("account/whoami").await.status != 200 {
            stage = Stage::set(&server).await;
        }
    }
    assert_unharmed(&server).await;
}

/// Every parameter that any endpoint has in its query.
const PARAMETERS: [&str; 24] = [
    "limit",
    "from",
    "to",
    "since",
    "dir",
    "at",
    "filter",
    "membership",
    "not_membership",
    "full_state",
    "set_presence",
    "timeout",
    "kind",
    "username",
    "token",
    "session",
    "server",
    "server_name",
    "via",
    "format",
    "archived",
    "room_id",
    "access_tokens",
    "ts",
];

/// In place of what a parameter says, percent-encoded.
fn odd_parameters() -> Vec<String> {
    let plain = [
        "",
        "0",
        "-1",
        "1.5",
        "1e3",
        "99999999999",
        "9007199254740992",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "x",
        "true",
        "null",
        "%00",
        "%FF",
        "%ED%A0%80",
        "%F0%9F%98%80",
        "END",
        "%7B",
        "%7B%7D",
        "%5B%5D",
        "[]",
        "{",
        "\"",
        "%7B%22room%22%3A1%7D",
        "%7B%22limit%22%3A-1%7D",
        "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A1e400%7D%7D%7D",
        "%22%5Cud800%22",
        "s1",
        "t1",
        "s-1_0",
        "gr_x",
        "%",
        "%4",
        "%zz",
        "+",
        "..%2F..%2Fetc",
    ];
    let mut values: Vec<String> = plain.map(str::to_owned).into();
    values.push("x".repeat(20_000));
    values.push("9".repeat(1_000));
    values.push(encode(&format!("{{\"room\":{}", "[".repeat(15_000))));
    values
}

/// An answer without the one thing in it that changes by itself.
fn without_ages(text: &str) -> String {
    let parts = text.split("\"age\":");
    parts
        .map(|part| part.trim_start_matches(|it: char| it.is_ascii_digit()))
        .collect()
}

/// A query of one parameter. A long wait is no odd one, so there is none.
fn query(path: &str, parameter: &str, value: &str) -> Option<String> {
    if !path.ends_with("/events") && !path.ends_with("/sync") {
        return Some(format!("{path}?{parameter}={value}"));
    }
    let short = matches!(value, "" | "-1" | "0" | "x");
    match parameter {
        "timeout" => short.then(|| format!("{path}?timeout={value}")),
        _ => Some(format!("{path}?timeout=0&{parameter}={value}")),
    }
}

#[tokio::test]
async fn b40_b41_b42_every_endpoint_bears_odd_parameters() {
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let mut refused = 0;
    let all = endpoints();
    for endpoint in all
        .iter()
        .filter(|it| it.is_newest() && it.method == Method::GET)
    {
        let path = stage.path(endpoint, None);
        let ask = async |parameter: &str, value: &str| {
            let query = query(&path, parameter, value)?;
            let answer = stage.alice.get(&query).await;
            assert_answered(&answer, &());
            Some((answer.status, without_ages(&answer.text())))
        };
        let usual = ask("nothing", "x").await;
        for parameter in PARAMETERS {
            let mut is_read = false;
            for value in ["", "-1", "0", "x", "%7B", "s1"] {
                let answer = ask(parameter, value).await;
                is_read |= answer.is_some() && answer != usual;
            }
            // Most endpoints do not look at most of them.
            for value in odd_parameters().iter().filter(|_| is_read) {
                let answer = ask(parameter, value).await;
                refused += usize::from(answer.is_some_and(|(status, _)| status != 200));
            }
        }
        for odd in ["?", "?&&&", "?=", "?limit=1&limit=2", "?%FF=%FF", "?a[b]=c"] {
            let slow = path.ends_with("/events").then_some("&timeout=0");
            let odd = format!("{path}{odd}{}", slow.unwrap_or_default());
            assert_answered(&stage.alice.get(&odd).await, &odd);
        }
    }
    assert!(refused > 300, "{refused}");
    assert_unharmed(&server).await;
}
