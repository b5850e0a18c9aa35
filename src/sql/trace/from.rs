//! FROM: which items it brings in, and what joining them asks.

use std::rc::Rc;

use super::Tracer;
use super::many::{as_many, is_counted, searched};
use super::scope::{Columns, Found, Item, Level};
use super::value::{Column, Many, Shared, Sum, Value};
use crate::sql::lineage::{Untraced, Use};
use crate::sql::names;
use crate::sql::tree::{Alias, Expr, From, Join, Joint, Rows, Side};

impl<'a> Tracer<'a> {
    /// The items of a FROM.
    pub(super) fn froms(&mut self, list: &'a [From]) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        for from in list {
            self.from(from, &mut items);
        }
        items
    }

    fn from(&mut self, from: &'a From, items: &mut Vec<Item<'a>>) {
        if !self.deeper() {
            items.push(Item::named(None, Columns::Unknown(Untraced::Bound)));
            return;
        }
        match from {
            From::Relation(name, alias, sample) => {
                for value in sample {
                    let value = self.expr(value);
                    self.asks.ask(Use::Match, Use::Match, &value);
                }
                items.push(self.relation(name, alias));
            }
            From::Query(query, alias) => {
                let output = if alias.lateral { self.lateral(items, |tracer| tracer.query(query)) } else { self.query(query) };
                let columns = output.map_or_else(Columns::Unknown, Columns::Made);
                items.push(Item::named(alias.name.as_deref(), renamed(columns, &alias.columns)));
            }
            From::Functions(calls, alias, rows) => {
                let columns = self.lateral(items, |tracer| tracer.functions(calls, alias, rows));
                let name = alias.name.clone().or_else(|| calls.first().map(|call| self.name(call)));
                items.push(Item::named(name.as_deref(), columns));
            }
            From::Join(join) => self.join(join, items),
        }
        self.shallower();
    }

    /// Evaluates something that sees the items to its left.
    fn lateral<T>(&mut self, items: &mut Vec<Item<'a>>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.levels.push(Level { items: std::mem::take(items) });
        let result = read(self);
        *items = self.levels.pop().unwrap_or_default().items;
        result
    }

    fn relation(&mut self, name: &'a [String], alias: &Alias) -> Item<'a> {
        let cte = if let [only] = name { self.cte(only) } else { None };
        let given = alias.name.as_deref();
        let last = name.last().map(String::as_str);
        if let Some(output) = cte {
            let columns = output.map_or_else(Columns::Unknown, Columns::Made);
            return Item::named(given.or(last), renamed(columns, &alias.columns));
        }
        let columns = renamed(self.stored(name), &alias.columns);
        let renamed = !alias.columns.is_empty();
        Item { aliased: given.is_some(), renamed, ..Item::named(given.or(last), columns) }
    }

    /// The columns of a relation by its name.
    pub(super) fn stored(&self, name: &[String]) -> Columns<'a> {
        let relation = names::relation_in(self.catalog, self.made, name);
        if relation.temporary {
            let known = self.made.get(&relation.name).and_then(|made| made.columns.as_deref());
            return known.map_or(Columns::Unknown(Untraced::Columns), own);
        }
        let known: Vec<_> = relation.oids.iter().filter_map(|oid| self.catalog.relations.get(oid)).collect();
        match known.as_slice() {
            [] => Columns::Unknown(Untraced::Columns),
            [only] => Columns::Stored(only),
            _ => Columns::Several(known),
        }
    }

    fn join(&mut self, join: &'a Join, items: &mut Vec<Item<'a>>) {
        let start = items.len();
        let mut sides = Vec::new();
        let (mut froms, mut inner, mut outer) = (join.items.iter(), join.inner.iter(), join.outer.iter());
        for joint in &join.joints {
            if *joint == Joint::Item {
                sides.push(items.len());
                if let Some(from) = froms.next() {
                    self.from(from, items);
                }
                continue;
            }
            let right = sides.pop().unwrap_or(start);
            let left = sides.last().copied().unwrap_or(start);
            match joint {
                Joint::Item | Joint::Cross => {}
                Joint::Natural(side) => self.merge(items, (left, right), *side, None, None),
                Joint::Using(side, columns, alias) => {
                    self.merge(items, (left, right), *side, Some(columns), alias.as_deref());
                }
                Joint::On(kept) => {
                    let condition = if kept.is_none() { inner.next() } else { outer.next() };
                    // All of them, as in a long chain of joins, change place without being copied.
                    let joined = if left == 0 { std::mem::take(items) } else { items.split_off(left) };
                    self.levels.push(Level { items: joined });
                    if let Some(condition) = condition {
                        self.condition(condition);
                        if *kept == Some(Side::Both) {
                            self.joined_in_full(condition);
                        }
                    }
                    let mut joined = self.levels.pop().unwrap_or_default().items;
                    if items.is_empty() {
                        *items = joined;
                    } else {
                        items.append(&mut joined);
                    }
                }
            }
        }
        if let Some(name) = &join.alias.name {
            let columns = self.open_columns(items.get(start..).unwrap_or_default());
            items.truncate(start);
            let columns = columns.map_or_else(Columns::Unknown, |columns| Columns::Made(Rc::new(columns)));
            items.push(Item::named(Some(name), renamed(columns, &join.alias.columns)));
        }
    }

    /// Every column that can be named without its item, in order.
    pub(super) fn open_columns(&mut self, items: &[Item<'a>]) -> Result<Vec<Column>, Untraced> {
        let mut all = Vec::new();
        for item in items.iter().filter(|item| item.open) {
            let columns = item.columns.all()?;
            self.work += columns.len();
            all.extend(columns.iter().cloned());
        }
        Ok(all)
    }

    /// NATURAL (without names) and USING: the columns of both sides as one.
    fn merge(
        &mut self,
        items: &mut Vec<Item<'a>>,
        (left, right): (usize, usize),
        side: Side,
        names: Option<&'a [String]>,
        alias: Option<&str>,
    ) {
        let lefts = self.open_columns(items.get(left..right).unwrap_or_default());
        let rights = self.open_columns(items.get(right..).unwrap_or_default());
        for item in items.iter_mut().skip(left) {
            item.open = false;
        }
        let (lefts, rights) = match (lefts, rights) {
            (Ok(lefts), Ok(rights)) => (lefts, rights),
            (Err(why), _) | (_, Err(why)) => {
                self.asks.ask(Use::Equal, Use::Match, &Value::untraced(why));
                items.push(Item { open: true, ..Item::named(alias, Columns::Unknown(why)) });
                return;
            }
        };
        self.work += lefts.len() * names.map_or(rights.len(), <[String]>::len);
        let common: Vec<Rc<str>> = match names {
            Some(names) => names.iter().map(|name| Rc::from(name.as_str())).collect(),
            None => lefts.iter().map(|column| column.name.clone()).filter(|name| has(&rights, name)).collect(),
        };
        let mut merged = Vec::new();
        for name in &common {
            let value = self.merged(&lefts, &rights, name, side);
            merged.push(Column { name: name.clone(), value });
        }
        if let Some(alias) = alias {
            let only = Columns::Made(Rc::new(merged.clone()));
            items.push(Item { open: false, ..Item::named(Some(alias), only) });
        }
        merged.extend(lefts.into_iter().chain(rights).filter(|column| !common.contains(&column.name)));
        items.push(Item::named(None, Columns::Made(Rc::new(merged))));
    }

    fn merged(&mut self, lefts: &[Column], rights: &[Column], name: &str, side: Side) -> Shared {
        let of = |columns: &[Column]| {
            let mut known = columns.iter().filter(|column| *column.name == *name);
            match (known.next(), known.next()) {
                (Some(column), None) => column.value.clone(),
                _ => Rc::new(Value::untraced(Untraced::Name)),
            }
        };
        let (left, right) = (of(lefts), of(rights));
        let how = searched(Use::Equal, is_counted(&left) || is_counted(&right));
        self.asks.ask(how, Use::Match, &left);
        self.asks.ask(how, Use::Match, &right);
        self.joined(&left);
        self.joined(&right);
        match side {
            Side::Left => left,
            Side::Right => right,
            Side::Both => {
                self.merged_rows(&left, &right);
                let mut sum = Sum::new();
                sum.add(&left);
                sum.add(&right);
                Rc::new(sum.chosen(self.catalog))
            }
        }
    }

    fn functions(&mut self, calls: &'a [Expr], alias: &Alias, rows: &'a Rows) -> Columns<'a> {
        let mut all = Vec::new();
        let mut unknown = None;
        for (at, call) in calls.iter().enumerate() {
            let definition = rows.definitions.get(at).map_or(&[][..], Vec::as_slice);
            let definition = if alias.types.is_empty() { definition } else { alias.columns.as_slice() };
            let only = if calls.len() == 1 { alias.name.as_deref() } else { None };
            let (columns, met) = self.apart(|tracer| tracer.table(call, definition, only));
            match columns {
                Ok(mut columns) => {
                    as_many(&mut columns, met.many(true).max(Many::Listed));
                    all.append(&mut columns);
                }
                Err(why) => unknown = Some(why),
            }
        }
        if let Some(why) = unknown {
            return Columns::Unknown(why);
        }
        if rows.ordinality {
            all.push(Column { name: "ordinality".into(), value: Rc::new(Value { many: Many::Counted, ..Value::clean(20) }) });
        }
        renamed(Columns::Made(Rc::new(all)), &alias.columns)
    }

    /// A column of an item by its qualifier, level by level.
    pub(super) fn qualified(&mut self, qualifier: &[String], name: &str) -> Option<Found> {
        for level in self.levels.iter().rev() {
            self.work += level.items.len() / 8;
            if let Some(item) = level.item(qualifier) {
                self.work += item.columns.len();
                return Some(item.columns.find(name));
            }
        }
        None
    }
}

/// The columns of a temporary relation: nothing that is masked is ever stored in one.
fn own<'a>(names: &[String]) -> Columns<'a> {
    let value = Rc::new(Value { direct: true, ..Value::clean(0) });
    Columns::Made(Rc::new(names.iter().map(|name| Column { name: name.as_str().into(), value: value.clone() }).collect()))
}

fn has(columns: &[Column], name: &str) -> bool {
    columns.iter().any(|column| *column.name == *name)
}

/// The same columns under the names of an alias.
pub(super) fn renamed<'a>(columns: Columns<'a>, names: &[String]) -> Columns<'a> {
    if names.is_empty() {
        return columns;
    }
    match columns.all() {
        Err(why) => Columns::Unknown(why),
        Ok(all) => {
            let mut named = names.iter();
            let rename = |column: &Column| {
                let name = named.next().map_or_else(|| column.name.clone(), |name| name.as_str().into());
                Column { name, value: column.value.clone() }
            };
            Columns::Made(Rc::new(all.iter().map(rename).collect()))
        }
    }
}
