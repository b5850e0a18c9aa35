//! What stands beside the target in a condition: other relations, queries, copies of the target.

use super::super::catalog::Relation;
use super::super::tree::{Arm, Change, Cte, Expr, From, Query, Select};
use super::atoms::{Judge, Place};
use super::{Truth, lookup};

/// A query of WITH by its name; none if it is recursive.
pub(in super::super) type Scope<'q> = (&'q str, Option<&'q Cte>);

/// Deepest look into queries within queries.
pub(super) const LOOK_DEPTH_MAX: usize = 12;

/// Most sources beside the target; a statement of more counts as not restricted.
pub(super) const SOURCES_MAX: usize = 64;

/// Something in FROM beside the target.
#[derive(Clone)]
pub(super) struct Source<'e> {
    /// The name its columns can be qualified with.
    pub(super) alias: String,
    /// What it is.
    pub(super) kind: SourceKind<'e>,
    /// Names given to its columns.
    pub(super) columns: Vec<String>,
}

/// What a source is.
#[derive(Clone, Copy)]
pub(super) enum SourceKind<'e> {
    /// A relation by its name.
    Relation(&'e [String]),
    /// A query.
    Query(&'e Query),
    /// Something else.
    Unknown,
}

/// The expression that a query without FROM, WHERE and the like stands for.
pub(super) fn single(query: &Query) -> Option<&Expr> {
    let select = only_select(query)?;
    match select.items.as_slice() {
        [(value, _)] if select.from.is_empty() && select.condition.is_none() && select.having.is_none() => Some(value),
        _ => None,
    }
}

/// The SELECT of a query that has one arm and no LIMIT.
fn only_select(query: &Query) -> Option<&Select> {
    if !query.limit.is_empty() || !query.with.ctes.is_empty() {
        return None;
    }
    match query.arms.as_slice() {
        [Arm::Select(select)] => Some(select),
        [Arm::Query(inner)] => only_select(inner),
        _ => None,
    }
}

impl<'e> Judge<'e> {
    /// Takes items of FROM in, and the conditions of inner joins; true if a USING or NATURAL joins them.
    pub(super) fn add<'f: 'e>(&mut self, from: &'f [From], all: &mut Vec<&'f Expr>) -> bool {
        let mut merged = false;
        for item in from {
            if self.sources.len() > SOURCES_MAX {
                return merged;
            }
            match item {
                From::Relation(name, alias, _) => {
                    let last = name.last().cloned().unwrap_or_default();
                    let cte = if name.len() == 1 { lookup(self.ctes, &last) } else { None };
                    let kind = match cte {
                        Some(Some(Cte { body: Change::Query(query), .. })) => SourceKind::Query(query),
                        Some(_) => SourceKind::Unknown,
                        None => SourceKind::Relation(name),
                    };
                    let mut columns = alias.columns.clone();
                    if let (true, Some(Some(cte))) = (columns.is_empty(), cte) {
                        columns.clone_from(&cte.columns);
                    }
                    self.sources.push(Source { alias: alias.name.clone().unwrap_or(last), kind, columns });
                }
                From::Query(query, alias) => {
                    let columns = alias.columns.clone();
                    self.sources.push(Source {
                        alias: alias.name.clone().unwrap_or_default(),
                        kind: SourceKind::Query(query),
                        columns,
                    });
                }
                From::Functions(_, alias, _) => {
                    let columns = alias.columns.clone();
                    self.sources.push(Source {
                        alias: alias.name.clone().unwrap_or_default(),
                        kind: SourceKind::Unknown,
                        columns,
                    });
                }
                From::Join(join) => {
                    merged |= join.merged | self.add(&join.items, all);
                    join.inner.iter().for_each(|condition| super::conjuncts(condition, all));
                }
            }
        }
        merged
    }

    /// Finds the sources that an equality of the same column makes copies of the target.
    pub(super) fn find_copies(&mut self, conditions: &[&Expr]) {
        let mut pairs: Vec<(&[String], &[String])> = Vec::new();
        for condition in conditions {
            let Expr::Compare("=", sides) = condition else { continue };
            match sides.as_ref() {
                (Expr::Row(lefts), Expr::Row(rights)) => pairs.extend(lefts.iter().zip(rights).filter_map(columns)),
                (left, right) => pairs.extend(columns((left, right))),
            }
        }
        for _ in 0..=self.sources.len().min(LOOK_DEPTH_MAX) {
            let found = pairs.iter().find_map(|(left, right)| self.copy(left, right).or_else(|| self.copy(right, left)));
            let Some(copy) = found else { return };
            self.copies.push(copy);
        }
    }

    /// The source behind `right` if it is the same column of another instance of the target as `left` is.
    fn copy(&self, left: &[String], right: &[String]) -> Option<(usize, String, String)> {
        let column = self.target_column(left)?;
        let Place::Source(at, name) = self.place(right) else { return None };
        if self.copies.iter().any(|(source, ..)| *source == at) {
            return None;
        }
        let source = self.sources.get(at)?;
        let whole = match source.kind {
            SourceKind::Relation(relation) => source.columns.is_empty() && name == column && self.is_target(relation),
            SourceKind::Query(query) => self.gives(query, &source.columns, &name, &column, 0),
            SourceKind::Unknown => false,
        };
        whole.then_some((at, name, column))
    }

    /// True if a query gives every value of the target's column under the name asked for.
    fn gives(&self, query: &'e Query, columns: &[String], asked: &str, column: &str, depth: usize) -> bool {
        if depth > LOOK_DEPTH_MAX {
            return false;
        }
        let table = match query.arms.as_slice() {
            [Arm::Table(from)] if query.limit.is_empty() => Some(from.as_ref()),
            _ => None,
        };
        if let Some(From::Relation(name, ..)) = table {
            return columns.is_empty() && asked == column && self.is_target(name);
        }
        let Some(select) = only_select(query) else { return false };
        if !select.group.is_empty() || select.having.is_some() {
            return false;
        }
        let [From::Relation(name, alias, _)] = select.from.as_slice() else { return false };
        let place = columns.iter().position(|known| known == asked);
        let value = match (place, select.items.as_slice()) {
            (None, [(Expr::Star(_), _)]) if columns.is_empty() => Some(asked),
            (Some(place), items) => items.get(place).and_then(|(value, _)| last_name(value)),
            (None, items) => items.iter().find_map(|(value, label)| {
                let name = last_name(value)?;
                (label.as_deref().unwrap_or(name) == asked).then_some(name)
            }),
        };
        let Some(inner) = value else { return false };
        let last = name.last().map_or("", String::as_str);
        let cte = if name.len() == 1 { lookup(self.ctes, last) } else { None };
        let from_whole = match cte {
            Some(Some(Cte { body: Change::Query(query), columns, .. })) => {
                select.condition.is_none() && self.gives(query, columns, inner, column, depth + 1)
            }
            Some(_) => false,
            None => inner == column && alias.columns.is_empty() && self.is_target(name),
        };
        from_whole
            && select.condition.as_ref().is_none_or(|condition| {
                let mut judge = Judge::new(self.catalog, self.ctes, name, alias.name.as_deref());
                !judge.joined(&[], &[condition]).restricts()
            })
    }

    /// The truth of EXISTS, or of IN if there is a left side.
    pub(super) fn exists(&mut self, query: &Query, left: Option<&Expr>) -> Truth {
        if self.depth >= LOOK_DEPTH_MAX || !query.with.ctes.is_empty() {
            return if self.mentions_query(query) || left.is_some_and(|left| self.mentions(left)) {
                Truth::Filter
            } else {
                Truth::Other
            };
        }
        if let [_, _, ..] = query.arms.as_slice() {
            return self.exists_union(query, left);
        }
        let regards = |judge: &Self| {
            let inside = judge.mentions_query(query) || left.is_some_and(|left| judge.mentions(left));
            if inside { Truth::Filter } else { Truth::Other }
        };
        match query.arms.first() {
            Some(Arm::Query(inner)) if query.limit.is_empty() => self.exists(inner, left),
            Some(Arm::Table(from)) if query.limit.is_empty() => match (left, from.as_ref()) {
                (None, _) => Truth::Other,
                _ => regards(self),
            },
            Some(Arm::Select(select))
                if select.group.is_empty() && select.having.is_none() && (query.limit.is_empty() || left.is_none()) =>
            {
                if left.is_none() && select.from.is_empty() && select.condition.is_none() {
                    return Truth::Always;
                }
                if aggregates(select) {
                    return if left.is_none() { Truth::Always } else { regards(self) };
                }
                let outputs: Vec<&Expr> = select.items.iter().map(|(value, _)| value).collect();
                let pairs = match left {
                    None => Vec::new(),
                    Some(Expr::Row(parts)) if parts.len() == outputs.len() => parts.iter().zip(outputs).collect(),
                    Some(left) if outputs.len() == 1 => outputs.into_iter().map(|output| (left, output)).collect(),
                    Some(_) => return regards(self),
                };
                self.correlated(select, &pairs)
            }
            _ => regards(self),
        }
    }

    fn exists_union(&mut self, query: &Query, left: Option<&Expr>) -> Truth {
        let mut truth = Truth::Never;
        for arm in &query.arms {
            let one = Query { arms: vec![arm.clone()], union: true, ..Query::default() };
            self.depth += 1;
            truth = truth.or(self.exists(&one, left));
            self.depth -= 1;
        }
        match truth {
            Truth::Always | Truth::Other if !query.limit.is_empty() && left.is_some() => Truth::Filter,
            truth if query.union => truth,
            Truth::Always | Truth::Never => {
                if left.is_some_and(|left| self.mentions(left)) {
                    Truth::Filter
                } else {
                    Truth::Other
                }
            }
            truth => truth,
        }
    }

    /// The truth of the WHERE of a subquery together with equalities of its outputs.
    fn correlated(&mut self, select: &Select, pairs: &[(&Expr, &Expr)]) -> Truth {
        let equalities: Vec<Expr> = pairs
            .iter()
            .map(|(left, output)| Expr::Compare("=", Box::new((self.outer((*left).clone()), (*output).clone()))))
            .collect();
        let mut judge = self.within();
        let conditions: Vec<&Expr> = select.condition.iter().chain(&equalities).collect();
        judge.joined(&select.from, &conditions)
    }

    /// True if a name is that of the target.
    pub(super) fn is_target(&self, name: &[String]) -> bool {
        match (name, self.name) {
            ([.., schema, last], [.., own_schema, own_last]) => schema == own_schema && last == own_last,
            _ => name.last() == self.name.last(),
        }
    }

    /// The relations of the catalog that a name may stand for.
    pub(super) fn relations(&self, name: &[String]) -> Vec<&'e Relation> {
        match name {
            [name] => self.catalog.named(name).collect(),
            [.., schema, name] => self.catalog.qualified(schema, name).into_iter().collect(),
            [] => Vec::new(),
        }
    }
}

