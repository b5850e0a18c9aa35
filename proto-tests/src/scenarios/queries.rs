//! The simple and the extended protocol.

use crate::transcript::{FLUSH, SYNC, Scenario, Stage, bind, close, describe, execute, message, parse, parse_typed, query, run};

pub(super) const ALL: &[Scenario] = &[
    ("empty-query", empty_query),
    ("several-statements", several_statements),
    ("transaction-status", transaction_status),
    ("error-fields", error_fields),
    ("notices-keep-their-place", notices),
    ("errors-skip-to-sync", skips),
    ("a-query-amid-a-sequence", query_amid),
    ("syncs", syncs),
    ("flush", flush),
    ("portals", portals),
    ("formats", formats),
    ("malformed-messages", malformed),
    ("function-call", function_call),
    ("timeouts", timeouts),
    ("cursors", cursors),
    ("savepoints-in-a-pipeline", savepoints),
    ("bytes-untouched", bytes_untouched),
];

fn empty_query(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["", ";", ";;", " -- nothing", "/* nothing */", "select 1;;", "; select 1"]);
    let amid =
        [run("select 1"), parse("", ""), describe(b'S', ""), bind("", "", &[], &[], &[]), describe(b'P', ""), execute("", 0)];
    stage.send(&mut wire, &[amid.concat(), run("select 2"), SYNC.to_vec()].concat(), 1);
}

fn several_statements(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "create temp table s(i int unique)",
            "select 1; ; insert into s values (1), (2); select * from s; select 1/0; select 3",
            "select count(*) from s",
            "insert into s values (1); commit; insert into s values (1)",
            "select count(*) from s",
            "begin; insert into s values (7); select 1; rollback; select count(*) from s",
            "begin; select 1/0; commit; select 2",
            "create temp table t2(i int); insert into t2 values (1) returning i; update t2 set i = 2; delete from t2; drop table t2",
            "vacuum; select 1",
            "select 1; vacuum",
            "select 1; selec 2",
        ],
    );
}

fn transaction_status(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "begin",
            "select 1",
            "savepoint a",
            "select 1/0",
            "select 2",
            "rollback to a",
            "select 3",
            "commit",
            "commit",
            "begin",
            "select nope",
            "commit",
            "start transaction read only",
            "create table no(i int)",
            "end",
            "begin; begin",
            "abort",
            "prepare transaction 'x'",
        ],
    );
}

fn error_fields(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let raised = "do $$ begin raise exception sqlstate 'U0001' using message = 'm', detail = 'd', hint = 'h', column = 'c', \
                  constraint = 'k', datatype = 't', table = 'tb', schema = 's'; end $$";
    stage.ask(
        &mut wire,
        &[
            "create temp table ef(i int constraint positive check (i > 0), d date not null, u int unique)",
            "insert into ef values (-1, now())",
            "insert into ef values (1, null)",
            "insert into ef values (1, now(), 1), (1, now(), 1)",
            "select  *  frm ef",
            "select '2020-13-01'::date",
            raised,
            "do $$ begin execute 'select 1/0'; end $$",
            "do $$ begin raise exception 'E'; end $$",
            "do $$ begin raise 'é %', E'\\u00e9'; end $$",
            "select pg_catalog.nofunc(1)",
            "select E'\\\\xff'::bytea::text::xml",
            "set client_min_messages to debug1",
            "select 1/0",
        ],
    );
}

fn notices(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "create function pg_temp.n(i int) returns int language plpgsql as \
             $$ begin raise notice 'n%', i; raise warning 'w%', i; return i; end $$",
            "select pg_temp.n(i) from generate_series(1, 5) i; do $$ begin raise info 'between'; end $$; select pg_temp.n(9)",
            "copy (select pg_temp.n(i) from generate_series(1, 3) i) to stdout",
            "set client_min_messages to error; select pg_temp.n(1)",
        ],
    );
    let pipeline = [run("select 1"), run("select pg_temp.n(2)"), run("reset client_min_messages"), run("select pg_temp.n(3)")];
    stage.send(&mut wire, &[pipeline.concat(), SYNC.to_vec()].concat(), 1);
}

