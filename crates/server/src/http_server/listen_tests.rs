use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream as StdTcpStream},
    thread,
};

use actix_web::{App, HttpRequest, HttpResponse, web};

use super::*;
use crate::{
    data_dir::DataDir,
    http_server::tls,
    shutdown::{self, Signal, Stopped},
};

/// Answers with what it sees of the request.
async fn echo(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    HttpResponse::Ok()
        .insert_header(("x-scheme", request.connection_info().scheme().to_owned()))
        .body(format!(
            "{:?} {}",
            query.map(web::Query::into_inner),
            String::from_utf8_lossy(&body)
        ))
}

/// Waits until the server stops or the client has gone.
async fn park(
    request: HttpRequest,
    mut stopping: shutdown::ShutdownSignal,
    reports: std::sync::mpsc::Sender<&'static str>,
) -> HttpResponse {
    let gone = request.conn_data::<tokio::sync::watch::Receiver<bool>>();
    let mut gone = gone.unwrap().clone();
    reports.send("begun").unwrap();
    tokio::select! {
        () = stopping.triggered() => {}
        _ = gone.wait_for(|gone| *gone) => reports.send("gone").unwrap(),
    }
    HttpResponse::Ok().body("woken")
}

struct Running {
    plain: SocketAddr,
    tls: SocketAddr,
    signals: tokio::sync::mpsc::Sender<Signal>,
    /// Hears when a request to `/parked` begins and why it ends.
    parked: std::sync::mpsc::Receiver<&'static str>,
    server: thread::JoinHandle<io::Result<Stopped>>,
    _data: tempfile::TempDir,
}

/// An application with `/x`, which echoes, and `/parked`, which answers when the server is about to
/// stop or the client has gone.
fn start(patience: Patience) -> Running {
    let data = tempfile::tempdir().unwrap();
    let config = tls::self_signed(
        &DataDir::open(data.path()).unwrap(),
        "localhost",
        1_800_000_000,
    )
    .unwrap();
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = Listeners {
        plain: vec![bind()],
        tls: vec![(bind(), config)],
    };
    let plain = listeners.plain[0].local_addr().unwrap();
    let tls = listeners.tls[0].0.local_addr().unwrap();
    let (signals, caught) = tokio::sync::mpsc::channel(4);
    let (reports, parked) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let shutdown = shutdown::Shutdown::new();
            let stopping = shutdown.signal();
            let settings = HttpSettings {
                patience,
                disconnect_timeout: Duration::from_secs(1),
                ..HttpSettings::default()
            };
            let server = run(listeners, &settings, move || {
                let (stopping, reports) = (stopping.clone(), reports.clone());
                let park =
                    move |request: HttpRequest| park(request, stopping.clone(), reports.clone());
                App::new()
                    .route("/x", web::to(echo))
                    .route("/parked", web::to(park))
            })?;
            shutdown::serve_until_stopped(server, caught, &shutdown).await
        })
    });
    Running {
        plain,
        tls,
        signals,
        parked,
        server,
        _data: data,
    }
}

impl Running {
    /// Sends, says that there is no more to come, and reads to the end.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = StdTcpStream::connect(self.plain).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream)
    }

    fn stop(self) {
        self.signals.blocking_send(Signal::Terminate).unwrap();
        assert_eq!(self.server.join().unwrap().unwrap(), Stopped::Gracefully);
    }
}

fn read_all(stream: &mut impl io::Read) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is an end too.
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

const QUOTED: &str = "GET /x?filter={\"room\":{\"timeline\":{\"limit\":1}}}&q=<é> HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SEEN: &str = r#"Ok([("filter", "{\"room\":{\"timeline\":{\"limit\":1}}}"), ("q", "<é>")])"#;

#[test]
fn a_handler_sees_the_raw_filter_over_http_and_tls() {
    let running = start(Patience::default());
    let put = "PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}";
    let answer = running.exchange(format!("{QUOTED}{put}{QUOTED}").as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches(SEEN).count(), 2, "{answer}");
    assert!(answer.contains("Ok([]) {\"a\":\"b\"}"), "{answer}");
    assert!(answer.contains("x-scheme: http\r\n"), "{answer}");

    let mut tcp = StdTcpStream::connect(running.tls).unwrap();
    let mut session = tls_client();
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    stream
        .write_all(
            QUOTED
                .replace("Host:", "Connection: close\r\nHost:")
                .as_bytes(),
        )
        .unwrap();
    let answer = read_all(&mut stream);
    assert!(
        answer.contains(SEEN) && answer.contains("x-scheme: https\r\n"),
        "{answer}"
    );
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    running.stop();
}

