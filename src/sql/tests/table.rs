//! Texts and the facts they must give.

use super::*;

fn one(text: &str) -> Facts {
    let mut facts = analyzed(&catalog(), text);
    assert_eq!(facts.len(), 1, "{text}");
    facts.remove(0)
}

fn names(relations: &[RelationName]) -> Vec<String> {
    relations
        .iter()
        .map(|relation| {
            relation.schema.as_ref().map_or_else(|| relation.name.clone(), |schema| format!("{schema}.{}", relation.name))
        })
        .collect()
}

fn called(facts: &Facts) -> Vec<String> {
    let name = |function: &FunctionName| format!("{}.{}", function.schema.as_deref().unwrap_or("?"), function.name);
    facts.functions.iter().filter(|function| !function.builtin).map(name).collect()
}

#[test]
fn conditions() {
    let catalog = catalog();
    let mut faults = Vec::new();
    for line in include_str!("../../../fixtures/sql/conditions.txt").lines().filter(|line| !line.starts_with('#')) {
        let (verdict, text) = line.split_once('|').expect("a verdict");
        let facts = analyzed(&catalog, text.trim());
        let found = facts.iter().map(|facts| facts.where_).max().expect("a statement");
        let known = facts.iter().all(|facts| facts.unknown.is_none());
        let found = format!("{found:?}").to_lowercase();
        if found != verdict.trim() || !known {
            faults.push(format!("{found} ({known}) for {line}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The table that a real server is asked about, too.
#[test]
fn rows_left_out() {
    let mut faults = Vec::new();
    for line in include_str!("../../../fixtures/sql/wheres.txt").lines().filter(|line| !line.starts_with('#')) {
        let (left_out, condition) = line.split_once(" | ").expect("what is left out");
        let facts = one(&format!("delete from things t where {condition}"));
        let wanted = if left_out.trim() == "some" { Where::Restricts } else { Where::Tautology };
        if facts.where_ != wanted || facts.unknown.is_some() {
            faults.push(format!("{:?} for {line}", facts.where_));
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn verbs() {
    let table: &[(&str, &[Verb])] = &[
        ("", &[Verb::Empty]),
        (" ; -- nothing", &[Verb::Empty]),
        ("table clinical.codes", &[Verb::Select]),
        ("(select 1) union (select 2) order by 1", &[Verb::Select]),
        ("select 1 into temp x", &[Verb::Select, Verb::SelectInto]),
        ("create table x as select 1", &[Verb::Select, Verb::SelectInto]),
        ("create materialized view x as select 1 with no data", &[Verb::Select, Verb::SelectInto]),
        ("with d as (delete from a) insert into b values (1)", &[Verb::Insert, Verb::Delete]),
        ("truncate table only a, b * restart identity cascade", &[Verb::Truncate]),
        ("copy a to stdout (format csv, header)", &[Verb::CopyOut]),
        ("copy a (b) from stdin with delimiter ',' null ''", &[Verb::CopyIn]),
        ("copy a from '/x'", &[Verb::CopyFile]),
        ("copy (select 1) to program 'x'", &[Verb::Select, Verb::CopyProgram]),
        ("alter table a drop column b", &[Verb::Alter, Verb::Drop]),
        ("alter table a add column b int, drop constraint c", &[Verb::Alter, Verb::Drop]),
        ("alter table a alter column b drop not null, alter c drop default", &[Verb::Alter]),
        ("alter table a owner to b", &[Verb::Alter, Verb::Owner]),
        ("alter system set a = 1", &[Verb::AlterSystem]),
        ("alter default privileges grant select on tables to a", &[Verb::Grant]),
        ("alter user a superuser", &[Verb::Role]),
        ("drop user a", &[Verb::Drop, Verb::Role]),
        ("drop access method if exists a", &[Verb::Drop]),
        ("reassign owned by a to b", &[Verb::Drop, Verb::Owner]),
        ("create schema s grant select on t to public", &[Verb::Create, Verb::Grant]),
        (
            "create function f() returns int language sql begin atomic select 1; select case when true then 2 end; end",
            &[Verb::Create],
        ),
        ("create rule r as on insert to clinical.codes do also (select 1; delete from a)", &[Verb::Create]),
        ("set local role x", &[Verb::SetRole]),
        ("set \"role\" to x", &[Verb::SetRole]),
        ("select set_config('role', 'x', true)", &[Verb::Select, Verb::SetRole]),
        ("set session authorization x", &[Verb::SetRole]),
        ("set session characteristics as transaction read only", &[Verb::Set]),
        ("begin isolation level serializable", &[Verb::Transaction]),
        ("rollback to savepoint a", &[Verb::Transaction]),
        ("prepare transaction 'x'", &[Verb::TwoPhase]),
        ("rollback prepared 'x'", &[Verb::TwoPhase]),
        ("declare c binary scroll cursor with hold for select 1", &[Verb::Select, Verb::Cursor]),
        ("deallocate prepare all", &[Verb::Deallocate]),
        ("vacuum (full off, analyze) a", &[Verb::Maintenance]),
        ("vacuum (\"full\" 1) a", &[Verb::VacuumFull]),
        ("vacuum full freeze a (b)", &[Verb::VacuumFull]),
        ("lock table a in row exclusive mode nowait", &[Verb::Lock]),
        ("lock a in share mode", &[Verb::LockStrong]),
        ("lock only a", &[Verb::LockStrong]),
        ("explain analyze verbose update a set b = 1 where b = 2", &[Verb::Update, Verb::ExplainAnalyze]),
        ("explain (costs off, analyze false) truncate a", &[Verb::Explain]),
        ("explain (select 1)", &[Verb::Explain]),
        ("execute nothing", &[Verb::Execute, Verb::Unknown]),
        ("do $$ begin end $$", &[Verb::Do]),
        ("security label on table a is 'x'", &[Verb::SecurityLabel]),
        ("selec 1", &[Verb::Unknown]),
        ("select 1)", &[Verb::Unknown]),
        ("delete from a as o (id)", &[Verb::Unknown]),
    ];
    for (text, verbs) in table {
        let found: Vec<Verb> = one(text).verbs.into_iter().collect();
        assert_eq!(found, *verbs, "{text}");
    }
}

#[test]
fn relations() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("select * from CLINICAL.Codes, \"Odd\".\"Name\"", &["Odd.Name", "clinical.codes"], &[]),
        ("with codes as (select 1) select * from codes, clinical.codes", &["clinical.codes"], &[]),
        ("with a as (select * from b), b as (select 1) select * from a", &["b"], &[]),
        ("with recursive a as (select * from b), b as (select 1) select * from a", &[], &[]),
        ("select * from (with x as (select 1) select * from x) y, x", &["x"], &[]),
        ("with d as (delete from a where i = 1 returning *) insert into b select * from d", &["a"], &["a", "b"]),
        ("copy clinical.codes from stdin", &[], &["clinical.codes"]),
        ("select (select max(i) from a) from b join (c cross join d) on (select true from e)", &["a", "b", "c", "d", "e"], &[]),
        ("create view v as select * from a", &["a"], &["v"]),
        ("drop table a, b.c", &[], &["a", "b.c"]),
        ("alter table only a add b int", &[], &["a"]),
        ("create index on clinical.codes (label)", &[], &["clinical.codes"]),
        ("select 1 from only (a) tablesample system (10)", &["a"], &[]),
        ("select 'a'\n'b' from a where b = U&'\\0061' and c = $$ from d $$", &["a"], &[]),
        ("explain select * from a", &["a"], &[]),
    ];
    for (text, reads, writes) in table {
        let facts = one(text);
        assert_eq!((names(&facts.reads), names(&facts.writes)), (reads.map_to(), writes.map_to()), "{text}");
    }
}

/// Borrowed names as owned ones.
trait MapTo {
    fn map_to(&self) -> Vec<String>;
}

impl MapTo for &[&str] {
    fn map_to(&self) -> Vec<String> {
        self.iter().map(|name| (*name).to_owned()).collect()
    }
}

#[test]
fn functions() {
    let table: &[(&str, &[&str])] = &[
        (
            "select count(*), coalesce(1, 2), extract(year from now2), substring('a' from 1), date '2024-01-01', obj_description(1)",
            &["pg_catalog.obj_description"],
        ),
        ("select age(now2)", &[]),
        ("select now()", &["?.now"]),
        ("select pg_catalog.now()", &[]),
        ("select wipe()", &["scratch.wipe"]),
        ("select nowhere()", &["?.nowhere"]),
        ("select 1 limit (select scratch.wipe())", &["scratch.wipe"]),
        ("select * from rows from (scratch.wipe(), generate_series(1, 2)) as r (a, b)", &["scratch.wipe"]),
        ("select sum(1) over (order by scratch.wipe())", &["scratch.wipe"]),
        ("select count(*) filter (where scratch.wipe() = 1)", &["scratch.wipe"]),
        ("select (scratch.agg(1)).x", &["scratch.agg"]),
        ("select 1 ### 2", &["scratch.wipe"]),
        ("select 1 operator(scratch.###) 2", &["scratch.wipe"]),
        ("select 'a' || 'b'", &[]),
        ("select 'a' operator(public.||) 'b'", &["public.hs_concat"]),
        ("select 1::checked, cast(1 as scratch.checked)", &["scratch.wipe"]),
        ("values (scratch.wipe())", &["scratch.wipe"]),
        ("call scratch.wipe(1)", &["scratch.wipe"]),
        ("insert into clinical.codes values (scratch.wipe()) on conflict do nothing", &["scratch.wipe"]),
        ("create temp table x (a int default scratch.wipe())", &["scratch.wipe"]),
        ("select U&\"wip\\0065\"()", &["scratch.wipe"]),
        (
            "select coalesce(null, value), trim(both 'x' from unit), position('a' in code), overlay(code placing 'a' from 1) from clinical.observations",
            &[],
        ),
    ];
    for (text, functions) in table {
        let facts = one(text);
        assert_eq!(facts.unknown, None, "{text}");
        assert_eq!(called(&facts), functions.map_to(), "{text}");
    }
}

#[test]
fn everything_ordinary_is_read() {
    let catalog = catalog();
    let facts = analyzed(&catalog, include_str!("../../../fixtures/sql/read.sql"));
    let unread: Vec<usize> = (0..facts.len()).filter(|at| facts[*at].unknown.is_some()).collect();
    assert!(facts.len() > 150 && unread.is_empty(), "of {}: {unread:?}", facts.len());
}

#[test]
fn what_shifts() {
    let shifts = |text: &str| one(text).shifts;
    assert_eq!(shifts("set standard_conforming_strings = off"), [Shift::Reading]);
    assert_eq!(shifts("set names 'SJIS'"), [Shift::Reading]);
    assert_eq!(shifts("select set_config('Client_Encoding', 'GBK', false)"), [Shift::Reading]);
    assert_eq!(shifts("reset all"), [Shift::Reading, Shift::SearchPath]);
    assert_eq!(shifts("set search_path = a"), [Shift::SearchPath]);
    assert_eq!(shifts("discard temp"), [Shift::TemporaryGone(Vec::new())]);
    let made = |columns: &[&str], fleeting| {
        let columns = (!columns.is_empty()).then(|| columns.iter().map(|name| (*name).to_owned()).collect());
        Shift::TemporaryMade("a".to_owned(), Temporary { columns, fleeting })
    };
    for (text, columns, fleeting) in [
        ("create temp table a (b int)", &["b"][..], false),
        ("create temp table a (b int) on commit drop", &["b"], true),
        (
            "create temp table a (\"B\" numeric(5, 2) default 1, primary key (\"B\"), c text, constraint x unique (c))",
            &["B", "c"],
            false,
        ),
        ("create temp table a (b int, like clinical.codes)", &[], false),
        ("create temp table a (b int) inherits (clinical.codes)", &[], false),
        ("create temp table if not exists a (b int)", &[], false),
        ("create temp table a as select code, 1 as n, label as \"L\" from clinical.codes", &["code", "n", "L"], false),
        ("create temp table a (x) on commit drop as select code, 1 as n from clinical.codes", &["x", "n"], true),
        ("create temp table if not exists a as select 1 as n", &[], false),
        ("create temp table a as select * from clinical.nowhere", &[], false),
        ("select code into temp a from clinical.codes", &["code"], false),
    ] {
        assert!(shifts(text).contains(&made(columns, fleeting)), "{text}: {:?}", shifts(text));
    }
    for text in ["drop schema x", "drop owned by x", "drop type t", "drop view v cascade"] {
        assert!(shifts(text).contains(&Shift::TemporaryGone(Vec::new())), "{text}");
    }
    assert!(shifts("alter table tt add column c int").contains(&Shift::TemporaryMade("tt".to_owned(), Temporary::default())));
    assert!(shifts("drop table tt").contains(&Shift::TemporaryGone(vec!["tt".to_owned()])));
    assert!(shifts("alter table tt rename to x").contains(&Shift::TemporaryGone(vec!["tt".to_owned()])));
    assert!(shifts("select clinical.whisper(1)").contains(&Shift::Anything));
    assert!(
        matches!(shifts("prepare a as delete from b").as_slice(), [Shift::Prepared(name, facts)] if name == "a" && facts.where_ == Where::Absent)
    );
    assert!(matches!(shifts("declare a cursor for select 1").as_slice(), [Shift::Cursor(name, _)] if name == "a"));
}

#[test]
fn statements_of_one_text_know_each_other() {
    let catalog = catalog();
    let facts = analyzed(&catalog, "prepare d as delete from clinical.codes; execute d; explain analyze execute d");
    assert_eq!(facts.iter().map(|facts| facts.where_).collect::<Vec<_>>(), [Where::None, Where::Absent, Where::Absent]);
    let facts = analyzed(
        &catalog,
        "create temp table codes (a int); delete from codes; delete from clinical.codes; rollback; delete from codes",
    );
    assert_eq!(
        facts.iter().map(|facts| facts.where_).collect::<Vec<_>>(),
        [Where::None, Where::None, Where::Absent, Where::None, Where::Absent]
    );
    assert!(facts[1].target_temporary && !facts[2].target_temporary);
    let facts = analyzed(
        &catalog,
        "select 1 --\r; delete from clinical.codes; select '/*'; select 2 as a$$; delete from clinical.codes; select 3 as b$$",
    );
    assert_eq!(facts.iter().filter(|facts| facts.verb == Verb::Delete).count(), 2);
}

#[test]
fn encodings_and_settings() {
    let catalog = catalog();
    let reason = |text: &[u8], encoding: &str, conforming: bool| under(&catalog, text, encoding, conforming)[0].unknown;
    assert_eq!(reason(b"select '\xe9'", "UTF8", true), Some(UnknownReason::Encoding));
    assert_eq!(reason(b"select '\xe9'", "LATIN1", true), None);
    assert_eq!(reason(b"select E'\x83\x5c'", "SJIS", true), Some(UnknownReason::Encoding));
    assert_eq!(reason(b"select 1", "SJIS", true), None);
    assert_eq!(reason(b"select 1", "NEW_ONE", true), Some(UnknownReason::Encoding));
    assert_eq!(reason(b"select 'a\\'", "UTF8", true), None);
    assert_eq!(reason(b"select 'a\\'", "UTF8", false), Some(UnknownReason::Settings));
    assert_eq!(reason(b"select 'a'", "UTF8", false), None);
    assert_eq!(reason(b"select 1\0", "UTF8", true), Some(UnknownReason::Syntax));
}

#[test]
fn moves_data() {
    for (text, moves) in [
        ("insert into clinical.codes select 'a', last_name from clinical.patients", true),
        ("insert into clinical.codes values ('a', 'b')", false),
        ("insert into clinical.codes values ('a', (select ssn from clinical.patients))", true),
        ("insert into clinical.codes values ('a') on conflict (code) do update set label = (select 'x')", true),
        ("insert into clinical.codes values ('a') on conflict (code) do update set label = excluded.label", false),
        ("update clinical.codes set label = 'x' where code = 'a'", false),
        ("update clinical.codes set normal_low = normal_low + 1 where code = 'a'", false),
        ("update clinical.patients set state = zip where id = 1", true),
        ("create table x as select * from clinical.patients", true),
        ("select * into x from clinical.patients", true),
    ] {
        assert_eq!(one(text).moves_data, moves, "{text}");
    }
}

#[test]
fn tables_of_plain_columns_are_told() {
    for (text, plain) in [
        ("create table x (id int, note text)", true),
        ("create table if not exists clinical.x (id int primary key, \"check\" varchar(20) not null, unique (id))", true),
        ("create table x (n int default 0, t text default 'x' not null)", true),
        ("create table x (n int default f())", false),
        ("create table x (n int default -f())", false),
        ("create table x (n text default 'a' || f())", false),
        ("create table x (n int default (f()))", false),
        ("create table x (n int check (f(n)))", false),
        ("create table x (n text, m text generated always as (upper(n)) stored)", false),
        ("create table x (n int references clinical.patients)", false),
        ("create table x (like clinical.patients)", false),
        ("create table x () inherits (clinical.patients)", false),
        ("create table x partition of clinical.encounters for values in (1)", false),
        ("create table x (n int) partition by range (f(n))", false),
        ("create table x of clinical.thing", false),
        ("create table x as select 1", false),
        ("create view x as select 1", false),
        ("create view x (n) as select 1", false),
        ("create sequence x", true),
        ("create table x (n int generated always as identity, at timestamptz default now())", true),
        ("create table x (n int default clinical.now())", false),
        ("create table x (n int default now(1))", false),
        ("create schema x", true),
        ("create schema x create table y (n int default f())", false),
        ("create type x as enum ('a', 'b')", true),
        ("create type x as range (subtype = int, canonical = f)", false),
        ("create unique index i on clinical.codes using btree (code desc nulls last, label)", true),
        ("create index on clinical.codes (lower(code))", false),
        ("create index on clinical.codes (code) where f(code)", false),
        ("create index on clinical.codes (code x_ops)", false),
        ("alter table x add column n int, add primary key (n), drop column m, rename o to p", true),
        ("alter table x alter n set default f()", false),
        ("alter table x alter n type int using f(n)", false),
        ("alter table x inherit clinical.patients", false),
        ("alter table x add check (f(n))", false),
        ("alter table x enable trigger t", false),
        ("alter sequence x restart with 5", true),
        ("alter sequence x owned by clinical.codes.code", false),
        ("create domain x as int check (f(value))", false),
        ("create rule r as on insert to x do also select f()", false),
    ] {
        assert_eq!(one(text).plain_table, plain, "{text}");
    }
}

#[test]
fn nothing_is_logged() {
    struct Probe;
    impl log::Log for Probe {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {
            SEEN.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        fn flush(&self) {}
    }
    static SEEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    static PROBE: Probe = Probe;
    assert_eq!(log::STATIC_MAX_LEVEL, log::LevelFilter::Off);
    let _ = log::set_logger(&PROBE);
    log::set_max_level(log::LevelFilter::Trace);
    let _ = one("select 'secret' from clinical.codes where");
    let _ = sqlparser::parser::Parser::parse_sql(
        &sqlparser::dialect::PostgreSqlDialect {},
        "select 'secret' from clinical.codes where",
    );
    assert!(!SEEN.load(std::sync::atomic::Ordering::SeqCst));
}

/// A second opinion: where `sqlparser` reads one of our texts, it sees the same kind of statement and the same WHERE.
#[test]
fn a_second_reader_agrees() {
    use sqlparser::ast::Statement;
    let catalog = catalog();
    let mut read = 0;
    for line in include_str!("../../../fixtures/sql/conditions.txt").lines().filter(|line| !line.starts_with('#')) {
        let text = line.split_once('|').expect("a verdict").1.trim();
        let Ok(statements) = sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::PostgreSqlDialect {}, text) else {
            continue;
        };
        let facts = analyzed(&catalog, text);
        assert_eq!(statements.len(), facts.len(), "{text}");
        for (statement, facts) in statements.iter().zip(&facts) {
            let condition = match statement {
                Statement::Delete(delete) => (Verb::Delete, delete.selection.is_some()),
                Statement::Update(update) => (Verb::Update, update.selection.is_some()),
                _ => continue,
            };
            read += 1;
            let temporary = facts.target_temporary;
            assert_eq!(condition, (facts.verb, if temporary { condition.1 } else { facts.where_ != Where::Absent }), "{text}");
        }
    }
    assert!(read > 80, "only {read}");
}

#[test]
fn what_is_carried_past_masks() {
    // `moves`: from another column or a query; a number: a column computed from itself; `-`: neither.
    let table = [
        ("moves", "update clinical.patients set (tags, ssn) = (array[ssn], ssn)"),
        ("moves", "update clinical.patients set (tags, ssn) = row(array[ssn], ssn)"),
        ("3", "update clinical.patients set ssn = '000-00-0' || left(ssn, 3)"),
        ("3", "update clinical.patients p set ssn = reverse(p.ssn)"),
        ("-", "update clinical.patients set ssn = '1', tags = array['a']"),
        ("moves", "insert into clinical.patients (id) values (7) on conflict (id) do update set tags = array[patients.ssn]"),
        ("moves", "insert into clinical.patients as p (id) values (7) on conflict (id) do update set tags = array[p.ssn]"),
        (
            "-",
            "insert into clinical.patients (id, ssn) values (7, '1') on conflict (id) do update set tags = array[excluded.ssn]",
        ),
        ("3", "insert into clinical.patients (id) values (7) on conflict (id) do update set ssn = reverse(patients.ssn)"),
        (
            "moves",
            "merge into clinical.patients p using (values (7)) v(id) on p.id = v.id when matched then update set tags = array[p.ssn]",
        ),
        (
            "moves",
            "merge into clinical.patients p using (select 7 as id) v on true when matched then update set tags = array[ssn]",
        ),
        (
            "moves",
            "merge into clinical.codes c using (values ('z')) v(id) on c.code = v.id when not matched then insert values ((select ssn from clinical.patients))",
        ),
        (
            "moves",
            "merge into clinical.codes c using unnest(array(select ssn from clinical.patients)) v on c.code = v when not matched then insert values (v)",
        ),
        (
            "-",
            "merge into clinical.codes c using (values ('z', 'y')) v(id, l) on c.code = v.id when matched then update set label = v.l when not matched then insert values (v.id, l)",
        ),
    ];
    for (wanted, text) in table {
        let facts = one(text);
        let rewritten = facts.rewrites.iter().map(|(_, number)| number.to_string()).collect::<Vec<_>>().join(",");
        let found = if facts.moves_data {
            "moves"
        } else if rewritten.is_empty() {
            "-"
        } else {
            rewritten.as_str()
        };
        assert_eq!(found, wanted, "{text}");
        assert_eq!(facts.unknown, None, "{text}");
    }
}

#[test]
fn temporary_names_do_not_outlive_what_makes_them_so() {
    let table = [
        "create temp view observations as select * from clinical.observations; delete from observations",
        "create temp table observations (id int); set search_path = clinical, pg_temp; delete from observations",
        "set search_path = clinical, pg_temp; create temp table observations (id int); delete from observations",
        "create temp table observations (id int); select set_config('search_path', 'clinical, pg_temp', false); delete from observations",
        "update pg_settings set setting = 'clinical, pg_temp' where name = 'search_path'; delete from tt",
        "drop table tt; delete from tt",
    ];
    for text in table {
        let last = analyzed(&catalog(), text).pop().unwrap();
        assert_eq!((last.verb, last.where_), (Verb::Delete, Where::Absent), "{text}");
    }
    let prepared = one("prepare p as delete from tt");
    assert!(matches!(prepared.shifts.as_slice(), [Shift::Prepared(_, facts)] if facts.where_ == Where::Absent));
    assert_eq!(one("delete from tt").where_, Where::None);
    assert!(one("update pg_settings set setting = 'x' where name = 'role'").verbs.contains(&Verb::SetRole));
    assert_eq!(one("set constraints all immediate").verb, Verb::Transaction);
}

#[test]
fn queries_in_odd_places_are_read() {
    let table = [
        "select * from xmltable('/r' passing x columns a text \"path\" (select ssn from clinical.patients))",
        "select * from xmltable('/r' passing x columns a text U&\"\\0070ath\" (select ssn from clinical.patients))",
        "create temp view v as select 1 from clinical.patients with local check option",
        "create temp table v as select 1 from clinical.patients with no data",
    ];
    for text in table {
        assert_eq!(names(&one(text).reads), ["clinical.patients"], "{text}");
    }
    assert!(one("create temp table v as select 1 nonsense nonsense").unknown.is_some());
}

#[test]
fn blocks_of_code_that_only_say_something() {
    for (text, plain) in [
        ("do $$ begin raise exception 'stop here' using hint = 'try later', errcode = 'P0099'; end $$", true),
        ("do $$ begin raise notice 'rows loaded: %', 12; raise warning 'slow'; end $$", true),
        ("do language plpgsql 'begin raise info E''%\\n'', -1.5; return; end;'", true),
        ("do $x$ begin null; begin raise division_by_zero; end; end $x$ language \"plpgsql\"", true),
        (
            "do $$ declare a int := 1; b constant text default 'x'; c boolean; begin a := 2; c = true; raise log '% %', a, b; end $$",
            true,
        ),
        (
            "do $$ begin if true then raise sqlstate '22012'; elsif null then null; else raise using message = 'x'; end if; end $$",
            true,
        ),
        ("do $$ begin raise notice '%', (select ssn from clinical.patients limit 1); end $$", false),
        ("do $$ begin raise notice '%', now(); end $$", false),
        ("do $$ begin raise notice '%', 'a' || 'b'; end $$", false),
        ("do $$ begin raise notice '%', 'a'::secret; end $$", false),
        ("do $$ begin raise notice '%', x; end $$", false),
        ("do $$ begin begin a := 1; end; end $$", false),
        ("do $$ declare a clinical.patients.ssn%type; begin end $$", false),
        ("do $$ declare a checked := 'x'; begin end $$", false),
        ("do $$ begin perform 1; end $$", false),
        ("do $$ begin select 1; end $$", false),
        ("do $$ begin delete from billing.claims; end $$", false),
        ("do $$ begin execute 'x'; end $$", false),
        ("do $$ begin raise notice 'x'; exception when others then null; end $$", false),
        ("do $$ begin loop null; end loop; end $$", false),
        ("do $$ begin raise notice 'x'; end; delete from a $$", false),
        ("do language sql 'begin null; end'", false),
        ("do 'begin null; end' language plperl", false),
        ("do $$ begin null; end", false),
    ] {
        let facts = one(text);
        assert_eq!(facts.plain_code, plain, "{text}");
        if facts.unknown.is_none() {
            assert_eq!((facts.verb, facts.shifts.is_empty()), (Verb::Do, plain), "{text}");
        }
    }
    let deep = |depth: usize| format!("do $$ {} null; {} $$", "begin ".repeat(depth), "end; ".repeat(depth));
    assert!(one(&deep(20)).plain_code && !one(&deep(10_000)).plain_code);
}
