//! Expressions, by the server's precedences (`gram.y`).

use super::call;
use super::facts::UnknownReason;
use super::lex::Kind;
use super::query;
use super::reader::{Read, Reader};
use super::tree::{Call, Expr, Is, Query, Sign, Value};

/// Longest string that is kept to be compared.
const TEXT_BYTES_MAX: usize = 256;
/// Most postfix steps (IS, COLLATE, AT TIME ZONE) on one operand.
const POSTFIX_MAX: usize = 64;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARE: u8 = 5;
const LIKE: u8 = 6;
pub(super) const OTHER: u8 = 7;
const ADD: u8 = 8;
const MULTIPLY: u8 = 9;
const POWER: u8 = 10;
const AT: u8 = 11;
const COLLATE: u8 = 12;
const MINUS: u8 = 13;

/// An expression.
pub(super) fn expr(reader: &mut Reader<'_>) -> Read<Expr> {
    above(reader, 0)
}

/// Expressions with commas between.
pub(super) fn exprs(reader: &mut Reader<'_>) -> Read<Vec<Expr>> {
    reader.list(expr)
}

/// An expression of operators that bind at least as strongly as `power`.
pub(super) fn above(reader: &mut Reader<'_>, power: u8) -> Read<Expr> {
    reader.deeper(|reader| {
        let left = prefix(reader)?;
        infix(reader, left, power)
    })
}

fn prefix(reader: &mut Reader<'_>) -> Read<Expr> {
    if reader.is("not") {
        let mut odd = false;
        while reader.eat("not") {
            odd = !odd;
        }
        let operand = above(reader, NOT)?;
        return Ok(if odd { Expr::Not(Box::new(operand)) } else { operand });
    }
    let short = reader.peek(0).is_some_and(|token| token.kind == Kind::Operator) && !reader.sign("*");
    let long = reader.is("operator") && reader.sign_at(1, "(");
    if !short && !long {
        return primary(reader);
    }
    let mut signs = Vec::new();
    while let Some(sign) = sign(reader)? {
        signs.push(sign);
    }
    let strong = signs.last().is_some_and(|sign| matches!(sign.sign.as_str(), "-" | "+"));
    let operand = above(reader, if strong { MINUS } else { OTHER })?;
    if signs.iter().all(|sign| sign.sign == "+") {
        return Ok(operand);
    }
    Ok(match operand {
        Expr::Value(Value::Number(number)) if signs.iter().all(|sign| sign.sign == "-") => {
            Expr::Value(Value::Number(if signs.len() % 2 == 1 { -number } else { number }))
        }
        operand => Expr::Chain(signs, vec![operand]),
    })
}

/// An operator, also in its long form.
fn sign(reader: &mut Reader<'_>) -> Read<Option<Sign>> {
    let Some(token) = reader.peek(0) else { return Ok(None) };
    if token.kind == Kind::Operator {
        reader.at += 1;
        return Ok(Some(Sign { schema: None, sign: token.raw(reader.text).to_owned() }));
    }
    if !(reader.is("operator") && reader.sign_at(1, "(")) {
        return Ok(None);
    }
    reader.at += 2;
    let mut schema = None;
    while reader.sign_at(1, ".") {
        schema = Some(reader.label()?);
        reader.at += 1;
    }
    let token = reader.any()?;
    if token.kind != Kind::Operator {
        return Err(UnknownReason::Syntax);
    }
    reader.need_sign(")")?;
    Ok(Some(Sign { schema, sign: token.raw(reader.text).to_owned() }))
}

fn power_of(sign: &str) -> u8 {
    match sign {
        "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" => COMPARE,
        "+" | "-" => ADD,
        "*" | "/" | "%" => MULTIPLY,
        "^" => POWER,
        _ => OTHER,
    }
}

