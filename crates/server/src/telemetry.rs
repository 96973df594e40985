//! What Greenroom tells about itself: log lines on stderr, and figures for Prometheus.

mod process;

use std::{
    io::{self, IsTerminal as _},
    net::{SocketAddr, TcpListener},
};

use actix_web::{App, HttpResponse, web};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, filter::ParseError, util::TryInitError};

use crate::config::LogFormat;

/// What other crates log that is no news to an operator, or that any stranger could fill the disk with: actix tells of each bad
/// request as an error, rustls of each handshake that fails. The configured filter can ask for them by the same names.
const QUIET: &str =
    "actix_server=warn,actix_http::h1::dispatcher=off,rustls=error,ruma_state_res=warn";

/// How long things take, in seconds: finer where a message should be, coarser up to a long poll.
const SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// Why there can be no logs or figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("the log filter is not understood: {0}")]
    Filter(#[from] ParseError),
    #[error("could not start logging: {0}")]
    Logging(#[from] TryInitError),
    #[error("could not set up metrics: {0}")]
    Metrics(#[from] BuildError),
    #[error("metrics are set up already")]
    MetricsTwice,
}

/// Logs to stderr from now on.
///
/// # Errors
///
/// If the filter is wrong, or something else logs already.
pub(crate) fn init_logging(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder
            .json()
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init()?,
    }
    Ok(())
}

fn env_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
}

/// The figures of this process.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Collects what `metrics::counter!` and its like are told from now on.
    ///
    /// # Errors
    ///
    /// If something else does.
    pub(crate) fn install() -> Result<Self, TelemetryError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsTwice)?;
        Ok(Self { handle })
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut text = self.handle.render();
        process::render(&mut text);
        text
    }

    /// Drains what histograms have collected. To be called every few seconds: what nobody scrapes must not pile up.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Serves `/metrics` on a listener of its own for as long as the process lives.
    ///
    /// To be called within an actix system. Returns the address, whose port is the one that was picked if `address` has port 0.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub(crate) fn serve(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        let metrics = self.clone();
        let server =
            actix_web::HttpServer::new(move || App::new().configure(|cfg| metrics.configure(cfg)))
                .workers(1)
                .disable_signals()
                .listen(listener)?
                .run();
        actix_rt::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
        Ok(bound)
    }

    /// `GET /metrics`.
    pub(crate) fn configure(&self, cfg: &mut web::ServiceConfig) {
        cfg.app_data(web::Data::new(self.clone()))
            .route("/metrics", web::get().to(respond));
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
}

async fn respond(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", "text/plain; version=0.0.4; charset=utf-8"))
        .body(metrics.render())
}

#[cfg(test)]
mod tests {
    use actix_web::test;
    use metrics::Recorder as _;

    use super::*;

    #[::core::prelude::v1::test]
    fn a_filter_in_the_configuration_wins_over_ours() {
        let shown = env_filter("info,actix_server=debug").unwrap().to_string();
        assert!(
            shown.contains("actix_server=debug") && !shown.contains("actix_server=warn"),
            "{shown}"
        );
        assert!(
            env_filter("info")
                .unwrap()
                .to_string()
                .contains("rustls=error")
        );
        assert!(env_filter("greenroom=loud").is_err());
    }

    #[actix_web::test]
    async fn metrics_are_answered_in_the_text_format() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics {
            handle: recorder.handle(),
        };
        let key = metrics::Key::from_name("greenroom_commit_seconds");
        let metadata = metrics::Metadata::new("test", metrics::Level::INFO, None);
        recorder.register_histogram(&key, &metadata).record(0.002);
        let app = test::init_service(App::new().configure(|cfg| metrics.configure(cfg))).await;
        let request = test::TestRequest::get().uri("/metrics").to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        assert!(
            text.contains("greenroom_commit_seconds_bucket{le=\"0.0025\"} 1"),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
