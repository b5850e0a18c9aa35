//! `pgveil check`: the configuration and everything it names, without starting anything.

use std::path::PathBuf;

use serde_json::json;

use super::Exit;
use crate::config::Config;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pgveil check --config pgveil.toml")]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let (exit, faults, warnings, config) = match Config::load(&arguments.config) {
        Ok(config) => (Exit::Done, Vec::new(), config.warnings.clone(), Some(config)),
        Err(faults) => (Exit::Refused, faults, Vec::new(), None),
    };
    if arguments.json {
        let list: Vec<_> = faults
            .iter()
            .map(|fault| json!({"file": fault.file, "line": fault.line, "column": fault.column, "message": fault.message}))
            .collect();
        println!("{}", json!({ "ok": config.is_some(), "faults": list, "warnings": warnings }));
        return exit;
    }
    for fault in &faults {
        println!("{fault}");
    }
    for warning in &warnings {
        println!("warning: {warning}");
    }
    match config {
        Some(config) => println!("{}", summary(&config)),
        None => println!("{}", plural(faults.len(), "fault")),
    }
    exit
}

fn summary(config: &Config) -> String {
    let (databases, credentials) = (config.databases.len(), config.credentials.len());
    let (masks, rules) =
        config.databases.iter().map(|database| database.policy.size()).fold((0, 0), |(m, r), (a, b)| (m + a, r + b));
    format!(
        "ok: {}, {}, {}, {}",
        plural(databases, "database"),
        plural(credentials, "credential"),
        plural(masks, "mask entry").replace("entrys", "entries"),
        plural(rules, "rule")
    )
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
