//! Lets requests through whose target has characters that belong percent-encoded, such as the tutorials' `?filter={"room":…}`.
//!
//! actix hands the request target to `http` 0.2, whose URI parser refuses a raw `"`, `<` or `>` in a query, so that the client
//! gets a bare 400 before any handler is asked. This adapter stands between the socket (or TLS) and actix and writes `%22` and the
//! like instead, in request targets and nowhere else. A request without such a character is read straight into actix's buffer
//! and only looked at: no byte is copied.
//!
//! What it cannot follow it does not let through either: see [`framer`](super::framer).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};

use tokio::sync::watch;

use super::{
    framer::{RequestFramer, Step},
    patience::{Patience, ReadWait, WriteWait},
};

/// Wherever it stands in a head or between chunks, no HTTP parser takes a CR that no LF follows: actix answers 400 and closes.
const POISON: &[u8] = b"\r\0";

/// A connection whose request targets are such as actix accepts. See the module's documentation.
#[derive(Debug)]
pub(crate) struct QuoteAdapter<T> {
    io: T,
    framer: RequestFramer,
    /// What could not be given to the reader at once because it has grown. At most three times what one read returned.
    grown: Vec<u8>,
    given: usize,
    refused: bool,
    gone: watch::Sender<bool>,
    limits: Patience,
    read_wait: ReadWait,
    write_wait: WriteWait,
}

impl<T> QuoteAdapter<T> {
    /// Wraps a connection on which nothing has been read yet.
    pub(crate) fn new(io: T, limits: Patience) -> Self {
        Self {
            io,
            framer: RequestFramer::new(),
            grown: Vec::new(),
            given: 0,
            refused: false,
            gone: watch::Sender::new(false),
            limits,
            read_wait: ReadWait::default(),
            write_wait: WriteWait::default(),
        }
    }

    /// Turns `true` when the client has closed its side or the connection has failed.
    ///
    /// actix goes on with a handler whose client has hung up, which is right for one that changes
    /// something. One that only waits can look at this and stop.
    pub(crate) fn gone(&self) -> watch::Receiver<bool> {
        self.gone.subscribe()
    }

    /// Gives what is left over from an earlier read. `false` if nothing is.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let left = self.grown.get(self.given..).unwrap_or_default();
        if left.is_empty() {
            return false;
        }
        let now = left.len().min(buf.remaining());
        buf.put_slice(left.get(..now).unwrap_or_default());
        self.given += now;
        if self.given == self.grown.len() {
            self.grown = Vec::new();
            self.given = 0;
        }
        true
    }

    /// Looks at what has just been read into `buf` behind `before`, and changes it where that must be.
    fn inspect(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let read = buf.filled().get(before..).unwrap_or_default();
        let mut step = self.framer.step(read);
        let clean = match step {
            Step::Clean => return,
            Step::Encode(at) | Step::Refuse(at) => at,
        };
        let mut rest = read.get(clean..).unwrap_or_default();
        // Room for a filter of which every third character is a quote.
        self.grown.reserve(rest.len().saturating_mul(2));
        loop {
            match step {
                Step::Clean => {
                    self.grown.extend_from_slice(rest);
                    break;
                }
                Step::Encode(_) => {
                    let Some((byte, behind)) = rest.split_first() else {
                        break;
                    };
                    self.grown.extend_from_slice(&percent_encoded(*byte));
                    rest = behind;
                }
                Step::Refuse(_) => {
                    self.grown.extend_from_slice(POISON);
                    self.refused = true;
                    break;
                }
            }
            step = self.framer.step(rest);
            if let Step::Encode(at) | Step::Refuse(at) = step {
                let (passed, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
                self.grown.extend_from_slice(passed);
                rest = behind;
            }
        }
        buf.set_filled(before + clean);
        self.give(buf);
    }
}

fn percent_encoded(byte: u8) -> [u8; 3] {
    let digit = |half: u8| {
        if half < 10 {
            b'0' + half
        } else {
            b'A' + half - 10
        }
    };
    [b'%', digit(byte >> 4), digit(byte & 0x0f)]
}

impl<T: AsyncRead + Unpin> AsyncRead for QuoteAdapter<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.give(buf) || this.refused {
            // Behind a refusal: the end of the stream, for actix not to wait for what it will never see.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() == before && buf.remaining() > 0 {
                    this.gone.send_replace(true);
                }
                this.inspect(buf, before);
                this.read_wait
                    .progress(buf.filled().len().saturating_sub(before), &this.framer);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                this.gone.send_replace(true);
                match error.kind() {
                    // A client that leaves without a word leaves like one that says goodbye: to
                    // actix an error is a reason to drop the handler half-way.
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                        Poll::Ready(Ok(()))
                    }
                    _ => Poll::Ready(Err(error)),
                }
            }
            Poll::Pending => this.read_wait.poll(cx, &this.framer, &this.limits).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for QuoteAdapter<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.write_wait.written(cx, attempt, &this.limits)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.write_wait.written(cx, attempt, &this.limits)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // TLS keeps what it has taken until the socket takes it: waiting for that is waiting for the reader too.
        let attempt = Pin::new(&mut this.io).poll_flush(cx);
        this.write_wait.flushed(cx, attempt, &this.limits)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.io).poll_shutdown(cx);
        this.write_wait.flushed(cx, attempt, &this.limits)
    }
}

#[cfg(test)]
#[path = "quote_adapter_tests.rs"]
mod tests;