fn skips(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let first = [run("select 1"), run("select 1/0"), run("select 3"), FLUSH.to_vec(), close(b'S', "x"), SYNC.to_vec()];
    stage.send(&mut wire, &[first.concat(), run("select 4"), SYNC.to_vec()].concat(), 2);
    let missing = [
        [parse("", "select nope"), describe(b'S', ""), SYNC.to_vec()].concat(),
        [bind("", "nostatement", &[], &[], &[]), execute("", 0), SYNC.to_vec()].concat(),
        [execute("noportal", 0), SYNC.to_vec()].concat(),
        [describe(b'S', "no"), SYNC.to_vec()].concat(),
        [describe(b'P', "no"), SYNC.to_vec()].concat(),
        [describe(b'X', "no"), run("select 1"), SYNC.to_vec()].concat(),
        [close(b'X', "no"), run("select 1"), SYNC.to_vec()].concat(),
    ];
    stage.send(&mut wire, &missing.concat(), 7);
    let failed = [run("begin"), run("select 1/0"), SYNC.to_vec(), run("select 1"), SYNC.to_vec(), run("rollback"), SYNC.to_vec()];
    stage.send(&mut wire, &failed.concat(), 3);
}

fn query_amid(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    // a Query in a skipped stretch is dropped as well
    stage.send(&mut wire, &[parse("", "syntax error here"), query("select 5"), SYNC.to_vec()].concat(), 1);
    // and one in a sequence ends it
    stage.send(&mut wire, &[run("select 6"), query("select 7"), SYNC.to_vec()].concat(), 2);
    let mut wire = stage.connect();
    stage.send(&mut wire, &[parse("", "select 8"), query("select 9"), bind("", "", &[], &[], &[]), SYNC.to_vec()].concat(), 2);
    stage.ask(&mut wire, &["select 10"]);
}

fn syncs(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.send(&mut wire, &SYNC.repeat(5), 5);
    let all = [run("begin"), SYNC.repeat(2), run("select 1/0"), SYNC.repeat(2), run("rollback"), SYNC.to_vec()];
    stage.send(&mut wire, &all.concat(), 5);
}

