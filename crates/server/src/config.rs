//! The configuration: read from four layers, checked as a whole, and handed to the parts as typed settings.

mod layers;
mod outbound;
mod rate_limits;
mod reader;
mod report;
mod settings;
mod values;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use greenroom_api::{Network, RateLimitSettings};
use ruma::{OwnedServerName, ServerName};

use self::{layers::Layers, reader::Reader};

#[cfg(test)]
pub(crate) use self::settings::Setting;
pub(crate) use self::{
    layers::Sources,
    outbound::Outbound,
    values::{DatabaseUrl, LogFormat, Presence, Registration},
};

/// The default of `request_body_bytes`.
///
/// An event of 64 KiB can be six times as long on the wire, each character escaped; a batch of a client's key backup has some
/// 250 KiB; a room can be created with dozens of state events. 2 MiB holds all of these and keeps 500 hostile uploads in 1 GiB.
const REQUEST_BODY_BYTES: u64 = 2 * 1024 * 1024;

/// The default of `data_dir`.
pub(crate) const DEFAULT_DATA_DIR: &str = "./greenroom-data";

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `listen`: where HTTP is served. Default 127.0.0.1:8008. Port 0 picks a free one.
    pub(crate) listen: Vec<SocketAddr>,
    /// `[tls]`: where HTTPS is served, if anywhere.
    pub(crate) tls: Option<Tls>,
    /// `data_dir`: database, media, keys. Default ./greenroom-data.
    pub(crate) data_dir: PathBuf,
    /// `server_name`: what comes behind the colon of every user ID. Default localhost. Never to be changed once there are users.
    pub(crate) server_name: OwnedServerName,
    /// `database_url`. Default greenroom.db in the data directory.
    pub(crate) database_url: DatabaseUrl,
    /// `public_base_url`: how clients reach this server, for `/.well-known/matrix/client`. See [`Config::base_url`].
    pub(crate) public_base_url: Option<String>,
    /// `registration`. Default open if every address it listens on is a loopback address, closed otherwise.
    pub(crate) registration: Registration,
    /// `rate_limits`: `None` where they are off. Default on.
    pub(crate) rate_limits: Option<RateLimitSettings>,
    /// `workers`: threads for HTTP, and as many for rooms. Default the number of cores.
    pub(crate) workers: usize,
    /// `log`: what is logged, as a filter of the `tracing` crate. Default info.
    pub(crate) log: String,
    /// `log_format`. Default text.
    pub(crate) log_format: LogFormat,
    /// `example_app`: whether the example application is served at `/`. Default on.
    pub(crate) example_app: bool,
    /// `metrics_listen`: where `/metrics` is served. Default nowhere.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// `trusted_proxies`: from whom `X-Forwarded-For` is believed. Default nobody.
    pub(crate) trusted_proxies: Vec<Network>,
    /// `presence`: who sees whether users are online. Default on.
    pub(crate) presence: Presence,
    /// `[outbound]`.
    pub(crate) outbound: Outbound,
    /// `[limits]`.
    pub(crate) limits: Limits,
    /// `shutdown_timeout_seconds`: how long requests may go on after a signal to stop. Default 4.
    pub(crate) shutdown_timeout: Duration,
}

/// The settings that are flags too, for comparing them with the command line.
#[cfg(test)]
pub(crate) fn settings_with_flags() -> impl Iterator<Item = &'static Setting> {
    settings::SETTINGS.iter().filter(|setting| setting.flag)
}

/// `[tls]`.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// `tls.listen`. Default 127.0.0.1:8448 if `listen` has loopback addresses only, otherwise none.
    pub(crate) listen: Vec<SocketAddr>,
    /// Whether somebody asked for it: if so an address that is taken is an error, if not it is gone without.
    pub(crate) required: bool,
    /// `tls.certificate` and `tls.key`. Default a self-signed certificate in the data directory.
    pub(crate) files: Option<CertificateFiles>,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `limits.request_body_bytes`: the longest body of a request that is not media. Default 2 MiB.
    pub(crate) request_body_bytes: usize,
    /// `limits.parked_syncs_per_device`: how many syncs of a device may wait; one more answers the oldest. Default 8.
    pub(crate) parked_syncs_per_device: usize,
    /// `limits.connections_per_worker`. Default 25000.
    pub(crate) connections_per_worker: usize,
}

/// One thing that is wrong with the configuration, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl Problem {
    fn new(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) struct ConfigError {
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

/// A configuration with what is to be told about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// What may be a mistake but is none for sure.
    pub(crate) warnings: Vec<String>,
    layers: Layers,
}

