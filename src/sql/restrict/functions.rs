//! Functions: some are evaluated, of others is known what they give, the rest is open.

use std::rc::Rc;

use super::super::tree::Call;
use super::document;
use super::eval::Judge;
use super::operate::{DIGEST_LETTERS, filled};
use super::text::texts;
use super::time;
use super::truth::comparing;
use super::value::{Open, Val, ids, mix, order, written};

/// What functions give that are not evaluated: the least and the most, of numbers.
const GIVES: [(&str, f64, f64); 48] = [
    ("abs", 0.0, f64::INFINITY),
    ("acos", 0.0, 4.0),
    ("array_ndims", 1.0, 6.0),
    ("ascii", 0.0, 1_114_111.0),
    ("bit_count", 0.0, f64::INFINITY),
    ("bit_length", 0.0, f64::INFINITY),
    ("cardinality", 0.0, f64::INFINITY),
    ("char_length", 0.0, f64::INFINITY),
    ("character_length", 0.0, f64::INFINITY),
    ("cos", -1.0, 1.0),
    ("count", 0.0, f64::INFINITY),
    ("cume_dist", 0.0, 1.0),
    ("dense_rank", 1.0, f64::INFINITY),
    ("exp", 0.0, f64::INFINITY),
    ("family", 4.0, 6.0),
    ("gcd", 0.0, f64::INFINITY),
    ("json_array_length", 0.0, f64::INFINITY),
    ("jsonb_array_length", 0.0, f64::INFINITY),
    ("lcm", 0.0, f64::INFINITY),
    ("length", 0.0, f64::INFINITY),
    ("levenshtein", 0.0, f64::INFINITY),
    ("masklen", 0.0, 128.0),
    ("min_scale", 0.0, f64::INFINITY),
    ("ntile", 1.0, f64::INFINITY),
    ("num_nonnulls", 0.0, f64::INFINITY),
    ("num_nulls", 0.0, f64::INFINITY),
    ("octet_length", 0.0, f64::INFINITY),
    ("percent_rank", 0.0, 1.0),
    ("pg_backend_pid", 1.0, f64::INFINITY),
    ("pg_column_size", 1.0, f64::INFINITY),
    ("position", 0.0, f64::INFINITY),
    ("random", 0.0, 1.0),
    ("rank", 1.0, f64::INFINITY),
    ("regexp_count", 0.0, f64::INFINITY),
    ("regexp_instr", 0.0, f64::INFINITY),
    ("row_number", 1.0, f64::INFINITY),
    ("scale", 0.0, f64::INFINITY),
    ("sign", -1.0, 1.0),
    ("similarity", 0.0, 1.0),
    ("sin", -1.0, 1.0),
    ("sqrt", 0.0, f64::INFINITY),
    ("strpos", 0.0, f64::INFINITY),
    ("tanh", -1.0, 1.0),
    ("ts_rank", 0.0, f64::INFINITY),
    ("ts_rank_cd", 0.0, f64::INFINITY),
    ("txid_current", 0.0, f64::INFINITY),
    ("width_bucket", 0.0, f64::INFINITY),
    ("word_similarity", 0.0, 1.0),
];

/// Functions that give a text that is not empty.
const FILLED: [&str; 8] = ["quote_literal", "quote_ident", "to_hex", "chr", "version", "sha256", "sha512", "inet_client_addr"];

/// Functions that give something whatever they are given.
const PRESENT: [&str; 25] = [
    "format",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "json_object",
    "json_array",
    "row_to_json",
    "to_json",
    "to_jsonb",
    "now",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "current_timestamp",
    "current_date",
    "current_user",
    "session_user",
    "current_database",
    "gen_random_uuid",
    "to_tsvector",
    "xmlconcat",
    "hashtext",
    "uuid_send",
    "current_catalog",
];

/// Functions of the server that may give NULL for what is not NULL.
const LACKING: [&str; 34] = [
    "array_dims",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_position",
    "array_upper",
    "box_intersect",
    "col_description",
    "current_setting",
    "enum_first",
    "enum_last",
    "format_type",
    "line_interpt",
    "lower",
    "lseg_interpt",
    "makeaclitem",
    "obj_description",
    "parse_ident",
    "path_add",
    "regexp_match",
    "regexp_substr",
    "row_security_active",
    "shobj_description",
    "substr",
    "substring",
    "ts_lexize",
    "txid_status",
    "upper",
    "uuid_extract_timestamp",
    "uuid_extract_version",
    "xpath_table",
    "unnest",
    "to_number",
    "lo_get",
];

