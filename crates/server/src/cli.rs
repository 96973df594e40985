//! The command line: what can be asked of `greenroom`, and the flags that are settings.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  greenroom                                  Serve on this machine, open for you to register, data in ./greenroom-data
  greenroom --listen 127.0.0.1:0             The same on a free port; the first line says which
  greenroom --server-name example.org --listen 0.0.0.0:8008 --registration token
                                             Serve others; who has a token can register
  greenroom registration-token create        Make such a token
  greenroom user create alice                Make an account; its password is printed once
  greenroom config check                     Show every setting, where it comes from, and what is wrong

Settings:
  Each setting is a flag, an environment variable (GREENROOM_ and the flag's name, as GREENROOM_DATA_DIR) and a key
  in greenroom.toml (as data_dir; --tls-listen is `listen` in the table [tls]). A flag wins over the environment,
  the environment over the file, the file over the default. Limits and rates are in the file and environment only:
  `greenroom config check` lists them.

While it runs:
  The commands user, registration-token, report and db need not wait for the server to stop: it carries them out itself. They
  find it by the data directory, so name the same one, unless it is the default.

What is stored:
  Everything is in the data directory: the database greenroom.db (unless --database-url says otherwise), the key that
  signs events, and the self-signed certificate. Back it up as a whole, with greenroom stopped.";

const SETTINGS_HEADING: &str = "Settings";

/// Greenroom, a Matrix homeserver: your own place to chat, in one program.
#[derive(Debug, Parser)]
#[command(name = "greenroom", version, after_help = EXAMPLES, max_term_width = 120, subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Settings that make a difference to a command that does not serve: where the server's data is, and what to write.
const FOR_ALL_COMMANDS: &[&str] = &["config", "data_dir", "server_name", "database_url"];

impl Cli {
    /// Understands the command line of this process; where it makes no sense, or asks for help, that is told and the process ends.
    pub(crate) fn of_process() -> Self {
        match Self::from_arg_matches(&Self::for_people().get_matches()) {
            Ok(cli) => cli,
            Err(error) => error.exit(),
        }
    }

    /// The definition. Every flag is understood everywhere, but the help of a command that does not serve shows only
    /// those that matter to it.
    fn for_people() -> clap::Command {
        let mut command = Self::command();
        // Gives the subcommands their flags.
        command.build();
        ["user", "registration-token", "report", "db"]
            .into_iter()
            .fold(command, |command, name| {
                command.mut_subcommand(name, hide_settings_of_the_server)
            })
    }
}

fn hide_settings_of_the_server(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    let command = names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, hide_settings_of_the_server)
    });
    command.mut_args(|argument| {
        let of_the_server = argument.is_global_set()
            && argument.get_help_heading() == Some(SETTINGS_HEADING)
            && !FOR_ALL_COMMANDS.contains(&argument.get_id().as_str());
        argument.hide(of_the_server)
    })
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Matrix. This is what happens where no command is given.
    Serve,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make and change accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Hand out the right to register, for `--registration token`.
    #[command(subcommand)]
    RegistrationToken(TokenCommand),
    /// Read what users reported.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Look after the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Ask a running server whether it is ready: the exit code is 0 if so and 1 if not.
    Health {
        /// Where it serves HTTP. Default: the first address it is configured to listen on.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting with its value and origin, or every problem at once. Passwords are left out.
    Check,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account. Without --password-stdin a random password is chosen and printed.
    Create {
        /// The part of the user ID between `@` and the colon, such as alice.
        name: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Make them a server administrator.
        #[arg(long)]
        admin: bool,
    },
    /// Give an account a new password and log it out everywhere.
    ResetPassword {
        /// The part of the user ID between `@` and the colon, or all of it.
        name: String,
        /// Read the password from the first line of standard input. Otherwise one is chosen and printed.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Log an account out everywhere for good and have it leave its rooms. Its name cannot be registered again.
    Deactivate {
        /// The part of the user ID between `@` and the colon, or all of it.
        name: String,
    },
}

/// What can be done with registration tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it.
    Create {
        /// How many accounts can be made with it. Default: any number.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// For how long it can be used. Default: for good.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
        expires_in: Option<u32>,
    },
    /// Show all tokens with what is left of them.
    List,
    /// Make a token worthless. Accounts made with it stay.
    Revoke {
        /// The token.
        token: String,
    },
}

