//! Greenroom, a Matrix homeserver.

mod admin;
mod cli;
mod config;
mod data_dir;
mod health;
mod http_server;
mod shutdown;
mod telemetry;
mod wire;

use std::{error::Error, process::ExitCode};

use crate::{
    cli::{Cli, Command, ConfigCommand},
    config::{Config, ConfigError, Loaded, Sources},
    shutdown::Stopped,
};

/// What `clap` exits with too where it does not understand what is asked.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    match run(Cli::of_process()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("greenroom: {}", with_causes(error.as_ref()));
            ExitCode::from(if error.is::<ConfigError>() {
                EXIT_USAGE
            } else {
                1
            })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    let (file, flags) = cli.settings.into_parts();
    let load = || Config::load(&Sources::of_process(file, flags));
    match cli.command {
        None | Some(Command::Serve) => serve(load()?),
        Some(Command::Config(ConfigCommand::Check)) => {
            let loaded = load()?;
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            admin::print(&loaded.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Health { url }) => {
            let url = match url {
                Some(url) => url,
                None => health::local_url(&load()?.config.listen)?,
            };
            health::check(&url)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::User(command)) => administer(load()?, |config| admin::user(config, command)),
        Some(Command::RegistrationToken(command)) => {
            administer(load()?, |config| admin::registration_token(config, command))
        }
        Some(Command::Report(command)) => {
            administer(load()?, |config| admin::report(config, command))
        }
        Some(Command::Db(command)) => administer(load()?, |config| admin::db(config, command)),
    }
}

fn serve(loaded: Loaded) -> Result<ExitCode, Box<dyn Error>> {
    let config = loaded.config;
    telemetry::init_logging(&config.log, config.log_format)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match actix_rt::System::new().block_on(wire::serve(config))? {
        Stopped::Gracefully => Ok(ExitCode::SUCCESS),
        // Not by returning: that would wait for the threads that the signal was not to wait for.
        Stopped::AtOnce { exit_code } => std::process::exit(exit_code),
    }
}

/// Carries out a command of an operator, who sees warnings and errors of the parts but not their news.
fn administer<F, E>(
    loaded: Loaded,
    command: impl FnOnce(Config) -> F,
) -> Result<ExitCode, Box<dyn Error>>
where
    F: Future<Output = Result<(), E>>,
    E: Error + 'static,
{
    let config = loaded.config;
    telemetry::init_logging("warn", config.log_format)?;
    actix_rt::System::new().block_on(command(config))?;
    Ok(ExitCode::SUCCESS)
}

/// An error with what caused it, unless it says so itself.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
