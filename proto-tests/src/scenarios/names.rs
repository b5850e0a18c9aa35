//! Statements and portals: what a name stands for.

use crate::transcript::{SYNC, Scenario, Stage, bind, close, describe, execute, parse, parse_typed, query, run};

pub(super) const ALL: &[Scenario] = &[
    ("statements-and-portals", names),
    ("names-of-what-failed", failed),
    ("portals-outlive-their-statements", outlive),
    ("what-has-no-name", unnamed),
    ("statements-by-sql", by_sql),
    ("many-parameters", many_parameters),
    ("plans-that-change", plans),
];

fn names(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let sync = || SYNC.to_vec();
    stage.send(&mut wire, &[parse_typed("s1", "select $1::text, $2", &[0, 23]), describe(b'S', "s1"), sync()].concat(), 1);
    stage.send(&mut wire, &[parse("s1", "select 2"), sync()].concat(), 1);
    let anew = [close(b'S', "s1"), close(b'S', "never"), close(b'P', "never"), parse("s1", "select 2")];
    let used = [bind("", "s1", &[], &[], &[]), describe(b'P', ""), execute("", 0), sync()];
    stage.send(&mut wire, &[anew.concat(), used.concat()].concat(), 1);
    stage.ask(&mut wire, &["prepare viasql as select $1::int"]);
    stage.send(&mut wire, &[bind("", "viasql", &[], &[Some(b"7")], &[]), execute("", 0), sync()].concat(), 1);
    stage.ask(&mut wire, &["execute s1", "deallocate s1"]);
    stage.send(&mut wire, &[bind("", "s1", &[], &[], &[]), sync()].concat(), 1);
    stage.ask(&mut wire, &["declare c cursor with hold for select generate_series(1, 3)"]);
    stage.send(&mut wire, &[describe(b'P', "c"), execute("c", 2), sync()].concat(), 1);
    let none = [parse("", "create temp table nd(i int)"), describe(b'S', ""), bind("", "", &[], &[], &[]), describe(b'P', "")];
    stage.send(&mut wire, &[none.concat(), execute("", 0), sync()].concat(), 1);
    let returning = [parse("", "insert into nd values (1) returning i"), describe(b'S', ""), bind("", "", &[], &[], &[])];
    stage.send(&mut wire, &[returning.concat(), execute("", 0), sync()].concat(), 1);
    stage.send(&mut wire, &[parse("", "select 1; select 2"), sync()].concat(), 1);
    stage.send(&mut wire, &[bind("dup", "viasql", &[], &[Some(b"1")], &[]).repeat(2), sync()].concat(), 1);
    stage.ask(&mut wire, &["deallocate all", "discard all"]);
    stage.send(&mut wire, &[describe(b'S', "viasql"), sync()].concat(), 1);
}

fn failed(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let sync = || SYNC.to_vec();
    let used = |name: &str| [bind("", name, &[], &[], &[]), execute("", 0), SYNC.to_vec()].concat();
    // the name is free
    stage.send(&mut wire, &[parse("n", "selec"), sync(), parse("n", "select 1"), sync(), used("n")].concat(), 3);
    // what was skipped is not there, what came before the error is
    let skipped = [parse("before", "select 2"), run("select 1/0"), parse("skipped", "select 3"), close(b'S', "n"), sync()];
    stage.send(&mut wire, &[skipped.concat(), used("skipped"), used("before"), used("n")].concat(), 4);
    // statements are there whatever becomes of the transaction, portals are not
    let open = [run("begin"), parse("within", "select 4"), bind("p", "within", &[], &[], &[]), run("select 1/0"), sync()];
    stage.send(&mut wire, &[open.concat(), execute("p", 0), sync(), run("rollback"), sync()].concat(), 3);
    stage.send(&mut wire, &[execute("p", 0), sync(), used("within")].concat(), 2);
    // a portal ends with its Sync, a failed Bind leaves none
    stage.send(&mut wire, &[bind("p", "n", &[], &[], &[]), sync(), execute("p", 0), sync()].concat(), 2);
    stage.send(&mut wire, &[run("begin"), bind("q", "n", &[], &[Some(b"1")], &[]), sync(), execute("q", 0), sync()].concat(), 2);
    stage.ask(&mut wire, &["rollback"]);
    stage.send(&mut wire, &[parse("n", "select 'another'"), sync(), used("n")].concat(), 2);
}

