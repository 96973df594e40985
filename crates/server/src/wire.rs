//! Builds every part and connects them: the one place that knows them all.

mod duties;
mod health;
mod hooks;
mod keys;
mod parts;

use std::{io, sync::Arc};

use actix_web::{App, web};
use greenroom_api::client::DeactivationHook;
use greenroom_storage::StorageError;

use self::{
    health::Health,
    hooks::LeaveRooms,
    keys::KeyError,
    parts::{Parts, open_database},
};
use crate::{
    config::{Config, LogFormat},
    data_dir::{DataDir, DataDirError},
    http_server::{bind, listen},
    shutdown::{Shutdown, Stopped, serve_until_stopped, signals},
    telemetry::{Metrics, TelemetryError},
};

pub(crate) use self::parts::administration;

/// Why the server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the database cannot be used: {0}")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Auth(#[from] greenroom_auth::AuthError),
    #[error(transparent)]
    Bind(#[from] bind::BindError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until a signal comes. Returns how it came to its end; the process exits with what that says.
///
/// # Errors
///
/// If a part cannot be built, or the server fails.
pub(crate) async fn serve(config: Config) -> Result<Stopped, ServeError> {
    let metrics = Metrics::install()?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let _lock = data_dir.lock()?;
    let shutdown = Shutdown::new();
    let signals = signals()?;
    let database = open_database(&config, &data_dir)?;
    let parts = Parts::start(&config, &data_dir, &database, &shutdown)?;
    let bound = bind::bind(&config, &data_dir, parts.now_s())?;
    let base_url = config.base_url(bound.http.first().copied());

    let app = parts.app_data(&config, base_url.clone());
    let hook: Arc<dyn DeactivationHook> = Arc::new(LeaveRooms(parts.rooms.clone()));
    let health = web::Data::new(Health::new(database.clone()));
    let example_app = config.example_app;
    let factory = move || {
        let (app, health) = (app.clone(), health.clone());
        App::new()
            .app_data(web::Data::from(Arc::clone(&hook)))
            .configure(move |cfg| app.configure(cfg))
            .configure(move |cfg| health::configure(cfg, health))
            .configure(greenroom_web::configure_login)
            .configure(move |cfg| {
                if example_app {
                    greenroom_web::configure_app(cfg);
                }
            })
            .configure(greenroom_api::client::configure)
    };
    let server = listen::run(bound.listeners, &bind::http_settings(&config), factory)?;
    if let Some(address) = config.metrics_listen {
        let address = metrics.serve(address)?;
        tracing::info!(%address, "metrics are served at /metrics");
    }
    duties::begin(&parts, &metrics, &shutdown);
    announce(&config, &bound.http, &bound.https);
    let stopped = serve_until_stopped(server, signals, &shutdown).await?;
    database.close().await;
    tracing::info!("stopped");
    Ok(stopped)
}

/// The line that says that the server is ready, and what to do now.
fn announce(config: &Config, http: &[std::net::SocketAddr], https: &[std::net::SocketAddr]) {
    let url = http
        .first()
        .map(|address| format!("http://{address}"))
        .unwrap_or_default();
    let tls_url = https.first().map(|address| format!("https://{address}"));
    let app = match config.example_app {
        true => format!("{url}/"),
        false => "off".to_owned(),
    };
    let create_user = match config.registration {
        crate::config::Registration::Open => "register on the page, or: greenroom user create NAME",
        crate::config::Registration::Token => {
            "greenroom registration-token create, or: greenroom user create NAME"
        }
        crate::config::Registration::Closed => "greenroom user create NAME",
    };
    let database = config.database_url.to_string();
    match (tls_url, config.log_format) {
        (Some(tls_url), LogFormat::Text | LogFormat::Json) => tracing::info!(
            url, tls_url, server_name = %config.server_name, database, app, create_user,
            "greenroom is ready"
        ),
        (None, LogFormat::Text | LogFormat::Json) => tracing::info!(
            url, server_name = %config.server_name, database, app, create_user,
            "greenroom is ready"
        ),
    }
}
