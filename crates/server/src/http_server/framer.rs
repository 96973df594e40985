//! Follows the framing of HTTP/1.1 requests, so that whoever asks knows which byte belongs to a request target.
//!
//! It reads every byte that the HTTP parser behind it will read and keeps none of them, except the start of a header line that a
//! read has cut in two. It draws the boundary between two requests exactly where actix draws it: a head or a chunk that actix
//! would refuse, or that two servers in a row could read in two ways, is [`Step::Refuse`] here. So there are only two cases: both
//! agree, or the connection ends. That is what keeps a rewritten byte from moving the start of the next request.

use memchr::memchr;

use super::chunks::{Chunks, Progress};

/// More than any line this module must understand: `transfer-encoding: chunked` and a version, with room for white space.
const LINE_START: usize = 128;

/// What [`RequestFramer::step`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All of the bytes can be passed on as they are.
    Clean,
    /// The byte at this offset stands in a request target, where the URI parser would refuse it.
    /// The bytes before it are clean, and it has been taken into account: go on behind it.
    Encode(usize),
    /// The bytes before this offset are clean; no byte from here on may reach the parser.
    Refuse(usize),
}

/// Where in a request the next byte stands, for whoever decides how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Between two requests.
    Between,
    /// In a request line or in headers.
    Head,
    /// In a body.
    Body,
    /// In bytes that have no end but the end of the connection.
    Tunnel,
}

#[derive(Debug)]
enum Phase {
    /// Before a request line, where empty lines are allowed.
    Start,
    /// After the CR of an empty line before a request line.
    StartLf,
    Method,
    Target(Form),
    Version,
    Header,
    Length(u64),
    Chunked(Chunks),
    Tunnel,
    Refused,
}

/// Only `/path?query` is rewritten: in the other forms of a target the authority would come under the knife too.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Not a byte of the target has been seen.
    Unknown,
    Origin,
    Other,
}

/// What the head read so far says about the body that follows.
#[derive(Debug, Default)]
struct Head {
    method: Captured<8>,
    http_1_0: bool,
    content_length: Option<u64>,
    chunked: bool,
    websocket: bool,
}

/// The first bytes of something whose length the peer chooses.
#[derive(Debug)]
struct Captured<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Captured<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }
}

impl<const N: usize> Captured<N> {
    fn extend(&mut self, more: &[u8]) {
        if let Some(free) = self.bytes.get_mut(self.length..) {
            for (slot, byte) in free.iter_mut().zip(more) {
                *slot = *byte;
            }
        }
        self.length = self.length.saturating_add(more.len());
    }

