//! Single conditions: comparisons, IS, patterns; and what a disjunction of them leaves out.

use std::fmt::Write as _;

use super::super::catalog::{Attribute, Catalog};
use super::super::tree::{Call, Expr, Is, Name, Query, Sign, Value};
use super::Truth;
use super::source::{Scope, Source, SourceKind};
use super::value::{any, constant, holds, mirrored, never_negative, order, simple};

/// Operators that hold between a value and itself (LIKE and regular expressions but for the rare wildcard in the value).
const REFLEXIVE: [&str; 13] = ["@>", "<@", "&&", "like", "ilike", "similar", "~~", "~~*", "^@", "~=", "*=", "*<=", "*>="];

/// Qualifies a column of the target that was resolved outside the query it now stands in.
pub(super) const OUTER: &str = "\0";

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The target's column of this name.
    Target(String),
    /// A column of the source at this place.
    Source(usize, String),
    /// Not known.
    Elsewhere,
}

/// The target of a statement and what stands beside it.
pub(super) struct Judge<'e> {
    /// What is known of the database.
    pub(super) catalog: &'e Catalog,
    /// The queries of WITH.
    pub(super) ctes: &'e [Scope<'e>],
    /// The target's name.
    pub(super) name: &'e [String],
    /// Its alias.
    alias: &'e str,
    /// What stands beside it.
    pub(super) sources: Vec<Source<'e>>,
    /// Columns of sources that are columns of a copy of the target: source, its column, the target's.
    pub(super) copies: Vec<(usize, String, String)>,
    /// The first source of the innermost query.
    pub(super) inner_from: usize,
    /// How deep in subqueries.
    pub(super) depth: usize,
}

impl<'e> Judge<'e> {
    /// Only the target.
    pub(super) fn new(catalog: &'e Catalog, ctes: &'e [Scope<'e>], name: &'e [String], alias: Option<&'e str>) -> Self {
        let alias = alias.or(name.last().map(String::as_str)).unwrap_or_default();
        Self { catalog, ctes, name, alias, sources: Vec::new(), copies: Vec::new(), inner_from: 0, depth: 0 }
    }

    /// The same for a subquery, whose own sources come first.
    pub(super) fn within(&self) -> Judge<'_> {
        Judge {
            catalog: self.catalog,
            ctes: self.ctes,
            name: self.name,
            alias: self.alias,
            sources: self.sources.clone(),
            copies: self.copies.clone(),
            inner_from: self.sources.len(),
            depth: self.depth + 1,
        }
    }

