//! The server's one way to the outside over HTTP, for push gateways and whoever else users or
//! other servers name.
//!
//! Who names an address decides where the server sends requests from inside its network. So every
//! connection goes to a public address, or to one that the operator allows: this is decided over
//! the address that is connected to, after the name was resolved. Redirects are not followed,
//! answers are bounded in time and length, and nothing is kept between requests but connections.

mod error;
mod guard;
mod resolver;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use ipnet::IpNet;
use reqwest::{Certificate, Client, Url, redirect::Policy};

use self::{guard::Guard, resolver::GuardedResolver};

pub use error::OutboundError;

/// How long a connection may take, TLS included, within the time for the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How many unused connections to one host are kept.
const IDLE_PER_HOST: usize = 8;

/// What an operator decides over.
#[derive(Clone, Debug, Default)]
pub struct OutboundSettings {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<IpNet>,
    /// Certificates (PEM, one after the other) that are trusted beside those of the public
    /// authorities.
    pub certificates: Option<Vec<u8>>,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What should be certificates are none.
    #[error("holds no certificates in PEM: {0}")]
    Certificates(String),
    /// TLS cannot be set up.
    #[error("no TLS for requests to the outside: {0}")]
    Tls(String),
}

/// What one answer may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// The longest body.
    pub body_bytes: usize,
}

/// Sends requests. Clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    guard: Arc<Guard>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client of its own settings. It names itself `greenroom/VERSION`.
    ///
    /// # Errors
    ///
    /// If the certificates are none, or TLS cannot be set up.
    pub fn new(settings: &OutboundSettings) -> Result<Self, SetupError> {
        let guard = Arc::new(Guard::new(settings.allow.clone()));
        let mut builder = Client::builder()
            .user_agent(concat!("greenroom/", env!("CARGO_PKG_VERSION")))
            // A proxy would resolve names itself, out of the guard's sight.
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&guard))));
        if let Some(pem) = &settings.certificates {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|error| SetupError::Certificates(error.to_string()))?;
            if certificates.is_empty() {
                return Err(SetupError::Certificates("the file has none".to_owned()));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder
            .build()
            .map_err(|error| SetupError::Tls(error.to_string()))?;
        Ok(Self { client, guard })
    }

    /// Sends a request and gives the whole answer, of whatever status: a redirect is one too.
    ///
    /// # Errors
    ///
    /// If there was no whole answer within the limits, or the address is not one to connect to.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, OutboundError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| OutboundError::Url)?;
        let host = self.host(&url)?;
        let sent = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body)
            .timeout(limits.timeout)
            .send()
            .await;
        let mut answer = sent.map_err(|error| OutboundError::of(error, &host))?;
        let too_long = || OutboundError::TooLong {
            host: host.clone(),
            limit_bytes: limits.body_bytes,
        };
        let limit = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| OutboundError::of(error, &host))?
        {
            if body.len().saturating_add(chunk.len()) > limits.body_bytes {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.into());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    /// The host of a URL to be sent to. An address in the URL itself is connected to without being
    /// resolved, so it is judged here; however it is written, the URL's parser has made it one.
    fn host(&self, url: &Url) -> Result<String, OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Url);
        }
        let host = url.host_str().ok_or(OutboundError::Url)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse() {
            Ok(address) if !self.guard.lets_through(address) => Err(OutboundError::Refused {
                host: host.to_owned(),
            }),
            Ok(_) | Err(_) => Ok(host.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
