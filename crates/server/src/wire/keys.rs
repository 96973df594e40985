//! The server's signing key, and what is derived from it.

use std::{fs, io};

use greenroom_events::{EventSigner, sign::KeyError as SignerError};
use greenroom_model::TokenSigner;
use hmac::{Hmac, Mac as _};
use ruma::ServerName;
use sha2::Sha256;

use crate::data_dir::{DataDir, DataDirError};

const FILE: &str = "signing.key";

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("could not read the signing key {FILE} in the data directory: {0}")]
    Read(#[source] io::Error),
    #[error(
        "the signing key {FILE} in the data directory cannot be used: {0}. Restore it from a backup: events are signed with it"
    )]
    Use(#[source] SignerError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// The signing key in the data directory, made if there is none.
///
/// # Errors
///
/// If it cannot be read, used or written.
pub(crate) fn signer(
    data_dir: &DataDir,
    server_name: &ServerName,
) -> Result<EventSigner, KeyError> {
    match fs::read_to_string(data_dir.path().join(FILE)) {
        Ok(text) => EventSigner::load(server_name, &text).map_err(KeyError::Use),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let signer = EventSigner::generate(server_name).map_err(KeyError::Use)?;
            data_dir.write_private(FILE, signer.export().as_bytes())?;
            tracing::info!(
                key_id = signer.key_id(),
                "a signing key was made; keep {FILE} safe"
            );
            Ok(signer)
        }
        Err(error) => Err(KeyError::Read(error)),
    }
}

/// Makes and checks since tokens with a secret that every process with the same signing key has.
pub(crate) fn token_signer(signer: &EventSigner) -> TokenSigner {
    let key = signer.export();
    let mut secret = [0; 32];
    // An HMAC takes a key of any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
        mac.update(b"greenroom since tokens 1");
        secret = mac.finalize().into_bytes().into();
    }
    TokenSigner::new(&secret)
}
