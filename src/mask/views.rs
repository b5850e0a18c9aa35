//! How masks spread from columns to what is made of them: columns of views, generated columns, whole rows.

use std::collections::HashMap;

use super::builtin::OWN_SCHEMAS;
use super::judge::{Remnant, remnant};
use super::resolve::{Column, Spread, full_name, is_query};
use super::{MaskedColumn, Predicates};
use crate::sql::{Attribute, ColumnOrigin, Lineage, Relation, Way};

/// For each column what is made of it, and by which ways.
type Readers<'a> = HashMap<Column, Vec<(Column, &'a Way)>>;

/// A column that is named as it is.
static KEPT: Way = Way::Kept;

/// Spreads the masks of base columns over the whole catalog.
pub(super) fn spread(spread: &mut Spread<'_>, relations: &[&Relation]) {
    let mut readers: Readers<'_> = HashMap::new();
    for relation in relations {
        for column in &relation.columns {
            if is_query(relation) {
                of_query(spread, relation, column, &mut readers);
            } else if let Some(lineage) = &column.lineage {
                of_row(spread, relation, column, lineage, &mut readers);
            }
        }
    }
    let mut queue = spread.sorted();
    while let Some(column @ (oid, number)) = queue.pop_front() {
        let Some(from) = spread.map.columns.get(&column).cloned() else { continue };
        let settled = |row: &MaskedColumn| row.predicates == Predicates::Deny || from.predicates == Predicates::Allow;
        if number > 0 && !spread.map.covers(oid, 0).is_some_and(settled) {
            let row = whole_row(spread, oid, &from);
            if spread.join((oid, 0), row) {
                queue.push_back((oid, 0));
            }
        }
        for (reader, way) in readers.get(&column).into_iter().flatten() {
            let made = remnant(&from, way).map(|remnant| made(spread, *reader, &from, &remnant));
            if made.is_some_and(|made| spread.join(*reader, made)) {
                queue.push_back(*reader);
            }
        }
    }
}

/// A column of a view: by what it is made of, and by what the server says it is.
fn of_query<'a>(spread: &mut Spread<'_>, relation: &Relation, column: &'a Attribute, readers: &mut Readers<'a>) {
    let here = (relation.oid, column.number);
    let touched = spread.map.touched.contains(&relation.oid);
    // What PostgreSQL's own views give of masked data and of sessions' texts the rules name, column by column.
    let own = OWN_SCHEMAS.contains(&relation.schema.as_str());
    let mut lost = false;
    match column.origin {
        Some(ColumnOrigin::Column(oid, number)) => lost |= !follow(spread, (oid, number), here, &KEPT, readers),
        Some(ColumnOrigin::Expression) | None if column.lineage.is_none() => lost |= touched && !own,
        Some(ColumnOrigin::Expression) | None => {}
    }
    if let Some(lineage) = &column.lineage {
        lost |= follow_all(spread, here, lineage, readers);
        lost |= !own && (lineage.untraced.is_some() && touched || calls_unknown(spread, lineage));
    }
    if lost {
        derive(spread, relation, column);
    }
}

/// A generated column, unless a rule names it.
fn of_row<'a>(spread: &mut Spread<'_>, relation: &Relation, column: &Attribute, lineage: &'a Lineage, readers: &mut Readers<'a>) {
    let here = (relation.oid, column.number);
    if spread.map.columns.contains_key(&here) {
        return;
    }
    let unknown = lineage.untraced.is_some() || calls_unknown(spread, lineage);
    let lost = follow_all(spread, here, lineage, readers);
    if lost || unknown && spread.map.touched.contains(&relation.oid) {
        derive(spread, relation, column);
    }
}

fn calls_unknown(spread: &Spread<'_>, lineage: &Lineage) -> bool {
    lineage.functions.iter().any(|function| !spread.map.vouches(function))
}

/// Notes every source of a column; true if one of them is not known.
fn follow_all<'a>(spread: &Spread<'_>, here: Column, lineage: &'a Lineage, readers: &mut Readers<'a>) -> bool {
    let mut lost = false;
    for source in lineage.sources.iter().filter(|source| source.way != Way::Counted) {
        lost |= !follow(spread, (source.relation, source.attribute), here, &source.way, readers);
    }
    lost
}

/// Notes that values go from one column to another; false if the first is not known. System columns are clear.
fn follow<'a>(spread: &Spread<'_>, from: Column, to: Column, way: &'a Way, readers: &mut Readers<'a>) -> bool {
    let known = match from {
        (oid, number) if number > 0 => spread.name(oid, number).is_some(),
        (oid, _) => spread.catalog.relations.contains_key(&oid),
    };
    if known && from.1 >= 0 {
        readers.entry(from).or_default().push((to, way));
    }
    known
}

/// Marks a column as one that can hold what masked columns hold.
fn derive(spread: &mut Spread<'_>, relation: &Relation, column: &Attribute) {
    let mut source = String::new();
    full_name(relation, &column.name, &mut source);
    let masked = MaskedColumn { predicates: Predicates::Deny, ..MaskedColumn::of(&source, None) };
    spread.join((relation.oid, column.number), masked);
}

/// How a column is masked of which this much of a masked column is made.
fn made(spread: &Spread<'_>, (oid, number): Column, from: &MaskedColumn, remnant: &Remnant<'_>) -> MaskedColumn {
    let strategy = remnant.strategy.as_ref().map(|strategy| strategy.as_ref().clone());
    let source = if strategy.is_some() { from.source.clone() } else { path(spread, oid, number) };
    let reveal = if remnant.by.is_none() { from.reveal.clone() } else { Vec::new() };
    MaskedColumn { source, strategy, predicates: remnant.predicates(), reveal }
}

/// How a row is masked of which this column is masked.
fn whole_row(spread: &Spread<'_>, oid: u32, from: &MaskedColumn) -> MaskedColumn {
    let predicates = if from.predicates == Predicates::Allow { Predicates::Allow } else { Predicates::Deny };
    MaskedColumn { predicates, ..MaskedColumn::of(&path(spread, oid, 0), None) }
}

/// The full name of a column; of the relation for the whole row.
fn path(spread: &Spread<'_>, oid: u32, number: i16) -> String {
    let Some(relation) = spread.catalog.relations.get(&oid) else { return String::new() };
    match spread.name(oid, number) {
        None => format!("{}.{}", relation.schema, relation.name),
        Some(column) => format!("{}.{}.{column}", relation.schema, relation.name),
    }
}
