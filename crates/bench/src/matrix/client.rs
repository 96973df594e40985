//! One logged-in client on one connection.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::sync::SyncAnswer;
use crate::error::{BenchError, Result};
use crate::http::{Connection, Method, Response};

/// A room, with its id ready for a path.
#[derive(Debug, Clone)]
pub struct Room {
    /// The room id.
    pub id: String,
    /// `/_matrix/client/v3/rooms/{roomId}`, escaped.
    pub path: String,
}

impl Room {
    /// A room by its id.
    #[must_use]
    pub fn new(id: String) -> Self {
        let path = format!("/_matrix/client/v3/rooms/{}", escape(&id));
        Self { id, path }
    }
}

/// Percent-encodes a path segment or a query value.
#[must_use]
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A logged-in client.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub connection: Connection,
    /// Its user id.
    pub user_id: String,
    /// Its access token, shared by the connections of one device.
    pub token: Arc<str>,
}

impl Client {
    /// Sends a request and returns the body of a successful answer.
    ///
    /// # Errors
    ///
    /// [`BenchError::Status`] for any other status, or what the connection fails with.
    pub async fn call(&mut self, method: Method, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let response = self
            .connection
            .request(method, path, &self.token, body)
            .await?;
        success(method, path, response)
    }

    /// Sends a request and reads the JSON of a successful answer.
    ///
    /// # Errors
    ///
    /// As [`Client::call`], and [`BenchError::Protocol`] if the JSON is not of the shape `T`.
    pub async fn json<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<T> {
        let body = self.call(method, path, body).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Creates a room of the preset that is not listed in the directory.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn create_room(&mut self, preset: &str, name: &str) -> Result<Room> {
        #[derive(Deserialize)]
        struct Created {
            room_id: String,
        }
        let body = json!({ "preset": preset, "name": name }).to_string();
        let created: Created = self
            .json(
                Method::Post,
                "/_matrix/client/v3/createRoom",
                body.as_bytes(),
            )
            .await?;
        Ok(Room::new(created.room_id))
    }

    /// Joins a public room.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn join(&mut self, room: &Room) -> Result<()> {
        self.call(Method::Post, &format!("{}/join", room.path), b"{}")
            .await
            .map(drop)
    }

    /// Sends a text message and returns the id of its event.
    ///
    /// `text` must be free of characters that JSON escapes.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn send_text(&mut self, room: &Room, txn_id: &str, text: &str) -> Result<String> {
        let content = format!(r#"{{"msgtype":"m.text","body":"{text}"}}"#);
        self.send(room, "m.room.message", txn_id, &content).await
    }

    /// Sends an event with this content, which is JSON, and returns its id.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn send(
        &mut self,
        room: &Room,
        event_type: &str,
        txn_id: &str,
        content: &str,
    ) -> Result<String> {
        #[derive(Deserialize)]
        struct Sent {
            event_id: String,
        }
        let path = format!("{}/send/{event_type}/{txn_id}", room.path);
        let sent: Sent = self.json(Method::Put, &path, content.as_bytes()).await?;
        Ok(sent.event_id)
    }

    /// Syncs; `query` is the escaped query without its `?`.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn sync(&mut self, query: &str) -> Result<SyncAnswer> {
        self.json(
            Method::Get,
            &format!("/_matrix/client/v3/sync?{query}"),
            b"",
        )
        .await
    }

    /// The users that have joined a room.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn joined_members(&mut self, room: &Room) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Joined {
            joined: serde_json::Map<String, serde_json::Value>,
        }
        let answer: Joined = self
            .json(Method::Get, &format!("{}/joined_members", room.path), b"")
            .await?;
        Ok(answer
            .joined
            .into_iter()
            .map(|(user_id, _)| user_id)
            .collect())
    }

    /// The rooms this user has joined.
    ///
    /// # Errors
    ///
    /// As [`Client::json`].
    pub async fn joined_rooms(&mut self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Joined {
            joined_rooms: Vec<String>,
        }
        let answer: Joined = self
            .json(Method::Get, "/_matrix/client/v3/joined_rooms", b"")
            .await?;
        Ok(answer.joined_rooms)
    }
}

/// The body of a successful answer; the error of another.
pub(crate) fn success(method: Method, path: &str, response: Response) -> Result<Vec<u8>> {
    if response.is_success() {
        return Ok(response.body);
    }
    let mut body = String::from_utf8_lossy(&response.body)
        .chars()
        .take(300)
        .collect::<String>();
    if response.status == 429 {
        body.push_str(" (switch the server's rate limits off to measure it)");
    }
    let path = path.split('?').next().unwrap_or(path).to_owned();
    Err(BenchError::Status {
        method: method.name(),
        path,
        status: response.status,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::{Room, success};
    use crate::http::{Method, Response};

    #[test]
    fn a_room_id_is_escaped_in_its_path() {
        assert_eq!(
            Room::new("!a/b:c".into()).path,
            "/_matrix/client/v3/rooms/%21a%2Fb%3Ac"
        );
    }

    #[test]
    fn a_rate_limited_answer_says_what_to_do() {
        let response = Response {
            status: 429,
            body: b"{}".to_vec(),
            keep_alive: true,
        };
        let error = success(Method::Put, "/x?access_token=s", response)
            .expect_err("fails")
            .to_string();
        assert!(
            error.contains("429")
                && error.contains("rate limits")
                && !error.contains("access_token"),
            "{error}"
        );
    }
}
