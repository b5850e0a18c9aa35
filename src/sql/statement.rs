//! One statement's facts: its first words decide the verb, small readers take the names of those that are no query.

use super::facts::{Analysis, Facts, RelationName, Setting, Shift, Temporaries, Temporary, UnknownReason, Verb};
use super::lex::{Kind, Token};
use super::lineage::{Lineage, ResultColumn};
use super::prepared::{declare, execute, fetch, prepare};
use super::reader::{Read, Reader};
use super::trace::{self, Traced};
use super::walk::Walk;
use super::{change, definition, expr, plpgsql, query};

/// Settings whose names are shown in capitals.
const SPELLED: [&str; 3] = ["DateStyle", "IntervalStyle", "TimeZone"];

/// What earlier statements of the same text did.
pub(super) struct Course<'a> {
    /// The ground of the whole text.
    pub(super) setting: &'a Setting<'a>,
    /// Temporary relations that surely exist and come first in the search path.
    pub(super) made: Temporaries,
    /// True once the search path has been set: temporary relations need not come first.
    moved: bool,
    /// Statements prepared.
    pub(super) prepared: Vec<(String, Facts)>,
    /// Cursors declared.
    pub(super) cursors: Vec<(String, Facts)>,
    /// True once a setting has been changed that a rollback would change back.
    pub(super) reading: bool,
}

impl<'a> Course<'a> {
    /// Before the first statement.
    pub(super) fn new(setting: &'a Setting<'a>) -> Self {
        let moved = setting.catalog.temporary_named;
        let made = if moved { Temporaries::new() } else { setting.temporary.clone() };
        Self { setting, made, moved, prepared: Vec::new(), cursors: Vec::new(), reading: false }
    }

    /// Before the first statement, where no temporary relation is sure to exist.
    pub(super) fn bare(setting: &'a Setting<'a>) -> Self {
        Self { made: Temporaries::new(), ..Self::new(setting) }
    }

    /// The facts of the next statement.
    pub(super) fn next(&mut self, text: &str, tokens: &[Token]) -> Facts {
        let mut reader = Reader::new(text, tokens);
        let facts = statement(self, &mut reader).unwrap_or_else(Facts::unknown);
        self.follow(&facts);
        facts
    }

    /// All statements of a text.
    pub(super) fn all(mut self, text: &str, statements: &[&[Token]]) -> Analysis {
        let statements = statements.iter().map(|tokens| self.next(text, tokens)).collect();
        Analysis { statements }
    }

    fn follow(&mut self, facts: &Facts) {
        for shift in &facts.shifts {
            match shift {
                Shift::TemporaryMade(name, made) if !self.moved => {
                    self.made.insert(name.clone(), made.clone());
                }
                Shift::TemporaryMade(..) => {}
                Shift::TemporaryGone(names) if names.is_empty() => self.made.clear(),
                Shift::TemporaryGone(names) => self.made.retain(|name, _| !names.contains(name)),
                Shift::Prepared(name, facts) => self.prepared.push((name.clone(), facts.as_ref().clone())),
                Shift::Cursor(name, facts) => self.cursors.push((name.clone(), facts.as_ref().clone())),
                Shift::Reading => self.reading = true,
                Shift::SearchPath => {
                    self.moved = true;
                    self.made.clear();
                }
                Shift::Anything => self.made.clear(),
                Shift::Catalog => {}
            }
        }
    }

    /// The facts a prepared statement's name may stand for.
    pub(super) fn behind(&self, name: &str) -> Vec<Facts> {
        let own = self.prepared.iter().filter(|(known, _)| known == name).map(|(_, facts)| facts.clone());
        (self.setting.prepared)(name).into_iter().chain(own).collect()
    }

    /// The facts a cursor's name may stand for.
    pub(super) fn behind_cursor(&self, name: &str) -> Vec<Facts> {
        let own = self.cursors.iter().filter(|(known, _)| known == name).map(|(_, facts)| facts.clone());
        (self.setting.cursors)(name).into_iter().chain(own).collect()
    }
}

fn statement(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let Some(first) = reader.peek(0) else { return Ok(Facts::of(Verb::Empty)) };
    let facts = if query::begins(reader) {
        changes(course, reader)?
    } else {
        let word = if first.kind == Kind::Word { first.raw(reader.text).to_ascii_lowercase() } else { String::new() };
        utility(course, reader, &word)?
    };
    if reader.done() { Ok(facts) } else { Err(UnknownReason::Syntax) }
}

