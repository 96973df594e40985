//! What a client asks for when it sets a pusher, and what is wrong with it.

use std::borrow::Cow;

use greenroom_storage::{Pusher, PusherId};
use ruma::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::PusherError;

/// The one path of a gateway.
const NOTIFY_PATH: &str = "/_matrix/push/v1/notify";
/// The one kind of pusher that there is here.
pub(super) const HTTP: &str = "http";
/// The longest `app_id`, in characters.
const MAX_APP_ID: usize = 64;
/// The longest `pushkey`, in bytes.
const MAX_PUSHKEY: usize = 512;
/// The longest name, tag or language, in bytes. The specification names no limit.
const MAX_TEXT: usize = 1024;
/// The longest `data`, in bytes. The specification names no limit; it goes along with every
/// notification.
const MAX_DATA: usize = 8 * 1024;

/// The body of [`POST /pushers/set`].
///
/// [`POST /pushers/set`]: https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
#[derive(Clone, Debug, Deserialize)]
pub struct PusherWish {
    app_id: Option<String>,
    pushkey: Option<String>,
    #[serde(default)]
    kind: Kind,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    profile_tag: Option<String>,
    lang: Option<String>,
    data: Option<Box<RawValue>>,
    append: Option<bool>,
}

/// `null` has a meaning, its absence has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<String>")]
enum Kind {
    #[default]
    Absent,
    Null,
    Named(String),
}

impl From<Option<String>> for Kind {
    fn from(kind: Option<String>) -> Self {
        kind.map_or(Self::Null, Self::Named)
    }
}

/// A wish that can be carried out.
#[derive(Debug)]
pub(super) enum Wish {
    Set { pusher: Box<Pusher>, append: bool },
    Delete(PusherId),
}

/// What is read of a pusher's `data`.
#[derive(Debug, Deserialize)]
pub(super) struct PusherData<'a> {
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    format: Option<Cow<'a, str>>,
}

impl PusherData<'_> {
    /// Where the gateway is.
    pub(super) fn url(&self) -> Option<Url> {
        Url::parse(self.url.as_ref()?).ok()
    }

    /// Whether the gateway gets nothing of an event but its ID.
    pub(super) fn event_id_only(&self) -> bool {
        self.format.as_deref() == Some("event_id_only")
    }
}

impl PusherWish {
    /// Checks everything.
    pub(super) fn checked(
        self,
        user_id: &UserId,
        device_id: &DeviceId,
        now_ms: u64,
    ) -> Result<Wish, PusherError> {
        self.nothing_is_missing()?;
        let id = PusherId {
            user_id: user_id.to_owned(),
            app_id: self.app_id.unwrap_or_default(),
            pushkey: self.pushkey.unwrap_or_default(),
        };
        check_id(&id)?;
        let Kind::Named(kind) = self.kind else {
            return Ok(Wish::Delete(id));
        };
        if kind != HTTP {
            return Err(PusherError::Kind);
        }
        let pusher = Pusher {
            id,
            device_id: device_id.to_owned(),
            app_display_name: text("app_display_name", self.app_display_name)?,
            device_display_name: text("device_display_name", self.device_display_name)?,
            profile_tag: match self.profile_tag {
                Some(tag) => Some(text("profile_tag", Some(tag))?),
                None => None,
            },
            lang: text("lang", self.lang)?,
            data: self.data.unwrap_or_else(|| RawValue::NULL.to_owned()),
            set_ts_ms: now_ms,
        };
        check_data(&pusher.data)?;
        Ok(Wish::Set {
            pusher: Box::new(pusher),
            append: self.append.unwrap_or(false),
        })
    }

    fn nothing_is_missing(&self) -> Result<(), PusherError> {
        let deletes = self.kind == Kind::Null;
        let needed = [
            ("app_id", self.app_id.is_some()),
            ("pushkey", self.pushkey.is_some()),
            ("kind", self.kind != Kind::Absent),
            (
                "app_display_name",
                deletes || self.app_display_name.is_some(),
            ),
            (
                "device_display_name",
                deletes || self.device_display_name.is_some(),
            ),
            ("lang", deletes || self.lang.is_some()),
            ("data", deletes || self.data.is_some()),
        ];
        let missing: Vec<&str> = needed
            .iter()
            .filter(|(_, there)| !there)
            .map(|(name, _)| *name)
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(PusherError::Missing(missing.join(", "))),
        }
    }
}

fn check_id(id: &PusherId) -> Result<(), PusherError> {
    let too_long = |name: &str, limit: usize, unit: &str| {
        Err(PusherError::Invalid(format!(
            "`{name}` has more than {limit} {unit}"
        )))
    };
    if id.app_id.is_empty() || id.pushkey.is_empty() {
        let empty = "`app_id` and `pushkey` must not be empty".to_owned();
        return Err(PusherError::Invalid(empty));
    }
    if id.app_id.chars().count() > MAX_APP_ID {
        return too_long("app_id", MAX_APP_ID, "characters");
    }
    if id.pushkey.len() > MAX_PUSHKEY {
        return too_long("pushkey", MAX_PUSHKEY, "bytes");
    }
    Ok(())
}

fn text(name: &str, value: Option<String>) -> Result<String, PusherError> {
    let value = value.unwrap_or_default();
    if value.len() > MAX_TEXT {
        let too_long = format!("`{name}` has more than {MAX_TEXT} bytes");
        return Err(PusherError::Invalid(too_long));
    }
    Ok(value)
}

