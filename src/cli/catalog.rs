//! `pgveil catalog`: what pgveil knows of a database's catalog, as a file that explanations and policy tests work on offline.

pub(super) mod snapshot;
pub(super) mod upstream;

use std::path::PathBuf;

use super::client::Failure;
use super::{Exit, complain};
use crate::config::{Config, Database};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The snapshot holds names, types, views and functions, and no row of any table. It is text with one object to a
line, so that a change of the schema reads well in a diff. `pgveil policy test` and `pgveil explain --catalog` read it.

Example:
  pgveil catalog --config pgveil.toml --database clinic > policies/mine/catalog.json

Exit codes: 0 written; 2 wrong command line or configuration; 3 the database cannot be had."
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The database, as clients name it [default: the only one of the configuration]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match write(arguments) {
        Ok(text) => {
            print!("{text}");
            Exit::Done
        }
        Err((exit, message)) => {
            complain(&message);
            exit
        }
    }
}

fn write(arguments: &Arguments) -> Result<String, Failure> {
    let config = load(&arguments.config)?;
    let (name, database) = chosen(&config, arguments.database.as_deref())?;
    let catalog = upstream::wait(async { upstream::catalog(&mut upstream::querier(database, &name).await?).await })?;
    snapshot::write(&catalog)
}

/// The configuration, or all its faults as one message.
pub(super) fn load(file: &std::path::Path) -> Result<Config, Failure> {
    Config::load(file).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (Exit::Usage, format!("the configuration is faulty:\n{}", lines.join("\n")))
    })
}

/// The database of this name, or the only one there is.
pub(super) fn chosen<'c>(config: &'c Config, name: Option<&str>) -> Result<(String, &'c Database), Failure> {
    let names: Vec<&str> = config.databases.iter().map(|database| database.name.as_str()).collect();
    let list = || names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) if *only != "*" => *only,
        (None, _) => return Err((Exit::Usage, format!("which database? give `--database NAME`; configured are {}", list()))),
    };
    match config.database(name) {
        Some(database) => Ok((name.to_owned(), database)),
        None => {
            let near = crate::policy::nearest(name, &names).map(|near| format!(", did you mean `{near}`")).unwrap_or_default();
            Err((Exit::Usage, format!("no database `{name}` is configured{near}; configured are {}", list())))
        }
    }
}
