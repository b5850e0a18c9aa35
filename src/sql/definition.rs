//! Statements that define, change or drop objects, and those about roles and privileges.

use super::facts::{Facts, Shift, Temporary, UnknownReason, Verb};
use super::lex::{Kind, Token};
use super::names;
use super::plain;
use super::query;
use super::reader::{Read, Reader};
use super::statement::{Course, execute, followed, skip};
use super::trace::Traced;
use super::tree::{Change, Into, Name};
use super::walk::Walk;

/// Kinds of object whose names stand in the catalog's list of relations.
const RELATIONS: [&str; 6] = ["table", "view", "sequence", "index", "materialized", "foreign"];

/// Reads what follows the first word.
pub(super) fn read(course: &Course<'_>, reader: &mut Reader<'_>, word: &str) -> Read<Facts> {
    let start = reader.at;
    let mut facts = match word {
        "create" => create(course, reader)?,
        "alter" => alter(course, reader)?,
        "drop" => drop(course, reader)?,
        "comment" => comment(course, reader),
        "security" => verbs(&[Verb::SecurityLabel]),
        "grant" => verbs(&[Verb::Grant]),
        "revoke" => verbs(&[Verb::Revoke]),
        "reassign" => verbs(&[Verb::Owner, Verb::Drop]),
        "refresh" => refresh(course, reader)?,
        "import" => verbs(&[Verb::Create]),
        _ => return Err(UnknownReason::Syntax),
    };
    skip(reader);
    calls(course, reader, start, &mut facts);
    if !facts.shifts.contains(&Shift::Catalog) {
        facts.shifts.push(Shift::Catalog);
    }
    Ok(facts)
}

/// Facts with the verbs given; the first is the outermost.
fn verbs(list: &[Verb]) -> Facts {
    let mut facts = Facts::of(list.first().copied().unwrap_or(Verb::Unknown));
    facts.verbs.extend(list);
    facts
}

/// Counts functions of users that a definition names with a parenthesis: defaults, index expressions, triggers.
fn calls(course: &Course<'_>, reader: &Reader<'_>, start: usize, facts: &mut Facts) {
    let catalog = course.setting.catalog;
    let tokens = reader.tokens.get(start..).unwrap_or_default();
    for pair in tokens.windows(2) {
        let [name, open] = pair else { continue };
        if !open.sign(reader.text, "(") {
            continue;
        }
        let Some(name) = name.name(reader.text) else { continue };
        let known = catalog.functions.get(&name).map(Vec::as_slice).unwrap_or_default();
        for function in known.iter().filter(|function| function.schema != names::PG_CATALOG) {
            let named = names::function(catalog, &[function.schema.clone(), name.clone()]);
            if !facts.functions.contains(&named) {
                facts.functions.push(named);
            }
        }
    }
}

fn is_temporary_word(reader: &mut Reader<'_>) -> bool {
    let _ = reader.eat("global") || reader.eat("local");
    let temporary = reader.eat("temporary") || reader.eat("temp");
    reader.eat("unlogged");
    temporary
}

fn create(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    if reader.eat("or") {
        reader.need("replace")?;
    }
    let temporary = is_temporary_word(reader);
    if reader.is_any(&["role", "group"]) || (reader.is("user") && !reader.is_at(1, "mapping")) {
        return Ok(verbs(&[Verb::Role]));
    }
    if reader.is("schema") {
        return Ok(schema(reader));
    }
    if reader.is("type") {
        return Ok(Facts { plain_table: plain::of_labels(reader), ..verbs(&[Verb::Create]) });
    }
    reader.eat("recursive");
    if reader.is("table") || reader.is("view") || reader.is("sequence") {
        let (view, sequence) = (reader.is("view"), reader.is("sequence"));
        reader.at += 1;
        return relation(course, reader, temporary, (view, sequence));
    }
    if reader.eat_all(&["materialized", "view"]) {
        return made_by_query(course, reader, false, true);
    }
    let unique = reader.eat("unique");
    if reader.eat("index") || unique {
        reader.eat("index");
        reader.eat("concurrently");
        let mut facts = on_relation(course, reader, Verb::Create);
        facts.plain_table = plain::index(reader);
        return Ok(facts);
    }
    if reader.is_any(&["trigger", "rule", "policy", "statistics", "constraint"]) {
        return Ok(on_relation(course, reader, Verb::Create));
    }
    Ok(verbs(&[Verb::Create]))
}

