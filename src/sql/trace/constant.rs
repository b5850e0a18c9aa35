//! What constants say.

use crate::sql::tree::{Expr, Value};

/// The number a constant is.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(Value::Number(number)) => Some(*number),
        Expr::Chain(signs, args) => match (signs.as_slice(), args.as_slice()) {
            ([sign], [only]) if sign.sign == "-" => number(only).map(|number| -number),
            _ => None,
        },
        Expr::Cast(inner, _) => number(inner),
        _ => None,
    }
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
        Expr::Value(Value::Text(text)) => Some(text.clone()),
        Expr::Cast(inner, _) => shown(inner),
        other => number(other).map(|number| format!("{number}")),
    }
}
