//! Writing a PDU as canonical JSON without a tree of values.
//!
//! A new event is needed three times: as what its content hash covers, as what its signature and
//! its ID cover, and as what is stored. Its keys are few, fixed and known in order, so each is
//! written straight from the fields, with the content serialized once.

use crate::{EventError, EventRef};

/// The fields of a new PDU beside its content, hash and signature.
pub(crate) struct Envelope<'a> {
    pub(crate) auth_events: &'a [EventRef],
    pub(crate) depth: u64,
    pub(crate) event_id: Option<&'a str>,
    pub(crate) origin_server_ts: u64,
    pub(crate) prev_events: &'a [EventRef],
    pub(crate) redacts: Option<&'a str>,
    pub(crate) room_id: Option<&'a str>,
    pub(crate) sender: &'a str,
    pub(crate) state_key: Option<&'a str>,
    pub(crate) event_type: &'a str,
    /// Whether events are named with their hashes.
    pub(crate) pairs: bool,
}

/// A signature with who made it and with which key.
pub(crate) struct Signature<'a> {
    pub(crate) server_name: &'a str,
    pub(crate) key_id: &'a str,
    pub(crate) base64: &'a str,
}

impl<'a> Envelope<'a> {
    /// The canonical JSON with this content, and with the hash, `redacts` and the signature where
    /// they are wanted.
    ///
    /// Keys must be in ascending order here.
    pub(crate) fn write(
        &self,
        content: &str,
        hash: Option<&str>,
        with_redacts: bool,
        signature: Option<&Signature<'a>>,
    ) -> Result<Vec<u8>, EventError> {
        let refs = (self.auth_events.len() + self.prev_events.len()) * 50;
        let mut out = Out(Vec::with_capacity(content.len() + refs + 700));
        out.raw("{\"auth_events\":");
        self.write_refs(&mut out, self.auth_events)?;
        out.raw(",\"content\":");
        out.raw(content);
        out.raw(",\"depth\":");
        out.number(self.depth)?;
        if let Some(event_id) = self.event_id {
            out.field("event_id", event_id)?;
        }
        if let Some(hash) = hash {
            out.raw(",\"hashes\":{\"sha256\":");
            out.string(hash)?;
            out.raw("}");
        }
        out.raw(",\"origin_server_ts\":");
        out.number(self.origin_server_ts)?;
        out.raw(",\"prev_events\":");
        self.write_refs(&mut out, self.prev_events)?;
        if let Some(redacts) = self.redacts.filter(|_| with_redacts) {
            out.field("redacts", redacts)?;
        }
        if let Some(room_id) = self.room_id {
            out.field("room_id", room_id)?;
        }
        out.field("sender", self.sender)?;
        if let Some(Signature {
            server_name,
            key_id,
            base64,
        }) = signature
        {
            out.raw(",\"signatures\":{");
            out.string(server_name)?;
            out.raw(":{");
            out.string(key_id)?;
            out.raw(":");
            out.string(base64)?;
            out.raw("}}");
        }
        if let Some(state_key) = self.state_key {
            out.field("state_key", state_key)?;
        }
        out.field("type", self.event_type)?;
        out.raw("}");
        Ok(out.0)
    }

    fn write_refs(&self, out: &mut Out, refs: &[EventRef]) -> Result<(), EventError> {
        out.raw("[");
        for (index, reference) in refs.iter().enumerate() {
            if index > 0 {
                out.raw(",");
            }
            if self.pairs {
                let hash = reference
                    .reference_hash
                    .as_deref()
                    .ok_or(EventError::Broken(
                        "versions 1 and 2 name events with their hashes".into(),
                    ))?;
                out.raw("[");
                out.string(reference.event_id.as_str())?;
                out.raw(",{\"sha256\":");
                out.string(hash)?;
                out.raw("}]");
            } else {
                out.string(reference.event_id.as_str())?;
            }
        }
        out.raw("]");
        Ok(())
    }
}

struct Out(Vec<u8>);

impl Out {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) -> Result<(), EventError> {
        Ok(serde_json::to_writer(&mut self.0, text)?)
    }

    fn number(&mut self, number: u64) -> Result<(), EventError> {
        Ok(serde_json::to_writer(&mut self.0, &number)?)
    }

    fn field(&mut self, key: &str, text: &str) -> Result<(), EventError> {
        self.raw(",\"");
        self.raw(key);
        self.raw("\":");
        self.string(text)
    }
}
