//! Rows of the target made up from what the catalog knows of its columns and from the constants of the condition.

use std::rc::Rc;

use super::super::catalog::{Attribute, Oid, TypeKind};
use super::super::tree::{Arm, Expr, From, Query, Value};
use super::NULLS_EVERY;
use super::eval::Judge;
use super::look::any;
use super::time::{self, DAY};
use super::value::{self, Val, mix};

/// Most constants of a condition that are taken for values of columns.
const CONSTANTS_MAX: usize = 48;
/// Most expressions of queries that are searched for constants.
const EXPRESSIONS_MAX: usize = 256;
/// Most domains within domains, arrays within arrays.
const TYPES_NESTED_MAX: usize = 8;

/// What a column may hold of which the type is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    Whole,
    Text,
    Bool,
}

/// What a column holds.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Whole numbers between two; true for a key, which counts up from 1.
    Whole(f64, f64, bool),
    Number,
    /// Texts; true for a key, which is not empty.
    Text(bool),
    Uuid,
    Bool,
    /// Times; true for dates.
    Time(bool),
    Span,
    Label(Rc<[String]>),
    Array(Box<Kind>),
    /// Places of rows.
    Place,
    /// Numbers of transactions.
    Transaction,
    /// The one number.
    Zero,
    /// The table's own number; true if rows of several tables are reached.
    Table(bool),
    /// Anything.
    Open,
}

impl<'e> Judge<'e> {
    /// Takes in the constants of conditions, and of the queries in them.
    pub(super) fn collect(&mut self, conditions: &[&'e Expr]) {
        let mut left: Vec<&'e Expr> = conditions.to_vec();
        for _ in 0..EXPRESSIONS_MAX {
            let Some(expr) = left.pop() else { return };
            any(expr, &mut |part| {
                match part {
                    Expr::Value(value) => self.collect_one(value),
                    Expr::Query(query) | Expr::Exists(query) | Expr::ArrayQuery(query) | Expr::InQuery(_, query, _) => {
                        inner(query, &mut left);
                    }
                    _ => {}
                }
                self.constants.len() >= CONSTANTS_MAX
            });
        }
    }

    fn collect_one(&mut self, value: &'e Value) {
        if !matches!(value, Value::Null | Value::Other) && !self.constants.contains(&value) {
            self.constants.push(value);
        }
    }

    /// The target's attribute of this name, if all relations that it may be agree.
    pub(super) fn attribute(&self, column: &str) -> Option<&'e Attribute> {
        let mut found = self.target.iter().map(|relation| relation.columns.iter().find(|known| known.name == column));
        let first = found.next()??;
        found.all(|other| other.is_some_and(|other| other.type_oid == first.type_oid)).then_some(first)
    }

    /// The value that the row at hand has in a column of the target.
    pub(super) fn sample(&mut self, column: &str) -> Val {
        if let Some(known) = self.current.get(column) {
            return self.read(known.clone());
        }
        let value = self.aimed.remove(column).unwrap_or_else(|| self.pick(column));
        self.current.insert(column.to_owned(), value.clone());
        self.read(value)
    }

    /// Notes that a value of the row was read.
    fn read(&mut self, value: Val) -> Val {
        self.met_null |= value.is_null();
        self.reads = mix((self.reads, value.id()));
        value
    }

    fn pick(&mut self, column: &str) -> Val {
        let dice = mix((column, self.row));
        let nullable = !is_system(column) && self.attribute(column).is_none_or(|known| !self.all_not_null(&known.name));
        if nullable && self.row % NULLS_EVERY == NULLS_EVERY - 1 && dice & 1 == 0 {
            return Val::Null;
        }
        let pool = self.pool(column);
        let place = usize::try_from((dice >> 8) % u64::try_from(pool.len().max(1)).unwrap_or(1)).unwrap_or(0);
        pool.get(place).cloned().unwrap_or_else(|| Val::present(mix((column, dice % 7))))
    }

    /// True if some relation that the target may be has the column NOT NULL.
    pub(super) fn all_not_null(&self, column: &str) -> bool {
        self.target.iter().any(|relation| relation.columns.iter().any(|known| known.name == column && known.not_null))
    }

    /// The values that a column is given.
    fn pool(&mut self, column: &str) -> Rc<[Val]> {
        if let Some(pool) = self.pools.get(column) {
            return pool.clone();
        }
        let kind = self.kind(column);
        let mut pool = base(&kind);
        for value in &self.constants {
            near(&kind, value, &mut pool);
        }
        let pool: Rc<[Val]> = pool.into();
        self.pools.insert(column.to_owned(), pool.clone());
        pool
    }