/// The names of a query's columns; none if they are not known from its text.
pub(super) fn outputs(query: &Query) -> Option<Vec<&str>> {
    match query.arms.first()? {
        Arm::Select(select) => select
            .items
            .iter()
            .map(|(value, label)| match (label, value) {
                (Some(label), _) => Some(label.as_str()),
                (None, Expr::Column(name)) => name.last().map(String::as_str),
                (None, Expr::Call(call)) => call.name.last().map(String::as_str),
                _ => None,
            })
            .collect(),
        Arm::Query(query) => outputs(query),
        Arm::Values(_) | Arm::Table(_) => None,
    }
}

/// The expressions of a query, each with the FROM it stands in; of FROM itself the ON conditions.
pub(super) fn expressions(query: &Query) -> Vec<(&[From], &Expr)> {
    let mut all = Vec::new();
    for arm in &query.arms {
        match arm {
            Arm::Select(select) => {
                let values = select.items.iter().map(|(value, _)| value);
                let rest = select.condition.iter().chain(&select.having).chain(&select.group).chain(&select.distinct);
                all.extend(values.chain(rest).map(|value| (select.from.as_slice(), value)));
                for from in &select.from {
                    from_expressions(from, &select.from, &mut all);
                }
            }
            Arm::Values(rows) => all.extend(rows.iter().flatten().map(|value| (<&[From]>::default(), value))),
            Arm::Query(query) => all.append(&mut expressions(query)),
            Arm::Table(_) => {}
        }
    }
    all
}

