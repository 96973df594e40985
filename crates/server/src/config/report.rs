//! What `greenroom config check` shows: every setting, its value in effect, and where that comes from.

use std::fmt::{self, Display};

use super::{Loaded, rate_limits, reader::Reader, settings::SETTINGS};

impl Loaded {
    /// The value in effect of the setting with this key, secrets left out.
    fn shown(&self, key: &str) -> String {
        let config = &self.config;
        let limits = &config.limits;
        let path = |file: Option<&std::path::PathBuf>| {
            file.map_or_else(
                || "self-signed".to_owned(),
                |path| path.display().to_string(),
            )
        };
        let files = config.tls.as_ref().and_then(|tls| tls.files.as_ref());
        match key {
            "listen" => list(&config.listen),
            "data_dir" => config.data_dir.display().to_string(),
            "server_name" => config.server_name.to_string(),
            "database_url" => config.database_url.to_string(),
            "public_base_url" => config.base_url(config.listen.first().copied()),
            "registration" => config.registration.to_string(),
            "tls.listen" => config
                .tls
                .as_ref()
                .map_or_else(|| "off".to_owned(), |tls| list(&tls.listen)),
            "tls.certificate" => path(files.map(|files| &files.certificate)),
            "tls.key" => path(files.map(|files| &files.key)),
            "workers" => config.workers.to_string(),
            "log" => config.log.clone(),
            "log_format" => config.log_format.to_string(),
            "metrics_listen" => config
                .metrics_listen
                .map_or_else(|| "off".to_owned(), |address| address.to_string()),
            "trusted_proxies" | "outbound.allow" => self.given_list(key),
            "outbound.certificates" => match &config.outbound.certificates {
                Some(path) => path.display().to_string(),
                None => "none".to_owned(),
            },
            "presence" => config.presence.to_string(),
            "example_app" => on_off(config.example_app),
            "shutdown_timeout_seconds" => config.shutdown_timeout.as_secs().to_string(),
            "limits.request_body_bytes" => limits.request_body_bytes.to_string(),
            "limits.parked_syncs_per_device" => limits.parked_syncs_per_device.to_string(),
            "limits.connections_per_worker" => limits.connections_per_worker.to_string(),
            "rate_limits.enabled" => on_off(config.rate_limits.is_some()),
            // What is left is a number of a rate or a plain switch, shown as it was given.
            _ => self.rate(key).unwrap_or_else(|| self.given(key)),
        }
    }

    fn rate(&self, key: &str) -> Option<String> {
        let limits = self.config.rate_limits.unwrap_or_default();
        rate_limits::by_key(&limits)
            .into_iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    fn given_list(&self, key: &str) -> String {
        let mut reader = Reader {
            layers: &self.layers,
            problems: Vec::new(),
        };
        list(&reader.list(key).unwrap_or_default())
    }

    fn given(&self, key: &str) -> String {
        let given = self.layers.value(key);
        given
            .and_then(|value| {
                value
                    .as_str()
                    .map(str::to_owned)
                    .or_else(|| value.to_bool().map(on_off))
            })
            .unwrap_or_else(|| on_off(false))
    }
}

impl Display for Loaded {
    /// In the form of `greenroom.toml`'s keys, one line each, the origin behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates_off = self.config.rate_limits.is_none();
        for setting in SETTINGS {
            if rates_off
                && setting.key.starts_with("rate_limits.")
                && setting.key != "rate_limits.enabled"
            {
                continue;
            }
            writeln!(
                f,
                "{} = {}  ({})",
                setting.key,
                self.shown(setting.key),
                self.layers.origin(setting.key)
            )?;
        }
        Ok(())
    }
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}
