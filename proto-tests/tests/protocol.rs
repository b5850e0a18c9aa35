//! Corners of the conversation: pipelines, portals, COPY, notices, cancel. What the client sees is what the database says.

use std::sync::LazyLock;
use std::time::Duration;

use proto_tests::{Stand, Wire};

/// Masks for all but clinicians, no holds.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/corpus-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));

fn clinician() -> Wire {
    Wire::connect(&STAND, &STAND.identity("CLINICIAN"))
}

/// The same script through pgveil and straight; the replies must be the same bytes.
fn same(what: &str, script: impl Fn(&mut Wire) -> Vec<proto_tests::Message>) {
    let through = script(&mut clinician());
    let direct = script(&mut Wire::owner(&STAND));
    assert_eq!(through, direct, "{what}");
}

#[test]
fn replies_are_the_databases_own_bytes() {
    for sql in [
        "",
        ";;",
        "select 1; select 2; select 1/0; select 3",
        "begin; select 1; commit",
        "select 1 as a, null as b, 'x'::text as c where false",
        "set client_encoding = 'LATIN1'; show client_encoding",
        "do $$ begin raise notice 'one'; raise warning 'two'; end $$",
        "select * from clinical.codes order by code",
        "select nothing from clinical.codes",
        "rollback",
        "explain (costs off) select * from clinical.codes",
    ] {
        same(sql, |wire| wire.query(sql).messages);
    }
}

#[test]
fn pipelines_and_errors_in_them() {
    same("pipeline", |wire| {
        wire.pipeline(|p| {
            p.parse("a", "select $1::int + 1").describe(b'S', "a");
            p.bind("", "a", &[Some("1")], 0).describe(b'P', "").execute("", 0);
            p.bind("", "a", &[Some("2")], 1).execute("", 0);
            p.parse("b", "select 1/0").bind("", "b", &[], 0).execute("", 0);
            p.bind("", "a", &[Some("3")], 0).execute("", 0).sync();
            p.bind("", "a", &[Some("4")], 0).execute("", 0).sync().sync();
        });
        let mut all = wire.reply().messages;
        all.extend(wire.reply().messages);
        all.extend(wire.reply().messages);
        all
    });
}

#[test]
fn portals_are_read_in_turns() {
    same("portals", |wire| {
        let mut all = wire.query("begin").messages;
        wire.pipeline(|p| {
            p.parse("s", "select g from generate_series(1, 7) g");
            p.bind("one", "s", &[], 0).bind("two", "s", &[], 1);
            p.execute("one", 3).execute("two", 2).execute("one", 3).execute("two", 0).execute("one", 0).sync();
        });
        all.extend(wire.reply().messages);
        all.extend(wire.query("commit").messages);
        all
    });
}

#[test]
fn flush_brings_replies_without_a_sync() {
    let mut wire = clinician();
    wire.pipeline(|p| {
        p.parse("", "select 1").bind("", "", &[], 0).execute("", 0).flush();
    });
    let tags: Vec<_> = (0..4).map(|_| wire.read().unwrap().tag).collect();
    assert_eq!(tags, b"12DC");
    wire.pipeline(|p| {
        p.sync();
    });
    assert_eq!(wire.reply().tags(), "Z");
}

#[test]
fn a_masked_statement_described_once_stays_masked_for_every_execution() {
    let raw = proto_tests::Canaries::of(&STAND);
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.pipeline(|p| {
        p.parse("s", "select ssn, last_name, birth_date from clinical.patients where id = $1").describe(b'S', "s").sync();
    });
    assert_eq!(wire.reply().tags(), "1tTZ");
    for (id, format) in (1..=60).zip([0, 1].into_iter().cycle()) {
        wire.pipeline(|p| {
            p.bind("", "s", &[Some(&id.to_string())], format).execute("", 0).sync();
        });
        let reply = wire.reply();
        assert_eq!(reply.of(b'D').count(), 1);
        raw.assert_clean("an execution", &reply.bytes());
    }
    // never described at all, by name and without one
    for name in ["", "t"] {
        wire.pipeline(|p| {
            p.parse(name, "select last_name from clinical.patients where id < 20").bind("", name, &[], 0).execute("", 0).sync();
        });
        raw.assert_clean("no Describe", &wire.reply().bytes());
    }
    // read in parts
    wire.pipeline(|p| {
        p.parse("", "select last_name from clinical.patients where id < 20").bind("p", "", &[], 0);
        p.execute("p", 5).execute("p", 5).execute("p", 0).sync();
    });
    let reply = wire.reply();
    assert_eq!(reply.of(b'D').count(), 19);
    raw.assert_clean("a portal in parts", &reply.bytes());
}