/// What a proxy and we could cut in two different ways gets one 400 and a closed connection.
#[test]
fn a58_requests_that_could_be_cut_in_two_ways_are_refused_and_the_connection_closed() {
    let running = start(Patience::default());
    let hidden = "GET /x?hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (case, head) in [
        (
            "length and chunks",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunks and length",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 49\r\n\r\n",
        ),
        (
            "equal lengths",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a list of lengths",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
        ),
        (
            "a signed length",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
        ),
        ("bare LF", "GET /x HTTP/1.1\nHost: a\n\n"),
        (
            "bare LF in headers",
            "GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        ),
        ("bare LF at the end", "GET /x HTTP/1.1\r\nHost: a\r\n\n"),
        (
            "a folded header",
            "GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 9\r\n\r\n",
        ),
        (
            "a space before the colon",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length : 9\r\n\r\n",
        ),
        (
            "an unknown coding",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two codings",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        ),
        (
            "chunks in HTTP/1.0",
            "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("no host", "GET /x HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("a NUL", "GET /x HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
        ("a bare CR", "GET /x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ] {
        let answer = running.exchange(format!("{head}{hidden}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{case}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{case}: {answer}");
    }
    // A body of broken chunks has no answer of its own, and nothing behind it has one.
    let broken =
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\nC: d\r\n\r\n";
    assert!(
        !running
            .exchange(format!("{broken}{hidden}").as_bytes())
            .contains("hidden")
    );
    assert!(
        running.exchange(QUOTED.as_bytes()).contains(SEEN),
        "the server no longer answers"
    );
    running.stop();
}

#[test]
fn a_head_that_is_too_long_is_an_answer_of_its_own() {
    let running = start(Patience::default());
    let long = format!(
        "GET /x?{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "\"".repeat(300_000)
    );
    let answer = running.exchange(long.as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    assert!(running.exchange(QUOTED.as_bytes()).contains(SEEN));
    running.stop();
}

/// Whoever sends half a request and goes silent is cut off, in the first request of a connection and in the next.
#[test]
fn b46_a_client_that_stops_in_a_request_is_cut_off() {
    // actix reads a clock for its own limit that is up to half a second behind.
    let patience = Patience {
        head: Duration::from_secs(2),
        body: Duration::from_millis(50),
        ..Patience::default()
    };
    let running = start(patience);
    let stopped = [
        (
            "first head",
            "GET /x HTTP/1.1\r\nHost".to_owned(),
            "HTTP/1.1 408 ",
        ),
        (
            "second head",
            format!("{QUOTED}GET /x HTTP/1.1\r\nHost"),
            SEEN,
        ),
        (
            "body",
            "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{".to_owned(),
            "",
        ),
        (
            "chunked body",
            "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1".to_owned(),
            "",
        ),
    ]
    .map(|(case, sent, expected)| {
        let mut stream = StdTcpStream::connect(running.plain).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        (case, stream, expected)
    });
    for (case, mut stream, expected) in stopped {
        // Returns only because the server closes.
        let answer = read_all(&mut stream);
        assert!(answer.contains(expected), "{case}: {answer}");
    }
    assert!(running.exchange(QUOTED.as_bytes()).contains(SEEN));
    running.stop();
}

/// A body without end that says when it is dropped.
struct Endless(std::sync::mpsc::Sender<()>);

impl Drop for Endless {
    fn drop(&mut self) {
        let _nobody_asks = self.0.send(());
    }
}

impl MessageBody for Endless {
    type Error = std::convert::Infallible;

    fn size(&self) -> actix_http::body::BodySize {
        actix_http::body::BodySize::Stream
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<web::Bytes, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(web::Bytes::from_static(&[b' '; 8192]))))
    }
}

/// Whoever reads nothing of an answer does not keep it in memory for longer than a while.
#[test]
fn b46_a_client_that_does_not_read_its_answer_is_cut_off() {
    let listeners = Listeners {
        plain: vec![TcpListener::bind("127.0.0.1:0").unwrap()],
        tls: Vec::new(),
    };
    let address = listeners.plain[0].local_addr().unwrap();
    let (signals, caught) = tokio::sync::mpsc::channel(4);
    let (dropped, is_dropped) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let patience = Patience {
                write: Duration::from_millis(100),
                ..Patience::default()
            };
            let settings = HttpSettings {
                patience,
                ..HttpSettings::default()
            };
            let server = run(listeners, &settings, move || {
                let dropped = dropped.clone();
                App::new().default_service(web::to(move || {
                    let body = Endless(dropped.clone());
                    async move { HttpResponse::Ok().body(body) }
                }))
            })?;
            shutdown::serve_until_stopped(server, caught, &shutdown::Shutdown::new()).await
        })
    });
    let mut silent = StdTcpStream::connect(address).unwrap();
    silent
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    is_dropped.recv().unwrap();
    signals.blocking_send(Signal::Terminate).unwrap();
    assert_eq!(server.join().unwrap().unwrap(), Stopped::Gracefully);
}

