//! Resolves names to the addresses that the guard lets through: what is connected to is what was judged.

use std::{error::Error, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::Guard;

/// Why a name gave no address to connect to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no public address")]
    NotPublic,
    #[error("{0}")]
    Unresolved(String),
}

/// The system's resolver behind the guard. Asked for every connection anew: a name that has moved
/// to a private address since its last look-up is refused then.
pub(crate) struct GuardedResolver(pub(crate) Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|error| Refused::Unresolved(error.to_string()))?;
            let admitted = admit(&guard, found)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses that may be connected to.
fn admit(
    guard: &Guard,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let mut any = false;
    let admitted: Vec<SocketAddr> = found
        .inspect(|_| any = true)
        .filter(|address| guard.lets_through(address.ip()))
        .collect();
    match (admitted.is_empty(), any) {
        (false, _) => Ok(admitted),
        (true, true) => Err(Refused::NotPublic.into()),
        (true, false) => Err(Refused::Unresolved("it has no address".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(found: &[&str]) -> Result<Vec<String>, String> {
        let found = found.iter().map(|address| address.parse().unwrap());
        admit(&Guard::default(), found)
            .map(|some| some.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a65_of_a_name_with_public_and_private_addresses_only_the_public_are_left() {
        assert_eq!(
            admitted(&["10.0.0.1:0", "8.8.8.8:0", "[::1]:0"]),
            Ok(vec!["8.8.8.8:0".to_owned()])
        );
    }

    #[test]
    fn a65_a_name_that_turns_to_a_private_address_is_refused_from_then_on() {
        assert!(admitted(&["8.8.8.8:0"]).is_ok());
        assert_eq!(
            admitted(&["169.254.169.254:0"]),
            Err("no public address".to_owned())
        );
        assert_eq!(admitted(&[]), Err("it has no address".to_owned()));
    }
}