fn infix(reader: &mut Reader<'_>, mut left: Expr, power: u8) -> Read<Expr> {
    let mut wraps = 0;
    loop {
        if wraps > POSTFIX_MAX {
            return Err(UnknownReason::Nesting);
        }
        let Some(token) = reader.peek(0) else { return Ok(left) };
        match token.kind {
            Kind::Operator => {
                let strength = power_of(token.raw(reader.text));
                if strength < power.max(1) || (strength == COMPARE && power > COMPARE) {
                    return Ok(left);
                }
                wraps += usize::from(strength == COMPARE);
                left = operator(reader, left, strength)?;
            }
            Kind::Mark if reader.sign("::") => left = casts(reader, left)?,
            Kind::Mark if reader.sign("[") => left = parts(reader, left)?,
            Kind::Word => match word(reader, left, power)? {
                (next, true) => {
                    left = next;
                    wraps += 1;
                    if matches!(left, Expr::And(_) | Expr::Or(_)) {
                        wraps -= 1;
                    }
                }
                (same, false) => return Ok(same),
            },
            _ => return Ok(left),
        }
    }
}

/// An operator and its right side, or ANY and ALL.
fn operator(reader: &mut Reader<'_>, left: Expr, strength: u8) -> Read<Expr> {
    let long = reader.peek(0).is_some_and(|token| token.kind == Kind::Word);
    let Some(sign) = sign(reader)? else { return Err(UnknownReason::Syntax) };
    if reader.is_any(&["any", "some", "all"]) && reader.sign_at(1, "(") {
        return any(reader, left, sign);
    }
    let right = above(reader, strength + 1)?;
    let usual = !long || sign.schema.as_deref() == Some("pg_catalog");
    Ok(match comparison(&sign.sign) {
        Some(compare) if usual => Expr::Compare(compare, Box::new((left, right))),
        _ => chain(left, sign, right, strength),
    })
}

fn comparison(sign: &str) -> Option<&'static str> {
    ["=", "<>", "<", ">", "<=", ">="].into_iter().find(|known| *known == sign).or_else(|| (sign == "!=").then_some("<>"))
}

/// Adds to a chain of the same strength, else begins one.
fn chain(left: Expr, sign: Sign, right: Expr, strength: u8) -> Expr {
    match left {
        Expr::Chain(mut signs, mut args)
            if args.len() == signs.len() + 1 && signs.first().is_some_and(|known| power_of(&known.sign) == strength) =>
        {
            signs.push(sign);
            args.push(right);
            Expr::Chain(signs, args)
        }
        left => Expr::Chain(vec![sign], vec![left, right]),
    }
}

fn any(reader: &mut Reader<'_>, left: Expr, sign: Sign) -> Read<Expr> {
    let all = reader.is("all");
    reader.at += 1;
    let right = match paren(reader)? {
        Paren::Query(query) => Expr::Query(query),
        Paren::List(mut list) if list.len() == 1 => list.pop().unwrap_or(Expr::Parameter(0)),
        Paren::List(_) => return Err(UnknownReason::Syntax),
    };
    Ok(Expr::Any(Box::new((left, right)), sign, all))
}

fn casts(reader: &mut Reader<'_>, left: Expr) -> Read<Expr> {
    let mut types = Vec::new();
    while reader.eat_sign("::") {
        types.push(reader.type_name()?);
    }
    Ok(match left {
        Expr::Cast(inner, mut first) => {
            first.append(&mut types);
            Expr::Cast(inner, first)
        }
        left => Expr::Cast(Box::new(left), types),
    })
}

/// Subscripts and fields.
pub(super) fn parts(reader: &mut Reader<'_>, left: Expr) -> Read<Expr> {
    let (mut subscripts, mut fields) = (Vec::new(), Vec::new());
    loop {
        if reader.eat_sign("[") {
            if !reader.sign(":") && !reader.sign("]") {
                subscripts.push(expr(reader)?);
            }
            if reader.eat_sign(":") && !reader.sign("]") {
                subscripts.push(expr(reader)?);
            }
            reader.need_sign("]")?;
        } else if reader.sign(".") {
            reader.at += 1;
            fields.push(if reader.eat_sign("*") { "*".to_owned() } else { reader.label()? });
        } else if subscripts.is_empty() && fields.is_empty() {
            return Ok(left);
        } else {
            return Ok(Expr::Part(Box::new(left), subscripts, fields));
        }
    }
}

