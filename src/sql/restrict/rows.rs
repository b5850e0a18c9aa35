//! Queries as the few rows that stand for all of theirs: the target's own, any other, and those that the text itself gives.

use std::rc::Rc;

use super::super::catalog::Relation;
use super::super::tree::{Arm, Change, Expr, From, Join, Joint, Link, Query, Select};
use super::Scope;
use super::aggregate::Group;
use super::eval::Judge;
use super::source::{Kind, Source};
use super::truth::Truth;
use super::value::{Open, Val, ids, mix};

/// Deepest look into queries within queries.
const LOOK_DEPTH_MAX: usize = 12;
/// Most combinations of rows of one FROM; a condition over more counts as none.
const COMBOS_MAX: usize = 256;
/// Most rows of VALUES and of functions that are taken one by one.
const GIVEN_MAX: usize = 16;

/// One row of a FROM: what stands in it, and whether it is there.
pub(super) struct Combo<'e> {
    pub(super) sources: Vec<Source<'e>>,
    pub(super) truth: Truth,
    /// True if nothing says that there is such a row; a coin that falls says it.
    pub(super) vague: bool,
}

/// One row of a query, and whether it is there.
#[derive(Clone)]
pub(super) struct Row {
    names: Rc<[String]>,
    pub(super) values: Vec<Val>,
    pub(super) truth: Truth,
    /// As of a [`Combo`].
    pub(super) vague: bool,
}

