//! The evidence commands' way to the log: through the configuration, or a folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::evidence::{self, EvidenceError};
use super::{Exit, access, complain};
use crate::config::Config;
use crate::{server, store};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Sessions {
    #[command(subcommand)]
    action: Option<access::SessionsAction>,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    arguments: evidence::SessionsArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    arguments: evidence::ReplayArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The configuration whose log is meant
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    arguments: evidence::VerifyArgs,
}

#[derive(Debug, clap::Args)]
struct From {
    /// The configuration whose log is meant
    #[arg(long, value_name = "FILE", default_value = "pgveil.toml")]
    config: PathBuf,
}

pub(super) fn sessions(command: &Sessions) -> ExitCode {
    if let Some(action) = &command.action {
        return access::sessions(action).into();
    }
    with_settings(&command.from.config, |settings| evidence::sessions(&command.arguments, settings))
}

pub(super) fn replay(command: &Replay) -> ExitCode {
    with_settings(&command.from.config, |settings| evidence::replay(&command.arguments, settings))
}

pub(super) fn verify(command: &Verify) -> ExitCode {
    match &command.config {
        Some(config) => with_settings(config, |settings| evidence::verify(&command.arguments, Some(settings))),
        None => answer(evidence::verify(&command.arguments, None)),
    }
}

fn with_settings(config: &Path, command: impl FnOnce(&store::Settings) -> Result<ExitCode, EvidenceError>) -> ExitCode {
    match Config::load(config) {
        Ok(config) => answer(command(&server::settings(&config))),
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            Exit::Usage.into()
        }
    }
}

fn answer(result: Result<ExitCode, EvidenceError>) -> ExitCode {
    result.unwrap_or_else(|fault| {
        complain(&fault.to_string());
        Exit::Usage.into()
    })
}
