//! Functions whose text can be read: what goes in is followed through it.

use std::rc::Rc;

use super::scope::{Columns, Item, Level};
use super::value::{Column, Shared, Sum, Value};
use super::{Output, Tracer};
use crate::sql::catalog::{Catalog, Function};
use crate::sql::facts::FunctionName;
use crate::sql::lex;
use crate::sql::lineage::Untraced;
use crate::sql::reader::Reader;
use crate::sql::tree::{Arm, Change, Expr, Query, Select};
use crate::sql::{change, expr, text};

/// Most bytes of a function's text.
const BYTES_MAX: usize = 65_536;
/// Most functions of one name.
const OVERLOADS_MAX: usize = 8;
/// How deep functions that call functions are followed.
pub(in crate::sql) const BODIES_NESTED_MAX: usize = 8;

/// A function and its statements.
pub(in crate::sql) struct Body<'c> {
    /// The function.
    pub(in crate::sql) function: &'c Function,
    /// Its statements in order.
    pub(in crate::sql) changes: Vec<Change>,
    /// What its last arguments are where they are not given.
    defaults: Vec<Expr>,
}

/// What a function is called with.
#[derive(Clone, Copy)]
pub(super) struct Given<'g> {
    /// The values.
    pub(super) args: &'g [Shared],
    /// The arguments as written, where that is known.
    pub(super) written: &'g [Expr],
    /// Names of the last of them.
    pub(super) named: &'g [String],
}

/// What the parameters of a function's text stand for.
pub(super) struct Arguments {
    each: Vec<Shared>,
    all: Shared,
}

/// What the last arguments of a function are where they are not given; none if it cannot be read.
pub(in crate::sql) fn defaults(function: &Function) -> Option<Vec<Expr>> {
    let Some(text) = &function.defaults else { return Some(Vec::new()) };
    let tokens = lex::tokens(text).ok().filter(|_| text.len() <= BYTES_MAX)?;
    let mut reader = Reader::new(text, &tokens);
    reader.list(expr::expr).ok().filter(|_| reader.done())
}

/// The functions of a name with their statements; none unless all of them can be read.
pub(in crate::sql) fn bodies<'c>(catalog: &'c Catalog, name: &FunctionName) -> Option<Vec<Body<'c>>> {
    let schema = name.schema.as_ref()?;
    if name.builtin {
        return None;
    }
    let known = catalog.functions.get(&name.name)?.iter().filter(|function| function.schema == *schema);
    let all: Vec<Body<'c>> = known.take(OVERLOADS_MAX + 1).map(body).collect::<Option<_>>()?;
    (!all.is_empty() && all.len() <= OVERLOADS_MAX).then_some(all)
}

fn body(function: &Function) -> Option<Body<'_>> {
    let source = function.body.as_ref()?;
    let plain = function.language == "sql" && !function.configured && !function.aggregate && source.len() <= BYTES_MAX;
    if !plain {
        return None;
    }
    let tokens = lex::tokens(source).ok()?;
    let mut inner = tokens.as_slice();
    if let [begin, atomic, rest @ .., end] = inner
        && begin.is(source, "begin")
        && atomic.is(source, "atomic")
        && end.is(source, "end")
    {
        inner = rest;
    }
    let statements = text::split(source, inner).ok()?;
    let changes = statements.into_iter().map(|tokens| statement(source, tokens)).collect::<Option<Vec<_>>>()?;
    let defaults = defaults(function)?;
    (!changes.is_empty()).then_some(Body { function, changes, defaults })
}

fn statement(source: &str, tokens: &[lex::Token]) -> Option<Change> {
    let mut reader = Reader::new(source, tokens);
    let change = if reader.eat("return") {
        let items = vec![(expr::expr(&mut reader).ok()?, None)];
        let arms = vec![Arm::Select(Box::new(Select { items, ..Select::default() }))];
        Change::Query(Query { arms, union: true, ..Query::default() })
    } else if crate::sql::query::begins(&reader) {
        change::change(&mut reader).ok()?
    } else {
        return None;
    };
    let into = matches!(&change, Change::Query(query) if crate::sql::walk::into(query).is_some());
    (reader.done() && !into).then_some(change)
}

