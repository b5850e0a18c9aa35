//! Queries: WITH, set operations, SELECT.

use std::rc::Rc;

use super::many::{as_many, is_counted, searched};
use super::scope::{Columns, Level};
use super::value::{Column, Many, Shared, Sum, Value};
use super::{Output, Tracer, constant};
use crate::sql::lineage::{Untraced, Use};
use crate::sql::tree::{Arm, Change, Cte, Expr, Link, Query, Role, Select, Value as Constant, With};

/// Most rounds in which a recursive query's columns are looked at again.
const ROUNDS_MAX: usize = 16;

/// A query of a WITH.
pub(super) struct Known<'a> {
    cte: &'a Cte,
    /// How many queries of WITH it sees, and how many levels.
    sees: (usize, usize),
    state: State,
}

enum State {
    /// Not looked at yet.
    Unread,
    /// Being looked at, with what is known so far.
    Reading(Option<Rc<Vec<Column>>>),
    /// Looked at.
    Read(Output),
}

impl<'a> Tracer<'a> {
    /// Puts the queries of a WITH in.
    pub(super) fn with(&mut self, with: &'a With) {
        let before = self.ctes.len();
        let levels = self.levels.len();
        if with.recursive {
            let sees = (before + with.ctes.len(), levels);
            self.ctes.extend(with.ctes.iter().map(|cte| Known { cte, sees, state: State::Unread }));
            for at in before..self.ctes.len() {
                self.read_cte(at);
            }
            return;
        }
        for cte in &with.ctes {
            let output = self.body_of(cte, None);
            self.ctes.push(Known { cte, sees: (0, 0), state: State::Read(output) });
        }
    }

    /// The columns of the query of WITH that a name stands for.
    pub(super) fn cte(&mut self, name: &str) -> Option<Output> {
        self.work += self.ctes.len() / 8;
        let at = self.ctes.iter().rposition(|known| known.cte.name == name)?;
        self.read_cte(at);
        let known = self.ctes.get(at)?;
        Some(match &known.state {
            State::Unread => Err(Untraced::Bound),
            State::Reading(None) => Err(Untraced::Form),
            State::Reading(Some(columns)) => Ok(columns.clone()),
            State::Read(output) => output.clone(),
        })
    }

    fn read_cte(&mut self, at: usize) {
        let Some(known) = self.ctes.get_mut(at) else { return };
        if !matches!(known.state, State::Unread) {
            return;
        }
        let (cte, (ctes, levels)) = (known.cte, known.sees);
        known.state = State::Reading(None);
        let later = self.ctes.split_off(ctes);
        let inner = self.levels.split_off(levels);
        let output = if self.deeper() {
            let output = self.body_of(cte, Some(at));
            self.shallower();
            output
        } else {
            Err(Untraced::Bound)
        };
        self.ctes.truncate(ctes);
        self.ctes.extend(later);
        self.levels.extend(inner);
        if let Some(known) = self.ctes.get_mut(at) {
            known.state = State::Read(output);
        }
    }

    fn body_of(&mut self, cte: &'a Cte, recursive: Option<usize>) -> Output {
        let before = self.ctes.len();
        let output = match &cte.body {
            Change::Query(query) => self.query_of(query, recursive),
            change => self.change(change),
        };
        self.ctes.truncate(before);
        self.extended(cte, output)
    }

    /// A query's columns under the names its WITH gives them, and those that SEARCH and CYCLE add.
    fn extended(&mut self, cte: &'a Cte, output: Output) -> Output {
        let mut columns = as_named(output?, &cte.columns);
        if !cte.added.is_empty() {
            let value = Rc::new(super::scope::row(Ok(columns.clone())).through("cycle", Some("*"), 0));
            self.asks.ask(Use::Equal, Use::Match, &super::scope::row(Ok(columns.clone())));
            let all = Rc::make_mut(&mut columns);
            all.extend(cte.added.iter().map(|name| Column { name: name.as_str().into(), value: value.clone() }));
        }
        Ok(columns)
    }

    /// A query at any depth.
    pub(super) fn query(&mut self, query: &'a Query) -> Output {
        self.query_of(query, None)
    }

    fn query_of(&mut self, query: &'a Query, recursive: Option<usize>) -> Output {
        if !self.deeper() {
            return Err(Untraced::Bound);
        }
        self.depth += super::QUERY_DEPTH;
        let before = self.ctes.len();
        self.with(&query.with);
        let (output, _) = self.apart(|tracer| tracer.arms(query, recursive));
        for limit in query.limit.iter().chain(&query.offset) {
            let limit = self.expr(limit);
            self.asks.ask(Use::Match, Use::Match, &limit);
        }
        self.ctes.truncate(before);
        self.depth = self.depth.saturating_sub(super::QUERY_DEPTH);
        self.shallower();
        output
    }

