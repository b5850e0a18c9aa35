//! From the tree of a query or change of data to its facts.

use std::collections::{BTreeSet, HashSet};

use super::catalog::{Catalog, Function, Oid, RelationKind};
use super::facts::{Facts, FunctionName, RelationName, Setting, Shift, Temporaries, Temporary, Verb, Where};
use super::moves::{self, Carried};
use super::names;
use super::restrict;
use super::trace;
use super::tree::{
    Arm, Assignment, Call, Change, Expr, From, Insert, Into, Join, Mass, Merge, Query, Returning, Select, Value, With,
};

/// Functions of `pg_catalog` that run the text they are given.
const RUN_TEXT: [&str; 5] = ["query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "ts_stat", "ts_rewrite"];

/// The view of settings: what is assigned to its rows is set.
const SETTINGS: &str = "pg_settings";

/// What is collected of one statement.
pub(super) struct Walk<'a> {
    setting: &'a Setting<'a>,
    made: &'a Temporaries,
    scopes: Vec<restrict::Scope<'a>>,
    /// Its verbs.
    pub(super) verbs: BTreeSet<Verb>,
    /// The laxest WHERE.
    pub(super) where_: Where,
    /// Relations read.
    pub(super) reads: BTreeSet<RelationName>,
    /// Relations written.
    pub(super) writes: BTreeSet<RelationName>,
    /// Functions called.
    pub(super) functions: BTreeSet<FunctionName>,
    /// What it may change.
    pub(super) shifts: Vec<Shift>,
    /// Targets of mass changes, SELECT INTO: whether each is temporary.
    pub(super) targets: Vec<bool>,
    /// True if rows move.
    pub(super) moves_data: bool,
    /// Columns assigned from their own value.
    rewrites: BTreeSet<(Oid, i16)>,
    /// Cursors of WHERE CURRENT OF.
    pub(super) cursors: Vec<String>,
    views: HashSet<Oid>,
    /// Functions whose texts are being read, and those that have been.
    inside: Vec<FunctionName>,
    followed: BTreeSet<FunctionName>,
    defaulted: BTreeSet<FunctionName>,
}

impl<'a> Walk<'a> {
    /// Collects nothing yet. `made` are temporary relations made earlier in the text.
    pub(super) fn new(setting: &'a Setting<'a>, made: &'a Temporaries) -> Self {
        Self {
            setting,
            made,
            scopes: Vec::new(),
            verbs: BTreeSet::new(),
            where_: Where::None,
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            functions: BTreeSet::new(),
            shifts: Vec::new(),
            targets: Vec::new(),
            moves_data: false,
            rewrites: BTreeSet::new(),
            cursors: Vec::new(),
            views: HashSet::new(),
            inside: Vec::new(),
            followed: BTreeSet::new(),
            defaulted: BTreeSet::new(),
        }
    }

    /// The facts collected, under the verb given.
    pub(super) fn facts(mut self, verb: Verb) -> Facts {
        self.verbs.insert(verb);
        Facts {
            verbs: self.verbs,
            where_: self.where_,
            reads: self.reads.into_iter().collect(),
            writes: self.writes.into_iter().collect(),
            functions: self.functions.into_iter().collect(),
            target_temporary: !self.targets.is_empty() && self.targets.iter().all(|temporary| *temporary),
            shifts: self.shifts,
            moves_data: self.moves_data,
            rewrites: self.rewrites.into_iter().collect(),
            ..Facts::of(verb)
        }
    }

    /// The relation of a name.
    pub(super) fn named(&self, name: &[String]) -> RelationName {
        names::relation(self.setting, self.made, name)
    }

    /// Counts a relation as read, with the functions of the views it may be.
    pub(super) fn read(&mut self, name: &[String]) {
        let relation = self.named(name);
        self.called_by_views(&relation.oids);
        self.reads.insert(relation);
    }

    /// Counts a relation as written; true if it is temporary.
    pub(super) fn write(&mut self, name: &[String]) -> bool {
        let relation = self.named(name);
        let temporary = relation.temporary;
        self.called_by_views(&relation.oids);
        self.writes.insert(relation);
        temporary
    }

