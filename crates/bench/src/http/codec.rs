//! An incremental decoder of HTTP/1.1 responses.

use bytes::{Buf, BytesMut};

use crate::error::{BenchError, Result};

/// Longest accepted response head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Longest accepted body, in bytes.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body with its transfer encoding taken off.
    pub body: Vec<u8>,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
}

impl Response {
    /// Whether the status is in the 200s.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Length { remaining: usize },
    ChunkSize,
    ChunkData { remaining: usize },
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

/// Decodes one response from bytes that arrive in any pieces.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    status: u16,
    keep_alive: bool,
    body: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::Head,
            status: 0,
            keep_alive: true,
            body: Vec::new(),
        }
    }
}

impl Decoder {
    /// Takes what it can from `input` and says whether the response is complete.
    ///
    /// # Errors
    ///
    /// [`BenchError::Protocol`] if the bytes are not an HTTP/1.1 response or
    /// exceed the bounds on head (64 KiB) and body (256 MiB).
    pub fn feed(&mut self, input: &mut BytesMut) -> Result<bool> {
        loop {
            let advanced = match self.state {
                State::Done => return Ok(true),
                State::Head => self.head(input)?,
                State::Length { remaining } => {
                    let left = self.take(input, remaining)?;
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length { remaining: left }
                    };
                    left == 0
                }
                State::ChunkSize => self.chunk_size(input)?,
                State::ChunkData { remaining } => {
                    let left = self.take(input, remaining)?;
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::ChunkData { remaining: left }
                    };
                    left == 0
                }
                State::ChunkEnd => match line(input)? {
                    None => false,
                    Some(end) if end.is_empty() => {
                        self.state = State::ChunkSize;
                        true
                    }
                    Some(_) => return Err(protocol("a chunk is longer than it said")),
                },
                State::Trailers => match line(input)? {
                    None => false,
                    Some(trailer) => {
                        if trailer.is_empty() {
                            self.state = State::Done;
                        }
                        true
                    }
                },
                State::UntilClose => {
                    let length = input.len();
                    self.take(input, length)?;
                    false
                }
            };
            if !advanced {
                return Ok(false);
            }
        }
    }

    /// The peer closed the connection: is the response complete?
    ///
    /// # Errors
    ///
    /// [`BenchError::Protocol`] if it is cut short.
    pub fn closed(&mut self) -> Result<()> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Head => Err(protocol("the connection closed before an answer")),
            _ => Err(protocol("the connection closed within an answer")),
        }
    }

    /// The decoded response. Call it once [`Decoder::feed`] says it is complete.
    #[must_use]
    pub fn into_response(self) -> Response {
        Response {
            status: self.status,
            body: self.body,
            keep_alive: self.keep_alive,
        }
    }

    fn head(&mut self, input: &mut BytesMut) -> Result<bool> {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut slots);
        let used = match parsed
            .parse(input)
            .map_err(|error| protocol(&error.to_string()))?
        {
            httparse::Status::Complete(used) => used,
            httparse::Status::Partial if input.len() > MAX_HEAD => {
                return Err(protocol("the head is too long"));
            }
            httparse::Status::Partial => return Ok(false),
        };
        self.status = parsed.code.unwrap_or(0);
        let mut length = None;
        let mut chunked = false;
        self.keep_alive = parsed.version == Some(1);
        for header in parsed.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).unwrap_or_default().trim();
                length = Some(
                    text.parse::<usize>()
                        .map_err(|_| protocol("content-length is not a number"))?,
                );
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = header.value.to_ascii_lowercase().ends_with(b"chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                let value = header.value.to_ascii_lowercase();
                self.keep_alive = if self.keep_alive {
                    value != b"close"
                } else {
                    value == b"keep-alive"
                };
            }
        }
        input.advance(used);
        self.state = match (self.status, chunked, length) {
            (100..=199, ..) => State::Head,
            (204 | 304, ..) | (_, false, Some(0)) => State::Done,
            (_, true, _) => State::ChunkSize,
            (_, false, Some(remaining)) => {
                check_body(remaining)?;
                self.body.reserve(remaining);
                State::Length { remaining }
            }
            (_, false, None) => {
                self.keep_alive = false;
                State::UntilClose
            }
        };
        Ok(true)
    }

    fn chunk_size(&mut self, input: &mut BytesMut) -> Result<bool> {
        let Some(size) = line(input)? else {
            return Ok(false);
        };
        let digits = size
            .as_ref()
            .split(|byte: &u8| *byte == b';')
            .next()
            .unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default().trim();
        let remaining = usize::from_str_radix(text, 16)
            .map_err(|_| protocol("a chunk size is not a number"))?;
        self.state = if remaining == 0 {
            State::Trailers
        } else {
            State::ChunkData { remaining }
        };
        Ok(true)
    }

    /// Moves up to `wanted` bytes to the body; returns how many are still missing.
    fn take(&mut self, input: &mut BytesMut, wanted: usize) -> Result<usize> {
        let available = input.len().min(wanted);
        check_body(self.body.len().saturating_add(wanted))?;
        self.body.extend_from_slice(&input.split_to(available));
        Ok(wanted - available)
    }
}

