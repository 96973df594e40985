//! Events as a reader sees them, with what relates to them.

use greenroom_events::{
    Format, Viewer,
    relations::{Bundles, targets},
    view::related_ids,
};
use greenroom_model::StoredEvent;
use greenroom_storage::RelationReader;

use super::{Access, EventView, Reader};
use crate::{RoomError, Rooms};

impl Access {
    /// The reader, for questions about what relates to an event.
    pub(crate) fn relation_reader(&self, reader: &Reader) -> RelationReader {
        RelationReader {
            user_id: reader.user_id.clone(),
            ignored: self.ignored.users(),
            visible: self.history.open_stretches(self.now),
        }
    }
}

impl Rooms {
    /// Events of one room as a reader sees them.
    pub(crate) async fn render(
        &self,
        reader: &Reader,
        access: &Access,
        events: &[StoredEvent],
        format: Format,
    ) -> Result<Vec<EventView>, RoomError> {
        let bundles = self.bundles(reader, access, events).await?;
        self.render_with(reader, access, events, &bundles, format)
            .await
    }

    /// What is summed up of the relations to these events.
    pub(crate) async fn bundles(
        &self,
        reader: &Reader,
        access: &Access,
        events: &[StoredEvent],
    ) -> Result<Bundles, RoomError> {
        let targets = targets(events);
        if targets.is_empty() {
            return Ok(Bundles::new());
        }
        let reader = access.relation_reader(reader);
        Ok(self.parts().relations.aggregations(targets, reader).await?)
    }

    /// [`Self::render`] with what was summed up before.
    pub(crate) async fn render_with(
        &self,
        reader: &Reader,
        access: &Access,
        events: &[StoredEvent],
        bundles: &Bundles,
        format: Format,
    ) -> Result<Vec<EventView>, RoomError> {
        let ids = related_ids(events);
        let related = self.parts().timeline.events(ids).await?;
        let related = related
            .into_iter()
            .map(|event| (event.event_id.clone(), event))
            .collect();
        let viewer = Viewer {
            user_id: &reader.user_id,
            device_id: Some(&reader.device_id),
            now_ms: self.parts().clock.now_ms(),
            history: Some(&access.history),
            format,
            fields: None,
            bundles: Some(bundles),
        };
        Ok(events
            .iter()
            .map(|event| viewer.view(event, &related))
            .collect::<Result<_, _>>()?)
    }
}
