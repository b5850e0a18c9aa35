//! Queries.

use super::change;
use super::expr::{self, Paren};
use super::facts::UnknownReason;
use super::lex::Kind;
use super::reader::{QUERY_LEVELS, Read, Reader};
use super::tree::{Alias, Arm, Cte, Expr, From, Into, Join, Joint, Link, Query, Role, Rows, Select, Side, With};

/// Most queries of one WITH.
const CTES_MAX: usize = 1024;

/// A query with its WITH.
pub(super) fn query(reader: &mut Reader<'_>) -> Read<Query> {
    reader.deeper_by(QUERY_LEVELS, |reader| {
        let with = with(reader)?;
        let mut query = body(reader)?;
        attach(&mut query, with)?;
        Ok(query)
    })
}

/// Puts a WITH before a query: one in parentheses with a WITH of its own becomes an arm.
pub(super) fn attach(query: &mut Query, with: With) -> Read<()> {
    if with.ctes.is_empty() {
        return Ok(());
    }
    if !query.with.ctes.is_empty() {
        let inner = std::mem::take(query);
        query.arms.push(Arm::Query(Box::new(inner)));
        query.union = true;
    }
    query.with = with;
    Ok(())
}

pub(super) fn with(reader: &mut Reader<'_>) -> Read<With> {
    if !reader.eat("with") {
        return Ok(With::default());
    }
    let recursive = reader.eat("recursive");
    let ctes = reader.list(|reader| {
        let name = reader.name()?;
        let columns = reader.columns()?;
        reader.need("as")?;
        reader.eat("not");
        reader.eat("materialized");
        reader.need_sign("(")?;
        let body = change::change(reader)?;
        reader.need_sign(")")?;
        let added = search_and_cycle(reader)?;
        Ok(Cte { name, columns, body, added })
    })?;
    if ctes.len() > CTES_MAX {
        return Err(UnknownReason::Tokens);
    }
    Ok(With { recursive, ctes })
}

/// SEARCH and CYCLE of a recursive query.
fn search_and_cycle(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    let mut added = Vec::new();
    if reader.eat("search") {
        reader.any()?;
        reader.need("first")?;
        reader.need("by")?;
        reader.list(Reader::name)?;
        reader.need("set")?;
        added.push(reader.name()?);
    }
    if reader.eat("cycle") {
        reader.list(Reader::name)?;
        reader.need("set")?;
        added.push(reader.name()?);
        if reader.eat("to") {
            expr::expr(reader)?;
            reader.need("default")?;
            expr::expr(reader)?;
        }
        reader.need("using")?;
        added.push(reader.name()?);
    }
    Ok(added)
}

/// Arms and what follows them.
pub(super) fn body(reader: &mut Reader<'_>) -> Read<Query> {
    let first = arm(reader)?;
    let query = match first {
        Arm::Query(query) if !goes_on(reader) => *query,
        first => rest(reader, Query { arms: vec![first], union: true, ..Query::default() })?,
    };
    Ok(query)
}

/// True if a set operation or a clause behind a query comes next.
pub(super) fn goes_on(reader: &Reader<'_>) -> bool {
    reader.is_any(&["union", "intersect", "except", "order", "limit", "offset", "fetch", "for"])
}

/// What follows the first arm.
pub(super) fn rest(reader: &mut Reader<'_>, first: Query) -> Read<Query> {
    let plain = first.order.is_empty() && !is_cut(&first) && first.with.ctes.is_empty() && first.arms.len() == 1;
    let mut query =
        if plain { first } else { Query { arms: vec![Arm::Query(Box::new(first))], union: true, ..Query::default() } };
    while reader.is_any(&["union", "intersect", "except"]) {
        query.union &= reader.is("union");
        let link = Link { except: reader.is("except"), intersect: reader.is("intersect"), all: false };
        reader.at += 1;
        let all = reader.eat("all");
        let _ = !all && reader.eat("distinct");
        query.links.push(Link { all, ..link });
        query.arms.push(arm(reader)?);
    }
    loop {
        if reader.eat_all(&["order", "by"]) {
            query.order.append(&mut order(reader)?);
        } else if reader.eat("limit") {
            if !reader.eat("all") {
                query.limit.push(expr::expr(reader)?);
            }
        } else if reader.eat("offset") {
            query.offset.push(expr::expr(reader)?);
            let _ = reader.eat("row") || reader.eat("rows");
        } else if reader.eat("fetch") {
            query.limit.push(fetch(reader)?);
        } else if reader.eat("for") {
            locking(reader)?;
        } else {
            return Ok(query);
        }
    }
}

/// True if not all rows of a query are given.
fn is_cut(query: &Query) -> bool {
    !query.limit.is_empty() || !query.offset.is_empty()
}

