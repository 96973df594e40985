//! The layers of the configuration: defaults, the file, the environment, the flags; each wins over those before it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Problem,
    settings::{ENV_IGNORED, ENV_PREFIX, SETTINGS, Setting, did_you_mean},
};

/// The file that is read where no other is named.
pub(crate) const DEFAULT_FILE: &str = "greenroom.toml";

/// Where settings may come from. Not to be printed: there are passwords in it.
#[derive(Default)]
pub(crate) struct Sources {
    /// The file that was asked for. It must exist. Without one, [`DEFAULT_FILE`] is read if it exists.
    pub(crate) file: Option<PathBuf>,
    /// All variables of the environment; those that are not ours are passed over.
    pub(crate) env: Vec<(String, String)>,
    /// Flags that were given, by the key of their setting.
    pub(crate) flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// Those of this process. Variables that are not Unicode are none of ours.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            file,
            env: std::env::vars_os().filter_map(unicode).collect(),
            flags,
        }
    }
}

/// Settings with where each of them comes from.
pub(super) struct Layers {
    figment: Figment,
}

impl fmt::Debug for Layers {
    /// Without the values, some of which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").finish_non_exhaustive()
    }
}

/// One layer: values by key, all from one place.
struct Layer {
    name: String,
    values: BTreeMap<String, Value>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, value) in &self.values {
            insert(&mut dict, key, value.clone());
        }
        Ok(Profile::Default.collect(dict))
    }
}

fn insert(dict: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            dict.insert(key.to_owned(), value);
        }
        Some((table, rest)) => {
            let inner = dict
                .entry(table.to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

impl Layers {
    /// Reads all sources. What cannot be read or means nothing is added to `problems`, or to `warnings` if it may not be ours.
    pub(super) fn read(
        sources: &Sources,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Self {
        let mut figment = Figment::new();
        if let Some((path, values)) = read_file(sources.file.as_deref(), problems) {
            figment = figment.merge(Layer {
                name: format!("file {}", path.display()),
                values,
            });
        }
        for (name, value) in &sources.env {
            let Some(short) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            if ENV_IGNORED.iter().any(|ignored| {
                if ignored.ends_with('_') {
                    short.starts_with(ignored)
                } else {
                    short == *ignored
                }
            }) {
                continue;
            }
            let Some(setting) = Setting::by_env(short) else {
                // A warning only: Kubernetes sets GREENROOM_PORT and the like for a service of our name.
                let meant = did_you_mean(short, SETTINGS.iter().map(|setting| setting.env));
                let hint = meant
                    .map(|meant| format!(", did you mean {ENV_PREFIX}{meant}?"))
                    .unwrap_or_default();
                warnings.push(format!(
                    "the environment variable {name} is no setting{hint}"
                ));
                continue;
            };
            let values = BTreeMap::from([(setting.key.to_owned(), Value::from(value.clone()))]);
            figment = figment.merge(Layer {
                name: format!("environment variable {name}"),
                values,
            });
        }
        for (key, value) in &sources.flags {
            let flag = Setting::by_key(key)
                .and_then(Setting::flag_name)
                .unwrap_or_else(|| (*key).to_owned());
            let values = BTreeMap::from([((*key).to_owned(), Value::from(value.clone()))]);
            figment = figment.merge(Layer {
                name: format!("flag {flag}"),
                values,
            });
        }
        Self { figment }
    }

    /// The value of a setting, if anything but the default gives it one.
    pub(super) fn value(&self, key: &str) -> Option<Value> {
        self.figment.find_value(key).ok()
    }

    /// Where the value of a setting comes from.
    pub(super) fn origin(&self, key: &str) -> String {
        match self.figment.find_metadata(key) {
            Some(metadata) => metadata.name.clone().into_owned(),
            None => "default".to_owned(),
        }
    }
}

fn read_file(
    named: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> Option<(PathBuf, BTreeMap<String, Value>)> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match (path.try_exists(), named) {
        (Ok(true), _) => {}
        (Ok(false), None) => return None,
        (Ok(false), Some(_)) => {
            problems.push(Problem::new(format!(
                "the configuration file {} does not exist",
                path.display()
            )));
            return None;
        }
        (Err(error), _) => {
            problems.push(Problem::new(format!(
                "could not read {}: {error}",
                path.display()
            )));
            return None;
        }
    }
    let mut data = match Toml::file_exact(path).data() {
        Ok(data) => data,
        Err(errors) => {
            problems.extend(
                errors
                    .into_iter()
                    .map(|error| Problem::new(format!("{}: {}", path.display(), error.kind))),
            );
            return None;
        }
    };
    let mut values = BTreeMap::new();
    flatten(
        data.remove(&Profile::Default).unwrap_or_default(),
        "",
        &mut values,
    );
    values.retain(|key, _| {
        let known = Setting::by_key(key).is_some();
        if !known {
            let hint = table_hint(key).unwrap_or_else(|| {
                did_you_mean(key, SETTINGS.iter().map(|setting| setting.key))
                    .map(|meant| format!(", did you mean `{meant}`?"))
                    .unwrap_or_default()
            });
            problems.push(Problem::new(format!(
                "{}: there is no setting `{key}`{hint}",
                path.display()
            )));
        }
        known
    });
    Some((path.to_owned(), values))
}

/// What to say of a plain value where a table belongs, such as `tls = "off"`.
fn table_hint(key: &str) -> Option<String> {
    let table = format!("{key}.");
    let inside: Vec<String> = SETTINGS
        .iter()
        .filter(|setting| setting.key.starts_with(&table))
        .map(|setting| format!("`{}`", setting.key))
        .collect();
    (!inside.is_empty()).then(|| format!(", it is a table with {}", inside.join(", ")))
}

/// Names nested values by their path. A table `rate_limits` can also be a plain value, as its flag is.
fn flatten(dict: Dict, prefix: &str, values: &mut BTreeMap<String, Value>) {
    for (name, value) in dict {
        let key = format!("{prefix}{name}");
        match value {
            Value::Dict(_, inner) => flatten(inner, &format!("{key}."), values),
            value if key == "rate_limits" => {
                values.insert("rate_limits.enabled".to_owned(), value);
            }
            value => {
                values.insert(key, value);
            }
        }
    }
}