    fn arms(&mut self, query: &'a Query, recursive: Option<usize>) -> Output {
        let order: &'a [Expr] = &query.order;
        if let [only] = query.arms.as_slice() {
            return self.arm(only, order);
        }
        let mut output = Err(Untraced::Form);
        let mut gone = false;
        for (at, arm) in query.arms.iter().enumerate() {
            if at == 0 {
                output = self.arm(arm, &[]);
                continue;
            }
            let link = query.links.get(at - 1).copied().unwrap_or(Link { except: false, intersect: false, all: false });
            gone = link.except || (link.intersect && gone);
            output = self.next_arm(arm, output, link, gone, recursive);
        }
        self.order_of_output(order, &output);
        output
    }

    /// One more arm, joined to those before.
    fn next_arm(&mut self, arm: &'a Arm, first: Output, link: Link, gone: bool, recursive: Option<usize>) -> Output {
        let mut known = first;
        for _ in 0..ROUNDS_MAX {
            self.so_far(recursive, &known);
            let right = self.arm(arm, &[]);
            let (Ok(lefts), Ok(rights)) = (&known, &right) else {
                self.compared_unknown(link, &known, &right);
                return known.and(right);
            };
            let union = self.united(lefts, rights, (gone, recursive.is_some()));
            if recursive.is_none() || union == *lefts {
                self.compared(link, lefts, rights);
                return Ok(union);
            }
            known = Ok(union);
        }
        self.asks.lost(Untraced::Bound);
        Err(Untraced::Bound)
    }

    /// Tells a recursive query what is known of itself.
    fn so_far(&mut self, recursive: Option<usize>, known: &Output) {
        let Some(this) = recursive.and_then(|at| self.ctes.get_mut(at)) else { return };
        if let (State::Reading(_), Ok(columns)) = (&this.state, known) {
            let cte = this.cte;
            let mut columns = as_named(columns.clone(), &cte.columns);
            if !cte.added.is_empty() {
                let value = Rc::new(super::scope::row(Ok(columns.clone())));
                let all = Rc::make_mut(&mut columns);
                all.extend(cte.added.iter().map(|name| Column { name: name.as_str().into(), value: value.clone() }));
            }
            this.state = State::Reading(Some(columns));
        }
    }

    fn united(&mut self, lefts: &Rc<Vec<Column>>, rights: &Rc<Vec<Column>>, (gone, recursive): (bool, bool)) -> Rc<Vec<Column>> {
        if gone {
            return lefts.clone();
        }
        let unite = |(at, left): (usize, &Column)| {
            let Some(right) = rights.get(at) else { return left.clone() };
            if left.value == right.value {
                return left.clone();
            }
            let mut sum = Sum::new();
            sum.add(&left.value);
            sum.add(&right.value);
            Column { name: left.name.clone(), value: Rc::new(sum.chosen(self.catalog)) }
        };
        let mut columns: Vec<Column> = lefts.iter().enumerate().map(unite).collect();
        as_many(&mut columns, if recursive { Many::Counted } else { Many::Listed });
        self.work += columns.iter().map(|column| 1 + column.value.sources.len()).sum::<usize>();
        Rc::new(columns)
    }

    /// What comparing the rows of two arms asks.
    fn compared(&mut self, link: Link, lefts: &[Column], rights: &[Column]) {
        if link.all && !link.except && !link.intersect {
            return;
        }
        for (at, left) in lefts.iter().enumerate() {
            let Some(right) = rights.get(at) else { continue };
            let same = left.value.is_one_column() && right.value.is_one_column() && left.value.sources == right.value.sources;
            let counted = is_counted(&left.value) || is_counted(&right.value);
            let how = if same { Use::Group } else { searched(Use::Equal, counted) };
            self.asks.ask(how, Use::Match, &left.value);
            self.asks.ask(how, Use::Match, &right.value);
            if !same && !link.except && !link.intersect {
                self.merged_rows(&left.value, &right.value);
            } else {
                // Rows of one arm that are left over, or stand in both.
                [left, right].into_iter().filter(|one| !one.value.is_one_column()).for_each(|one| self.grouped(&one.value));
            }
        }
    }

    fn compared_unknown(&mut self, link: Link, left: &Output, right: &Output) {
        if link.all && !link.except && !link.intersect {
            return;
        }
        for output in [left, right] {
            match output {
                Ok(columns) => {
                    columns.iter().for_each(|column| self.asks.ask(Use::Order, Use::Match, &column.value));
                }
                Err(why) => self.asks.ask(Use::Match, Use::Match, &Value::untraced(*why)),
            }
        }
    }

