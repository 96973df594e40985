//! Requests to listeners on this machine.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(20),
    body_bytes: 64,
};

/// Answers every connection with the same bytes, and tells what was asked. An answer without an
/// end of its own ends with the connection.
async fn listener(answer: &'static str) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let _ = asked.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, requests)
}

fn outbound(allow: &[&str]) -> Outbound {
    let allow = allow
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    Outbound::new(&OutboundSettings {
        allow,
        certificates: None,
    })
    .unwrap()
}

async fn get(outbound: &Outbound, url: &str) -> Result<Response<Bytes>, OutboundError> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    outbound.send(request, LIMITS).await
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

#[tokio::test]
async fn a65_an_address_in_the_url_is_refused_however_it_is_written() {
    let (port, mut requests) = listener(OK).await;
    let outbound = outbound(&[]);
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
    ] {
        let refused = get(&outbound, &format!("http://{host}:{port}/")).await;
        assert!(
            matches!(refused, Err(OutboundError::Refused { .. })),
            "{host}: {refused:?}"
        );
    }
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a65_a_name_of_a_private_address_is_refused_when_it_is_connected_to() {
    let (port, mut requests) = listener(OK).await;
    let refused = get(
        &outbound(&[]),
        &format!("http://localhost:{port}/x?secret=1"),
    )
    .await;
    let error = refused.unwrap_err();
    assert_eq!(
        error,
        OutboundError::Refused {
            host: "localhost".to_owned()
        }
    );
    assert!(error.to_string().contains("outbound.allow"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(requests.try_recv().is_err());
    let allowed = outbound(&["127.0.0.0/8", "::1/128"]);
    let answer = get(&allowed, &format!("http://localhost:{port}/"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.body()[..]),
        (200, &b"hi"[..])
    );
}

#[tokio::test]
async fn a65_redirects_are_answers_and_not_followed() {
    const ELSEWHERE: &str = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/\r\n\
                             Content-Length: 0\r\nConnection: close\r\n\r\n";
    let (port, mut requests) = listener(ELSEWHERE).await;
    let answer = get(
        &outbound(&["127.0.0.1/32"]),
        &format!("http://127.0.0.1:{port}/a"),
    )
    .await;
    assert_eq!(answer.unwrap().status().as_u16(), 302);
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.contains("user-agent: greenroom/"), "{request}");
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn b78_an_answer_that_is_too_long_is_not_read_on() {
    const ANNOUNCED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n1\r\nx\r\n";
    for answer in [ANNOUNCED, CHUNKED] {
        let (port, _requests) = listener(answer).await;
        let answer = get(
            &outbound(&["127.0.0.1/32"]),
            &format!("http://127.0.0.1:{port}/"),
        )
        .await;
        let too_long = OutboundError::TooLong {
            host: "127.0.0.1".to_owned(),
            limit_bytes: 64,
        };
        assert_eq!(answer.unwrap_err(), too_long);
    }
}

#[tokio::test]
async fn b78_an_answer_that_does_not_end_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let request = Request::get(format!("http://127.0.0.1:{port}/"));
    let limits = Limits {
        timeout: Duration::from_millis(50),
        body_bytes: 64,
    };
    let request = request.body(Bytes::new()).unwrap();
    let answer = outbound(&["127.0.0.1/32"]).send(request, limits).await;
    let host = "127.0.0.1".to_owned();
    assert_eq!(answer.unwrap_err(), OutboundError::Timeout { host });
}

#[tokio::test]
async fn each_failure_says_what_an_operator_can_look_into() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let outbound = outbound(&["127.0.0.1/32"]);
    let nobody = get(&outbound, &format!("http://127.0.0.1:{port}/p?q"))
        .await
        .unwrap_err();
    assert!(
        matches!(nobody, OutboundError::Connect { .. }),
        "{nobody:?}"
    );
    assert!(nobody.to_string().contains("refused"), "{nobody}");
    let unknown = get(&outbound, "http://no-such-name.invalid/p?q")
        .await
        .unwrap_err();
    assert!(
        matches!(unknown, OutboundError::Unresolved { .. }),
        "{unknown:?}"
    );
    let (port, _requests) = listener("nonsense\r\n\r\n").await;
    let broken = get(&outbound, &format!("http://127.0.0.1:{port}/p?q"))
        .await
        .unwrap_err();
    assert!(matches!(broken, OutboundError::Broken { .. }), "{broken:?}");
    let (port, _requests) = listener("nonsense\r\n\r\n").await;
    let no_tls = get(&outbound, &format!("https://127.0.0.1:{port}/p?q"))
        .await
        .unwrap_err();
    assert!(
        matches!(no_tls, OutboundError::Connect { .. }),
        "{no_tls:?}"
    );
    for error in [nobody, unknown, broken, no_tls] {
        assert!(!error.to_string().contains("p?q"), "{error}");
    }
    for not_http in ["ftp://example.org/", "/relative"] {
        assert_eq!(
            get(&outbound, not_http).await.unwrap_err(),
            OutboundError::Url
        );
    }
}

#[test]
fn certificates_that_are_none_are_an_error() {
    for wrong in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let settings = OutboundSettings {
            allow: Vec::new(),
            certificates: Some(wrong.into()),
        };
        assert!(Outbound::new(&settings).is_err(), "{wrong}");
    }
}
