//! What columns stand for: the target's row, rows of other relations, given rows.

use std::rc::Rc;

use super::super::catalog::{Attribute, ColumnOrigin, Relation, RelationKind};
use super::eval::Judge;
use super::sample::{ends, is_system};
use super::value::{Open, Val, mix};

/// Most generations of inheritance that are looked through.
const GENERATIONS_MAX: usize = 32;

/// Something in FROM, on one row.
#[derive(Clone)]
pub(super) struct Source<'e> {
    /// The name its columns can be qualified with.
    pub(super) alias: Rc<str>,
    /// Names given to its first columns.
    pub(super) renamed: &'e [String],
    /// What its row is.
    pub(super) kind: Kind<'e>,
}

/// What the row of a source is.
#[derive(Clone)]
pub(super) enum Kind<'e> {
    /// The row of the target that is asked about; a relation from whose rows a view makes it.
    Own(Option<&'e Relation>),
    /// Any row of what may be these relations; true if a row of the target other than the one asked about.
    Other(u64, Rc<[&'e Relation]>, bool),
    /// A row of a query.
    Given(Rc<[String]>, Vec<Val>),
}

/// It is not known which columns a source has.
struct NotKnown;

impl<'e> Judge<'e> {
    /// The relations of the catalog that a name may stand for.
    pub(super) fn relations(&self, name: &[String]) -> Vec<&'e Relation> {
        match name {
            [name] => self.catalog.named(name).collect(),
            [.., schema, name] => self.catalog.qualified(schema, name).into_iter().collect(),
            [] => Vec::new(),
        }
    }

    /// Whether the target's row is surely among the rows of a relation, and as what.
    pub(super) fn own(&self, name: &[String], relations: &[&'e Relation]) -> Option<Kind<'e>> {
        if self.target.is_empty() || relations.is_empty() {
            let same = match (name, self.name) {
                ([.., schema, last], [.., own_schema, own_last]) => schema == own_schema && last == own_last,
                _ => name.last() == self.name.last(),
            };
            return same.then_some(Kind::Own(None));
        }
        if self.target.iter().any(|target| relations.iter().any(|relation| self.descends(target, relation.oid))) {
            return Some(Kind::Own(None));
        }
        let under = relations.iter().find(|relation| self.target.iter().any(|target| is_under(target, relation)));
        under.map(|relation| Kind::Own(Some(relation)))
    }

    /// True if a relation is another one, or a partition or child of it.
    fn descends(&self, relation: &Relation, of: u32) -> bool {
        let mut left = vec![relation.oid];
        for _ in 0..GENERATIONS_MAX {
            let Some(oid) = left.pop() else { return false };
            if oid == of {
                return true;
            }
            left.extend(self.catalog.relations.get(&oid).into_iter().flat_map(|relation| &relation.parents));
        }
        false
    }

    /// The attributes of the relation behind a source, if it is known.
    fn attributes(&self, source: &Source<'e>) -> Option<&'e [Attribute]> {
        match &source.kind {
            Kind::Given(..) => None,
            Kind::Own(Some(relation)) => Some(&relation.columns),
            Kind::Own(None) => self.target.first().map(|relation| relation.columns.as_slice()),
            Kind::Other(_, relations, _) => relations.first().map(|relation| relation.columns.as_slice()),
        }
    }

    /// The names of a source's columns, if they are known.
    pub(super) fn names(&self, source: &Source<'e>) -> Option<Rc<[String]>> {
        if let Kind::Given(names, _) = &source.kind {
            return Some(names.clone());
        }
        let known = self.attributes(source)?.iter().map(|column| column.name.clone()).skip(source.renamed.len());
        Some(source.renamed.iter().cloned().chain(known).collect())
    }

    /// The place of a column in a source: none if it has no such column, or it is not known which it has.
    fn place(&self, source: &Source<'e>, column: &str) -> Result<Option<usize>, NotKnown> {
        if let Some(at) = source.renamed.iter().position(|known| known == column) {
            return Ok(Some(at));
        }
        if let Kind::Given(names, _) = &source.kind {
            return Ok(names.iter().position(|known| known == column));
        }
        let known = self.attributes(source).ok_or(NotKnown)?;
        Ok(known.iter().skip(source.renamed.len()).position(|known| known.name == column).map(|at| at + source.renamed.len()))
    }

    /// Whether a source has a column; `None` if it is not known.
    fn has(&self, source: &Source<'e>, column: &str) -> Option<bool> {
        if *source.alias == *column || is_system(column) && !matches!(source.kind, Kind::Given(..)) {
            return Some(true);
        }
        self.place(source, column).ok().map(|place| place.is_some())
    }

    /// The value of a column.
    pub(super) fn column(&mut self, name: &[String]) -> Val {
        let (qualifier, column) = match name {
            [] => return Val::open(0),
            [column] => (None, column),
            [.., qualifier, column] => (Some(qualifier.as_str()), column),
        };
        let found = qualifier.and_then(|qualifier| self.aliased(qualifier)).or_else(|| self.bare(column));
        match found {
            Some(at) => self.value_of(at, column),
            None => Val::open(mix(("column", name))),
        }
    }

    /// The innermost source of an alias.
    pub(super) fn aliased(&self, alias: &str) -> Option<usize> {
        self.sources.iter().rposition(|source| *source.alias == *alias)
    }

    /// The source of a column by its name alone: the innermost query that has it, or may have it.
    fn bare(&self, column: &str) -> Option<usize> {
        let mut end = self.sources.len();
        for start in self.frames.iter().rev().copied() {
            let frame = self.sources.get(start..end).unwrap_or_default();
            let has = |wanted: Option<bool>| frame.iter().position(|source| self.has(source, column) == wanted);
            if let Some(at) = has(Some(true)).or_else(|| has(None)) {
                return Some(start + at);
            }
            end = start;
        }
        None
    }

    /// The value of a column of the source at a place.
    fn value_of(&mut self, at: usize, column: &str) -> Val {
        let Some(source) = self.sources.get(at).cloned() else { return Val::open(0) };
        let place = self.place(&source, column).unwrap_or_default();
        if place.is_none() && *source.alias == *column {
            return self.whole(&source);
        }
        match &source.kind {
            Kind::Given(_, values) => place.and_then(|at| values.get(at)).cloned().unwrap_or(Val::Null),
            Kind::Own(under) => {
                let renamed = place.filter(|place| *place < source.renamed.len());
                let attribute = renamed.and_then(|place| self.attributes(&source)?.get(place));
                self.own_column(*under, attribute.map_or(column, |known| &known.name))
            }
            Kind::Other(id, relations, own) => {
                let attribute = place.and_then(|place| relations.first()?.columns.get(place));
                let unlike = match attribute {
                    Some(known) if *own && known.unique => Some(self.sample(&known.name).id()),
                    _ => None,
                };
                let present = attribute.is_some_and(|known| known.not_null);
                let kind = attribute.map(|known| self.kind_of(known.type_oid, known.unique && known.not_null, 0));
                let (low, high) = kind.as_ref().map_or((None, None), ends);
                Val::Open(Open { id: mix((id, column)), low, high, present, loose: true, unlike, letters: None })
            }
        }
    }

    /// The value of a column of the source at a place, if it is known to have it.
    pub(super) fn column_of(&mut self, at: usize, column: &str) -> Option<Val> {
        let known = self.sources.get(at).is_some_and(|source| matches!(self.place(source, column), Ok(Some(_))));
        known.then(|| self.value_of(at, column))
    }

    /// A column of the target's row, perhaps under the name that a view's relation has for it.
    fn own_column(&mut self, under: Option<&'e Relation>, column: &str) -> Val {
        let Some(relation) = under else { return self.sample(column) };
        let number = relation.columns.iter().find(|known| known.name == column).map(|known| known.number);
        let origin = number.map(|number| Some(ColumnOrigin::Column(relation.oid, number)));
        let view = self.target.iter().flat_map(|view| &view.columns).find(|known| Some(known.origin) == origin);
        match view {
            Some(known) => self.sample(&known.name.clone()),
            None => Val::open(mix(("under", column, self.row))),
        }
    }

    /// The row of a source as one value.
    pub(super) fn whole(&mut self, source: &Source<'e>) -> Val {
        match (&source.kind, self.names(source)) {
            // A column's alias is the value of a function in FROM that gives only one.
            (Kind::Given(_, values), Some(names)) if names.len() == 1 && *source.alias == *names.join("") => {
                values.first().cloned().unwrap_or(Val::Null)
            }
            (Kind::Given(names, values), _) => Val::Row(values.clone(), names.clone()),
            (_, Some(names)) => {
                let at = self.sources.len();
                self.sources.push(source.clone());
                let values = names.iter().map(|name| self.value_of(at, name)).collect();
                self.sources.truncate(at);
                Val::Row(values, names)
            }
            (_, None) => Val::present(mix(("row", &*source.alias, self.row))),
        }
    }
}

/// True if rows of a view are made from rows of a relation.
fn is_under(view: &Relation, relation: &Relation) -> bool {
    view.kind == RelationKind::View
        && view.columns.iter().any(|known| matches!(known.origin, Some(ColumnOrigin::Column(oid, _)) if oid == relation.oid))
}