/// Passes over what is left.
pub(super) fn skip(reader: &mut Reader<'_>) {
    reader.at = reader.tokens.len();
}

pub(super) fn changes(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let changed = change::change(reader)?;
    let mut walk = Walk::new(course.setting, &course.made);
    let verb = walk.change(&changed);
    let traced = followed(course, &mut walk, &changed);
    let cursors = std::mem::take(&mut walk.cursors);
    let mut facts = walk.facts(verb);
    facts.uses = cursors.into_iter().next();
    traced.into_facts(&mut facts);
    Ok(facts)
}

/// Follows the values of a query or change of data.
pub(super) fn followed(course: &Course<'_>, walk: &mut Walk<'_>, change: &super::tree::Change) -> Traced {
    let mut traced = trace::changed(course.setting.catalog, &course.made, change);
    walk.calls(std::mem::take(&mut traced.called));
    traced
}

fn utility(course: &Course<'_>, reader: &mut Reader<'_>, word: &str) -> Read<Facts> {
    reader.at += 1;
    match word {
        "truncate" => truncate(course, reader),
        "copy" => copy(course, reader),
        "create" | "alter" | "drop" | "comment" | "security" | "grant" | "revoke" | "reassign" | "refresh" | "import" => {
            definition::read(course, reader, word)
        }
        "explain" => explain(course, reader),
        "prepare" if reader.is("transaction") => Ok(rest_of(reader, Verb::TwoPhase)),
        "prepare" => prepare(course, reader),
        "execute" => execute(course, reader),
        "deallocate" => {
            reader.eat("prepare");
            named(reader, Verb::Deallocate)
        }
        "declare" => declare(course, reader),
        "fetch" | "move" => fetch(course, reader),
        "close" => named(reader, Verb::Cursor),
        "set" | "reset" | "show" | "discard" => settings(course, reader, word),
        "commit" | "rollback" | "end" | "abort" if reader.is("prepared") => Ok(rest_of(reader, Verb::TwoPhase)),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            Ok(transaction(course, reader, word))
        }
        "do" => Ok(code(course, reader)),
        "call" => call(course, reader),
        "lock" => lock(course, reader),
        "vacuum" | "analyze" | "analyse" | "cluster" | "reindex" => maintenance(course, reader, word),
        "listen" | "unlisten" => Ok(rest_of(reader, Verb::Listen)),
        "notify" => Ok(rest_of(reader, Verb::Notify)),
        "load" => Ok(with_shift(rest_of(reader, Verb::Load), Shift::Anything)),
        "checkpoint" => Ok(rest_of(reader, Verb::Checkpoint)),
        _ => Err(UnknownReason::Syntax),
    }
}

/// DO: code that only says something changes nothing.
fn code(course: &Course<'_>, reader: &mut Reader<'_>) -> Facts {
    let plain_code = plpgsql::is_plain(reader, course.setting.catalog);
    let facts = Facts { plain_code, ..rest_of(reader, Verb::Do) };
    if plain_code { facts } else { with_shift(facts, Shift::Anything) }
}

/// Facts of which only the verb matters.
pub(super) fn rest_of(reader: &mut Reader<'_>, verb: Verb) -> Facts {
    skip(reader);
    Facts::of(verb)
}

/// The same facts with one more shift.
pub(super) fn with_shift(mut facts: Facts, shift: Shift) -> Facts {
    facts.shifts.push(shift);
    facts
}

/// A statement that ends in a name, or in ALL.
fn named(reader: &mut Reader<'_>, verb: Verb) -> Read<Facts> {
    let mut facts = Facts::of(verb);
    facts.uses = if reader.eat("all") { None } else { Some(reader.label()?) };
    Ok(facts)
}

fn transaction(course: &Course<'_>, reader: &mut Reader<'_>, word: &str) -> Facts {
    let mut facts = rest_of(reader, Verb::Transaction);
    // What a rollback undoes, and what the end of the transaction drops.
    let undoes = matches!(word, "rollback" | "abort");
    if undoes && course.reading {
        facts.shifts.push(Shift::Reading);
        facts.shifts.push(Shift::SearchPath);
    }
    let gone = |(name, made): &(&String, &Temporary)| {
        undoes && course.setting.temporary.get(*name) != Some(*made) || word != "begin" && word != "start" && made.fleeting
    };
    let gone: Vec<String> = course.made.iter().filter(gone).map(|(name, _)| name.clone()).collect();
    if !gone.is_empty() {
        facts.shifts.push(Shift::TemporaryGone(gone));
    }
    facts
}

