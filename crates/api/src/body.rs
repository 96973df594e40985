//! The body of a request: read under a limit, checked before it is parsed.

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::LocalBoxFuture};
use greenroom_events::json::check_nesting;
use ruma::exports::serde_html_form;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{ApiError, ApiSettings};

/// A body as a type of one's own, under the same rules as [`Ruma`](crate::Ruma): for endpoints
/// that ruma does not know.
#[derive(Clone, Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_object(request, payload.take());
        Box::pin(async move {
            let body = body.await?;
            serde_json::from_slice(&body)
                .map(Self)
                .map_err(|error| wrong_json(&error))
        })
    }
}

/// A body as HTML forms send it, for the pages that this server shows.
#[derive(Clone, Debug)]
pub(crate) struct FormBody<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for FormBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_bytes(request, payload.take());
        Box::pin(async move {
            let body = body.await?;
            serde_html_form::from_bytes(&body)
                .map(Self)
                .map_err(|_| ApiError::invalid_param("The form is not as it should be."))
        })
    }
}

/// Reads a body that must be a JSON object. No body at all reads as `{}`: old clients send none
/// where they have nothing to say.
pub(crate) fn read_object(
    request: &HttpRequest,
    payload: Payload,
) -> impl Future<Output = Result<Bytes, ApiError>> + use<> {
    let encoded = is_encoded(request);
    let body = read_bytes(request, payload);
    async move {
        let body = body.await?;
        if body.is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        if encoded {
            return Err(ApiError::not_json(
                "Bodies are not accepted in a content encoding.",
            ));
        }
        check_object(&body)?;
        Ok(body)
    }
}

/// Reads a body of any kind, up to the limit.
fn read_bytes(
    request: &HttpRequest,
    payload: Payload,
) -> impl Future<Output = Result<Bytes, ApiError>> + use<> {
    let limit = request.app_data::<web::Data<ApiSettings>>().map_or_else(
        || ApiSettings::default().body_limit_bytes,
        |it| it.body_limit_bytes,
    );
    let announced = announced_length(request);
    async move { read(payload, announced?, limit).await }
}

fn announced_length(request: &HttpRequest) -> Result<Option<usize>, ApiError> {
    let Some(value) = request.headers().get(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let length = length.ok_or_else(|| ApiError::invalid_param("Content-Length is no length."))?;
    Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
}

/// Whether the body is compressed. It is never decoded, so that a small one cannot become large.
fn is_encoded(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn read(
    mut payload: Payload,
    announced: Option<usize>,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::too_large(format!(
            "The body of a request may have at most {limit} bytes."
        ))
    };
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::not_json("The body broke off."))?;
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() {
            // Almost always the only one: it is not copied.
            first = chunk;
        } else {
            rest.extend_from_slice(&chunk);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Checks what holds for every body, without recursion: UTF-8, nesting, syntax, an object.
fn check_object(body: &[u8]) -> Result<(), ApiError> {
    if std::str::from_utf8(body).is_err() {
        return Err(ApiError::not_json("The body is not in UTF-8."));
    }
    if has_lone_surrogate(body) {
        return Err(ApiError::not_json("The body has half of a surrogate pair."));
    }
    check_nesting(body).map_err(|_| ApiError::bad_json("The body is nested too deep."))?;
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(()),
        Some(_) | None => Err(ApiError::bad_json("The body is not a JSON object.")),
    }
}

/// The answer to what is not JSON. The error names a place and what was expected there.
fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::not_json(format!("The body is not JSON: {error}."))
}

/// The answer to JSON that is not of the shape that was asked for.
///
/// Its syntax was checked before: what `serde_json` still counts as a mistake of syntax is a number
/// that no type holds, or nesting in a place where there is nothing to nest.
pub(crate) fn wrong_json(error: &serde_json::Error) -> ApiError {
    let text = wrong_shape(&error.to_string());
    ApiError::bad_json(format!("The body is not as it should be: {text}."))
}

