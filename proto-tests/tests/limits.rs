//! Every limit has a clear refusal, and whoever keeps within it notices nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use proto_tests::numbers::Numbers;
use proto_tests::server::{Server, admin_of, configured, port_of};
use proto_tests::socket::Way;
use proto_tests::wire::VERSION_3_0;
use proto_tests::{Identity, Message, PATIENCE, Stand, Wire, eventually, http};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]));

/// A pgveil with these limits.
fn limited(limits: &str) -> (tempfile::TempDir, String, Server) {
    let (folder, file) = configured(&STAND, |text| format!("{text}\n[limits]\n{limits}\n"));
    let server = Server::try_start(&file).unwrap();
    (folder, file, server)
}

fn try_login(file: &str, who: &str) -> Result<Wire, Message> {
    Wire::try_connect(port_of(file), &STAND.identity(who), "clinic", &[]).unwrap()
}

fn login(file: &str, who: &str) -> Wire {
    try_login(file, who).unwrap_or_else(|refused| panic!("{refused:?}"))
}

fn refused(file: &str, who: &str) -> (String, String) {
    match try_login(file, who) {
        Ok(_) => panic!("{who} came in"),
        Err(error) => {
            assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
            (error.field(b'C').unwrap(), error.field(b'M').unwrap())
        }
    }
}

fn turned_away(file: &str, limit: &str) -> f64 {
    Numbers::of(&admin_of(file)).sum("pgveil_turned_away_total", &[("limit", limit)])
}

#[test]
fn sessions_are_limited_in_all() {
    let (_folder, file, _server) = limited("sessions_max = 2");
    let (mut first, second) = (login(&file, "AGENT"), login(&file, "CLINICIAN"));
    assert_eq!(refused(&file, "OTHER"), ("53300".to_owned(), "sorry, too many clients already".to_owned()));
    assert!((turned_away(&file, "sessions") - 1.0).abs() < 0.1);
    assert_eq!(first.query("select 1").tags(), "TDCZ");
    drop(second);
    let mut third = eventually("a seat is free", || try_login(&file, "OTHER").ok());
    assert_eq!(third.query("select 1").tags(), "TDCZ");
}

#[test]
fn sessions_are_limited_for_each_identity() {
    let (_folder, file, _server) = limited("sessions_identity_max = 2");
    let sessions = [login(&file, "AGENT"), login(&file, "AGENT")];
    assert_eq!(refused(&file, "AGENT"), ("53300".to_owned(), "too many connections for \"mcp-agent\"".to_owned()));
    assert_eq!(login(&file, "OTHER").query("select 1").tags(), "TDCZ");
    assert!((turned_away(&file, "sessions-identity") - 1.0).abs() < 0.1);
    drop(sessions);
    eventually("a seat is free", || try_login(&file, "AGENT").ok());
}

#[test]
fn connections_before_their_login_are_limited_and_cancels_come_through() {
    let (_folder, file, _server) = limited("logins_max = 3\nlogin_ms = 600000");
    let mut busy = login(&file, "CLINICIAN");
    busy.ask("select pg_sleep(3600)");
    let silent: Vec<_> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port_of(&file))).unwrap()).collect();
    let (code, message) = refused(&file, "AGENT");
    assert_eq!((code.as_str(), message.as_str()), ("53300", "sorry, too many clients are logging in already"));
    busy.cancel();
    assert_eq!(busy.reply().sqlstate().as_deref(), Some("57014"), "a cancel is no login");
    assert!(turned_away(&file, "logins") > 0.5);
    drop(silent);
    eventually("they are gone", || try_login(&file, "AGENT").ok());
}

#[test]
fn a_login_has_its_time() {
    let (_folder, file, _server) = limited("login_ms = 300");
    let mut silent = TcpStream::connect(("127.0.0.1", port_of(&file))).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "who says nothing is told nothing");
    let mut slow = TcpStream::connect(("127.0.0.1", port_of(&file))).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let startup = b"\0\x03\0\0user\0mcp-agent\0database\0clinic\0\0";
    let length = u32::try_from(startup.len() + 4).unwrap().to_be_bytes();
    slow.write_all(&[&length[..], startup].concat()).unwrap();
    let mut told = Vec::new();
    slow.read_to_end(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told).contains("canceling authentication due to timeout"), "{told:?}");
}

