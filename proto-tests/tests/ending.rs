//! The end in order: what runs finishes, idle clients are told, nobody new is taken, and the log is closed.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use proto_tests::cli::pgveil;
use proto_tests::journal;
use proto_tests::server::{Server, admin_of, configured, port_of};
use proto_tests::socket::Way;
use proto_tests::wire::{Reply, VERSION_3_0};
use proto_tests::{Message, Stand, Wire, eventually, http};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]));

fn login(file: &str, who: &str) -> Wire {
    Wire::try_connect(port_of(file), &STAND.identity(who), "clinic", &[]).unwrap().unwrap()
}

/// A configuration with this time to drain.
fn drains(within: &str) -> (tempfile::TempDir, String) {
    configured(&STAND, |text| text.replace("[listen]", &format!("[listen]\ndrain = \"{within}\"")))
}

fn drained(reply: &Reply) {
    let last = reply.messages.last().unwrap_or_else(|| panic!("nothing was said"));
    assert_eq!(last.tag, b'E', "{reply:?}");
    let (severity, code, message) = (last.field(b'V'), last.field(b'C'), last.field(b'M'));
    assert_eq!((severity.as_deref(), code.as_deref()), (Some("FATAL"), Some("57P01")), "{reply:?}");
    assert_eq!(message.as_deref(), Some("terminating connection due to administrator command"));
}

fn draining(file: &str) {
    let admin = admin_of(file);
    eventually("it drains", || (http::get(&admin, "/readyz").unwrap().code == 503).then_some(()));
    let ready = http::get(&admin, "/readyz").unwrap();
    assert!(ready.body.contains("draining"), "{}", ready.body);
    assert_eq!(http::get(&admin, "/healthz").unwrap().code, 200, "it is alive");
}

fn refusal(file: &str) -> Message {
    Wire::try_connect(port_of(file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().err().unwrap()
}

fn whole(folder: &Path) {
    let data = folder.join("data");
    let verified = journal::verify(&data, Some(&folder.join("witness").display().to_string()));
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
}

#[test]
fn a_transaction_is_finished_and_idle_clients_are_told() {
    STAND.owner("create table tests.ending (n int)");
    let (folder, file) = drains("1h");
    let mut server = Server::try_start(&file).unwrap();
    let (mut idle, mut busy, mut failed) = (login(&file, "AGENT"), login(&file, "CLINICIAN"), login(&file, "OTHER"));
    assert_eq!(idle.query("select 1").tags(), "TDCZ");
    assert_eq!(busy.query("begin; insert into tests.ending values (1)").tags(), "CCZ");
    assert_eq!(failed.query("begin; select 1/0").sqlstate().as_deref(), Some("22012"));
    server.signal("TERM");
    drained(&idle.reply());
    drained(&failed.reply());
    draining(&file);
    let refused = refusal(&file);
    assert_eq!((refused.field(b'V').as_deref(), refused.field(b'C').as_deref()), (Some("FATAL"), Some("57P03")));
    assert_eq!(refused.field(b'M').as_deref(), Some("the database system is shutting down"));
    assert_eq!(busy.query("insert into tests.ending values (2)").tags(), "CZ");
    assert_eq!(busy.query("commit").tags(), "CZ");
    drained(&busy.reply());
    assert_eq!(server.ended(), 0);
    assert_eq!(STAND.owner("select count(*) from tests.ending"), "2");
    whole(folder.path());
}

#[test]
fn a_statement_that_runs_is_answered_and_can_still_be_cancelled() {
    let mut owner = Wire::owner(&STAND);
    owner.query("select pg_advisory_lock(4711), pg_advisory_lock(4712)");
    let (folder, file) = drains("1h");
    let mut server = Server::try_start(&file).unwrap();
    let (mut waits, mut cancelled) = (login(&file, "CLINICIAN"), login(&file, "CLINICIAN"));
    waits.ask("select pg_advisory_xact_lock(4711), 'finished'");
    cancelled.ask("select pg_advisory_xact_lock(4712)");
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    eventually("both wait", || (STAND.owner(locks) == "2").then_some(()));
    server.signal("TERM");
    draining(&file);
    cancelled.cancel();
    let reply = cancelled.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("57014"), "{reply:?}");
    drained(&cancelled.reply());
    owner.query("select pg_advisory_unlock_all()");
    let reply = waits.reply();
    assert_eq!(reply.rows()[0][1].as_deref(), Some("finished"), "{reply:?}");
    drained(&waits.reply());
    assert_eq!(server.ended(), 0);
    whole(folder.path());
}

#[test]
fn what_takes_longer_than_the_bound_is_broken_off_at_the_database_too() {
    let (folder, file) = drains("300ms");
    let mut server = Server::try_start(&file).unwrap();
    let mut endless = login(&file, "CLINICIAN");
    endless.ask("select pg_sleep(3600) /* broken off */");
    let runs =
        "select count(*) from pg_stat_activity where query like '%broken off%' and state = 'active' and pid <> pg_backend_pid()";
    eventually("it runs", || (STAND.owner(runs) == "1").then_some(()));
    server.signal("TERM");
    drained(&endless.reply());
    assert_eq!(server.ended(), 0);
    eventually("the database has stopped, too", || (STAND.owner(runs) == "0").then_some(()));
    whole(folder.path());
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let (folder, file) = drains("24h");
        let mut server = Server::try_start(&file).unwrap();
        let mut endless = login(&file, "CLINICIAN");
        endless.ask("select pg_sleep(3600)");
        let mut open = login(&file, "AGENT");
        assert_eq!(open.query("begin").tags(), "CZ");
        server.signal("INT");
        draining(&file);
        assert!(server.runs());
        server.signal(second);
        drained(&endless.reply());
        drained(&open.reply());
        assert_eq!(server.ended(), 0);
        whole(folder.path());
    }
}

