//! Whose presence changed last, and who may know of it.

use std::collections::{BTreeMap, HashMap};

use ruma::{OwnedUserId, UserId};

/// The last change of presence of each user, by number. One for all who sync: who may know of a
/// change is decided when it is read, so that nobody hears of people whose rooms they have left.
#[derive(Debug, Default)]
pub(super) struct PresenceLog {
    numbers: HashMap<OwnedUserId, u64>,
    in_order: BTreeMap<u64, OwnedUserId>,
}

impl PresenceLog {
    /// Notes a change; an earlier one of the same user no longer counts.
    pub(super) fn note(&mut self, user_id: &UserId, number: u64) {
        if let Some(before) = self.numbers.insert(user_id.to_owned(), number) {
            self.in_order.remove(&before);
        }
        self.in_order.insert(number, user_id.to_owned());
    }

    /// The last changes after this one.
    pub(super) fn after(&self, number: u64) -> Vec<(OwnedUserId, u64)> {
        let later = self.in_order.range(number.saturating_add(1)..);
        later
            .map(|(number, user_id)| (user_id.clone(), *number))
            .collect()
    }

    /// Forgets all but these users.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&UserId) -> bool) {
        self.in_order.retain(|_, user_id| is_kept(user_id));
        self.numbers.retain(|user_id, _| is_kept(user_id));
    }
}
