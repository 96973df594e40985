//! A filter in a query.

use greenroom_events::{EventFilter, json::check_nesting};
use ruma::api::client::filter::RoomEventFilter;

use crate::{ApiError, body::wrong_shape};

/// Reads a `RoomEventFilter`; none at all wants everything.
///
/// # Errors
///
/// 400 `M_INVALID_PARAM` for what is none.
pub(super) fn parse(text: Option<&str>) -> Result<EventFilter, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(EventFilter::default());
    };
    check_nesting(text.as_bytes())
        .map_err(|_| ApiError::invalid_param("The filter is nested too deep."))?;
    let filter: RoomEventFilter = serde_json::from_str(text).map_err(|error| {
        let problem = wrong_shape(&error.to_string());
        ApiError::invalid_param(format!("This is not a filter: {problem}."))
    })?;
    Ok(EventFilter::new(&filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b42_what_is_no_filter_is_a_bad_parameter() {
        for bad in [
            "x",
            "[]",
            "{",
            "1",
            r#"{"rooms":1}"#,
            r#"{"senders":["no id"]}"#,
            r#"{"limit":-1}"#,
            r#"{"types":{"a":1}}"#,
            &format!("{{\"x\":{}{}}}", "[".repeat(500), "]".repeat(500)),
            &"[".repeat(100_000),
        ] {
            let error = parse(Some(bad)).unwrap_err().to_string();
            assert_eq!(error, "400 M_INVALID_PARAM", "{bad:.80}");
        }
    }

    #[test]
    fn no_filter_wants_everything() {
        for all in [None, Some(""), Some("{}"), Some(r#"{"unknown":[1]}"#)] {
            assert!(parse(all).unwrap().allows_all(), "{all:?}");
        }
        let some = parse(Some(r#"{"types":["m.room.message"],"limit":3}"#)).unwrap();
        assert_eq!((some.allows_all(), some.limit()), (false, Some(3)));
    }
}
