//! Values that settings can have.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registration {
    /// Everybody.
    Open,
    /// Who has a registration token.
    Token,
    /// Nobody; accounts are made with `greenroom user create`.
    Closed,
}

impl FromStr for Registration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "open" => Ok(Self::Open),
            "token" => Ok(Self::Token),
            "closed" => Ok(Self::Closed),
            _ => Err("must be `open`, `token` or `closed`"),
        }
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::Closed => "closed",
        })
    }
}

/// Whom users tell that they are online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nobody.
    Off,
    /// Users of this server.
    Local,
    /// Users of other servers too.
    On,
}

impl FromStr for Presence {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" | "false" | "no" => Ok(Self::Off),
            "local" => Ok(Self::Local),
            "on" | "true" | "yes" => Ok(Self::On),
            _ => Err("must be `on`, `local` or `off`"),
        }
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Local => "local",
            Self::On => "on",
        })
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be `text` or `json`"),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Where the database is. Shown and logged without its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL as libpq takes it, password included.
    Postgres(String),
}

impl DatabaseUrl {
    /// SQLite in the data directory.
    pub(crate) fn in_data_dir(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("greenroom.db"))
    }

    /// With the password, for the database alone. A path that is not Unicode becomes one that does not exist.
    pub(crate) fn expose(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            // `sqlite:///path` and `sqlite:path` are both in use.
            Some(path) => match path.strip_prefix("//").unwrap_or(path) {
                "" => Err("must name a file behind `sqlite:`"),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            None => Err("must begin with `sqlite:`, `postgres://` or `postgresql://`"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without the password, wherever in the URL it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may have an `@` of its own that should have been encoded: the last one ends it.
        match rest.rsplit_once('@') {
            None => write!(f, "{scheme}://{rest}")?,
            Some((who, place)) => match who.split_once(':') {
                None => write!(f, "{scheme}://{who}@{place}")?,
                Some((user, _password)) => write!(f, "{scheme}://{user}:***@{place}")?,
            },
        }
        for (at, parameter) in query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .enumerate()
        {
            let separator = if at == 0 { '?' } else { '&' };
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = if name.to_ascii_lowercase().contains("passw") {
                "***"
            } else {
                value
            };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgres://u:hunter2@db:5432/greenroom",
                "postgres://u:***@db:5432/greenroom",
            ),
            (
                "postgres://u:hunt@er2:x@db/greenroom?sslmode=require",
                "postgres://u:***@db/greenroom?sslmode=require",
            ),
            (
                "postgresql:///g?host=/run&user=u&Password=hunter2",
                "postgresql:///g?host=/run&user=u&Password=***",
            ),
            ("postgres://u@db/g", "postgres://u@db/g"),
            ("sqlite:///var/lib/g.db", "sqlite:/var/lib/g.db"),
            ("sqlite:g.db", "sqlite:g.db"),
        ] {
            let parsed: DatabaseUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert!(!format!("{parsed:?}").contains("hunt"));
        }
        assert_eq!(
            "postgres://u:p@h/d"
                .parse::<DatabaseUrl>()
                .unwrap()
                .expose(),
            "postgres://u:p@h/d"
        );
        assert!("mysql://h/d".parse::<DatabaseUrl>().is_err());
        assert!("sqlite:".parse::<DatabaseUrl>().is_err());
    }
}
