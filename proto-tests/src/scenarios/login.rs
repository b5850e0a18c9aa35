//! From the first byte to the first `ReadyForQuery`.

use crate::transcript::{Scenario, Stage};
use crate::wire::VERSION_3_0;

pub(super) const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x30];

pub(super) const ALL: &[Scenario] = &[
    ("opening", opening),
    ("protocol-versions", versions),
    ("protocol-options", options),
    ("protocol-2", protocol_2),
    ("nonsense", nonsense),
    ("startup-parameters", parameters),
    ("startup-parameters-refused", refused_parameters),
    ("startup-options", startup_options),
    ("unknown-database", unknown_database),
    ("login-notices", login_notices),
    ("encryption-requests", encryption_requests),
    ("encryption-asked-twice", asked_twice),
    ("bytes-behind-an-encryption-request", stuffed),
    ("login-in-clear-behind-a-no", clear_behind_no),
    ("startup-packets-of-all-lengths", all_lengths),
    ("replication-off", no_replication),
    ("replication", replication),
];

/// What is said at login, but for what is the backend's own.
fn note_opening(stage: &mut Stage<'_>, wire: &crate::Wire) {
    for message in &wire.opening {
        stage.note(crate::transcript::shown(message, wire.key.0));
    }
    stage.note(format!("the key names {}", wire.key.0 != 0));
}

fn opening(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    note_opening(stage, &wire);
    let pid = wire.query("select pg_backend_pid()").rows()[0][0].clone();
    stage.note(pid == Some(wire.key.0.to_string()));
}

fn versions(stage: &mut Stage<'_>) {
    for minor in [0, 1, 2, 3, 9999] {
        if let Some(mut wire) = stage.connect_with(VERSION_3_0 | minor, &[]) {
            note_opening(stage, &wire);
            stage.ask(&mut wire, &["select 1"]);
        }
    }
}

