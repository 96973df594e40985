//! What goes on beside the requests.

use std::{sync::Arc, time::Duration};

use super::parts::Parts;
use crate::{shutdown::Shutdown, telemetry::Metrics};

const METRICS_EVERY: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// Begins every duty. They end with the process, or when it is about to.
pub(super) fn begin(parts: &Parts, metrics: &Metrics, shutdown: &Shutdown) {
    let typing = Arc::clone(&parts.typing);
    let stop = shutdown.signal().into_watch();
    actix_rt::spawn(async move { typing.run(stop).await });
    let presence = Arc::clone(&parts.presence);
    let stop = shutdown.signal().into_watch();
    actix_rt::spawn(async move { presence.run(stop).await });
    let fan_out = Arc::clone(&parts.fan_out);
    let stop = shutdown.signal().into_watch();
    actix_rt::spawn(async move { fan_out.run(stop).await });
    let search = Arc::clone(&parts.search);
    let stop = shutdown.signal().into_watch();
    actix_rt::spawn(async move { search.run(stop).await });
    let metrics = metrics.clone();
    every(METRICS_EVERY, move || metrics.upkeep());
    let sync = parts.sync.clone();
    every(SWEEP_EVERY, move || sync.sweep());
    let push = parts.push.clone();
    every(SWEEP_EVERY, move || {
        let push = push.clone();
        actix_rt::spawn(async move { push.sweep().await });
    });
}

fn every(period: Duration, mut duty: impl FnMut() + 'static) {
    actix_rt::spawn(async move {
        let mut ticks = actix_rt::time::interval(period);
        loop {
            ticks.tick().await;
            duty();
        }
    });
}
