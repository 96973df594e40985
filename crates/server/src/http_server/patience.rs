//! How long a connection is waited for when it says it will go on and does not.
//!
//! actix guards the first head of a connection only. Without this, a client that sends its second request a byte at a time, a
//! body at one byte a second, or reads nothing of a large answer holds a connection and its buffers for as long as it likes.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::time::{Sleep, sleep};

use super::framer::{Place, RequestFramer};

/// The limits. A client that stays within them may take as long as it wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// From the first wait within a head to its end. Also the time for a TLS handshake.
    pub(crate) head: Duration,
    /// In each such span of waiting for a body, at least `body_bytes` must come.
    pub(crate) body: Duration,
    /// See `body`.
    pub(crate) body_bytes: usize,
    /// In each such span of waiting for the client to read an answer, at least `write_bytes` must go.
    pub(crate) write: Duration,
    /// See `write`.
    pub(crate) write_bytes: usize,
}

impl Default for Patience {
    /// 10 s for a head; 4 KiB per 30 s of a body, half of what GPRS carries; 16 KiB per 60 s of an answer, of which the kernel
    /// takes the next bytes only when much of what it holds is read.
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_bytes: 4096,
            write: Duration::from_mins(1),
            write_bytes: 16 * 1024,
        }
    }
}

/// Waiting for the other side to write. There is a timer only where a read had to wait inside a request.
#[derive(Debug, Default)]
pub(super) struct ReadWait {
    timer: Option<Pin<Box<Sleep>>>,
    /// Where it began, and in which request.
    since: Option<(Place, u64)>,
    bytes: usize,
}

impl ReadWait {
    /// So many bytes have come, up to where `framer` is now.
    pub(super) fn progress(&mut self, bytes: usize, framer: &RequestFramer) {
        if self.timer.is_none() {
            return;
        }
        if self.since == Some((framer.place(), framer.requests())) {
            self.bytes = self.bytes.saturating_add(bytes);
        } else {
            *self = Self::default();
        }
    }

    /// There is nothing to read. Ready with an error when that is one time too many.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        framer: &RequestFramer,
        limits: &Patience,
    ) -> Poll<io::Error> {
        let place = framer.place();
        let limit = match place {
            Place::Between | Place::Tunnel => {
                *self = Self::default();
                return Poll::Pending;
            }
            Place::Head => limits.head,
            Place::Body => limits.body,
        };
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
            self.since = Some((place, framer.requests()));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if place == Place::Head || self.bytes < limits.body_bytes {
                return Poll::Ready(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client is too slow to send",
                ));
            }
            *self = Self::default();
        }
    }
}

/// Waiting for the other side to read. There is a timer only from where a write had to wait until everything is written.
#[derive(Debug, Default)]
pub(super) struct WriteWait {
    timer: Option<Pin<Box<Sleep>>>,
    bytes: usize,
}

impl WriteWait {
    /// Lets what an attempt to write has answered pass, unless it has been 'not yet' too often for what was taken meanwhile.
    pub(super) fn written(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<usize>>,
        limits: &Patience,
    ) -> Poll<io::Result<usize>> {
        match attempt {
            Poll::Ready(Ok(bytes)) => {
                if self.timer.is_some() {
                    self.bytes = self.bytes.saturating_add(bytes);
                }
                attempt
            }
            Poll::Ready(Err(_)) => attempt,
            Poll::Pending => self.poll(cx, limits).map(Err),
        }
    }

    /// The same for an attempt to bring everything out that was written.
    pub(super) fn flushed(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<()>>,
        limits: &Patience,
    ) -> Poll<io::Result<()>> {
        if attempt.is_ready() {
            *self = Self::default();
            return attempt;
        }
        self.poll(cx, limits).map(Err)
    }

    fn poll(&mut self, cx: &mut Context<'_>, limits: &Patience) -> Poll<io::Error> {
        loop {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep(limits.write)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.bytes < limits.write_bytes {
                return Poll::Ready(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client is too slow to read its answer",
                ));
            }
            *self = Self::default();
        }
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
