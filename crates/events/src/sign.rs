//! The server's signing key.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ruma::{
    OwnedServerName, ServerName,
    signatures::{Ed25519KeyPair, KeyPair as _},
};
use zeroize::Zeroizing;

/// Standard alphabet; writes no padding, reads with or without, and reads the specification's own
/// test key, whose last character has bits to spare.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands before the 32 bytes of the seed in a PKCS#8 document with an ed25519 key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// Why a text is not a signing key. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form `ed25519 VERSION SEED`.
    #[error("a signing key is one line: ed25519 VERSION BASE64")]
    Format,
    /// Another algorithm than ed25519.
    #[error("unknown signing key algorithm: only ed25519 is supported")]
    Algorithm,
    /// The version has other characters than `a-zA-Z0-9_`.
    #[error("the version of a signing key may only have the characters a-z, A-Z, 0-9 and _")]
    Version,
    /// The key is not 32 bytes in base64.
    #[error("the seed of a signing key is 32 bytes in base64")]
    Seed,
}

/// Signs events as this server. Its secret shows in nothing but [`Self::export`].
pub struct EventSigner {
    server_name: OwnedServerName,
    key: Ed25519KeyPair,
    key_id: String,
    seed: Zeroizing<[u8; 32]>,
}

impl EventSigner {
    /// A signer with a new key from the system's randomness.
    ///
    /// # Errors
    ///
    /// [`KeyError::Seed`] if no key could be made.
    pub fn generate(server_name: &ServerName) -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate();
        // The document is the fixed header with another version and the length of more fields in
        // it, then the seed, then optional fields.
        let seed = document.get(PKCS8_PREFIX.len()..PKCS8_PREFIX.len() + 32);
        let seed: [u8; 32] = seed
            .and_then(|seed| seed.try_into().ok())
            .ok_or(KeyError::Seed)?;
        let seed = Zeroizing::new(seed);
        let unnamed = Self::from_seed(server_name, "", seed.clone())?;
        // Two keys of one server must not share a version, so it comes from the key.
        let public = unnamed.public_key_base64();
        let name: String = public
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(6)
            .collect();
        Self::from_seed(server_name, &format!("a_{name}"), seed)
    }

    /// Reads a key as `ed25519 VERSION SEED`, the seed in base64: the one line of the key files
    /// that homeservers keep.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong with it.
    pub fn load(server_name: &ServerName, text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(algorithm), Some(version), Some(encoded), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::Format);
        };
        if algorithm != "ed25519" {
            return Err(KeyError::Algorithm);
        }
        if !version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(KeyError::Version);
        }
        let decoded = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::Seed)?);
        let seed: [u8; 32] = decoded.as_slice().try_into().map_err(|_| KeyError::Seed)?;
        Self::from_seed(server_name, version, Zeroizing::new(seed))
    }

    fn from_seed(
        server_name: &ServerName,
        version: &str,
        seed: Zeroizing<[u8; 32]>,
    ) -> Result<Self, KeyError> {
        let mut document = Zeroizing::new([0; 48]);
        for (to, from) in document
            .iter_mut()
            .zip(PKCS8_PREFIX.iter().chain(seed.iter()))
        {
            *to = *from;
        }
        let key = Ed25519KeyPair::from_der(document.as_slice(), version.to_owned())
            .map_err(|_| KeyError::Seed)?;
        let key_id = format!("ed25519:{version}");
        Ok(Self {
            server_name: server_name.to_owned(),
            key,
            key_id,
            seed,
        })
    }

    /// The key as [`Self::load`] reads it, without a line end. A secret.
    #[must_use]
    pub fn export(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(BASE64.encode(self.seed.as_slice()));
        Zeroizing::new(format!("ed25519 {} {}", self.key.version(), seed.as_str()))
    }

    /// Who signs.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The key's ID, `ed25519:VERSION`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key in unpadded base64, as other servers ask for it.
    #[must_use]
    pub fn public_key_base64(&self) -> String {
        BASE64.encode(self.key.public_key())
    }

    /// The key pair, for ruma's functions that sign JSON objects.
    #[must_use]
    pub fn key_pair(&self) -> &Ed25519KeyPair {
        &self.key
    }

    /// The signature of these bytes in unpadded base64.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        BASE64.encode(self.key.sign(bytes).as_bytes())
    }
}

impl fmt::Debug for EventSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSigner")
            .field("server_name", &self.server_name)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
