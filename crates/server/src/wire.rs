//! Builds every part and connects them: the one place that knows them all.

mod duties;
mod health;
mod hooks;
mod keys;
mod outbound;
mod parts;

use std::{io, path::Path, sync::Arc, time::Duration};

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
    admin::Control,
    config::{Config, DEFAULT_DATA_DIR, LogFormat, Registration},
    data_dir::{DataDir, DataDirError},
    http_server::{bind, listen},
    shutdown::{Shutdown, Stopped, serve_until_stopped, signals},
    telemetry::{Metrics, TelemetryError},
};

pub(crate) use self::parts::administration;

/// How long commands of an operator may go on when the requests are done.
const COMMANDS_PATIENCE: Duration = Duration::from_millis(500);

/// Why the server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{cause} (database_url: {database}){}", hint(.cause))]
    Database {
        /// Where it is, without a password.
        database: String,
        cause: StorageError,
    },
    /// What is needed for requests to the outside.
    #[error("{0}")]
    Outbound(String),
    #[error(transparent)]
    Auth(#[from] greenroom_auth::AuthError),
    #[error(transparent)]
    Bind(#[from] bind::BindError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What an operator can do about a database that does not open, where its own words do not say.
fn hint(cause: &StorageError) -> &'static str {
    let said = cause.to_string();
    if said.contains("is not a database") {
        ". Name another file, or restore this one from a backup"
    } else if said.contains("is malformed") {
        ". The file is damaged: restore it from a backup"
    } else if said.contains("readonly database") {
        ". The file and those beside it must belong to the user that runs greenroom, on a file \
         system that is mounted for writing"
    } else {
        ""
    }
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
        let address = metrics
            .serve(address)
            .map_err(|cause| bind::BindError::Address { address, cause })?;
        tracing::info!(%address, "metrics are served at /metrics");
    }
    duties::begin(&parts, &metrics, &shutdown);
    let pushers = outbound::serve_pushers(&parts.pushers, &shutdown);
    let control = take_commands(&data_dir, &parts, &shutdown);
    announce(&config, &bound.http, &bound.https);
    let stopped = serve_until_stopped(server, signals, &shutdown).await?;
    if let (Some(control), Stopped::Gracefully) = (control, stopped) {
        // Longer than a command takes, unless it waits for what has stopped; late ones find the database closed.
        let _late = actix_rt::time::timeout(COMMANDS_PATIENCE, control).await;
    }
    outbound::stop_pushers(pushers).await;
    parts.push.stop().await;
    database.close().await;
    tracing::info!("stopped");
    Ok(stopped)
}

/// Begins to carry out what commands of an operator ask for. Without, the server serves all the same.
fn take_commands(
    data_dir: &DataDir,
    parts: &Parts,
    shutdown: &Shutdown,
) -> Option<actix_rt::task::JoinHandle<()>> {
    match Control::open(data_dir) {
        Ok(control) => Some(actix_rt::spawn(
            control.serve(parts.operator(), shutdown.signal()),
        )),
        Err(error) => {
            tracing::warn!(%error, "no control socket: commands such as `greenroom user create` need the server stopped");
            None
        }
    }
}

/// The line that says that the server is ready, and what to do now.
fn announce(config: &Config, http: &[std::net::SocketAddr], https: &[std::net::SocketAddr]) {
    let url = http
        .first()
        .map(|address| format!("http://{address}"))
        .unwrap_or_default();
    let tls_url = https.first().map(|address| format!("https://{address}"));
    let app = if config.example_app {
        format!("{url}/")
    } else {
        "off".to_owned()
    };
    let command = command_line(&config.data_dir);
    let create_user = match config.registration {
        Registration::Open => format!("register on the page, or: {}", command("user create NAME")),
        Registration::Token => format!(
            "{} (who has it can register), or: {}",
            command("registration-token create"),
            command("user create NAME")
        ),
        Registration::Closed => command("user create NAME"),
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

/// How to type a command for the server of this data directory: `cargo run` puts no `greenroom` on the path.
fn command_line(data_dir: &Path) -> impl Fn(&str) -> String {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "greenroom".to_owned());
    let flag = if data_dir == Path::new(DEFAULT_DATA_DIR) {
        String::new()
    } else {
        format!(" --data-dir {}", in_shell(&data_dir.to_string_lossy()))
    };
    move |command| format!("{} {command}{flag}", in_shell(&program))
}

/// A word as a shell takes it.
fn in_shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, expected) in [
            ("target/release/greenroom", "target/release/greenroom"),
            ("my data", "'my data'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(in_shell(word), expected);
        }
    }

    #[test]
    fn a_command_names_the_data_directory_unless_it_is_the_default() {
        let usual = command_line(Path::new("./greenroom-data"))("user create NAME");
        assert!(usual.ends_with(" user create NAME"), "{usual}");
        let other = command_line(Path::new("/srv/my data"))("user create NAME");
        assert!(
            other.ends_with(" user create NAME --data-dir '/srv/my data'"),
            "{other}"
        );
    }
}