/// FETCH FIRST n ROWS ONLY.
fn fetch(reader: &mut Reader<'_>) -> Read<Expr> {
    let _ = reader.eat("first") || reader.eat("next");
    let count = if reader.is_any(&["row", "rows"]) { Expr::Value(super::tree::Value::Number(1.0)) } else { expr::expr(reader)? };
    let _ = reader.eat("row") || reader.eat("rows");
    if !reader.eat("only") {
        reader.need("with")?;
        reader.need("ties")?;
    }
    Ok(count)
}

/// FOR UPDATE and the like.
fn locking(reader: &mut Reader<'_>) -> Read<()> {
    if reader.eat_all(&["read", "only"]) {
        return Ok(());
    }
    let known = reader.eat("update")
        || reader.eat("share")
        || reader.eat_all(&["no", "key", "update"])
        || reader.eat_all(&["key", "share"]);
    if !known {
        return Err(UnknownReason::Syntax);
    }
    if reader.eat("of") {
        reader.list(Reader::qualified)?;
    }
    let _ = reader.eat("nowait") || reader.eat_all(&["skip", "locked"]);
    Ok(())
}

/// Expressions of ORDER BY.
pub(super) fn order(reader: &mut Reader<'_>) -> Read<Vec<Expr>> {
    reader.list(|reader| {
        let key = expr::expr(reader)?;
        if reader.eat("using") {
            if reader.eat("operator") {
                reader.skip_parens()?;
            } else {
                reader.any()?;
            }
        }
        let _ = reader.eat("asc") || reader.eat("desc");
        if reader.eat("nulls") {
            reader.any()?;
        }
        Ok(key)
    })
}

fn arm(reader: &mut Reader<'_>) -> Read<Arm> {
    if reader.sign("(") {
        let Paren::Query(query) = expr::paren(reader)? else { return Err(UnknownReason::Syntax) };
        return Ok(Arm::Query(query));
    }
    if reader.eat("values") {
        let rows = reader.list(|reader| {
            reader.need_sign("(")?;
            let row = expr::exprs(reader)?;
            reader.need_sign(")")?;
            Ok(row)
        })?;
        return Ok(Arm::Values(rows));
    }
    if reader.eat("table") {
        return Ok(Arm::Table(Box::new(From::Relation(reader.relation()?, Alias::default(), Vec::new()))));
    }
    reader.need("select")?;
    select(reader).map(|select| Arm::Select(Box::new(select)))
}

fn select(reader: &mut Reader<'_>) -> Read<Select> {
    let mut select = Select::default();
    if !reader.eat("all") && reader.eat("distinct") {
        select.grouped = true;
        if reader.eat("on") {
            reader.need_sign("(")?;
            select.distinct = expr::exprs(reader)?;
            reader.need_sign(")")?;
        } else {
            select.unique = true;
        }
    }
    let ends = [
        "from",
        "into",
        "where",
        "group",
        "having",
        "window",
        "union",
        "intersect",
        "except",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
    ];
    if !reader.done() && !reader.sign(")") && !reader.is_any(&ends) {
        select.items = reader.list(item)?;
    }
    if reader.eat("into") {
        select.into = Some(into(reader)?);
    }
    if reader.eat("from") {
        select.from = reader.list(from)?;
    }
    if reader.eat("where") {
        select.condition = Some(expr::expr(reader)?);
    }
    if reader.eat_all(&["group", "by"]) {
        select.grouped = true;
        let _ = reader.eat("all") || reader.eat("distinct");
        select.group = reader.list(grouping)?;
    }
    if reader.eat("having") {
        select.having = Some(expr::expr(reader)?);
    }
    if reader.eat("window") {
        reader.list(|reader| {
            reader.name()?;
            reader.need("as")?;
            for (role, key) in window(reader)? {
                select.roles.push(role);
                select.windows.push(key);
            }
            Ok(())
        })?;
    }
    Ok(select)
}

fn into(reader: &mut Reader<'_>) -> Read<Into> {
    let _ = reader.eat("global") || reader.eat("local");
    let temporary = reader.eat("temporary") || reader.eat("temp");
    reader.eat("unlogged");
    reader.eat("table");
    Ok(Into { name: reader.qualified()?, temporary })
}

/// A column of a SELECT and its alias.
pub(super) fn item(reader: &mut Reader<'_>) -> Read<(Expr, Option<String>)> {
    let value = expr::expr(reader)?;
    let alias = if reader.eat("as") || reader.is_bare_label() { Some(reader.label()?) } else { None };
    Ok((value, alias))
}