    fn arm(&mut self, arm: &'a Arm, order: &'a [Expr]) -> Output {
        let output = match arm {
            Arm::Select(select) => return self.select(select, order),
            Arm::Query(query) if order.is_empty() => return self.query(query),
            Arm::Query(query) => return self.ordered(query, order),
            Arm::Values(rows) => self.rows(rows),
            Arm::Table(from) => {
                let items = self.froms(std::slice::from_ref(from.as_ref()));
                let output = items.first().map_or(Err(Untraced::Form), |item| item.columns.all());
                self.levels.push(Level { items });
                self.order(order, &output);
                self.levels.pop();
                return output;
            }
        };
        self.order_of_output(order, &output);
        output
    }

    /// `(select ..) order by ..`: the order is the inner query's, if it has none of its own.
    fn ordered(&mut self, query: &'a Query, order: &'a [Expr]) -> Output {
        if query.arms.len() > 1 || !query.order.is_empty() {
            let output = self.query(query);
            self.order_of_output(order, &output);
            return output;
        }
        if !self.deeper() {
            return Err(Untraced::Bound);
        }
        let before = self.ctes.len();
        self.with(&query.with);
        let output = query.arms.first().map_or(Err(Untraced::Form), |arm| self.arm(arm, order));
        for limit in query.limit.iter().chain(&query.offset) {
            let limit = self.expr(limit);
            self.asks.ask(Use::Match, Use::Match, &limit);
        }
        self.ctes.truncate(before);
        self.shallower();
        output
    }

    /// VALUES.
    fn rows(&mut self, rows: &'a [Vec<Expr>]) -> Output {
        let width = rows.first().map_or(0, Vec::len);
        let mut sums: Vec<Sum> = (0..width).map(|_| Sum::new()).collect();
        for row in rows {
            for (sum, value) in sums.iter_mut().zip(row) {
                if let Expr::Value(_) | Expr::Parameter(_) = value
                    && self.arguments.is_none()
                {
                    let void = matches!(value, Expr::Value(value) if constant::is_void(value));
                    sum.add(if void { &self.void } else { &self.clean });
                    continue;
                }
                let value = self.expr(value);
                self.work += sum.add(&value);
            }
        }
        let named = |(at, sum): (usize, Sum)| Column {
            name: format!("column{}", at + 1).into(),
            value: Rc::new(sum.chosen(self.catalog)),
        };
        let mut columns: Vec<Column> = sums.into_iter().enumerate().map(named).collect();
        if rows.len() > 1 {
            as_many(&mut columns, Many::Listed);
        }
        Ok(Rc::new(columns))
    }

    fn select(&mut self, select: &'a Select, order: &'a [Expr]) -> Output {
        let items = self.froms(&select.from);
        self.levels.push(Level { items });
        let output = self.items(&select.items);
        select.condition.iter().chain(&select.having).for_each(|condition| self.condition(condition));
        self.groups(&select.group, &output);
        for (role, value) in select.roles.iter().zip(&select.windows) {
            self.window_key(*role, value);
        }
        if select.unique {
            match &output {
                Ok(columns) => columns.iter().for_each(|column| self.grouped(&column.value)),
                Err(why) => self.asks.ask(Use::Match, Use::Match, &Value::untraced(*why)),
            }
        }
        for key in &select.distinct {
            let value = self.key(key, &output, true);
            self.grouped(&value);
        }
        self.order(order, &output);
        self.levels.pop();
        output
    }

    /// The columns of a SELECT or a RETURNING.
    pub(super) fn items(&mut self, items: &'a [(Expr, Option<String>)]) -> Output {
        let mut columns = Vec::with_capacity(items.len());
        let mut unknown = None;
        for (value, alias) in items {
            match self.star(value) {
                Some(Ok(all)) => columns.extend(all),
                Some(Err(why)) => unknown = Some(why),
                None => {
                    let traced = self.shown(value);
                    let name = alias.as_ref().map_or_else(|| self.name(value), String::clone);
                    columns.push(Column { name: name.into(), value: traced });
                }
            }
        }
        unknown.map_or(Ok(Rc::new(columns)), Err)
    }