/// CREATE SCHEMA may hold other statements, GRANT among them.
fn schema(reader: &Reader<'_>) -> Facts {
    let tokens = reader.tokens.get(reader.at..).unwrap_or_default();
    let grants = tokens.iter().any(|token| token.is(reader.text, "grant"));
    let facts = verbs(if grants { &[Verb::Create, Verb::Grant] } else { &[Verb::Create] });
    Facts { plain_table: plain::schema(reader), ..facts }
}

/// CREATE TABLE, VIEW, SEQUENCE.
fn relation(course: &Course<'_>, reader: &mut Reader<'_>, temporary: bool, (view, sequence): (bool, bool)) -> Read<Facts> {
    if !view && !sequence && as_query(reader) {
        return made_by_query(course, reader, temporary, false);
    }
    let perhaps = reader.eat_all(&["if", "not", "exists"]);
    let name = reader.qualified()?;
    let mut made = super::statement::relation(course, &name);
    made.temporary = temporary || made.schema.as_deref() == Some("pg_temp");
    let mut facts = Facts::of(Verb::Create);
    if view {
        facts = view_facts(course, reader)?;
    } else {
        facts.plain_table = sequence || plain::columns(reader);
    }
    facts.target_temporary = made.temporary;
    // What is deleted from a view is deleted from what it shows: to change one is not the session's own business.
    if made.temporary && !view {
        let columns = plain::column_names(reader).filter(|_| !perhaps && !sequence);
        let temporary = Temporary { columns, fleeting: drops_on_commit(reader) };
        facts.shifts.push(Shift::TemporaryMade(made.name.clone(), temporary));
    }
    facts.writes.push(made);
    Ok(facts)
}

/// The relations a view reads.
fn view_facts(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    while !reader.done() && !reader.is("as") {
        if reader.sign("(") { reader.skip_parens()? } else { reader.at += 1 }
    }
    reader.need("as")?;
    let query = Change::Query(query::query(reader)?);
    if reader.eat("with") {
        let _ = reader.eat("local") || reader.eat("cascaded");
        reader.need("check")?;
        reader.need("option")?;
    }
    read_whole(reader)?;
    let mut walk = Walk::new(course.setting, &course.made);
    walk.change(&query);
    let traced = followed(course, &mut walk, &query).made();
    walk.verbs.clear();
    walk.shifts.clear();
    let mut facts = walk.facts(Verb::Create);
    traced.into_facts(&mut facts);
    Ok(facts)
}

/// What is left behind a query would be a part of it that was not read.
fn read_whole(reader: &Reader<'_>) -> Read<()> {
    if reader.done() { Ok(()) } else { Err(UnknownReason::Syntax) }
}

fn drops_on_commit(reader: &Reader<'_>) -> bool {
    let words = ["on", "commit", "drop"];
    reader.tokens.windows(3).any(|window| window.iter().zip(words).all(|(token, word)| token.is(reader.text, word)))
}

/// True for CREATE TABLE .. AS: an AS outside parentheses.
fn as_query(reader: &Reader<'_>) -> bool {
    let mut open = 0_usize;
    for token in reader.tokens.get(reader.at..).unwrap_or_default() {
        if token.sign(reader.text, "(") {
            open += 1;
        } else if token.sign(reader.text, ")") {
            open = open.saturating_sub(1);
        } else if open == 0 && token.is(reader.text, "as") {
            return true;
        }
    }
    false
}

/// CREATE TABLE AS, CREATE MATERIALIZED VIEW.
fn made_by_query(course: &Course<'_>, reader: &mut Reader<'_>, temporary: bool, materialized: bool) -> Read<Facts> {
    let perhaps = reader.eat_all(&["if", "not", "exists"]);
    let name = reader.qualified()?;
    let fleeting = drops_on_commit(reader);
    let named = if reader.sign("(") { plain::column_names(reader) } else { None };
    while !reader.done() && !reader.is("as") {
        if reader.sign("(") { reader.skip_parens()? } else { reader.at += 1 }
    }
    reader.need("as")?;
    let into = Into { name, temporary: temporary && !materialized };
    let mut walk = Walk::new(course.setting, &course.made);
    let change;
    let mut facts = if reader.eat("execute") {
        walk.new_relation(&into);
        let made = walk.facts(Verb::SelectInto);
        let mut facts = execute(course, reader)?;
        facts.verb = Verb::SelectInto;
        facts.verbs.insert(Verb::SelectInto);
        facts.writes.extend(made.writes);
        facts.shifts.extend(made.shifts);
        facts.target_temporary = made.target_temporary;
        let asks = std::mem::take(&mut facts.asks);
        let stores = std::mem::take(&mut facts.stores);
        Traced::of(facts.columns.take(), asks, stores).made().into_facts(&mut facts);
        facts
    } else {
        change = Change::Query(query::query(reader)?);
        let _ = reader.eat_all(&["with", "data"]) || reader.eat_all(&["with", "no", "data"]);
        read_whole(reader)?;
        walk.change(&change);
        walk.new_relation(&into);
        let traced = followed(course, &mut walk, &change).made();
        let mut facts = walk.facts(Verb::SelectInto);
        traced.into_facts(&mut facts);
        facts
    };
    for shift in &mut facts.shifts {
        if let Shift::TemporaryMade(_, made) = shift {
            made.fleeting = fleeting;
            // The first names of its columns may be given.
            let given = named.as_deref().unwrap_or_default();
            let known = made.columns.take().filter(|columns| !perhaps && columns.len() >= given.len());
            made.columns = known.map(|columns| given.iter().chain(columns.iter().skip(given.len())).cloned().collect());
        }
    }
    facts.moves_data = !facts.reads.is_empty();
    Ok(facts)
}

