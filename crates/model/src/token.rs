//! Sync and pagination tokens: opaque to clients, stateless for us.
//!
//! A token carries its positions and a keyed hash over them, the user, and (for a page) the room.
//! So a token of another user, another room or another server is told from a real one without
//! storing anything, and nobody can make one up.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use ruma::{RoomId, UserId};
use sha2::Sha256;

use crate::StreamPosition;

/// How many bytes of the keyed hash travel in a token: 64 bits cannot be guessed online.
const MAC_BYTES: usize = 8;
/// The longest token of a fixed size, in characters behind its prefix.
const MAX_TOKEN: usize = 96;
/// The longest token of a list: its payload may hold an identifier of 255 bytes.
const MAX_LIST_TOKEN: usize = 400;
/// The bit of the typing counter that says whether somebody typed.
const TYPERS: u64 = 1 << 63;
const SYNC_PREFIX: &str = "s1";
const PAGE_PREFIX: &str = "p1";
const POS_PREFIX: &str = "c1";
const SEARCH_PREFIX: &str = "q1";

/// What a `/sync` answer covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncToken {
    /// Everything committed up to here was delivered.
    pub position: StreamPosition,
    /// The typing counter that was delivered.
    pub typing: u64,
    /// The presence counter that was delivered.
    pub presence: u64,
    /// The process that counted typing and presence; another one starts anew, so an unknown
    /// value means 'send it again'.
    pub boot: u32,
    /// Whether somebody typed, for all that was told: who believes that has to be told otherwise
    /// by a process that knows of nobody who did.
    pub typers: bool,
}

/// A boundary between two events of one room: those at or before `position` are behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// Events up to and including this position lie before the token.
    pub position: StreamPosition,
}

/// A position of a connection of sliding sync: which answer a client has. What it was told with it
/// is in the memory of the process that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosToken {
    /// Everything committed up to here was looked at for the answer.
    pub position: StreamPosition,
    /// The number of the answer. No two of a process have the same.
    pub answer: u64,
    /// The process that numbered it.
    pub boot: u32,
}

/// Why a token was refused. The client gets 400 `M_INVALID_PARAM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not one of our tokens, or was not made for this user or room.
    #[error("the token was not issued by this server for this request")]
    Unknown,
}

/// Makes and checks tokens with a secret of this server.
#[derive(Clone)]
pub struct TokenSigner {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigner(..)")
    }
}