impl<'e> Judge<'e> {
    /// The rows of items of FROM, joined.
    pub(super) fn spread_all(&mut self, from: &'e [From]) -> Vec<Combo<'e>> {
        let mut all = vec![Combo { sources: Vec::new(), truth: Truth::True, vague: false }];
        for item in from {
            let mut next = Vec::new();
            for combo in all {
                let before = self.sources.len();
                self.sources.extend(combo.sources.iter().cloned());
                for more in self.spread(item) {
                    let sources = combo.sources.iter().cloned().chain(more.sources).collect();
                    next.push(Combo { sources, truth: combo.truth.and(more.truth), vague: combo.vague || more.vague });
                }
                self.sources.truncate(before);
            }
            if next.len() > COMBOS_MAX || self.sources.len() > COMBOS_MAX {
                self.give_up();
                return Vec::new();
            }
            all = next;
        }
        all
    }

    fn spread(&mut self, from: &'e From) -> Vec<Combo<'e>> {
        if self.charge(10) {
            return Vec::new();
        }
        match from {
            From::Relation(name, alias, sample) => {
                let last = name.last().map_or("", String::as_str);
                let named: Rc<str> = alias.name.as_deref().unwrap_or(last).into();
                if let ([only], Some(at)) = (name.as_slice(), self.cte(last)) {
                    debug_assert_eq!(only, last);
                    return self.given(named, &alias.columns, |judge| judge.cte_rows(at));
                }
                let sampled =
                    sample.first().is_some_and(|percent| !matches!(self.value(percent), Val::Number(all, _) if all >= 100.0));
                self.relation(name, named, &alias.columns, sampled)
            }
            From::Query(query, alias) => {
                let named = alias.name.as_deref().unwrap_or_default().into();
                self.given(named, &alias.columns, |judge| judge.rows(query, false))
            }
            From::Functions(calls, alias, _) => {
                let called = match calls.first() {
                    Some(Expr::Call(call)) => call.name.last().map_or("", String::as_str),
                    _ => "",
                };
                let named: Rc<str> = alias.name.as_deref().unwrap_or(called).into();
                let column = named.to_string();
                self.given(named, &alias.columns, |judge| match calls.as_slice() {
                    [call] => judge
                        .each(call)
                        .into_iter()
                        .map(|(value, vague)| Row { vague, ..row(vec![(column.clone(), value)], Truth::True) })
                        .collect(),
                    _ => vec![row(Vec::new(), Truth::True).vague()],
                })
            }
            From::Join(join) => self.join(join),
        }
    }

    /// The rows of a query as a source.
    fn given(&mut self, alias: Rc<str>, columns: &'e [String], rows: impl FnOnce(&mut Self) -> Vec<Row>) -> Vec<Combo<'e>> {
        let each = |row: Row| {
            let names: Rc<[String]> = columns.iter().chain(row.names.iter().skip(columns.len())).cloned().collect();
            let kind = Kind::Given(names, row.values);
            Combo { sources: vec![Source { alias: alias.clone(), renamed: &[], kind }], truth: row.truth, vague: row.vague }
        };
        rows(self).into_iter().map(each).collect()
    }

    /// The rows of a relation: the target's own if it is surely among them, and any other.
    fn relation(&mut self, name: &'e [String], alias: Rc<str>, renamed: &'e [String], sampled: bool) -> Vec<Combo<'e>> {
        let relations = self.relations(name);
        let own = self.own(name, &relations);
        let first = relations.first().map(|relation| relation.oid);
        let like = |source: &&Source<'e>| matches!(&source.kind, Kind::Other(_, known, _) if known.first().map(|known| known.oid) == first);
        let again: Vec<Kind<'e>> = self.sources.iter().filter(like).map(|source| source.kind.clone()).collect();
        // The same row, whichever query asks for it.
        let id = mix(("relation", name.last(), first, again.len()));
        let same = matches!(own, Some(Kind::Own(None)))
            && self.target.len() == 1
            && relations.first().map(|relation| relation.oid) == self.target.first().map(|target| target.oid);
        let relations: Rc<[&Relation]> = relations.into();
        let other = Source { alias: alias.clone(), renamed, kind: Kind::Other(id, relations.clone(), same) };
        let mut all = Vec::new();
        if let Some(kind) = own {
            let truth = if sampled { self.chance(id) } else { Truth::True };
            all.push(Combo { sources: vec![Source { alias: alias.clone(), renamed, kind }], truth, vague: false });
        }
        // The rows of the same relation that are at hand outside are among its rows, too.
        let again = if first.is_some() { again } else { Vec::new() };
        all.extend(again.into_iter().map(|kind| Combo {
            sources: vec![Source { alias: alias.clone(), renamed, kind }],
            truth: Truth::True,
            vague: false,
        }));
        all.push(Combo { sources: vec![other], truth: Truth::True, vague: true });
        all
    }

    /// True or false by row, for what takes some rows of many.
    fn chance(&self, of: u64) -> Truth {
        Truth::of(mix(("chance", of, self.row)) & 1 == 0)
    }

    /// Joined items. What an outer join asks for restricts nothing.
    fn join(&mut self, join: &'e Join) -> Vec<Combo<'e>> {
        let mut all = self.spread_all(&join.items);
        let named: Option<Rc<str>> = join.alias.name.as_deref().map(Into::into);
        for combo in &mut all {
            let before = self.sources.len();
            self.sources.extend(combo.sources.iter().cloned());
            let tosses = self.tosses;
            for condition in &join.inner {
                combo.truth = combo.truth.and(self.truth(condition, false));
            }
            if join.merged {
                combo.truth = combo.truth.and(self.merged(join, before));
            }
            self.sources.truncate(before);
            if combo.vague && combo.truth.lets() {
                combo.truth = Truth::True;
            }
            combo.vague &= tosses == self.tosses;
            if let Some(named) = &named {
                combo.sources.iter_mut().for_each(|source| source.alias = named.clone());
            }
        }
        all
    }

    /// The truth of USING and NATURAL among the sources from `start` on.
    fn merged(&mut self, join: &'e Join, start: usize) -> Truth {
        let mut truth = Truth::True;
        let joined = self.sources.get(start..).unwrap_or_default().to_vec();
        for joint in &join.joints {
            let columns: Vec<String> = match joint {
                Joint::Using(_, columns, _) => columns.clone(),
                Joint::Natural(_) => {
                    joined.first().and_then(|first| self.names(first)).map(|names| names.to_vec()).unwrap_or_default()
                }
                Joint::Item | Joint::Cross | Joint::On(_) => continue,
            };
            for column in &columns {
                let values: Vec<Val> = (0..joined.len()).filter_map(|at| self.column_of(start + at, column)).collect();
                for pair in values.windows(2) {
                    if let [left, right] = pair {
                        truth = truth.and(self.compare(std::ptr::from_ref(joint).addr(), "=", left, right));
                    }
                }
            }
        }
        truth
    }

    /// Where the query of WITH of a name stands.
    fn cte(&self, name: &str) -> Option<usize> {
        self.ctes.iter().rposition(|scope| scope.cte.name == name)
    }

    fn cte_rows(&mut self, at: usize) -> Vec<Row> {
        let nothing = vec![row(Vec::new(), Truth::True).vague()];
        let Some(Scope { cte, recursive }) = self.ctes.get(at).copied() else { return nothing };
        let Change::Query(query) = &cte.body else { return nothing };
        // Its own scope: what stands before it, and itself if it is recursive.
        let later = self.ctes.split_off(at + usize::from(recursive));
        let frames = std::mem::take(&mut self.frames);
        self.frames.push(self.sources.len());
        let rows = self.rows(query, false);
        self.frames = frames;
        self.ctes.extend(later);
        let renamed = |row: Row| {
            let names = cte.columns.iter().chain(row.names.iter().skip(cte.columns.len())).cloned().collect();
            Row { names, ..row }
        };
        rows.into_iter().map(renamed).collect()
    }

    /// EXISTS.
    pub(super) fn exists(&mut self, query: &'e Query) -> Truth {
        let before = std::mem::take(&mut self.dropped_null);
        let rows = self.rows(query, true);
        let truth = rows.into_iter().fold(Truth::False, |truth, row| truth.or(row.truth.if_there(row.vague, false)));
        let dropped = std::mem::replace(&mut self.dropped_null, before);
        self.lost_to_null |= truth == Truth::False && dropped;
        truth
    }

    /// The value of a query.
    pub(super) fn scalar(&mut self, place: usize, query: &'e Query) -> Val {
        let before = std::mem::take(&mut self.reads);
        let rows = self.rows(query, false);
        let reads = std::mem::replace(&mut self.reads, before);
        self.reads = mix((self.reads, reads));
        let text = self.text_id(place, query);
        let open = || Val::open(mix(("query", text, reads)));
        let value = match rows.as_slice() {
            [] => Val::Null,
            [only] => only.values.first().cloned().unwrap_or(Val::Null),
            [first, ..] if first.truth == Truth::True && !first.vague && query.limit.is_empty() => {
                first.values.first().cloned().unwrap_or(Val::Null)
            }
            _ => open(),
        };
        match value {
            Val::Open(Open { loose: true, .. }) => open(),
            value => value,
        }
    }

    /// ARRAY of a query.
    pub(super) fn array(&mut self, query: &'e Query) -> Val {
        Val::Array(self.rows(query, false).into_iter().filter_map(|row| row.values.into_iter().next()).collect())
    }

    /// The rows of a query that may be there.
    pub(super) fn rows(&mut self, query: &'e Query, exists: bool) -> Vec<Row> {
        if self.depth >= LOOK_DEPTH_MAX || self.charge(50) {
            self.give_up();
            return Vec::new();
        }
        let (ctes, group) = (self.ctes.len(), self.group.take());
        self.ctes.extend(query.with.ctes.iter().map(|cte| Scope { cte, recursive: query.with.recursive }));
        self.depth += 1;
        let mut rows = Vec::new();
        for (at, arm) in query.arms.iter().enumerate() {
            let more = self.arm(arm);
            let link = at.checked_sub(1).and_then(|at| query.links.get(at));
            self.link(&mut rows, more, link);
        }
        self.depth -= 1;
        self.ctes.truncate(ctes);
        self.cut(query, &mut rows, exists);
        self.group = group;
        rows.retain(|row| row.truth.lets());
        rows
    }

    fn arm(&mut self, arm: &'e Arm) -> Vec<Row> {
        match arm {
            Arm::Select(select) => self.select(select),
            Arm::Values(rows) => {
                let name = |at: usize| format!("column{}", at + 1);
                let mut all: Vec<Row> = Vec::new();
                for values in rows.iter().take(GIVEN_MAX) {
                    let values = values.iter().enumerate().map(|(at, value)| (name(at), self.value(value))).collect();
                    all.push(row(values, Truth::True));
                }
                if rows.len() > GIVEN_MAX {
                    let open =
                        |at: usize| (name(at), Val::Open(Open { id: mix(("values", at)), loose: true, ..Open::default() }));
                    all.push(row((0..rows.first().map_or(0, Vec::len)).map(open).collect(), Truth::True).vague());
                }
                all
            }
            Arm::Table(from) => {
                let combos = self.spread(from);
                combos.into_iter().filter_map(|combo| self.whole_row(&combo)).collect()
            }
            Arm::Query(query) => self.rows(query, false),
        }
    }

    fn whole_row(&mut self, combo: &Combo<'e>) -> Option<Row> {
        let source = combo.sources.first()?;
        match self.whole(source) {
            Val::Row(values, names) => Some(Row { names, values, truth: combo.truth, vague: combo.vague }),
            value => Some(Row { vague: combo.vague, ..row(vec![("*".to_owned(), value)], combo.truth) }),
        }
    }

    /// Puts the rows of an arm to those before it.
    fn link(&mut self, rows: &mut Vec<Row>, more: Vec<Row>, link: Option<&'e Link>) {
        let Some(link) = link else {
            rows.extend(more);
            return;
        };
        if !link.except && !link.intersect {
            let names = rows.first().map(|first| first.names.clone());
            rows.extend(more.into_iter().map(|row| Row { names: names.clone().unwrap_or_else(|| row.names.clone()), ..row }));
            return;
        }
        let place = std::ptr::from_ref(link).addr();
        for row in rows.iter_mut() {
            let mut among = Truth::False;
            for other in &more {
                let (mut same, tosses) = (other.truth, self.tosses);
                for (left, right) in row.values.iter().zip(&other.values) {
                    same = same.and(self.distinct(place, left, right, true));
                }
                among = among.or(same.if_there(other.vague, tosses != self.tosses));
            }
            row.truth = row.truth.and(if link.except { among.not() } else { among });
        }
    }

    /// LIMIT and OFFSET: what they leave of many rows is not known.
    fn cut(&mut self, query: &'e Query, rows: &mut Vec<Row>, exists: bool) {
        let (mut some, mut none) = (false, false);
        for limit in &query.limit {
            let value = self.value(limit);
            none |= matches!(value, Val::Number(0.0, _));
            some |= !value.is_null();
        }
        for offset in &query.offset {
            let value = self.value(offset);
            let skips = !value.is_null() && !matches!(value, Val::Number(0.0, _));
            if skips {
                rows.iter_mut().filter(|row| row.truth == Truth::True).for_each(|row| row.truth = self.chance(ids(&row.values)));
            }
        }
        rows.retain(|row| !none && row.truth.lets());
        if some && !exists && rows.len() > 1 {
            rows.iter_mut().filter(|row| row.truth == Truth::True).for_each(|row| row.truth = self.chance(ids(&row.values)));
        }
    }

    fn select(&mut self, select: &'e Select) -> Vec<Row> {
        let start = self.sources.len();
        self.frames.push(start);
        let mut kept: Vec<Combo<'e>> = Vec::new();
        for mut combo in self.spread_all(&select.from) {
            let tosses = self.tosses;
            self.sources.extend(combo.sources.iter().cloned());
            let truth = select.condition.iter().fold(combo.truth, |truth, condition| truth.and(self.truth(condition, false)));
            self.sources.truncate(start);
            self.dropped_null |= truth == Truth::Null;
            if truth.lets() {
                combo.truth = if combo.vague { Truth::True } else { truth };
                combo.vague &= tosses == self.tosses;
                kept.push(combo);
            }
        }
        let mut rows = Vec::new();
        if self.is_grouped(select) {
            self.groups(select, &kept, &mut rows);
        } else {
            for combo in kept {
                self.sources.extend(combo.sources);
                let before = rows.len();
                self.outputs(select, combo.truth, &mut rows);
                rows.iter_mut().skip(before).for_each(|row| row.vague |= combo.vague);
                self.sources.truncate(start);
            }
        }
        if !select.distinct.is_empty() {
            rows.iter_mut().filter(|row| row.truth == Truth::True).for_each(|row| row.truth = self.chance(ids(&row.values)));
        }
        self.frames.pop();
        rows
    }

    fn is_grouped(&self, select: &'e Select) -> bool {
        let distinct = select.unique || !select.distinct.is_empty();
        let aggregate = select.items.iter().any(|(value, _)| self.aggregates(value));
        !select.group.is_empty() || select.having.is_some() || aggregate || select.grouped && !distinct
    }

    /// The rows of GROUP BY: one for each row that may lead a group, one if there is no GROUP BY.
    fn groups(&mut self, select: &'e Select, kept: &[Combo<'e>], rows: &mut Vec<Row>) {
        let start = self.sources.len();
        let member = |combo: &Combo<'e>, truth: Truth| (combo.sources.clone(), truth);
        if select.group.is_empty() {
            self.sources.extend(kept.first().map(|combo| combo.sources.clone()).unwrap_or_default());
            self.group = Some(Group {
                members: kept.iter().map(|combo| member(combo, combo.truth.if_there(combo.vague, false))).collect(),
            });
            self.group_row(select, Truth::True, rows);
            self.sources.truncate(start);
            return;
        }
        let keys: Vec<Vec<Val>> = kept.iter().map(|combo| self.keys(select, &combo.sources)).collect();
        for (at, leader) in kept.iter().enumerate() {
            let mut members = vec![member(leader, Truth::True)];
            for (other, combo) in kept.iter().enumerate().filter(|(other, _)| *other != at) {
                let mut same = combo.truth.if_there(combo.vague, false);
                for (left, right) in keys.get(at).into_iter().flatten().zip(keys.get(other).into_iter().flatten()) {
                    same = same.and(self.distinct(std::ptr::from_ref(select).addr(), left, right, true));
                }
                members.push(member(combo, same));
            }
            let before = rows.len();
            self.sources.extend(leader.sources.iter().cloned());
            self.group = Some(Group { members: members.into() });
            self.group_row(select, leader.truth, rows);
            rows.iter_mut().skip(before).for_each(|row| row.vague |= leader.vague);
            self.sources.truncate(start);
        }
    }

    fn keys(&mut self, select: &'e Select, sources: &[Source<'e>]) -> Vec<Val> {
        let start = self.sources.len();
        self.sources.extend(sources.iter().cloned());
        let mut keys = Vec::new();
        for key in &select.group {
            // A number stands for a column of the result.
            let item = match key {
                Expr::Value(super::super::tree::Value::Number(at)) => {
                    select.items.iter().zip(1_u32..).find(|(_, place)| f64::from(*place) == *at).map(|((value, _), _)| value)
                }
                key => Some(key),
            };
            keys.push(item.map_or(Val::Null, |item| self.value(item)));
        }
        self.sources.truncate(start);
        keys
    }

    fn group_row(&mut self, select: &'e Select, truth: Truth, rows: &mut Vec<Row>) {
        let having = select.having.iter().fold(truth, |truth, having| truth.and(self.truth(having, false)));
        if having.lets() {
            self.outputs(select, having, rows);
        }
        self.group = None;
    }

    /// The columns of a SELECT on the sources at hand.
    fn outputs(&mut self, select: &'e Select, truth: Truth, rows: &mut Vec<Row>) {
        if let [(value @ Expr::Call(call), label)] = select.items.as_slice()
            && gives_rows(call.name.last().map_or("", String::as_str))
        {
            let name = label.clone().or_else(|| call.name.last().cloned()).unwrap_or_default();
            let all = self.each(value);
            rows.extend(all.into_iter().map(|(value, vague)| Row { vague, ..row(vec![(name.clone(), value)], truth) }));
            return;
        }
        let mut columns = Vec::new();
        for (value, label) in &select.items {
            match (value, self.value(value)) {
                (Expr::Star(name), all) => self.spread_star(name, all, &mut columns),
                (_, known) => columns.push((label.clone().unwrap_or_else(|| name_of(value)), known)),
            }
        }
        rows.push(row(columns, truth));
    }

    fn spread_star(&mut self, name: &[String], all: Val, columns: &mut Vec<(String, Val)>) {
        let sources: Vec<Source<'e>> = if name.is_empty() {
            let start = self.frames.last().copied().unwrap_or(0);
            self.sources.get(start..).unwrap_or_default().to_vec()
        } else {
            Vec::new()
        };
        let wholes: Vec<Val> =
            if name.is_empty() { sources.iter().map(|source| self.whole(source)).collect() } else { vec![all] };
        for (at, whole) in wholes.into_iter().enumerate() {
            match whole {
                Val::Row(values, names) => columns.extend(names.iter().cloned().zip(values)),
                // A source of one column.
                value => columns.push((sources.get(at).map(|source| source.alias.to_string()).unwrap_or_default(), value)),
            }
        }
    }

