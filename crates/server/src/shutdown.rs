//! How the process ends: on the first signal everything that was begun is finished, on the second nothing is.

use std::io;

use actix_server::Server;
use tokio::sync::{mpsc, watch};

/// Tells every part that the process is about to end.
#[derive(Debug)]
pub(crate) struct Shutdown {
    sender: watch::Sender<bool>,
}

/// Hears of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownSignal {
    receiver: watch::Receiver<bool>,
}

/// How serving came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// What was begun is finished; now the rest can be flushed.
    Gracefully,
    /// A second signal came: the process is to exit at once, with this code.
    AtOnce {
        /// 128 and the number of the signal, as shells count.
        exit_code: i32,
    },
}

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self {
            sender: watch::Sender::new(false),
        }
    }

    /// For a part that must know.
    pub(crate) fn signal(&self) -> ShutdownSignal {
        ShutdownSignal {
            receiver: self.sender.subscribe(),
        }
    }

    /// Every [`ShutdownSignal`] fires, also those made later.
    pub(crate) fn trigger(&self) {
        self.sender.send_replace(true);
    }
}

impl ShutdownSignal {
    /// Returns when the process is about to end, at once if it already is.
    pub(crate) async fn triggered(&mut self) {
        // An error says that the sender is gone, and with it everything that could still be waited for.
        let _gone = self.receiver.wait_for(|stopping| *stopping).await;
    }

    /// The same as a channel that turns `true` once, for crates that know nothing of this type.
    pub(crate) fn into_watch(self) -> watch::Receiver<bool> {
        self.receiver
    }
}

/// Listens for SIGTERM and SIGINT from now on.
///
/// # Errors
///
/// If the system does not let us.
pub(crate) fn signals() -> io::Result<mpsc::Receiver<Signal>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (sender, receiver) = mpsc::channel(4);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    actix_rt::spawn(async move {
        loop {
            let caught = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                else => return,
            };
            // With four of them waiting, one more changes nothing.
            if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(caught) {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Serves until a signal comes, then sees to it that what was begun is finished.
///
/// On the first signal the server stops accepting and `shutdown` fires, so that parked syncs answer. Requests that are then still
/// not done after the server's shutdown timeout are dropped.
///
/// # Errors
///
/// If the server fails.
pub(crate) async fn serve_until_stopped(
    mut server: Server,
    mut signals: mpsc::Receiver<Signal>,
    shutdown: &Shutdown,
) -> io::Result<Stopped> {
    let handle = server.handle();
    let first = tokio::select! {
        ended = &mut server => return ended.map(|()| Stopped::Gracefully),
        Some(signal) = signals.recv() => signal,
    };
    tracing::info!(
        signal = first.name(),
        "stopping: finishing what was started, a second signal exits at once"
    );
    shutdown.trigger();
    // The command is queued when `stop` is called; what it returns only says when it is done, and so does the server itself.
    drop(handle.stop(true));
    tokio::select! {
        ended = &mut server => ended.map(|()| Stopped::Gracefully),
        Some(second) = signals.recv() => {
            tracing::warn!(signal = second.name(), "exiting at once");
            Ok(Stopped::AtOnce { exit_code: second.exit_code() })
        }
    }
}
