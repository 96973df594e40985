//! One keep-alive connection of one simulated client.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Decoder, Response, Target};
use crate::error::{BenchError, Result};

/// After this long without a request the server may have closed the connection.
const IDLE_CHECK: Duration = Duration::from_millis(100);

/// A request method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Acts once per transaction id.
    Put,
}

impl Method {
    /// As it stands in the request line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A connection that is opened by its first request and reopened when the
/// server has closed it between two.
#[derive(Debug)]
pub struct Connection {
    target: Arc<Target>,
    source: Option<Ipv4Addr>,
    timeout: Duration,
    stream: Option<TcpStream>,
    last_used: Instant,
    input: BytesMut,
    output: Vec<u8>,
}

impl Connection {
    /// A connection to `target`, not yet open, from `source` if one is given.
    ///
    /// `timeout` bounds each request from its first byte to the answer's last.
    #[must_use]
    pub fn new(target: Arc<Target>, source: Option<Ipv4Addr>, timeout: Duration) -> Self {
        Self {
            target,
            source,
            timeout,
            stream: None,
            last_used: Instant::now(),
            input: BytesMut::new(),
            output: Vec::new(),
        }
    }

    /// Sends a request and waits for its answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`], [`BenchError::Protocol`] or [`BenchError::Timeout`].
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Response> {
        self.send(method, path, token, body).await?;
        self.receive(path).await
    }

    /// Sends a request. Its answer must be taken with [`Connection::receive`].
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`] if the server cannot be reached.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<()> {
        if self.is_stale() {
            self.stream = None;
        }
        self.output.clear();
        let head = write!(
            self.output,
            "{} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
            method.name(),
            self.target.host,
            body.len()
        );
        head.map_err(BenchError::io("writing a request"))?;
        if !body.is_empty() {
            self.output
                .extend_from_slice(b"Content-Type: application/json\r\n");
        }
        if !token.is_empty() {
            self.output.extend_from_slice(b"Authorization: Bearer ");
            self.output.extend_from_slice(token.as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
        self.output.extend_from_slice(b"\r\n");
        self.output.extend_from_slice(body);
        let stream = match self.stream.as_mut() {
            Some(stream) => stream,
            None => self
                .stream
                .insert(connect(&self.target, self.source).await?),
        };
        let written = stream.write_all(&self.output).await;
        self.last_used = Instant::now();
        written.map_err(BenchError::io("sending a request"))
    }

    /// Waits for the answer to the request sent before; `path` is for the error alone.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`], [`BenchError::Protocol`] or [`BenchError::Timeout`].
    pub async fn receive(&mut self, path: &str) -> Result<Response> {
        let received = tokio::time::timeout(self.timeout, self.read_response()).await;
        self.last_used = Instant::now();
        match received {
            Ok(Ok(response)) => {
                if !response.keep_alive {
                    self.stream = None;
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                self.stream = None;
                Err(error)
            }
            Err(_elapsed) => {
                self.stream = None;
                Err(BenchError::Timeout {
                    what: without_query(path).to_owned(),
                    after: self.timeout,
                })
            }
        }
    }

    async fn read_response(&mut self) -> Result<Response> {
        let stream = self
            .stream
            .as_mut()
            .ok_or_else(|| BenchError::Setup("an answer was awaited on no connection".into()))?;
        let mut decoder = Decoder::default();
        loop {
            if self.input.capacity() == self.input.len() {
                self.input.reserve(2_048);
            }
            let read = stream
                .read_buf(&mut self.input)
                .await
                .map_err(BenchError::io("reading an answer"))?;
            if read == 0 {
                decoder.closed()?;
                return Ok(decoder.into_response());
            }
            if decoder.feed(&mut self.input)? {
                return Ok(decoder.into_response());
            }
        }
    }

    /// Whether the server has hung up while nothing was asked of it.
    ///
    /// Looking first is what lets requests that must not be repeated use a
    /// connection that has rested.
    fn is_stale(&mut self) -> bool {
        let Some(stream) = self.stream.as_ref() else {
            return false;
        };
        if self.last_used.elapsed() < IDLE_CHECK {
            return false;
        }
        match stream.try_read(&mut [0_u8; 1]) {
            Ok(_) => true,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

async fn connect(target: &Target, source: Option<Ipv4Addr>) -> Result<TcpStream> {
    let address = target.address;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(BenchError::io("opening a socket"))?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(IpAddr::V4(source), 0))
            .map_err(BenchError::io(format!("binding to {source}")))?;
    }
    let stream = socket
        .connect(address)
        .await
        .map_err(BenchError::io(format!("connecting to {address}")))?;
    stream
        .set_nodelay(true)
        .map_err(BenchError::io("setting TCP_NODELAY"))?;
    Ok(stream)
}

/// The path alone: a query may hold what should not be in an error.
pub(crate) fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{Connection, Method};
    use crate::http::Target;

    #[tokio::test]
    async fn a_connection_closed_by_the_server_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let server = tokio::spawn(async move {
            let mut heads = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                let mut head = [0_u8; 512];
                let read = stream.read(&mut head).await.expect("reads");
                heads.push(String::from_utf8_lossy(&head[..read]).into_owned());
                let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer).await.expect("writes");
            }
            heads
        });
        let target = Arc::new(Target::resolve(&url, false).expect("resolves"));
        let mut connection = Connection::new(target, None, Duration::from_secs(10));
        for _ in 0..2 {
            let response = connection
                .request(Method::Put, "/x?y=z", "secret", b"{}")
                .await
                .expect("answers");
            assert_eq!(
                (response.status, response.body.as_slice()),
                (200, &b"ok"[..])
            );
        }
        let heads = server.await.expect("ends");
        let first = heads.first().expect("was asked");
        assert!(first.starts_with("PUT /x?y=z HTTP/1.1\r\n"), "{first}");
        assert!(
            first.contains("Authorization: Bearer secret\r\n") && first.ends_with("\r\n\r\n{}"),
            "{first}"
        );
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_a_timeout_without_the_query() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let target = Arc::new(Target::resolve(&url, false).expect("resolves"));
        let mut connection = Connection::new(target, None, Duration::from_millis(20));
        let error = connection
            .request(Method::Get, "/sync?access_token=s3cret", "", b"")
            .await
            .expect_err("times out");
        assert!(error.to_string().contains("/sync"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