/// One item of GROUP BY.
fn grouping(reader: &mut Reader<'_>) -> Read<Expr> {
    reader.deeper(|reader| {
        let sets =
            reader.eat_all(&["grouping", "sets"]) || (reader.sign_at(1, "(") && (reader.eat("rollup") || reader.eat("cube")));
        if sets {
            reader.need_sign("(")?;
            let items = reader.list(grouping)?;
            reader.need_sign(")")?;
            return Ok(Expr::Row(items));
        }
        if reader.sign("(") && reader.sign_at(1, ")") {
            reader.at += 2;
            return Ok(Expr::Row(Vec::new()));
        }
        expr::expr(reader)
    })
}

/// The parenthesis of OVER and WINDOW.
pub(super) fn window(reader: &mut Reader<'_>) -> Read<Vec<(Role, Expr)>> {
    reader.need_sign("(")?;
    let mut keys = Vec::new();
    let mut add = |role, list: Vec<Expr>| keys.extend(list.into_iter().map(|key| (role, key)));
    if reader.is_name_at(0) && !reader.is_any(&["partition", "range", "rows", "groups"]) {
        reader.at += 1;
    }
    if reader.eat_all(&["partition", "by"]) {
        add(Role::Partition, expr::exprs(reader)?);
    }
    if reader.eat_all(&["order", "by"]) {
        add(Role::Order, order(reader)?);
    }
    if reader.eat("range") || reader.eat("rows") || reader.eat("groups") {
        let between = reader.eat("between");
        add(Role::Frame, bound(reader)?);
        if between {
            reader.need("and")?;
            add(Role::Frame, bound(reader)?);
        }
        if reader.eat("exclude") {
            let _ = reader.eat_all(&["current", "row"])
                || reader.eat_all(&["no", "others"])
                || reader.eat("group")
                || reader.eat("ties");
        }
    }
    reader.need_sign(")")?;
    Ok(keys)
}

/// A bound of a window's frame.
fn bound(reader: &mut Reader<'_>) -> Read<Vec<Expr>> {
    if reader.eat_all(&["current", "row"]) {
        return Ok(Vec::new());
    }
    let keys = if reader.eat("unbounded") { Vec::new() } else { vec![expr::expr(reader)?] };
    if !reader.eat("preceding") {
        reader.need("following")?;
    }
    Ok(keys)
}

/// One item of FROM with the joins behind it.
pub(super) fn from(reader: &mut Reader<'_>) -> Read<From> {
    reader.deeper(|reader| {
        let first = from_one(reader)?;
        joins(reader, first)
    })
}

fn joins(reader: &mut Reader<'_>, first: From) -> Read<From> {
    let mut join = Join { items: vec![first], joints: vec![Joint::Item], ..Join::default() };
    let mut pending = Vec::new();
    loop {
        let natural = reader.eat("natural");
        let cross = !natural && reader.eat("cross");
        let outer = reader.is_any(&["left", "right", "full"]);
        let side = side(reader);
        if outer {
            reader.at += 1;
            reader.eat("outer");
        } else if !cross {
            reader.eat("inner");
        }
        if !reader.eat("join") {
            if natural || cross || outer || !pending.is_empty() {
                return Err(UnknownReason::Syntax);
            }
            break;
        }
        join.items.push(from_one(reader)?);
        join.merged |= natural && !outer;
        join.joints.push(Joint::Item);
        if natural {
            join.joints.push(Joint::Natural(side));
        } else if cross {
            join.joints.push(Joint::Cross);
        } else {
            pending.push((outer, side));
        }
        // `a join b join c on .. on ..`: conditions may come later than their join.
        while reader.is_any(&["on", "using"])
            && let Some((outer, side)) = pending.pop()
        {
            condition(reader, &mut join, outer, side)?;
        }
    }
    Ok(if join.items.len() == 1 { join.items.pop().ok_or(UnknownReason::Syntax)? } else { From::Join(Box::new(join)) })
}

/// Which side the next word keeps whole.
fn side(reader: &Reader<'_>) -> Side {
    if reader.is("full") {
        Side::Both
    } else if reader.is("right") {
        Side::Right
    } else {
        Side::Left
    }
}

fn condition(reader: &mut Reader<'_>, join: &mut Join, outer: bool, side: Side) -> Read<()> {
    if reader.eat("on") {
        let condition = expr::expr(reader)?;
        if outer {
            join.outer.push(condition)
        } else {
            join.inner.push(condition)
        }
        join.joints.push(Joint::On(outer.then_some(side)));
        return Ok(());
    }
    reader.need("using")?;
    let columns = reader.columns()?;
    join.merged |= !outer;
    let alias = if reader.eat("as") { Some(reader.name()?) } else { None };
    join.joints.push(Joint::Using(side, columns, alias));
    Ok(())
}