    /// All of it, or nothing if it was longer than `N`.
    fn whole(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}

/// The state of one connection. See the module's documentation.
#[derive(Debug)]
pub(super) struct RequestFramer {
    phase: Phase,
    head: Head,
    requests: u64,
    /// The start of the current line, where it began in an earlier read.
    line: Option<Box<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    start: Captured<LINE_START>,
    last: u8,
}

enum LineEnd {
    NextLine,
    EndOfHead,
    Refused,
}

impl RequestFramer {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Start,
            head: Head::default(),
            requests: 0,
            line: None,
        }
    }

    /// Where the next byte will stand.
    pub(super) fn place(&self) -> Place {
        match self.phase {
            Phase::Start | Phase::StartLf => Place::Between,
            Phase::Method | Phase::Target(_) | Phase::Version | Phase::Header => Place::Head,
            Phase::Length(_) | Phase::Chunked(_) => Place::Body,
            Phase::Tunnel | Phase::Refused => Place::Tunnel,
        }
    }

    /// How many requests have begun.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Takes `bytes` into account, up to the first that may not be passed on as it is.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            match self.advance(rest) {
                Advance::Clean(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Advance::Encode(taken) => return Step::Encode(at + taken),
                Advance::Refuse(taken) => {
                    self.phase = Phase::Refused;
                    return Step::Refuse(at + taken);
                }
            }
        }
        Step::Clean
    }

    fn advance(&mut self, rest: &[u8]) -> Advance {
        match &mut self.phase {
            Phase::Start => self.start(rest),
            Phase::StartLf => {
                self.phase = Phase::Start;
                if rest.first() == Some(&b'\n') {
                    Advance::Clean(1)
                } else {
                    Advance::Refuse(0)
                }
            }
            Phase::Method => self.method(rest),
            Phase::Target(form) => {
                let form = *form;
                self.target(form, rest)
            }
            Phase::Version | Phase::Header => self.line(rest),
            Phase::Length(left) => {
                let taken = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left = left.saturating_sub(taken as u64);
                if *left == 0 {
                    self.phase = Phase::Start;
                }
                Advance::Clean(taken)
            }
            Phase::Chunked(chunks) => match chunks.advance(rest) {
                Progress::More(taken) => Advance::Clean(taken),
                Progress::Done(taken) => {
                    self.phase = Phase::Start;
                    Advance::Clean(taken)
                }
                Progress::Refused(at) => Advance::Refuse(at),
            },
            Phase::Tunnel => Advance::Clean(rest.len()),
            Phase::Refused => Advance::Refuse(0),
        }
    }

    fn start(&mut self, rest: &[u8]) -> Advance {
        match rest.first() {
            Some(b'\r') => {
                self.phase = Phase::StartLf;
                Advance::Clean(1)
            }
            Some(b'\n') => Advance::Refuse(0),
            _ => {
                self.head = Head::default();
                self.requests = self.requests.wrapping_add(1);
                self.phase = Phase::Method;
                Advance::Clean(0)
            }
        }
    }

    fn method(&mut self, rest: &[u8]) -> Advance {
        let end = rest.iter().position(|byte| *byte <= b' ');
        let (method, stop) = rest.split_at(end.unwrap_or(rest.len()));
        self.head.method.extend(method);
        match stop.first() {
            None => Advance::Clean(rest.len()),
            Some(b' ') => {
                self.phase = Phase::Target(Form::Unknown);
                Advance::Clean(method.len() + 1)
            }
            Some(_) => Advance::Refuse(method.len()),
        }
    }

    fn target(&mut self, form: Form, rest: &[u8]) -> Advance {
        let form = match (form, rest.first()) {
            (Form::Unknown, Some(b'/')) => Form::Origin,
            (Form::Unknown, _) => Form::Other,
            known => known.0,
        };
        self.phase = Phase::Target(form);
        let Some(end) = rest.iter().position(|byte| !is_plain(*byte)) else {
            return Advance::Clean(rest.len());
        };
        match rest.get(end) {
            Some(b' ') => {
                self.phase = Phase::Version;
                Advance::Clean(end + 1)
            }
            Some(0..b' ' | 0x7f) | None => Advance::Refuse(end),
            Some(_) if matches!(form, Form::Origin) => Advance::Encode(end),
            Some(_) => Advance::Clean(end + 1),
        }
    }

    /// Version and header fields: whole lines, of which most are of no interest.
    fn line(&mut self, rest: &[u8]) -> Advance {
        let Some(end) = memchr(b'\n', rest) else {
            let line = self.line.get_or_insert_default();
            line.start.extend(rest);
            line.last = rest.last().copied().unwrap_or(line.last);
            return Advance::Clean(rest.len());
        };
        let here = rest.get(..end).unwrap_or_default();
        let outcome = match self.line.take() {
            None => self.whole_line(here),
            Some(mut line) => {
                line.start.extend(here);
                let ends_in_cr = here.last().copied().unwrap_or(line.last) == b'\r';
                match line.start.whole() {
                    Some(whole) => self.whole_line(whole),
                    // Long, so the end of the head it is not, nor a version. It may only be a field without meaning here.
                    None if !ends_in_cr || self.is_framing(&line.start.bytes) => LineEnd::Refused,
                    None => LineEnd::NextLine,
                }
            }
        };
        match outcome {
            LineEnd::Refused => Advance::Refuse(end),
            LineEnd::NextLine => Advance::Clean(end + 1),
            LineEnd::EndOfHead => {
                if !self.begin_body() {
                    return Advance::Refuse(end);
                }
                Advance::Clean(end + 1)
            }
        }
    }

    /// `true` where the line that begins so must be understood to find the end of the request.
    fn is_framing(&self, line: &[u8]) -> bool {
        matches!(self.phase, Phase::Version)
            || field(line).is_some_and(|(name, _)| Field::named(name) != Field::Other)
    }

    /// A line without its LF.
    fn whole_line(&mut self, line: &[u8]) -> LineEnd {
        // A bare LF is a line's end to some servers and not to others: cutting a head there is how requests are smuggled.
        let Some((b'\r', line)) = line.split_last() else {
            return LineEnd::Refused;
        };
        if matches!(self.phase, Phase::Version) {
            self.phase = Phase::Header;
            self.head.http_1_0 = line == b"HTTP/1.0";
            return if self.head.http_1_0 || line == b"HTTP/1.1" {
                LineEnd::NextLine
            } else {
                LineEnd::Refused
            };
        }
        match line.first() {
            None => return LineEnd::EndOfHead,
            // A folded line continues the field before it, or does not, depending on who reads it.
            Some(b' ' | b'\t') => return LineEnd::Refused,
            // The first letters of the three fields that matter.
            Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U') => {}
            Some(_) => return LineEnd::NextLine,
        }
        // A line without a colon is for actix to refuse.
        let Some((name, value)) = field(line) else {
            return LineEnd::NextLine;
        };
        let field = Field::named(name);
        // However the reads fall, one rule: longer than what is kept of a line that comes in two reads.
        let too_long = line.len() >= LINE_START && field != Field::Other;
        if !too_long && self.head.note(field, value) {
            LineEnd::NextLine
        } else {
            LineEnd::Refused
        }
    }

    /// The head is over. `false` where it does not say unequivocally what follows.
    fn begin_body(&mut self) -> bool {
        let head = &self.head;
        if head.chunked && (head.content_length.is_some() || head.http_1_0) {
            return false;
        }
        // The order is actix's.
        self.phase = match head.content_length {
            _ if head.chunked => Phase::Chunked(Chunks::new()),
            _ if head.websocket => Phase::Tunnel,
            Some(length @ 1..) => Phase::Length(length),
            _ if head.method.whole() == Some(b"CONNECT") => Phase::Tunnel,
            _ => Phase::Start,
        };
        true
    }
}