/// What serde says of the shape, without the value that it found: that may be a secret.
pub(crate) fn wrong_shape(error: &str) -> String {
    if error.starts_with("missing field") || error.starts_with("duplicate field") {
        return error.to_owned();
    }
    match error.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => match error.rsplit_once(" at line ") {
            Some((_, place)) => format!("a wrong value at line {place}"),
            None => "a wrong value".to_owned(),
        },
    }
}

/// Whether an escape like `\ud800` stands without its other half. Only looked at where there is a
/// `\u` at all.
fn has_lone_surrogate(body: &[u8]) -> bool {
    let mut bytes = body;
    while let Some(at) = bytes.iter().position(|byte| *byte == b'\\') {
        let Some([_, escaped, rest @ ..]) = bytes.get(at..) else {
            return false;
        };
        bytes = rest;
        if *escaped != b'u' {
            continue;
        }
        match code_unit(rest) {
            Some(0xD800..=0xDBFF) => {
                let low = rest.get(4..).and_then(|rest| rest.strip_prefix(b"\\u"));
                let Some(rest) = low else { return true };
                if !matches!(code_unit(rest), Some(0xDC00..=0xDFFF)) {
                    return true;
                }
                bytes = rest;
            }
            Some(0xDC00..=0xDFFF) => return true,
            Some(_) | None => {}
        }
    }
    false
}

fn code_unit(hex: &[u8]) -> Option<u16> {
    let hex = std::str::from_utf8(hex.get(..4)?).ok()?;
    u16::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8]) -> String {
        match check_object(body) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn b05_what_is_not_utf8_is_not_json() {
        for body in [
            &b"{\"a\":\"\x81\"}"[..],
            b"{\"a\":\"\xc0\xaf\"}",
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\0}\0",
            br#"{"a":"\ud800"}"#,
            br#"{"a":"\ud800\u0041"}"#,
            br#"{"a":"\udc00\ud800"}"#,
        ] {
            assert_eq!(check(body), "400 M_NOT_JSON", "{body:?}");
        }
        assert_eq!(check(br#"{"a":"\ud83d\ude00 \\ud800 \u0000"}"#), "ok");
    }

    #[test]
    fn b08_a_body_is_a_json_object() {
        for body in ["[]", "null", "\"x\"", "1", " [{}] "] {
            assert_eq!(check(body.as_bytes()), "400 M_BAD_JSON", "{body:?}");
        }
        for body in [
            "  ",
            "{",
            "{\"a\":",
            "{} x",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
        ] {
            assert_eq!(check(body.as_bytes()), "400 M_NOT_JSON", "{body:?}");
        }
        assert_eq!(check(b" {} "), "ok");
    }

    #[test]
    fn a37_no_value_of_a_body_is_shown_back() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only the errors are looked at")]
        struct Login {
            user: String,
            count: u8,
        }
        for (body, shown) in [
            (r#"{"count":"hunter2"}"#, "expected u8 at line 1 column 18"),
            (r#"{"count":1}"#, "missing field `user` at line 1 column 11"),
            (
                r#"{"count":", expected hunter2"}"#,
                "expected u8 at line 1 column 29",
            ),
            (
                r#"{"user":["hunter2"]}"#,
                "expected a string at line 1 column 8",
            ),
        ] {
            let error = serde_json::from_str::<Login>(body).unwrap_err();
            assert_eq!(wrong_shape(&error.to_string()), shown, "{body}");
        }
        assert_eq!(wrong_shape("hunter2 is no user"), "a wrong value");
    }

    #[test]
    fn b02_numbers_that_no_type_holds_are_bad_and_not_broken_json() {
        let error = serde_json::from_str::<serde_json::Value>(r#"{"a":1e999}"#).unwrap_err();
        assert_eq!(wrong_json(&error).to_string(), "400 M_BAD_JSON");
        assert_eq!(check(br#"{"a":1e999}"#), "ok");
    }

    #[test]
    fn b04_nesting_without_end_is_refused_without_recursion() {
        for depth in [100, 128, 1_000] {
            let body = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(check(body.as_bytes()), "ok", "{depth}");
        }
        let body = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert_eq!(check(body.as_bytes()), "400 M_BAD_JSON");
    }
}