fn truncate(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    reader.eat("table");
    let names = reader.list(Reader::relation)?;
    let _ = reader.eat_all(&["restart", "identity"]) || reader.eat_all(&["continue", "identity"]);
    let _ = reader.eat("cascade") || reader.eat("restrict");
    let mut walk = Walk::new(course.setting, &course.made);
    for name in names {
        let temporary = walk.write(&name);
        walk.targets.push(temporary);
    }
    Ok(walk.facts(Verb::Truncate))
}

fn copy(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let mut walk = Walk::new(course.setting, &course.made);
    let inner;
    let mut table = None;
    let mut traced: Traced;
    let mut binary = false;
    if reader.sign("(") {
        reader.at += 1;
        inner = change::change(reader)?;
        reader.need_sign(")")?;
        walk.change(&inner);
        traced = followed(course, &mut walk, &inner);
    } else {
        binary = reader.eat("binary");
        let name = reader.qualified()?;
        let columns = reader.columns()?;
        traced = trace::copied(course.setting.catalog, &course.made, &name, &columns);
        table = Some(name);
    }
    let incoming = reader.eat("from");
    if !incoming {
        reader.need("to")?;
    }
    let verb = if reader.eat("program") {
        Verb::CopyProgram
    } else if reader.eat("stdin") || reader.eat("stdout") {
        if incoming { Verb::CopyIn } else { Verb::CopyOut }
    } else if reader.peek(0).is_some_and(Token::is_text) {
        Verb::CopyFile
    } else {
        return Err(UnknownReason::Syntax);
    };
    match &table {
        Some(name) if incoming => {
            let temporary = walk.write(name);
            walk.targets.push(temporary);
        }
        Some(name) => walk.read(name),
        None if incoming => return Err(UnknownReason::Syntax),
        None => {}
    }
    if verb == Verb::CopyOut {
        let mut facts = walk.facts(verb);
        traced.into_facts(&mut facts);
        facts.copy = Some(super::copying::format(reader, binary));
        return Ok(facts);
    }
    let condition = copy_condition(reader)?;
    condition.iter().for_each(|condition| walk_alone(&mut walk, course, condition));
    if let (Some(condition), Some(table)) = (&condition, &table) {
        traced = trace::condition(course.setting.catalog, &course.made, table, condition);
    }
    let mut facts = walk.facts(verb);
    traced.into_facts(&mut facts);
    facts.columns = facts.columns.filter(|_| !incoming);
    Ok(facts)
}

/// Collects the functions of an expression that does not live as long as the walk.
pub(super) fn walk_alone(walk: &mut Walk<'_>, course: &Course<'_>, value: &super::tree::Expr) {
    let mut alone = Walk::new(course.setting, &course.made);
    alone.expr(value);
    walk.functions.append(&mut alone.functions);
    walk.reads.append(&mut alone.reads);
    walk.verbs.append(&mut alone.verbs);
    alone.shifts.into_iter().for_each(|shift| walk.shift(shift));
}

/// The WHERE behind the options of COPY FROM.
fn copy_condition(reader: &mut Reader<'_>) -> Read<Option<super::tree::Expr>> {
    let mut condition = None;
    while !reader.done() {
        if reader.sign("(") {
            reader.skip_parens()?;
        } else if reader.eat("where") {
            condition = Some(expr::expr(reader)?);
            break;
        } else {
            reader.at += 1;
        }
    }
    Ok(condition)
}

