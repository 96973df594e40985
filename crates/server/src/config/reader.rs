//! Reads settings as what they are meant to be and notes every one that is not.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, str::FromStr};

use figment::value::{Num, Value};

use super::{Problem, layers::Layers};

/// Reads values from the layers. A value that cannot be read becomes a problem and is then taken to be the default.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Notes a problem of one setting.
    pub(super) fn problem(&mut self, key: &str, what: impl Display) {
        let origin = self.layers.origin(key);
        self.problems
            .push(Problem::new(format!("`{key}` ({origin}): {what}")));
    }

    /// A value as text: numbers and booleans as they are written. `None` where nothing is set.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.layers.value(key)?;
        let text = scalar(&value);
        if text.is_none() {
            self.problem(key, "must be a single value");
        }
        text
    }

    /// A list, or one text with commas.
    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let items = match self.layers.value(key)? {
            Value::Array(_, items) => items.iter().map(scalar).collect::<Option<Vec<_>>>(),
            single => scalar(&single)
                .map(|text| text.split(',').map(|item| item.trim().to_owned()).collect()),
        };
        if items.is_none() {
            self.problem(key, "must be a list of texts");
        }
        items.map(|items| items.into_iter().filter(|item| !item.is_empty()).collect())
    }

    /// Anything with [`FromStr`] whose error explains itself.
    pub(super) fn parse<T>(&mut self, key: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.text(key) else {
            return default;
        };
        match text.parse() {
            Ok(value) => value,
            Err(error) => {
                self.problem(key, error);
                default
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.text(key) else {
            return default;
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(
                    key,
                    format!(
                        "must be a whole number from {} to {}",
                        range.start(),
                        range.end()
                    ),
                );
                default
            }
        }
    }

    /// A number with a fraction, above zero. `None` where nothing is set.
    pub(super) fn positive(&mut self, key: &str) -> Option<f64> {
        let text = self.text(key)?;
        match text.parse::<f64>() {
            Ok(number) if (0.000_1..=100_000.0).contains(&number) => Some(number),
            _ => {
                self.problem(key, "must be a number from 0.0001 to 100000");
                None
            }
        }
    }

    /// `on` or `off`, also as `true` and `false`.
    pub(super) fn switch(&mut self, key: &str, default: bool) -> bool {
        match self.text(key).as_deref() {
            None => default,
            Some("on" | "true" | "yes") => true,
            Some("off" | "false" | "no") => false,
            Some(_) => {
                self.problem(key, "must be `on` or `off`");
                default
            }
        }
    }

    /// Addresses with ports.
    pub(super) fn addresses(&mut self, key: &str) -> Option<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for text in self.list(key)? {
            match address(&text) {
                Some(address) => addresses.push(address),
                None => self.problem(
                    key,
                    format!("`{text}` is no address and port, such as 127.0.0.1:8008 or [::]:8008"),
                ),
            }
        }
        Some(addresses)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, value) => Some(value.to_string()),
        Value::Char(_, value) => Some(value.to_string()),
        Value::Num(_, number) => Some(match number {
            Num::F32(number) => number.to_string(),
            Num::F64(number) => number.to_string(),
            number => match (number.to_u128(), number.to_i128()) {
                (Some(number), _) => number.to_string(),
                (None, Some(number)) => number.to_string(),
                (None, None) => return None,
            },
        }),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
    }
}

/// `localhost` is no address but everybody writes it.
fn address(text: &str) -> Option<SocketAddr> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().ok()
}