impl TokenSigner {
    /// A signer with this server's token secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // Hashing the secret to the block size cannot fail for a fixed-size key.
        let mac = Hmac::<Sha256>::new(&(*secret).into_block());
        Self { mac }
    }

    /// A since token for `user`.
    #[must_use]
    pub fn sync(&self, user: &UserId, token: SyncToken) -> String {
        let typers = if token.typers { TYPERS } else { 0 };
        let mut payload = [0; 28];
        let fields = token
            .position
            .0
            .to_be_bytes()
            .into_iter()
            .chain((token.typing & !TYPERS | typers).to_be_bytes())
            .chain(token.presence.to_be_bytes())
            .chain(token.boot.to_be_bytes());
        for (to, from) in payload.iter_mut().zip(fields) {
            *to = from;
        }
        self.seal(SYNC_PREFIX, user.as_str(), "", &payload)
    }

    /// Reads a since token made for `user`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`] for anything that [`Self::sync`] did not make for this user.
    pub fn read_sync(&self, user: &UserId, token: &str) -> Result<SyncToken, TokenError> {
        let payload: [u8; 28] = self.open(SYNC_PREFIX, user.as_str(), "", token)?;
        let (position, rest) = payload.split_first_chunk().ok_or(TokenError::Unknown)?;
        let (typing, rest) = rest.split_first_chunk().ok_or(TokenError::Unknown)?;
        let (presence, rest) = rest.split_first_chunk().ok_or(TokenError::Unknown)?;
        let (boot, _) = rest.split_first_chunk().ok_or(TokenError::Unknown)?;
        let typing = u64::from_be_bytes(*typing);
        Ok(SyncToken {
            position: StreamPosition(i64::from_be_bytes(*position)),
            typing: typing & !TYPERS,
            presence: u64::from_be_bytes(*presence),
            boot: u32::from_be_bytes(*boot),
            typers: typing & TYPERS != 0,
        })
    }

    /// A pagination token for `user` in `room`.
    #[must_use]
    pub fn page(&self, user: &UserId, room: &RoomId, token: PageToken) -> String {
        self.seal(
            PAGE_PREFIX,
            user.as_str(),
            room.as_str(),
            &token.position.0.to_be_bytes(),
        )
    }

    /// A position of a connection of `user`.
    #[must_use]
    pub fn pos(&self, user: &UserId, token: PosToken) -> String {
        let mut payload = [0; 20];
        let fields = token
            .position
            .0
            .to_be_bytes()
            .into_iter()
            .chain(token.answer.to_be_bytes())
            .chain(token.boot.to_be_bytes());
        for (to, from) in payload.iter_mut().zip(fields) {
            *to = from;
        }
        self.seal(POS_PREFIX, user.as_str(), "", &payload)
    }

    /// Reads a position of a connection of `user`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`] for anything that [`Self::pos`] did not make for this user.
    pub fn read_pos(&self, user: &UserId, token: &str) -> Result<PosToken, TokenError> {
        let payload: [u8; 20] = self.open(POS_PREFIX, user.as_str(), "", token)?;
        let (position, rest) = payload.split_first_chunk().ok_or(TokenError::Unknown)?;
        let (answer, rest) = rest.split_first_chunk().ok_or(TokenError::Unknown)?;
        let (boot, _) = rest.split_first_chunk().ok_or(TokenError::Unknown)?;
        Ok(PosToken {
            position: StreamPosition(i64::from_be_bytes(*position)),
            answer: u64::from_be_bytes(*answer),
            boot: u32::from_be_bytes(*boot),
        })
    }

    /// Reads a boundary in `room`: a pagination token of that room, or a since token or a position
    /// of sliding sync, which are boundaries in every room.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`] for a token of another user, room or server, and for anything else.
    pub fn read_page(
        &self,
        user: &UserId,
        room: &RoomId,
        token: &str,
    ) -> Result<PageToken, TokenError> {
        if token.starts_with(SYNC_PREFIX) {
            return Ok(PageToken {
                position: self.read_sync(user, token)?.position,
            });
        }
        if token.starts_with(POS_PREFIX) {
            return Ok(PageToken {
                position: self.read_pos(user, token)?.position,
            });
        }
        let payload: [u8; 8] = self.open(PAGE_PREFIX, user.as_str(), room.as_str(), token)?;
        Ok(PageToken {
            position: StreamPosition(i64::from_be_bytes(payload)),
        })
    }

    /// A token for the next page of a list that is neither a sync nor a room's history.
    ///
    /// `kind` tells its lists from all others and begins the token; `about` is whose or which list it
    /// is, in 255 bytes at most; `payload` says where to go on.
    #[must_use]
    pub fn list(&self, kind: &'static str, user: &UserId, about: &str, payload: &[u8]) -> String {
        self.seal(kind, user.as_str(), about, payload)
    }

    /// The payload of a token that [`Self::list`] made of the same kind, for the same user and list.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`] for anything else.
    pub fn read_list(
        &self,
        kind: &'static str,
        user: &UserId,
        about: &str,
        token: &str,
    ) -> Result<Vec<u8>, TokenError> {
        let bytes = decoded(kind, token, MAX_LIST_TOKEN)?;
        let at = bytes
            .len()
            .checked_sub(MAC_BYTES)
            .ok_or(TokenError::Unknown)?;
        let (payload, mac) = bytes.split_at_checked(at).ok_or(TokenError::Unknown)?;
        self.hash(kind, user.as_str(), about, payload)
            .verify_truncated_left(mac)
            .map_err(|_| TokenError::Unknown)?;
        Ok(payload.to_owned())
    }

    /// A token of `user` for the next results of a search; what is in it is the search's to say.
    #[must_use]
    pub fn search(&self, user: &UserId, payload: &[u8]) -> String {
        self.seal(SEARCH_PREFIX, user.as_str(), "", payload)
    }

    /// Reads a token for the next results of a search.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`] for anything that [`Self::search`] did not make for this user.
    pub fn read_search<const N: usize>(
        &self,
        user: &UserId,
        token: &str,
    ) -> Result<[u8; N], TokenError> {
        self.open(SEARCH_PREFIX, user.as_str(), "", token)
    }

    fn hash(&self, prefix: &str, user: &str, room: &str, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(prefix.as_bytes());
        // User and room IDs are at most 255 bytes, so one byte keeps the two apart.
        mac.update(&[u8::try_from(user.len()).unwrap_or(u8::MAX)]);
        mac.update(user.as_bytes());
        mac.update(&[u8::try_from(room.len()).unwrap_or(u8::MAX)]);
        mac.update(room.as_bytes());
        mac.update(payload);
        mac
    }

    fn seal(&self, prefix: &str, user: &str, room: &str, payload: &[u8]) -> String {
        let mac = self
            .hash(prefix, user, room, payload)
            .finalize()
            .into_bytes();
        let mut bytes = Vec::with_capacity(payload.len() + MAC_BYTES);
        bytes.extend_from_slice(payload);
        bytes.extend(mac.into_iter().take(MAC_BYTES));
        let mut token = String::with_capacity(prefix.len() + 1 + bytes.len() * 4 / 3 + 4);
        token.push_str(prefix);
        token.push('_');
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut token);
        token
    }

    fn open<const N: usize>(
        &self,
        prefix: &str,
        user: &str,
        room: &str,
        token: &str,
    ) -> Result<[u8; N], TokenError> {
        let bytes = decoded(prefix, token, MAX_TOKEN)?;
        let (payload, mac) = bytes.split_first_chunk::<N>().ok_or(TokenError::Unknown)?;
        if mac.len() != MAC_BYTES {
            return Err(TokenError::Unknown);
        }
        self.hash(prefix, user, room, payload)
            .verify_truncated_left(mac)
            .map_err(|_| TokenError::Unknown)?;
        Ok(*payload)
    }
}