/// What a portal shows was fixed when it was bound, whatever its statement's name stands for since.
#[test]
fn a_portal_keeps_its_own_masks() {
    let raw = proto_tests::Canaries::of(&STAND);
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    assert_eq!(wire.query("begin").tags(), "CZ");
    let (masked, clear) =
        ("select ssn, last_name from clinical.patients order by id", "select code, code from clinical.codes order by code");
    for name in ["", "s"] {
        wire.pipeline(|p| {
            p.parse(name, masked).bind("one", name, &[], 0).close(b'S', name);
            p.parse(name, clear).bind("two", name, &[], 1).execute("one", 2).execute("two", 2);
            p.describe(b'P', "one").execute("one", 3).execute("two", 1);
            p.parse("t", masked).bind("three", "t", &[], 1).execute("three", 2).execute("one", 1);
            p.close(b'P', "one").close(b'P', "two").close(b'P', "three").close(b'S', "s").close(b'S', "t").sync();
        });
        let reply = wire.reply();
        assert_eq!(reply.tags().matches('D').count(), 11, "{}", reply.tags());
        raw.assert_clean("portals in turns", &reply.bytes());
        // a portal that stands for something clear stays clear
        let codes = STAND
            .owner("select string_agg(code, ',' order by code) from (select code from clinical.codes order by code limit 3) c");
        let cells: Vec<String> =
            reply.rows().into_iter().filter_map(|row| row[0].clone()).filter(|cell| codes.contains(cell)).collect();
        assert_eq!(cells.join(","), codes);
    }
    assert_eq!(wire.query("rollback").tags(), "CZ");
}

#[test]
fn copy_goes_both_ways() {
    STAND.owner("create table tests.copied (id int, word text)");
    let mut wire = clinician();
    wire.ask("copy tests.copied from stdin");
    assert_eq!(wire.read().unwrap().tag, b'G');
    wire.send(b"d\0\0\0\x0a1\tone\n").unwrap();
    wire.send(b"d\0\0\0\x0a2\ttwo\nc\0\0\0\x04").unwrap();
    assert_eq!(wire.reply().tags(), "CZ");
    let out = wire.query("copy tests.copied to stdout");
    assert_eq!(out.tags(), "HddcCZ");
    assert_eq!(out.of(b'd').next().unwrap().body, b"1\tone\n");
    // failed by the client, in the middle of several statements
    wire.ask("select 1; copy tests.copied from stdin; select 2");
    assert_eq!(wire.read().unwrap().tag, b'T');
    wire.send(b"d\0\0\0\x0a3\ttri\nf\0\0\0\x08no!\0").unwrap();
    assert_eq!(wire.reply().sqlstate().as_deref(), Some("57014"));
    assert_eq!(STAND.owner("select count(*) from tests.copied"), "2");
}

#[test]
fn a_sync_behind_a_failed_copy_is_answered_and_what_follows_as_well() {
    STAND.owner("create table tests.copied_badly (id int)");
    let mut wire = clinician();
    wire.pipeline(|p| {
        p.parse("", "copy tests.copied_badly from stdin").bind("", "", &[], 0).execute("", 0).flush();
    });
    assert_eq!((0..3).map(|_| wire.read().unwrap().tag).collect::<Vec<_>>(), b"12G");
    wire.send(b"d\0\0\0\x0dnonsense\nS\0\0\0\x04").unwrap();
    let failed = wire.reply();
    assert_eq!((failed.tags().as_str(), failed.sqlstate().as_deref()), ("EZ", Some("22P02")));
    wire.send(b"d\0\0\0\x07-1\nc\0\0\0\x04").unwrap();
    assert_eq!(wire.query("select count(*) from tests.copied_badly").tags(), "TDCZ");
}

#[test]
fn a_farewell_amid_a_copy_ends_the_backend() {
    STAND.owner("create table tests.copied_half (id int)");
    let mut wire = clinician();
    let pid = wire.key.0;
    wire.ask("copy tests.copied_half from stdin");
    assert_eq!(wire.read().unwrap().tag, b'G');
    wire.send(b"d\0\0\0\x061\nX\0\0\0\x04").unwrap();
    proto_tests::eventually("the backend goes", || {
        (STAND.owner(&format!("select count(*) from pg_stat_activity where pid = {pid}")) == "0").then_some(())
    });
    assert_eq!(STAND.owner("select count(*) from tests.copied_half"), "0");
}

#[test]
fn a_cancel_reaches_its_own_statement_and_no_other() {
    let (mut one, mut two) = (clinician(), clinician());
    one.ask("select pg_sleep(20)");
    two.ask("select pg_sleep(1)");
    std::thread::sleep(Duration::from_millis(300));
    one.cancel();
    assert_eq!(one.reply().sqlstate().as_deref(), Some("57014"));
    assert_eq!(two.reply().tags(), "TDCZ");
    one.cancel();
    assert_eq!(one.query("select 1").tags(), "TDCZ");
}

