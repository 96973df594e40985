//! `[outbound]`: requests that the server sends to others.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;

use super::reader::Reader;

/// `[outbound]`.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    /// `outbound.allow`: networks that may be reached although they are not public. Default none.
    pub(crate) allow: Vec<IpNet>,
    /// `outbound.certificates`: authorities that are trusted beside the public ones. Default none.
    pub(crate) certificates: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Outbound {
    let mut allow = Vec::new();
    for text in reader.list("outbound.allow").unwrap_or_default() {
        let address = text.parse::<IpAddr>().map(IpNet::from).ok();
        match address.or_else(|| text.parse().ok()) {
            Some(network) => allow.push(network),
            None => reader.problem(
                "outbound.allow",
                format!("`{text}` is not an IP address or a range like 10.0.0.0/8"),
            ),
        }
    }
    let certificates = reader.text("outbound.certificates").map(PathBuf::from);
    if let Some(path) = certificates.as_deref().filter(|path| !path.is_file()) {
        let missing = format!("there is no file {}", path.display());
        reader.problem("outbound.certificates", missing);
    }
    Outbound {
        allow,
        certificates,
    }
}