fn from_one(reader: &mut Reader<'_>) -> Read<From> {
    let lateral = reader.eat("lateral");
    if reader.sign("(") {
        return match from_paren(reader)? {
            From::Query(query, none) if none == Alias::default() => Ok(From::Query(query, Alias { lateral, ..alias(reader)? })),
            From::Join(mut join) => {
                join.alias = alias(reader)?;
                Ok(From::Join(join))
            }
            other => Ok(other),
        };
    }
    if reader.is("rows") && reader.is_at(1, "from") && reader.sign_at(2, "(") {
        reader.at += 3;
        let mut definitions = Vec::new();
        let calls = reader.list(|reader| {
            let call = expr::expr(reader)?;
            definitions.push(if reader.eat("as") { column_definitions(reader)?.columns } else { Vec::new() });
            Ok(call)
        })?;
        reader.need_sign(")")?;
        return functions(reader, calls, definitions);
    }
    if !reader.is("only") && is_call(reader) {
        let call = expr::expr(reader)?;
        return functions(reader, vec![call], Vec::new());
    }
    let name = reader.relation()?;
    let alias = alias(reader)?;
    let mut sample = Vec::new();
    if reader.eat("tablesample") {
        reader.qualified()?;
        reader.need_sign("(")?;
        sample = expr::exprs(reader)?;
        reader.need_sign(")")?;
        if reader.eat("repeatable") {
            sample.push(expr::expr(reader)?);
        }
    }
    Ok(From::Relation(name, alias, sample))
}

fn functions(reader: &mut Reader<'_>, calls: Vec<Expr>, definitions: Vec<Vec<String>>) -> Read<From> {
    let ordinality = reader.eat_all(&["with", "ordinality"]);
    Ok(From::Functions(calls, alias(reader)?, Rows { ordinality, definitions }))
}

/// True if a function is called next, also one the grammar writes without parentheses.
fn is_call(reader: &Reader<'_>) -> bool {
    if reader.is_any(&[
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "current_role",
        "session_user",
        "user",
        "current_catalog",
        "current_schema",
        "cast",
    ]) {
        return true;
    }
    let mut ahead = 1;
    while reader.sign_at(ahead, ".") {
        ahead += 2;
    }
    reader.is_function_at(0) && reader.sign_at(ahead, "(")
}

/// `(query)` without an alias yet, or joined items.
fn from_paren(reader: &mut Reader<'_>) -> Read<From> {
    reader.deeper(|reader| {
        reader.need_sign("(")?;
        if !reader.sign("(") && reader.query_ahead() {
            let inner = query(reader)?;
            reader.need_sign(")")?;
            return Ok(From::Query(Box::new(inner), Alias::default()));
        }
        let first = if reader.sign("(") {
            match from_paren(reader)? {
                From::Query(inner, none) if none == Alias::default() => {
                    if goes_on(reader) {
                        let whole = rest(reader, *inner)?;
                        reader.need_sign(")")?;
                        return Ok(From::Query(Box::new(whole), none));
                    } else if reader.eat_sign(")") {
                        return Ok(From::Query(inner, none));
                    }
                    From::Query(inner, alias(reader)?)
                }
                From::Join(mut join) => {
                    join.alias = alias(reader)?;
                    From::Join(join)
                }
                other => other,
            }
        } else {
            from_one(reader)?
        };
        let joined = joins(reader, first)?;
        reader.need_sign(")")?;
        Ok(joined)
    })
}

/// An alias, its column names or its column definitions.
fn alias(reader: &mut Reader<'_>) -> Read<Alias> {
    let mut alias = Alias::default();
    let written = reader.eat("as");
    if reader.is_name_at(0) {
        alias.name = Some(reader.name()?);
    } else if !(written && reader.sign("(")) {
        return if written { Err(UnknownReason::Syntax) } else { Ok(alias) };
    }
    if reader.sign("(") {
        let named = column_definitions(reader)?;
        (alias.columns, alias.types) = (named.columns, named.types);
    }
    Ok(alias)
}

/// Names of columns in parentheses, perhaps with their types.
fn column_definitions(reader: &mut Reader<'_>) -> Read<Alias> {
    let mut alias = Alias::default();
    reader.need_sign("(")?;
    reader.list(|reader| {
        alias.columns.push(reader.label()?);
        if !reader.sign(",") && !reader.sign(")") {
            alias.types.push(reader.type_name()?);
            if reader.eat("collate") {
                reader.qualified()?;
            }
        }
        Ok(())
    })?;
    reader.need_sign(")")?;
    Ok(alias)
}

/// True if the next token begins a query or a change of data.
pub(super) fn begins(reader: &Reader<'_>) -> bool {
    reader.is_any(&["select", "values", "table", "with", "insert", "update", "delete", "merge"])
        || (reader.peek(0).is_some_and(|token| token.kind == Kind::Mark) && reader.sign("("))
}
