use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use actix_rt::time::timeout;

use super::*;
use crate::http_server::quote_adapter::QuoteAdapter;

/// A client that sends, and takes, a byte at a time, and lets wait for each.
struct Trickle {
    begins: &'static [u8],
    ready: bool,
}

impl Trickle {
    fn behind(begins: &'static [u8], limits: Patience) -> QuoteAdapter<Self> {
        QuoteAdapter::new(
            Self {
                begins,
                ready: false,
            },
            limits,
        )
    }

    /// Every other time.
    fn is_ready(&mut self, cx: &Context<'_>) -> bool {
        self.ready = !self.ready;
        if !self.ready {
            cx.waker().wake_by_ref();
        }
        self.ready
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        let byte = match self.begins.split_first() {
            Some((first, rest)) => {
                self.begins = rest;
                *first
            }
            None => b'x',
        };
        buf.put_slice(&[byte]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_ready(cx) {
            Poll::Ready(Ok(1))
        } else {
            Poll::Pending
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Short spans, in which so much must be read and written.
fn limits(bytes: usize) -> Patience {
    let span = Duration::from_millis(20);
    Patience {
        head: span,
        body: span,
        body_bytes: bytes,
        write: span,
        write_bytes: bytes,
    }
}

/// Longer than any span, and never waited for by a test that passes but where nothing is to end.
const LONG: Duration = Duration::from_millis(200);

async fn read_to_the_end(mut stream: QuoteAdapter<Trickle>) -> io::ErrorKind {
    let mut space = [0; 64];
    loop {
        let read = std::future::poll_fn(|cx| {
            Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut space))
        });
        if let Err(error) = read.await {
            return error.kind();
        }
        // Nothing here ever waits for the system: the timers have to have their turn.
        actix_rt::task::yield_now().await;
    }
}

async fn write_without_end(mut stream: QuoteAdapter<Trickle>) -> io::ErrorKind {
    loop {
        let write = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"answer"));
        if let Err(error) = write.await {
            return error.kind();
        }
        actix_rt::task::yield_now().await;
    }
}

/// What must end, and fails the test if it does not.
async fn ended(stream: impl Future<Output = io::ErrorKind>) -> io::ErrorKind {
    timeout(Duration::from_secs(30), stream).await.unwrap()
}

const BODY: &[u8] = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";

#[actix_rt::test]
async fn b46_a_head_has_an_end_however_steadily_it_comes() {
    let head = Trickle::behind(b"GET /x HTTP/1.1\r\nHost: a\r\nX: ", limits(1));
    assert_eq!(ended(read_to_the_end(head)).await, io::ErrorKind::TimedOut);
}

#[actix_rt::test]
async fn b46_a_body_comes_at_some_speed_or_not_at_all() {
    // So much that no trickle is enough.
    let mut strict = limits(usize::MAX);
    strict.head = Duration::from_mins(1);
    let slow = read_to_the_end(Trickle::behind(BODY, strict));
    assert_eq!(ended(slow).await, io::ErrorKind::TimedOut);
    let mut lenient = limits(1);
    lenient.head = Duration::from_mins(1);
    let steady = read_to_the_end(Trickle::behind(BODY, lenient));
    assert!(timeout(LONG, steady).await.is_err(), "a slow body is cut");
}

#[actix_rt::test]
async fn b46_an_answer_is_read_at_some_speed_or_not_at_all() {
    let slow = write_without_end(Trickle::behind(b"", limits(usize::MAX)));
    assert_eq!(ended(slow).await, io::ErrorKind::TimedOut);
    let steady = write_without_end(Trickle::behind(b"", limits(1)));
    assert!(timeout(LONG, steady).await.is_err(), "a slow reader is cut");
}