enum Advance {
    Clean(usize),
    Encode(usize),
    Refuse(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ContentLength,
    TransferEncoding,
    Upgrade,
    Other,
}

impl Field {
    fn named(name: &[u8]) -> Self {
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => Self::ContentLength,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => Self::TransferEncoding,
            7 if name.eq_ignore_ascii_case(b"upgrade") => Self::Upgrade,
            _ => Self::Other,
        }
    }
}

impl Head {
    /// Takes a field into account; `false` where it makes the head ambiguous.
    fn note(&mut self, field: Field, value: &[u8]) -> bool {
        match field {
            Field::ContentLength => {
                // A sign is a number to `parse`, not to HTTP.
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let length = std::str::from_utf8(value)
                    .ok()
                    .filter(|_| digits)
                    .and_then(|text| text.parse().ok());
                let first = self.content_length.is_none();
                self.content_length = length;
                first && length.is_some()
            }
            Field::TransferEncoding => {
                let first = !self.chunked;
                self.chunked = true;
                first && value.eq_ignore_ascii_case(b"chunked")
            }
            Field::Upgrade => {
                self.websocket |= value.eq_ignore_ascii_case(b"websocket");
                true
            }
            Field::Other => true,
        }
    }
}

/// A header line's name, and its value without white space around it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let (name, value) = line.split_at(colon);
    let value = value.split_first()?.1;
    let start = value
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t'))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\t'))
        .map_or(start, |last| last + 1);
    Some((name, value.get(start..end)?))
}

/// Whether a byte of a request target can be passed on without a thought.
///
/// Not plain are the end of the target, control characters, and what `http` 0.2 refuses: in a path `<`, `>`, the backtick and
/// bytes above 0x7f, in a query `"`, `<`, `>` and bytes above 0x7f. One set serves both, as a handler decodes either.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | b'`' | 0x7f..)
}