/// True if a boolean option is on: absent values count as on, several ones as the last.
pub(super) fn option(reader: &mut Reader<'_>) -> bool {
    let Some(token) = reader.peek(0) else { return true };
    if token.sign(reader.text, ",") || token.sign(reader.text, ")") {
        return true;
    }
    let value = match token.kind {
        Kind::Number => token.raw(reader.text).to_owned(),
        _ => token.name(reader.text).or_else(|| token.value(reader.text).map(std::borrow::Cow::into_owned)).unwrap_or_default(),
    };
    while reader.peek(0).is_some_and(|token| !token.sign(reader.text, ",") && !token.sign(reader.text, ")")) {
        reader.at += 1;
    }
    !["false", "off", "0"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

/// The option of this name in a parenthesis of options; none if it is not there.
pub(super) fn options(reader: &mut Reader<'_>, names: &[&str]) -> Read<Option<bool>> {
    let mut found = None;
    reader.need_sign("(")?;
    loop {
        let name = reader.label()?;
        let value = option(reader);
        if names.contains(&name.as_str()) {
            found = Some(value);
        }
        if !reader.eat_sign(",") {
            reader.need_sign(")")?;
            return Ok(found);
        }
    }
}

fn explain(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let mut analyze = false;
    if reader.sign("(") && !super::reader::Reader::query_ahead(reader) {
        analyze = options(reader, &["analyze", "analyse"])?.unwrap_or(false);
    } else {
        analyze |= reader.eat("analyze") || reader.eat("analyse");
        reader.eat("verbose");
    }
    let inner = explained(course, reader)?;
    if analyze {
        let selects = inner.verb == Verb::Select && inner.verbs.iter().all(|verb| *verb == Verb::Select);
        let columns = plan(course, &inner).filter(|_| selects);
        let mut facts = inner;
        facts.verb = Verb::ExplainAnalyze;
        facts.verbs.insert(Verb::ExplainAnalyze);
        facts.columns = columns;
        facts.shifts.retain(|shift| !matches!(shift, Shift::Cursor(..)));
        return Ok(facts);
    }
    let anything = inner.shifts.contains(&Shift::Anything);
    let shifts = if anything { vec![Shift::Anything] } else { Vec::new() };
    let unknown = inner.unknown;
    let columns = plan(course, &inner);
    let Facts { reads, functions, uses, asks, .. } = inner;
    let plain = Facts { reads, functions, uses, asks, shifts, unknown, columns, ..Facts::of(Verb::Explain) };
    Ok(plain)
}

/// The one column of a plan: the text's own words and what the planner works out of them, which is what functions give that are
/// called while it plans. Where a query is run too, it also tells how many rows came by, which the questions of the text decide.
fn plan(course: &Course<'_>, inner: &Facts) -> Option<Vec<ResultColumn>> {
    let calls = |oid: &u32| course.setting.catalog.relations.get(oid).is_none_or(|known| known.calls_unknown);
    let doubted = |name: &RelationName| name.oids.is_empty() || name.oids.iter().any(calls);
    if inner.unknown.is_some() || inner.uses.is_some() || inner.reads.iter().chain(&inner.writes).any(doubted) {
        return None;
    }
    let functions = inner.functions.iter().filter(|function| !function.builtin).cloned().collect();
    Some(vec![ResultColumn { name: "QUERY PLAN".to_owned(), lineage: Lineage { functions, ..Lineage::default() } }])
}

/// The statements that can be explained.
fn explained(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    if query::begins(reader) {
        return changes(course, reader);
    }
    if reader.eat("execute") {
        return execute(course, reader);
    } else if reader.eat("declare") {
        return declare(course, reader);
    } else if reader.eat("create") {
        return definition::read(course, reader, "create");
    } else if reader.eat("refresh") {
        return definition::read(course, reader, "refresh");
    }
    // The server refuses to explain anything else, so nothing runs.
    Ok(rest_of(reader, Verb::Explain))
}

/// SHOW: settings hold nothing that is masked, since nothing of the kind may be stored in one.
fn show(reader: &mut Reader<'_>) -> Facts {
    let all = reader.is("all") && reader.is_last();
    let named = if reader.is("time") {
        reader.is_at(1, "zone").then(|| "timezone".to_owned())
    } else if reader.is("transaction") {
        Some("transaction_isolation".to_owned())
    } else if reader.is("session") {
        reader.is_at(1, "authorization").then(|| "session_authorization".to_owned())
    } else {
        reader.qualified().ok().filter(|_| reader.done()).map(|name| name.join("."))
    };
    let spelled =
        |name: String| SPELLED.iter().find(|known| known.eq_ignore_ascii_case(&name)).map_or(name, |known| (*known).to_owned());
    let names = if all {
        Some(["name", "setting", "description"].map(str::to_owned).to_vec())
    } else {
        named.map(|name| vec![spelled(name)])
    };
    let column = |name| ResultColumn { name, lineage: Lineage::default() };
    let columns = names.map(|names| names.into_iter().map(column).collect());
    Facts { columns, ..rest_of(reader, Verb::Show) }
}

fn settings(course: &Course<'_>, reader: &mut Reader<'_>, word: &str) -> Read<Facts> {
    match word {
        "show" => return Ok(show(reader)),
        "discard" => {
            let mut facts = Facts::of(Verb::Discard);
            if reader.is_any(&["all", "temp", "temporary"]) {
                facts.shifts.push(Shift::TemporaryGone(Vec::new()));
            }
            if reader.is("all") {
                facts.shifts.extend([Shift::Reading, Shift::SearchPath]);
            }
            skip(reader);
            return Ok(facts);
        }
        _ => {}
    }
    let mut walk = Walk::new(course.setting, &course.made);
    if reader.is("session") && reader.is_at(1, "characteristics") || reader.is("transaction") {
        return Ok(rest_of(reader, Verb::Set));
    } else if reader.is("constraints") && word == "set" {
        // It runs what was put off to the end of the transaction.
        return Ok(rest_of(reader, Verb::Transaction));
    }
    if !(reader.is("session") && reader.is_at(1, "authorization")) {
        let _ = reader.eat("session") || reader.eat("local");
    }
    if reader.eat_all(&["session", "authorization"]) {
        walk.set_by_name("session_authorization");
    } else if reader.eat("names") {
        walk.set_by_name("client_encoding");
    } else if reader.eat("schema") {
        walk.set_by_name("search_path");
    } else if word == "reset" && reader.is("all") {
        ["client_encoding", "search_path"].into_iter().for_each(|name| walk.set_by_name(name));
    } else {
        let name = reader.label()?;
        walk.set_by_name(&name);
    }
    let back = (reader.is("none") || reader.is("default")) && reader.is_last();
    skip(reader);
    let role = walk.verbs.contains(&Verb::SetRole) && word == "set" && !back;
    walk.verbs.clear();
    Ok(walk.facts(if role { Verb::SetRole } else { Verb::Set }))
}

fn call(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    let value = expr::expr(reader)?;
    let mut walk = Walk::new(course.setting, &course.made);
    walk.expr(&value);
    walk.anything();
    let traced = trace::values(course.setting.catalog, &course.made, std::slice::from_ref(&value));
    let mut facts = walk.facts(Verb::Call);
    traced.into_facts(&mut facts);
    Ok(facts)
}

fn lock(course: &Course<'_>, reader: &mut Reader<'_>) -> Read<Facts> {
    reader.eat("table");
    let names = reader.list(Reader::relation)?;
    let mut weak = false;
    if reader.eat("in") {
        weak = reader.eat_all(&["access", "share", "mode"])
            || reader.eat_all(&["row", "share", "mode"])
            || reader.eat_all(&["row", "exclusive", "mode"]);
        while !weak && !reader.done() && !reader.eat("mode") {
            reader.at += 1;
        }
    }
    reader.eat("nowait");
    let mut walk = Walk::new(course.setting, &course.made);
    names.iter().for_each(|name| walk.read(name));
    Ok(walk.facts(if weak { Verb::Lock } else { Verb::LockStrong }))
}

fn maintenance(course: &Course<'_>, reader: &mut Reader<'_>, word: &str) -> Read<Facts> {
    let mut full = false;
    if reader.sign("(") {
        full = options(reader, &["full"])?.unwrap_or(false);
    }
    while reader.is_any(&["full", "freeze", "verbose", "analyze", "analyse"]) {
        full |= reader.is("full");
        reader.at += 1;
    }
    let verb = match word {
        "cluster" => Verb::Cluster,
        "reindex" => Verb::Reindex,
        "vacuum" if full => Verb::VacuumFull,
        _ => Verb::Maintenance,
    };
    let mut walk = Walk::new(course.setting, &course.made);
    if matches!(word, "vacuum" | "analyze" | "analyse") && !reader.done() {
        let names = reader.list(|reader| {
            let name = reader.relation()?;
            reader.columns()?;
            Ok(name)
        })?;
        names.iter().for_each(|name| walk.read(name));
    }
    skip(reader);
    Ok(walk.facts(verb))
}

/// The relation of a name that stands in a statement of this course.
pub(super) fn relation(course: &Course<'_>, name: &[String]) -> RelationName {
    super::names::relation(course.setting, &course.made, name)
}
