//! INSERT, UPDATE, DELETE and MERGE: what they store and what they give back.

use std::rc::Rc;

use super::scope::{Columns, Item, Level};
use super::value::{Column, Shared, Value};
use super::{Output, Tracer};
use crate::sql::catalog::Oid;
use crate::sql::lineage::{Stored, Untraced};
use crate::sql::names;
use crate::sql::tree::{Assignment, Change, Expr, Insert, Mass, Merge, Name, Returning};

impl<'a> Tracer<'a> {
    /// A query or change of data: the columns it gives back.
    pub(super) fn change(&mut self, change: &'a Change) -> Output {
        let before = self.ctes.len();
        if !self.deeper() {
            self.store(Vec::new(), None, &Value::untraced(Untraced::Bound));
            return Err(Untraced::Bound);
        }
        let output = match change {
            Change::Query(query) => self.query(query),
            Change::Insert(insert) => self.insert(insert),
            Change::Mass(mass) => self.mass(mass),
            Change::Merge(merge) => self.merge_into(merge),
        };
        self.shallower();
        self.ctes.truncate(before);
        output
    }

    /// Notes a value that is stored.
    pub(super) fn store(&mut self, relations: Vec<Oid>, column: Option<String>, value: &Value) {
        if value.is_clean() {
            return;
        }
        let stored = Stored { relations, column, lineage: value.lineage() };
        self.work += stored.lineage.sources.len() + self.stores.len() / 16;
        if !self.stores.contains(&stored) {
            self.stores.push(stored);
        }
    }

    /// What the target of a change may be. What is stored in a temporary relation is under no mask, whatever else has its name.
    fn oids(&self, target: &Name) -> Vec<Oid> {
        let relation = names::relation_in(self.catalog, self.made, target);
        if relation.temporary { Vec::new() } else { relation.oids }
    }

    fn target(&self, target: &Name, alias: Option<&String>) -> Item<'a> {
        let name = alias.or(target.last()).map(String::as_str);
        Item { aliased: alias.is_some(), ..Item::named(name, self.stored(target)) }
    }

    fn insert(&mut self, insert: &'a Insert) -> Output {
        self.with(&insert.with);
        let output = insert.source.as_ref().map_or_else(|| Ok(Rc::new(Vec::new())), |source| self.query(source));
        let columns = self.stored(&insert.target);
        let target = columns.all().ok();
        let oids = self.oids(&insert.target);
        let name = |at: usize| {
            let written = insert.columns.get(at).cloned();
            let by_place = || target.as_ref().and_then(|all| all.get(at)).map(|column| column.name.to_string());
            if insert.columns.is_empty() { by_place() } else { written }
        };
        let mut excluded = Vec::new();
        match &output {
            Err(why) => self.store(oids.clone(), None, &Value::untraced(*why)),
            Ok(values) => {
                for (at, column) in values.iter().enumerate() {
                    self.store(oids.clone(), name(at), &column.value);
                    excluded.push(Column { name: name(at).unwrap_or_default().into(), value: column.value.clone() });
                }
            }
        }
        if !insert.set.is_empty() || !insert.conflict.is_empty() {
            self.conflict(insert, &oids, excluded, output.err());
        }
        let item = self.target(&insert.target, insert.alias.as_ref());
        self.returning(vec![item], &insert.target, &insert.returning)
    }

    /// ON CONFLICT.
    fn conflict(&mut self, insert: &'a Insert, oids: &[Oid], mut excluded: Vec<Column>, unknown: Option<Untraced>) {
        let item = self.target(&insert.target, insert.alias.as_ref());
        let known = item.columns.all().unwrap_or_default();
        for column in known.iter() {
            if !excluded.iter().any(|given| given.name == column.name) {
                excluded.push(Column { name: column.name.clone(), value: self.clean.clone() });
            }
        }
        let columns = unknown.map_or_else(|| Columns::Made(Rc::new(excluded)), Columns::Unknown);
        let excluded = Item { open: false, ..Item::named(Some("excluded"), columns) };
        self.levels.push(Level { items: vec![item, excluded] });
        let keys = insert.conflict.iter().filter(|key| !matches!(key, Expr::Column(_)));
        keys.for_each(|key| self.condition(key));
        self.assign(oids, &insert.set);
        self.levels.pop();
    }

    /// Assignments of SET.
    fn assign(&mut self, oids: &[Oid], set: &'a [Assignment]) {
        for (columns, value) in set {
            let values = self.assigned(columns.len(), value);
            for (at, value) in values.iter().enumerate() {
                self.store(oids.to_vec(), columns.get(at).cloned(), value);
            }
        }
    }

    /// The values of `(a, b) = (x, y)` or `(a, b) = (query)`, or of one column.
    fn assigned(&mut self, count: usize, value: &'a Expr) -> Vec<Shared> {
        let value = self.expr(value);
        match &value.row {
            Some(row) if count > 1 && row.len() == count => row.iter().map(|column| column.value.clone()).collect(),
            _ => vec![value; count.max(1)],
        }
    }

    fn mass(&mut self, mass: &'a Mass) -> Output {
        self.with(&mass.with);
        let item = self.target(&mass.target, mass.alias.as_ref());
        let mut items = vec![item];
        items.extend(self.froms(&mass.from));
        self.levels.push(Level { items });
        mass.condition.iter().for_each(|condition| self.condition(condition));
        let oids = self.oids(&mass.target);
        self.assign(&oids, &mass.set);
        let items = self.levels.pop().unwrap_or_default().items;
        self.returning(items, &mass.target, &mass.returning)
    }

    fn merge_into(&mut self, merge: &'a Merge) -> Output {
        self.with(&merge.with);
        let mut items = self.froms(std::slice::from_ref(&merge.source));
        items.push(self.target(&merge.target, merge.alias.as_ref()));
        self.levels.push(Level { items });
        self.condition(&merge.on);
        let oids = self.oids(&merge.target);
        let target = self.stored(&merge.target).all().ok();
        for when in &merge.whens {
            when.condition.iter().for_each(|condition| self.condition(condition));
            for (at, (columns, value)) in when.set.iter().enumerate() {
                if !columns.is_empty() {
                    self.assign(&oids, when.set.get(at..=at).unwrap_or_default());
                    continue;
                }
                let by_place = || target.as_ref().and_then(|all| all.get(at)).map(|column| column.name.to_string());
                let column = if when.columns.is_empty() { by_place() } else { when.columns.get(at).cloned() };
                let value = self.expr(value);
                self.store(oids.clone(), column, &value);
            }
        }
        let items = self.levels.pop().unwrap_or_default().items;
        self.returning(items, &merge.target, &merge.returning)
    }

    /// RETURNING over these items.
    fn returning(&mut self, mut items: Vec<Item<'a>>, target: &Name, returning: &'a Returning) -> Output {
        if returning.items.is_empty() {
            return Ok(Rc::new(Vec::new()));
        }
        for (given, usual) in [(&returning.old, "old"), (&returning.new, "new")] {
            let name = given.as_deref().unwrap_or(usual);
            if !items.iter().any(|item| item.name.as_deref() == Some(name)) {
                items.push(Item { open: false, ..Item::named(Some(name), self.stored(target)) });
            }
        }
        self.levels.push(Level { items });
        let output = self.items(&returning.items);
        self.levels.pop();
        output
    }
}
