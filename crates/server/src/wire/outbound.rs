//! The way to the outside, and who goes it.

use std::{fs, sync::Arc, time::Duration};

use greenroom_account::IgnoreLists;
use greenroom_model::Clock;
use greenroom_outbound::{Outbound, OutboundSettings, SetupError};
use greenroom_push::{PushService, PusherParts, Pushers};
use greenroom_storage_sql::Db;

use super::ServeError;
use crate::{
    config::{self, Config},
    shutdown::Shutdown,
};

/// How long the server waits for pushers when it stops: a little longer than they wait for gateways.
const LAST_NOTES: Duration = Duration::from_secs(1);

fn client(config: &config::Outbound) -> Result<Outbound, ServeError> {
    let certificates = config.certificates.as_ref();
    let path = || certificates.map_or_else(String::new, |path| path.display().to_string());
    let failed =
        |cause: String| ServeError::Outbound(format!("outbound.certificates: {}: {cause}", path()));
    let pem = certificates
        .map(|path| fs::read(path).map_err(|error| failed(error.to_string())))
        .transpose()?;
    let settings = OutboundSettings {
        allow: config.allow.clone(),
        certificates: pem,
    };
    Outbound::new(&settings).map_err(|error| match error {
        SetupError::Certificates(_) => failed(error.to_string()),
        SetupError::Tls(_) => ServeError::Outbound(error.to_string()),
    })
}

/// Everybody's pushers.
pub(super) fn pushers(
    config: &Config,
    database: &Db,
    push: &PushService,
    ignored: &Arc<IgnoreLists>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Pushers>, ServeError> {
    Ok(Arc::new(Pushers::new(PusherParts {
        pushers: database.shared(),
        members: database.shared(),
        timeline: database.shared(),
        state: database.shared(),
        push: push.clone(),
        ignores: Arc::clone(ignored) as _,
        outbound: client(&config.outbound)?,
        stream: database.stream().clone(),
        clock: Arc::clone(clock),
    })))
}

/// Begins to serve pushers.
pub(super) fn serve_pushers(
    pushers: &Arc<Pushers>,
    shutdown: &Shutdown,
) -> actix_rt::task::JoinHandle<()> {
    let (pushers, stop) = (Arc::clone(pushers), shutdown.signal().into_watch());
    actix_rt::spawn(async move { pushers.run(stop).await })
}

/// Waits until it is noted how far they have been served.
pub(super) async fn stop_pushers(serving: actix_rt::task::JoinHandle<()>) {
    // Who is late is served again after the next start.
    let _late = actix_rt::time::timeout(LAST_NOTES, serving).await;
}