#[test]
fn what_is_held_is_withdrawn() {
    STAND.owner("create table tests.withdrawn as select 1 as id");
    let (folder, file) = drains("1h");
    let mut server = Server::try_start(&file).unwrap();
    let mut agent = login(&file, "AGENT");
    agent.ask("delete from tests.withdrawn");
    assert_eq!(agent.read().unwrap().tag, b'N');
    server.signal("TERM");
    let reply = agent.reply();
    assert_eq!((reply.tags().as_str(), reply.sqlstate().as_deref()), ("EZ", Some("57P01")), "{reply:?}");
    drained(&agent.reply());
    assert_eq!(server.ended(), 0);
    assert_eq!(STAND.owner("select count(*) from tests.withdrawn"), "1");
    whole(folder.path());
}

#[test]
fn a_pipeline_that_was_sent_is_answered_whole() {
    let mut owner = Wire::owner(&STAND);
    owner.query("select pg_advisory_lock(4713)");
    let (_folder, file) = drains("1h");
    let mut server = Server::try_start(&file).unwrap();
    let mut wire = login(&file, "CLINICIAN");
    wire.pipeline(|p| {
        for number in 0..20 {
            let sql = if number == 0 { "select pg_advisory_xact_lock(4713), 0" } else { "select null, 1" };
            p.parse("", sql).bind("", "", &[], 0).execute("", 0).sync();
        }
    });
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    eventually("it waits", || (STAND.owner(waits) != "0").then_some(()));
    server.signal("TERM");
    draining(&file);
    owner.query("select pg_advisory_unlock_all()");
    for number in 0..20 {
        assert_eq!(wire.reply().tags(), "12DCZ", "{number}");
    }
    drained(&wire.reply());
    assert_eq!(server.ended(), 0);
}

#[test]
fn nobody_can_keep_it_from_ending() {
    let (folder, file) = drains("300ms");
    let mut server = Server::try_start(&file).unwrap();
    let way = Way::port(port_of(&file));
    let agent = STAND.identity("AGENT");
    // says nothing; stops amid its startup packet; stops before its proof; holds the admin address
    let silent = Wire::open(&way).unwrap();
    let mut half = Wire::open(&way).unwrap();
    half.send(b"\0\0\0\x40\0\x03\0\0user").unwrap();
    let mut unproved = Wire::open(&way).unwrap();
    unproved.start(VERSION_3_0, &agent, "clinic", &[]).unwrap();
    unproved.arrival().unwrap();
    let mut idle_admin = std::net::TcpStream::connect(admin_of(&file).strip_prefix("http://").unwrap()).unwrap();
    idle_admin.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    // reads nothing of a long reply; stops amid a statement, amid a COPY, in a transaction, behind a Flush
    let mut deaf = login(&file, "CLINICIAN");
    deaf.ask("select repeat('x', 1000) from generate_series(1, 1000000)");
    deaf.arrival().unwrap();
    let mut amid = login(&file, "AGENT");
    amid.send(b"Q\0\0\x01\0select").unwrap();
    STAND.owner("create table tests.unfinished (n int)");
    let mut copying = login(&file, "CLINICIAN");
    copying.ask("copy tests.unfinished from stdin");
    assert_eq!(copying.read().unwrap().tag, b'G');
    copying.send(b"d\0\0\0\x061\n").unwrap();
    let mut open = login(&file, "CLINICIAN");
    assert_eq!(open.query("begin; insert into tests.unfinished values (2)").tags(), "CCZ");
    let mut pipelining = login(&file, "CLINICIAN");
    pipelining.pipeline(|p| {
        p.parse("", "insert into tests.unfinished values (3)").bind("", "", &[], 0).execute("", 0).flush();
    });
    assert_eq!(pipelining.read().unwrap().tag, b'1');
    server.signal("TERM");
    // and more come all the while
    let stop = Arc::new(AtomicBool::new(false));
    let knocking = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                drop(Wire::open(&way));
            }
        }
    });
    let code = server.ended();
    stop.store(true, Ordering::Relaxed);
    knocking.join().unwrap();
    assert_eq!(code, 0, "{}", server.said());
    drop((silent, half, unproved, idle_admin, deaf, amid, copying, open, pipelining));
    let stays = "select count(*) from pg_stat_activity where application_name = '' and usename = 'pgveil'";
    eventually("nothing is left at the database", || (STAND.owner(stays) == "0").then_some(()));
    assert_eq!(STAND.owner("select count(*) from tests.unfinished"), "0", "what was not finished has not happened");
    let listed = pgveil(&["sessions", "--config", &file, "--json"]).json();
    let ends: Vec<&str> = listed.as_array().unwrap().iter().map(|session| session["end"].as_str().unwrap_or("none")).collect();
    assert_eq!(ends, ["shutdown"; 5], "the log has the end of each");
    whole(folder.path());
}