    /// The columns that a star stands for; none if it is no star.
    pub(super) fn star(&mut self, value: &'a Expr) -> Option<Result<Vec<Column>, Untraced>> {
        match value {
            Expr::Star(name) if name.is_empty() => {
                let level = self.levels.pop()?;
                let columns = self.open_columns(&level.items);
                self.levels.push(level);
                Some(columns)
            }
            Expr::Star(name) => Some(self.columns_of(name).map(|columns| columns.to_vec())),
            Expr::Part(inner, _, fields) if fields.last().is_some_and(|field| field == "*") => {
                let value = self.fields(inner, fields.get(..fields.len() - 1).unwrap_or_default());
                Some(value.row.as_ref().map(|row| row.to_vec()).ok_or(Untraced::Columns))
            }
            _ => None,
        }
    }

    /// The columns of an item by its name.
    fn columns_of(&mut self, name: &[String]) -> Output {
        let found = self.levels.iter().rev().find_map(|level| level.item(name)).map(|item| item.columns.all());
        if let Some(Ok(columns)) = &found {
            self.work += columns.len();
        }
        found.unwrap_or(Err(Untraced::Name))
    }

    fn groups(&mut self, keys: &'a [Expr], output: &Output) {
        for key in keys {
            if let Expr::Row(list) = key {
                if self.deeper() {
                    self.groups(list, output);
                    self.shallower();
                }
                continue;
            }
            let value = self.key(key, output, false);
            self.grouped(&value);
        }
    }

    /// What a key of a window asks.
    pub(super) fn window_key(&mut self, role: Role, key: &'a Expr) {
        let value = self.expr(key);
        match role {
            Role::Partition => self.grouped(&value),
            Role::Order | Role::Within => self.asks.ask(Use::Order, Use::Match, &value),
            Role::Frame | Role::Filter => self.asks.ask(Use::Match, Use::Match, &value),
        }
    }

    fn order(&mut self, order: &'a [Expr], output: &Output) {
        for key in order {
            let value = self.key(key, output, true);
            self.ask_order(&value);
        }
    }

    fn ask_order(&mut self, value: &Value) {
        match &value.row {
            Some(row) => row.iter().for_each(|column| self.asks.ask(Use::Order, Use::Match, &column.value)),
            None => self.asks.ask(Use::Order, Use::Match, value),
        }
    }

    /// ORDER BY behind what has no columns but its output.
    fn order_of_output(&mut self, order: &'a [Expr], output: &Output) {
        if order.is_empty() {
            return;
        }
        let items = vec![super::scope::Item::named(None, output.clone().map_or_else(Columns::Unknown, Columns::Made))];
        self.levels.push(Level { items });
        self.order(order, output);
        self.levels.pop();
    }

    /// A key of ORDER BY, GROUP BY or DISTINCT ON: a place, a name of the output, or an expression.
    fn key(&mut self, key: &'a Expr, output: &Output, output_first: bool) -> Shared {
        match key {
            Expr::Value(Constant::Number(place)) => place_of(*place, output),
            Expr::Column(name) if name.len() == 1 => {
                let [only] = name.as_slice() else { return self.expr(key) };
                let named = self.output(only, output);
                if output_first {
                    return named.unwrap_or_else(|| self.expr(key));
                }
                match self.level_column(only) {
                    Some(value) => value,
                    None => named.unwrap_or_else(|| self.expr(key)),
                }
            }
            _ => self.expr(key),
        }
    }

    fn output(&mut self, name: &str, output: &Output) -> Option<Shared> {
        match output {
            Ok(columns) => {
                self.work += columns.len() / 4;
                let mut known = columns.iter().filter(|column| *column.name == *name);
                let first = known.next()?.value.clone();
                let mut sum = Sum::new();
                sum.add(&first);
                let mut alone = true;
                for other in known {
                    sum.add(&other.value);
                    alone = false;
                }
                Some(if alone { first } else { Rc::new(sum.kept()) })
            }
            Err(why) => Some(Rc::new(Value::untraced(*why))),
        }
    }
}

/// The column of the output that a number stands for.
fn place_of(place: f64, output: &Output) -> Shared {
    let columns = match output {
        Ok(columns) => columns,
        Err(why) => return Rc::new(Value::untraced(*why)),
    };
    let found = columns.iter().zip(1_u32..).find(|(_, at)| (f64::from(*at) - place).abs() < 0.5);
    // The server refuses a place that is none.
    found.map_or_else(|| Rc::new(Value::untraced(Untraced::Absent)), |(column, _)| column.value.clone())
}

/// The same columns under other names; those without one keep theirs.
pub(super) fn as_named(columns: Rc<Vec<Column>>, names: &[String]) -> Rc<Vec<Column>> {
    match super::from::renamed(Columns::Made(columns.clone()), names) {
        Columns::Made(named) => named,
        _ => columns,
    }
}
