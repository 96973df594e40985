//! Why a request to the outside got no answer.

use std::error::Error;

use crate::resolver::Refused;

/// A request that was not answered. Says nothing of the request but the host: paths, queries and
/// bodies may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address is not for http or https, or has no host.
    #[error("not an http or https URL with a host")]
    Url,
    /// Every address of the host is private, local or reserved.
    #[error(
        "{host} has no public address; if it is to be reached, list its network in outbound.allow"
    )]
    Refused {
        /// As in the URL.
        host: String,
    },
    /// The host has no address, or the resolver does not answer.
    #[error("the name {host} cannot be resolved: {cause}")]
    Unresolved {
        /// As in the URL.
        host: String,
        /// What the resolver says.
        cause: String,
    },
    /// Nobody listens there, or its certificate is not trusted.
    #[error("could not connect to {host}: {cause}")]
    Connect {
        /// As in the URL.
        host: String,
        /// What the connection says.
        cause: String,
    },
    /// No whole answer came in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// As in the URL.
        host: String,
    },
    /// The answer is longer than was asked for.
    #[error("the answer of {host} is longer than {limit_bytes} bytes")]
    TooLong {
        /// As in the URL.
        host: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection to {host} broke: {cause}")]
    Broken {
        /// As in the URL.
        host: String,
        /// What the connection says.
        cause: String,
    },
}

/// The innermost cause: the layers around it only say that there was one.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl OutboundError {
    pub(crate) fn of(error: reqwest::Error, host: &str) -> Self {
        let host = host.to_owned();
        // The URL may hold secrets.
        let error = error.without_url();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(here) = cause {
            match here.downcast_ref::<Refused>() {
                Some(Refused::NotPublic) => return Self::Refused { host },
                Some(Refused::Unresolved(cause)) => {
                    let cause = cause.clone();
                    return Self::Unresolved { host, cause };
                }
                None => cause = here.source(),
            }
        }
        let cause = innermost(&error);
        if error.is_timeout() {
            Self::Timeout { host }
        } else if error.is_connect() {
            Self::Connect { host, cause }
        } else {
            Self::Broken { host, cause }
        }
    }
}
