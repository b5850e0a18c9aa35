//! What constants say.

use crate::sql::names::PG_CATALOG;
use crate::sql::tree::{Expr, TypeName, Value};

/// Longest text that is read for a time.
const USUAL_BYTES_MAX: usize = 48;

/// The number a constant is.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(Value::Number(number)) => Some(*number),
        Expr::Chain(signs, args) => match (signs.as_slice(), args.as_slice()) {
            ([sign], [only]) if sign.sign == "-" => number(only).map(|number| -number),
            _ => None,
        },
        Expr::Cast(inner, types) if types.iter().all(is_number) => number(inner),
        _ => None,
    }
}

/// The string a constant is, also one with a type that leaves it as it is: one of a length would cut it.
pub(super) fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(Value::Text(text)) => Some(text),
        Expr::Cast(inner, types) if types.iter().all(is_text) => text(inner),
        _ => None,
    }
}

/// True for a text without a letter: whether a value is one tells no more than whether it is there.
pub(super) fn is_empty(expr: &Expr) -> bool {
    text(expr).is_some_and(str::is_empty)
}

/// True for NULL, zero, and words that stand for nothing: what comes before or after one of them tells little, and they cannot be chosen.
pub(super) fn is_void(value: &Value) -> bool {
    const WORDS: [&str; 14] = [
        "",
        "-",
        "--",
        "?",
        "n/a",
        "na",
        "none",
        "null",
        "unknown",
        "other",
        "missing",
        "not recorded",
        "not specified",
        "total",
    ];
    match value {
        Value::Null => true,
        Value::Number(number) => *number == 0.0,
        Value::Text(text) => WORDS.iter().any(|word| text.trim().eq_ignore_ascii_case(word)),
        Value::Bool(_) | Value::Other => false,
    }
}

/// True for a type of which every whole number is a value: its value is then the number written.
fn is_number(kind: &TypeName) -> bool {
    !kind.array && is_one_of(kind, &["int", "integer", "int4", "bigint", "int8", "numeric", "decimal"])
}

/// True for a type that holds every string as it is, or reads it as a document, a path or an array.
fn is_text(kind: &TypeName) -> bool {
    is_one_of(kind, &["text", "varchar", "character varying", "json", "jsonb", "jsonpath"])
}

fn is_one_of(kind: &TypeName, names: &[&str]) -> bool {
    let name = match kind.name.as_slice() {
        [only] => only,
        [schema, name] if schema == PG_CATALOG => name,
        _ => return false,
    };
    !kind.sized && names.contains(&name.as_str())
}

/// True for the text of an interval, a time or a number that is far from the bounds of its type: no number of more than three
/// digits, and no unit longer than a year.
pub(super) fn is_usual_time(text: &str) -> bool {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    let short = text.len() <= USUAL_BYTES_MAX && digits.into_iter().all(|run| run.len() <= 3);
    let long =
        |word: &str| ["c", "dec", "mil", "mill", "inf", "e"].iter().any(|unit| word.to_ascii_lowercase().starts_with(unit));
    short && !text.split(|c: char| !c.is_ascii_alphabetic()).any(long)
}

/// True for a constant, also one with a type.
pub(super) fn is(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Chain(_, args) => matches!(args.as_slice(), [only] if is(only)),
        Expr::Cast(inner, _) => is(inner),
        _ => false,
    }
}

/// A constant as it shows in a step.
pub(super) fn shown(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(Value::Number(number)) => Some(format!("{number}")),
        Expr::Cast(inner, types) if types.iter().all(|kind| !kind.array && is_one_of(kind, &["date"])) => shown(inner),
        other => text(other).map(str::to_owned).or_else(|| number(other).map(|number| format!("{number}"))),
    }
}
