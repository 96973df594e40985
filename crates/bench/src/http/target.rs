//! The server's address, taken from its URL.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::error::{BenchError, Result};

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Target {
    /// The resolved address.
    pub address: SocketAddr,
    /// The value of the `Host` header.
    pub host: String,
}

impl Target {
    /// Resolves `http://HOST[:PORT][/]`.
    ///
    /// # Errors
    ///
    /// [`BenchError::Setup`] for another scheme, a path, a name that does not
    /// resolve, or an address off this machine unless `allow_remote`: a load
    /// generator pointed at somebody else's server is an attack.
    pub fn resolve(url: &str, allow_remote: bool) -> Result<Self> {
        let host = url
            .strip_prefix("http://")
            .ok_or_else(|| BenchError::Setup(format!("{url}: only http:// URLs are supported")))?
            .trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(BenchError::Setup(format!(
                "{url}: expected http://HOST:PORT"
            )));
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let candidates: Vec<SocketAddr> = with_port
            .to_socket_addrs()
            .map_err(BenchError::io(format!("resolving {host}")))?
            .collect();
        // Servers that listen on `127.0.0.1` alone are the common case for `localhost`.
        let address = candidates
            .iter()
            .find(|address| address.is_ipv4())
            .or_else(|| candidates.first())
            .copied()
            .ok_or_else(|| BenchError::Setup(format!("{host} has no address")))?;
        if !address.ip().is_loopback() && !allow_remote {
            return Err(BenchError::Setup(format!(
                "{address} is not on this machine: pass --allow-remote if that server is yours to load"
            )));
        }
        Ok(Self {
            address,
            host: host.to_owned(),
        })
    }

    /// A source address for the `index`-th connection.
    ///
    /// Loopback has 2^24 addresses; spreading connections over a few of them
    /// keeps any one from running out of ports. `None` off loopback and on IPv6.
    #[must_use]
    pub fn source(&self, index: usize) -> Option<Ipv4Addr> {
        let SocketAddr::V4(address) = self.address else {
            return None;
        };
        if !address.ip().is_loopback() {
            return None;
        }
        let last = u8::try_from(index / 4_000 % 250).unwrap_or(0);
        Some(Ipv4Addr::new(127, 0, 0, last.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_loopback_url_resolves_with_and_without_a_trailing_slash() {
        for url in ["http://127.0.0.1:8008", "http://127.0.0.1:8008/"] {
            let target = Target::resolve(url, false).expect("resolves");
            assert_eq!(target.address.to_string(), "127.0.0.1:8008");
            assert_eq!(target.host, "127.0.0.1:8008");
        }
    }

    #[test]
    fn another_scheme_a_path_and_a_remote_address_are_refused() {
        for url in [
            "https://127.0.0.1:8008",
            "http://127.0.0.1:8008/x",
            "http://192.0.2.1:80",
            "http://",
        ] {
            assert!(Target::resolve(url, false).is_err(), "{url}");
        }
        assert!(Target::resolve("http://192.0.2.1:80", true).is_ok());
    }

    #[test]
    fn connections_spread_over_loopback_source_addresses() {
        let target = Target::resolve("http://127.0.0.1:1", false).expect("resolves");
        assert_eq!(
            target.source(0).map(|ip| ip.to_string()).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            target.source(9_999).map(|ip| ip.to_string()).as_deref(),
            Some("127.0.0.3")
        );
    }
}
