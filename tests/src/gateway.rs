//! A push gateway on this machine, over HTTPS as the specification wants it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::DEADLINE;

/// Answers that are still to be given, in their order.
type Answers = Arc<Mutex<VecDeque<(u16, String)>>>;

/// A push gateway that keeps what it is told, and answers as the test wants it to.
#[derive(Debug)]
pub struct PushGateway {
    port: u16,
    certificate: String,
    answers: Answers,
    told: mpsc::UnboundedReceiver<Value>,
}

impl PushGateway {
    /// Listens on a free port, with a new certificate, until the test ends. It takes everything.
    pub async fn start() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).expect("two good names");
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())
            .expect("a certificate with its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let answers = Answers::default();
        let (sender, told) = mpsc::unbounded_channel();
        let gateway = Self {
            port,
            certificate: own.cert.pem(),
            answers: Arc::clone(&answers),
            told,
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(
                    acceptor.clone(),
                    stream,
                    Arc::clone(&answers),
                    sender.clone(),
                );
                // A connection that ends in between is the server's business.
                tokio::spawn(async move { drop(serving.await) });
            }
        });
        gateway
    }

    /// What a pusher has as its `data.url`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/_matrix/push/v1/notify", self.port)
    }

    /// The same by a name.
    pub fn url_by_name(&self) -> String {
        format!("https://localhost:{}/_matrix/push/v1/notify", self.port)
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What it says to the next request that has no answer yet. Without, it takes what it is told.
    pub fn answer(&self, status: u16, body: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back((status, body.to_owned()));
    }

    /// The next notification, waiting for it if there is none: what stands in `notification`.
    pub async fn told(&mut self) -> Value {
        let told = timeout(DEADLINE, self.told.recv()).await;
        let told = told.unwrap_or_else(|_| panic!("the gateway was told nothing in time"));
        told.expect("it listens as long as this lives")
    }

    /// A notification that is here already.
    pub fn told_already(&mut self) -> Option<Value> {
        self.told.try_recv().ok()
    }
}

/// Answers the requests of one connection.
async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    answers: Answers,
    told: mpsc::UnboundedSender<Value>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    loop {
        let mut length = 0;
        let mut first = String::new();
        if stream.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 2 {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        assert_eq!(first.trim(), "POST /_matrix/push/v1/notify HTTP/1.1");
        let mut body: Value = serde_json::from_slice(&body).expect("a body in JSON");
        let answer = answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let (status, text) = answer.unwrap_or_else(|| (200, json!({"rejected": []}).to_string()));
        // Nobody listens once the test is over.
        let _over = told.send(body["notification"].take());
        let answer = format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}
