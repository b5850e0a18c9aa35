//! Types and casts.

use std::rc::Rc;

use super::Tracer;
use super::aside::ANY;
use super::figure::own_name;
use super::value::{Shared, Value};
use crate::sql::catalog::{Catalog, Oid, TypeKind};
use crate::sql::lineage::{Source, Way};
use crate::sql::tree::{Expr, TypeName};

/// `bool`
pub(super) const BOOL: Oid = 16;
/// `numeric`
pub(super) const NUMERIC: Oid = 1700;
/// `float8`
pub(super) const FLOAT: Oid = 701;
/// `text`
pub(super) const TEXT: Oid = 25;
/// `json`
pub(super) const JSON: Oid = 114;
/// `jsonb`
pub(super) const JSONB: Oid = 3802;
/// `anyarray`: an array of whatever.
pub(super) const ARRAY: Oid = 2277;

/// Names and identifiers of types that are fixed in the server.
const FIXED: [(&str, Oid); 26] = [
    ("bool", BOOL),
    ("bytea", 17),
    ("name", 19),
    ("int8", 20),
    ("int2", 21),
    ("int4", 23),
    ("text", TEXT),
    ("oid", 26),
    ("json", JSON),
    ("jsonb", JSONB),
    ("xml", 142),
    ("float4", 700),
    ("float8", 701),
    ("money", 790),
    ("inet", 869),
    ("bpchar", 1042),
    ("varchar", 1043),
    ("date", 1082),
    ("time", 1083),
    ("timestamp", 1114),
    ("timestamptz", 1184),
    ("interval", 1186),
    ("timetz", 1266),
    ("numeric", NUMERIC),
    ("uuid", 2950),
    ("regclass", 2205),
];

/// What may be done with values of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Unknown,
    Bool,
    Text,
    /// Whole numbers by their bytes.
    Whole(u8),
    Number,
    Date,
    Stamp,
    Clock,
    Interval,
    Json,
    Array,
    Other,
}

/// The sort of a type.
pub(super) fn sort(catalog: &Catalog, kind: Oid) -> Sort {
    match catalog.base_type(kind) {
        0 | 705 => Sort::Unknown,
        BOOL => Sort::Bool,
        18 | 19 | TEXT | 1042 | 1043 => Sort::Text,
        21 => Sort::Whole(2),
        23 | 26 => Sort::Whole(4),
        20 => Sort::Whole(8),
        700 | 701 | NUMERIC | 790 => Sort::Number,
        1082 => Sort::Date,
        1114 | 1184 => Sort::Stamp,
        1083 | 1266 => Sort::Clock,
        1186 => Sort::Interval,
        JSON | JSONB => Sort::Json,
        ARRAY | 1009 | 1007 | 1015 | 1016 => Sort::Array,
        base => match catalog.types.get(&base) {
            Some(info) if matches!(info.kind, TypeKind::Array(_)) => Sort::Array,
            Some(info) if info.category == 'S' && matches!(info.kind, TypeKind::Base) => Sort::Text,
            _ => Sort::Other,
        },
    }
}

/// True for json and jsonb.
pub(super) fn is_json(catalog: &Catalog, kind: Oid) -> bool {
    sort(catalog, kind) == Sort::Json
}

/// The type of the elements of an array (0 if not known); none if it is no array.
pub(super) fn element(catalog: &Catalog, kind: Oid) -> Option<Oid> {
    let base = catalog.base_type(kind);
    match catalog.types.get(&base).map(|info| &info.kind) {
        Some(TypeKind::Array(element)) => Some(*element),
        _ => match base {
            1009 => Some(TEXT),
            1007 => Some(23),
            1016 => Some(20),
            1015 => Some(1043),
            ARRAY => Some(0),
            _ => None,
        },
    }
}

/// True for the type `name`, domains over it and arrays of it: texts beside such a value become one, and are cut.
pub(in super::super) fn cuts(catalog: &Catalog, kind: &TypeName) -> bool {
    let one = TypeName { array: false, ..kind.clone() };
    catalog.base_type(by_name(catalog, &one)) == super::value::NAME
}