    fn called_by_views(&mut self, oids: &[Oid]) {
        let catalog: &Catalog = self.setting.catalog;
        let mut left = oids.to_vec();
        while let Some(oid) = left.pop() {
            let Some(relation) = catalog.relations.get(&oid) else { continue };
            let rewritten = matches!(relation.kind, RelationKind::View) || relation.calls_unknown;
            if !rewritten || !self.views.insert(oid) {
                continue;
            }
            if relation.calls_unknown {
                let schema = Some(relation.schema.clone());
                self.functions.insert(FunctionName { schema, name: relation.name.clone(), builtin: false, readable: false });
                self.anything();
            }
            left.extend_from_slice(&relation.depends);
        }
    }

    /// Notes that code may have run.
    pub(super) fn anything(&mut self) {
        self.shift(Shift::Anything);
    }

    /// Notes a shift once.
    pub(super) fn shift(&mut self, shift: Shift) {
        if !self.shifts.contains(&shift) {
            self.shifts.push(shift);
        }
    }

    /// Counts functions that an operator, a cast or a call stands for.
    pub(super) fn calls(&mut self, functions: Vec<FunctionName>) {
        for mut function in functions {
            function.readable = self.follow(&function);
            self.defaults(&function);
            if function.readable {
                self.functions.insert(function);
                continue;
            }
            let own = function.schema.as_deref() == Some(names::PG_CATALOG);
            if !own || RUN_TEXT.contains(&function.name.as_str()) {
                self.anything();
            }
            self.functions.insert(function);
        }
    }

    /// Counts what the text of a function does as the statement's own; false if it cannot be read.
    fn follow(&mut self, function: &FunctionName) -> bool {
        if self.followed.contains(function) {
            return !self.inside.contains(function);
        }
        if function.builtin || self.inside.len() >= trace::BODIES_NESTED_MAX {
            return false;
        }
        let Some(bodies) = trace::bodies(self.setting.catalog, function) else { return false };
        let mut inner = Walk::new(self.setting, self.made);
        (inner.inside, inner.followed) = (std::mem::take(&mut self.inside), std::mem::take(&mut self.followed));
        inner.inside.push(function.clone());
        inner.followed.insert(function.clone());
        for change in bodies.iter().flat_map(|body| &body.changes) {
            inner.change(change);
        }
        inner.inside.pop();
        self.absorb(inner);
        true
    }

    /// Counts what the defaults of a function's arguments call.
    fn defaults(&mut self, function: &FunctionName) {
        let known = self.setting.catalog.functions.get(&function.name).map(Vec::as_slice).unwrap_or_default();
        let meant = |known: &&Function| function.schema.as_ref().is_none_or(|schema| *schema == known.schema);
        if function.builtin || !known.iter().any(|known| known.defaults.is_some()) || self.defaulted.contains(function) {
            return;
        }
        self.defaulted.insert(function.clone());
        for known in known.iter().filter(meant) {
            let Some(list) = trace::defaults(known) else {
                self.functions.insert(FunctionName { schema: None, readable: false, ..function.clone() });
                self.anything();
                continue;
            };
            let mut inner = Walk::new(self.setting, self.made);
            (inner.inside, inner.followed) = (std::mem::take(&mut self.inside), std::mem::take(&mut self.followed));
            inner.defaulted = std::mem::take(&mut self.defaulted);
            inner.exprs(&list);
            self.absorb(inner);
        }
    }

    /// Takes over what another walk has collected.
    fn absorb(&mut self, mut inner: Walk<'_>) {
        inner.verbs.remove(&Verb::Select);
        self.verbs.append(&mut inner.verbs);
        self.where_ = self.where_.max(inner.where_);
        self.reads.append(&mut inner.reads);
        self.writes.append(&mut inner.writes);
        self.functions.append(&mut inner.functions);
        self.targets.append(&mut inner.targets);
        self.moves_data |= inner.moves_data;
        self.rewrites.append(&mut inner.rewrites);
        self.cursors.append(&mut inner.cursors);
        (self.inside, self.followed) = (inner.inside, inner.followed);
        self.defaulted.append(&mut inner.defaulted);
        inner.shifts.into_iter().for_each(|shift| self.shift(shift));
    }

