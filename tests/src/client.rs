//! A user's session, or an anonymous one.

use std::sync::{Arc, PoisonError, RwLock};

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{Answer, DEADLINE};

/// Where the server is. Shared with the server's handle: it may move when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Address(Arc<RwLock<String>>);

impl Address {
    pub(crate) fn get(&self) -> String {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, url: &str) {
        let url = url.trim_end_matches('/').to_owned();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = url;
    }
}

/// A user's session on the server under test.
///
/// Paths are given in one of two ways: `sync` is relative to the client-server API
/// (`/_matrix/client/v3`, or see [`Client::over`]), `/health/live` is taken as it is. What a path
/// is made of must be percent-encoded where it has to be: see [`encode`].
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    http: reqwest::Client,
    prefix: String,
    token_in_query: bool,
    /// The access token; none for an anonymous client.
    pub token: Option<String>,
    /// The full user id, empty for an anonymous client.
    pub user_id: String,
    /// The device id, empty for an anonymous client.
    pub device_id: String,
}

impl Client {
    pub(crate) fn new(address: Address) -> Self {
        // The certificate of a server under test is its own; following a redirect would hide it.
        let http = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(DEADLINE * 2)
            .build()
            .expect("an HTTP client");
        Self {
            address,
            http,
            prefix: "v3".to_owned(),
            token_in_query: false,
            token: None,
            user_id: String::new(),
            device_id: String::new(),
        }
    }

    /// An anonymous client for a server that the kit did not start.
    pub fn at(url: &str) -> Self {
        let address = Address::default();
        address.set(url);
        Self::new(address)
    }

    /// The same client with the session of a register or login answer.
    #[must_use]
    #[track_caller]
    pub fn with_session(mut self, answer: &Value) -> Self {
        let field = |name: &str| match answer[name].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no {name} in {answer}"),
        };
        self.token = Some(field("access_token"));
        self.user_id = field("user_id");
        self.device_id = field("device_id");
        self
    }

    /// The same session over another version of the API: `r0`, `v1`, `unstable`.
    #[must_use]
    pub fn over(&self, version: &str) -> Self {
        Self {
            prefix: version.to_owned(),
            ..self.clone()
        }
    }

    /// The same session with the token as `?access_token=` instead of in the header.
    #[must_use]
    pub fn with_token_in_query(&self) -> Self {
        Self {
            token_in_query: true,
            ..self.clone()
        }
    }

    /// Where requests go, without a trailing slash.
    pub fn url(&self) -> String {
        self.address.get()
    }

    /// The part of the user id between `@` and `:`.
    pub fn localpart(&self) -> &str {
        self.user_id
            .trim_start_matches('@')
            .split(':')
            .next()
            .unwrap_or_default()
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.raw(Method::GET, path, &[], Vec::new()).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.raw(Method::DELETE, path, &[], Vec::new()).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.raw(
            method,
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    /// Any method, with these headers and this body and, if there is a session, its token.
    ///
    /// The path still goes through a URL parser: for exact bytes use
    /// [`WireStream`](crate::WireStream).
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let attempt = self.attempt(method, path, headers, body);
        attempt
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Like [`Client::raw`], for a server that may be killed meanwhile.
    ///
    /// # Errors
    ///
    /// If there was no complete answer: whether the server acted is then unknown.
    pub async fn attempt(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, reqwest::Error> {
        let mut url = self.url_of(path);
        let shown = format!("{method} {url}");
        let mut all = HeaderMap::new();
        if let Some(token) = &self.token {
            if self.token_in_query {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str("access_token=");
                url.push_str(&encode(token));
            } else {
                let value = format!("Bearer {token}");
                all.insert(AUTHORIZATION, value.parse().expect("a printable token"));
            }
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("the test's header name");
            all.append(
                name,
                HeaderValue::from_str(value).expect("the test's header value"),
            );
        }
        let request = self
            .http
            .request(method, url)
            .headers(all)
            .body(body.into());
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await?.to_vec();
        let is_json = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        let parsed = is_json
            .then(|| serde_json::from_slice(&bytes).ok())
            .flatten();
        Ok(Answer {
            request: shown,
            status,
            headers,
            body: parsed.unwrap_or_default(),
            bytes,
        })
    }

    fn url_of(&self, path: &str) -> String {
        let base = self.address.get();
        if path.starts_with('/') {
            format!("{base}{path}")
        } else {
            format!("{base}/_matrix/client/{}/{path}", self.prefix)
        }
    }

    /// Creates a room and gives its id.
    pub async fn create_room(&self, request: Value) -> String {
        let body = self.post("createRoom", request).await.expect_ok();
        body["room_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no room_id in {body}"))
            .to_owned()
    }

    /// Creates a room that everybody may join and gives its id.
    pub async fn create_public_room(&self) -> String {
        self.create_room(json!({"preset": "public_chat"})).await
    }

    /// Joins a room by its id or alias.
    pub async fn join(&self, room: &str) {
        self.post(&format!("join/{}", encode(room)), json!({}))
            .await
            .expect_ok();
    }

    /// Invites another user.
    pub async fn invite(&self, room: &str, other: &Self) {
        let path = format!("rooms/{}/invite", encode(room));
        self.post(&path, json!({"user_id": other.user_id}))
            .await
            .expect_ok();
    }

    /// Sends a text message under this transaction id and gives the event's id.
    pub async fn send_text(&self, room: &str, txn: &str, text: &str) -> String {
        let content = json!({"msgtype": "m.text", "body": text});
        self.send(room, "m.room.message", txn, content).await
    }

    /// Sends an event of any type and gives its id.
    pub async fn send(&self, room: &str, event_type: &str, txn: &str, content: Value) -> String {
        let path = format!(
            "rooms/{}/send/{}/{}",
            encode(room),
            encode(event_type),
            encode(txn)
        );
        event_id(&self.put(&path, content).await.expect_ok())
    }

    /// Sends a state event and gives its id.
    pub async fn send_state(
        &self,
        room: &str,
        event_type: &str,
        state_key: &str,
        content: Value,
    ) -> String {
        let path = format!(
            "rooms/{}/state/{}/{}",
            encode(room),
            encode(event_type),
            encode(state_key)
        );
        event_id(&self.put(&path, content).await.expect_ok())
    }

    /// The content of a state event.
    pub async fn state(&self, room: &str, event_type: &str, state_key: &str) -> Answer {
        let path = format!(
            "rooms/{}/state/{}/{}",
            encode(room),
            encode(event_type),
            encode(state_key)
        );
        self.get(&path).await
    }

    /// Page of a room's history: `query` as in `dir=b&limit=10`.
    pub async fn messages(&self, room: &str, query: &str) -> Value {
        self.get(&format!("rooms/{}/messages?{query}", encode(room)))
            .await
            .expect_ok()
    }
}

#[track_caller]
fn event_id(body: &Value) -> String {
    body["event_id"]
        .as_str()
        .unwrap_or_else(|| panic!("no event_id in {body}"))
        .to_owned()
}

/// Percent-encodes a path segment or the value of a query parameter.
#[must_use]
pub fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn encoding_leaves_only_unreserved_characters() {
        assert_eq!(encode("!a-b:c/é"), "%21a-b%3Ac%2F%C3%A9");
    }
}