/// How the names of more of them begin.
const LACKING_STARTS: [&str; 13] = [
    "pg_",
    "has_",
    "to_reg",
    "json_extract_",
    "jsonb_extract_",
    "json_array_element",
    "jsonb_array_element",
    "json_object_field",
    "jsonb_object_field",
    "jsonb_path_",
    "inet_client",
    "inet_server",
    "close_",
];

/// The fields of a time, and what they may be.
const FIELDS: [(&str, f64, f64); 14] = [
    ("month", 1.0, 12.0),
    ("day", 1.0, 31.0),
    ("hour", 0.0, 23.0),
    ("minute", 0.0, 59.0),
    ("second", 0.0, 60.0),
    ("dow", 0.0, 6.0),
    ("isodow", 1.0, 7.0),
    ("doy", 1.0, 366.0),
    ("week", 1.0, 53.0),
    ("quarter", 1.0, 4.0),
    ("milliseconds", 0.0, 60_000.0),
    ("microseconds", 0.0, 60_000_000.0),
    ("timezone_hour", -16.0, 16.0),
    ("timezone", -58_000.0, 58_000.0),
];

impl<'e> Judge<'e> {
    /// The value of a call.
    pub(super) fn call(&mut self, place: usize, call: &'e Call) -> Val {
        let name = call.name.last().map_or("", String::as_str);
        if self.is_aggregate(call) {
            return self.aggregate(place, call);
        }
        let args = self.values(&call.args);
        if call.window {
            return gives(name, mix(("window", self.text_id(place, call), self.row)), true, 1.0);
        }
        let other = call.name.len() > 1 && call.name.first().is_some_and(|schema| schema != "pg_catalog");
        if other {
            return Val::open(mix((&call.name, ids(&args))));
        }
        let field = call.keyword.as_deref();
        if let Some(value) = nulls_too(name, &args) {
            return value;
        }
        if name == "pg_typeof" {
            // The same for every row.
            return Val::present(mix((name, place)));
        }
        if let Some(value) = document::made(name, &args) {
            return value;
        }
        if name == "quote_nullable" {
            return filled(mix((name, ids(&args))));
        }
        if PRESENT.contains(&name) {
            return Val::present(mix((name, ids(&args))));
        }
        if let Some(sign) = sign_of(name)
            && let [left, right] = args.as_slice()
        {
            let truth = self.compare(place, sign, left, right);
            return truth_value(truth, place);
        }
        if name != "array_append" && name != "array_prepend" && args.iter().any(Val::is_null) {
            return Val::Null;
        }
        if let Some(value) = texts(name, field, &args).or_else(|| numbers(name, &args)).or_else(|| arrays(name, &args)) {
            return value;
        }
        if let Some(value) = times(name, field, &args).or_else(|| self.patterns.replaced(name, &args)) {
            return value;
        }
        let present = args.iter().all(|arg| !matches!(arg, Val::Open(open) if !open.present));
        match gives(name, mix((name, field, ids(&args))), present, 0.0) {
            Val::Open(open) => Val::Open(Open { present: open.present || present && self.is_filled(name), ..open }),
            known => known,
        }
    }

    /// True for the server's own functions that give something whenever they are given something.
    fn is_filled(&self, name: &str) -> bool {
        self.catalog.builtin.contains(name)
            && !self.catalog.functions.contains_key(name)
            && !LACKING.contains(&name)
            && !LACKING_STARTS.iter().any(|start| name.starts_with(start))
    }
}

fn truth_value(truth: super::truth::Truth, place: usize) -> Val {
    use super::truth::Truth;
    match truth {
        Truth::True => Val::Bool(true),
        Truth::False => Val::Bool(false),
        Truth::Null => Val::Null,
        Truth::Maybe => Val::maybe(mix(("maybe", place))),
    }
}

/// What is known of a function's value; a count is at least as given.
pub(super) fn gives(name: &str, id: u64, present: bool, least: f64) -> Val {
    if let Some((_, low, high)) = GIVES.iter().find(|(known, ..)| *known == name) {
        let low = if name == "count" { least } else { *low };
        return between(id, low, *high, present);
    }
    if name == "md5" {
        let low = Some(Rc::new(Val::text("0")));
        return Val::Open(Open { id, low, present, letters: Some(DIGEST_LETTERS), ..Open::default() });
    }
    if FILLED.contains(&name) {
        return filled(id);
    }
    Val::Open(Open { id, ..Open::default() })
}

