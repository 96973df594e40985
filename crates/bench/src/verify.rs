//! Is everything that was acknowledged there, exactly once and in order?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// The comparison of what was acknowledged with what was read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Acknowledged to the clients.
    pub acked: u64,
    /// Read back, doubles included.
    pub found: u64,
    /// Acknowledged and not found.
    pub lost: u64,
    /// Found more than once, or acknowledged to more than one request.
    pub duplicated: u64,
    /// Found though nobody was told of it: one request made two of them.
    pub unknown: u64,
    /// Found before something that the same client had acknowledged earlier.
    pub out_of_order: u64,
}

impl Verdict {
    /// Compares what each client had acknowledged, in its order, with what was
    /// found, oldest first.
    #[must_use]
    pub fn compare<A: AsRef<str>, F: AsRef<str>>(acked: &[Vec<A>], found: &[F]) -> Self {
        let mut verdict = Self {
            found: found.len() as u64,
            ..Self::default()
        };
        // id → where it was first found, if it was
        let mut places: HashMap<&str, Option<usize>> = HashMap::new();
        for id in acked.iter().flatten() {
            verdict.acked += 1;
            if places.insert(id.as_ref(), None).is_some() {
                verdict.duplicated += 1;
            }
        }
        for (index, id) in found.iter().enumerate() {
            match places.get_mut(id.as_ref()) {
                None => verdict.unknown += 1,
                Some(Some(_)) => verdict.duplicated += 1,
                Some(place) => *place = Some(index),
            }
        }
        for client in acked {
            let mut newest = None;
            for id in client {
                match places.get(id.as_ref()).copied().flatten() {
                    None => verdict.lost += 1,
                    Some(place) if newest.is_some_and(|newest| place < newest) => {
                        verdict.out_of_order += 1;
                    }
                    Some(place) => newest = Some(place),
                }
            }
        }
        verdict
    }

    /// Adds another comparison's counts.
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.found += other.found;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.unknown += other.unknown;
        self.out_of_order += other.out_of_order;
    }

    /// Whether everything was found exactly once and in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.unknown + self.out_of_order == 0
    }

    /// The verdict as an error if it is not clean.
    ///
    /// # Errors
    ///
    /// [`BenchError::Verification`] with the counts.
    pub fn check(&self) -> Result<()> {
        if self.is_clean() {
            return Ok(());
        }
        Err(BenchError::Verification(format!(
            "of {} acknowledged and {} found: {} lost, {} duplicated, {} unknown, {} out of order",
            self.acked, self.found, self.lost, self.duplicated, self.unknown, self.out_of_order
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    fn compare(acked: &[&[&str]], found: &[&str]) -> Verdict {
        let acked: Vec<Vec<&str>> = acked.iter().map(|client| client.to_vec()).collect();
        Verdict::compare(&acked, found)
    }

    #[test]
    fn interleaved_clients_found_once_each_are_clean() {
        let verdict = compare(&[&["a1", "a2"], &["b1", "b2"]], &["b1", "a1", "b2", "a2"]);
        assert_eq!(
            verdict,
            Verdict {
                acked: 4,
                found: 4,
                ..Verdict::default()
            }
        );
        assert!(verdict.is_clean() && verdict.check().is_ok());
    }

    #[test]
    fn what_is_not_found_is_lost() {
        let verdict = compare(&[&["a1", "a2", "a3"]], &["a1", "a3"]);
        assert_eq!((verdict.lost, verdict.is_clean()), (1, false));
        assert!(verdict.check().is_err());
    }

    #[test]
    fn what_is_found_twice_is_duplicated_and_not_lost() {
        let verdict = compare(&[&["a1", "a2"]], &["a1", "a2", "a2"]);
        assert_eq!(
            (verdict.duplicated, verdict.lost, verdict.out_of_order),
            (1, 0, 0)
        );
    }

    #[test]
    fn one_id_acknowledged_to_two_requests_is_duplicated() {
        assert_eq!(compare(&[&["a1"], &["a1"]], &["a1"]).duplicated, 1);
    }

    #[test]
    fn what_nobody_was_told_of_is_unknown() {
        assert_eq!(compare(&[&["a1"]], &["a1", "ghost"]).unknown, 1);
    }

    #[test]
    fn one_clients_events_must_stand_in_its_order() {
        assert_eq!(
            compare(&[&["a1", "a2", "a3"]], &["a2", "a1", "a3"]).out_of_order,
            1
        );
    }

    #[test]
    fn verdicts_of_several_rooms_add_up() {
        let mut total = compare(&[&["a1"]], &["a1"]);
        total.add(&compare(&[&["b1"]], &[]));
        assert_eq!((total.acked, total.found, total.lost), (2, 1, 1));
    }
}
