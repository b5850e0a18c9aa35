//! An expression evaluated on one row.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::catalog::{Catalog, Relation};
use super::super::tree::{Expr, From, Is, Name, Query, Value};
use super::Scope;
use super::aggregate::Group;
use super::pattern::Patterns;
use super::sample::Guess;
use super::source::{Kind, Source};
use super::truth::{Truth, comparing, opposite};
use super::value::{Val, boolean, elements, ids, mix};

/// Most steps of one condition's evaluation; one that takes more counts as none.
const STEPS_MAX: u32 = 400_000;

/// The evaluation of one condition.
pub(super) struct Judge<'e> {
    /// What is known of the database.
    pub(super) catalog: &'e Catalog,
    /// The queries of WITH.
    pub(super) ctes: Vec<Scope<'e>>,
    /// The target's name.
    pub(super) name: &'e [String],
    /// The relations that the target may be.
    pub(super) target: Vec<&'e Relation>,
    /// What stands in FROM, the target first; the innermost query's last.
    pub(super) sources: Vec<Source<'e>>,
    /// Where the sources of each query begin.
    pub(super) frames: Vec<usize>,
    /// The rows that are being aggregated.
    pub(super) group: Option<Group<'e>>,
    /// How deep in queries.
    pub(super) depth: usize,
    /// Constants of the condition.
    pub(super) constants: Vec<&'e Value>,
    /// What columns of unknown type are taken for.
    pub(super) guess: Guess,
    /// A column of unknown type was met.
    pub(super) met_unknown: bool,
    /// A parameter was met.
    pub(super) met_parameter: bool,
    /// A NULL of the row at hand was met.
    pub(super) met_null: bool,
    parameters_null: bool,
    /// A row of a query was dropped since a NULL was met.
    pub(super) dropped_null: bool,
    /// What a query said of the row at hand, it said since a NULL was met.
    pub(super) lost_to_null: bool,
    /// Hashes of the texts of queries and calls.
    texts: HashMap<usize, u64>,
    /// The number of the row at hand.
    pub(super) row: u32,
    /// Its values so far.
    pub(super) current: HashMap<String, Val>,
    /// Values it is to have.
    pub(super) aimed: HashMap<String, Val>,
    /// What columns hold.
    pub(super) pools: HashMap<String, Rc<[Val]>>,
    /// A hash of the values of the row that were read.
    pub(super) reads: u64,
    /// For every place that tosses a coin: the first row that came there, and what it tossed for.
    pins: HashMap<usize, (u32, HashSet<u64>)>,
    /// How many coins fell.
    pub(super) tosses: u64,
    pub(super) patterns: Patterns,
    steps: u32,
}