/// CREATE INDEX, TRIGGER, RULE, POLICY: the relation stands behind ON (of STATISTICS: FROM).
fn on_relation(course: &Course<'_>, reader: &mut Reader<'_>, verb: Verb) -> Facts {
    let mut facts = Facts::of(verb);
    let rule = reader.is("rule");
    let word = if reader.is("statistics") {
        "from"
    } else if rule {
        "to"
    } else {
        "on"
    };
    while !reader.done() && !reader.eat(word) {
        reader.at += 1;
    }
    if let Ok(name) = reader.relation() {
        let target = super::statement::relation(course, &name);
        facts.target_temporary = target.temporary && !rule;
        facts.writes.push(target);
    }
    facts
}

fn refresh(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    reader.need("materialized")?;
    reader.need("view")?;
    reader.eat("concurrently");
    let name = reader.qualified()?;
    let mut walk = Walk::new(course.setting, &course.made);
    walk.read(&name);
    walk.write(&name);
    Ok(walk.facts(Verb::Refresh))
}

fn comment(course: &Course<'_>, reader: &mut Reader<'_>) -> Facts {
    let mut facts = Facts::of(Verb::Comment);
    let column = reader.is_at(1, "column");
    if reader.eat("on") && (column || reader.is_any(&["table", "view", "sequence", "index"])) {
        reader.at += 1;
        if let Ok(mut name) = reader.qualified() {
            if column && name.len() > 1 {
                name.pop();
            }
            let target = super::statement::relation(course, &name);
            facts.target_temporary = target.temporary;
            facts.writes.push(target);
        }
    }
    facts
}

fn alter(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    if reader.is("system") {
        return Ok(verbs(&[Verb::AlterSystem]));
    }
    let owner = words_at_top(reader, &["owner", "to"]);
    if reader.is("database") {
        return Ok(verbs(if owner { &[Verb::AlterSystem, Verb::Owner] } else { &[Verb::AlterSystem] }));
    }
    if reader.is_any(&["role", "group"]) || (reader.is("user") && !reader.is_at(1, "mapping")) {
        return Ok(verbs(&[Verb::Role]));
    }
    if reader.eat_all(&["default", "privileges"]) {
        let revokes = words_at_top(reader, &["revoke"]);
        return Ok(verbs(if revokes { &[Verb::Grant, Verb::Revoke] } else { &[Verb::Grant] }));
    }
    let kind = reader.peek(0).and_then(|token| token.name(reader.text)).unwrap_or_default();
    let table = RELATIONS.contains(&kind.as_str()) || matches!(kind.as_str(), "type" | "domain" | "extension" | "publication");
    let mut facts = verbs(&[Verb::Alter]);
    if table && drops_part(reader) {
        facts = verbs(&[Verb::Drop, Verb::Alter]);
    }
    if owner {
        facts.verb = Verb::Owner;
        facts.verbs.insert(Verb::Owner);
    }
    if RELATIONS.contains(&kind.as_str()) {
        let target = altered(course, reader)?;
        facts.target_temporary = target.as_ref().is_some_and(|target| target.temporary);
        facts.plain_table = target.is_some() && plain::alteration(reader, &kind);
        if let Some(target) = target {
            if target.temporary && words_at_top(reader, &["rename"]) | words_at_top(reader, &["set", "schema"]) {
                facts.shifts.push(Shift::TemporaryGone(vec![target.name.clone()]));
            } else if let Some(made) = course.made.get(&target.name).filter(|_| target.temporary) {
                facts.shifts.push(Shift::TemporaryMade(target.name.clone(), Temporary { columns: None, ..made.clone() }));
            }
            facts.writes.push(target);
        }
    } else if reader.is_any(&["trigger", "rule", "policy"]) {
        let inner = on_relation(course, reader, Verb::Alter);
        facts.writes = inner.writes;
    }
    Ok(facts)
}