    /// The target's attribute of this name, if the catalog knows just one relation for it.
    pub(super) fn attribute(&self, column: &str) -> Option<&'e Attribute> {
        let relations = self.relations(self.name);
        let mut found = relations.iter().map(|relation| relation.columns.iter().find(|attribute| attribute.name == column));
        let first = found.next()??;
        found
            .all(|other| other.is_some_and(|other| other.not_null == first.not_null && other.type_oid == first.type_oid))
            .then_some(first)
    }

    /// Whether a relation of this name has the column; `None` if it is not known.
    fn has(&self, name: &[String], column: &str) -> Option<bool> {
        let relations = self.relations(name);
        if relations.is_empty() {
            return None;
        }
        let count = relations.iter().filter(|relation| relation.columns.iter().any(|known| known.name == column)).count();
        if count == relations.len() {
            Some(true)
        } else if count == 0 {
            Some(false)
        } else {
            None
        }
    }

    fn source_has(&self, source: &Source<'_>, column: &str) -> Option<bool> {
        if source.columns.iter().any(|known| known == column) || source.alias == column {
            return Some(true);
        }
        match source.kind {
            SourceKind::Relation(name) if source.columns.is_empty() => self.has(name, column),
            SourceKind::Query(query) => super::source::outputs(query).map(|names| names.contains(&column)),
            SourceKind::Unknown if !source.columns.is_empty() => Some(false),
            SourceKind::Relation(_) | SourceKind::Unknown => None,
        }
    }

    /// Where a column comes from: the innermost query's sources first.
    pub(super) fn place(&self, name: &[String]) -> Place {
        match name {
            [] => Place::Elsewhere,
            [column] => self.place_bare(column),
            [.., qualifier, column] => self.place_qualified(qualifier, column),
        }
    }

    fn place_qualified(&self, qualifier: &str, column: &str) -> Place {
        if qualifier == OUTER {
            return Place::Target(column.to_owned());
        }
        let by_alias =
            |from: usize, to: usize| (from..to).find(|at| self.sources.get(*at).is_some_and(|source| source.alias == qualifier));
        let found = by_alias(self.inner_from, self.sources.len());
        if let Some(at) = found {
            return Place::Source(at, column.to_owned());
        }
        if qualifier == self.alias {
            return Place::Target(column.to_owned());
        }
        by_alias(0, self.inner_from).map_or(Place::Elsewhere, |at| Place::Source(at, column.to_owned()))
    }

    fn place_bare(&self, column: &str) -> Place {
        let mut doubtful = None;
        let own = if self.inner_from > 0 || self.depth > 0 { self.inner_from } else { self.sources.len() };
        for (at, source) in self.sources.iter().enumerate().skip(own) {
            match self.source_has(source, column) {
                Some(true) => return Place::Source(at, column.to_owned()),
                None => doubtful = Some(at),
                Some(false) => {}
            }
        }
        if let Some(at) = doubtful {
            return Place::Source(at, column.to_owned());
        }
        let target = if is_system(column) || column == self.alias { Some(true) } else { self.has(self.name, column) };
        let beside = self.sources.iter().take(own).position(|source| self.source_has(source, column) == Some(true));
        match (target, beside) {
            (Some(true), _) | (None, None) => Place::Target(column.to_owned()),
            (_, Some(at)) => Place::Source(at, column.to_owned()),
            (Some(false), None) => Place::Elsewhere,
        }
    }

    /// The target's column behind a name, copies included.
    pub(super) fn target_column(&self, name: &[String]) -> Option<String> {
        match self.place(name) {
            Place::Target(column) => Some(column),
            Place::Source(at, column) => self.copied(at, &column),
            Place::Elsewhere => None,
        }
    }

    fn copied(&self, at: usize, column: &str) -> Option<String> {
        if let Some((.., own)) = self.copies.iter().find(|(source, known, _)| *source == at && known == column) {
            return Some(own.clone());
        }
        let whole = self.copies.iter().any(|(source, ..)| *source == at)
            && matches!(self.sources.get(at).map(|source| source.kind), Some(SourceKind::Relation(_)));
        whole.then(|| column.to_owned())
    }

    /// True if a column of the target, or of a copy of it, is in an expression.
    pub(super) fn mentions(&self, expr: &Expr) -> bool {
        any(expr, &mut |part| match part {
            // Alike in every row of a table.
            Expr::Column(name) if name.last().is_some_and(|last| last == "tableoid") => false,
            Expr::Column(name) => self.regards_column(name),
            Expr::Star(name) => name.last().is_some_and(|last| last == self.alias),
            Expr::Query(query) | Expr::Exists(query) | Expr::ArrayQuery(query) | Expr::InQuery(_, query, _) => {
                self.mentions_query(query)
            }
            _ => false,
        })
    }

    fn regards_column(&self, name: &Name) -> bool {
        match self.place(name) {
            Place::Target(_) => true,
            Place::Source(at, _) => self.copies.iter().any(|(source, ..)| *source == at),
            Place::Elsewhere => false,
        }
    }

    /// True if a column of the target is in a subquery.
    pub(super) fn mentions_query(&self, query: &Query) -> bool {
        if self.depth > super::source::LOOK_DEPTH_MAX {
            return false;
        }
        let mut judge = self.within();
        let mut last: Option<&[super::super::tree::From]> = None;
        for (froms, expr) in super::source::expressions(query) {
            if last.is_none_or(|last| !std::ptr::eq(last, froms)) {
                judge.sources.truncate(judge.inner_from);
                judge.add(froms, &mut Vec::new());
                last = Some(froms);
            }
            if judge.sources.len() <= super::source::SOURCES_MAX && judge.mentions(expr) {
                return true;
            }
        }
        false
    }

    /// The expression with the target's columns marked as such, to stand inside a subquery.
    pub(super) fn outer(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Column(name) => match self.target_column(&name) {
                Some(column) => Expr::Column(vec![OUTER.to_owned(), column]),
                None => Expr::Column(vec![format!("{OUTER}{OUTER}"), name.join(".")]),
            },
            Expr::Cast(inner, types) => Expr::Cast(Box::new(self.outer(*inner)), types),
            Expr::Chain(signs, args) => Expr::Chain(signs, args.into_iter().map(|arg| self.outer(arg)).collect()),
            Expr::Call(mut call) => {
                call.args = call.args.into_iter().map(|arg| self.outer(arg)).collect();
                Expr::Call(call)
            }
            Expr::Collate(inner) => Expr::Collate(Box::new(self.outer(*inner))),
            other => other,
        }
    }

    /// A form in which the same expression over the target is written alike.
    pub(super) fn key(&self, expr: &Expr) -> String {
        let mut key = String::new();
        self.write(simple(expr), &mut key);
        key
    }

    fn write(&self, expr: &Expr, key: &mut String) {
        let _ = match simple(expr) {
            Expr::Column(name) => match self.target_column(name) {
                Some(column) => write!(key, "T.{column};"),
                None => write!(key, "{:?};", self.place(name)),
            },
            Expr::Cast(inner, types) => {
                self.write(inner, key);
                write!(key, "::{types:?}")
            }
            Expr::Chain(signs, args) => {
                let _ = write!(key, "{signs:?}");
                args.iter().for_each(|arg| self.write(arg, key));
                write!(key, ";")
            }
            Expr::Call(call) => {
                let _ = write!(key, "{:?}(", call.name);
                call.args.iter().for_each(|arg| self.write(arg, key));
                write!(key, ")")
            }
            Expr::Row(list) | Expr::Array(list) => {
                let _ = write!(key, "[");
                list.iter().for_each(|part| self.write(part, key));
                write!(key, "]")
            }
            other => write!(key, "{other:?}"),
        };
    }

    /// A comparison.
    pub(super) fn compare(&mut self, sign: &'static str, left: &Expr, right: &Expr) -> Truth {
        let (left, right) = (simple(left), simple(right));
        if let (Expr::Row(lefts), Expr::Row(rights)) = (left, right)
            && lefts.len() == rights.len()
        {
            return self.compare_rows(sign, lefts, rights);
        }
        if let (Some(left), Some(right)) = (constant(left), constant(right)) {
            return order(&left, &right).map_or(Truth::Other, |order| Truth::of(holds(sign, order)));
        }
        if let (Expr::Value(Value::Null), _) | (_, Expr::Value(Value::Null)) = (left, right) {
            return Truth::Never;
        }
        if let Some(truth) = self.with_boolean(sign, left, right) {
            return truth;
        }
        let (first, second) = (self.mentions(left), self.mentions(right));
        if !first && !second {
            return Truth::Other;
        }
        if let Some(order) = self.known_order(left, right) {
            return Truth::of(holds(sign, order));
        }
        if let Some(truth) = never_negative(sign, left, right) {
            return truth;
        }
        if self.bounded(sign, left, right) {
            return Truth::Always;
        }
        // A row that differs from some row of another relation: nearly every row does.
        if sign == "<>" && (self.is_source(left) || self.is_source(right)) { Truth::Other } else { Truth::Filter }
    }

    /// `greatest(x, y) >= x`, `least(x, y) <= x`.
    fn bounded(&self, sign: &str, left: &Expr, right: &Expr) -> bool {
        let (call, other, sign) = match (left, right) {
            (Expr::Call(call), other) if is_extreme(call) => (call, other, sign),
            (other, Expr::Call(call)) if is_extreme(call) => (call, other, mirrored(sign)),
            _ => return false,
        };
        let greatest = call.name.last().is_some_and(|last| last == "greatest");
        let other = self.key(other);
        sign == (if greatest { ">=" } else { "<=" }) && call.args.iter().any(|arg| self.key(arg) == other)
    }

    /// `condition = true` and the like.
    fn with_boolean(&mut self, sign: &str, left: &Expr, right: &Expr) -> Option<Truth> {
        let (condition, value) = match (left, right) {
            (Expr::Value(Value::Bool(value)), other) | (other, Expr::Value(Value::Bool(value))) => (other, *value),
            _ => return None,
        };
        if matches!(condition, Expr::Column(_)) {
            return None;
        }
        match sign {
            "=" => Some(self.judge(condition, !value)),
            "<>" => Some(self.judge(condition, value)),
            _ => None,
        }
    }

    fn compare_rows(&mut self, sign: &'static str, lefts: &[Expr], rights: &[Expr]) -> Truth {
        let parts: Vec<Truth> = lefts
            .iter()
            .zip(rights)
            .map(|(left, right)| self.compare(if sign == "<>" { "<>" } else { "=" }, left, right))
            .collect();
        match sign {
            "=" => parts.into_iter().fold(Truth::Always, Truth::and),
            "<>" => parts.into_iter().fold(Truth::Never, Truth::or),
            "<=" | ">=" if parts.iter().all(|part| *part == Truth::Always) => Truth::Always,
            "<" | ">" if parts.iter().all(|part| *part == Truth::Always) => Truth::Never,
            _ if lefts.iter().chain(rights).any(|part| self.mentions(part)) => Truth::Filter,
            _ => Truth::Other,
        }
    }

    /// True for a bare column of something else than the target.
    fn is_source(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Column(name) if !self.regards_column(name))
    }

    /// How two expressions of the same column compare: the same one, or with constants added.
    fn known_order(&self, left: &Expr, right: &Expr) -> Option<std::cmp::Ordering> {
        let (left, plus) = self.linear(left);
        let (right, other) = self.linear(right);
        if left == right { plus.partial_cmp(&other) } else { None }
    }

    fn linear(&self, expr: &Expr) -> (String, f64) {
        let expr = simple(expr);
        if let Expr::Chain(signs, args) = expr
            && let ([first, rest @ ..], true) = (args.as_slice(), signs.len() + 1 == args.len())
        {
            if let ([minus], [same]) = (signs.as_slice(), rest)
                && minus.sign == "-"
                && self.key(first) == self.key(same)
            {
                return (String::new(), 0.0);
            }
            let mut plus = 0.0;
            for (sign, arg) in signs.iter().zip(rest) {
                match (sign.sign.as_str(), simple(arg)) {
                    ("+", Expr::Value(Value::Number(number))) => plus += number,
                    ("-", Expr::Value(Value::Number(number))) => plus -= number,
                    _ => return (self.key(expr), 0.0),
                }
            }
            return (self.key(first), plus);
        }
        match expr {
            Expr::Value(Value::Number(number)) => (String::new(), *number),
            other => (self.key(other), 0.0),
        }
    }

    /// IS [NOT] DISTINCT FROM.
    pub(super) fn distinct(&mut self, sides: &(Expr, Expr), same: bool) -> Truth {
        match (simple(&sides.0), simple(&sides.1)) {
            (Expr::Value(Value::Null), other) | (other, Expr::Value(Value::Null)) => self.is(other, Is::Null, !same),
            (left, right) => self.compare(if same { "=" } else { "<>" }, left, right),
        }
    }

    /// IS and IS NOT.
    pub(super) fn is(&mut self, inner: &Expr, what: Is, not: bool) -> Truth {
        match what {
            Is::Null | Is::Unknown => {
                if let Expr::Value(value) = simple(inner) {
                    return Truth::of((*value == Value::Null) != not);
                }
                if self.never_null(inner) {
                    return Truth::of(not);
                }
                if self.always_null(inner) {
                    return Truth::of(!not);
                }
                if self.mentions(inner) { Truth::Filter } else { Truth::Other }
            }
            Is::Bool(value) => {
                let null = matches!(simple(inner), Expr::Value(Value::Null));
                match self.judge(inner, value == not) {
                    _ if null => Truth::of(not),
                    Truth::Never if not && !self.never_null(inner) && !matches!(inner, Expr::Value(_)) => Truth::Filter,
                    truth => truth,
                }
            }
            Is::Form => {
                if self.mentions(inner) {
                    Truth::Filter
                } else {
                    Truth::Other
                }
            }
        }
    }

    /// True for `nullif(x, x)`.
    fn always_null(&self, expr: &Expr) -> bool {
        match simple(expr) {
            Expr::Call(call) if call.name.last().is_some_and(|last| last == "nullif") => match call.args.as_slice() {
                [first, second] => self.key(first) == self.key(second),
                _ => false,
            },
            _ => false,
        }
    }

    /// True if an expression is NULL for no row.
    fn never_null(&self, expr: &Expr) -> bool {
        match simple(expr) {
            Expr::Value(value) => !matches!(value, Value::Null),
            Expr::Column(name) => match self.target_column(name) {
                Some(column) if is_system(&column) => true,
                Some(column) if column == self.alias && self.attribute(&column).is_none() => self.whole_row_never_null(),
                Some(column) => self.attribute(&column).is_some_and(|attribute| attribute.not_null),
                None => false,
            },
            Expr::Is(..) | Expr::Distinct(..) | Expr::Exists(_) | Expr::Array(_) | Expr::ArrayQuery(_) => true,
            Expr::Compare(_, sides) => self.never_null(&sides.0) && self.never_null(&sides.1),
            Expr::And(list) | Expr::Or(list) | Expr::Row(list) => list.iter().all(|part| self.never_null(part)),
            Expr::Not(inner) | Expr::Collate(inner) | Expr::Cast(inner, _) => self.never_null(inner),
            Expr::Between(parts, _) => self.never_null(&parts.0) && self.never_null(&parts.1) && self.never_null(&parts.2),
            Expr::In(left, list, _) => self.never_null(left) && list.iter().all(|part| self.never_null(part)),
            Expr::Chain(signs, args) => signs.iter().all(strict) && args.iter().all(|arg| self.never_null(arg)),
            Expr::Call(call) => match call.name.last().map(String::as_str) {
                Some("coalesce" | "concat" | "greatest" | "least" | "num_nulls" | "num_nonnulls") => {
                    matches!(call.name.last().map(String::as_str), Some("concat" | "num_nulls" | "num_nonnulls"))
                        || call.args.iter().any(|arg| self.never_null(arg))
                }
                Some(
                    "length" | "lower" | "upper" | "abs" | "trim" | "md5" | "char_length" | "octet_length" | "round" | "floor"
                    | "ceil",
                ) => call.args.iter().all(|arg| self.never_null(arg)),
                Some("now" | "random" | "current_date" | "current_timestamp" | "current_user" | "clock_timestamp") => true,
                Some(
                    "pg_typeof" | "concat_ws" | "format" | "json_build_array" | "json_build_object" | "jsonb_build_array"
                    | "jsonb_build_object" | "pg_column_size",
                ) => true,
                // Of a whole row, which is there even where all its columns are NULL.
                Some("to_json" | "to_jsonb" | "row_to_json" | "hashtext" | "hash_record") => {
                    call.args.first().is_some_and(|arg| self.is_whole_row(arg) || self.never_null(arg))
                }
                _ => false,
            },
            Expr::Case(_, branches, otherwise) => {
                otherwise.as_ref().is_some_and(|otherwise| self.never_null(otherwise))
                    && branches.iter().all(|(_, result)| self.never_null(result))
            }
            _ => false,
        }
    }

    fn is_whole_row(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Row(_) => true,
            Expr::Column(name) => {
                self.target_column(name).is_some_and(|column| column == self.alias && self.attribute(&column).is_none())
            }
            _ => false,
        }
    }

    fn whole_row_never_null(&self) -> bool {
        let relations = self.relations(self.name);
        !relations.is_empty() && relations.iter().all(|relation| relation.columns.iter().all(|column| column.not_null))
    }

    /// LIKE and regular expressions that match everything, and operators that hold between a value and itself.
    pub(super) fn pattern(&self, signs: &[Sign], args: &[Expr], not: bool) -> Option<Truth> {
        if let ([sign], [left, right]) = (signs, args)
            && (REFLEXIVE.contains(&sign.sign.as_str()))
            && self.mentions(left)
            && self.key(left) == self.key(right)
        {
            return Some(Truth::of(!not));
        }
        let ([sign], [value, Expr::Value(Value::Text(pattern)), ..]) = (signs, args) else { return None };
        let (matches, not) = match sign.sign.as_str() {
            "like" | "ilike" | "similar" | "~~" | "~~*" => (!pattern.is_empty() && pattern.bytes().all(|byte| byte == b'%'), not),
            "!~~" | "!~~*" => (!pattern.is_empty() && pattern.bytes().all(|byte| byte == b'%'), !not),
            "~" | "~*" => (["", "^", "$", ".*", "^.*", "^.*$", ".*$", "(.*)"].contains(&pattern.as_str()), not),
            "!~" | "!~*" => (["", "^", "$", ".*", "^.*", "^.*$", ".*$", "(.*)"].contains(&pattern.as_str()), !not),
            "^@" => (pattern.is_empty(), not),
            _ => return None,
        };
        (matches && self.mentions(value)).then(|| Truth::of(!not))
    }

    /// True if both sides of OVERLAPS begin with the same.
    pub(super) fn starts_alike(&self, sides: &(Expr, Expr)) -> bool {
        match sides {
            (Expr::Row(left), Expr::Row(right)) => match (left.first(), right.first()) {
                (Some(left), Some(right)) => self.key(left) == self.key(right),
                _ => false,
            },
            _ => false,
        }
    }
}

fn is_extreme(call: &Call) -> bool {
    call.syntax && call.name.last().is_some_and(|last| last == "greatest" || last == "least")
}

fn is_system(column: &str) -> bool {
    ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"].contains(&column)
}

fn strict(sign: &Sign) -> bool {
    ["+", "-", "*", "/", "%", "^", "||", "like", "ilike", "~", "~*", "!~", "!~*", "~~", "~~*"].contains(&sign.sign.as_str())
}
