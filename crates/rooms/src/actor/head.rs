//! A room's newest state, in memory: what the next event is built on and judged by.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use greenroom_events::{
    Draft, EventRef, EventSigner, Pdu, Place, RoomVersion,
    auth::{auth_keys, authorize},
    build, check,
    relations::relation_in,
};
use greenroom_model::StateKey;
use greenroom_storage::{Append, RedactedEvent, RoomUpgrade};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, events::room::member::MembershipState,
    state_res::events::RoomPowerLevelsIntField,
};
use serde::Deserialize;

use crate::{
    RoomError,
    membership::decide,
    power::Power,
    wish::{Act, RedactionTarget, TransactionUse, Wish},
};

/// One place of the state, as far as it is known here.
#[derive(Clone, Debug)]
struct StateEntry {
    pdu: Arc<Pdu>,
    reference: EventRef,
}

/// The state after every append that was handed to the writer, committed or in flight.
///
/// Only the places that somebody has asked for are held: a room with 100,000 members does not
/// load them all because one of them speaks.
#[derive(Debug)]
pub(crate) struct RoomHead {
    room_id: Option<OwnedRoomId>,
    version: RoomVersion,
    generation: u64,
    newest: Option<EventRef>,
    /// When that was sent.
    newest_ts: Option<MilliSecondsSinceUnixEpoch>,
    depth: u64,
    state: HashMap<StateKey, Option<StateEntry>>,
    /// Whether a place that is not in `state` is known to be empty (a room being created).
    complete: bool,
}

/// What a wish comes to.
pub(crate) enum Step {
    /// The head has moved; this is for the writer.
    Append(Box<Append>),
    /// The head has moved, by the last events of a room that another replaces.
    Upgrade(Box<RoomUpgrade>),
    /// It is so already: nothing is to be written, this event has done it.
    Nothing(OwnedEventId),
    /// These places of the state have to be loaded first.
    Load(Vec<StateKey>),
}

pub(super) fn create_key() -> StateKey {
    ("m.room.create".to_owned(), String::new())
}

pub(super) fn power_key() -> StateKey {
    ("m.room.power_levels".to_owned(), String::new())
}

impl RoomHead {
    /// The head of a room that is about to be created.
    pub(crate) fn new_room(
        room_id: Option<OwnedRoomId>,
        version: RoomVersion,
        generation: u64,
    ) -> Self {
        Self {
            room_id,
            version,
            generation,
            newest: None,
            newest_ts: None,
            depth: 0,
            state: HashMap::new(),
            complete: true,
        }
    }

    /// The head of a room whose newest event is `newest`.
    pub(crate) fn stored(
        newest: &Pdu,
        version: RoomVersion,
        generation: u64,
    ) -> Result<Self, RoomError> {
        Ok(Self {
            room_id: Some(newest.room_id.clone()),
            newest: Some(EventRef::to(newest, &version)?),
            newest_ts: Some(newest.origin_server_ts),
            depth: newest.depth,
            version,
            generation,
            state: HashMap::new(),
            complete: false,
        })
    }