    /// A query or change of data; gives its verb.
    pub(super) fn change(&mut self, change: &'a Change) -> Verb {
        let verb = match change {
            Change::Query(query) => self.outer_query(query),
            Change::Insert(insert) => self.insert(insert),
            Change::Mass(mass) => self.mass(mass),
            Change::Merge(merge) => self.merge(merge),
        };
        self.verbs.insert(verb);
        verb
    }

    fn outer_query(&mut self, query: &'a Query) -> Verb {
        self.query(query);
        self.verbs.insert(Verb::Select);
        match into(query) {
            Some(into) => {
                self.new_relation(into);
                self.moves_data |= restrict::from_relations(query);
                Verb::SelectInto
            }
            None => Verb::Select,
        }
    }

    /// The relation that SELECT INTO or CREATE TABLE AS makes.
    pub(super) fn new_relation(&mut self, into: &Into) {
        let mut relation = self.named(&into.name);
        relation.temporary = into.temporary || relation.schema.as_deref() == Some("pg_temp");
        self.targets.push(relation.temporary);
        if relation.temporary {
            self.shift(Shift::TemporaryMade(relation.name.clone(), Temporary::default()));
        }
        self.writes.insert(relation);
        self.shift(Shift::Catalog);
    }

    fn with(&mut self, with: &'a With) {
        if with.recursive {
            self.scopes.extend(with.ctes.iter().map(|cte| restrict::Scope { cte, recursive: true }));
        }
        for cte in &with.ctes {
            let before = self.scopes.len();
            self.change(&cte.body);
            self.scopes.truncate(before);
            if !with.recursive {
                self.scopes.push(restrict::Scope { cte, recursive: false });
            }
        }
    }

    /// A query at any depth.
    pub(super) fn query(&mut self, query: &'a Query) {
        let before = self.scopes.len();
        self.with(&query.with);
        for arm in &query.arms {
            match arm {
                Arm::Select(select) => self.select(select),
                Arm::Values(rows) => rows.iter().for_each(|row| self.exprs(row)),
                Arm::Table(from) => self.from(from),
                Arm::Query(query) => self.query(query),
            }
        }
        self.exprs(&query.order);
        self.exprs(&query.limit);
        self.exprs(&query.offset);
        self.scopes.truncate(before);
    }

    fn select(&mut self, select: &'a Select) {
        select.from.iter().for_each(|from| self.from(from));
        self.exprs(&select.distinct);
        for (value, _) in &select.items {
            if let Expr::Call(call) = value
                && let Some(name) = restrict::setting_name(call, select)
            {
                self.set_by_name(&name);
                self.exprs(&call.args);
                self.calls(vec![names::function(self.setting.catalog, &call.name)]);
            } else {
                self.expr(value);
            }
        }
        select.condition.iter().chain(&select.having).for_each(|condition| self.expr(condition));
        self.exprs(&select.group);
        self.exprs(&select.windows);
    }

    fn from(&mut self, from: &'a From) {
        match from {
            From::Relation(name, _, sample) => {
                self.exprs(sample);
                let cte = matches!(name.as_slice(), [only] if self.scopes.iter().any(|scope| scope.cte.name == *only));
                if !cte {
                    self.read(name);
                }
            }
            From::Query(query, _) => self.query(query),
            From::Functions(calls, alias, _) => {
                self.exprs(calls);
                alias.types.iter().for_each(|kind| self.calls(names::conversions(self.setting.catalog, &kind.name)));
            }
            From::Join(join) => self.join(join),
        }
    }

    fn join(&mut self, join: &'a Join) {
        join.items.iter().for_each(|from| self.from(from));
        self.exprs(&join.inner);
        self.exprs(&join.outer);
    }

