//! One task for all the timers of a tracker.

use std::time::Duration;

use greenroom_model::Clock;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

/// Something that changes with time alone.
pub(crate) trait Timed {
    /// Does everything that is due, and says when the next thing will be, in milliseconds of the
    /// clock.
    fn advance(&self) -> Option<u64>;
}

/// Keeps `timed` up to date until `shutdown` turns true or its sender is gone. `sooner` says that
/// the next thing is now due earlier than [`Timed::advance`] said.
pub(crate) async fn run(
    timed: &(impl Timed + Sync),
    clock: &dyn Clock,
    sooner: &Notify,
    mut shutdown: watch::Receiver<bool>,
) {
    let keep = async {
        loop {
            // The clock decides what is due; should it stand still or go back while the timer
            // runs, the timer is simply set again.
            match timed.advance() {
                Some(due_ms) => {
                    let wait_ms = due_ms.saturating_sub(clock.now_ms()).max(1);
                    tokio::select! {
                        () = sleep(Duration::from_millis(wait_ms)) => {}
                        () = sooner.notified() => {}
                    }
                }
                None => sooner.notified().await,
            }
        }
    };
    tokio::select! {
        () = keep => {}
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
}