    /// What a column of the target holds.
    pub(super) fn kind(&mut self, column: &str) -> Kind {
        if let Some(known) = self.attribute(column) {
            return self.kind_of(known.type_oid, known.unique && known.not_null, 0);
        }
        match column {
            "ctid" => Kind::Place,
            "xmin" => Kind::Transaction,
            "xmax" | "cmin" | "cmax" => Kind::Zero,
            "tableoid" => Kind::Table(self.has_children()),
            _ => {
                self.met_unknown = true;
                match self.guess {
                    Guess::Whole => Kind::Whole(-2_147_483_648.0, 2_147_483_647.0, false),
                    Guess::Text => Kind::Text(false),
                    Guess::Bool => Kind::Bool,
                }
            }
        }
    }

    /// True if other relations inherit from the target.
    fn has_children(&self) -> bool {
        let all = self.catalog.relations.values();
        let mut parents = all.flat_map(|relation| &relation.parents);
        parents.any(|parent| self.target.iter().any(|target| target.oid == *parent))
    }

    pub(super) fn kind_of(&self, oid: Oid, key: bool, depth: usize) -> Kind {
        let oid = self.catalog.base_type(oid);
        match oid {
            16 => Kind::Bool,
            21 => Kind::Whole(-32_768.0, 32_767.0, key),
            23 => Kind::Whole(-2_147_483_648.0, 2_147_483_647.0, key),
            20 => Kind::Whole(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0, key),
            26 => Kind::Whole(0.0, 4_294_967_295.0, true),
            700 | 701 | 790 | 1700 => Kind::Number,
            18 | 19 | 25 | 1042 | 1043 => Kind::Text(key),
            1082 => Kind::Time(true),
            1114 | 1184 => Kind::Time(false),
            1083 | 1186 => Kind::Span,
            2950 => Kind::Uuid,
            1005 | 1007 | 1016 => Kind::Array(Box::new(self.kind_of(20, false, 1))),
            1009 | 1015 => Kind::Array(Box::new(Kind::Text(false))),
            _ => match self.catalog.types.get(&oid).map(|info| (&info.kind, info.category, info.name.as_str())) {
                Some((TypeKind::Enum(labels), ..)) if !labels.is_empty() => Kind::Label(labels.clone().into()),
                Some((TypeKind::Array(element), ..)) if depth < TYPES_NESTED_MAX => {
                    Kind::Array(Box::new(self.kind_of(*element, false, depth + 1)))
                }
                Some((TypeKind::Base, 'S', _)) | Some((TypeKind::Base, _, "citext")) => Kind::Text(key),
                _ => Kind::Open,
            },
        }
    }
}

/// The expressions that a query's rows depend on.
fn inner<'e>(query: &'e Query, all: &mut Vec<&'e Expr>) {
    for arm in &query.arms {
        match arm {
            Arm::Select(select) => {
                all.extend(select.items.iter().map(|(value, _)| value).chain(&select.condition).chain(&select.having));
                for from in &select.from {
                    match from {
                        From::Query(query, _) => all.extend(within(query)),
                        From::Join(join) => all.extend(&join.inner),
                        From::Relation(..) | From::Functions(..) => {}
                    }
                }
            }
            Arm::Values(rows) => all.extend(rows.iter().flatten()),
            Arm::Query(query) => all.extend(within(query)),
            Arm::Table(_) => {}
        }
    }
}

/// The conditions of a query in FROM, no deeper.
fn within(query: &Query) -> impl Iterator<Item = &Expr> {
    query.arms.iter().filter_map(|arm| match arm {
        Arm::Select(select) => select.condition.as_ref(),
        Arm::Values(_) | Arm::Query(_) | Arm::Table(_) => None,
    })
}

/// True for the columns that every table has.
pub(super) fn is_system(column: &str) -> bool {
    ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"].contains(&column)
}

/// The least and the most that a column of a kind may hold.
pub(super) fn ends(kind: &Kind) -> (Option<Rc<Val>>, Option<Rc<Val>>) {
    match kind {
        Kind::Whole(low, high, key) => {
            (Some(Rc::new(Val::whole(if *key { 1.0 } else { *low }))), Some(Rc::new(Val::whole(*high))))
        }
        _ => (None, None),
    }
}

