//! Fetches what the proxy must know of a database's catalog, over a connection of its own.

mod definitions;
mod questions;

use std::collections::HashMap;

use super::ground::LookFault;
use crate::backend::Querier;
use crate::sql::{Attribute, Catalog, Function, Relation, RelationKind, TypeInfo, TypeKind, Volatility};
use questions::{
    ATTRIBUTES, BODY, BODY_PARSED, BUILTIN, CALLS, CONVERSIONS, DEPENDS, FINGERPRINT, FUNCTIONS, LABELS, OPERATORS, PARENTS,
    RELATIONS, ROWS, SERVER_VERSION, SNAPSHOT, TEMPORARY_NAMED, TYPES,
};

/// Modes of arguments that a function takes, and that it gives.
const IN: &[&str] = &["i", "b", "v"];
const OUT: &[&str] = &["o", "b", "t"];

type Row = Vec<Option<String>>;

/// The transactions that have ended: as long as these are the same, nothing has changed at all.
pub(super) async fn snapshot(querier: &mut Querier) -> Result<String, LookFault> {
    let rows = querier.simple_query(SNAPSHOT).await?;
    rows.first().map(|row| text(row, 0)).ok_or(LookFault::Shape)
}

/// A fingerprint of everything that `fetch` reads: as long as it stays the same, there is nothing new to fetch.
pub(super) async fn fingerprint(querier: &mut Querier) -> Result<String, LookFault> {
    let rows = querier.simple_query(FINGERPRINT).await?;
    rows.first().map(|row| text(row, 0)).ok_or(LookFault::Shape)
}

/// Fetches the catalog. Leaves the connection with an empty search path.
///
/// # Errors
/// If the database does not answer, or not as it should.
pub async fn fetch(querier: &mut Querier, version: u64) -> Result<Catalog, LookFault> {
    querier.simple_query("set search_path = ''").await?;
    let mut catalog = Catalog::default();
    catalog.version = version;
    catalog.temporary_named = querier.simple_query(TEMPORARY_NAMED).await?.first().is_none_or(|row| flag(row, 0));
    relations(querier, &mut catalog).await?;
    types(querier, &mut catalog).await?;
    functions(querier, &mut catalog).await?;
    definitions::views(querier, &mut catalog).await?;
    definitions::generated(querier, &mut catalog).await?;
    Ok(catalog)
}

async fn relations(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let mut columns: HashMap<u32, Vec<Attribute>> = HashMap::new();
    for row in querier.simple_query(ATTRIBUTES).await? {
        let attribute = Attribute {
            number: text(&row, 1).parse().map_err(|_| LookFault::Shape)?,
            name: text(&row, 2),
            type_oid: oid(&row, 3)?,
            not_null: flag(&row, 4),
            unique: flag(&row, 5),
            ..Attribute::default()
        };
        columns.entry(oid(&row, 0)?).or_default().push(attribute);
    }
    let mut parents = pairs(&querier.simple_query(PARENTS).await?)?;
    let mut depends = pairs(&querier.simple_query(DEPENDS).await?)?;
    let calls: Vec<u32> = querier.simple_query(CALLS).await?.iter().map(|row| oid(row, 0)).collect::<Result<_, _>>()?;
    for row in querier.simple_query(RELATIONS).await? {
        let relation = oid(&row, 0)?;
        catalog.insert(Relation {
            oid: relation,
            schema: text(&row, 1),
            name: text(&row, 2),
            kind: relation_kind(&text(&row, 3)),
            temporary: flag(&row, 4),
            columns: columns.remove(&relation).unwrap_or_default(),
            parents: parents.remove(&relation).unwrap_or_default(),
            depends: depends.remove(&relation).unwrap_or_default(),
            calls_unknown: calls.contains(&relation),
        });
    }
    Ok(())
}

async fn types(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let mut labels: HashMap<u32, Vec<String>> = HashMap::new();
    for row in querier.simple_query(LABELS).await? {
        labels.entry(oid(&row, 0)?).or_default().push(text(&row, 1));
    }
    for row in querier.simple_query(TYPES).await? {
        let (name, element, base, subtype) = (oid(&row, 0)?, oid(&row, 5)?, oid(&row, 6)?, oid(&row, 8)?);
        let category = text(&row, 4).chars().next().unwrap_or('U');
        let kind = match text(&row, 3).as_str() {
            "b" if category == 'A' && element != 0 => TypeKind::Array(element),
            "b" => TypeKind::Base,
            "d" => TypeKind::Domain(base),
            "e" => TypeKind::Enum(labels.remove(&name).unwrap_or_default()),
            "c" => TypeKind::Composite(Vec::new()),
            "r" => TypeKind::Range(subtype),
            "m" => TypeKind::Multirange(subtype),
            _ => TypeKind::Pseudo,
        };
        catalog.types.insert(name, TypeInfo { oid: name, schema: text(&row, 1), name: text(&row, 2), kind, category });
    }
    Ok(())
}