/// What can be done with reports.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Show the open reports, the newest last.
    List {
        /// The closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show one report in full, with what the reported event says now.
    Show {
        /// Its number.
        id: u64,
    },
    /// Take a report off the list of open ones.
    Close {
        /// Its number.
        id: u64,
    },
}

/// What can be done with the database.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the tables up to this version. `serve` does so too when it starts.
    Migrate,
    /// Check that the database can be read, is of this version and is consistent.
    Check,
}

/// Settings as flags. Their values are checked with the rest of the configuration, so that all problems are told at once.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = SETTINGS_HEADING)]
pub(crate) struct SettingFlags {
    /// The configuration file. Default: greenroom.toml in the working directory, if there is one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GREENROOM_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Where to serve HTTP; several with commas. Port 0 picks a free one. Default: 127.0.0.1:8008.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where everything is kept. Default: ./greenroom-data.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// What comes behind the colon of user IDs, as in @alice:example.org. It cannot be changed later. Default: localhost.
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
    // Help, not a comment: rustdoc would take it for a link.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME. Default: greenroom.db in the data directory"
    )]
    database_url: Option<String>,
    /// How clients reach the server, for /.well-known/matrix/client. Default: https:// and the server name.
    #[arg(long, global = true, value_name = "URL")]
    public_base_url: Option<String>,
    /// Who may register: open, token or closed. Default: open if only this machine can connect, otherwise closed.
    #[arg(long, global = true, value_name = "WHO")]
    registration: Option<String>,
    /// Let anybody on the network make accounts, spammers included. Needed for open registration beyond this machine.
    #[arg(long, global = true, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    i_accept_spam_from_open_registration: Option<String>,
    /// Where to serve HTTPS, or off. Default: 127.0.0.1:8448 if only this machine can connect, otherwise off.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    tls_listen: Option<String>,
    /// The certificate chain in PEM format. Default: a self-signed certificate, made in the data directory.
    #[arg(long, global = true, value_name = "FILE")]
    tls_certificate: Option<String>,
    /// The certificate's private key in PEM format.
    #[arg(long, global = true, value_name = "FILE")]
    tls_key: Option<String>,
    /// How many threads serve HTTP, and as many rooms. Default: one for each core.
    #[arg(long, global = true, value_name = "N")]
    workers: Option<String>,
    /// Slow down who logs in, registers, sends or joins too often. Default: on.
    #[arg(long, global = true, value_name = "on|off")]
    rate_limits: Option<String>,
    /// What to log: warn, info, debug, or a filter such as `info,greenroom_rooms=debug`. Default: info.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How to log: text or json. Default: text.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Where to serve Prometheus metrics, at /metrics. Default: off.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
    /// Reverse proxies whose X-Forwarded-For is believed, as addresses or networks with commas. Default: none.
    #[arg(long, global = true, value_name = "ADDRESSES")]
    trusted_proxies: Option<String>,
    /// Tell users who of those they share a room with is online: on other servers too, on this one, or not. Default: on.
    #[arg(long, global = true, value_name = "on|local|off")]
    presence: Option<String>,
    /// Serve the example application at /. Default: on.
    #[arg(long, global = true, value_name = "on|off")]
    example_app: Option<String>,
    /// How long requests may go on after SIGTERM or SIGINT. Default: 4.
    #[arg(long, global = true, value_name = "SECONDS")]
    shutdown_timeout_seconds: Option<String>,
}