    /// The values of a function that gives rows, each with whether it may not be there.
    fn each(&mut self, call: &'e Expr) -> Vec<(Val, bool)> {
        let place = std::ptr::from_ref(call).addr();
        let (name, args) = match call {
            Expr::Call(call) => (call.name.last().map_or("", String::as_str), self.values(&call.args)),
            other => return vec![(self.value(other), false)],
        };
        match (name, args.as_slice()) {
            ("unnest", [Val::Array(list)]) => list.iter().map(|value| (value.clone(), false)).collect(),
            ("unnest", [Val::Text(text)]) => {
                let list = super::value::elements(text).unwrap_or_default();
                list.into_iter().map(|value| (value, false)).collect()
            }
            ("generate_series", [Val::Number(low, whole), Val::Number(high, _), ..]) => {
                let (low, high) = (*low, *high);
                let steps = args.len() > 2;
                if high < low && !steps {
                    return Vec::new();
                }
                if !steps && high - low < 16.0 {
                    let all = (0_u8..16).map(|step| low + f64::from(step)).take_while(|number| *number <= high);
                    return all.map(|number| (Val::Number(number, *whole), false)).collect();
                }
                let end = |number: f64| Some(Rc::new(Val::Number(number, *whole)));
                let open = Open { id: mix(("series", place, ids(&args))), present: true, ..Open::default() };
                let (low, high) = if steps { (None, None) } else { (end(low), end(high)) };
                vec![(Val::Open(Open { low, high, ..open }), false)]
            }
            _ if gives_rows(name) => vec![(Val::open(mix((name, ids(&args)))), true)],
            _ => vec![(self.value(call), true)],
        }
    }
}

