//! `greenroom health`: asks a running server whether it is ready, for the health checks of containers.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

/// Less than the timeout of any health check that is in use.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why a server is not ready, as far as can be told from outside.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthError {
    #[error("`{0}` is no URL such as http://127.0.0.1:8008")]
    Url(String),
    #[error("the port is picked when the server starts: say where it is with --url")]
    UnknownPort,
    #[error("could not ask {url}: {cause}")]
    Unreachable { url: String, cause: io::Error },
    #[error("{url} is not ready: it answers {answer}")]
    NotReady { url: String, answer: String },
}

/// The URL at which a server that listens on `listen` can be asked from the same machine.
///
/// # Errors
///
/// If there is no such address, or its port is 0.
pub(crate) fn local_url(listen: &[SocketAddr]) -> Result<String, HealthError> {
    let address = listen
        .first()
        .filter(|address| address.port() != 0)
        .ok_or(HealthError::UnknownPort)?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(format!("http://{}", SocketAddr::new(ip, address.port())))
}

/// Returns if `GET /health/ready` below `url` answers 200.
///
/// # Errors
///
/// If it answers anything else, or nothing within 3 s.
pub(crate) fn check(url: &str) -> Result<(), HealthError> {
    let wrong = || HealthError::Url(url.to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() || url.bytes().any(|byte| byte <= b' ') {
        return Err(wrong());
    }
    let path = path.trim_end_matches('/');
    let prefix = if path.is_empty() {
        String::new()
    } else {
        format!("/{path}")
    };
    let answer = ask(authority, &format!("{prefix}/health/ready")).map_err(|cause| {
        HealthError::Unreachable {
            url: url.to_owned(),
            cause,
        }
    })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(HealthError::NotReady {
        url: url.to_owned(),
        answer,
    })
}

/// The first line of the answer.
fn ask(authority: &str, path: &str) -> io::Result<String> {
    let deadline = Instant::now() + TIMEOUT;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::Error::from(io::ErrorKind::TimedOut))
        } else {
            Ok(left)
        }
    };
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let place = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in place.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, left()?) {
            Ok(stream) => stream,
            Err(error) => {
                failed = error;
                continue;
            }
        };
        stream.set_write_timeout(Some(left()?))?;
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut line = Vec::new();
        let mut piece = [0; 256];
        while line.len() < 1024 && !line.contains(&b'\r') {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut piece)? {
                0 => break,
                read => line.extend_from_slice(piece.get(..read).unwrap_or_default()),
            }
        }
        let line = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
        return Ok(String::from_utf8_lossy(line)
            .chars()
            .filter(|character| !character.is_control())
            .collect());
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// A server that answers one request with `answer` and gives what it was asked.
    fn answering(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, asked)
    }

    #[test]
    fn a_server_that_answers_200_is_ready() {
        let (url, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        check(&format!("{url}/prefix/")).unwrap();
        assert!(
            asked
                .join()
                .unwrap()
                .starts_with("GET /prefix/health/ready HTTP/1.1\r\nHost: 127.0.0.1:")
        );
    }

    #[test]
    fn any_other_answer_is_told() {
        let (url, _asked) = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        let error = check(&url).unwrap_err();
        assert!(
            matches!(&error, HealthError::NotReady { answer, .. } if answer == "HTTP/1.1 503 Service Unavailable"),
            "{error}"
        );
        let (url, _asked) = answering("");
        assert!(matches!(
            check(&url).unwrap_err(),
            HealthError::NotReady { .. }
        ));
    }

    #[test]
    fn nobody_there_is_told() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(matches!(
            check(&format!("http://{free}")),
            Err(HealthError::Unreachable { .. })
        ));
        for url in [
            "127.0.0.1:8008",
            "https://localhost",
            "http://",
            "http://a b",
        ] {
            assert!(matches!(check(url), Err(HealthError::Url(_))), "{url}");
        }
    }

    #[test]
    fn the_local_url_is_one_that_can_be_connected_to() {
        let url = |address: &str| local_url(&[address.parse().unwrap()]).ok();
        assert_eq!(
            url("0.0.0.0:8008").as_deref(),
            Some("http://127.0.0.1:8008")
        );
        assert_eq!(url("[::]:8008").as_deref(), Some("http://[::1]:8008"));
        assert_eq!(
            url("10.0.0.1:8008").as_deref(),
            Some("http://10.0.0.1:8008")
        );
        assert_eq!(url("127.0.0.1:0"), None);
    }
}
