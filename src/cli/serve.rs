//! `pgveil serve`: runs the proxy.

use std::path::PathBuf;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Exit, complain};
use crate::config::{Config, LogFormat, LogLevel};
use crate::server::{self, StartFault};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints one line that begins with `ready` when clients may come, and logs to standard error. SIGHUP makes it read \
                  the configuration and the policies again. SIGTERM and SIGINT end it in order: nobody new is taken, and what runs \
                  has `[listen] drain` to finish; a second one ends it at once. Where systemd has started it, that is told \
                  (Type=notify).\n\nExample:\n  pgveil serve --config pgveil.toml"
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How the log on standard error is written, instead of `[log] format`
    #[arg(long, value_enum)]
    logs: Option<LogFormat>,
    /// How much of it, instead of `[log] level`
    #[arg(long, value_enum)]
    level: Option<LogLevel>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return Exit::Usage;
        }
    };
    let format = arguments.logs.unwrap_or(config.logs.format);
    log_to_standard_error(format, arguments.level.unwrap_or(config.logs.level));
    match server::run(config) {
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

/// Our own events only: what libraries might say of themselves could quote what passes through them.
fn log_to_standard_error(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(ours);
    match format {
        LogFormat::Plain => registry.with(logs.with_ansi(false)).init(),
        LogFormat::Json => registry.with(logs.json().flatten_event(true).with_span_list(false)).init(),
    }
}