impl SettingFlags {
    /// The file, and the flags that were given by the key of their setting.
    pub(crate) fn into_parts(self) -> (Option<PathBuf>, Vec<(&'static str, String)>) {
        let flags = [
            ("listen", self.listen),
            ("data_dir", self.data_dir),
            ("server_name", self.server_name),
            ("database_url", self.database_url),
            ("public_base_url", self.public_base_url),
            ("registration", self.registration),
            (
                "i_accept_spam_from_open_registration",
                self.i_accept_spam_from_open_registration,
            ),
            ("tls.listen", self.tls_listen),
            ("tls.certificate", self.tls_certificate),
            ("tls.key", self.tls_key),
            ("workers", self.workers),
            ("rate_limits.enabled", self.rate_limits),
            ("log", self.log),
            ("log_format", self.log_format),
            ("metrics_listen", self.metrics_listen),
            ("trusted_proxies", self.trusted_proxies),
            ("presence", self.presence),
            ("example_app", self.example_app),
            ("shutdown_timeout_seconds", self.shutdown_timeout_seconds),
        ];
        (
            self.config,
            flags
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    fn flags_of(arguments: &str) -> Vec<(&'static str, String)> {
        let cli = Cli::try_parse_from(arguments.split_whitespace()).unwrap();
        cli.settings.into_parts().1
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_that_says_so_has_its_flag_and_the_flag_sets_it() {
        for setting in crate::config::settings_with_flags() {
            let flag = setting.flag_name().unwrap();
            assert_eq!(
                flags_of(&format!("greenroom {flag}=x")),
                [(setting.key, "x".to_owned())],
                "{flag}"
            );
        }
        let known: Vec<_> = crate::config::settings_with_flags()
            .filter_map(Setting::flag_name)
            .collect();
        for argument in Cli::command()
            .get_arguments()
            .filter_map(|argument| argument.get_long())
        {
            let builtin = ["config", "help", "version"].contains(&argument);
            assert!(
                builtin || known.contains(&format!("--{argument}")),
                "--{argument} is no setting"
            );
        }
    }

    #[test]
    fn flags_are_understood_before_and_behind_a_command_and_without_one() {
        for arguments in [
            "greenroom --workers 3",
            "greenroom serve --workers 3",
            "greenroom --workers 3 config check",
        ] {
            assert_eq!(
                flags_of(arguments),
                [("workers", "3".to_owned())],
                "{arguments}"
            );
        }
        assert_eq!(
            flags_of("greenroom --i-accept-spam-from-open-registration serve"),
            [("i_accept_spam_from_open_registration", "on".to_owned())]
        );
    }

    #[test]
    fn commands_are_what_the_documentation_says() {
        for arguments in [
            "serve",
            "config check",
            "user create alice --password-stdin --admin",
            "user reset-password alice",
            "user deactivate @alice:localhost",
            "registration-token create --uses 3 --expires-in 60 --data-dir d",
            "registration-token list",
            "registration-token revoke abc",
            "report list --all",
            "report show 3",
            "report close 3",
            "db migrate",
            "db check",
            "health --url http://127.0.0.1:8008",
        ] {
            let parsed =
                Cli::try_parse_from(std::iter::once("greenroom").chain(arguments.split(' ')));
            assert!(parsed.is_ok_and(|cli| cli.command.is_some()), "{arguments}");
        }
        for arguments in [
            "sreve",
            "user",
            "registration-token create --uses 0",
            "report show",
            "report close x",
            "--lisent x",
        ] {
            assert!(
                Cli::try_parse_from(std::iter::once("greenroom").chain(arguments.split(' ')))
                    .is_err(),
                "{arguments}"
            );
        }
    }

    #[test]
    fn the_help_of_a_command_shows_only_the_settings_that_matter_to_it() {
        for arguments in [
            "user --help",
            "user create --help",
            "registration-token list --help",
            "db check --help",
        ] {
            let asked = std::iter::once("greenroom").chain(arguments.split(' '));
            let help = Cli::for_people()
                .try_get_matches_from(asked)
                .unwrap_err()
                .to_string();
            assert!(help.contains("--data-dir"), "{help}");
            assert!(!help.contains("--workers"), "{help}");
        }
        let all = Cli::for_people().render_help().to_string();
        assert!(all.contains("--workers"), "{all}");
        let flags = "greenroom user create alice --workers 3 --data-dir d".split(' ');
        let matches = Cli::for_people().try_get_matches_from(flags).unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        assert_eq!(
            cli.settings.into_parts().1,
            [("data_dir", "d".to_owned()), ("workers", "3".to_owned())]
        );
    }

    #[test]
    fn help_says_where_things_are_and_shows_examples() {
        let help = Cli::command().render_help().to_string();
        for expected in [
            "Examples:",
            "greenroom user create",
            "./greenroom-data",
            "127.0.0.1:8008",
            "GREENROOM_DATA_DIR",
            "greenroom.toml",
        ] {
            assert!(help.contains(expected), "{expected} in\n{help}");
        }
    }
}