/// An operator that is a word; false if there is none.
fn word(reader: &mut Reader<'_>, left: Expr, power: u8) -> Read<(Expr, bool)> {
    if power <= OR && reader.eat("or") {
        let right = above(reader, OR + 1)?;
        return Ok((joined(left, right, false), true));
    }
    if power <= AND && reader.eat("and") {
        let right = above(reader, AND + 1)?;
        return Ok((joined(left, right, true), true));
    }
    if power <= IS {
        if reader.eat("is") {
            return Ok((is(reader, left)?, true));
        } else if reader.eat("isnull") {
            return Ok((Expr::Is(Box::new(left), Is::Null, false), true));
        } else if reader.eat("notnull") {
            return Ok((Expr::Is(Box::new(left), Is::Null, true), true));
        }
    }
    if power <= LIKE {
        let not = reader.is("not") && ["between", "in", "like", "ilike", "similar"].iter().any(|word| reader.is_at(1, word));
        if not || reader.is_any(&["between", "in", "like", "ilike", "similar", "overlaps"]) {
            reader.at += usize::from(not);
            return Ok((like(reader, left, not)?, true));
        }
    }
    if power <= OTHER && reader.is("operator") && reader.sign_at(1, "(") {
        return Ok((operator(reader, left, OTHER)?, true));
    }
    if power <= AT && reader.is("at") && (reader.is_at(1, "time") || reader.is_at(1, "local")) {
        let call = |args| Call::plain(vec!["timezone".to_owned()], true, args);
        if reader.eat_all(&["at", "local"]) {
            return Ok((Expr::Call(Box::new(call(vec![left]))), true));
        }
        reader.at += 2;
        reader.need("zone")?;
        let zone = above(reader, AT + 1)?;
        return Ok((Expr::Call(Box::new(call(vec![zone, left]))), true));
    }
    if power <= COLLATE && reader.eat("collate") {
        reader.qualified()?;
        return Ok((Expr::Collate(Box::new(left)), true));
    }
    Ok((left, false))
}

fn joined(left: Expr, right: Expr, and: bool) -> Expr {
    let mut all = match (left, and) {
        (Expr::And(list), true) | (Expr::Or(list), false) => list,
        (other, _) => vec![other],
    };
    match (right, and) {
        (Expr::And(mut list), true) | (Expr::Or(mut list), false) => all.append(&mut list),
        (other, _) => all.push(other),
    }
    if and { Expr::And(all) } else { Expr::Or(all) }
}

fn is(reader: &mut Reader<'_>, left: Expr) -> Read<Expr> {
    let not = reader.eat("not");
    if reader.eat_all(&["distinct", "from"]) {
        let right = above(reader, COMPARE)?;
        return Ok(Expr::Distinct(Box::new((left, right)), not));
    }
    let what = match reader.any()?.name(reader.text).as_deref() {
        Some("null") => Is::Null,
        Some("true") => Is::Bool(true),
        Some("false") => Is::Bool(false),
        Some("unknown") => Is::Unknown,
        Some("document" | "normalized") => Is::Form,
        Some("nfc" | "nfd" | "nfkc" | "nfkd") => {
            reader.need("normalized")?;
            Is::Form
        }
        Some("json") => {
            while reader.is_any(&["value", "array", "object", "scalar", "with", "without", "unique", "keys"]) {
                reader.at += 1;
            }
            Is::Form
        }
        _ => return Err(UnknownReason::Syntax),
    };
    Ok(Expr::Is(Box::new(left), what, not))
}

/// BETWEEN, IN, LIKE, ILIKE, SIMILAR TO, OVERLAPS.
fn like(reader: &mut Reader<'_>, left: Expr, not: bool) -> Read<Expr> {
    let word = reader.label()?;
    match word.as_str() {
        "between" => {
            let _ = reader.eat("symmetric") || reader.eat("asymmetric");
            let low = above(reader, OTHER)?;
            reader.need("and")?;
            let high = above(reader, OTHER)?;
            return Ok(Expr::Between(Box::new((left, low, high)), not));
        }
        "in" => {
            return Ok(match paren(reader)? {
                Paren::Query(query) => Expr::InQuery(Box::new(left), query, not),
                Paren::List(list) => Expr::In(Box::new(left), list, not),
            });
        }
        "overlaps" => return Ok(Expr::Overlaps(Box::new((left, above(reader, OTHER)?)))),
        "similar" => reader.need("to")?,
        _ => {}
    }
    let sign = Sign { schema: None, sign: word };
    let test = if reader.is_any(&["any", "some", "all"]) && reader.sign_at(1, "(") {
        any(reader, left, sign)?
    } else {
        let mut args = vec![left, above(reader, OTHER)?];
        if reader.eat("escape") {
            args.push(above(reader, OTHER)?);
        }
        Expr::Chain(vec![sign], args)
    };
    Ok(if not { Expr::Not(Box::new(test)) } else { test })
}