fn outlive(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["begin"]);
    let gone = [parse("s", "select generate_series(1, 4)"), bind("p", "s", &[], &[], &[1]), close(b'S', "s"), execute("p", 2)];
    stage.send(&mut wire, &[gone.concat(), SYNC.to_vec()].concat(), 1);
    let anew = [parse("s", "select 'text'"), bind("q", "s", &[], &[], &[]), execute("p", 1), execute("q", 0), execute("p", 0)];
    stage.send(&mut wire, &[anew.concat(), SYNC.to_vec()].concat(), 1);
    let replaced = [parse("", "select 5"), bind("r", "", &[], &[], &[]), parse("", "select 'six', 6"), describe(b'P', "r")];
    stage.send(&mut wire, &[replaced.concat(), execute("r", 0), SYNC.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["deallocate s"]);
    stage.send(&mut wire, &[describe(b'P', "q"), close(b'P', "q"), SYNC.to_vec()].concat(), 1);
    stage.send(&mut wire, &[execute("q", 0), SYNC.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["rollback"]);
}

fn unnamed(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let sync = || SYNC.to_vec();
    let bound = || bind("", "", &[], &[], &[]);
    // it stays until the next, also over a Sync; a failed Parse takes it away
    stage.send(&mut wire, &[parse("", "select 1"), sync(), bound(), execute("", 0), sync()].concat(), 2);
    stage.send(&mut wire, &[parse("", "selec"), sync(), bound(), sync()].concat(), 2);
    // a Query takes both along
    stage.send(
        &mut wire,
        &[run("begin"), parse("", "select generate_series(1, 3)"), bound(), execute("", 1), sync()].concat(),
        1,
    );
    stage.send(&mut wire, &[execute("", 1), sync(), query("select 2")].concat(), 2);
    stage.send(&mut wire, &[execute("", 1), sync(), run("rollback"), sync(), bound(), sync()].concat(), 3);
    // the portal is replaced
    let two = [parse("a", "select generate_series(1, 3)"), bind("", "a", &[], &[], &[]), execute("", 1), parse("", "select 'b'")];
    stage.send(&mut wire, &[two.concat(), execute("", 1), bound(), describe(b'P', ""), execute("", 0), sync()].concat(), 1);
    stage.send(&mut wire, &[close(b'S', ""), close(b'P', ""), bound(), sync()].concat(), 1);
}

fn by_sql(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let sync = || SYNC.to_vec();
    stage.send(&mut wire, &[parse_typed("s", "select $1, $2::text", &[23, 0]), sync()].concat(), 1);
    stage.ask(
        &mut wire,
        &["execute s(1, 'x')", "explain (costs off) execute s(1, 'x')", "execute s(1)", "EXECUTE \"s\" (2, null)"],
    );
    stage.ask(&mut wire, &["select name, statement, parameter_types, from_sql from pg_prepared_statements"]);
    stage.ask(&mut wire, &["create temp table made as execute s(3, 'y')", "select * from made"]);
    let within = [parse("", "execute s(4, 'z')"), describe(b'S', ""), bind("", "", &[], &[], &[1, 0]), describe(b'P', "")];
    stage.send(&mut wire, &[within.concat(), execute("", 0), sync()].concat(), 1);
    let prepares = [run("prepare t as select 5"), bind("", "t", &[], &[], &[]), execute("", 0), run("deallocate t"), sync()];
    stage.send(&mut wire, &[prepares.concat(), bind("", "t", &[], &[], &[]), sync()].concat(), 2);
    stage.ask(&mut wire, &["begin; declare c cursor for select generate_series(1, 9)"]);
    let fetches = [run("fetch 2 from c"), execute("c", 3), run("fetch backward 1 from c"), run("move 1 in c"), execute("c", 1)];
    stage.send(&mut wire, &[fetches.concat(), run("close c"), execute("c", 1), sync()].concat(), 1);
    stage.ask(&mut wire, &["rollback"]);
    let opened = [run("begin"), parse("", "select generate_series(1, 9)"), bind("p", "", &[], &[], &[]), execute("p", 2), sync()];
    stage.send(&mut wire, &opened.concat(), 1);
    stage.ask(&mut wire, &["fetch 2 from p", "select name, is_holdable from pg_cursors where name = 'p'", "close p"]);
    stage.send(&mut wire, &[execute("p", 2), sync(), run("rollback"), sync()].concat(), 2);
}

/// As many as there can be: their number is no signed one.
fn many_parameters(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    for count in [32_767_usize, 32_768, 65_535] {
        let parsed = parse_typed("", format!("select ${count}, $1"), &vec![23; count]);
        let values: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
        let formats = vec![0; count];
        let used = [bind("", "", &formats, &values, &[0, 1]), describe(b'P', ""), execute("", 0), SYNC.to_vec()];
        stage.send(&mut wire, &[parsed, describe(b'S', ""), used.concat()].concat(), 1);
    }
}

fn plans(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["create temp table pl(i int); insert into pl values (1)"]);
    let used = || [bind("", "star", &[], &[], &[]), describe(b'P', ""), execute("", 0), SYNC.to_vec()].concat();
    stage.send(&mut wire, &[parse("star", "select * from pl"), used()].concat(), 1);
    stage.ask(&mut wire, &["alter table pl add j int"]);
    stage.send(&mut wire, &used(), 1);
    stage.ask(&mut wire, &["alter table pl drop j", "drop table pl"]);
    stage.send(&mut wire, &used(), 1);
}