impl Config {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    ///
    /// With every problem that there is, not only the first.
    pub(crate) fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let layers = Layers::read(sources, &mut problems, &mut warnings);
        let mut reader = Reader {
            layers: &layers,
            problems,
        };
        let config = read(&mut reader, &mut warnings);
        let problems = reader.problems;
        if problems.is_empty() {
            Ok(Loaded {
                config,
                warnings,
                layers,
            })
        } else {
            Err(ConfigError { problems })
        }
    }

    /// How clients reach this server: as configured; or by its name; or, where the name is no public one, where it listens.
    ///
    /// `bound` is an address that it listens on, for HTTP without TLS.
    pub(crate) fn base_url(&self, bound: Option<SocketAddr>) -> String {
        match (&self.public_base_url, bound) {
            (Some(url), _) => url.clone(),
            (None, Some(bound)) if is_local_name(&self.server_name) => format!("http://{bound}"),
            (None, _) => format!("https://{}", self.server_name.host()),
        }
    }
}

fn is_local_name(name: &ServerName) -> bool {
    name.host() == "localhost"
        || name
            .host()
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

fn read(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Config {
    let listen = read_listen(reader);
    let local = listen.iter().all(|address| address.ip().is_loopback());
    let tls = read_tls(reader, local);
    let data_dir = PathBuf::from(
        reader
            .text("data_dir")
            .unwrap_or_else(|| DEFAULT_DATA_DIR.to_owned()),
    );
    if data_dir.as_os_str().is_empty() {
        reader.problem("data_dir", "must not be empty");
    }
    let database_url = reader.parse("database_url", DatabaseUrl::in_data_dir(&data_dir));
    let server_name = read_server_name(reader, local, warnings);
    Config {
        registration: read_registration(reader, &listen, tls.as_ref(), warnings),
        public_base_url: read_public_base_url(reader),
        rate_limits: rate_limits::read(reader),
        workers: usize_of(reader.number("workers", cores(), 1..=512)),
        log: read_log(reader),
        log_format: reader.parse("log_format", LogFormat::Text),
        example_app: reader.switch("example_app", true),
        metrics_listen: read_metrics_listen(reader),
        trusted_proxies: read_trusted_proxies(reader),
        presence: reader.parse("presence", Presence::On),
        outbound: outbound::read(reader),
        limits: Limits {
            // Not below what one event may need.
            request_body_bytes: usize_of(reader.number(
                "limits.request_body_bytes",
                REQUEST_BODY_BYTES,
                524_288..=1 << 30,
            )),
            parked_syncs_per_device: usize_of(reader.number(
                "limits.parked_syncs_per_device",
                8,
                1..=1000,
            )),
            connections_per_worker: usize_of(reader.number(
                "limits.connections_per_worker",
                25_000,
                16..=1_000_000,
            )),
        },
        shutdown_timeout: Duration::from_secs(reader.number(
            "shutdown_timeout_seconds",
            4,
            1..=600,
        )),
        listen,
        tls,
        data_dir,
        server_name,
        database_url,
    }
}

/// Lossless: the ranges end far below.
fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(512) as u64)
}

fn read_listen(reader: &mut Reader<'_>) -> Vec<SocketAddr> {
    let before = reader.problems.len();
    let listen = reader
        .addresses("listen")
        .unwrap_or_else(|| vec![SocketAddr::from(([127, 0, 0, 1], 8008))]);
    if listen.is_empty() && reader.problems.len() == before {
        reader.problem("listen", "names no address");
    }
    listen
}

fn read_tls(reader: &mut Reader<'_>, local: bool) -> Option<Tls> {
    let certificate = reader.text("tls.certificate");
    let key = reader.text("tls.key");
    let files = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (PathBuf::from(certificate), PathBuf::from(key));
            for (setting, path) in [("tls.certificate", &certificate), ("tls.key", &key)] {
                if !path.is_file() {
                    reader.problem(setting, format!("there is no file {}", path.display()));
                }
            }
            Some(CertificateFiles { certificate, key })
        }
        (Some(_), None) => {
            reader.problem("tls.certificate", "needs `tls.key` too");
            None
        }
        (None, Some(_)) => {
            reader.problem("tls.key", "needs `tls.certificate` too");
            None
        }
    };
    let setting = reader.list("tls.listen");
    if setting.as_deref() == Some(&["off".to_owned()]) {
        return None;
    }
    let required = setting.is_some();
    let listen = match reader.addresses("tls.listen") {
        Some(addresses) => addresses,
        None if local => vec![SocketAddr::from(([127, 0, 0, 1], 8448))],
        None => {
            if files.is_some() {
                reader.problem(
                    "tls.certificate",
                    "is of no use without `tls.listen`, for example `0.0.0.0:8448`",
                );
            }
            return None;
        }
    };
    (!listen.is_empty()).then_some(Tls {
        listen,
        required,
        files,
    })
}