#[test]
fn failed_logins_are_limited_for_an_identity_from_a_source() {
    let (_folder, file, _server) = limited("failed_logins_identity_max = 3");
    let mut wrong = STAND.identity("AGENT");
    wrong.password = "guess".into();
    let guess = || Wire::try_connect(port_of(&file), &wrong, "clinic", &[]).unwrap().err().unwrap().field(b'C').unwrap();
    let codes: Vec<String> = (0..4).map(|_| guess()).collect();
    assert_eq!(codes, ["28P01", "28P01", "28P01", "28000"]);
    let (code, message) = refused(&file, "AGENT");
    assert_eq!(code, "28000", "the right password is not looked at, either");
    assert!(message.contains("too many failed logins"), "{message}");
    assert_eq!(login(&file, "OTHER").query("select 1").tags(), "TDCZ", "others are not in it");
    let throttled = Numbers::of(&admin_of(&file)).sum("pgveil_logins_refused_total", &[("reason", "throttled")]);
    assert!((throttled - 2.0).abs() < 0.1, "{throttled}");
}

/// A connection that is asked for its proof.
fn before_the_proof(file: &str, who: &Identity) -> Wire {
    let mut wire = Wire::open(&Way::port(port_of(file))).unwrap();
    wire.start(VERSION_3_0, who, "clinic", &[]).unwrap();
    wire.arrival().unwrap();
    wire
}

#[test]
fn guesses_that_are_made_at_the_same_time_are_limited_too() {
    let (_folder, file, _server) = limited("failed_logins_identity_max = 3");
    let agent = STAND.identity("AGENT");
    let mut right = before_the_proof(&file, &agent);
    // as many as there are threads may look at a proof at the same moment
    let at_once = 3 + std::thread::available_parallelism().unwrap().get();
    let waiting: Vec<Wire> = (0..at_once + 40).map(|_| before_the_proof(&file, &agent)).collect();
    let guesses: Vec<_> = waiting
        .into_iter()
        .map(|mut wire| std::thread::spawn(move || wire.log_in("guess").unwrap().unwrap().field(b'C').unwrap()))
        .collect();
    let codes: Vec<String> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
    let seen = codes.iter().filter(|code| *code == "28P01").count();
    assert!((3..=at_once).contains(&seen) && codes.iter().all(|code| code == "28P01" || code == "28000"), "{codes:?}");
    let code = right.log_in(&agent.password).unwrap().unwrap().field(b'C');
    assert_eq!(code.as_deref(), Some("28000"), "one that had begun before is not looked at, either");
}