/// The relation that ALTER TABLE and the like names; none for ALL IN TABLESPACE.
fn altered(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Option<super::facts::RelationName>> {
    reader.any()?;
    let _ = reader.eat("view") || reader.eat("table");
    if reader.is("data") || reader.eat_all(&["all", "in", "tablespace"]) {
        return Ok(None);
    }
    reader.eat_all(&["if", "exists"]);
    let name = reader.relation()?;
    Ok(Some(super::statement::relation(course, &name)))
}

/// True if these words stand outside parentheses.
fn words_at_top(reader: &Reader<'_>, words: &[&str]) -> bool {
    let mut open = 0_usize;
    let tokens = reader.tokens.get(reader.at..).unwrap_or_default();
    (0..tokens.len()).any(|at| {
        let Some(token) = tokens.get(at) else { return false };
        if token.sign(reader.text, "(") {
            open += 1;
        } else if token.sign(reader.text, ")") {
            open = open.saturating_sub(1);
        }
        open == 0
            && words
                .iter()
                .enumerate()
                .all(|(ahead, word)| tokens.get(at + ahead).is_some_and(|token| token.is(reader.text, word)))
    })
}

/// True if an action drops a column, a constraint or the like (not a default or a NOT NULL).
fn drops_part(reader: &Reader<'_>) -> bool {
    let (mut open, mut begins, mut words) = (0_usize, false, 0_usize);
    let tokens = reader.tokens.get(reader.at..).unwrap_or_default();
    for (at, token) in tokens.iter().enumerate() {
        if token.sign(reader.text, "(") {
            open += 1;
        } else if token.sign(reader.text, ")") {
            open = open.saturating_sub(1);
        }
        let next = tokens.get(at + 1);
        let soft =
            ["default", "not", "expression", "identity"].iter().any(|word| next.is_some_and(|next| next.is(reader.text, word)));
        if open == 0 && token.is(reader.text, "drop") && !soft && (begins || words > 1) && !after_alter(reader, tokens, at) {
            return true;
        }
        begins = open == 0 && token.sign(reader.text, ",");
        words += usize::from(token.kind != Kind::Mark);
    }
    false
}

/// True if DROP belongs to ALTER COLUMN.
fn after_alter(reader: &Reader<'_>, tokens: &[Token], at: usize) -> bool {
    let back = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
    let is = |steps, word: &str| back(steps).is_some_and(|token| token.is(reader.text, word));
    is(2, "alter") || (is(2, "column") && is(3, "alter"))
}

fn drop(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    if reader.is_any(&["role", "group"]) || (reader.is("user") && !reader.is_at(1, "mapping")) {
        return Ok(verbs(&[Verb::Drop, Verb::Role]));
    }
    let mut facts = verbs(&[Verb::Drop]);
    // With a schema, a type, a role's own, or in a cascade, relations and columns go that are not named.
    let cascades = reader.tokens.last().is_some_and(|last| last.is(reader.text, "cascade"));
    if cascades || !reader.is_any(&RELATIONS) {
        facts.shifts.push(Shift::TemporaryGone(Vec::new()));
    }
    if reader.is_any(&["trigger", "rule", "policy"]) {
        facts.writes = on_dropped(course, reader);
        facts.target_temporary = !facts.writes.is_empty() && facts.writes.iter().all(|target| target.temporary);
        return Ok(facts);
    }
    if !reader.is_any(&RELATIONS) || (reader.is("foreign") && !reader.is_at(1, "table")) {
        return Ok(facts);
    }
    reader.at += 1;
    let _ = reader.eat("view") || reader.eat("table");
    reader.eat("concurrently");
    reader.eat_all(&["if", "exists"]);
    let names: Vec<Name> = reader.list(Reader::qualified)?;
    facts.writes = names.iter().map(|name| super::statement::relation(course, name)).collect();
    facts.target_temporary = facts.writes.iter().all(|target| target.temporary);
    let gone: Vec<String> = facts.writes.iter().filter(|target| target.temporary).map(|target| target.name.clone()).collect();
    if !gone.is_empty() {
        facts.shifts.push(Shift::TemporaryGone(gone));
    }
    Ok(facts)
}

/// The relation behind ON.
fn on_dropped(course: &Course<'_>, reader: &mut Reader<'_>) -> Vec<super::facts::RelationName> {
    while !reader.done() && !reader.eat("on") {
        reader.at += 1;
    }
    reader.qualified().map(|name| vec![super::statement::relation(course, &name)]).unwrap_or_default()
}