#[test]
fn a_cancel_that_comes_late_hits_no_later_statement() {
    let mut wire = clinician();
    for round in 0..200 {
        // what is cancelled may have ended already
        wire.ask(if round % 2 == 0 { "select 1" } else { "select pg_sleep(0.001)" });
        std::thread::sleep(Duration::from_micros(round * 20));
        wire.cancel();
        wire.reply();
        let next = wire.query("select 2");
        assert_eq!(next.tags(), "TDCZ", "round {round}: {:?}", next.sqlstate());
    }
}

/// One after the other, each on a session of its own: the server signals twice, and the second may hit what comes next.
#[test]
fn every_cancel_is_heard_whose_sender_hangs_up_at_once() {
    let mut owner = Wire::owner(&STAND);
    for round in 0..100 {
        let mut wire = clinician();
        wire.ask("select pg_sleep(25)");
        let runs = format!("select 1 from pg_stat_activity where pid = {} and wait_event = 'PgSleep'", wire.key.0);
        proto_tests::eventually("it runs", || (owner.query(&runs).of(b'D').count() == 1).then_some(()));
        let socket = wire.request_cancel(wire.key.0, &wire.secret);
        if round % 2 == 0 {
            drop(socket)
        } else {
            socket.reset().unwrap()
        }
        let reply = wire.reply();
        assert_eq!((reply.tags().as_str(), reply.sqlstate().as_deref()), ("TEZ", Some("57014")), "round {round}");
    }
}

#[test]
fn a_client_that_vanishes_takes_its_backend_along() {
    let mut wire = clinician();
    let pid = wire.key.0;
    wire.query("begin; lock table clinical.codes in share mode");
    drop(wire);
    proto_tests::eventually("the backend goes", || {
        (STAND.owner(&format!("select count(*) from pg_stat_activity where pid = {pid}")) == "0").then_some(())
    });
}

#[test]
fn the_servers_last_words_are_relayed() {
    let mut wire = clinician();
    STAND.owner(&format!("select pg_terminate_backend({})", wire.key.0));
    let last = wire.reply();
    assert_eq!(last.sqlstate().as_deref(), Some("57P01"));
    assert_eq!(last.tags(), "E");
}

#[test]
fn notifications_arrive_between_statements() {
    let mut wire = clinician();
    wire.query("listen tidings");
    STAND.owner("notify tidings, 'spring'");
    let message = wire.read_within(Duration::from_secs(5)).unwrap();
    assert_eq!(message.tag, b'A');
    assert!(message.body.ends_with(b"tidings\0spring\0"));
}

#[test]
fn a_payload_that_was_sent_in_so_many_words_is_heard_by_its_like_alone() {
    let agent = || Wire::connect(&STAND, &STAND.identity("AGENT"));
    let (mut ear, mut mouth) = (agent(), agent());
    ear.query("listen jobs");
    let mut heard = |what: &str| {
        let message = ear.read_within(Duration::from_secs(5)).unwrap_or_else(|| panic!("{what}: nothing is heard"));
        assert_eq!(message.tag, b'A', "{what}");
        String::from_utf8(message.body[4..message.body.len() - 1].to_vec()).unwrap()
    };
    mouth.query("notify jobs, 'it''s done'");
    assert_eq!(heard("NOTIFY"), "jobs\0it's done");
    mouth.pipeline(|p| {
        p.parse("", "select pg_notify($1, $2)").bind("", "", &[Some("jobs"), Some("42")], 0).execute("", 0).sync();
    });
    assert_eq!(mouth.reply().sqlstate(), None);
    assert_eq!(heard("parameters"), "jobs\x0042");
    mouth.query("select pg_notify('jobs', 'put ' || 'together')");
    assert_eq!(heard("put together"), "jobs\0");
    clinician().query("notify jobs, 'Smith is here'");
    assert_eq!(heard("a clinician's"), "jobs\0");
    STAND.owner("notify jobs, 'Smith is here'");
    assert_eq!(heard("past the proxy"), "jobs\0");
}

#[test]
fn a_batch_larger_than_every_buffer_does_not_lock_up() {
    let mut wire = clinician();
    let rows = 3000;
    wire.pipeline(|p| {
        p.parse("s", "select $1::text, repeat('y', 2000)");
        for n in 0..rows {
            p.bind("", "s", &[Some(&format!("{n:01000}"))], 0).execute("", 0);
        }
        p.sync();
    });
    assert_eq!(wire.reply().of(b'D').count(), rows);
}

#[test]
fn bytes_arriving_one_by_one_are_a_message() {
    let mut wire = clinician();
    for byte in b"Q\0\0\0\x0dselect 7\0" {
        wire.send(&[*byte]).unwrap();
    }
    assert_eq!(wire.reply().rows(), [[Some("7".to_owned())]]);
}
