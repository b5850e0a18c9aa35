//! INSERT, UPDATE, DELETE and MERGE.

use super::facts::UnknownReason;
use super::reader::{QUERY_LEVELS, Read, Reader};
use super::tree::{Assignment, Change, Expr, Insert, Mass, Merge, Returning, When, With};
use super::{expr, query};

/// What stands behind the name of a column of which a part is assigned.
const PART: &str = "[]";

/// A query or a change of data with its WITH.
pub(super) fn change(reader: &mut Reader<'_>) -> Read<Change> {
    reader.deeper_by(QUERY_LEVELS, |reader| {
        let with = query::with(reader)?;
        if reader.is("insert") {
            return insert(reader, with).map(|insert| Change::Insert(Box::new(insert)));
        } else if reader.is("update") || reader.is("delete") {
            return mass(reader, with).map(|mass| Change::Mass(Box::new(mass)));
        } else if reader.is("merge") {
            return merge(reader, with).map(|merge| Change::Merge(Box::new(merge)));
        }
        let mut query = query::body(reader)?;
        query::attach(&mut query, with)?;
        Ok(Change::Query(query))
    })
}

fn returning(reader: &mut Reader<'_>) -> Read<Returning> {
    let mut returning = Returning::default();
    if !reader.eat("returning") {
        return Ok(returning);
    }
    if reader.is("with") && reader.sign_at(1, "(") {
        reader.at += 2;
        reader.list(|reader| {
            let old = reader.eat("old");
            if !old {
                reader.need("new")?;
            }
            reader.need("as")?;
            let name = Some(reader.name()?);
            if old {
                returning.old = name;
            } else {
                returning.new = name;
            }
            Ok(())
        })?;
        reader.need_sign(")")?;
    }
    returning.items = reader.list(query::item)?;
    Ok(returning)
}

/// Assignments of SET.
fn assignments(reader: &mut Reader<'_>) -> Read<Vec<Assignment>> {
    reader
        .list(|reader| {
            let (mut columns, mut places) = (Vec::new(), Vec::new());
            if reader.eat_sign("(") {
                columns = reader.list(|reader| assigned(reader, &mut places))?;
                reader.need_sign(")")?;
            } else {
                columns.push(assigned(reader, &mut places)?);
            }
            reader.need_sign("=")?;
            let value = expr::expr(reader)?;
            // Where something is put can be read there too.
            Ok(std::iter::once((columns, value)).chain(places.into_iter().map(in_part)).collect::<Vec<_>>())
        })
        .map(|lists| lists.into_iter().flatten().collect())
}

/// What decides the place in a column, as if it were stored there.
fn in_part(place: Expr) -> Assignment {
    (vec![PART.to_owned()], place)
}

/// A column that is assigned, and whatever decides the place in it. A part of a column is no column: it has a name that none has.
fn assigned(reader: &mut Reader<'_>, places: &mut Vec<Expr>) -> Read<String> {
    let mut name = reader.name()?;
    let mut whole = true;
    loop {
        if reader.sign(".") {
            reader.at += 1;
            reader.label()?;
        } else if reader.eat_sign("[") {
            if !reader.sign(":") {
                places.push(expr::expr(reader)?);
            }
            if reader.eat_sign(":") && !reader.sign("]") {
                places.push(expr::expr(reader)?);
            }
            reader.need_sign("]")?;
        } else {
            if !whole {
                name.push_str(PART);
            }
            return Ok(name);
        }
        whole = false;
    }
}

fn insert(reader: &mut Reader<'_>, with: With) -> Read<Insert> {
    reader.need("insert")?;
    reader.need("into")?;
    let mut insert = Insert { with, target: reader.qualified()?, ..Insert::default() };
    if reader.eat("as") {
        insert.alias = Some(reader.name()?);
    }
    if reader.sign("(") && !reader.query_ahead() {
        reader.at += 1;
        let mut places = Vec::new();
        insert.columns = reader.list(|reader| assigned(reader, &mut places))?;
        insert.conflict.append(&mut places);
        reader.need_sign(")")?;
    }
    if reader.eat("overriding") {
        reader.any()?;
        reader.need("value")?;
    }
    if !reader.eat_all(&["default", "values"]) {
        insert.source = Some(query::query(reader)?);
    }
    if reader.eat_all(&["on", "conflict"]) {
        conflict(reader, &mut insert)?;
    }
    insert.returning = returning(reader)?;
    Ok(insert)
}

