//! Which addresses the server connects to: public ones, and those that the operator allows.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What [IANA's registry] says is not to be reached globally, multicast, and what is reserved.
///
/// [IANA's registry]: https://www.iana.org/assignments/iana-ipv4-special-registry
const REFUSED_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // behind a carrier's NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, and the metadata services of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // relays of 6to4
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

/// What is public of IPv6. All else is local, multicast, or given to nobody.
const PUBLIC_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of [`PUBLIC_V6`] is not.
const REFUSED_V6: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, ORCHID, benchmarking
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which embeds any IPv4 address
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// The prefix by which an IPv6 network reaches IPv4 ([RFC 6052]): the last 32 bits say whom.
///
/// [RFC 6052]: https://www.rfc-editor.org/rfc/rfc6052
const NAT64: ([u16; 8], u8) = ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

fn in_v6((prefix, bits): ([u16; 8], u8), address: std::net::Ipv6Addr) -> bool {
    Ipv6Net::new(prefix.into(), bits).is_ok_and(|network| network.contains(&address))
}

/// The address that a packet ends up at: an IPv4 address that is written as IPv6 is that one.
fn destination(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if in_v6(NAT64, v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::from([a, b, c, d])
        }
        plain => plain,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !REFUSED_V4.iter().any(|(prefix, bits)| {
            Ipv4Net::new((*prefix).into(), *bits).is_ok_and(|network| network.contains(&v4))
        }),
        IpAddr::V6(v6) => {
            in_v6(PUBLIC_V6, v6) && !REFUSED_V6.iter().any(|refused| in_v6(*refused, v6))
        }
    }
}

/// Decides over addresses, not over names: to be asked about the very address that is connected to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    /// Lets connections through to public addresses and to `allowed`.
    pub(crate) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether the server may connect to this address.
    pub(crate) fn lets_through(&self, address: IpAddr) -> bool {
        let destination = destination(address);
        is_public(destination)
            || self.allowed.iter().any(|network| {
                network.contains(&destination) || network.contains(&address.to_canonical())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_through(guard: &Guard, address: &str) -> bool {
        guard.lets_through(address.parse().unwrap())
    }

    #[test]
    fn a65_addresses_that_are_not_public_are_refused() {
        let guard = Guard::default();
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!lets_through(&guard, refused), "{refused}");
        }
    }

    #[test]
    fn public_addresses_are_let_through() {
        let guard = Guard::default();
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(lets_through(&guard, public), "{public}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_let_through_however_it_is_written() {
        let guard = Guard::new(vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]);
        for allowed in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "64:ff9b::10.1.2.3",
            "fd00::1",
        ] {
            assert!(lets_through(&guard, allowed), "{allowed}");
        }
        for refused in ["10.2.0.1", "127.0.0.1", "::1", "fc00::1"] {
            assert!(!lets_through(&guard, refused), "{refused}");
        }
    }
}