async fn functions(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    catalog.builtin.extend(querier.simple_query(BUILTIN).await?.iter().map(|row| text(row, 0)));
    let version = querier.simple_query(SERVER_VERSION).await?;
    let version = version.first().map(|row| oid(row, 0)).ok_or(LookFault::Shape)??;
    let body = if version >= BODY_PARSED.0 { BODY_PARSED.1 } else { BODY };
    for row in querier.simple_query(&FUNCTIONS.replace("BODY", body)).await? {
        let function = function(&row)?;
        catalog.functions.entry(function.name.clone()).or_default().push(function);
    }
    for row in querier.simple_query(ROWS).await? {
        let columns = arguments(&row, 1, 2, OUT)?;
        let known = catalog.rows.entry(text(&row, 0)).or_default();
        if !columns.is_empty() && !known.contains(&columns) {
            known.push(columns);
        }
    }
    catalog.rows.retain(|_, shapes| !shapes.is_empty());
    for row in querier.simple_query(CONVERSIONS).await? {
        catalog.conversions.entry(text(&row, 0)).or_default().push((text(&row, 1), text(&row, 2)));
    }
    for row in querier.simple_query(OPERATORS).await? {
        catalog.operators.entry(text(&row, 0)).or_default().push((text(&row, 1), text(&row, 2)));
    }
    Ok(())
}

fn function(row: &Row) -> Result<Function, LookFault> {
    let volatility = match text(row, 3).as_str() {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let count = text(row, 5).parse::<usize>().map_err(|_| LookFault::Shape)?;
    let mut names = arguments(row, 6, 7, IN)?;
    names.resize(count, String::new());
    let mut results = arguments(row, 6, 7, OUT)?;
    if results.len() <= 1 && row.get(13).is_some_and(Option::is_some) {
        results = serde_json::from_str(&text(row, 13)).map_err(|_| LookFault::Shape)?;
    }
    for (at, name) in results.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
        *name = format!("column{}", at + 1);
    }
    Ok(Function {
        schema: text(row, 0),
        name: text(row, 1),
        language: text(row, 2),
        volatility,
        extension: row.get(4).cloned().flatten(),
        arguments: names,
        configured: flag(row, 8),
        aggregate: flag(row, 9),
        body: row.get(10).cloned().flatten(),
        defaults: row.get(11).cloned().flatten(),
        results,
        scalar: flag(row, 12),
    })
}

/// The names of the arguments of certain modes (`proargnames`, `proargmodes`; without modes all are `i`).
fn arguments(row: &Row, names: usize, modes: usize, wanted: &[&str]) -> Result<Vec<String>, LookFault> {
    let list = |index: usize| serde_json::from_str::<Vec<Option<String>>>(&text(row, index)).map_err(|_| LookFault::Shape);
    if row.get(names).is_none_or(Option::is_none) {
        return Ok(Vec::new());
    }
    let names = list(names)?.into_iter().map(Option::unwrap_or_default);
    if row.get(modes).is_none_or(Option::is_none) {
        return Ok(if wanted == IN { names.collect() } else { Vec::new() });
    }
    let is_wanted = |mode: &Option<String>| mode.as_deref().is_some_and(|mode| wanted.contains(&mode));
    Ok(names.zip(list(modes)?).filter(|(_, mode)| is_wanted(mode)).map(|(name, _)| name).collect())
}

fn relation_kind(kind: &str) -> RelationKind {
    match kind {
        "r" => RelationKind::Table,
        "p" => RelationKind::Partitioned,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::Foreign,
        "S" => RelationKind::Sequence,
        _ => RelationKind::Other,
    }
}

fn text(row: &Row, index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

fn oid(row: &Row, index: usize) -> Result<u32, LookFault> {
    text(row, index).parse().map_err(|_| LookFault::Shape)
}

fn flag(row: &Row, index: usize) -> bool {
    text(row, index) == "t"
}

fn pairs(rows: &[Row]) -> Result<HashMap<u32, Vec<u32>>, LookFault> {
    let mut map: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in rows {
        map.entry(oid(row, 0)?).or_default().push(oid(row, 1)?);
    }
    Ok(map)
}
