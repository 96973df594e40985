//! One request to a push gateway, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use greenroom_outbound::{Limits, Outbound};
use http::{Request, Response, header};
use serde::Deserialize;
use url::Url;

/// A gateway only hands on: more time than this it does not need.
const TIMEOUT: Duration = Duration::from_secs(10);
/// It names at most the one pushkey that it was asked about.
const MAX_ANSWER: usize = 64 * 1024;

/// The gateway has not taken a notification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct GatewayFailure {
    /// For the log: no secret.
    what: String,
    /// How long the gateway asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Answer {
    rejected: Vec<String>,
}

/// Sends a notification. Gives the pushkeys that the gateway rejects.
pub(super) async fn notify(
    outbound: &Outbound,
    url: &Url,
    notification: Bytes,
) -> Result<Vec<String>, GatewayFailure> {
    let failed = |what: String| GatewayFailure {
        what,
        retry_after: None,
    };
    let request = Request::post(url.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(notification)
        .map_err(|error| failed(error.to_string()))?;
    let limits = Limits {
        timeout: TIMEOUT,
        body_bytes: MAX_ANSWER,
    };
    let answer = outbound.send(request, limits).await;
    read(&answer.map_err(|error| failed(error.to_string()))?)
}

/// Every status but success is to be tried again, as the specification asks; who answers with
/// success has taken the notification, whatever else it says.
fn read(answer: &Response<Bytes>) -> Result<Vec<String>, GatewayFailure> {
    let status = answer.status();
    if !status.is_success() {
        return Err(GatewayFailure {
            what: format!("it answered {status}"),
            retry_after: retry_after(answer),
        });
    }
    let answer = serde_json::from_slice::<Answer>(answer.body());
    Ok(answer.map(|answer| answer.rejected).unwrap_or_default())
}

/// In seconds; a date would need their clock to be ours.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?;
    value
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &'static str) -> Response<Bytes> {
        let mut answer = Response::builder().status(status);
        if let Some(value) = retry_after {
            answer = answer.header(header::RETRY_AFTER, value);
        }
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn success_is_taken_whatever_the_body_is() {
        for body in [
            "",
            "{}",
            "nonsense",
            "[]",
            r#"{"rejected":"x"}"#,
            r#"{"rejected":[5]}"#,
        ] {
            assert_eq!(read(&answer(200, None, body)), Ok(Vec::new()), "{body}");
        }
        let rejected = read(&answer(200, None, r#"{"rejected":["a","b"],"more":1}"#));
        assert_eq!(rejected, Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn every_other_status_is_a_failure() {
        for status in [301, 302, 400, 401, 404, 413, 429, 500, 502, 503] {
            let failure = read(&answer(status, None, r#"{"rejected":["a"]}"#)).unwrap_err();
            assert!(
                failure.to_string().contains(&status.to_string()),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_gateway_can_say_when_to_come_back() {
        let after = |value| read(&answer(503, value, "")).unwrap_err().retry_after;
        assert_eq!(after(None), None);
        assert_eq!(after(Some("7")), Some(Duration::from_secs(7)));
        for nonsense in [
            "-1",
            "x",
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "99999999999999999999999",
        ] {
            assert_eq!(after(Some(nonsense)), None, "{nonsense}");
        }
    }
}
