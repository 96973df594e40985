//! How a test server is configured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::database::PostgresDatabase;
use crate::{PushGateway, TestServer};

/// The file of trusted certificates, in the server's working directory.
const AUTHORITIES: &str = "authorities.pem";

/// Configures a [`TestServer`] before it starts.
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct ServerBuilder {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    config: Option<toml::Table>,
    data_dir: Option<PathBuf>,
    prelude: Option<String>,
    authorities: Option<String>,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        let flags = [
            ("--listen", "127.0.0.1:0"),
            ("--tls-listen", "off"),
            ("--rate-limits", "off"),
            ("--registration", "open"),
            ("--log-format", "json"),
        ];
        Self {
            flags: flags
                .map(|(flag, value)| (flag.to_owned(), value.to_owned()))
                .into(),
            env: BTreeMap::new(),
            config: None,
            data_dir: None,
            prelude: None,
            authorities: None,
        }
    }
}

impl ServerBuilder {
    /// Gives `greenroom serve` a flag, or another value for one of the kit's own.
    pub fn flag(mut self, flag: &str, value: &str) -> Self {
        assert!(
            flag.starts_with("--"),
            "a flag is written in full: {flag:?}"
        );
        self.flags.insert(flag.to_owned(), value.to_owned());
        self
    }

    /// Leaves one of the kit's own flags out, so that a default, the file or the environment counts.
    pub fn without_flag(mut self, flag: &str) -> Self {
        self.flags.remove(flag);
        self
    }

    /// Listens with TLS too, on a free port and with a certificate of the server's own making.
    pub fn tls(self) -> Self {
        self.flag("--tls-listen", "127.0.0.1:0")
    }

    /// Sets a variable in the server's environment, which has no other `GREENROOM_*` ones.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The text of the server's `greenroom.toml`.
    pub fn config(mut self, text: &str) -> Self {
        let table = text
            .parse()
            .unwrap_or_else(|error| panic!("the test's config: {error}"));
        self.config = Some(table);
        self
    }

    /// Keeps the data in this directory, which the caller owns, instead of a new one.
    pub fn data_dir(mut self, data_dir: &Path) -> Self {
        self.data_dir = Some(data_dir.to_owned());
        self
    }

    /// Lets the server reach this gateway: it listens on this machine with a certificate of its own.
    pub fn gateway(self, gateway: &PushGateway) -> Self {
        self.trust(gateway)
            .env("GREENROOM_OUTBOUND_ALLOW", "127.0.0.1")
    }

    /// Trusts a gateway's certificate, and does not let the server reach it.
    pub fn trust(mut self, gateway: &PushGateway) -> Self {
        self.authorities = Some(gateway.certificate().to_owned());
        self.env("GREENROOM_OUTBOUND_CERTIFICATES", AUTHORITIES)
    }

    /// Runs this in the shell that becomes the server: what it ignores and limits, the server does.
    pub fn prelude(mut self, script: &str) -> Self {
        self.prelude = Some(script.to_owned());
        self
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(self) -> TestServer {
        TestServer::launch(self).await
    }

    /// A command with the given subcommand and without its flags, in `home`.
    pub(crate) fn command(
        &self,
        subcommand: &[&str],
        home: &Path,
        database: Option<&PostgresDatabase>,
    ) -> Command {
        let mut command = crate::server::greenroom_after(self.prelude.as_deref());
        command.args(subcommand).current_dir(home);
        command.env("GREENROOM_DATA_DIR", self.data_dir_in(home));
        if let Some(database) = database {
            command.env("GREENROOM_DATABASE_URL", &database.url);
        }
        command.envs(&self.env);
        command
    }

    /// `greenroom serve` with its flags; `listen` overrides the address of the first start.
    pub(crate) fn serve(
        &self,
        home: &Path,
        database: Option<&PostgresDatabase>,
        listen: Option<&str>,
    ) -> Command {
        let mut command = self.command(&["serve"], home, database);
        for (flag, value) in &self.flags {
            let value = listen.filter(|_| flag == "--listen").unwrap_or(value);
            command.arg(flag).arg(value);
        }
        command
    }

    /// Whether the first start let the system pick the port.
    pub(crate) fn picks_free_port(&self) -> bool {
        self.flags
            .get("--listen")
            .is_some_and(|listen| listen.ends_with(":0"))
    }

    /// Writes what the server finds in its working directory.
    pub(crate) fn furnish(&self, home: &Path) {
        std::fs::create_dir_all(self.data_dir_in(home)).expect("the test's own directory");
        if let Some(config) = &self.config {
            std::fs::write(home.join("greenroom.toml"), config.to_string())
                .expect("the test's own directory");
        }
        if let Some(authorities) = &self.authorities {
            std::fs::write(home.join(AUTHORITIES), authorities).expect("the test's own directory");
        }
    }

    pub(crate) fn data_dir_in(&self, home: &Path) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| home.join("data"))
    }
}
