//! Every file of `assets/`, with the paths it is served at.

/// A file in the binary.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Where it is served; more than one path for a page with several names.
    pub(crate) paths: &'static [&'static str],
    /// Its name below `assets/`, which also tells its type.
    pub(crate) file: &'static str,
    /// Its bytes, as they are sent.
    pub(crate) body: &'static [u8],
}

macro_rules! asset {
    ($file:literal at $($path:literal),+) => {
        Asset {
            paths: &[$($path),+],
            file: $file,
            body: include_bytes!(concat!("../assets/", $file)),
        }
    };
}

/// The example application.
pub(crate) const APP: &[Asset] = &[
    asset!("app/api.js" at "/app/api.js"),
    asset!("app/base.css" at "/app/base.css"),
    asset!("app/chat.css" at "/app/chat.css"),
    asset!("app/dom.js" at "/app/dom.js"),
    asset!("app/icon.svg" at "/app/icon.svg"),
    asset!("app/index.html" at "/"),
    asset!("app/layout.css" at "/app/layout.css"),
    asset!("app/main.js" at "/app/main.js"),
    asset!("app/outbox.js" at "/app/outbox.js"),
    asset!("app/relations.css" at "/app/relations.css"),
    asset!("app/relations.js" at "/app/relations.js"),
    asset!("app/room.js" at "/app/room.js"),
    asset!("app/router.js" at "/app/router.js"),
    asset!("app/session.js" at "/app/session.js"),
    asset!("app/store.js" at "/app/store.js"),
    asset!("app/sync.js" at "/app/sync.js"),
    asset!("app/text.js" at "/app/text.js"),
    asset!("app/thread.js" at "/app/thread.js"),
    asset!("app/views/actions.js" at "/app/views/actions.js"),
    asset!("app/views/composer.js" at "/app/views/composer.js"),
    asset!("app/views/dialogs.js" at "/app/views/dialogs.js"),
    asset!("app/views/directory.js" at "/app/views/directory.js"),
    asset!("app/views/door.js" at "/app/views/door.js"),
    asset!("app/views/extras.js" at "/app/views/extras.js"),
    asset!("app/views/forms.js" at "/app/views/forms.js"),
    asset!("app/views/message.js" at "/app/views/message.js"),
    asset!("app/views/notify.js" at "/app/views/notify.js"),
    asset!("app/views/people.js" at "/app/views/people.js"),
    asset!("app/views/room.js" at "/app/views/room.js"),
    asset!("app/views/sidebar.js" at "/app/views/sidebar.js"),
    asset!("app/views/timeline.js" at "/app/views/timeline.js"),
    asset!("app/views/welcome.js" at "/app/views/welcome.js"),
    asset!("app/write.js" at "/app/write.js"),
];

/// The login fallback. It must not need anything of [`APP`], which may be off.
pub(crate) const LOGIN: &[Asset] = &[
    asset!("login/index.html" at
        "/_matrix/static/client/login/",
        "/_matrix/client/r0/login/fallback",
        "/_matrix/client/v3/login/fallback"),
    asset!("login/icon.svg" at "/_matrix/static/client/login/icon.svg"),
    asset!("login/login.js" at "/_matrix/static/client/login/login.js"),
    asset!("login/style.css" at "/_matrix/static/client/login/style.css"),
];