fn options(stage: &mut Stage<'_>) {
    let many: Vec<String> = (0..200).map(|n| format!("_pq_.made_up_{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for (minor, parameters) in [
        (0, &[("_pq_.made_up", "1")][..]),
        (2, &[("_pq_.made_up", ""), ("_pq_.another", "x"), ("application_name", "named")]),
        (9999, &[("_pq_.made_up", "1")]),
        (0, &many),
    ] {
        if let Some(mut wire) = stage.connect_with(VERSION_3_0 | minor, parameters) {
            note_opening(stage, &wire);
            stage.ask(&mut wire, &["show application_name"]);
        }
    }
}

fn protocol_2(stage: &mut Stage<'_>) {
    let mut wire = stage.open();
    wire.send(&[0, 0, 0, 8, 0, 2, 0, 0]).unwrap();
    let said = wire.rest();
    stage.note(said.starts_with(b"E"));
    // a major version to come
    let mut wire = stage.open();
    wire.send(&[0, 0, 0, 8, 0, 4, 0, 0]).unwrap();
    stage.until(&mut wire, b"", 1);
}

fn nonsense(stage: &mut Stage<'_>) {
    let long: &[u8] = &[0, 0, 0x27, 0x15, 0, 3, 0, 0];
    for packet in [b"\0\0\0\x03abc", &b"\x77\x35\x94\0\0\x03\0\0"[..], b"GET / HTTP/1.1\r\n\r\n", long, b"\0\0\0\x07\0\x03\0"] {
        let mut wire = stage.open();
        let _ = wire.send(packet);
        stage.note(wire.rest().escape_ascii());
    }
    // parameters that do not end as they should
    for body in [&b"\0\x03\0\0user\0"[..], b"\0\x03\0\0user\0x\0\0more\0"] {
        let mut wire = stage.open();
        let length = u32::try_from(body.len() + 4).unwrap();
        wire.send(&[&length.to_be_bytes()[..], body].concat()).unwrap();
        stage.end(&mut wire);
    }
}

fn parameters(stage: &mut Stage<'_>) {
    for (name, value) in [
        ("application_name", "x"),
        ("client_encoding", "LATIN1"),
        ("client_min_messages", "error"),
        ("DateStyle", "Postgres, MDY"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("extra_float_digits", "2"),
        ("geqo", "off"),
        ("idle_in_transaction_session_timeout", "9s"),
        ("IntervalStyle", "iso_8601"),
        ("jit", "off"),
        ("lock_timeout", "1s"),
        ("nosuch.extension", "1"),
        ("search_path", "pg_catalog"),
        ("statement_timeout", "1s"),
        ("TimeZone", "Asia/Kolkata"),
    ] {
        let Some(mut wire) = stage.connect_with(VERSION_3_0, &[(name, value)]) else { continue };
        note_opening(stage, &wire);
        let (show, reset) = (format!("show {name}"), format!("set {name} to default"));
        stage.ask(&mut wire, &[&show, &reset, &show]);
        stage.ask(&mut wire, &["discard all", &show]);
    }
}

fn refused_parameters(stage: &mut Stage<'_>) {
    for (name, value) in
        [("no_such_parameter", "1"), ("client_encoding", "KLINGON"), ("work_mem", "much"), ("DateStyle", "never"), ("", "")]
    {
        stage.note(name);
        if let Some(wire) = stage.connect_with(VERSION_3_0, &[(name, value)]) {
            note_opening(stage, &wire);
        }
    }
}

fn startup_options(stage: &mut Stage<'_>) {
    for options in [
        "-c work_mem=7MB -c geqo=off",
        "--work_mem=5MB",
        "-c search_path=pg_catalog,\\ public",
        "-c statement_timeout",
        "--nonsense",
        "-c no_such=1",
    ] {
        stage.note(options);
        let Some(mut wire) = stage.connect_with(VERSION_3_0, &[("options", options)]) else { continue };
        stage.ask(
            &mut wire,
            &["show work_mem", "show geqo", "show search_path", "reset all", "show work_mem", "show search_path"],
        );
    }
}

fn unknown_database(stage: &mut Stage<'_>) {
    if let Some(wire) = stage.connect_with(VERSION_3_0, &[("database", "no_such_database")]) {
        note_opening(stage, &wire);
    }
}

/// A setting that the server warns of at login.
fn login_notices(stage: &mut Stage<'_>) {
    stage.owner("alter role current_user set search_path = nowhere");
    stage.owner("alter role current_user set temp_tablespaces = nowhere");
    let mut wire = stage.connect();
    note_opening(stage, &wire);
    stage.ask(&mut wire, &["show search_path"]);
    stage.owner("alter role current_user reset all");
}

fn encryption_requests(stage: &mut Stage<'_>) {
    for requests in [&[GSSENC_REQUEST][..], &[GSSENC_REQUEST, SSL_REQUEST], &[SSL_REQUEST], &[SSL_REQUEST, GSSENC_REQUEST]] {
        let mut wire = stage.open_in_clear();
        for request in requests {
            wire.send(request).unwrap();
            let answer = wire.byte().unwrap();
            stage.note(char::from(answer));
            if answer != b'N' {
                break;
            }
        }
    }
}

fn asked_twice(stage: &mut Stage<'_>) {
    let mut wire = stage.open_in_clear();
    wire.send(SSL_REQUEST).unwrap();
    if wire.byte().unwrap() == b'N' {
        wire.send(SSL_REQUEST).unwrap();
        stage.end(&mut wire);
    }
}

/// What somebody has slipped in before the answer is not taken for the client's.
fn stuffed(stage: &mut Stage<'_>) {
    let mut startup = b"\0\x03\0\0user\0postgres\0\0".to_vec();
    startup.splice(0..0, u32::try_from(startup.len() + 4).unwrap().to_be_bytes());
    let mut wire = stage.open_in_clear();
    wire.send(&[SSL_REQUEST, &startup].concat()).unwrap();
    let answer = wire.byte().unwrap();
    stage.note(char::from(answer));
    // behind an S the handshake is waited for; before a version is agreed upon, an old server says it in the oldest form
    if answer == b'N' {
        let said = wire.rest();
        stage.note(said.first().map_or("nothing", |tag| if *tag == b'E' { "an error" } else { "something else" }));
        stage.note(String::from_utf8_lossy(&said).contains("received unencrypted data after SSL request"));
    }
}

fn clear_behind_no(stage: &mut Stage<'_>) {
    let mut wire = stage.open_in_clear();
    wire.send(SSL_REQUEST).unwrap();
    let answer = wire.byte().unwrap();
    stage.note(char::from(answer));
    if answer == b'N' {
        let target = stage.target().clone();
        wire.start(VERSION_3_0, &target.who, &target.database, &[]).unwrap();
        let refusal = wire.log_in(&target.who.password).unwrap();
        stage.note(refusal.is_some());
        stage.ask(&mut wire, &["select 1"]);
    }
}

/// The longest is 10,000 bytes behind its length.
fn all_lengths(stage: &mut Stage<'_>) {
    let target = stage.target().clone();
    let user = format!("user\0{}\0database\0{}\0", target.who.user, target.database);
    for length in [100, 255, 256, 257, 1000, 8192, 9999, 10_000, 10_003, 10_004, 10_005] {
        stage.note(length);
        let own = 4 + 4 + user.len() + "options\0\0\0".len();
        let options = "-c geqo=off".to_owned() + &" ".repeat(length - own - "-c geqo=off".len());
        let body = [&[0, 3, 0, 0], user.as_bytes(), b"options\0", options.as_bytes(), b"\0\0"].concat();
        assert_eq!(body.len() + 4, length);
        let mut wire = stage.open();
        wire.send(&[&u32::try_from(length).unwrap().to_be_bytes()[..], &body].concat()).unwrap();
        match wire.log_in(&target.who.password) {
            Ok(None) => stage.ask(&mut wire, &["show geqo"]),
            Ok(Some(refusal)) => stage.note(crate::transcript::shown(&refusal, 0)),
            Err(_) => stage.note("closed"),
        }
    }
}

fn no_replication(stage: &mut Stage<'_>) {
    for value in ["false", "off", "0"] {
        stage.note(value);
        if let Some(mut wire) = stage.connect_with(VERSION_3_0, &[("replication", value)]) {
            stage.ask(&mut wire, &["select 1"]);
        }
    }
}

fn replication(stage: &mut Stage<'_>) {
    if let Some(mut wire) = stage.connect_with(VERSION_3_0, &[("replication", "database")]) {
        stage.ask(&mut wire, &["show wal_level"]);
    }
}
