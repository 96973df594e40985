//! What a server answered, and what a test expected of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// One answer to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request, for the messages of failing tests: `PUT https://…`, without credentials.
    pub request: String,
    /// The HTTP status code.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body as JSON; [`Value::Null`] if it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as text, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header's value, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or(""))
    }

    /// The body of an answer that must be a 200.
    #[track_caller]
    pub fn expect_ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.describe());
        self.body
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.describe());
        self.body
    }

    /// The body of an answer that must be a Matrix error: this status, this `errcode`, an `error`
    /// for people, and the headers without which a browser hides the error from its page.
    #[track_caller]
    pub fn expect_error(self, status: u16, errcode: &str) -> Value {
        let found = (self.status, self.body["errcode"].as_str());
        assert_eq!(found, (status, Some(errcode)), "{}", self.describe());
        assert!(
            self.body["error"].is_string(),
            "no `error` text: {}",
            self.describe()
        );
        assert_eq!(
            self.header("access-control-allow-origin"),
            "*",
            "{}",
            self.describe()
        );
        self.body
    }

    /// The answer on one line or a few, for failure messages.
    pub fn describe(&self) -> String {
        let text = self.text();
        let shown: String = text.chars().take(2_000).collect();
        format!("{} answered {}: {shown}", self.request, self.status)
    }
}
