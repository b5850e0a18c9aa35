//! What is asked of the tracer: statements, views, expressions.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::scope::{Columns, Item, Level};
use super::value::{Column, Value};
use super::{Output, Tracer};
use crate::sql::catalog::{Catalog, Oid};
use crate::sql::facts::{Facts, FunctionName, Shift, Temporaries};
use crate::sql::lex;
use crate::sql::lineage::{Asked, Lineage, ResultColumn, Stored, Untraced};
use crate::sql::reader::Reader;
use crate::sql::tree::{Change, Expr};
use crate::sql::{expr as expressions, query, walk};

/// What was found out about a statement.
#[derive(Default)]
pub(in crate::sql) struct Traced {
    columns: Option<Vec<ResultColumn>>,
    asks: Vec<Asked>,
    stores: Vec<Stored>,
    /// Functions called in the notation of columns.
    pub(in crate::sql) called: Vec<FunctionName>,
    /// The names of the columns of a relation that it makes, if they are known.
    pub(in crate::sql) names: Option<Vec<String>>,
}

impl Traced {
    /// What is known already.
    pub(in crate::sql) fn of(columns: Option<Vec<ResultColumn>>, asks: Vec<Asked>, stores: Vec<Stored>) -> Self {
        Self { columns, asks, stores, ..Self::default() }
    }

    /// Puts it into facts; the columns as the statement's own.
    pub(in crate::sql) fn into_facts(self, facts: &mut Facts) {
        self.calls(facts);
        for shift in &mut facts.shifts {
            if let Shift::TemporaryMade(_, made) = shift {
                made.columns.clone_from(&self.names);
            }
        }
        facts.columns = self.columns;
        facts.asks = self.asks;
        facts.stores = self.stores;
    }

    /// Whatever function a value is made of the statement calls, also where its text alone does not show it.
    fn calls(&self, facts: &mut Facts) {
        let columns = self.columns.iter().flatten().map(|column| &column.lineage);
        let asks = self.asks.iter().map(|asked| &asked.of);
        let all = columns.chain(asks).chain(self.stores.iter().map(|stored| &stored.lineage));
        let named: BTreeSet<&FunctionName> = all.flat_map(|lineage| &lineage.functions).chain(&self.called).collect();
        let before = facts.functions.len();
        let mut known: BTreeSet<FunctionName> = std::mem::take(&mut facts.functions).into_iter().collect();
        known.extend(named.into_iter().cloned());
        facts.functions = known.into_iter().collect();
        if facts.functions.len() > before && !facts.shifts.contains(&Shift::Anything) {
            facts.shifts.push(Shift::Anything);
        }
    }

    /// What the statement stores is a relation that it makes.
    pub(in crate::sql) fn made(mut self) -> Self {
        let columns = self.columns.take();
        self.names = columns.as_ref().map(|columns| columns.iter().map(|column| column.name.clone()).collect());
        if columns.is_none() {
            self.stores.push(made(None, Lineage::untraced(Untraced::Columns)));
        }
        for column in columns.into_iter().flatten().filter(|column| !column.lineage.is_clean()) {
            self.stores.push(made(Some(column.name), column.lineage));
        }
        self
    }
}

fn made(column: Option<String>, lineage: Lineage) -> Stored {
    Stored { relations: Vec::new(), column, lineage }
}

impl<'a> Tracer<'a> {
    fn finish(self, columns: Option<Vec<ResultColumn>>) -> Traced {
        let lost = self.work > super::WORK_MAX;
        let columns = columns.filter(|_| !lost);
        Traced { columns, asks: self.asks.all(), stores: self.stores, called: self.called, names: None }
    }
}

/// A query or change of data.
pub(in crate::sql) fn changed(catalog: &Catalog, made: &Temporaries, change: &Change) -> Traced {
    let mut tracer = Tracer::new(catalog, made);
    let output = tracer.change(change);
    let gives = match change {
        Change::Query(_) => true,
        Change::Insert(insert) => !insert.returning.items.is_empty(),
        Change::Mass(mass) => !mass.returning.items.is_empty(),
        Change::Merge(merge) => !merge.returning.items.is_empty(),
    };
    let traced = tracer.finish(results(output).filter(|_| gives));
    match change {
        Change::Query(query) if walk::into(query).is_some() => traced.made(),
        _ => traced,
    }
}

/// A condition over the columns of one relation.
pub(in crate::sql) fn condition(catalog: &Catalog, made: &Temporaries, relation: &[String], condition: &Expr) -> Traced {
    let mut tracer = Tracer::new(catalog, made);
    let columns = tracer.stored(relation);
    let item = Item::named(relation.last().map(String::as_str), columns);
    tracer.levels.push(Level { items: vec![item] });
    tracer.condition(condition);
    tracer.finish(None)
}

/// Expressions that stand alone.
pub(in crate::sql) fn values(catalog: &Catalog, made: &Temporaries, list: &[Expr]) -> Traced {
    let mut tracer = Tracer::new(catalog, made);
    for value in list {
        let _ = tracer.expr(value);
    }
    tracer.finish(None)
}

/// The columns of a relation that COPY gives: those named, else all that are stored as they were given.
pub(in crate::sql) fn copied(catalog: &Catalog, made: &Temporaries, relation: &[String], names: &[String]) -> Traced {
    let tracer = Tracer::new(catalog, made);
    let columns = tracer.stored(relation);
    let output = if names.is_empty() {
        columns.all_but_generated()
    } else {
        let column = |name: &String| {
            let value = match columns.find(name) {
                super::scope::Found::Value(value) => value,
                super::scope::Found::Nothing => Rc::new(Value::untraced(Untraced::Name)),
            };
            Column { name: name.as_str().into(), value }
        };
        Ok(Rc::new(names.iter().map(column).collect()))
    };
    tracer.finish(results(output))
}

fn results(output: Output) -> Option<Vec<ResultColumn>> {
    let result = |column: &Column| ResultColumn { name: column.name.to_string(), lineage: column.value.lineage() };
    output.ok().map(|columns| columns.iter().map(result).collect())
}

/// The columns of a view by its definition (`pg_get_viewdef`, every name qualified); none if it cannot be read.
#[must_use]
pub fn view_columns(definition: &str, catalog: &Catalog) -> Option<Vec<ResultColumn>> {
    let tokens = lex::tokens(definition).ok()?;
    let tokens = match tokens.split_last() {
        Some((last, rest)) if last.sign(definition, ";") => rest,
        _ => &tokens,
    };
    let mut reader = Reader::new(definition, tokens);
    let query = query::query(&mut reader).ok().filter(|_| reader.done())?;
    let none = Temporaries::new();
    let mut tracer = Tracer::new(catalog, &none);
    let output = tracer.query(&query);
    tracer.finish(results(output)).columns
}

/// What an expression over the columns of one relation is made of (`pg_get_expr` of a generated column).
#[must_use]
pub fn expression(relation: Oid, text: &str, catalog: &Catalog) -> Lineage {
    let read = || {
        let tokens = lex::tokens(text).ok()?;
        let mut reader = Reader::new(text, &tokens);
        let expr = expressions::expr(&mut reader).ok().filter(|_| reader.done())?;
        let known = catalog.relations.get(&relation)?;
        let none = Temporaries::new();
        let mut tracer = Tracer::new(catalog, &none);
        tracer.levels.push(Level { items: vec![Item::named(Some(&known.name), Columns::Stored(known))] });
        Some(tracer.expr(&expr).lineage())
    };
    read().unwrap_or_else(|| Lineage::untraced(Untraced::Form))
}
