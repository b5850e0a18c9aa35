//! `pgveil serve`: runs the proxy.

use std::path::PathBuf;

use tracing_subscriber::filter::LevelFilter;

use super::{Exit, complain};
use crate::config::Config;
use crate::server::{self, StartFault};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints one line that begins with `ready` when clients may come, and logs to standard error. SIGTERM and \
                        SIGINT end it in order.\n\nExample:\n  pgveil serve --config pgveil.toml"
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = Logs::Plain)]
    logs: Logs,
    /// How much of it
    #[arg(long, value_enum, default_value_t = Level::Info)]
    level: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Logs {
    Plain,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return Exit::Usage;
        }
    };
    log_to_standard_error(arguments);
    match server::run(&config) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            complain(&fault.to_string());
            exit(&fault)
        }
    }
}

fn exit(fault: &StartFault) -> Exit {
    match fault {
        StartFault::Tls(_)
        | StartFault::Upstream { .. }
        | StartFault::Route(..)
        | StartFault::Verifier(..)
        | StartFault::Issuer(_)
        | StartFault::Roster(_) => Exit::Usage,
        StartFault::Runtime(_) | StartFault::Bind(..) | StartFault::Store(_) | StartFault::Log(_) | StartFault::Revoked(..) => {
            Exit::Unavailable
        }
    }
}

fn log_to_standard_error(arguments: &Arguments) {
    let level = match arguments.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let logs = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    match arguments.logs {
        Logs::Plain => logs.with_ansi(false).init(),
        Logs::Json => logs.json().init(),
    }
}