/// Values that any column of a kind may hold.
fn base(kind: &Kind) -> Vec<Val> {
    let numbers = |all: &[f64], whole: bool| all.iter().map(|number| Val::Number(*number, whole)).collect();
    match kind {
        Kind::Whole(_, _, true) => numbers(&[7.0, 1.0, 2.0, 42.0, 1001.0, 20_011.0], true),
        Kind::Whole(..) => numbers(&[7.0, 1.0, 2.0, 0.0, -3.0, 1001.0, 20_011.0], true),
        Kind::Number => numbers(&[7.25, 1.0, 0.0, -3.5, 250.125, 40_000.0], false),
        Kind::Text(key) => {
            let all = ["amber", "Zinc-9", "q", "lorem ipsum", "caf\u{e9}", "0042", "a.b", ""];
            all.iter().filter(|text| !(*key && text.is_empty())).map(|text| Val::text(text)).collect()
        }
        Kind::Uuid => (1_u8..5).map(|n| Val::text(&format!("{n}f3c{n}a00-9b1{n}-4c2d-8e{n}0-77aa0b1c2d3{n}"))).collect(),
        Kind::Bool => vec![Val::Bool(true), Val::Bool(false)],
        Kind::Time(day) => [19_400.0, 7_000.0, -3_000.0, 20_600.25, 15_000.5]
            .iter()
            .map(|at| Val::Time(if *day { f64::floor(*at) } else { *at } * DAY, *day))
            .collect(),
        Kind::Span => [3_600.0, 0.0, 2.0 * DAY, 45_000.0].iter().map(|length| Val::Span(*length)).collect(),
        Kind::Label(labels) => (0..labels.len().min(64)).map(|at| Val::Label(at, labels.clone())).collect(),
        Kind::Array(element) => {
            let some: Vec<Val> = base(element).into_iter().take(3).collect();
            vec![Val::Array(some.clone()), Val::Array(Vec::new()), Val::Array(some.into_iter().take(1).collect())]
        }
        Kind::Place => numbers(&[1.0, 2.0, 65_539.0, 458_759.0, 65_536.0 * 1_000.0 + 12.0], true),
        Kind::Transaction => numbers(&[731.0, 732.0, 90_001.0, 5_000_000.0], true),
        Kind::Zero => numbers(&[0.0], true),
        Kind::Table(false) => vec![Val::present(mix("table"))],
        Kind::Table(true) => (0..4).map(|at| Val::present(mix(("table", at)))).collect(),
        Kind::Open => (0..5).map(|at| Val::present(mix(("open", at)))).collect(),
    }
}

/// Adds a constant and its neighbours, as far as the kind has them.
fn near(kind: &Kind, value: &Value, pool: &mut Vec<Val>) {
    if let Kind::Array(element) = kind {
        if let Value::Text(text) = value
            && let Some(elements) = value::elements(text)
        {
            pool.push(Val::Array(elements));
        }
        if let Some(value) = fit(element, value) {
            pool.push(Val::Array(vec![value]));
        }
        return;
    }
    let Some(value) = fit(kind, value) else { return };
    let around: Vec<Val> = match (&value, kind) {
        (Val::Number(number, whole), Kind::Whole(..) | Kind::Number) => {
            let half = if *whole { 1.0 } else { 0.5 };
            [-1.0, -half, half, 1.0].iter().map(|step| Val::Number(number + step, *whole)).collect()
        }
        (Val::Time(at, day), _) if at.is_finite() => [-DAY, DAY].iter().map(|step| Val::Time(at + step, *day)).collect(),
        (Val::Span(length), _) => [-60.0, 60.0].iter().map(|step| Val::Span(length + step)).collect(),
        (Val::Text(text), Kind::Text(_)) => {
            let bare: String = text.chars().filter(|c| !matches!(c, '%' | '_' | '\\' | '^' | '$' | '*' | '.')).collect();
            vec![Val::text(&bare), Val::text(&format!("{text}x")), Val::text(&format!("x{bare}x"))]
        }
        _ => Vec::new(),
    };
    pool.push(value);
    pool.extend(around.into_iter().filter(|value| allows(kind, value)));
}

/// A constant as a value of a kind, if it can be one.
pub(super) fn fit(kind: &Kind, value: &Value) -> Option<Val> {
    let value = match (kind, value) {
        (Kind::Whole(..) | Kind::Number | Kind::Place | Kind::Transaction, Value::Number(number)) => {
            Val::Number(*number, !matches!(kind, Kind::Number))
        }
        (Kind::Whole(..) | Kind::Number | Kind::Place | Kind::Transaction, Value::Text(text)) => {
            Val::Number(value::number(text)?, !matches!(kind, Kind::Number))
        }
        (Kind::Text(_) | Kind::Uuid, Value::Text(text)) => Val::text(text),
        (Kind::Bool, Value::Bool(known)) => Val::Bool(*known),
        (Kind::Bool, Value::Text(text)) => Val::Bool(value::boolean(text)?),
        (Kind::Time(day), Value::Text(text)) => Val::Time(time::moment(text)?, *day),
        (Kind::Span, Value::Text(text)) => Val::Span(time::span(text)?),
        (Kind::Label(labels), Value::Text(text)) => Val::Label(labels.iter().position(|label| *label == *text)?, labels.clone()),
        _ => return None,
    };
    allows(kind, &value).then_some(value)
}

/// True if a kind has a value.
pub(super) fn allows(kind: &Kind, value: &Val) -> bool {
    match (kind, value) {
        (Kind::Whole(low, high, key), Val::Number(number, _)) => {
            number.fract() == 0.0 && (if *key { 1.0 } else { *low }..=*high).contains(number)
        }
        (Kind::Place | Kind::Transaction, Val::Number(number, _)) => *number >= 1.0,
        (Kind::Text(true), Val::Text(text)) => !text.is_empty(),
        (Kind::Uuid, Val::Text(text)) => text.len() == 36,
        (Kind::Time(true), Val::Time(at, _)) => !at.is_finite() || at.rem_euclid(DAY) == 0.0,
        _ => true,
    }
}
