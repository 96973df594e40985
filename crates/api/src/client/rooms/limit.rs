//! How many of something a client asks for, in a query.

use serde::Deserialize;

/// A count. However large it is written, it is one; what serves it bounds it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct Limit(pub(crate) u64);

impl TryFrom<String> for Limit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a limit is a whole number");
        }
        Ok(Self(text.parse().unwrap_or(u64::MAX)))
    }
}

impl Limit {
    /// The number asked for, if one was.
    pub(crate) fn of(limit: Option<Self>) -> Option<u64> {
        limit.map(|Self(limit)| limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b41_a_limit_is_a_number_however_large() {
        let limit = |text: &str| Limit::try_from(text.to_owned()).ok();
        assert_eq!(limit("0"), Some(Limit(0)));
        assert_eq!(limit("1000000000"), Some(Limit(1_000_000_000)));
        assert_eq!(limit(&"9".repeat(100)), Some(Limit(u64::MAX)));
        for bad in ["", "-1", "+1", "x", "1.0", "1e3", " 1", "٣"] {
            assert_eq!(limit(bad), None, "{bad:?}");
        }
    }
}
