//! What relates to the events of a timeline, summed up for the user.

use std::sync::Arc;

use greenroom_events::{
    VisibilityHistory,
    relations::{Bundles, targets},
};
use greenroom_storage::RelationReader;
use serde_json::value::RawValue;

use crate::{SyncError, index::TailEvent, service::Reading};

impl Reading<'_> {
    /// Prepared events as the user sees them, each with what relates to it: for a timeline that is
    /// limited, and so may lack what relates to its events.
    ///
    /// Nothing is read for events in memory that nothing relates to.
    pub(crate) async fn render_bundled(
        &self,
        events: &[Arc<TailEvent>],
        history: &VisibilityHistory,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let bundles = self.bundles(events, history).await?;
        self.render_tail_with(events, history, Some(&bundles)).await
    }

    async fn bundles(
        &self,
        events: &[Arc<TailEvent>],
        history: &VisibilityHistory,
    ) -> Result<Bundles, SyncError> {
        let store = &self.service.parts.relations;
        let message = |tail: &&Arc<TailEvent>| tail.event.state_key.is_none();
        let messages: Vec<_> = events.iter().filter(message).collect();
        let unknown = messages.iter().filter(|tail| tail.is_summed().is_none());
        let unknown: Vec<_> = unknown.collect();
        if !unknown.is_empty() {
            let asked = targets(unknown.iter().map(|tail| &*tail.event));
            let summed = store.summed(asked).await?;
            for tail in unknown {
                tail.note_summed(summed.contains(&tail.event.event_id));
            }
        }
        let summed = messages
            .iter()
            .filter(|tail| tail.is_summed() != Some(false));
        let targets = targets(summed.map(|tail| &*tail.event));
        if targets.is_empty() {
            return Ok(Bundles::new());
        }
        let reader = RelationReader {
            user_id: self.user.user_id.clone(),
            ignored: self.ignored.users(),
            visible: history.open_stretches(self.upto.position),
        };
        Ok(store.aggregations(targets, reader).await?)
    }
}