#[test]
fn parked_requests_are_answered_when_the_server_stops() {
    let running = start(Patience::default());
    let mut parked = StdTcpStream::connect(running.plain).unwrap();
    parked
        .write_all(b"GET /parked HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(running.parked.recv(), Ok("begun"));
    let mut idle = StdTcpStream::connect(running.plain).unwrap();
    idle.write_all(QUOTED.as_bytes()).unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    let address = running.plain;
    running.stop();
    assert!(read_all(&mut parked).ends_with("woken"));
    assert!(read_all(&mut idle).contains(SEEN));
    assert!(StdTcpStream::connect(address).is_err());
}

/// A parked request whose client has gone need not stay parked, over HTTP and TLS.
#[test]
fn b45_a_handler_learns_that_its_client_has_gone() {
    let running = start(Patience::default());
    let parked = b"GET /parked HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut plain = StdTcpStream::connect(running.plain).unwrap();
    plain.write_all(parked).unwrap();
    assert_eq!(running.parked.recv(), Ok("begun"));
    drop(plain);
    assert_eq!(running.parked.recv(), Ok("gone"));

    let mut tcp = StdTcpStream::connect(running.tls).unwrap();
    let mut session = tls_client();
    rustls::Stream::new(&mut session, &mut tcp)
        .write_all(parked)
        .unwrap();
    assert_eq!(running.parked.recv(), Ok("begun"));
    drop(tcp);
    assert_eq!(running.parked.recv(), Ok("gone"));
    running.stop();
}

#[test]
fn a_second_signal_does_not_wait_for_what_was_begun() {
    let listeners = Listeners {
        plain: vec![TcpListener::bind("127.0.0.1:0").unwrap()],
        tls: Vec::new(),
    };
    let address = listeners.plain[0].local_addr().unwrap();
    let (signals, caught) = tokio::sync::mpsc::channel(4);
    let (begun, is_begun) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = run(listeners, &HttpSettings::default(), move || {
                let begun = begun.clone();
                App::new().default_service(web::to(move || {
                    begun.send(()).unwrap();
                    std::future::pending::<HttpResponse>()
                }))
            })?;
            shutdown::serve_until_stopped(server, caught, &shutdown::Shutdown::new()).await
        })
    });
    let mut endless = StdTcpStream::connect(address).unwrap();
    endless
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    is_begun.recv().unwrap();
    signals.blocking_send(Signal::Terminate).unwrap();
    signals.blocking_send(Signal::Interrupt).unwrap();
    assert_eq!(
        server.join().unwrap().unwrap(),
        Stopped::AtOnce { exit_code: 130 }
    );
}

#[test]
fn nothing_to_listen_on_is_an_error() {
    let result = run(Listeners::default(), &HttpSettings::default(), App::new);
    assert!(result.is_err());
}

/// A TLS client that believes every certificate.
fn tls_client() -> rustls::ClientConnection {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

#[derive(Debug)]
struct Gullible(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