/// What a token says behind its prefix, unless that has more than `max_chars` characters.
fn decoded(prefix: &str, token: &str, max_chars: usize) -> Result<Vec<u8>, TokenError> {
    let encoded = token
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|encoded| encoded.len() <= max_chars)
        .ok_or(TokenError::Unknown)?;
    URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| TokenError::Unknown)
}

/// A key as long as the hash's block, which HMAC takes as it is.
trait IntoBlock {
    fn into_block(self) -> hmac::digest::Key<Hmac<Sha256>>;
}

impl IntoBlock for [u8; 32] {
    fn into_block(self) -> hmac::digest::Key<Hmac<Sha256>> {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(self) {
            *to = from;
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    fn signer() -> TokenSigner {
        TokenSigner::new(&[7; 32])
    }

    const TOKEN: SyncToken = SyncToken {
        position: StreamPosition(42),
        typing: 3,
        presence: 9,
        boot: 77,
        typers: true,
    };

    #[test]
    fn a_token_reads_back_as_it_was_made() {
        let alice = user_id!("@alice:localhost");
        let room = room_id!("!room:localhost");
        assert_eq!(
            signer().read_sync(alice, &signer().sync(alice, TOKEN)),
            Ok(TOKEN)
        );
        let silent = SyncToken {
            typers: false,
            ..TOKEN
        };
        let token = signer().sync(alice, silent);
        assert_eq!(signer().read_sync(alice, &token), Ok(silent));
        let page = PageToken {
            position: StreamPosition(5),
        };
        assert_eq!(
            signer().read_page(alice, room, &signer().page(alice, room, page)),
            Ok(page)
        );
    }

    #[test]
    fn a_position_reads_back_for_its_user_and_is_a_boundary_in_any_room() {
        let alice = user_id!("@alice:localhost");
        let pos = PosToken {
            position: StreamPosition(42),
            answer: 9,
            boot: 77,
        };
        let token = signer().pos(alice, pos);
        assert_eq!(signer().read_pos(alice, &token), Ok(pos));
        assert!(
            signer()
                .read_pos(user_id!("@bob:localhost"), &token)
                .is_err()
        );
        assert!(signer().read_sync(alice, &token).is_err());
        let page = signer().read_page(alice, room_id!("!any:localhost"), &token);
        let position = StreamPosition(42);
        assert_eq!(page, Ok(PageToken { position }));
    }

    #[test]
    fn a_since_token_is_a_boundary_in_any_room() {
        let alice = user_id!("@alice:localhost");
        let token = signer().sync(alice, TOKEN);
        let page = signer().read_page(alice, room_id!("!any:localhost"), &token);
        assert_eq!(
            page,
            Ok(PageToken {
                position: StreamPosition(42)
            })
        );
    }

    #[test]
    fn b40_a_token_of_a_list_is_good_for_that_list_and_user_only() {
        let alice = user_id!("@alice:localhost");
        let place = "!".repeat(255);
        let token = signer().list("x1", alice, "!a:localhost", place.as_bytes());
        let read = |kind, user, about, token: &str| signer().read_list(kind, user, about, token);
        assert_eq!(
            read("x1", alice, "!a:localhost", &token),
            Ok(place.into_bytes())
        );
        let bob = user_id!("@bob:localhost");
        for (kind, user, about) in [
            ("y1", alice, "!a:localhost"),
            ("x1", bob, "!a:localhost"),
            ("x1", alice, "!b:localhost"),
        ] {
            assert!(read(kind, user, about, &token).is_err());
        }
        for junk in ["", "x1", "x1_", "x1_AAAA", &"x1_A".repeat(999)] {
            assert!(read("x1", alice, "!a:localhost", junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn b40_tokens_of_another_user_room_or_server_are_unknown() {
        let alice = user_id!("@alice:localhost");
        let bob = user_id!("@bob:localhost");
        let room = room_id!("!room:localhost");
        let sync = signer().sync(alice, TOKEN);
        let page = signer().page(
            alice,
            room,
            PageToken {
                position: StreamPosition(5),
            },
        );
        assert_eq!(signer().read_sync(bob, &sync), Err(TokenError::Unknown));
        assert_eq!(
            TokenSigner::new(&[8; 32]).read_sync(alice, &sync),
            Err(TokenError::Unknown)
        );
        assert!(
            signer()
                .read_page(alice, room_id!("!other:localhost"), &page)
                .is_err()
        );
        assert!(signer().read_sync(alice, &page).is_err());
        for junk in [
            "",
            "s1",
            "s1_",
            "s1_AAAA",
            "s9_3_0_1_1_1",
            "-1",
            "END",
            &"s1_A".repeat(99),
        ] {
            assert!(signer().read_sync(alice, junk).is_err(), "{junk}");
            assert!(signer().read_page(alice, room, junk).is_err(), "{junk}");
        }
        let mut forged = sync.into_bytes();
        forged[10] ^= 1;
        assert!(
            signer()
                .read_sync(alice, &String::from_utf8(forged).unwrap())
                .is_err()
        );
    }
}
