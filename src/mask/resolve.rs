//! How rules spread over a catalog: from tables to their children and parents, and on to views.
//!
//! A column only ever gets stricter: from clear to a mask to the placeholder, with fewer questions and fewer reveals. So each
//! changes a few times at most, the time is linear in columns and edges, and cycles end.

use std::collections::{HashMap, HashSet, VecDeque};

use super::builtin::{COMPUTING, DATA_CATALOGS, LEAVES_TRACE, OWN_SCHEMAS, TOAST_SCHEMA};
use super::{ColumnRule, MaskMap, MaskedColumn, Predicates, Strategy, glob, views};
use crate::sql::{Catalog, ColumnOrigin, Function, Relation};

pub(super) type Column = (u32, i16);

/// Resolves a list of rules that is not empty.
pub(super) fn resolve(catalog: &Catalog, rules: &[ColumnRule], vouched: &[String]) -> MaskMap {
    let mut relations: Vec<&Relation> = catalog.relations.values().collect();
    relations.sort_unstable_by_key(|relation| relation.oid);
    let known = catalog.relations.keys().copied().collect();
    let computing = computing(catalog);
    let map = MaskMap { ruled: true, known, vouched: vouched.to_vec(), computing, ..MaskMap::default() };
    let mut spread = Spread { catalog, map };
    spread.rules(&relations, rules);
    let families = Families::of(&relations);
    spread.families(&families);
    spread.map.touched = touched(&relations, &families, &spread.map.columns);
    views::spread(&mut spread, &relations);
    spread.names(&relations);
    spread.map
}

/// The functions of extensions that only compute with their arguments; none that shares its name with another's.
fn computing(catalog: &Catalog) -> HashSet<String> {
    let mut found = HashSet::new();
    for (name, all) in catalog.functions.iter().filter(|(name, _)| !LEAVES_TRACE.contains(&name.as_str())) {
        let own = |function: &Function| {
            function.extension.as_deref().is_some_and(|extension| COMPUTING.contains(&extension)) && function.language == "c"
        };
        for function in all {
            if all.iter().filter(|other| other.schema == function.schema).all(own) {
                found.insert(format!("{}.{name}", function.schema));
            }
        }
    }
    found
}

/// The masked columns found so far.
pub(super) struct Spread<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) map: MaskMap,
}

impl Spread<'_> {
    fn rules(&mut self, relations: &[&Relation], rules: &[ColumnRule]) {
        let matcher = Matcher::new(rules);
        let mut name = String::new();
        for relation in relations {
            for column in &relation.columns {
                full_name(relation, &column.name, &mut name);
                let former = self.catalog.former.get(&(relation.oid, column.number));
                let masked = if relation.schema.starts_with(TOAST_SCHEMA) {
                    Some(MaskedColumn::of(&name, None))
                } else {
                    matcher.find(&name, &name).or_else(|| former.and_then(|former| matcher.find(former, &name)))
                };
                if let Some(masked) = masked {
                    self.map.columns.insert((relation.oid, column.number), masked);
                }
            }
        }
    }

    /// First down from parents to children, then up: what a child adds is seen through its parents, but not in its siblings.
    fn families(&mut self, families: &Families<'_>) {
        for edges in [&families.children, &families.parents] {
            let mut queue = self.sorted();
            while let Some(column @ (oid, number)) = queue.pop_front() {
                let Some(name) = self.name(oid, number) else { continue };
                let relatives = edges.get(&oid).into_iter().flatten();
                let same = |relative: &u32| families.numbers.get(&(*relative, name)).map(|number| (*relative, *number));
                let same: Vec<Column> = relatives.filter_map(same).collect();
                queue.extend(same.into_iter().filter(|relative| self.merge(column, *relative)));
            }
        }
    }

    /// The masked columns by their names.
    fn names(&mut self, relations: &[&Relation]) {
        for relation in relations.iter().filter(|relation| self.map.touched.contains(&relation.oid)) {
            let masked = relation.columns.iter().filter(|column| self.map.columns.contains_key(&(relation.oid, column.number)));
            let names: Vec<(String, i16)> = masked.map(|column| (column.name.clone(), column.number)).collect();
            if !names.is_empty() {
                self.map.names.insert(relation.oid, names);
            }
        }
    }

    /// Masks `to` as `from` is masked; true if that changed it.
    fn merge(&mut self, from: Column, to: Column) -> bool {
        self.map.columns.get(&from).cloned().is_some_and(|from| self.join(to, from))
    }

    /// Masks `to` at least as strictly as this; true if that changed it.
    pub(super) fn join(&mut self, to: Column, with: MaskedColumn) -> bool {
        let Some(here) = self.map.columns.get_mut(&to) else {
            self.map.columns.insert(to, with);
            return true;
        };
        let before = (here.strategy.is_some(), here.predicates, here.reveal.len());
        if here.strategy != with.strategy {
            here.strategy = None;
        }
        here.predicates = here.predicates.min(with.predicates);
        here.reveal.retain(|step| with.reveal.contains(step));
        before != (here.strategy.is_some(), here.predicates, here.reveal.len())
    }

    pub(super) fn name(&self, oid: u32, number: i16) -> Option<&str> {
        let columns = &self.catalog.relations.get(&oid)?.columns;
        let index = columns.binary_search_by_key(&number, |column| column.number).ok()?;
        columns.get(index).map(|column| column.name.as_str())
    }

    pub(super) fn sorted(&self) -> VecDeque<Column> {
        let mut columns: Vec<Column> = self.map.columns.keys().copied().collect();
        columns.sort_unstable();
        columns.into()
    }
}

