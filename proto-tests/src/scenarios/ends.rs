//! How sessions end.

use crate::transcript::{COPY_DONE, SYNC, Scenario, Stage, TERMINATE, copy_data, query, run};

pub(super) const ALL: &[Scenario] = &[
    ("terminated-when-idle", idle),
    ("terminated-in-a-transaction", in_transaction),
    ("terminated-amid-a-query", amid_query),
    ("terminated-amid-rows", amid_rows),
    ("terminated-amid-copy", amid_copy),
    ("terminated-amid-a-pipeline", amid_pipeline),
    ("idle-timeouts", idle_timeouts),
    ("terminate", terminate),
    ("terminate-behind-queries", behind_queries),
    ("a-client-vanishes", vanishes),
    ("a-client-leaves-amid-rows", leaves),
    ("a-client-shuts-its-side", shuts),
    ("a-client-sends-and-hangs-up", sends_and_leaves),
];

fn terminate_backend(stage: &Stage<'_>, wire: &crate::Wire) {
    stage.owner(&format!("select pg_terminate_backend({})", wire.key.0));
}

fn until_gone(stage: &Stage<'_>, pid: i32) {
    stage.owner_until(&format!("select count(*) from pg_stat_activity where pid = {pid}"), "0");
}

fn until_running(stage: &Stage<'_>, wire: &crate::Wire) {
    stage.owner_until(
        &format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'", wire.key.0),
        "1",
    );
}

fn idle(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn in_transaction(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["begin", "select 1"]);
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn amid_query(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask("select 1; select pg_sleep(25)");
    until_running(stage, &wire);
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn amid_rows(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask("select repeat('x', 9000) from generate_series(1, 3) union all select pg_sleep(25)::text");
    until_running(stage, &wire);
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn amid_copy(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask("copy (select repeat('x', 9000) from generate_series(1, 3) union all select pg_sleep(25)::text) to stdout");
    until_running(stage, &wire);
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["create temp table ac(i int)"]);
    // the lock tells that the first row has been taken
    wire.ask("copy ac from stdin where pg_advisory_lock_shared(1601) is not null");
    stage.until(&mut wire, b"G", 1);
    wire.send(&copy_data("1\n")).unwrap();
    let waits = "select count(*) from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and wait_event = 'ClientRead'";
    stage.owner_until(&format!("{waits} and pid = {}", wire.key.0), "1");
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn amid_pipeline(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.send(&[run("select 1"), run("select pg_sleep(25)"), run("select 2"), SYNC.to_vec(), query("select 3")].concat())
        .unwrap();
    until_running(stage, &wire);
    terminate_backend(stage, &wire);
    stage.end(&mut wire);
}

fn idle_timeouts(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["set idle_in_transaction_session_timeout to '150ms'", "begin"]);
    stage.end(&mut wire);
    let mut wire = stage.connect();
    // from PostgreSQL 14 on
    if wire.query("show idle_session_timeout").sqlstate().is_none() {
        stage.ask(&mut wire, &["set idle_session_timeout to '150ms'"]);
        stage.end(&mut wire);
    }
}

fn terminate(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let pid = wire.key.0;
    wire.send(TERMINATE).unwrap();
    stage.end(&mut wire);
    until_gone(stage, pid);
}

fn behind_queries(stage: &mut Stage<'_>) {
    stage.owner("drop table if exists tbq; create table tbq(i int)");
    let mut wire = stage.connect();
    let queries = [
        query("insert into tbq select 1 from pg_sleep(0.3)"),
        query("insert into tbq values (2)"),
        run("insert into tbq values (3)"),
    ];
    wire.send(&[queries.concat(), SYNC.to_vec(), TERMINATE.to_vec()].concat()).unwrap();
    stage.end(&mut wire);
    let stored = stage.owner("select count(*) from tbq");
    stage.note(stored);
}

fn vanishes(stage: &mut Stage<'_>) {
    stage.owner("drop table if exists cv; create table cv(i int)");
    let mut wire = stage.connect();
    let pid = wire.key.0;
    stage.ask(&mut wire, &["begin", "insert into cv values (1)", "lock table cv"]);
    drop(wire);
    until_gone(stage, pid);
    let stored = stage.owner("select count(*) from cv");
    stage.note(stored);
}

/// Rows that nobody takes any more.
fn leaves(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let pid = wire.key.0;
    wire.ask("select repeat('x', 1000) from generate_series(1, 1000000)");
    let _ = wire.read().unwrap();
    drop(wire);
    until_gone(stage, pid);
    stage.note("gone");
}

/// What was sent before is carried out and answered, to a client that will say nothing more.
fn shuts(stage: &mut Stage<'_>) {
    stage.owner("drop table if exists css; create table css(i int)");
    let rows: Vec<u8> = (0..50).flat_map(|n| query(format!("select {n}, repeat('x', 3000)"))).collect();
    for script in [
        Vec::new(),
        query("insert into css values (1); select pg_sleep(0.2), 'answered'"),
        [query("select pg_sleep(0.2)"), rows].concat(),
        [run("insert into css values (2)"), SYNC.to_vec(), run("select 2"), SYNC.to_vec()].concat(),
        // no Sync: nothing is stored
        run("insert into css values (4)"),
        [query("begin; insert into css values (8)"), query("select pg_sleep(0.2)")].concat(),
        [run("select 1/0"), SYNC.to_vec(), query("select 3")].concat(),
        [query("select pg_sleep(0.2)"), b"Q\0\0\0\x20half".to_vec()].concat(),
        [query("copy css from stdin"), copy_data("16\n")].concat(),
        [query("copy css from stdin"), copy_data("32\n"), COPY_DONE.to_vec()].concat(),
        query("copy (select g, repeat('y', 1000) from generate_series(1, 20) g) to stdout"),
    ] {
        let mut wire = stage.connect();
        let pid = wire.key.0;
        wire.send(&script).unwrap();
        wire.shut();
        stage.end(&mut wire);
        until_gone(stage, pid);
    }
    let stored = stage.owner("select sum(i) from css");
    stage.note(stored);
}

fn sends_and_leaves(stage: &mut Stage<'_>) {
    stage.owner("drop table if exists csl; create table csl(i int)");
    for n in 0..20 {
        let mut wire = stage.connect();
        let pid = wire.key.0;
        let insert = format!("insert into csl values ({n})");
        let script = if n % 2 == 0 { query(&insert) } else { [run(&insert), SYNC.to_vec()].concat() };
        wire.send(&script).unwrap();
        drop(wire);
        until_gone(stage, pid);
    }
    let stored = stage.owner("select count(*) from csl");
    stage.note(stored);
}
