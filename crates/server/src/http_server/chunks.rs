//! Follows a body in chunks to its end, as actix reads one, and refuses what actix refuses.
//!
//! Stricter in two points: no bare LF in the trailer section, where it could hide a request from one of two servers in a row,
//! and no more than [`OVERHEAD`] bytes that are not content.

/// Chunk extensions and trailers carry nothing that Greenroom reads. A body made of them only costs time.
const OVERHEAD: u32 = 16 * 1024;

/// A body in chunks, somewhere between its first byte and its end.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    size: u64,
    overhead: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    SizeFirst,
    SizeRest,
    SizeSpace,
    Extension,
    SizeLf,
    Content,
    ContentCr,
    ContentLf,
    EndCr,
    EndLf,
    Trailer,
    TrailerLf,
}

/// How far [`Chunks::advance`] came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All is in order up to here (exclusive) and the body goes on.
    More(usize),
    /// The body ends here (exclusive).
    Done(usize),
    /// The byte at this offset has no place there.
    Refused(usize),
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            state: State::SizeFirst,
            size: 0,
            overhead: 0,
        }
    }

    /// Reads `bytes`, which are not empty, to their end or to the body's.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if matches!(self.state, State::Content) {
                let here = bytes.len() - at;
                let taken = usize::try_from(self.size).map_or(here, |size| size.min(here));
                self.size = self.size.saturating_sub(taken as u64);
                if self.size == 0 {
                    self.state = State::ContentCr;
                }
                at += taken;
                continue;
            }
            if matches!((self.state, byte), (State::EndLf, b'\n')) {
                return Progress::Done(at + 1);
            }
            match self.next(byte) {
                Some(state) => self.state = state,
                None => return Progress::Refused(at),
            }
            at += 1;
        }
        Progress::More(at)
    }

    fn next(&mut self, byte: u8) -> Option<State> {
        Some(match (self.state, byte) {
            (State::SizeFirst, _) => {
                self.size = u64::from(hex(byte)?);
                State::SizeRest
            }
            (State::SizeRest | State::SizeSpace, b'\t' | b' ') => {
                self.overhead()?;
                State::SizeSpace
            }
            (State::SizeRest | State::SizeSpace, b';') => State::Extension,
            (State::SizeRest | State::SizeSpace | State::Extension, b'\r') => State::SizeLf,
            (State::SizeRest, _) => {
                let digit = hex(byte)?;
                // Zeros in front never overflow: unless they count, a size line has no end.
                if self.size == 0 {
                    self.overhead()?;
                }
                self.size = self.size.checked_mul(16)? | u64::from(digit);
                State::SizeRest
            }
            (State::Extension, b'\t' | b' '..=0x7e | 0x80..) => {
                self.overhead()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.size == 0 => State::EndCr,
            (State::SizeLf, b'\n') => State::Content,
            (State::ContentCr, b'\r') => State::ContentLf,
            (State::ContentLf, b'\n') => State::SizeFirst,
            (State::EndCr, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::EndCr | State::Trailer, 0x01..=0x09 | 0x0b..) => {
                self.overhead()?;
                State::Trailer
            }
            (State::TrailerLf, b'\n') => State::EndCr,
            _ => return None,
        })
    }

    fn overhead(&mut self) -> Option<()> {
        self.overhead = self.overhead.saturating_add(1);
        (self.overhead <= OVERHEAD).then_some(())
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Progress {
        Chunks::new().advance(body)
    }

    #[test]
    fn the_end_is_found_behind_content_extensions_and_trailers() {
        let body = b"4;name=\"v\"\r\nda\n\r\r\n00A \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
        assert_eq!(read(body), Progress::Done(body.len() - 5));
    }

    #[test]
    fn a_body_read_byte_by_byte_ends_at_the_same_place() {
        let body = b"3\r\nabc\r\n0\r\nT: x\r\n\r\n";
        let mut chunks = Chunks::new();
        for (at, byte) in body.iter().enumerate() {
            let last = at + 1 == body.len();
            let expected = if last {
                Progress::Done(1)
            } else {
                Progress::More(1)
            };
            assert_eq!(chunks.advance(&[*byte]), expected, "byte {at}");
        }
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_refused() {
        for (body, at) in [
            (&b"4\ndata"[..], 1),
            (b"\r\n", 0),
            (b"0x4\r\n", 1),
            (b"-1\r\n", 0),
            (b"11111111111111111\r\n", 16),
            (b"1\r\nab\r\n", 4),
            (b"1\r\na\n", 4),
            (b"0\r\n\n\r\n", 3),
            (b"0\r\nA: b\nC: d\r\n\r\n", 7),
            (b"1;a\nb\r\n", 3),
        ] {
            assert_eq!(
                read(body),
                Progress::Refused(at),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn many_chunks_are_no_overhead() {
        let body = b"abc\r\n"
            .iter()
            .chain(&[b'.'; 0xabc])
            .chain(b"\r\n")
            .copied()
            .collect::<Vec<u8>>()
            .repeat(20_000);
        assert_eq!(read(&body), Progress::More(body.len()));
    }

    #[test]
    fn a_body_of_nothing_but_overhead_is_refused() {
        let mut body = b"1;".to_vec();
        body.resize(64 * 1024, b'x');
        assert!(matches!(read(&body), Progress::Refused(_)));
        let mut body = vec![b'0'; 64 * 1024];
        assert!(matches!(read(&body), Progress::Refused(_)));
        body.splice(..0, *b"0\r\n");
        assert!(matches!(read(&body), Progress::Refused(_)));
    }
}
