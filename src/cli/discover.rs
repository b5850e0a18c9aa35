//! `pgveil discover`: masks proposed for a database, with the evidence for each. Counts and names only: no value of the data is in
//! what it prints.

mod detect;
mod known;
mod print;
mod propose;
mod sample;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::catalog::{chosen, load, upstream};
use super::client::Failure;
use super::{Exit, complain};
use crate::backend::{Querier, QueryError};
use crate::sql::{Catalog, Relation, RelationKind};
use propose::{Ground, Proposal};
use sample::Counts;

/// Most rows of a table that are looked at.
const SAMPLE_MAX: u32 = 10_000;
/// Most tables that are sampled.
const TABLES_MAX: usize = 5_000;

const COMMENTS: &str = "select d.objoid, d.objsubid, pg_catalog.left(d.description, 500) from pg_catalog.pg_description d \
    where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid >= 16384";
const KEYS: &str = "select c.conrelid, c.conkey[i], c.confrelid, c.confkey[i] from pg_catalog.pg_constraint c, \
    pg_catalog.generate_subscripts(c.conkey, 1) i where c.contype = 'f'";
const ROWS: &str = "select c.oid, greatest(c.reltuples, 0)::int8 from pg_catalog.pg_class c where c.relkind in ('r', 'p')";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at the names, types and comments of columns, at foreign keys, and at some rows of each table, and prints a policy
that `pgveil check` accepts. Each column has its evidence beside it, in counts; no value of the data is printed. What it is
not sure of is marked `UNSURE`: look at it, and remove what need not be masked. What it did not find may identify
people all the same.

Tables are read in read-only transactions with a time limit, at most `--sample` rows of each; `--sample 0` reads none.

Examples:
  pgveil discover --config pgveil.toml --database clinic > policies/mine/policy.toml
  pgveil discover --config pgveil.toml --database clinic --sample 0 --json

Exit codes: 0 done; 2 wrong command line or configuration; 3 the database cannot be had."
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The database, as clients name it [default: the only one of the configuration]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Rows of each table that are looked at
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=i64::from(SAMPLE_MAX)))]
    sample: u32,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Found {
    database: String,
    sample: u32,
    tables: usize,
    columns: usize,
    proposals: Vec<Proposal>,
    /// Tables that could not be read, with the reason.
    unread: Vec<(String, String)>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match found(arguments) {
        Ok(found) if arguments.json => println!("{}", print::json(&found)),
        Ok(found) => print!("{}", print::policy(&found)),
        Err((exit, message)) => {
            complain(&message);
            return exit;
        }
    }
    Exit::Done
}

fn found(arguments: &Arguments) -> Result<Found, Failure> {
    let config = load(&arguments.config)?;
    let (name, database) = chosen(&config, arguments.database.as_deref())?;
    upstream::wait(async {
        let mut querier = upstream::querier(database, &name).await?;
        let catalog = upstream::catalog(&mut querier).await?;
        let mut ground = Ground::new(&catalog);
        read_comments(&mut querier, &mut ground).await?;
        read_keys(&mut querier, &mut ground).await?;
        let tables = tables(&catalog);
        let unread = if arguments.sample == 0 {
            Vec::new()
        } else {
            read_samples(&mut querier, &mut ground, &tables, arguments.sample).await?
        };
        let columns = tables.iter().map(|table| table.columns.len()).sum();
        let proposals = ground.proposals(&tables);
        Ok(Found { database: name, sample: arguments.sample, tables: tables.len(), columns, proposals, unread })
    })
}

/// Tables of the database's own, partitions left out: they are covered by what they are part of.
fn tables(catalog: &Catalog) -> Vec<&Relation> {
    let own = |relation: &&Relation| {
        matches!(relation.kind, RelationKind::Table | RelationKind::Partitioned | RelationKind::Foreign)
            && !relation.temporary
            && !relation.schema.starts_with("pg_")
            && relation.schema != "information_schema"
    };
    let mut tables: Vec<&Relation> = catalog.relations.values().filter(own).collect();
    tables.sort_by(|one, other| (&one.schema, &one.name).cmp(&(&other.schema, &other.name)));
    tables
}

async fn read_comments(querier: &mut Querier, ground: &mut Ground<'_>) -> Result<(), Failure> {
    for row in querier.simple_query(COMMENTS).await.map_err(|error| upstream::failed(&error))? {
        if let (Some(relation), Some(column), Some(Some(text))) = (number(&row, 0), number(&row, 1), row.get(2)) {
            ground.comments.insert((relation, column), text.to_lowercase());
        }
    }
    Ok(())
}

async fn read_keys(querier: &mut Querier, ground: &mut Ground<'_>) -> Result<(), Failure> {
    for row in querier.simple_query(KEYS).await.map_err(|error| upstream::failed(&error))? {
        if let (Some(from), Some(column), Some(to), Some(referred)) =
            (number(&row, 0), number(&row, 1), number(&row, 2), number(&row, 3))
        {
            ground.keys.insert((from, column), (to, referred));
        }
    }
    Ok(())
}

/// Reads some rows of each table; a table that cannot be read is noted.
async fn read_samples(
    querier: &mut Querier,
    ground: &mut Ground<'_>,
    tables: &[&Relation],
    rows: u32,
) -> Result<Vec<(String, String)>, Failure> {
    let mut sizes: HashMap<u32, u64> = HashMap::new();
    for row in querier.simple_query(ROWS).await.map_err(|error| upstream::failed(&error))? {
        if let (Some(oid), Some(size)) = (number(&row, 0), number(&row, 1)) {
            sizes.insert(oid, size);
        }
    }
    let (mut unread, terminal) = (Vec::new(), std::io::stderr().is_terminal());
    let sampled = tables.iter().filter(|table| table.kind != RelationKind::Foreign).take(TABLES_MAX);
    for (index, table) in sampled.enumerate() {
        let name = format!("{}.{}", table.schema, table.name);
        if terminal {
            eprint!("\r\x1b[Kreading samples: {} of {}", index + 1, tables.len());
        }
        let query = sample::query(table, rows, sizes.get(&table.oid).copied().unwrap_or(0));
        match querier.simple_query(&query).await {
            Ok(answer) => {
                for (place, column) in table.columns.iter().enumerate() {
                    let values = answer.iter().filter_map(|row| row.get(place)).filter_map(Option::as_deref);
                    ground.samples.insert((table.oid, column.number), Counts::of(values));
                }
            }
            Err(QueryError::Refused { sqlstate, .. }) => unread.push((name, format!("SQLSTATE {sqlstate}"))),
            Err(error) => return Err(upstream::failed(&error)),
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(unread)
}

fn number<N: std::str::FromStr>(row: &[Option<String>], index: usize) -> Option<N> {
    row.get(index)?.as_ref()?.parse().ok()
}