/// A number between two.
pub(super) fn between(id: u64, low: f64, high: f64, present: bool) -> Val {
    let end = |number: f64| number.is_finite().then(|| Rc::new(Val::Number(number, false)));
    Val::Open(Open { id, low: end(low), high: end(high), present, ..Open::default() })
}

/// The comparison that a function of an operator stands for.
fn sign_of(name: &str) -> Option<&'static str> {
    const TYPES: [&str; 13] = [
        "int48",
        "int84",
        "int4",
        "int8",
        "int2",
        "text",
        "bool",
        "numeric_",
        "date_",
        "float8",
        "bpchar",
        "timestamptz_",
        "timestamp_",
    ];
    let rest = TYPES.iter().find_map(|kind| name.strip_prefix(kind))?;
    comparing(match rest {
        "eq" => "=",
        "ne" => "<>",
        "lt" => "<",
        "le" => "<=",
        "gt" => ">",
        "ge" => ">=",
        _ => return None,
    })
}

/// Functions that know what to do with NULL.
fn nulls_too(name: &str, args: &[Val]) -> Option<Val> {
    let count = |nulls: bool| {
        let open = args.iter().any(|arg| matches!(arg, Val::Open(open) if !open.present));
        let all = i32::try_from(args.iter().filter(|arg| arg.is_null() == nulls).count()).ok()?;
        (!open).then(|| Val::whole(f64::from(all)))
    };
    match name {
        "coalesce" => Some(coalesce(args)),
        "nullif" => match args {
            [left, right] if left.is_null() || right.is_null() => Some(left.clone()),
            [left, right] => match order(left, right) {
                Some(order) => Some(if order.is_eq() { Val::Null } else { left.clone() }),
                None if left.id() == right.id() => Some(Val::Null),
                None => Some(Val::open(mix(("nullif", left.id(), right.id())))),
            },
            _ => None,
        },
        "greatest" | "least" => Some(extreme(args, name == "greatest")),
        _ if name.ends_with("range") && matches!(args.len(), 2 | 3) => range(name, args),
        "num_nulls" => count(true),
        "num_nonnulls" => count(false),
        "concat" => {
            let parts: Option<Vec<String>> = args.iter().filter(|arg| !arg.is_null()).map(written).collect();
            Some(parts.map_or_else(|| Val::present(mix((name, ids(args)))), |parts| Val::text(&parts.concat())))
        }
        "concat_ws" => {
            let (between, rest) = args.split_first()?;
            let parts: Option<Vec<String>> = rest.iter().filter(|arg| !arg.is_null()).map(written).collect();
            match (written(between), parts) {
                (Some(between), Some(parts)) => Some(Val::text(&parts.join(&between))),
                _ => Some(Val::present(mix((name, ids(args))))),
            }
        }
        _ => None,
    }
}

/// `int4range(low, high)` and the like.
fn range(name: &str, args: &[Val]) -> Option<Val> {
    let end = |value: &Val| match value {
        Val::Text(text) if !name.starts_with("int") && !name.starts_with("num") => {
            time::moment(text).map(|at| Val::Time(at, false))
        }
        Val::Open(_) => None,
        known => Some(known.clone()),
    };
    let ends = match args.get(2) {
        None => "[)",
        Some(Val::Text(ends)) => ends,
        Some(_) => return None,
    };
    let (low, high) = (end(args.first()?)?, end(args.get(1)?)?);
    Some(Val::Range(Some(Rc::new((low, high, ends.starts_with('['), ends.ends_with(']'))))))
}

fn coalesce(args: &[Val]) -> Val {
    let mut open = Vec::new();
    for arg in args {
        match arg {
            Val::Null => {}
            Val::Open(known) if !known.present => open.push(arg.clone()),
            known if open.is_empty() => return known.clone(),
            known => {
                open.push(known.clone());
                return Val::present(mix(("coalesce", ids(&open))));
            }
        }
    }
    match open.as_slice() {
        [] => Val::Null,
        [only] => only.clone(),
        _ => Val::open(mix(("coalesce", ids(&open)))),
    }
}

/// The greatest or the least of several values.
pub(super) fn extreme(args: &[Val], greatest: bool) -> Val {
    let mut best: Option<&Val> = None;
    let mut open = false;
    for arg in args {
        match (arg, best) {
            (Val::Null, _) => {}
            (Val::Open(_), _) => open = true,
            (arg, None) => best = Some(arg),
            (arg, Some(known)) => match order(arg, known) {
                Some(order) if order.is_gt() == greatest && order.is_ne() => best = Some(arg),
                Some(_) => {}
                None => open = true,
            },
        }
    }
    let first = args.iter().find(|arg| !arg.is_null());
    match (best, open, first) {
        (_, _, None) => Val::Null,
        (Some(best), false, _) => best.clone(),
        (_, _, Some(first)) if args.iter().all(|arg| arg.is_null() || arg.id() == first.id()) => first.clone(),
        (best, ..) => {
            let end = best.map(|best| Rc::new(best.clone()));
            let (low, high) = if greatest { (end, None) } else { (None, end) };
            Val::Open(Open { id: mix((greatest, ids(args))), low, high, present: best.is_some(), ..Open::default() })
        }
    }
}

