//! Constants, and expressions without what does not change their value.

use super::super::tree::{Expr, Value};
use super::{Truth, boolean};

pub(super) fn mirrored(sign: &str) -> &'static str {
    match sign {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "=" => "=",
        _ => "<>",
    }
}

/// An operator's sign as a constant.
pub(super) fn known(sign: &str) -> Option<&'static str> {
    ["=", "<>", "<", ">", "<=", ">="].into_iter().find(|known| *known == sign)
}

/// The operator that a comparing function stands for.
pub(super) fn function_sign(name: &str) -> Option<&'static str> {
    const TYPES: [&str; 9] = ["int4", "int8", "int2", "text", "bool", "numeric_", "date_", "float8", "bpchar"];
    let rest = TYPES.iter().find_map(|kind| name.strip_prefix(kind))?;
    match rest {
        "eq" => Some("="),
        "ne" => Some("<>"),
        "lt" => Some("<"),
        "le" => Some("<="),
        "gt" => Some(">"),
        "ge" => Some(">="),
        _ => None,
    }
}

/// The expression without what does not change its value.
pub(super) fn simple(expr: &Expr) -> &Expr {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::Collate(inner) => inner,
            Expr::Cast(inner, types)
                if types.iter().all(|kind| widens(kind.name.last().map_or("", String::as_str)) && !kind.array) =>
            {
                inner
            }
            Expr::Query(query) => match super::source::single(query) {
                Some(inner) => inner,
                None => return expr,
            },
            Expr::Chain(signs, args) => match (signs.as_slice(), args.as_slice()) {
                ([sign], [value, Expr::Value(Value::Number(number))]) if neutral(&sign.sign, *number) => value,
                ([sign], [Expr::Value(Value::Number(number)), value])
                    if matches!(sign.sign.as_str(), "+" | "*") && neutral(&sign.sign, *number) =>
                {
                    value
                }
                ([sign], [_, zero @ Expr::Value(Value::Number(number))] | [zero @ Expr::Value(Value::Number(number)), _])
                    if sign.sign == "*" && *number == 0.0 =>
                {
                    zero
                }
                ([sign], [value, Expr::Value(Value::Text(text))]) if sign.sign == "||" && text.is_empty() => value,
                ([sign], [Expr::Value(Value::Text(text)), value]) if sign.sign == "||" && text.is_empty() => value,
                _ => return expr,
            },
            Expr::Call(call) if call.syntax && call.name == ["coalesce"] => match call.args.as_slice() {
                [only] => only,
                _ => return expr,
            },
            other => return other,
        };
    }
}

pub(super) fn neutral(sign: &str, number: f64) -> bool {
    match sign {
        "+" | "-" => number == 0.0,
        "*" | "/" | "^" => number == 1.0,
        _ => false,
    }
}

pub(super) fn widens(kind: &str) -> bool {
    [
        "text",
        "varchar",
        "int",
        "integer",
        "int4",
        "int8",
        "bigint",
        "numeric",
        "decimal",
        "float8",
        "timestamptz",
        "bool",
        "boolean",
    ]
    .contains(&kind)
}

/// The value of an expression of constants alone.
pub(super) fn constant(expr: &Expr) -> Option<Value> {
    match simple(expr) {
        Expr::Value(Value::Null | Value::Other) => None,
        Expr::Value(value) => Some(value.clone()),
        Expr::Chain(signs, args) => {
            let mut numbers = args.iter().map(|arg| match constant(arg) {
                Some(Value::Number(number)) => Some(number),
                _ => None,
            });
            let mut total = numbers.next()??;
            if signs.len() + 1 != args.len() {
                return None;
            }
            for (sign, number) in signs.iter().zip(numbers) {
                total = match sign.sign.as_str() {
                    "+" => total + number?,
                    "-" => total - number?,
                    "*" => total * number?,
                    _ => return None,
                };
            }
            Some(Value::Number(total))
        }
        Expr::Cast(inner, _) => constant(inner),
        _ => None,
    }
}

/// How two constants compare, if that can be said without their types.
pub(super) fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) if left == right => Some(std::cmp::Ordering::Equal),
        (Value::Text(left), Value::Text(right)) => {
            let date = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            if date(left) && date(right) {
                Some(left.cmp(right))
            } else if left < right {
                Some(std::cmp::Ordering::Less)
            } else {
                Some(std::cmp::Ordering::Greater)
            }
        }
        (Value::Text(text), Value::Number(number)) => text.trim().parse::<f64>().ok()?.partial_cmp(number),
        (Value::Number(number), Value::Text(text)) => number.partial_cmp(&text.trim().parse::<f64>().ok()?),
        (Value::Bool(known), other) | (other, Value::Bool(known)) => boolean(other).map(|other| known.cmp(&other)),
        _ => None,
    }
}

pub(super) fn holds(sign: &str, order: std::cmp::Ordering) -> bool {
    match sign {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// `length(x) >= 0` and the like.
pub(super) fn never_negative(sign: &str, left: &Expr, right: &Expr) -> Option<Truth> {
    let (call, number, sign) = match (left, right) {
        (Expr::Call(call), Expr::Value(Value::Number(number))) => (call, *number, sign),
        (Expr::Value(Value::Number(number)), Expr::Call(call)) => (call, *number, mirrored(sign)),
        _ => return None,
    };
    let counts = ["length", "char_length", "octet_length", "abs", "bit_length"].contains(&call.name.last()?.as_str());
    let always = (sign == ">=" && number <= 0.0) || (matches!(sign, ">" | "<>") && number < 0.0);
    (counts && always).then_some(Truth::Always)
}

/// True if the test holds for the expression or a part of it; queries are tested, not entered.
pub(in super::super) fn any(expr: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    match expr {
        Expr::Value(_)
        | Expr::Parameter(_)
        | Expr::Column(_)
        | Expr::Star(_)
        | Expr::Query(_)
        | Expr::Exists(_)
        | Expr::ArrayQuery(_)
        | Expr::CurrentOf(_) => false,
        Expr::Call(call) => call.args.iter().any(|arg| any(arg, test)),
        Expr::Chain(_, args) | Expr::And(args) | Expr::Or(args) | Expr::Row(args) | Expr::Array(args) => {
            args.iter().any(|arg| any(arg, test))
        }
        Expr::Compare(_, sides) | Expr::Distinct(sides, _) | Expr::Any(sides, ..) | Expr::Overlaps(sides) => {
            any(&sides.0, test) || any(&sides.1, test)
        }
        Expr::Not(inner) | Expr::Is(inner, ..) | Expr::Collate(inner) | Expr::Cast(inner, _) | Expr::InQuery(inner, ..) => {
            any(inner, test)
        }
        Expr::In(left, list, _) => any(left, test) || list.iter().any(|item| any(item, test)),
        Expr::Between(parts, _) => any(&parts.0, test) || any(&parts.1, test) || any(&parts.2, test),
        Expr::Case(subject, branches, otherwise) => {
            subject.iter().chain(otherwise).any(|part| any(part, test))
                || branches.iter().any(|(condition, result)| any(condition, test) || any(result, test))
        }
        Expr::Part(inner, subscripts, _) => any(inner, test) || subscripts.iter().any(|part| any(part, test)),
    }
}
