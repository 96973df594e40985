//! Waiting for things by long poll.

use std::time::Instant;

use serde_json::Value;

use crate::DEADLINE;
use crate::client::{Client, encode};

impl Client {
    /// One `/sync` with this query, as in `since=…&timeout=10000`.
    pub async fn sync(&self, query: &str) -> Value {
        let path = if query.is_empty() {
            "sync".to_owned()
        } else {
            format!("sync?{query}")
        };
        self.get(&path).await.expect_ok()
    }

    /// The token of this moment: what is written after it comes in a sync since it.
    pub async fn now(&self) -> String {
        next_batch(&self.sync("timeout=0").await)
    }

    /// What happened since a token, waiting for it if nothing has.
    pub async fn sync_since(&self, since: &str) -> Value {
        self.sync(&format!(
            "since={}&timeout={}",
            encode(since),
            DEADLINE.as_millis()
        ))
        .await
    }

    /// Syncs from scratch and then on, until what one answer says of a joined room satisfies the
    /// predicate. Gives that whole answer.
    ///
    /// The predicate sees `rooms.join[room]` of one answer at a time.
    pub async fn sync_until(&self, room: &str, predicate: impl FnMut(&Value) -> bool) -> Value {
        self.sync_on(None, room, predicate).await
    }

    /// Like [`Client::sync_until`], but since a token.
    pub async fn sync_until_since(
        &self,
        since: &str,
        room: &str,
        predicate: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.sync_on(Some(since.to_owned()), room, predicate).await
    }

    async fn sync_on(
        &self,
        since: Option<String>,
        room: &str,
        mut predicate: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.sync_matching(since, |body| {
            body["rooms"]["join"].get(room).is_some_and(&mut predicate)
        })
        .await
    }

    /// Syncs on until a whole answer satisfies the predicate, and gives it.
    pub async fn sync_matching(
        &self,
        mut since: Option<String>,
        mut predicate: impl FnMut(&Value) -> bool,
    ) -> Value {
        let give_up = Instant::now() + DEADLINE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let query = match &since {
                Some(since) => format!("since={}&timeout={}", encode(since), left.as_millis()),
                None => String::new(),
            };
            let body = self.sync(&query).await;
            if predicate(&body) {
                return body;
            }
            assert!(
                !left.is_zero(),
                "what {} waits for did not come; last: {body}",
                self.user_id
            );
            since = Some(next_batch(&body));
        }
    }
}

#[track_caller]
fn next_batch(body: &Value) -> String {
    body["next_batch"]
        .as_str()
        .unwrap_or_else(|| panic!("no next_batch in {body}"))
        .to_owned()
}