    /// Several expressions.
    pub(super) fn exprs(&mut self, list: &'a [Expr]) {
        list.iter().for_each(|expr| self.expr(expr));
    }

    /// One expression.
    pub(super) fn expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Value(_) | Expr::Parameter(_) | Expr::Column(_) | Expr::Star(_) => {}
            Expr::Call(call) => self.call(call),
            Expr::Chain(signs, args) => {
                signs.iter().for_each(|sign| self.operator(sign.schema.as_deref(), &sign.sign));
                self.exprs(args);
            }
            Expr::Compare(sign, sides) => {
                self.operator(None, sign);
                self.pair(sides);
            }
            Expr::Distinct(sides, _) => {
                self.operator(None, "=");
                self.pair(sides);
            }
            Expr::Overlaps(sides) => self.pair(sides),
            Expr::And(list) | Expr::Or(list) | Expr::Row(list) | Expr::Array(list) => self.exprs(list),
            Expr::Not(inner) | Expr::Is(inner, ..) | Expr::Collate(inner) => self.expr(inner),
            Expr::In(left, list, _) => {
                self.operator(None, "=");
                self.expr(left);
                self.exprs(list);
            }
            Expr::InQuery(left, query, _) => {
                self.operator(None, "=");
                self.expr(left);
                self.query(query);
            }
            Expr::Between(parts, _) => {
                self.operator(None, "<=");
                self.operator(None, ">=");
                let (value, low, high) = parts.as_ref();
                [value, low, high].into_iter().for_each(|part| self.expr(part));
            }
            Expr::Any(sides, sign, _) => {
                self.operator(sign.schema.as_deref(), &sign.sign);
                self.pair(sides);
            }
            Expr::Case(subject, branches, otherwise) => {
                subject.iter().chain(otherwise).for_each(|part| self.expr(part));
                for (condition, result) in branches {
                    self.expr(condition);
                    self.expr(result);
                }
            }
            Expr::Cast(inner, types) => {
                self.expr(inner);
                types.iter().for_each(|kind| self.calls(names::conversions(self.setting.catalog, &kind.name)));
            }
            Expr::Part(inner, subscripts, _) => {
                self.expr(inner);
                self.exprs(subscripts);
            }
            Expr::Query(query) | Expr::Exists(query) | Expr::ArrayQuery(query) => self.query(query),
            Expr::CurrentOf(cursor) => self.cursors.push(cursor.clone()),
        }
    }

    fn pair(&mut self, sides: &'a (Expr, Expr)) {
        self.expr(&sides.0);
        self.expr(&sides.1);
    }

    fn operator(&mut self, schema: Option<&str>, sign: &str) {
        self.calls(names::operator(self.setting.catalog, schema, sign));
    }

    fn call(&mut self, call: &'a Call) {
        self.exprs(&call.args);
        let Some(last) = call.name.last() else { return };
        if call.syntax {
            self.functions.insert(names::own(last));
            return;
        }
        self.calls(vec![names::function(self.setting.catalog, &call.name)]);
        if last == "set_config" {
            match call.args.first() {
                Some(Expr::Value(Value::Text(name))) => self.set_by_name(name),
                _ => ["client_encoding", "search_path", "role"].into_iter().for_each(|name| self.set_by_name(name)),
            }
        }
    }

    /// What setting a parameter of this name shifts.
    pub(super) fn set_by_name(&mut self, name: &str) {
        match name.to_ascii_lowercase().as_str() {
            "standard_conforming_strings" | "client_encoding" | "backslash_quote" => self.shift(Shift::Reading),
            "search_path" => self.shift(Shift::SearchPath),
            "role" | "session_authorization" => {
                self.verbs.insert(Verb::SetRole);
                self.anything();
            }
            _ => {}
        }
    }

    /// Assignments of SET to a target. `brought` tells columns whose values the statement itself brings along.
    fn assignments(&mut self, target: &[String], set: &'a [Assignment], brought: &dyn Fn(&[String]) -> bool) {
        set.iter().for_each(|(_, value)| self.expr(value));
        for (column, carried) in moves::carried(set, brought) {
            match carried {
                Carried::Nothing => {}
                Carried::Itself => self.rewrite(target, column),
                Carried::Elsewhere => self.moves_data = true,
            }
        }
    }

    /// Notes that a column is assigned from its own value; where it is not known which, that rows move.
    fn rewrite(&mut self, target: &[String], column: &str) {
        let catalog = self.setting.catalog;
        let oids = self.named(target).oids;
        for oid in &oids {
            let columns = catalog.relations.get(oid).map(|relation| relation.columns.as_slice()).unwrap_or_default();
            let known = columns.iter().filter(|known| known.name == column);
            self.rewrites.extend(known.map(|known| (*oid, known.number)));
        }
        self.moves_data |= oids.is_empty();
    }

    fn returning(&mut self, returning: &'a Returning) {
        returning.items.iter().for_each(|(value, _)| self.expr(value));
    }

    fn insert(&mut self, insert: &'a Insert) -> Verb {
        let before = self.scopes.len();
        self.with(&insert.with);
        self.write(&insert.target);
        if let Some(source) = &insert.source {
            self.query(source);
            self.moves_data |= restrict::from_relations(source);
        }
        self.exprs(&insert.conflict);
        self.assignments(&insert.target, &insert.set, &moves::is_excluded);
        self.returning(&insert.returning);
        if !insert.returning.items.is_empty() || !insert.set.is_empty() {
            self.read(&insert.target);
        }
        self.scopes.truncate(before);
        Verb::Insert
    }

    fn mass(&mut self, mass: &'a Mass) -> Verb {
        let before = self.scopes.len();
        self.with(&mass.with);
        let temporary = self.write(&mass.target);
        self.targets.push(temporary);
        mass.from.iter().for_each(|from| self.from(from));
        self.assignments(&mass.target, &mass.set, &|_| false);
        if mass.target.last().is_some_and(|name| name == SETTINGS) {
            // A rule on this view sets what is assigned; which setting only the rows say.
            ["client_encoding", "search_path", "role"].into_iter().for_each(|name| self.set_by_name(name));
        }
        self.moves_data |= !mass.delete && !mass.from.is_empty();
        mass.condition.iter().for_each(|condition| self.expr(condition));
        self.returning(&mass.returning);
        if mass.condition.is_some() || !mass.returning.items.is_empty() || self.moves_data {
            self.read(&mass.target);
        }
        if !temporary {
            let found = restrict::mass(self.setting.catalog, &self.scopes, mass);
            self.where_ = self.where_.max(found);
        }
        self.scopes.truncate(before);
        if mass.delete { Verb::Delete } else { Verb::Update }
    }

    fn merge(&mut self, merge: &'a Merge) -> Verb {
        let before = self.scopes.len();
        self.with(&merge.with);
        let temporary = self.write(&merge.target);
        self.read(&merge.target);
        self.targets.push(temporary);
        self.from(&merge.source);
        self.expr(&merge.on);
        for when in &merge.whens {
            when.condition.iter().for_each(|condition| self.expr(condition));
            let inserts = when.set.iter().any(|(columns, _)| columns.is_empty());
            self.assignments(&merge.target, &when.set, &|name| inserts || moves::is_of_source(merge, name));
        }
        self.returning(&merge.returning);
        self.moves_data |= moves::merges(merge);
        if !temporary {
            let found = restrict::merge(self.setting.catalog, &self.scopes, merge);
            self.where_ = self.where_.max(found);
        }
        self.scopes.truncate(before);
        Verb::Merge
    }
}

/// SELECT INTO of a query, which stands in its first arm.
pub(super) fn into(query: &Query) -> Option<&Into> {
    let mut query = query;
    loop {
        match query.arms.first()? {
            Arm::Select(select) => return select.into.as_ref(),
            Arm::Query(inner) => query = inner,
            Arm::Values(_) | Arm::Table(_) => return None,
        }
    }
}