fn conflict(reader: &mut Reader<'_>, insert: &mut Insert) -> Read<()> {
    if reader.eat_all(&["on", "constraint"]) {
        reader.name()?;
    } else if reader.eat_sign("(") {
        let keys = reader.list(|reader| {
            let key = expr::expr(reader)?;
            if reader.is_name_at(0) {
                reader.qualified()?;
            }
            let _ = reader.eat("asc") || reader.eat("desc");
            Ok(key)
        })?;
        insert.conflict.extend(keys);
        reader.need_sign(")")?;
        if reader.eat("where") {
            insert.conflict.push(expr::expr(reader)?);
        }
    }
    reader.need("do")?;
    if reader.eat("nothing") {
        return Ok(());
    }
    reader.need("update")?;
    reader.need("set")?;
    insert.set = assignments(reader)?;
    if reader.eat("where") {
        insert.conflict.push(expr::expr(reader)?);
    }
    Ok(())
}

/// Alias of a target: what may be one but is not SET, USING or the like.
fn target_alias(reader: &mut Reader<'_>) -> Read<Option<String>> {
    if reader.eat("as") {
        return reader.name().map(Some);
    }
    if reader.is_name_at(0) && !reader.is("set") { reader.name().map(Some) } else { Ok(None) }
}

fn mass(reader: &mut Reader<'_>, with: With) -> Read<Mass> {
    let delete = reader.eat("delete");
    if delete {
        reader.need("from")?;
    } else {
        reader.need("update")?;
    }
    let mut mass = Mass { with, delete, target: reader.relation()?, ..Mass::default() };
    mass.alias = target_alias(reader)?;
    if !delete {
        reader.need("set")?;
        mass.set = assignments(reader)?;
    }
    if reader.eat(if delete { "using" } else { "from" }) {
        mass.from = reader.list(query::from)?;
    }
    if reader.eat("where") {
        mass.condition = Some(expr::expr(reader)?);
    }
    mass.returning = returning(reader)?;
    Ok(mass)
}

fn merge(reader: &mut Reader<'_>, with: With) -> Read<Merge> {
    reader.need("merge")?;
    reader.need("into")?;
    let target = reader.relation()?;
    let alias = target_alias(reader)?;
    reader.need("using")?;
    let source = query::from(reader)?;
    reader.need("on")?;
    let on = expr::expr(reader)?;
    let mut whens = Vec::new();
    while reader.eat("when") {
        whens.push(when(reader)?);
    }
    if whens.is_empty() {
        return Err(UnknownReason::Syntax);
    }
    Ok(Merge { with, target, alias, source, on, whens, returning: returning(reader)? })
}

fn when(reader: &mut Reader<'_>) -> Read<When> {
    let not = reader.eat("not");
    reader.need("matched")?;
    let by_source = reader.eat_all(&["by", "source"]);
    reader.eat_all(&["by", "target"]);
    let condition = if reader.eat("and") { Some(expr::expr(reader)?) } else { None };
    reader.need("then")?;
    let mut when = When { mass: !not || by_source, by_source, condition, set: Vec::new(), columns: Vec::new() };
    if reader.eat_all(&["do", "nothing"]) {
        when.mass = false;
    } else if reader.eat("update") {
        reader.need("set")?;
        when.set = assignments(reader)?;
    } else if reader.eat("insert") {
        let mut places = Vec::new();
        when.columns = if reader.eat_sign("(") {
            let columns = reader.list(|reader| assigned(reader, &mut places))?;
            reader.need_sign(")")?;
            columns
        } else {
            Vec::new()
        };
        if reader.eat("overriding") {
            reader.any()?;
            reader.need("value")?;
        }
        if !reader.eat_all(&["default", "values"]) {
            reader.need("values")?;
            reader.need_sign("(")?;
            when.set = expr::exprs(reader)?.into_iter().map(|value| (Vec::new(), value)).collect();
            reader.need_sign(")")?;
        }
        when.set.extend(places.into_iter().map(in_part));
    } else {
        reader.need("delete")?;
    }
    Ok(when)
}