fn calls_unknown(relation: &Relation) -> bool {
    relation.calls_unknown && !OWN_SCHEMAS.contains(&relation.schema.as_str())
}

pub(super) fn is_query(relation: &Relation) -> bool {
    use crate::sql::RelationKind::{MaterializedView, View};
    matches!(relation.kind, View | MaterializedView)
}

pub(super) fn full_name(relation: &Relation, column: &str, name: &mut String) {
    name.clear();
    for (index, part) in [&relation.schema, &relation.name, column].into_iter().enumerate() {
        if index > 0 {
            name.push('.');
        }
        name.push_str(part);
    }
}

/// Who inherits from whom, and the columns of those that do by name.
struct Families<'a> {
    children: HashMap<u32, Vec<u32>>,
    parents: HashMap<u32, Vec<u32>>,
    numbers: HashMap<(u32, &'a str), i16>,
}

impl<'a> Families<'a> {
    fn of(relations: &[&'a Relation]) -> Self {
        let mut families = Self { children: HashMap::new(), parents: HashMap::new(), numbers: HashMap::new() };
        for child in relations {
            for parent in &child.parents {
                families.children.entry(*parent).or_default().push(child.oid);
                families.parents.entry(child.oid).or_default().push(*parent);
            }
        }
        for relation in relations {
            if families.children.contains_key(&relation.oid) || families.parents.contains_key(&relation.oid) {
                let columns = relation.columns.iter().map(|column| ((relation.oid, column.name.as_str()), column.number));
                families.numbers.extend(columns);
            }
        }
        families
    }
}

/// Relations from which a masked column can be reached: their own, or one of what they read, their children or parents. Code
/// that is not known can reach anything.
fn touched(relations: &[&Relation], families: &Families<'_>, columns: &HashMap<Column, MaskedColumn>) -> HashSet<u32> {
    let mut readers: HashMap<u32, Vec<u32>> = HashMap::new();
    for relation in relations {
        for source in &relation.depends {
            readers.entry(*source).or_default().push(relation.oid);
        }
        for column in &relation.columns {
            if let Some(ColumnOrigin::Column(source, _)) = column.origin {
                readers.entry(source).or_default().push(relation.oid);
            }
            for source in column.lineage.iter().flat_map(|lineage| &lineage.sources) {
                readers.entry(source.relation).or_default().push(relation.oid);
            }
        }
    }
    let own = columns.keys().map(|(oid, _)| *oid);
    let unknown = relations.iter().filter(|relation| calls_unknown(relation)).map(|relation| relation.oid);
    let mut queue: Vec<u32> = own.chain(unknown).collect();
    let mut touched = HashSet::new();
    while let Some(oid) = queue.pop() {
        if !touched.insert(oid) {
            continue;
        }
        queue.extend(readers.get(&oid).into_iter().flatten());
        for relatives in [&families.children, &families.parents] {
            queue.extend(relatives.get(&oid).into_iter().flatten());
        }
    }
    touched
}

/// Rules in their order; those without globs are found at once.
struct Matcher<'a> {
    exact: HashMap<&'a str, usize>,
    globs: Vec<(usize, &'a str)>,
    rules: Vec<Option<&'a ColumnRule>>,
}

impl<'a> Matcher<'a> {
    fn new(rules: &'a [ColumnRule]) -> Self {
        let own = rules.iter().map(|rule| (rule.column.as_str(), Some(rule)));
        let mut matcher = Self { exact: HashMap::new(), globs: Vec::new(), rules: Vec::new() };
        for (index, (pattern, rule)) in own.chain(DATA_CATALOGS.map(|pattern| (pattern, None))).enumerate() {
            matcher.rules.push(rule);
            if pattern.contains(['*', '?']) {
                matcher.globs.push((index, pattern));
            } else {
                matcher.exact.entry(pattern).or_insert(index);
            }
        }
        matcher
    }

    /// What is done with the column `source` by the first rule that matches `name`.
    fn find(&self, name: &str, source: &str) -> Option<MaskedColumn> {
        let exact = self.exact.get(name).copied();
        let glob = self.globs.iter().find(|(_, pattern)| glob::matches(pattern, name)).map(|(index, _)| *index);
        let first = exact.into_iter().chain(glob).min()?;
        let redacted = || MaskedColumn { predicates: Predicates::Allow, ..MaskedColumn::of(source, Some(Strategy::Redact)) };
        let masked = |rule: &ColumnRule| MaskedColumn {
            source: source.to_owned(),
            strategy: Some(rule.strategy.clone()),
            predicates: rule.predicates,
            reveal: rule.reveal.clone(),
        };
        self.rules.get(first).map(|rule| rule.map_or_else(redacted, masked))
    }
}
