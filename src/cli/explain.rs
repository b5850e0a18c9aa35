//! `pgveil explain`: what pgveil makes of a statement for somebody, without running it.

mod report;
mod shape;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
mod trace;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use report::{Asker, Explained, explain};

use super::catalog::{chosen, load, snapshot, upstream};
use super::client::Failure;
use super::{Exit, complain};
use crate::backend::QueryError;
use crate::config::Config;
use crate::policy::Policy;
use crate::sql::Catalog;
use crate::wire::RowDescription;

/// Most bytes of a text that is read from a file or standard input.
const TEXT_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The statement is analysed as the proxy would, for an identity of the groups given; without any group nothing is unmasked for
it. The server is asked for the types of the result (it parses the statement and describes it; nothing is run), so what becomes
of each column is exact. With `--catalog` no server is needed; the type of a computed column is then not known, and
`placeholder` stands for a placeholder or NULL.

What the answer says of a column:
  lineage   direct (a column as it is), derived (computed from columns), revealed (computed from masked columns in a way that
            the policy allows), clean (from no column), unknown (it could not be traced)
  verdict   clear, masked (by its rule), placeholder, null, refused (the statement does not run)

Examples:
  pgveil explain --config pgveil.toml --database clinic --group agents \"select left(last_name, 1) from clinical.patients\"
  pgveil explain --config pgveil.toml --identity mcp-agent --json --file report.sql
  echo 'delete from clinical.medications' | pgveil explain --config pgveil.toml --group engineers
  pgveil explain --policy policies/mine --catalog policies/mine/catalog.json --group agents 'select 1'

Exit codes: 0 explained, whatever the decision is; 2 wrong command line, configuration or snapshot; 3 the database cannot be had."
)]
pub(super) struct Arguments {
    /// The statement; left out, it is read from standard input
    sql: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    config: Option<PathBuf>,
    /// The database, as clients name it [default: the only one of the configuration]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// A group of the identity that asks; can be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// An identity of the configuration that asks, with its groups
    #[arg(long, value_name = "NAME", conflicts_with = "groups", requires = "config")]
    identity: Option<String>,
    /// Read the statement from a file
    #[arg(long, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// Ask no server: take the catalog from what `pgveil catalog` wrote
    #[arg(long, value_name = "SNAPSHOT")]
    catalog: Option<PathBuf>,
    /// A policy, or its folder, in place of the configuration's
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match explained(arguments) {
        Ok(explained) if arguments.json => println!("{}", explained.json()),
        Ok(explained) => println!("{}", table::show(&explained)),
        Err((exit, message)) => {
            complain(&message);
            return exit;
        }
    }
    Exit::Done
}

fn explained(arguments: &Arguments) -> Result<Explained, Failure> {
    let config = arguments.config.as_deref().map(load).transpose()?;
    let text = text(arguments)?;
    let policy = match (&arguments.policy, &config) {
        (Some(path), _) => Arc::new(policy(path)?),
        (None, Some(config)) => Arc::clone(&chosen(config, arguments.database.as_deref())?.1.policy),
        (None, None) => return Err((Exit::Usage, "give `--config`, or `--policy` with `--catalog`".to_owned())),
    };
    let groups = groups(arguments, config.as_ref())?;
    let database = match (&arguments.database, &config) {
        (Some(name), _) => name.clone(),
        (None, Some(config)) => chosen(config, None)?.0,
        (None, None) => String::new(),
    };
    let (catalog, shape, note) = ground(arguments, config.as_ref(), &text)?;
    let identity = arguments.identity.as_deref().unwrap_or_default();
    let asker = Asker { policy: &policy, catalog: &catalog, database: &database, identity, groups: &groups };
    Ok(explain(&asker, &text, shape.as_ref(), note))
}

/// The catalog, and the shape of the result if a server has told it, or else why not.
fn ground(
    arguments: &Arguments,
    config: Option<&Config>,
    text: &[u8],
) -> Result<(Catalog, Option<RowDescription>, Option<String>), Failure> {
    if let Some(path) = &arguments.catalog {
        let catalog = snapshot::read(path).map_err(|message| (Exit::Usage, message))?;
        return Ok((catalog, None, Some("no server was asked: the types of computed columns are not known".to_owned())));
    }
    let Some(config) = config else {
        return Err((Exit::Usage, "`--policy` without `--config` needs `--catalog SNAPSHOT`".to_owned()));
    };
    let (name, database) = chosen(config, arguments.database.as_deref())?;
    upstream::wait(async {
        let mut querier = upstream::querier(database, &name).await?;
        let catalog = upstream::catalog(&mut querier).await?;
        querier.simple_query("reset search_path").await.map_err(|error| upstream::failed(&error))?;
        let Ok(sql) = std::str::from_utf8(text) else { return Ok((catalog, None, Some("the text is not UTF-8".to_owned()))) };
        match querier.describe(sql).await {
            Ok(shape) => Ok((catalog, Some(shape), None)),
            Err(QueryError::Refused { sqlstate, .. }) => {
                let note =
                    format!("the server does not describe this text (SQLSTATE {sqlstate}): types are taken from the catalog");
                Ok((catalog, None, Some(note)))
            }
            Err(error) => Err(upstream::failed(&error)),
        }
    })
}

fn groups(arguments: &Arguments, config: Option<&Config>) -> Result<Vec<String>, Failure> {
    let (Some(name), Some(config)) = (&arguments.identity, config) else { return Ok(arguments.groups.clone()) };
    let credential = config
        .credential(name)
        .ok_or_else(|| (Exit::Usage, format!("no identity `{name}` is configured; name its groups by `--group` instead")))?;
    Ok(credential.groups.clone())
}

fn text(arguments: &Arguments) -> Result<Vec<u8>, Failure> {
    if let Some(sql) = &arguments.sql {
        return Ok(sql.clone().into_bytes());
    }
    let mut text = Vec::new();
    let read = match &arguments.file {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(TEXT_BYTES_MAX).read_to_end(&mut text)),
        None => std::io::stdin().lock().take(TEXT_BYTES_MAX).read_to_end(&mut text),
    };
    let from = arguments.file.as_deref().map_or_else(|| "standard input".to_owned(), |path| format!("`{}`", path.display()));
    read.map_err(|error| (Exit::Usage, format!("the statement cannot be read from {from}: {error}")))?;
    Ok(text)
}

/// Reads a policy file, or the one of a folder.
pub(super) fn policy(path: &Path) -> Result<Policy, Failure> {
    let file = if path.is_dir() { path.join("policy.toml") } else { path.to_path_buf() };
    let mut text = String::new();
    std::fs::File::open(&file)
        .and_then(|opened| opened.take(TEXT_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| (Exit::Usage, format!("the policy `{}` cannot be read: {error}", file.display())))?;
    Policy::parse(&text, &file.display().to_string()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (Exit::Usage, format!("the policy is faulty:\n{}", lines.join("\n")))
    })
}