/// One line without its end, or `None` if it is not all there.
fn line(input: &mut BytesMut) -> Result<Option<BytesMut>> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return if input.len() > MAX_HEAD {
            Err(protocol("a line is too long"))
        } else {
            Ok(None)
        };
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

fn check_body(length: usize) -> Result<()> {
    if length > MAX_BODY {
        Err(protocol("the body is too long"))
    } else {
        Ok(())
    }
}

fn protocol(reason: &str) -> BenchError {
    BenchError::Protocol(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Decoder, Response};

    /// Feeds `wire` in pieces of `size` bytes; returns the response and what is left over.
    fn decode(wire: &[u8], size: usize) -> Result<(Response, Vec<u8>), String> {
        let mut decoder = Decoder::default();
        let mut input = BytesMut::new();
        let mut complete = false;
        for piece in wire.chunks(size) {
            input.extend_from_slice(piece);
            complete = decoder
                .feed(&mut input)
                .map_err(|error| error.to_string())?;
        }
        if !complete {
            decoder.closed().map_err(|error| error.to_string())?;
        }
        Ok((decoder.into_response(), input.to_vec()))
    }

    fn in_every_split(wire: &[u8]) -> Response {
        let (whole, _) = decode(wire, wire.len()).expect("decodes");
        for size in 1..wire.len() {
            assert_eq!(
                decode(wire, size).expect("decodes").0,
                whole,
                "pieces of {size}"
            );
        }
        whole
    }

    #[test]
    fn a_content_length_body_survives_every_split() {
        let response = in_every_split(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world");
        assert_eq!(
            (
                response.status,
                response.body.as_slice(),
                response.keep_alive
            ),
            (200, &b"hello world"[..], true)
        );
    }

    #[test]
    fn a_chunked_body_survives_every_split() {
        let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(in_every_split(wire).body, b"hello world");
    }

    #[test]
    fn bytes_after_the_response_stay_for_the_next() {
        let (first, rest) = decode(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1",
            1_000,
        )
        .expect("decodes");
        assert_eq!(
            (first.body.as_slice(), rest.as_slice()),
            (&b"ok"[..], &b"HTTP/1.1"[..])
        );
    }

    #[test]
    fn an_interim_response_is_skipped() {
        let response = in_every_split(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx",
        );
        assert_eq!(
            (response.status, response.body.as_slice()),
            (404, &b"x"[..])
        );
    }

    #[test]
    fn a_status_without_a_body_is_complete_at_its_head() {
        assert_eq!(
            in_every_split(b"HTTP/1.1 204 No Content\r\n\r\n").status,
            204
        );
        assert_eq!(
            in_every_split(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").body,
            b""
        );
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let response = in_every_split(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
        assert_eq!(
            (response.body.as_slice(), response.keep_alive),
            (&b"all of it"[..], false)
        );
    }

    #[test]
    fn connection_headers_decide_about_keep_alive() {
        assert!(
            !in_every_split(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")
                .keep_alive
        );
        assert!(!in_every_split(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(
            in_every_split(
                b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
            )
            .keep_alive
        );
    }

    #[test]
    fn a_short_or_broken_response_is_an_error() {
        let broken: [&[u8]; 7] = [
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            b"not http at all\r\n\r\n",
        ];
        for wire in broken {
            assert!(
                decode(wire, 7).is_err(),
                "{}",
                String::from_utf8_lossy(wire)
            );
        }
    }
}