impl<'e> Judge<'e> {
    /// Only the target.
    pub(super) fn new(catalog: &'e Catalog, ctes: &[Scope<'e>], (name, alias): (&'e [String], Option<&'e str>)) -> Self {
        let alias = alias.or(name.last().map(String::as_str)).unwrap_or_default().into();
        let mut judge = Self {
            catalog,
            ctes: ctes.to_vec(),
            name,
            target: Vec::new(),
            sources: vec![Source { alias, renamed: &[], kind: Kind::Own(None) }],
            frames: vec![0],
            group: None,
            depth: 0,
            constants: Vec::new(),
            guess: Guess::Whole,
            met_unknown: false,
            met_parameter: false,
            met_null: false,
            parameters_null: false,
            dropped_null: false,
            lost_to_null: false,
            texts: HashMap::new(),
            row: 0,
            current: HashMap::new(),
            aimed: HashMap::new(),
            pools: HashMap::new(),
            reads: 0,
            pins: HashMap::new(),
            tosses: 0,
            patterns: Patterns::default(),
            steps: 0,
        };
        judge.target = judge.relations(name);
        judge
    }

    /// Begins rows under other assumptions.
    pub(super) fn begin(&mut self, guess: Guess, parameters_null: bool) {
        (self.guess, self.parameters_null) = (guess, parameters_null);
        self.pins.clear();
        self.pools.clear();
    }

    /// Makes the next row up.
    pub(super) fn next_row(&mut self, row: u32) {
        self.row = row;
        self.current.clear();
        self.aimed.clear();
        (self.met_null, self.dropped_null, self.lost_to_null, self.reads) = (false, false, false, 0);
    }

    /// The same for what is written alike.
    pub(super) fn text_id(&mut self, place: usize, part: &dyn std::fmt::Debug) -> u64 {
        *self.texts.entry(place).or_insert_with(|| mix(format!("{part:?}")))
    }

    /// True if the evaluation took too long, or went too deep.
    pub(super) fn is_over(&self) -> bool {
        self.steps > STEPS_MAX
    }

    /// Counts a step; true if it was one too many.
    pub(super) fn step(&mut self) -> bool {
        self.charge(1)
    }

    /// Counts steps; true if they were too many.
    pub(super) fn charge(&mut self, steps: u32) -> bool {
        self.steps = self.steps.saturating_add(steps);
        self.is_over()
    }

    /// Ends the evaluation without an answer.
    pub(super) fn give_up(&mut self) {
        self.steps = u32::MAX;
    }

    /// Whether rows of FROM beside the target meet all conditions.
    pub(super) fn exists_beside(&mut self, from: &'e [From], conditions: &[&'e Expr]) -> Truth {
        let mut truth = Truth::False;
        for combo in self.spread_all(from) {
            let (before, tosses) = (self.sources.len(), self.tosses);
            self.sources.extend(combo.sources);
            let all = conditions.iter().fold(combo.truth, |truth, condition| {
                if truth == Truth::False { truth } else { truth.and(self.truth(condition, false)) }
            });
            self.sources.truncate(before);
            truth = truth.or(all.if_there(combo.vague, tosses != self.tosses));
        }
        truth
    }

    /// What decides between things that are not known: the same for the same two on the same row; `None` if it is the same on every row.
    pub(super) fn coin(&mut self, place: usize, left: u64, right: u64) -> Option<u64> {
        let pair = mix((left.min(right), left.max(right)));
        let row = self.row;
        let (first, seen) = self.pins.entry(place).or_insert_with(|| (row, HashSet::new()));
        if *first == row {
            seen.insert(pair);
            return None;
        }
        if seen.contains(&pair) {
            return None;
        }
        self.tosses += 1;
        Some(mix((pair, row)))
    }

    /// An open value as a truth.
    pub(super) fn toss(&mut self, place: usize, id: u64) -> Truth {
        self.coin(place, id, 1).map_or(Truth::Maybe, |coin| Truth::of(coin & 1 == 0))
    }

    /// The truth of an expression, or of its opposite.
    pub(super) fn truth(&mut self, expr: &'e Expr, not: bool) -> Truth {
        if self.step() {
            return Truth::Maybe;
        }
        let place = std::ptr::from_ref(expr).addr();
        let truth = match expr {
            Expr::Not(inner) => return self.truth(inner, !not),
            Expr::And(list) => return self.junction(list, not, !not),
            Expr::Or(list) => return self.junction(list, not, not),
            Expr::Compare(sign, sides) => return self.compare_exprs(place, if not { opposite(sign) } else { sign }, sides),
            Expr::Distinct(sides, same) => {
                let (left, right) = (self.value(&sides.0), self.value(&sides.1));
                return self.distinct(place, &left, &right, *same != not);
            }
            Expr::Is(inner, Is::Null, true) => {
                let value = self.value(inner);
                self.is_not_null(place, &value)
            }
            Expr::Is(inner, what, is_not) => self.is(place, inner, *what).not_if(*is_not),
            Expr::In(left, list, is_not) => self.in_list(left, list).not_if(*is_not),
            Expr::InQuery(left, query, is_not) => self.in_query(place, left, query, ("=", false)).not_if(*is_not),
            Expr::Exists(query) => self.exists(query),
            Expr::Between(parts, is_not) => self.between(place, parts).not_if(*is_not),
            Expr::Any(sides, sign, all) => self.any(place, sides, &sign.sign, *all),
            Expr::Case(subject, branches, otherwise) => {
                let value = self.case(subject.as_deref(), branches, otherwise.as_deref());
                self.as_truth(place, &value)
            }
            Expr::CurrentOf(_) => Truth::False,
            other => {
                let value = self.value(other);
                self.as_truth(place, &value)
            }
        };
        truth.not_if(not)
    }

    /// A list of conditions, each or its opposite: all of them, or any.
    fn junction(&mut self, list: &'e [Expr], not: bool, all: bool) -> Truth {
        let (mut truth, end) = if all { (Truth::True, Truth::False) } else { (Truth::False, Truth::True) };
        for part in list {
            let next = self.truth(part, not);
            truth = if all { truth.and(next) } else { truth.or(next) };
            // The first row comes to every place, so that what is tossed for there is known alike.
            if truth == end && self.row > 0 || self.is_over() {
                break;
            }
        }
        truth
    }

    /// A value as a condition.
    pub(super) fn as_truth(&mut self, place: usize, value: &Val) -> Truth {
        match value {
            Val::Null => Truth::Null,
            Val::Bool(known) => Truth::of(*known),
            Val::Number(number, _) => Truth::of(*number != 0.0),
            Val::Text(text) => boolean(text).map_or(Truth::Maybe, Truth::of),
            other => self.toss(place, other.id()),
        }
    }

    /// A condition as a value.
    fn as_value(truth: Truth, place: usize) -> Val {
        match truth {
            Truth::True => Val::Bool(true),
            Truth::False => Val::Bool(false),
            Truth::Null => Val::Null,
            Truth::Maybe => Val::maybe(mix(("maybe", place))),
        }
    }

    fn between(&mut self, place: usize, parts: &'e (Expr, Expr, Expr)) -> Truth {
        let (value, low, high) = (self.value(&parts.0), self.value(&parts.1), self.value(&parts.2));
        self.compare(place, ">=", &value, &low).and(self.compare(place + 1, "<=", &value, &high))
    }

    fn compare_exprs(&mut self, place: usize, sign: &'static str, sides: &'e (Expr, Expr)) -> Truth {
        let (left, right) = (self.value(&sides.0), self.value(&sides.1));
        self.compare(place, sign, &left, &right)
    }

    fn is(&mut self, place: usize, inner: &'e Expr, what: Is) -> Truth {
        match what {
            Is::Null | Is::Unknown => {
                let value = self.value(inner);
                self.is_null(place, &value)
            }
            Is::Bool(wanted) => match self.truth(inner, false) {
                Truth::True => Truth::of(wanted),
                Truth::False => Truth::of(!wanted),
                Truth::Null => Truth::False,
                Truth::Maybe => Truth::Maybe,
            },
            Is::Form => {
                let value = self.value(inner);
                if value.is_null() { Truth::Null } else { self.toss(place, value.id()) }
            }
        }
    }

    /// IS NULL.
    pub(super) fn is_null(&mut self, place: usize, value: &Val) -> Truth {
        match value {
            Val::Null => Truth::True,
            Val::Row(values, _) => {
                let mut all = Truth::True;
                for value in values {
                    // A row within a row is not NULL, whatever its fields are.
                    all = all.and(if matches!(value, Val::Row(..)) { Truth::False } else { self.is_null(place, value) });
                }
                all
            }
            Val::Open(open) if !open.present => self.toss(place, mix(("null", open.id))),
            _ => Truth::False,
        }
    }

    /// IS NOT NULL: of a row, that no field is.
    fn is_not_null(&mut self, place: usize, value: &Val) -> Truth {
        let Val::Row(values, _) = value else { return self.is_null(place, value).not() };
        let mut all = Truth::True;
        for value in values {
            // A row within a row is not NULL, whatever its fields are.
            let here = if matches!(value, Val::Row(..)) { Truth::True } else { self.is_null(place, value).not() };
            all = all.and(here);
        }
        all
    }

    fn in_list(&mut self, left: &'e Expr, list: &'e [Expr]) -> Truth {
        let left = self.value(left);
        let mut truth = Truth::False;
        for item in list {
            let value = self.value(item);
            truth = truth.or(self.compare(std::ptr::from_ref(item).addr(), "=", &left, &value));
            if truth == Truth::True || self.step() {
                break;
            }
        }
        truth
    }

    /// A comparison with some row of a query, or with all.
    fn in_query(&mut self, place: usize, left: &'e Expr, query: &'e Query, (sign, all): (&str, bool)) -> Truth {
        let left = self.value(left);
        let mut truth = Truth::of(all);
        let before = std::mem::take(&mut self.dropped_null);
        let rows = self.rows(query, false);
        let dropped = std::mem::replace(&mut self.dropped_null, before);
        for row in rows {
            let right = match (&left, row.values.as_slice()) {
                (Val::Row(..), _) => Val::Row(row.values.clone(), Rc::from([])),
                (_, [only]) => only.clone(),
                _ => Val::open(ids(&row.values)),
            };
            let tosses = self.tosses;
            let one = self.relate(place, sign, &left, &right);
            let there = row.truth.if_there(row.vague, tosses != self.tosses);
            truth = if all { truth.and(there.not().or(one)) } else { truth.or(there.and(one)) };
        }
        self.lost_to_null |= truth == Truth::False && dropped;
        truth
    }

    /// `operator ANY` and ALL.
    fn any(&mut self, place: usize, sides: &'e (Expr, Expr), sign: &str, all: bool) -> Truth {
        if let Expr::Query(query) = &sides.1 {
            return self.in_query(place, &sides.0, query, (sign, all));
        }
        let (left, right) = (self.value(&sides.0), self.value(&sides.1));
        let list = match right {
            Val::Null => return Truth::Null,
            Val::Array(list) => list,
            Val::Text(text) => match elements(&text) {
                Some(list) => list,
                None => return Truth::Maybe,
            },
            other => vec![Val::open(mix(("element", other.id())))],
        };
        let mut truth = Truth::of(all);
        for value in &list {
            let one = self.relate(place, sign, &left, value);
            truth = if all { truth.and(one) } else { truth.or(one) };
        }
        truth
    }

    /// The truth of any operator.
    fn relate(&mut self, place: usize, sign: &str, left: &Val, right: &Val) -> Truth {
        if let Some(sign) = comparing(sign) {
            return self.compare(place, sign, left, right);
        }
        let value = self.operate(sign, left, right, None);
        self.as_truth(place, &value)
    }

    fn case(&mut self, subject: Option<&'e Expr>, branches: &'e [(Expr, Expr)], otherwise: Option<&'e Expr>) -> Val {
        let subject = subject.map(|subject| self.value(subject));
        let mut perhaps: Vec<Val> = Vec::new();
        let mut last = Val::Null;
        let mut ended = false;
        for (condition, result) in branches {
            let truth = match &subject {
                Some(subject) => {
                    let value = self.value(condition);
                    self.compare(std::ptr::from_ref(condition).addr(), "=", subject, &value)
                }
                None => self.truth(condition, false),
            };
            match truth {
                Truth::True if !ended => {
                    last = self.value(result);
                    ended = true;
                    if self.row > 0 {
                        break;
                    }
                }
                Truth::True | Truth::Maybe if ended => drop(self.value(result)),
                Truth::True => {}
                Truth::Maybe => perhaps.push(self.value(result)),
                Truth::False | Truth::Null => {}
            }
        }
        if let (false, Some(otherwise)) = (ended, otherwise) {
            last = self.value(otherwise);
        }
        self.one_of(perhaps, last)
    }

    /// One of several values, where nothing of the row says which: TRUE if one of them is.
    fn one_of(&mut self, perhaps: Vec<Val>, last: Val) -> Val {
        if perhaps.iter().all(|value| *value == last) {
            return last;
        }
        let mut all = perhaps;
        all.push(last);
        if all.contains(&Val::Bool(true)) {
            return Val::present(mix("one of several"));
        }
        Val::open(ids(&all))
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expr: &'e Expr) -> Val {
        if self.step() {
            return Val::open(0);
        }
        let place = std::ptr::from_ref(expr).addr();
        match expr {
            Expr::Value(value) => Val::constant(value, mix(place)),
            Expr::Parameter(number) => {
                self.met_parameter = true;
                if self.parameters_null { Val::Null } else { Val::open(mix(("parameter", number))) }
            }
            Expr::Column(name) => self.column(name),
            Expr::Star(name) => self.star(name),
            Expr::Call(call) => self.call(place, call),
            Expr::Chain(signs, args) => self.chain(signs, args),
            Expr::Cast(inner, types) => {
                let value = self.value(inner);
                types.iter().fold(value, |value, kind| self.cast(value, kind))
            }
            Expr::Collate(inner) => self.value(inner),
            Expr::Row(list) => Val::Row(self.values(list), Rc::from([])),
            Expr::Array(list) => Val::Array(self.values(list)),
            Expr::Part(inner, subscripts, fields) => self.part(inner, subscripts, fields),
            Expr::Query(query) => self.scalar(place, query),
            Expr::ArrayQuery(query) => self.array(query),
            Expr::Overlaps(sides) => self.overlaps(&sides.0, &sides.1),
            Expr::Case(subject, branches, otherwise) => self.case(subject.as_deref(), branches, otherwise.as_deref()),
            _ => {
                let truth = self.truth(expr, false);
                Self::as_value(truth, place)
            }
        }
    }

    /// The values of a list; whole rows in it are spread.
    pub(super) fn values(&mut self, list: &'e [Expr]) -> Vec<Val> {
        let mut values = Vec::new();
        for part in list {
            match (part, self.value(part)) {
                (Expr::Star(_), Val::Row(fields, _)) => values.extend(fields),
                (_, value) => values.push(value),
            }
        }
        values
    }

    fn star(&mut self, name: &Name) -> Val {
        let alias = name.last().map(String::as_str);
        let at = alias.map_or(self.frames.last().copied(), |alias| self.aliased(alias));
        match at.and_then(|at| self.sources.get(at)).cloned() {
            Some(source) => self.whole(&source),
            None => Val::present(mix(("star", name))),
        }
    }

    fn part(&mut self, inner: &'e Expr, subscripts: &'e [Expr], fields: &[String]) -> Val {
        let value = self.value(inner);
        let places = self.values(subscripts);
        match (&value, places.as_slice(), fields) {
            (Val::Null, ..) => Val::Null,
            (Val::Row(values, names), [], [field]) => {
                let at = names.iter().position(|name| name == field);
                at.and_then(|at| values.get(at)).cloned().unwrap_or_else(|| Val::open(mix((value.id(), field))))
            }
            (Val::Array(values), [Val::Number(at, _)], []) => {
                let found = values.iter().zip(1_i32..).find(|(_, place)| f64::from(*place) == *at);
                found.map_or(Val::Null, |(value, _)| value.clone())
            }
            _ => Val::open(mix((value.id(), ids(&places), fields))),
        }
    }

    fn overlaps(&mut self, left: &'e Expr, right: &'e Expr) -> Val {
        let (left, right) = (self.value(left), self.value(right));
        match (&left, &right) {
            (Val::Row(left, _), Val::Row(right, _)) => match (left.first(), right.first()) {
                (Some(Val::Null), _) | (_, Some(Val::Null)) => Val::Null,
                (Some(left), Some(right)) if left == right => Val::Bool(true),
                _ => Val::open(mix(("overlaps", ids(left), ids(right)))),
            },
            _ => Val::open(mix(("overlaps", left.id(), right.id()))),
        }
    }
}

impl Truth {
    fn not_if(self, not: bool) -> Self {
        if not { self.not() } else { self }
    }
}