fn gives_rows(name: &str) -> bool {
    ["unnest", "generate_series", "regexp_split_to_table", "string_to_table", "jsonb_array_elements", "generate_subscripts"]
        .contains(&name)
}

fn row(columns: Vec<(String, Val)>, truth: Truth) -> Row {
    let (names, values): (Vec<String>, Vec<Val>) = columns.into_iter().unzip();
    Row { names: names.into(), values, truth, vague: false }
}

impl Row {
    /// The same row, of which nothing says that it is there.
    fn vague(self) -> Self {
        Self { vague: true, ..self }
    }
}

/// The name that a column of a result has.
fn name_of(value: &Expr) -> String {
    match value {
        Expr::Column(name) => name.last().cloned().unwrap_or_default(),
        Expr::Call(call) => call.name.last().cloned().unwrap_or_default(),
        Expr::Cast(inner, _) | Expr::Collate(inner) => name_of(inner),
        Expr::Part(_, _, fields) => fields.last().cloned().unwrap_or_default(),
        Expr::Query(query) => match query.arms.first() {
            Some(Arm::Select(select)) => {
                select.items.first().map(|(value, label)| label.clone().unwrap_or_else(|| name_of(value))).unwrap_or_default()
            }
            _ => String::new(),
        },
        Expr::Exists(_) => "exists".to_owned(),
        _ => "?column?".to_owned(),
    }
}
