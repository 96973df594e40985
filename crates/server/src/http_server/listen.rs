//! Builds the actix server on the listeners it is given.
//!
//! Not with `actix_web::HttpServer`, which knows TCP and TLS streams and nothing else, but with the parts it is made of, so that
//! [`QuoteAdapter`] fits between the stream and HTTP.

use std::{
    fmt,
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, Request, Response, body::MessageBody};
use actix_rt::net::TcpStream;
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_tls::accept::{
    TlsError, max_concurrent_tls_connect,
    rustls_0_23::{Acceptor, TlsStream},
};
use actix_web::dev::AppConfig;

use super::quote_adapter::QuoteAdapter;

pub(crate) use super::patience::Patience;

/// Sockets that are bound already.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) plain: Vec<TcpListener>,
    pub(crate) tls: Vec<(TcpListener, Arc<rustls::ServerConfig>)>,
}

/// What the server is to withstand.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// Threads that serve HTTP, 1 to 512.
    pub(crate) workers: usize,
    /// A worker with this many connections accepts no more until one of them ends.
    pub(crate) connections_per_worker: usize,
    /// For how long a connection without a request is kept.
    pub(crate) keep_alive: Duration,
    pub(crate) patience: Patience,
    /// For how long a connection is kept for the client to read the last answer and go.
    pub(crate) disconnect_timeout: Duration,
    /// For how long requests that were begun may go on after [`actix_server::ServerHandle::stop`], in whole seconds.
    pub(crate) shutdown_timeout_s: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            workers: 1,
            connections_per_worker: 25_000,
            // Longer than the 60 s after which common proxies close an idle connection: they, not we, close first, or their next
            // request meets a closed socket.
            keep_alive: Duration::from_secs(75),
            patience: Patience::default(),
            disconnect_timeout: Duration::from_secs(5),
            shutdown_timeout_s: 4,
        }
    }
}

/// Starts an application on `listeners`, with `factory` called once for each worker and listener.
///
/// The server serves as long as what is returned is awaited. Signals of the system are left to [`shutdown`](crate::shutdown).
///
/// # Errors
///
/// If a socket has no address or cannot be made non-blocking, or if there is none.
pub(crate) fn run<F, I, S, B>(
    listeners: Listeners,
    settings: &HttpSettings,
    factory: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    if listeners.plain.is_empty() && listeners.tls.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no address to listen on",
        ));
    }
    // A worker that reaches this number of handshakes stops accepting on every listener, plain ones too, so that 256 silent
    // clients (the default) would stop the server. The number of connections is limited anyway.
    max_concurrent_tls_connect(settings.connections_per_worker);

    let mut builder = Server::build()
        .workers(settings.workers.clamp(1, 512))
        .max_concurrent_connections(settings.connections_per_worker)
        .shutdown_timeout(settings.shutdown_timeout_s)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();

    for listener in listeners.plain {
        let protocol = Protocol::new(settings, listener.local_addr()?, false, stopping.clone());
        let factory = factory.clone();
        builder = builder.listen("http", listener, move || {
            let limits = protocol.patience;
            fn_service(move |stream: TcpStream| ready(Ok(wrap(stream, limits))))
                .and_then(protocol.http(factory().into_factory()))
        })?;
    }
    for (listener, tls) in listeners.tls {
        let protocol = Protocol::new(settings, listener.local_addr()?, true, stopping.clone());
        let factory = factory.clone();
        builder = builder.listen("https", listener, move || {
            let limits = protocol.patience;
            let mut acceptor = Acceptor::new(rustls::ServerConfig::clone(&tls));
            acceptor.set_handshake_timeout(limits.head);
            acceptor
                .map_init_err(|()| ())
                .map_err(TlsError::into_service_error)
                .map(move |stream: TlsStream<TcpStream>| {
                    let tcp = stream.get_ref().0;
                    let peer = tcp.peer_addr().ok();
                    no_delay(tcp);
                    (QuoteAdapter::new(stream, limits), peer)
                })
                .and_then(
                    protocol
                        .http(factory().into_factory())
                        .map_err(TlsError::Service),
                )
        })?;
    }
    Ok(builder.run())
}

fn wrap(stream: TcpStream, limits: Patience) -> (QuoteAdapter<TcpStream>, Option<SocketAddr>) {
    let peer = stream.peer_addr().ok();
    no_delay(&stream);
    (QuoteAdapter::new(stream, limits), peer)
}

/// An answer is written at once and whole: to wait for more to send only delays it.
fn no_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
}

/// What the HTTP layer of one listener is told.
#[derive(Clone)]
struct Protocol {
    keep_alive: Duration,
    patience: Patience,
    disconnect_timeout: Duration,
    address: SocketAddr,
    secure: bool,
    stopping: GracefulShutdownSignal,
}

impl Protocol {
    fn new(
        settings: &HttpSettings,
        address: SocketAddr,
        secure: bool,
        stopping: GracefulShutdownSignal,
    ) -> Self {
        Self {
            keep_alive: settings.keep_alive,
            patience: settings.patience,
            disconnect_timeout: settings.disconnect_timeout,
            address,
            secure,
            stopping,
        }
    }

    /// HTTP/1.1 for one listener and worker.
    fn http<Io, S, B>(
        &self,
        app: S,
    ) -> impl ServiceFactory<
        (QuoteAdapter<Io>, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = actix_http::error::DispatchError,
        InitError = (),
    > + use<Io, S, B>
    where
        Io: actix_codec::AsyncRead + actix_codec::AsyncWrite + Unpin + 'static,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        // actix-web gives nobody else a constructor; the one its own test crate uses is public.
        let config =
            AppConfig::__priv_test_new(self.secure, self.address.to_string(), self.address);
        let app = app.map_err(|error| error.into().error_response());
        let stopping = self.stopping.clone();
        HttpService::build()
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.patience.head)
            .client_disconnect_timeout(self.disconnect_timeout)
            .local_addr(self.address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // For handlers, as `HttpRequest::conn_data::<watch::Receiver<bool>>()`.
            .on_connect_ext(|connection: &QuoteAdapter<Io>, extensions| {
                extensions.insert(connection.gone());
            })
            .h1(map_config(app, move |()| config.clone()))
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