fn check_data(data: &RawValue) -> Result<(), PusherError> {
    let invalid = |what: &str| Err(PusherError::Invalid(format!("`data` {what}")));
    if data.get().len() > MAX_DATA {
        return invalid(&format!("has more than {MAX_DATA} bytes"));
    }
    if !data.get().starts_with('{') {
        return invalid("must be an object");
    }
    let Ok(known) = serde_json::from_str::<PusherData<'_>>(data.get()) else {
        return invalid("must have texts for `url` and `format`");
    };
    if known.url.is_none() {
        return Err(PusherError::Missing("data.url".to_owned()));
    }
    let is_gateway = |url: &Url| {
        url.scheme() == "https" && url.host_str().is_some() && url.path() == NOTIFY_PATH
    };
    if !known.url().as_ref().is_some_and(is_gateway) {
        return invalid(&format!(
            "must have a `url` with https and the path {NOTIFY_PATH}"
        ));
    }
    if known.format.is_some() && !known.event_id_only() {
        return invalid("can have the `format` `event_id_only` and no other");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::{Value, json};

    use super::*;

    fn checked(change: impl FnOnce(&mut Value)) -> Result<Wish, String> {
        let mut body = json!({
            "app_id": "org.example.app",
            "pushkey": "key",
            "kind": "http",
            "app_display_name": "App",
            "device_display_name": "Phone",
            "lang": "en",
            "data": { "url": "https://gateway.example/_matrix/push/v1/notify" },
        });
        change(&mut body);
        let wish: PusherWish = serde_json::from_value(body).map_err(|error| error.to_string())?;
        wish.checked(user_id!("@alice:localhost"), "D".into(), 7)
            .map_err(|error| error.to_string())
    }

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        checked(change).unwrap_err()
    }

    fn with_url(url: &str) -> Result<Wish, String> {
        checked(|body| body["data"]["url"] = url.into())
    }

    #[test]
    fn a_whole_wish_is_taken_as_it_is() {
        let Ok(Wish::Set { pusher, append }) = checked(|body| {
            body["profile_tag"] = "tag".into();
            body["data"]["custom"] = json!({"a": [1.5]});
            body["data"]["format"] = "event_id_only".into();
        }) else {
            panic!("it is in order");
        };
        assert!(!append);
        assert_eq!(pusher.profile_tag.as_deref(), Some("tag"));
        assert!(pusher.data.get().contains("1.5"));
        assert_eq!(pusher.set_ts_ms, 7);
        let Ok(Wish::Set { append, .. }) = checked(|body| body["append"] = true.into()) else {
            panic!("it is in order");
        };
        assert!(append);
    }

    #[test]
    fn a_null_kind_deletes_and_needs_no_more_than_the_ids() {
        let deletes = checked(|body| {
            *body = json!({"app_id": "a", "pushkey": "k", "kind": null});
        });
        let Ok(Wish::Delete(id)) = deletes else {
            panic!("it is in order");
        };
        assert_eq!((id.app_id.as_str(), id.pushkey.as_str()), ("a", "k"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = refused(|body| {
            for key in ["kind", "lang", "data"] {
                body.as_object_mut().unwrap().remove(key);
            }
        });
        assert_eq!(missing, "missing parameters: kind, lang, data");
        assert_eq!(
            refused(|body| *body = json!({"kind": null})),
            "missing parameters: app_id, pushkey"
        );
        assert_eq!(
            refused(|body| body["data"] = json!({})),
            "missing parameters: data.url"
        );
    }

    #[test]
    fn lengths_are_bounded() {
        let app_id = |length: usize| checked(|body| body["app_id"] = "ü".repeat(length).into());
        assert!(app_id(64).is_ok() && app_id(65).is_err() && app_id(0).is_err());
        let pushkey = |length: usize| checked(|body| body["pushkey"] = "ü".repeat(length).into());
        assert!(pushkey(256).is_ok() && pushkey(257).is_err() && pushkey(0).is_err());
        for name in [
            "app_display_name",
            "device_display_name",
            "lang",
            "profile_tag",
        ] {
            assert!(checked(|body| body[name] = "".into()).is_ok());
            let long = refused(|body| body[name] = "x".repeat(1025).into());
            assert!(long.contains(name), "{long}");
        }
        assert!(refused(|body| body["data"]["x"] = "x".repeat(8192).into()).contains("8192"));
        // No message says a pushkey.
        assert!(!refused(|body| body["pushkey"] = "s3cret".repeat(100).into()).contains("s3cret"));
    }

    #[test]
    fn b81_a_gateway_is_reached_by_https_under_its_one_path() {
        for good in [
            "https://gateway.example/_matrix/push/v1/notify",
            "HTTPS://Gateway.example:8443/_matrix/push/v1/notify?topic=x",
        ] {
            assert!(with_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://gateway.example/_matrix/push/v1/notify",
            "https://gateway.example/",
            "https://gateway.example/_matrix/push/v1/notify/",
            "https://gateway.example/_matrix/push/v1/notify/../x",
            "https://gateway.example/x?/_matrix/push/v1/notify",
            "https:///_matrix/push/v1/notify",
            "ftp://gateway.example/_matrix/push/v1/notify",
            "/_matrix/push/v1/notify",
            "nonsense",
            "",
        ] {
            assert!(with_url(bad).unwrap_err().contains("https"), "{bad}");
        }
        assert!(refused(|body| body["data"]["url"] = 5.into()).contains("url"));
    }

    #[test]
    fn what_is_not_served_is_said() {
        assert!(refused(|body| body["kind"] = "email".into()).contains("e-mail"));
        assert!(refused(|body| body["kind"] = "carrier-pigeon".into()).contains("http"));
        assert!(refused(|body| body["data"]["format"] = "full".into()).contains("event_id_only"));
        assert!(refused(|body| body["data"] = json!([])).contains("object"));
    }
}
