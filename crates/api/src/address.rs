//! From where somebody asks.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};

use crate::{ApiError, ApiSettings};

/// The address of the client: the peer's, or what a trusted proxy says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proxies = request
            .app_data::<web::Data<ApiSettings>>()
            .map_or(&[][..], |settings| &settings.trusted_proxies);
        // Without a peer address it is a test or a local socket: one address for all of them.
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |it| it.ip());
        let forwarded: Vec<&str> = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        ready(Ok(Self(client_address(peer, &forwarded, proxies))))
    }
}

/// Each proxy appends whom it heard from. From the end, the first one that is not a proxy of ours
/// is the client; what stands before it anybody may have written.
fn client_address(peer: IpAddr, forwarded: &[&str], proxies: &[Network]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for entry in forwarded.iter().rev() {
        if !trusted(client) {
            break;
        }
        let Some(address) = parse_forwarded(entry.trim()) else {
            break;
        };
        client = address;
    }
    client
}

/// An entry is an address, at times with a port.
fn parse_forwarded(entry: &str) -> Option<IpAddr> {
    let address = entry
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<std::net::SocketAddr>().map(|it| it.ip()))
        .ok()?;
    Some(address.to_canonical())
}

/// A range of addresses, like `10.0.0.0/8` or `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// What was written is not an address and not a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl std::fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not an IP address or a range like 10.0.0.0/8")
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits =
            prefix.map_or(Ok(all_bits), |bits| bits.parse().map_err(|_| NotANetwork))?;
        (prefix_bits <= all_bits)
            .then_some(Self {
                address,
                prefix_bits,
            })
            .ok_or(NotANetwork)
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let different_bits = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        different_bits >= u32::from(self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = ["127.0.0.1", "10.0.0.0/8"].map(|text| text.parse().unwrap());
        client_address(peer.parse().unwrap(), forwarded, &proxies).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(
            client("127.0.0.1", &["1.1.1.1", " 192.0.2.1", "10.1.2.3"]),
            "192.0.2.1"
        );
        assert_eq!(client("::ffff:127.0.0.1", &["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", &["nonsense"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn networks_are_read_as_people_write_them() {
        assert!("10.0.0.0/8".parse::<Network>().is_ok());
        for bad in ["10.0.0.0/33", "::/129", "localhost", "10.0.0.0/", ""] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad:?}");
        }
        let any: Network = "0.0.0.0/0".parse().unwrap();
        assert!(any.contains("203.0.113.9".parse().unwrap()));
    }
}
