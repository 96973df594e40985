//! HTTP/1.1 byte by byte, for requests that no client library would send.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{DEADLINE, TestServer};

/// A connection to the server, on which bytes are written as they are.
#[derive(Debug)]
pub struct WireStream {
    stream: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

/// One answer read from a [`WireStream`].
#[derive(Debug, Clone)]
pub struct WireResponse {
    /// The HTTP status code.
    pub status: u16,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, with any chunked framing taken off.
    pub body: Vec<u8>,
}

impl WireResponse {
    /// The first header of this name (in lower case), or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as JSON, [`Value::Null`] if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl WireStream {
    /// Connects to a server's plain HTTP port.
    pub async fn connect(server: &TestServer) -> Self {
        let stream = TcpStream::connect(server.socket_address())
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("a fresh socket");
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Writes these bytes.
    ///
    /// # Errors
    ///
    /// If the server has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes our side for writing, as a client that has said all it has to say.
    ///
    /// # Errors
    ///
    /// If the server has closed the connection.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Writes these bytes and reads one answer.
    pub async fn exchange(&mut self, bytes: &[u8]) -> WireResponse {
        self.write(bytes).await.expect("the connection is open");
        self.read()
            .await
            .expect("the server answers before it closes")
    }

    /// Reads one answer to a request other than `HEAD`; `None` if the server closed instead.
    pub async fn read(&mut self) -> Option<WireResponse> {
        let (status, headers) = loop {
            let head = self.head().await?;
            let parsed = parse_head(&head);
            if parsed.0 >= 200 {
                break parsed;
            }
        };
        let header = |name: &str| headers.iter().find(|(found, _)| found == name);
        let body = if header("transfer-encoding").is_some() {
            self.chunks().await
        } else if let Some((_, length)) = header("content-length") {
            self.exactly(length.parse().expect("a content-length"))
                .await
        } else if matches!(status, 204 | 304) {
            Vec::new()
        } else {
            self.to_the_end().await
        };
        Some(WireResponse {
            status,
            headers,
            body,
        })
    }

    /// Waits until the server closes the connection, and gives what came before that.
    pub async fn to_the_end(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.rest)
    }

    /// Reads what is there; false at the end of the stream.
    async fn more(&mut self) -> bool {
        let read = timeout(DEADLINE, self.stream.read_buf(&mut self.rest));
        // A reset is an end like any other: the server did not want to read on.
        read.await
            .expect("the server answers or closes")
            .is_ok_and(|count| count > 0)
    }

    async fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                let tail = self.rest.split_off(at + 4);
                return Some(std::mem::replace(&mut self.rest, tail));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            assert!(self.more().await, "the answer ends before its length");
        }
        let tail = self.rest.split_off(length);
        std::mem::replace(&mut self.rest, tail)
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.rest.windows(2).position(|two| two == b"\r\n") {
                    break self.exactly(at + 2).await;
                }
                assert!(self.more().await, "the answer ends before its last chunk");
            };
            let line = String::from_utf8(line).expect("a chunk's length in ASCII");
            let length = line.trim_end().split(';').next().unwrap_or_default();
            let length = usize::from_str_radix(length, 16).expect("a chunk's length");
            let chunk = self.exactly(length + 2).await;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                return body;
            }
        }
    }
}

fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    (status, headers.collect())
}