pub(super) fn size(count: usize) -> Option<Val> {
    Some(Val::whole(f64::from(u32::try_from(count).ok()?)))
}

fn numbers(name: &str, args: &[Val]) -> Option<Val> {
    let Some(Val::Number(number, whole)) = args.first() else { return None };
    let (number, whole) = (*number, *whole);
    let other = match args.get(1) {
        Some(Val::Number(other, _)) => Some(*other),
        _ => None,
    };
    let (value, whole) = match (name, args.len()) {
        ("abs", 1) => (number.abs(), whole),
        ("sign", 1) => (if number == 0.0 { 0.0 } else { number.signum() }, false),
        ("floor", 1) => (number.floor(), false),
        ("ceil" | "ceiling", 1) => (number.ceil(), false),
        ("round", 1) => (number.round(), false),
        ("trunc", 1) => (number.trunc(), false),
        ("int4" | "int8" | "int2", 1) => (number.round(), true),
        ("numeric" | "float8" | "float4", 1) => (number, false),
        ("sqrt", 1) if number >= 0.0 => (number.sqrt(), false),
        ("mod", 2) if other? != 0.0 => (number % other?, whole),
        ("div", 2) if other? != 0.0 => ((number / other?).trunc(), false),
        ("power" | "pow", 2) => (number.powf(other?), false),
        ("int4pl" | "int8pl", 2) => (number + other?, true),
        ("int4mi" | "int8mi", 2) => (number - other?, true),
        ("int4mul" | "int8mul", 2) => (number * other?, true),
        _ => return None,
    };
    Some(Val::Number(value, whole))
}

fn arrays(name: &str, args: &[Val]) -> Option<Val> {
    match (name, args) {
        ("cardinality", [Val::Array(list)]) => size(list.len()),
        ("array_length" | "array_upper", [Val::Array(list), Val::Number(1.0, _)]) => {
            if list.is_empty() {
                Some(Val::Null)
            } else {
                size(list.len())
            }
        }
        ("array_append", [Val::Array(list), value]) => Some(Val::Array(list.iter().chain([value]).cloned().collect())),
        ("array_prepend", [value, Val::Array(list)]) => Some(Val::Array(std::iter::once(value).chain(list).cloned().collect())),
        ("array_cat", [Val::Array(left), Val::Array(right)]) => Some(Val::Array(left.iter().chain(right).cloned().collect())),
        ("array_position", [Val::Array(list), value]) => {
            let same = |own: &Val| own.id() == value.id() || order(own, value).is_some_and(std::cmp::Ordering::is_eq);
            match list.iter().position(same) {
                Some(at) => size(at + 1),
                None if list.iter().all(|own| order(own, value).is_some()) => Some(Val::Null),
                None => None,
            }
        }
        ("unnest", [Val::Array(list)]) => match list.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn times(name: &str, field: Option<&str>, args: &[Val]) -> Option<Val> {
    let unit = match (name, args) {
        ("age", [left, right]) if left.id() == right.id() => return Some(Val::Span(0.0)),
        ("isfinite", [Val::Time(at, _)]) => return Some(Val::Bool(at.is_finite())),
        ("isfinite", [Val::Span(_)]) => return Some(Val::Bool(true)),
        ("extract", [_]) => field?.to_owned(),
        ("date_part" | "date_trunc", [Val::Text(unit), ..]) => unit.to_ascii_lowercase(),
        _ => return None,
    };
    let at = args.last()?;
    if name == "date_trunc" {
        return match at {
            Val::Time(at, day) if at.is_finite() => time::floor(&unit, *at).map(|floor| Val::Time(floor, *day)),
            _ => None,
        };
    }
    if let Val::Time(at, _) = at
        && let Some(known) = time::field(&unit, *at)
    {
        return Some(Val::Number(known, false));
    }
    let (_, low, high) = FIELDS.iter().find(|(known, ..)| *known == unit)?;
    let present = !matches!(at, Val::Open(open) if !open.present);
    Some(between(mix((name, unit, at.id())), *low, *high, present))
}