impl Tracer<'_> {
    /// What functions of a name give, followed through their texts; none if those cannot be read.
    pub(super) fn bodies(&mut self, name: &FunctionName, given: Given<'_>) -> Option<Output> {
        let key = (name.schema.clone()?, name.name.clone());
        if self.inside.len() >= BODIES_NESTED_MAX || self.inside.contains(&key) {
            return None;
        }
        let catalog = self.catalog;
        let all = bodies(catalog, name)?;
        self.work += all.iter().map(|body| 200 + body.function.body.as_ref().map_or(0, String::len) / 8).sum::<usize>();
        self.inside.push(key);
        let mut whole: Option<Output> = None;
        for body in &all {
            let output = self.body(body, given);
            whole = Some(match whole {
                None => output,
                Some(before) => joined(before, output),
            });
        }
        self.inside.pop();
        whole
    }

    fn body(&mut self, body: &Body<'_>, given: Given<'_>) -> Output {
        if !self.deeper() {
            return Err(Untraced::Bound);
        }
        let arguments = self.arguments_of(body, given);
        let mut inner = Tracer::new(self.catalog, self.made);
        let names = body.function.arguments.iter().zip(&arguments.each).filter(|(name, _)| !name.is_empty());
        let columns = names.map(|(name, value)| Column { name: name.as_str().into(), value: value.clone() }).collect();
        let item = Item::named(Some(&body.function.name), Columns::Made(Rc::new(columns)));
        inner.levels.push(Level { items: vec![item] });
        inner.arguments = Some(arguments);
        self.lend(&mut inner);
        let mut output = Ok(Rc::new(Vec::new()));
        for change in &body.changes {
            output = inner.change(change);
        }
        inner.lend_back(self);
        self.shallower();
        output
    }

    /// What each parameter of a function stands for; where that is not known, all that was given.
    fn arguments_of(&mut self, body: &Body<'_>, given: Given<'_>) -> Arguments {
        let wanted = &body.function.arguments;
        let first = given.args.len().saturating_sub(given.named.len());
        let defaults = self.constants(&body.defaults);
        let mut all = Sum::new();
        given.args.iter().chain(&defaults).for_each(|arg| {
            all.add(arg);
        });
        let all = Rc::new(all.kept());
        let known = first <= wanted.len() && given.named.iter().all(|name| wanted.contains(name));
        let required = wanted.len().saturating_sub(defaults.len());
        let each = wanted.iter().enumerate().map(|(at, name)| {
            let named = given.named.iter().position(|known| known == name).and_then(|place| given.args.get(first + place));
            let value = match given.args.get(at).filter(|_| at < first) {
                Some(value) => Some(value),
                None => named.or_else(|| at.checked_sub(required).and_then(|at| defaults.get(at))),
            };
            value.filter(|_| known).unwrap_or(&all).clone()
        });
        Arguments { each: each.collect(), all: all.clone() }
    }

    /// The values of expressions that name no columns.
    fn constants(&mut self, list: &[Expr]) -> Vec<Shared> {
        let mut inner = Tracer::new(self.catalog, self.made);
        self.lend(&mut inner);
        let values = list.iter().map(|expr| inner.expr(expr)).collect();
        inner.lend_back(self);
        values
    }

    /// What the defaults of functions whose text is not followed bring in; what cannot be read brings in anything.
    pub(super) fn defaults(&mut self, function: &FunctionName) -> Vec<Shared> {
        let catalog = self.catalog;
        let known = catalog.functions.get(&function.name).map(Vec::as_slice).unwrap_or_default();
        let meant = |known: &&Function| function.schema.as_ref().is_none_or(|schema| *schema == known.schema);
        let mut values = Vec::new();
        for known in known.iter().filter(meant).filter(|known| known.defaults.is_some()) {
            match defaults(known) {
                Some(list) => values.extend(self.constants(&list)),
                None => values.push(self.lost(Untraced::Form)),
            }
        }
        values
    }

    /// What `$n` stands for.
    pub(super) fn parameter(&self, number: usize) -> Shared {
        let Some(arguments) = &self.arguments else { return self.clean.clone() };
        let one = number.checked_sub(1).and_then(|at| arguments.each.get(at));
        one.unwrap_or(&arguments.all).clone()
    }

    /// Lets another tracer go on with what this one has gathered.
    fn lend(&mut self, inner: &mut Tracer<'_>) {
        inner.asks = std::mem::take(&mut self.asks);
        inner.stores = std::mem::take(&mut self.stores);
        inner.called = std::mem::take(&mut self.called);
        inner.inside = std::mem::take(&mut self.inside);
        (inner.depth, inner.work) = (self.depth, self.work);
    }

    fn lend_back(mut self, outer: &mut Tracer<'_>) {
        let depth = outer.depth;
        self.lend(outer);
        outer.depth = depth;
    }
}

/// What one or the other function gives.
fn joined(one: Output, other: Output) -> Output {
    let (one, other) = (one?, other?);
    if one.len() != other.len() {
        return Err(Untraced::Columns);
    }
    let both = one.iter().zip(other.iter()).map(|(left, right)| {
        let mut sum = Sum::new();
        sum.add(&left.value);
        sum.add(&right.value);
        Column { name: left.name.clone(), value: Rc::new(Value { direct: false, ..sum.kept() }) }
    });
    Ok(Rc::new(both.collect()))
}