fn read_server_name(
    reader: &mut Reader<'_>,
    local: bool,
    warnings: &mut Vec<String>,
) -> OwnedServerName {
    let name = reader
        .text("server_name")
        .unwrap_or_else(|| "localhost".to_owned());
    let parsed = match ServerName::parse(&name) {
        Ok(parsed)
            if parsed
                .as_str()
                .bytes()
                .any(|byte| byte.is_ascii_uppercase()) =>
        {
            reader.problem("server_name", "must be in lowercase");
            parsed
        }
        Ok(parsed) => parsed,
        Err(_) => {
            reader.problem(
                "server_name",
                format!("`{name}` is no server name, such as example.org or localhost"),
            );
            return ruma::server_name!("localhost").to_owned();
        }
    };
    if !local && is_local_name(&parsed) {
        warnings.push(format!(
            "other machines can connect but `server_name` is {parsed}: choose the final name before the first user registers"
        ));
    }
    parsed
}

/// The default is open where only this machine can connect. Elsewhere open needs the consent of somebody who has read what it does.
fn read_registration(
    reader: &mut Reader<'_>,
    listen: &[SocketAddr],
    tls: Option<&Tls>,
    warnings: &mut Vec<String>,
) -> Registration {
    const CONSENT: &str = "i_accept_spam_from_open_registration";
    let public: Vec<String> = listen
        .iter()
        .chain(tls.iter().flat_map(|tls| &tls.listen))
        .filter(|address| !address.ip().is_loopback())
        .map(SocketAddr::to_string)
        .collect();
    let default = if public.is_empty() {
        Registration::Open
    } else {
        Registration::Closed
    };
    let proxied = ["trusted_proxies", "public_base_url"]
        .into_iter()
        .find(|key| reader.layers.value(key).is_some());
    if let Some(key) = proxied
        && default == Registration::Open
        && reader.layers.value("registration").is_none()
    {
        warnings.push(format!(
            "anybody can register: `registration` is not set, and it is open where `listen` has loopback addresses only. \
             `{key}` is set, so others may come through a proxy: set `registration` to `token`, `closed` or `open`"
        ));
    }
    let registration = reader.parse("registration", default);
    let consent = reader.switch(CONSENT, false);
    if registration == Registration::Open && !public.is_empty() && !consent {
        reader.problem(
            "registration",
            format!(
                "is `open` while other machines can connect ({}): anybody could make any number of accounts here and send spam \
                 from them. Set `registration = \"token\"` and hand out tokens from `greenroom registration-token create`, or \
                 `registration = \"closed\"` and make accounts with `greenroom user create`. If you want it open all the same, set \
                 `{CONSENT} = true` (--i-accept-spam-from-open-registration)",
                public.join(", ")
            ),
        );
    }
    registration
}

fn read_public_base_url(reader: &mut Reader<'_>) -> Option<String> {
    let url = reader.text("public_base_url")?;
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let plain = |rest: &str| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', ' ', '"', '<', '@'])
    };
    if !rest.is_some_and(plain) {
        reader.problem(
            "public_base_url",
            "must be a URL such as https://matrix.example.org",
        );
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn read_log(reader: &mut Reader<'_>) -> String {
    let filter = reader.text("log").unwrap_or_else(|| "info".to_owned());
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        reader.problem("log", format!("{error}. Use `warn`, `info`, `debug` or a filter such as `info,greenroom_rooms=debug`"));
    }
    filter
}

fn read_metrics_listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    if reader.text("metrics_listen").as_deref() == Some("off") {
        return None;
    }
    let addresses = reader.addresses("metrics_listen")?;
    if addresses.len() > 1 {
        reader.problem("metrics_listen", "must be one address");
    }
    addresses.first().copied()
}

fn read_trusted_proxies(reader: &mut Reader<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in reader.list("trusted_proxies").unwrap_or_default() {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(error) => reader.problem("trusted_proxies", format!("`{text}` is {error}")),
        }
    }
    networks
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "config/docs_tests.rs"]
mod docs_tests;
