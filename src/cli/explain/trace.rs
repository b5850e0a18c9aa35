//! Where values come from, spelled out: columns of views are followed down to the columns of tables.

use std::collections::{BTreeSet, HashSet};

use crate::sql::{Catalog, ColumnOrigin, Lineage, RelationKind, RelationName, SOURCES_MAX};

/// Names of system columns by their number, from -1 down.
const SYSTEM: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// The base columns that a value is made of, as `schema.table.column`, sorted.
pub(super) fn bases(catalog: &Catalog, lineage: &Lineage) -> Vec<String> {
    let mut walk = Walk { catalog, seen: HashSet::new(), names: BTreeSet::new() };
    let mut next: Vec<(u32, i16)> = lineage.sources.iter().map(|source| (source.relation, source.attribute)).collect();
    while let Some(column) = next.pop() {
        walk.step(column, &mut next);
    }
    walk.names.into_iter().collect()
}

struct Walk<'a> {
    catalog: &'a Catalog,
    seen: HashSet<(u32, i16)>,
    names: BTreeSet<String>,
}

impl Walk<'_> {
    /// Follows one column one level down, or names it.
    fn step(&mut self, (oid, number): (u32, i16), next: &mut Vec<(u32, i16)>) {
        if self.seen.len() >= SOURCES_MAX || !self.seen.insert((oid, number)) {
            return;
        }
        let Some(relation) = self.catalog.relations.get(&oid) else {
            self.names.insert(format!("relation {oid}, which is not known"));
            return;
        };
        if number == 0 {
            next.extend(relation.columns.iter().map(|column| (oid, column.number)));
            return;
        }
        let column = relation.columns.iter().find(|column| column.number == number);
        let below = column.filter(|_| matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView));
        match below.map(|column| (&column.lineage, column.origin)) {
            Some((Some(lineage), _)) if lineage.untraced.is_none() => {
                next.extend(lineage.sources.iter().map(|source| (source.relation, source.attribute)));
            }
            Some((_, Some(ColumnOrigin::Column(below, number)))) => next.push((below, number)),
            Some(_) | None => {
                let system = || SYSTEM.get(usize::from(number.unsigned_abs()).wrapping_sub(1)).copied();
                let name = column.map(|column| column.name.as_str()).or_else(|| system().filter(|_| number < 0)).unwrap_or("?");
                self.names.insert(format!("{}.{}.{name}", relation.schema, relation.name));
            }
        }
    }
}

/// A relation as `schema.name`, for all it may stand for; as it was written if it is not known.
pub(super) fn relations(catalog: &Catalog, names: &[RelationName]) -> Vec<String> {
    let mut spelled = BTreeSet::new();
    for name in names {
        let known = name.oids.iter().filter_map(|oid| catalog.relations.get(oid));
        let before = spelled.len();
        spelled.extend(known.map(|relation| format!("{}.{}", relation.schema, relation.name)));
        if spelled.len() == before && name.oids.is_empty() {
            spelled.insert(name.schema.as_ref().map_or_else(|| name.name.clone(), |schema| format!("{schema}.{}", name.name)));
        }
    }
    spelled.into_iter().collect()
}