/// The type of a name; 0 if it may be several or none.
pub(super) fn by_name(catalog: &Catalog, kind: &TypeName) -> Oid {
    let Some(last) = kind.name.last() else { return 0 };
    let name = own_name(last);
    let schema = if kind.name.len() > 1 { kind.name.get(kind.name.len() - 2) } else { None };
    let own = schema.is_none_or(|schema| schema == names_own());
    let fixed = FIXED.iter().find(|(known, _)| *known == name).map(|(_, oid)| *oid).filter(|_| own);
    if kind.array {
        return ARRAY;
    }
    if let Some(oid) = fixed {
        return oid;
    }
    let mut known = catalog.types.values().filter(|info| info.name == name && schema.is_none_or(|schema| info.schema == *schema));
    match (known.next(), known.next()) {
        (Some(only), None) => only.oid,
        _ => 0,
    }
}

fn names_own() -> &'static str {
    crate::sql::names::PG_CATALOG
}

impl<'a> Tracer<'a> {
    /// Casts, the first one first.
    pub(super) fn casts(&mut self, inner: &'a Expr, types: &'a [TypeName]) -> Shared {
        let mut value = self.expr(inner);
        for kind in types {
            value = self.cast(&value, kind);
        }
        value
    }

    fn cast(&mut self, value: &Shared, kind: &TypeName) -> Shared {
        self.work += self.catalog.types.len() / 64;
        let to = by_name(self.catalog, kind);
        let conversions = crate::sql::names::conversions(self.catalog, &kind.name);
        if let Some(first) = conversions.first() {
            let mut through = value.through(&super::functions::title(first), kind.sized.then_some(ANY), to);
            through.functions.extend(conversions);
            through.functions.sort_unstable();
            through.functions.dedup();
            self.fail(value);
            return Rc::new(through);
        }
        if value.is_clean() {
            return Rc::new(Value { small: value.small, ..Value::clean(to) });
        }
        let from = value.kind;
        if to != 0 && !kind.sized && to == from && !kind.array {
            return value.clone();
        }
        let (before, after) = (sort(self.catalog, from), sort(self.catalog, to));
        if !self.cannot_fail(value, before, after, kind, to) {
            self.fail(value);
        }
        self.converted(value, kind, to, before, after)
    }

    fn converted(&self, value: &Shared, kind: &TypeName, to: Oid, before: Sort, after: Sort) -> Shared {
        let whole = matches!(self.catalog.base_type(to), TEXT | 1043 | 1042) && !kind.sized && self.is_unsized(to);
        if before == Sort::Text && whole {
            return Rc::new(value.kept(to));
        }
        if before == Sort::Json && after == Sort::Json {
            return Rc::new(Value { plain: value.plain, ..value.kept(to) });
        }
        let stored = |source: &Source| matches!(source.way, Way::Kept | Way::Part(_));
        if before == Sort::Json && after == Sort::Text && whole && value.sources.iter().any(stored) {
            return Rc::new(value.part(&[], to, false));
        }
        let name = kind.name.last().map_or("", String::as_str);
        let name = format!("::{}{}", own_name(name), if kind.array { "[]" } else { "" });
        let timed = |sort| matches!(sort, Sort::Date | Sort::Stamp);
        let small = if timed(after) { timed(before) && (value.small || value.plain) } else { value.small && !timed(before) };
        let there = value.there && before != Sort::Json;
        Rc::new(Value { small, there, ..value.through(&name, kind.sized.then_some(ANY), to) })
    }

    /// True for a type that carries no length: of a domain it is known only where the type behind it has none.
    fn is_unsized(&self, to: Oid) -> bool {
        let base = self.catalog.base_type(to);
        base == to || base == TEXT
    }

    /// True if no value of the one type lacks a value of the other.
    fn cannot_fail(&self, value: &Value, before: Sort, after: Sort, kind: &TypeName, to: Oid) -> bool {
        let domain = self.catalog.base_type(to) != to;
        if domain {
            return false;
        }
        if after == Sort::Text {
            return true;
        }
        if value.small && matches!(after, Sort::Whole(4 | 8) | Sort::Number) && !kind.sized {
            return true;
        }
        match (before, after) {
            (Sort::Whole(from), Sort::Whole(to)) => from <= to,
            (Sort::Whole(_), Sort::Number | Sort::Bool) | (Sort::Bool, Sort::Whole(_)) => !kind.sized,
            (Sort::Number, Sort::Number) => !kind.sized && to != 700,
            (Sort::Date | Sort::Stamp, Sort::Date | Sort::Stamp) | (Sort::Stamp, Sort::Clock) => true,
            (Sort::Clock, Sort::Clock | Sort::Interval) | (Sort::Interval, Sort::Interval | Sort::Clock) => true,
            (Sort::Json, Sort::Json) => true,
            (Sort::Bool, Sort::Bool) => true,
            _ => false,
        }
    }
}