fn flush(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.send(&[parse("s", "select $1::int + 1"), describe(b'S', "s"), FLUSH.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"T", 1);
    wire.send(&[bind("", "s", &[], &[Some(b"41")], &[]), execute("", 0), FLUSH.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"C", 1);
    wire.send(FLUSH).unwrap();
    stage.silence(&mut wire);
    wire.send(&[parse("", "select 1/0"), bind("", "", &[], &[], &[]), execute("", 0), FLUSH.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"E", 1);
    wire.send(FLUSH).unwrap();
    stage.silence(&mut wire);
    stage.send(&mut wire, SYNC, 1);
}

fn portals(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let parts = [parse("g", "select generate_series(1, 5)"), bind("p", "g", &[], &[], &[]), execute("p", 2).repeat(4)];
    stage.send(&mut wire, &[parts.concat(), close(b'P', "p"), SYNC.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["begin"]);
    let two = [bind("a", "g", &[], &[], &[1]), bind("b", "g", &[], &[], &[]), execute("a", 1), execute("b", 3), SYNC.to_vec()];
    stage.send(&mut wire, &two.concat(), 1);
    stage.send(&mut wire, &[execute("a", 1), execute("b", 0), execute("b", 0), execute("a", -1), SYNC.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["commit"]);
    stage.send(&mut wire, &[execute("a", 1), SYNC.to_vec()].concat(), 1);
    // rows of a data change
    let change = [parse("", "insert into pt select generate_series(1, 4) returning i"), bind("", "", &[], &[], &[])];
    stage.ask(&mut wire, &["create temp table pt(i int)"]);
    stage.send(&mut wire, &[change.concat(), execute("", 2), execute("", 0), SYNC.to_vec()].concat(), 1);
}

fn formats(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let values: &[Option<&[u8]>] = &[Some(b"\0\0\0\x2a"), Some("text é".as_bytes()), None, Some(b"\0\x01\xff")];
    let sql =
        "select $1::int4, $2::text, $3::date, $4::bytea, 1.5::numeric, now() < 'infinity', array[1, null, 3], '{\"a\":1}'::jsonb";
    let parsed = parse_typed("", sql, &[23, 25, 1082, 17]);
    let each = bind("", "", &[1, 0, 1, 1], values, &[1, 0, 1, 1, 1, 1, 1, 1]);
    let tail = [describe(b'P', ""), execute("", 0), SYNC.to_vec()].concat();
    stage.send(&mut wire, &[parsed, describe(b'S', ""), each, tail.clone()].concat(), 1);
    let text: &[Option<&[u8]>] = &[Some(b"42"), Some(b"t"), None, Some(b"\\x00")];
    stage.send(&mut wire, &[bind("", "", &[], text, &[1]), tail.clone()].concat(), 1);
    stage.send(&mut wire, &[bind("", "", &[], &[Some(b"4x"), Some(b"t"), None, Some(b"")], &[]), tail].concat(), 1);
    stage.send(&mut wire, &[bind("", "", &[], &[Some(b"1")], &[]), SYNC.to_vec()].concat(), 1);
    stage.send(&mut wire, &[bind("", "", &[1, 0], values, &[1, 1]), SYNC.to_vec()].concat(), 1);
    stage.send(&mut wire, &[bind("", "", &[1, 0, 1, 1], values, &[1, 1]), SYNC.to_vec()].concat(), 1);
}

/// Messages whose content does not fit: errors, after which the conversation goes on.
fn malformed(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    for (tag, body) in [
        (b'P', &b""[..]),
        (b'P', b"name"),
        (b'B', b"\0\0\0\x01"),
        (b'D', b"S"),
        (b'E', b"x"),
        (b'C', b""),
        (b'B', b"\0\0\0\0\0\0\0\0more"),
    ] {
        stage.send(&mut wire, &[message(tag, body), SYNC.to_vec()].concat(), 1);
    }
    stage.send(&mut wire, &message(b'Q', b"select 1"), 1);
    stage.send(&mut wire, &message(b'Q', b"select 1\0more\0"), 1);
    stage.send(&mut wire, &message(b'F', b"\0"), 1);
    stage.ask(&mut wire, &["select 1"]);
}

fn function_call(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let call = |oid: u32, arguments: &[u32]| {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend([0, 1, 0, 1]);
        body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
        for argument in arguments {
            body.extend(4_u32.to_be_bytes());
            body.extend(argument.to_be_bytes());
        }
        body.extend([0, 1]);
        message(b'F', &body)
    };
    stage.send(&mut wire, &call(177, &[40, 2]), 1);
    stage.send(&mut wire, &call(154, &[1, 0]), 1);
    stage.send(&mut wire, &call(1, &[1]), 1);
    stage.ask(&mut wire, &["begin"]);
    stage.send(&mut wire, &call(154, &[1, 0]), 1);
    stage.send(&mut wire, &call(177, &[40, 2]), 1);
    stage.ask(&mut wire, &["rollback"]);
}

fn timeouts(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["set statement_timeout to '150ms'", "select 1; select pg_sleep(9); select 2", "select 3"]);
    stage.ask(&mut wire, &["copy (select pg_sleep(9)) to stdout", "begin", "select pg_sleep(9)", "select 1", "rollback"]);
    let pipeline = [run("select 1"), run("select pg_sleep(9)"), run("select 2"), SYNC.to_vec()];
    stage.send(&mut wire, &pipeline.concat(), 1);
    stage.owner("drop table if exists locked; create table locked(i int)");
    let mut other = stage.connect();
    stage.ask(&mut other, &["begin", "lock table locked"]);
    stage.ask(&mut wire, &["set statement_timeout to 0", "set lock_timeout to '150ms'", "select * from locked", "select 4"]);
    stage.ask(&mut other, &["rollback"]);
}

fn cursors(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "begin",
            "declare c scroll cursor for select g, repeat('x', g) from generate_series(1, 9) g",
            "fetch 2 from c",
            "fetch backward 1 from c; move 3 in c; fetch all from c",
            "close c; fetch c",
            "rollback",
            "begin; declare b binary cursor for select 1::int4; fetch b; commit",
            "declare h cursor with hold for select 1",
            "fetch h; close h",
        ],
    );
}

fn savepoints(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let pipeline = [
        run("begin"),
        run("savepoint a"),
        run("select 1/0"),
        SYNC.to_vec(),
        run("rollback to a"),
        run("select 1"),
        SYNC.to_vec(),
        run("commit"),
        SYNC.to_vec(),
    ];
    stage.send(&mut wire, &pipeline.concat(), 3);
}

fn bytes_untouched(stage: &mut Stage<'_>) {
    let mut wire = stage.connect_with(crate::wire::VERSION_3_0, &[("client_encoding", "LATIN1")]).unwrap();
    stage.send(&mut wire, &query(b"select '\xe9\xe8\xff', length('\xe9\xe8\xff') as \"\xe9\""), 1);
    let mut wire = stage.connect();
    stage.send(&mut wire, &query(b"select '\xff'"), 1);
    stage.ask(&mut wire, &["select 'é' as \"naïve 列\"", "set client_encoding to 'SJIS'", "select chr(12450)", "select 1/0"]);
    stage.ask(&mut wire, &["set client_encoding to 'UTF8'", "set standard_conforming_strings to off", "select 'a\\'b'"]);
    let invalid = [parse("", "select $1::text"), bind("", "", &[], &[Some(b"\xff\xfe")], &[]), execute("", 0), SYNC.to_vec()];
    stage.send(&mut wire, &invalid.concat(), 1);
    stage.send(&mut wire, &[parse("\u{e9}", "select 1"), describe(b'S', "\u{e9}"), SYNC.to_vec()].concat(), 1);
}
