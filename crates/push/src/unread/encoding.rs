//! What is unread, as bytes for the database: a row is rewritten now and then, and may have many
//! thousands of events of somebody who never reads.
//!
//! A version, the threads' names, then the events: each the distance from the one before and a
//! highlight bit in one number, the thread in another. Numbers are seven bits to a byte, the
//! lowest first, as in LEB128.

use greenroom_model::StreamPosition;
use ruma::{EventId, OwnedEventId};

use super::tally::UnreadEvent;

const VERSION: u8 = 1;

pub(super) fn encode(events: &[UnreadEvent], threads: &[OwnedEventId]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put(&mut bytes, threads.len() as u64);
    for root in threads {
        put(&mut bytes, root.as_str().len() as u64);
        bytes.extend_from_slice(root.as_bytes());
    }
    let mut last = 0;
    for event in events {
        let distance = event.position.0.abs_diff(last);
        put(&mut bytes, distance << 1 | u64::from(event.highlight));
        put(&mut bytes, u64::from(event.thread));
        last = event.position.0;
    }
    bytes
}

/// `None` if this is not what [`encode`] makes.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<UnreadEvent>, Vec<OwnedEventId>)> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let mut threads = Vec::new();
    for _ in 0..take(&mut rest)? {
        let length = usize::try_from(take(&mut rest)?).ok()?;
        let (root, after) = rest.split_at_checked(length)?;
        threads.push(EventId::parse(std::str::from_utf8(root).ok()?).ok()?);
        rest = after;
    }
    let mut events = Vec::new();
    let mut last = 0_i64;
    while !rest.is_empty() {
        let number = take(&mut rest)?;
        let thread = u32::try_from(take(&mut rest)?).ok()?;
        last = last.checked_add_unsigned(number >> 1)?;
        if thread as usize > threads.len() {
            return None;
        }
        events.push(UnreadEvent {
            position: StreamPosition(last),
            thread,
            highlight: number & 1 == 1,
        });
    }
    Some((events, threads))
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ruma::event_id;

    use super::*;

    fn event(position: i64, thread: u32, highlight: bool) -> UnreadEvent {
        UnreadEvent {
            position: StreamPosition(position),
            thread,
            highlight,
        }
    }

    #[test]
    fn what_was_written_reads_back() {
        let threads = vec![
            event_id!("$root").to_owned(),
            event_id!("$other").to_owned(),
        ];
        let events = vec![
            event(1, 0, false),
            event(2, 2, true),
            event(300, 1, false),
            event(i64::MAX / 2, 0, true),
        ];
        let bytes = encode(&events, &threads);
        assert_eq!(decode(&bytes), Some((events, threads)));
        assert_eq!(decode(&encode(&[], &[])), Some((vec![], vec![])));
        for length in 0..bytes.len() {
            // Cut anywhere it is fewer events, or nothing that panics.
            let _ = decode(bytes.get(..length).unwrap());
        }
        assert_eq!(decode(b""), None);
        assert_eq!(decode(&[2, 0]), None);
        assert_eq!(decode(&[1, 0, 2, 1]), None, "a thread without a name");
        assert_eq!(decode(&[0xff; 40]), None);
    }

    #[test]
    fn an_event_of_a_busy_server_takes_three_bytes() {
        let events: Vec<_> = (1..=1_000).map(|n| event(n * 60, 0, false)).collect();
        assert!(encode(&events, &[]).len() <= 3 * events.len());
    }
}