fn from_expressions<'q>(from: &'q From, all_from: &'q [From], all: &mut Vec<(&'q [From], &'q Expr)>) {
    match from {
        From::Relation(..) => {}
        From::Query(query, _) => all.append(&mut expressions(query)),
        From::Functions(calls, ..) => all.extend(calls.iter().map(|call| (all_from, call))),
        From::Join(join) => {
            join.items.iter().for_each(|item| from_expressions(item, all_from, all));
            all.extend(join.inner.iter().chain(&join.outer).map(|condition| (all_from, condition)));
        }
    }
}

/// Two columns by their names.
fn columns<'c>((left, right): (&'c Expr, &'c Expr)) -> Option<(&'c [String], &'c [String])> {
    match (left, right) {
        (Expr::Column(left), Expr::Column(right)) => Some((left, right)),
        _ => None,
    }
}

fn last_name(value: &Expr) -> Option<&str> {
    match value {
        Expr::Column(name) => name.last().map(String::as_str),
        _ => None,
    }
}

/// True if a SELECT without GROUP BY gives one row whatever it reads.
fn aggregates(select: &Select) -> bool {
    const AGGREGATES: [&str; 10] =
        ["count", "min", "max", "sum", "avg", "bool_and", "bool_or", "every", "array_agg", "string_agg"];
    select.items.iter().any(|(value, _)| {
        super::value::any(value, &mut |part| matches!(part, Expr::Call(call) if call.name.last().is_some_and(|last| AGGREGATES.contains(&last.as_str()))))
    })
}
