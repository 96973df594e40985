//! Binds what is configured: every address that was asked for, or an error that says which one and why.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{
    listen::{HttpSettings, Listeners, Patience},
    tls::{self, TlsError},
};
use crate::{config::Config, data_dir::DataDir};

/// How many connections may wait to be accepted. A thousand clients that come back at once after a restart are no attack.
const BACKLOG: i32 = 2048;

/// Why the server cannot listen where it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("could not listen on {address}: {cause}{}", hint(.cause))]
    Address {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error("could not set up TLS: {0}")]
    Tls(#[from] TlsError),
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program listens there, perhaps another greenroom: stop it or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            ". Ports below 1024 are for root: choose another, with a proxy in front"
        }
        io::ErrorKind::AddrNotAvailable => ". This machine has no such address",
        _ => "",
    }
}

/// Sockets for [`listen::run`](super::listen::run) and where they are.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listeners: Listeners,
    /// Where HTTP is served, with the ports that were picked. Never empty.
    pub(crate) http: Vec<SocketAddr>,
    /// Where HTTPS is served, if anywhere.
    pub(crate) https: Vec<SocketAddr>,
}

/// Binds the addresses of `config`. `now_s` is the time in seconds since the Unix epoch, for the self-signed certificate.
///
/// Where nobody asked for TLS and its default address is taken, it is gone without.
///
/// # Errors
///
/// If an address that was asked for cannot be bound, or there can be no TLS.
pub(crate) fn bind(config: &Config, data_dir: &DataDir, now_s: i64) -> Result<Bound, BindError> {
    let mut bound = Bound {
        listeners: Listeners::default(),
        http: Vec::new(),
        https: Vec::new(),
    };
    for address in &config.listen {
        let (listener, address) = bind_one(*address, &config.listen)?;
        bound.listeners.plain.push(listener);
        bound.http.push(address);
    }
    let Some(tls) = &config.tls else {
        return Ok(bound);
    };
    let mut sockets = Vec::new();
    for address in &tls.listen {
        match bind_one(*address, &tls.listen) {
            Ok(socket) => sockets.push(socket),
            Err(BindError::Address { address, cause })
                if !tls.required && cause.kind() == io::ErrorKind::AddrInUse =>
            {
                tracing::warn!(%address, "the default address for tls is taken, going on without tls");
            }
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() {
        return Ok(bound);
    }
    let server_config = match &tls.files {
        Some(files) => tls::from_files(&files.certificate, &files.key)?,
        None => tls::self_signed(data_dir, config.server_name.as_str(), now_s)?,
    };
    for (listener, address) in sockets {
        bound
            .listeners
            .tls
            .push((listener, Arc::clone(&server_config)));
        bound.https.push(address);
    }
    Ok(bound)
}

/// How `config` wants HTTP to be served.
pub(crate) fn http_settings(config: &Config) -> HttpSettings {
    HttpSettings {
        workers: config.workers,
        connections_per_worker: config.limits.connections_per_worker,
        patience: Patience::default(),
        shutdown_timeout_s: config.shutdown_timeout.as_secs(),
        ..HttpSettings::default()
    }
}

fn bind_one(
    address: SocketAddr,
    all: &[SocketAddr],
) -> Result<(TcpListener, SocketAddr), BindError> {
    let listen = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // Or a restart would have to wait for the connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // Alone, `[::]` serves IPv4 too, which is what everybody means by it. Beside `0.0.0.0` it must not.
            let beside = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
            socket.set_only_v6(all.iter().any(beside))?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listen().map_err(|cause| BindError::Address { address, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, Tls};

    const NOW_S: i64 = 1_800_000_000;

    fn config(listen: &str, tls_listen: &str) -> (Config, tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let flags = vec![
            ("listen", listen.to_owned()),
            ("tls.listen", tls_listen.to_owned()),
        ];
        let config = Config::load(&Sources {
            flags,
            ..Sources::default()
        })
        .unwrap()
        .config;
        let data_dir = DataDir::open(&folder.path().join("data")).unwrap();
        (config, folder, data_dir)
    }

    #[test]
    fn a_free_port_is_picked_and_told() {
        let (config, _folder, data_dir) = config("127.0.0.1:0", "127.0.0.1:0");
        let bound = bind(&config, &data_dir, NOW_S).unwrap();
        assert_eq!(
            (bound.listeners.plain.len(), bound.listeners.tls.len()),
            (1, 1)
        );
        assert!(
            bound
                .http
                .iter()
                .chain(&bound.https)
                .all(|address| address.port() != 0)
        );
    }

    #[test]
    fn both_protocols_can_have_the_same_port() {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let all = [format!("0.0.0.0:{port}"), format!("[::]:{port}")].map(|it| it.parse().unwrap());
        if bind_one("[::1]:0".parse().unwrap(), &[]).is_err() {
            return; // A machine without IPv6.
        }
        let _both = all.map(|address| bind_one(address, &all).unwrap());
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_that_says_so() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().to_string();
        let (one, _folder, data_dir) = config(&taken, "off");
        let error = bind(&one, &data_dir, NOW_S).unwrap_err().to_string();
        assert!(
            error.contains(&taken) && error.contains("Another program"),
            "{error}"
        );
        let (asked, _folder, data_dir) = config("127.0.0.1:0", &taken);
        assert!(bind(&asked, &data_dir, NOW_S).is_err());
    }

    #[test]
    fn a_default_address_for_tls_that_is_taken_is_gone_without() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut config, _folder, data_dir) = config("127.0.0.1:0", "off");
        config.tls = Some(Tls {
            listen: vec![holder.local_addr().unwrap()],
            required: false,
            files: None,
        });
        let bound = bind(&config, &data_dir, NOW_S).unwrap();
        assert!(bound.https.is_empty() && bound.listeners.tls.is_empty());
        assert_eq!(bound.http.len(), 1);
        assert_eq!(
            std::fs::read_dir(data_dir.path()).unwrap().count(),
            1,
            "no certificate without a use for it"
        );
    }
}
