//! The certificate that TLS listeners show: the operator's own, or one that Greenroom makes for trying it out.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use time::OffsetDateTime;

use crate::data_dir::{DataDir, DataDirError};

const CERTIFICATE_FILE: &str = "self-signed-certificate.pem";
const KEY_FILE: &str = "self-signed-key.pem";
/// Long enough not to be in the way, short enough for every client: some refuse more than 825 days.
const VALID_DAYS: i64 = 397;
const DAY_S: i64 = 86_400;

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("could not read {}: {cause}", path.display())]
    Read {
        path: PathBuf,
        cause: rustls::pki_types::pem::Error,
    },
    #[error("{} has no certificate in PEM format", path.display())]
    NoCertificate { path: PathBuf },
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("could not make a self-signed certificate: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("could not store the self-signed certificate")]
    Store(#[from] DataDirError),
    #[error("could not read the self-signed certificate: {0}")]
    Stored(#[from] io::Error),
}

/// TLS with a certificate chain and key in PEM files.
///
/// # Errors
///
/// If either cannot be read, or the key is not the certificate's.
pub(crate) fn from_files(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Read { path, cause }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: certificate.to_owned(),
        });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    server_config(chain, key)
}

/// TLS with a self-signed certificate for `localhost`, the loopback addresses and `server_name`, kept in the data directory.
///
/// A new one is made where there is none, and where that one has a day or less to go or was made for another name.
/// `now_s` is the time in seconds since the Unix epoch.
///
/// # Errors
///
/// If it can be neither read nor made.
pub(crate) fn self_signed(
    data_dir: &DataDir,
    server_name: &str,
    now_s: i64,
) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = data_dir.path().join(CERTIFICATE_FILE);
    let key = data_dir.path().join(KEY_FILE);
    let host = host(server_name);
    if usable(&certificate, &host, now_s)? {
        match from_files(&certificate, &key) {
            Ok(config) => return Ok(config),
            Err(error) => {
                tracing::warn!(%error, "the stored self-signed certificate is of no use, making a new one");
            }
        }
    }
    let expires_s = now_s.saturating_add(VALID_DAYS * DAY_S);
    let (certificate_pem, key_pem) = generate(&host, now_s, expires_s)?;
    // The key first: a certificate without its key would be found usable by name and date.
    data_dir.write_private(KEY_FILE, key_pem.as_bytes())?;
    data_dir.write_private(
        CERTIFICATE_FILE,
        format!("{}{certificate_pem}", note(&host, expires_s)).as_bytes(),
    )?;
    tracing::info!(path = %certificate.display(), valid_days = VALID_DAYS, "made a self-signed certificate");
    from_files(&certificate, &key)
}

/// The server name without a port.
fn host(server_name: &str) -> String {
    let without_port = match server_name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => server_name,
    };
    without_port
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

/// A PEM file may start with text. This one says what we would otherwise have to parse X.509 for.
fn note(host: &str, expires_s: i64) -> String {
    format!("greenroom self-signed certificate\nhost: {host}\nexpires: {expires_s}\n")
}

fn usable(certificate: &Path, host: &str, now_s: i64) -> Result<bool, TlsError> {
    let text = match fs::read_to_string(certificate) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let expires_s = value("expires:").and_then(|seconds| seconds.parse::<i64>().ok());
    Ok(value("host:") == Some(host)
        && expires_s.is_some_and(|expires_s| expires_s.saturating_sub(DAY_S) > now_s))
}

fn generate(host: &str, now_s: i64, expires_s: i64) -> Result<(String, String), TlsError> {
    let moment =
        |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time);
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    let name = match host.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(host.try_into()?),
    };
    if !params.subject_alt_names.contains(&name) {
        params.subject_alt_names.push(name);
    }
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Greenroom (self-signed)");
    // A day back, for clients whose clock is behind.
    params.not_before = moment(now_s.saturating_sub(DAY_S))?;
    params.not_after = moment(expires_s)?;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // Not h2: its parser would refuse the raw quote that the adapter repairs in HTTP/1.1, and its streams, windows and header
    // tables are a surface of attack of their own. Who wants HTTP/2 puts a proxy in front.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn data_dir() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&folder.path().join("data")).unwrap();
        (folder, data_dir)
    }

    fn stored(data_dir: &DataDir) -> String {
        fs::read_to_string(data_dir.path().join(CERTIFICATE_FILE)).unwrap()
    }

    #[test]
    fn a_certificate_is_made_once_and_kept_private() {
        let (_folder, data_dir) = data_dir();
        let config = self_signed(&data_dir, "localhost", NOW_S).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
        let first = stored(&data_dir);
        self_signed(&data_dir, "localhost", NOW_S + 300 * DAY_S).unwrap();
        assert_eq!(stored(&data_dir), first);
        let mode = fs::metadata(data_dir.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_new_one_is_made_for_another_name_when_it_expires_and_when_it_is_damaged() {
        let (_folder, data_dir) = data_dir();
        let mut seen = vec![String::new()];
        let mut expect_new = |server_name, now_s| {
            self_signed(&data_dir, server_name, now_s).unwrap();
            let now = stored(&data_dir);
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        expect_new("localhost", NOW_S);
        expect_new("example.org:8448", NOW_S);
        expect_new("example.org:8448", NOW_S + VALID_DAYS * DAY_S);
        fs::write(data_dir.path().join(KEY_FILE), "no key").unwrap();
        expect_new("example.org:8448", NOW_S + VALID_DAYS * DAY_S);
        fs::write(data_dir.path().join(CERTIFICATE_FILE), [0xff, 0xfe]).unwrap();
        expect_new("[2001:db8::1]:8448", NOW_S);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (_folder, data_dir) = data_dir();
        let (certificate, _) = generate("a.example", NOW_S, NOW_S + DAY_S).unwrap();
        let (_, key) = generate("a.example", NOW_S, NOW_S + DAY_S).unwrap();
        data_dir
            .write_private("certificate", certificate.as_bytes())
            .unwrap();
        data_dir.write_private("key", key.as_bytes()).unwrap();
        data_dir.write_private("empty", b"").unwrap();
        let path = |name: &str| data_dir.path().join(name);
        assert!(matches!(
            from_files(&path("certificate"), &path("key")),
            Err(TlsError::Unusable(_))
        ));
        assert!(matches!(
            from_files(&path("empty"), &path("key")),
            Err(TlsError::NoCertificate { .. })
        ));
        assert!(matches!(
            from_files(&path("certificate"), &path("absent")),
            Err(TlsError::Read { .. })
        ));
    }

    #[test]
    fn the_host_of_a_server_name_has_neither_port_nor_brackets() {
        for (server_name, expected) in [
            ("localhost", "localhost"),
            ("a.example:8448", "a.example"),
            ("[::1]:8448", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host(server_name), expected);
        }
    }
}
