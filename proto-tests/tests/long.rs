//! Messages too long to be read: where nothing is masked or held they reach the database and the log, in bounded memory; elsewhere they
//! are refused.

use std::sync::LazyLock;

use proto_tests::transcript::{SYNC, Target, bind, execute, parse, query};
use proto_tests::wire::{Reply, VERSION_3_0};
use proto_tests::{Stand, Wire, journal};

static PLAIN: LazyLock<Stand> = LazyLock::new(|| Stand::start("plain", &[]));
static CLINIC: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &[]));

fn connect() -> Wire {
    let target = Target::of(&PLAIN, "PROXY");
    Wire::try_start(&target.way, VERSION_3_0, &target.who, &target.database, &[]).unwrap().unwrap()
}

fn said(wire: &mut Wire, bytes: &[u8]) -> Reply {
    wire.send_and_read(bytes).unwrap();
    wire.reply()
}

fn value(reply: &Reply) -> String {
    reply.rows().pop().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("{:?}", reply.tags()))
}

/// What was recorded as passed on unread in the newest session, and the statements of that session.
fn recorded() -> (Vec<u8>, Vec<serde_json::Value>) {
    let newest = &journal::sessions(&PLAIN, &[])[0];
    let lines = journal::replay(&PLAIN, &journal::id(newest));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut passed = Vec::new();
    for line in lines.iter().filter(|line| line["kind"] == "passed") {
        assert_eq!(line["at"], passed.len(), "a part is missing");
        passed.extend_from_slice(line["bytes"].as_str().unwrap().as_bytes());
    }
    let statements = lines.into_iter().filter(|line| line["kind"] == "statement").collect();
    (passed, statements)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", PLAIN.value("PID"))).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One after the other: the newest session is looked at, and the highest memory of the process.
#[test]
fn what_is_too_long_is_passed_on_and_recorded_whole() {
    let mut wire = connect();
    said(&mut wire, &query("select 1"));
    let before = resident_kib();
    let long = query(format!("select length('{}')", "q".repeat(200 << 20)));
    assert_eq!(value(&said(&mut wire, &long)), (200 << 20).to_string());
    let bound = [
        parse("s", "select length($1)"),
        bind("", "s", &[], &[Some("p".repeat(200 << 20).as_bytes())], &[]),
        execute("", 0),
        SYNC.to_vec(),
    ];
    assert_eq!(value(&said(&mut wire, &bound.concat())), (200 << 20).to_string());
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 160 << 10, "two messages of 200 MiB took {grown} KiB of memory");
    drop(wire);

    let mut wire = connect();
    let long = query(format!("select /* {} */ 'the end'", "x".repeat(66 << 20)));
    assert_eq!(value(&said(&mut wire, &long)), "the end");
    assert_eq!(value(&said(&mut wire, &query("select 2"))), "2");
    drop(wire);
    let (passed, statements) = recorded();
    assert!(passed == long, "{} bytes were recorded of {}", passed.len(), long.len());
    assert_eq!(statements.len(), 2);
    assert_eq!((&statements[0]["decision"], &statements[0]["verbs"][0]), (&"forward".into(), &"unknown".into()));
    assert!(statements[0]["text"].as_str().unwrap().starts_with("select /* xxx"));

    // half of a statement, and then no more
    let mut wire = connect();
    let pid = wire.key.0;
    let half = query(format!("create table half (i int) /* {} */", "x".repeat(66 << 20)));
    wire.send(&half[..half.len() - 3]).unwrap();
    drop(wire);
    let mut other = connect();
    let gone = format!("select count(*) from pg_stat_activity where pid = {pid}");
    proto_tests::eventually("the backend goes", || (value(&said(&mut other, &query(&gone))) == "0").then_some(()));
    assert_eq!(value(&said(&mut other, &query("select coalesce(to_regclass('half')::text, 'none')"))), "none");
}

/// A statement that was ruled upon takes parameters of any length, where nothing is masked: clinicians'.
#[test]
fn what_is_too_long_is_refused_where_something_is_masked_or_held() {
    for who in ["AGENT", "CLINICIAN"] {
        let mut wire = Wire::connect(&CLINIC, &CLINIC.identity(who));
        let long = "q".repeat(66 << 20);
        let reply = said(&mut wire, &query(format!("select length('{long}')")));
        assert_eq!((reply.tags().as_str(), reply.sqlstate().as_deref()), ("EZ", Some("54000")), "{who}");
        let bound =
            [parse("", "select length($1)"), bind("", "", &[], &[Some(long.as_bytes())], &[]), execute("", 0), SYNC.to_vec()];
        let reply = said(&mut wire, &bound.concat());
        let state = (who == "AGENT").then_some("54000");
        assert_eq!(reply.sqlstate().as_deref(), state, "{who}: {}", reply.tags());
        assert_eq!(said(&mut wire, &query("select 2")).tags(), "TDCZ");
    }
}