    /// Which load of the head this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn version(&self) -> &RoomVersion {
        &self.version
    }

    pub(crate) fn room_id(&self) -> Option<&OwnedRoomId> {
        self.room_id.as_ref()
    }

    /// Takes in places as the database has them. What is known already is newer and stays.
    pub(crate) fn install(&mut self, asked: &[StateKey], found: Vec<Pdu>) -> Result<(), RoomError> {
        for pdu in found {
            let Some(state_key) = pdu.state_key.clone() else {
                continue;
            };
            let key = (pdu.type_name.clone(), state_key);
            if !self.state.contains_key(&key) {
                let reference = EventRef::to(&pdu, &self.version)?;
                self.state.insert(
                    key,
                    Some(StateEntry {
                        pdu: Arc::new(pdu),
                        reference,
                    }),
                );
            }
        }
        for key in asked {
            self.state.entry(key.clone()).or_insert(None);
        }
        Ok(())
    }

    /// The event in a place, or `Err` if the place is not loaded.
    fn entry(&self, key: &StateKey) -> Result<Option<&StateEntry>, ()> {
        match self.state.get(key) {
            Some(entry) => Ok(entry.as_ref()),
            None if self.complete => Ok(None),
            None => Err(()),
        }
    }

    /// The event in a place that is loaded.
    pub(crate) fn held(&self, event_type: &str, state_key: &str) -> Option<&Arc<Pdu>> {
        let key = (event_type.to_owned(), state_key.to_owned());
        self.entry(&key).ok().flatten().map(|entry| &entry.pdu)
    }

    pub(super) fn missing(&self, keys: impl IntoIterator<Item = StateKey>) -> Vec<StateKey> {
        let mut missing: Vec<StateKey> = keys
            .into_iter()
            .filter(|key| self.entry(key).is_err())
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Checks a wish against the state and, if the room allows it, moves the head.
    ///
    /// The head moves here, before the commit, so that the next wish builds on this one while
    /// both wait for the same `fsync`.
    pub(crate) fn accept(
        &mut self,
        wish: &Wish,
        signer: &EventSigner,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Step, RoomError> {
        let (draft, redacted) = match &wish.act {
            Act::Send(draft) => (draft.clone(), None),
            Act::Redact { draft, target } => match self.may_redact(draft, target)? {
                Some(missing) => return Ok(Step::Load(missing)),
                None => (draft.clone(), Some(target)),
            },
            Act::Member(member) => {
                let key = ("m.room.member".to_owned(), member.target.to_string());
                let Ok(current) = self.entry(&key) else {
                    return Ok(Step::Load(vec![key]));
                };
                match decide(member, current.map(|entry| &*entry.pdu))? {
                    Ok(draft) => (draft, None),
                    Err(event_id) => return Ok(Step::Nothing(event_id)),
                }
            }
            Act::Upgrade(upgrade) => return self.upgrade(upgrade, signer, now),
        };
        self.append(draft, redacted, wish.transaction.as_ref(), signer, now)
    }

    pub(super) fn append(
        &mut self,
        draft: Draft,
        redacted: Option<&RedactionTarget>,
        transaction: Option<&TransactionUse>,
        signer: &EventSigner,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Step, RoomError> {
        if self.newest.is_some() {
            check::content(&draft, &self.version)?;
        }
        let auth: Vec<StateKey> = auth_keys(&draft, &self.version)?
            .into_iter()
            .map(|(event_type, state_key)| (event_type.to_string(), state_key))
            .collect();
        let place_key = draft
            .state_key
            .as_ref()
            .map(|state_key| (draft.event_type.clone(), state_key.clone()));
        let needed = auth
            .iter()
            .cloned()
            .chain([create_key()])
            .chain(place_key.clone());
        let missing = self.missing(needed);
        if !missing.is_empty() {
            return Ok(Step::Load(missing));
        }
        let replaced = match &place_key {
            Some(key) => self.entry(key).ok().flatten().cloned(),
            None => None,
        };
        // Putting the same state twice is one act, even if the first has taken the power to do it
        // again: these requests have no transaction ID.
        if let Some(same) = replaced
            .as_ref()
            .filter(|entry| says_the_same(&entry.pdu, &draft) && self.may_know(&draft))
        {
            return Ok(Step::Nothing(same.pdu.event_id.clone()));
        }
        let auth_events = auth
            .iter()
            .filter_map(|key| self.entry(key).ok().flatten())
            .map(|entry| entry.reference.clone())
            .collect();
        let place = Place {
            room_id: self.room_id.clone(),
            prev_events: self.newest.iter().cloned().collect(),
            auth_events,
            depth: self.depth + 1,
        };
        let relation = relation_in(
            &draft.event_type,
            draft.state_key.as_deref(),
            &draft.content,
        );
        let pdu = Arc::new(build(draft, &place, &self.version, signer, now)?);
        if let Some(missing) = self.refused(&pdu)? {
            return Ok(Step::Load(missing));
        }
        let append = Append {
            room_id: pdu.room_id.clone(),
            generation: self.generation,
            event_id: pdu.event_id.clone(),
            event_type: pdu.type_name.clone(),
            state_key: pdu.state_key.clone(),
            sender: pdu.sender.clone(),
            origin_server_ts: pdu.origin_server_ts,
            // `None` is before every time.
            steps_back: Some(pdu.origin_server_ts) < self.newest_ts,
            depth: pdu.depth,
            json: Arc::clone(&pdu.json),
            membership: membership_change(&pdu, replaced.as_ref().map(|entry| &*entry.pdu)),
            replaces_state: replaced.map(|entry| entry.pdu.event_id.clone()),
            transaction: transaction
                .map(|used| (used.key, used.device_id.clone(), used.txn_id.clone())),
            relation,
            redacts: redacted.and_then(|target| {
                let json = target.pruned.clone()?;
                Some(RedactedEvent {
                    event_id: target.event_id.clone(),
                    json,
                })
            }),
        };
        self.advance(pdu, place_key, redacted)?;
        Ok(Step::Append(Box::new(append)))
    }

    /// Whether the sender may be told what is in this place of the state now: who is joined may, and
    /// everybody of their own membership.
    fn may_know(&self, draft: &Draft) -> bool {
        let sender = draft.sender.as_str();
        let is_own =
            draft.event_type == "m.room.member" && draft.state_key.as_deref() == Some(sender);
        let own = self.held("m.room.member", sender);
        is_own || own.is_some_and(|pdu| membership_of(pdu) == Some(MembershipState::Join))
    }

    /// Asks the authorization rules. `Some` are places that they looked at and that are not
    /// loaded; an error is their refusal.
    fn refused(&self, pdu: &Pdu) -> Result<Option<Vec<StateKey>>, RoomError> {
        let unknown = RefCell::new(Vec::new());
        let verdict = authorize(pdu, &self.version, |event_type, state_key| {
            let key = (event_type.to_string(), state_key.to_owned());
            if let Ok(entry) = self.entry(&key) {
                return entry.map(|entry| Arc::clone(&entry.pdu));
            }
            unknown.borrow_mut().push(key);
            None
        });
        let unknown = self.missing(unknown.into_inner());
        if !unknown.is_empty() {
            return Ok(Some(unknown));
        }
        verdict
            .map(|()| None)
            .map_err(|rejected| RoomError::Forbidden(rejected.reason))
    }

    /// Whether a local user may empty an event: their own always, another's with the level. "Server
    /// administrators may redact events sent by users on their server."
    fn may_redact(
        &self,
        draft: &Draft,
        target: &RedactionTarget,
    ) -> Result<Option<Vec<StateKey>>, RoomError> {
        let mut keys = vec![create_key(), power_key()];
        keys.extend(target.state.clone());
        let missing = self.missing(keys);
        if !missing.is_empty() {
            return Ok(Some(missing));
        }
        if draft.sender == target.sender || target.by_admin {
            return Ok(None);
        }
        let create = self
            .held("m.room.create", "")
            .ok_or(RoomError::NoSuchRoom)?;
        let levels = self.held("m.room.power_levels", "").map(|pdu| &**pdu);
        match Power::new(&self.version, create, levels)
            .allows(&draft.sender, RoomPowerLevelsIntField::Redact)
        {
            Ok(true) => Ok(None),
            Ok(false) => Err(RoomError::Forbidden(
                "you may not redact what others have sent in this room".to_owned(),
            )),
            Err(unreadable) => Err(RoomError::Forbidden(unreadable)),
        }
    }

    fn advance(
        &mut self,
        pdu: Arc<Pdu>,
        place_key: Option<StateKey>,
        redacted: Option<&RedactionTarget>,
    ) -> Result<(), RoomError> {
        let reference = EventRef::to(&pdu, &self.version)?;
        self.room_id.get_or_insert_with(|| pdu.room_id.clone());
        self.depth = pdu.depth;
        self.newest = Some(reference.clone());
        self.newest_ts = Some(pdu.origin_server_ts);
        if let Some(key) = place_key {
            self.state.insert(key, Some(StateEntry { pdu, reference }));
        }
        if let Some(key) = redacted.and_then(|target| target.state.as_ref()) {
            let emptied =
                self.entry(key).ok().flatten().is_some_and(|entry| {
                    redacted.is_some_and(|t| t.event_id == entry.pdu.event_id)
                });
            if emptied {
                // What it decides now is what the redaction left; read it again when it matters.
                self.forget(key, redacted);
            }
        }
        Ok(())
    }

    /// Replaces a redacted state event by what is left of it.
    fn forget(&mut self, key: &StateKey, redacted: Option<&RedactionTarget>) {
        let Some(pruned) = redacted.and_then(|target| target.pruned.as_ref()) else {
            return;
        };
        let Some(Some(entry)) = self.state.get_mut(key) else {
            return;
        };
        let content = serde_json::from_slice::<ContentOnly>(pruned).map(|event| event.content);
        if let Ok(content) = content {
            let mut pdu = (*entry.pdu).clone();
            pdu.content = content;
            pdu.json = Arc::clone(pruned);
            entry.pdu = Arc::new(pdu);
        }
    }
}

#[derive(Deserialize)]
struct ContentOnly {
    content: Box<serde_json::value::RawValue>,
}

/// Whether the draft would put the same content, by the same sender, where `current` is.
fn says_the_same(current: &Pdu, draft: &Draft) -> bool {
    current.sender == draft.sender
        && serde_json::to_string(&draft.content).is_ok_and(|new| new == current.content.get())
}

/// The membership in a member event's content.
pub(crate) fn membership_of(pdu: &Pdu) -> Option<MembershipState> {
    #[derive(Deserialize)]
    struct Membership {
        membership: MembershipState,
    }
    serde_json::from_str::<Membership>(pdu.content.get())
        .ok()
        .map(|content| content.membership)
}

fn membership_change(
    pdu: &Pdu,
    replaced: Option<&Pdu>,
) -> Option<(MembershipState, Option<MembershipState>)> {
    if pdu.type_name != "m.room.member" || pdu.state_key.is_none() {
        return None;
    }
    // A member event that holds a place always counts as one before, whatever it says.
    let previous = replaced.map(|pdu| membership_of(pdu).unwrap_or(MembershipState::Leave));
    Some((membership_of(pdu)?, previous))
}
