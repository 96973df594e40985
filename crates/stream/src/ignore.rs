//! Whom users ignore: their own choice, kept in their account data.

use std::{collections::HashSet, fmt, sync::Arc};

use async_trait::async_trait;
use greenroom_model::StoredEvent;
use ruma::{OwnedUserId, UserId};

/// Whom one user ignores. A clone is cheap, and so is the usual case: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredUsers(Option<Arc<HashSet<OwnedUserId>>>);

impl IgnoredUsers {
    /// These users.
    #[must_use]
    pub fn new(users: HashSet<OwnedUserId>) -> Self {
        Self((!users.is_empty()).then(|| Arc::new(users)))
    }

    /// Whether nobody is ignored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many are ignored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |users| users.len())
    }

    /// All of them; `None` if nobody is ignored.
    #[must_use]
    pub fn users(&self) -> Option<Arc<HashSet<OwnedUserId>>> {
        self.0.clone()
    }

    /// Whether `user_id` is ignored.
    #[must_use]
    pub fn contains(&self, user_id: &UserId) -> bool {
        self.0.as_ref().is_some_and(|users| users.contains(user_id))
    }

    /// Whether an event is not to be shown: everything by an ignored user but state, so that a room
    /// looks the same to all. See [ignoring
    /// users](https://spec.matrix.org/v1.19/client-server-api/#ignoring-users).
    #[must_use]
    pub fn hides(&self, event: &StoredEvent) -> bool {
        event.state_key.is_none() && self.contains(&event.sender)
    }
}

/// Who is ignored by whom.
#[async_trait]
pub trait IgnoreSource: Send + Sync {
    /// Whom `user_id` ignores. A change of their list is in the answer as soon as it is committed
    /// and told to observers, so before it is acknowledged.
    ///
    /// # Errors
    ///
    /// [`Unanswered`] if their list cannot be read now.
    async fn ignored_by(&self, user_id: &UserId) -> Result<IgnoredUsers, Unanswered>;
}

/// A source could not answer. A retry later may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered(pub String);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unanswered {}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn an_empty_set_ignores_nobody() {
        assert!(IgnoredUsers::new(HashSet::new()).is_empty());
        assert_eq!(IgnoredUsers::default().len(), 0);
        let mallory = user_id!("@mallory:localhost");
        let ignored = IgnoredUsers::new(HashSet::from([mallory.to_owned()]));
        assert!(ignored.contains(mallory) && !ignored.is_empty());
        assert!(!ignored.contains(user_id!("@bob:localhost")));
    }
}