#[test]
fn who_holds_the_admin_address_is_let_go() {
    let (_folder, file, server) = limited("sessions_max = 100");
    let admin = admin_of(&file);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = files();
    let dial = || {
        let mut stream = TcpStream::connect(admin.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nslow: ").unwrap();
        stream
    };
    let mut held: Vec<_> = (0..90).map(|_| dial()).collect();
    // A few of those before may have been the start's own, and are closed by now.
    eventually("as many are let in as there are places", || (files() >= before + 56).then_some(()));
    assert!(files() < before + 70, "{} files, {before} before", files());
    assert_eq!(http::get(&admin, "/healthz").unwrap().code, 200, "who comes later has a turn");
    for stream in &mut held {
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(!told.starts_with(b"HTTP/1.1 200"), "nothing was asked");
    }
}

#[test]
fn failed_logins_are_limited_for_a_source() {
    let (_folder, file, _server) = limited("failed_logins_source_max = 4");
    for name in ["a", "b", "c", "d"] {
        let mut nobody = STAND.identity("AGENT");
        nobody.user = name.into();
        assert!(Wire::try_connect(port_of(&file), &nobody, "clinic", &[]).unwrap().is_err());
    }
    assert_eq!(refused(&file, "AGENT").0, "28000");
}

#[test]
fn who_has_no_login_cannot_fill_the_log() {
    let (_folder, file, _server) = limited("failed_logins_source_max = 5");
    let entries = || Numbers::of(&admin_of(&file)).sum("pgveil_log_entries", &[]);
    let refused = || Numbers::of(&admin_of(&file)).sum("pgveil_logins_refused_total", &[]);
    let mut nobody = STAND.identity("AGENT");
    nobody.user = "n".repeat(5000);
    let before = entries();
    for number in 0..300 {
        let parameters: &[_] = if number % 2 == 0 { &[("replication", "true")] } else { &[] };
        assert!(Wire::try_connect(port_of(&file), &nobody, "clinic", parameters).unwrap().is_err());
    }
    eventually("all are counted", || (refused() > 299.5).then_some(()));
    let after = entries();
    assert!(after >= before + 100.0 && after < before + 150.0, "{before} entries became {after}");
}

#[test]
fn a_statement_that_is_too_long_is_refused_and_the_session_goes_on() {
    let (_folder, file, _server) = limited("statement_bytes_max = 100000");
    let mut agent = login(&file, "AGENT");
    let long = format!("select length('{}')", "x".repeat(100_000));
    let reply = agent.query(&long);
    assert_eq!((reply.tags().as_str(), reply.sqlstate().as_deref()), ("EZ", Some("54000")), "{reply:?}");
    agent.pipeline(|p| {
        p.parse("", &long).sync();
    });
    assert_eq!(agent.reply().sqlstate().as_deref(), Some("54000"));
    agent.pipeline(|p| {
        p.parse("", "select length($1)").bind("", "", &[Some(&"x".repeat(100_000))], 0).execute("", 0).sync();
    });
    assert_eq!(agent.reply().sqlstate().as_deref(), Some("54000"));
    let short = format!("select length('{}')", "x".repeat(90_000));
    assert_eq!(agent.query(&short).rows()[0][0].as_deref(), Some("90000"));
}

#[test]
fn what_is_sent_ahead_of_a_held_statement_is_not_read_without_end() {
    STAND.owner("create table tests.ahead as select 1 as id");
    let (_folder, file, server) = limited("ahead_bytes_max = 65536");
    let mut agent = login(&file, "AGENT");
    agent.ask("delete from tests.ahead");
    assert_eq!(agent.read().unwrap().tag, b'N');
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    let query = format!("select 1 /* {} */", "x".repeat(60_000));
    let frame = [b"Q", &u32::try_from(query.len() + 5).unwrap().to_be_bytes()[..], query.as_bytes(), b"\0"].concat();
    agent.patience_to_send(Duration::from_secs(2));
    let sent = (0..2000).take_while(|_| agent.send(&frame).is_ok()).count();
    assert!(sent < 2000, "120 MB were taken while the statement is held");
    let after = resident();
    assert!(after < before + 32_000, "{before} kB became {after} kB");
    assert_eq!(STAND.owner("select count(*) from tests.ahead"), "1");
}

#[test]
fn what_waits_in_all_sessions_together_is_limited() {
    let (_folder, file, _server) = limited("queue_bytes_max = 8000000\nstatement_bytes_max = 8000000");
    let (mut first, mut second, mut small) = (login(&file, "AGENT"), login(&file, "OTHER"), login(&file, "CLINICIAN"));
    for wire in [&mut first, &mut second] {
        wire.pipeline(|p| {
            p.parse("", "select length($1)").sync();
        });
        assert_eq!(wire.reply().tags(), "1Z");
    }
    // a Bind with six million bytes, of which the last one is missing
    let value = "x".repeat(6_000_000);
    let head = [&[0, 0, 0, 0, 0, 1][..], &6_000_000_u32.to_be_bytes()].concat();
    let length = u32::try_from(4 + head.len() + value.len() + 2).unwrap().to_be_bytes();
    let frame = [b"B", &length[..], &head, value.as_bytes(), &[0, 0]].concat();
    let (last, most) = frame.split_last().unwrap();
    first.send(most).unwrap();
    eventually("it waits", || (Numbers::of(&admin_of(&file)).sum("pgveil_queued_bytes", &[]) > 5_000_000.0).then_some(()));
    let _ = second.send(most);
    let reply = second.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("53200"), "{reply:?}");
    assert_eq!(small.query("select 1").tags(), "TDCZ", "small sessions are not in it");
    first.send(&[*last]).unwrap();
    first.pipeline(|p| {
        p.execute("", 0).sync();
    });
    let reply = first.reply();
    assert_eq!(reply.rows().first().and_then(|row| row[0].as_deref()), Some("6000000"), "{reply:?}");
    eventually("nothing waits", || (Numbers::of(&admin_of(&file)).sum("pgveil_queued_bytes", &[]) < 1.0).then_some(()));
}
