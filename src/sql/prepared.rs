//! Statements that other statements name: PREPARE and EXECUTE, cursors and what is fetched from them.

use super::facts::{Facts, Shift, UnknownReason, Verb};
use super::reader::{Read, Reader};
use super::statement::{Course, changes, followed, skip, walk_alone, with_shift};
use super::walk::Walk;
use super::{expr, query, trace};

pub(super) fn prepare(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let name = reader.name()?;
    let mut kinds = Vec::new();
    if reader.eat_sign("(") {
        kinds = reader.list(Reader::type_name)?;
        reader.need_sign(")")?;
    }
    reader.need("as")?;
    // By the time it is executed, a temporary relation may be gone and another one of its name in its place.
    let later = Course::bare(course.setting);
    let mut inner = changes(&later, reader)?;
    if kinds.iter().any(|kind| trace::cuts(course.setting.catalog, kind)) {
        inner.columns = None;
    }
    Ok(with_shift(Facts::of(Verb::Prepare), Shift::Prepared(name, Box::new(inner))))
}

/// EXECUTE: what any statement of that name does.
pub(super) fn execute(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let name = reader.name()?;
    let mut walk = Walk::new(course.setting, &course.made);
    let mut args = Vec::new();
    if reader.eat_sign("(") {
        args = expr::exprs(reader)?;
        reader.need_sign(")")?;
    }
    args.iter().for_each(|arg| walk_alone(&mut walk, course, arg));
    let traced = trace::values(course.setting.catalog, &course.made, &args);
    let mut facts = walk.facts(Verb::Execute);
    traced.into_facts(&mut facts);
    Ok(united(facts, name.clone(), &course.behind(&name)))
}

/// Facts together with all that a name may stand for; unknown if it stands for nothing.
fn united(mut facts: Facts, name: String, candidates: &[Facts]) -> Facts {
    facts.uses = Some(name);
    if candidates.is_empty() {
        facts.unknown = Some(UnknownReason::Name);
        facts.verbs.insert(Verb::Unknown);
        facts.shifts.push(Shift::Anything);
    }
    let targets: Vec<bool> = candidates.iter().filter(|one| !one.writes.is_empty()).map(|one| one.target_temporary).collect();
    facts.columns = if let [only] = candidates { only.columns.clone() } else { None };
    facts.target_temporary = !targets.is_empty() && targets.iter().all(|temporary| *temporary);
    for candidate in candidates {
        facts.verbs.extend(&candidate.verbs);
        facts.where_ = facts.where_.max(candidate.where_);
        facts.unknown = facts.unknown.or(candidate.unknown);
        facts.moves_data |= candidate.moves_data;
        merge(&mut facts.rewrites, &candidate.rewrites);
        merge(&mut facts.reads, &candidate.reads);
        merge(&mut facts.writes, &candidate.writes);
        merge(&mut facts.functions, &candidate.functions);
        merge(&mut facts.asks, &candidate.asks);
        merge(&mut facts.stores, &candidate.stores);
        for shift in &candidate.shifts {
            if !facts.shifts.contains(shift) {
                facts.shifts.push(shift.clone());
            }
        }
    }
    facts
}

fn merge<T: Clone + PartialEq>(into: &mut Vec<T>, from: &[T]) {
    for item in from {
        if !into.contains(item) {
            into.push(item.clone());
        }
    }
}

pub(super) fn declare(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let name = reader.name()?;
    while reader.is_any(&["binary", "insensitive", "asensitive", "scroll", "no"]) {
        reader.at += 1;
    }
    reader.need("cursor")?;
    let _ = reader.eat_all(&["with", "hold"]) || reader.eat_all(&["without", "hold"]);
    reader.need("for")?;
    let query = super::tree::Change::Query(query::query(reader)?);
    let mut walk = Walk::new(course.setting, &course.made);
    walk.change(&query);
    let traced = followed(course, &mut walk, &query);
    let mut facts = walk.facts(Verb::Cursor);
    traced.into_facts(&mut facts);
    let inner = Facts { shifts: Vec::new(), ..facts.clone() };
    facts.columns = None;
    facts.shifts.push(Shift::Cursor(name, Box::new(inner)));
    Ok(facts)
}

/// FETCH and MOVE: the cursor's name comes last.
pub(super) fn fetch(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let last = reader.tokens.last().ok_or(UnknownReason::Syntax)?;
    let name = last.name(reader.text).ok_or(UnknownReason::Syntax)?;
    if reader.done() || reader.tokens.len() > 8 {
        return Err(UnknownReason::Syntax);
    }
    skip(reader);
    Ok(united(Facts::of(Verb::Cursor), name.clone(), &course.behind_cursor(&name)))
}