/// What stands in parentheses.
pub(super) enum Paren {
    /// A query.
    Query(Box<Query>),
    /// Expressions, perhaps none.
    List(Vec<Expr>),
}

/// A parenthesis: whether it holds a query shows only behind the parentheses it begins with.
pub(super) fn paren(reader: &mut Reader<'_>) -> Read<Paren> {
    reader.deeper(|reader| {
        reader.need_sign("(")?;
        if reader.eat_sign(")") {
            return Ok(Paren::List(Vec::new()));
        }
        if !reader.sign("(") && reader.query_ahead() {
            return paren_query(reader);
        } else if reader.sign("(") && reader.query_ahead() {
            return paren_paren(reader);
        }
        let list = exprs(reader)?;
        reader.need_sign(")")?;
        Ok(Paren::List(list))
    })
}

fn paren_query(reader: &mut Reader<'_>) -> Read<Paren> {
    let inner = query::query(reader)?;
    reader.need_sign(")")?;
    Ok(Paren::Query(Box::new(inner)))
}

/// A parenthesis that begins with another one before a query.
fn paren_paren(reader: &mut Reader<'_>) -> Read<Paren> {
    let first = match paren(reader)? {
        Paren::Query(inner) if reader.sign(")") => {
            reader.at += 1;
            return Ok(Paren::Query(inner));
        }
        Paren::Query(inner) if query::goes_on(reader) => {
            let whole = query::rest(reader, *inner)?;
            reader.need_sign(")")?;
            return Ok(Paren::Query(Box::new(whole)));
        }
        Paren::Query(inner) => Expr::Query(inner),
        Paren::List(list) => one_or_row(list),
    };
    let first = parts(reader, first)?;
    let mut list = vec![infix(reader, first, 0)?];
    while reader.eat_sign(",") {
        list.push(expr(reader)?);
    }
    reader.need_sign(")")?;
    Ok(Paren::List(list))
}

fn one_or_row(mut list: Vec<Expr>) -> Expr {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        Some(last) => {
            list.push(last);
            Expr::Row(list)
        }
        None => Expr::Row(list),
    }
}

fn primary(reader: &mut Reader<'_>) -> Read<Expr> {
    let token = reader.peek(0).ok_or(UnknownReason::Syntax)?;
    match token.kind {
        Kind::Number => {
            reader.at += 1;
            let value = token.raw(reader.text).parse().map_or(Value::Other, Value::Number);
            Ok(Expr::Value(value))
        }
        Kind::Text | Kind::Backslashed | Kind::Unicode(_) | Kind::Dollar(_) => Ok(Expr::Value(text(reader)?)),
        Kind::Bits => {
            reader.at += 1;
            Ok(Expr::Value(Value::Other))
        }
        Kind::Parameter => {
            reader.at += 1;
            let number = token.raw(reader.text).get(1..).and_then(|number| number.parse().ok()).unwrap_or(0);
            parts(reader, Expr::Parameter(number))
        }
        Kind::Mark if reader.sign("(") => {
            let inner = match paren(reader)? {
                Paren::Query(query) => Expr::Query(query),
                Paren::List(list) if list.is_empty() => return Err(UnknownReason::Syntax),
                Paren::List(list) => one_or_row(list),
            };
            parts(reader, inner)
        }
        Kind::Operator if reader.sign("*") => {
            reader.at += 1;
            Ok(Expr::Star(Vec::new()))
        }
        Kind::Word | Kind::Quoted | Kind::Escaped(_) => call::named(reader),
        Kind::Mark | Kind::Operator => Err(UnknownReason::Syntax),
    }
}

/// A string constant.
pub(super) fn text(reader: &mut Reader<'_>) -> Read<Value> {
    let value = reader.any()?.value(reader.text).ok_or(UnknownReason::Syntax)?;
    Ok(if value.len() > TEXT_BYTES_MAX { Value::Other } else { Value::Text(value.into_owned()) })
}
