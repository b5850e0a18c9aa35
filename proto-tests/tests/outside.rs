//! What can be seen from outside while it works: numbers, health, the log on standard error, `pgveil status`, systemd.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::LazyLock;

use proto_tests::cli::{binary, pgveil};
use proto_tests::numbers::Numbers;
use proto_tests::server::{Server, admin_of, configured, port_of};
use proto_tests::{Stand, Wire, eventually, http};
use serde_json::Value;

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]));

fn login(file: &str, who: &str) -> Wire {
    Wire::try_connect(port_of(file), &STAND.identity(who), "clinic", &[]).unwrap().unwrap()
}

#[test]
fn what_happens_is_counted() {
    let (_folder, file) = configured(&STAND, |text| text);
    let _server = Server::try_start(&file).unwrap();
    let admin = admin_of(&file);
    let before = Numbers::of(&admin);
    assert!(before.families.len() > 25, "{:?}", before.families);
    let ready = before.sum("pgveil_ready", &[]);
    assert!((ready - 1.0).abs() < 0.1);

    let mut agent = login(&file, "AGENT");
    assert_eq!(agent.query("select mrn, ssn, last_name from clinical.patients limit 7").rows().len(), 7);
    let copied = agent.query("copy (select ssn from clinical.patients limit 5) to stdout");
    assert_eq!(copied.of(b'C').next().unwrap().body, b"COPY 5\0", "{copied:?}");
    assert_eq!(agent.query("drop table clinical.patients").sqlstate().as_deref(), Some("42501"));
    agent.pipeline(|p| {
        p.parse("", "select ssn from clinical.patients limit 3").bind("", "", &[], 0).execute("", 0).sync();
    });
    assert_eq!(agent.reply().of(b'D').count(), 3);
    agent.query("not a statement");
    agent.ask("delete from clinical.medications");
    assert_eq!(agent.read().unwrap().tag, b'N');
    let mut wrong = STAND.identity("AGENT");
    wrong.password = "wrong".into();
    assert!(Wire::try_connect(port_of(&file), &wrong, "clinic", &[]).unwrap().is_err());

    let is = |name: &str, labels: &[(&str, &str)], value: f64| {
        let seen = Numbers::of(&admin);
        let found = seen.sum(name, labels);
        assert!((found - value).abs() < 0.1, "{name} {labels:?} is {found}, not {value}");
    };
    let statements = |verb, decision| [("database", "clinic"), ("verb", verb), ("decision", decision)];
    is("pgveil_statements_total", &statements("select", "forward"), 2.0);
    is("pgveil_statements_total", &statements("copy-out", "forward"), 1.0);
    is("pgveil_statements_total", &statements("drop", "block"), 1.0);
    is("pgveil_statements_total", &statements("delete", "hold"), 1.0);
    is("pgveil_rows_total", &[("database", "clinic")], 15.0);
    // seven rows of two masked columns, five and three of one
    is("pgveil_masked_cells_total", &[("database", "clinic")], 22.0);
    is("pgveil_sessions", &[("database", "clinic")], 1.0);
    is("pgveil_logins_refused_total", &[("reason", "wrong-password")], 1.0);
    is("pgveil_holds_waiting", &[], 1.0);
    is("pgveil_holds_opened_total", &[], 1.0);
    agent.cancel();
    assert_eq!(agent.reply().sqlstate().as_deref(), Some("57014"));
    is("pgveil_holds_answered_total", &[("answer", "withdrawn")], 1.0);
    is("pgveil_holds_waiting", &[], 0.0);

    let after = Numbers::of(&admin);
    assert!(after.sum("pgveil_added_latency_seconds_count", &[("way", "statement")]) >= 1.0);
    assert!(after.sum("pgveil_log_entries", &[]) > before.sum("pgveil_log_entries", &[]));
    assert!(after.sum("pgveil_log_bytes", &[]) > 0.0 && after.sum("process_open_fds", &[]) > 3.0);
    drop(agent);
    eventually("the session is counted as closed", || {
        (Numbers::of(&admin).sum("pgveil_sessions_closed_total", &[("reason", "client-gone")]) > 0.5).then_some(())
    });
}

#[test]
fn no_client_can_put_a_word_into_the_numbers() {
    let (_folder, file) = configured(&STAND, |text| text);
    let _server = Server::try_start(&file).unwrap();
    let canary = "zebrafinch";
    let mut who = STAND.identity("AGENT");
    let mut agent = Wire::try_connect(port_of(&file), &who, "clinic", &[("application_name", canary)]).unwrap().unwrap();
    agent.query(&format!("select '{canary}' as {canary}; select {canary} from clinical.{canary}"));
    agent.query(&format!("do $$ begin raise exception '{canary}' using errcode = 'ZEBRA'; end $$"));
    let _ = Wire::try_connect(port_of(&file), &who, canary, &[]).unwrap();
    who.user = canary.into();
    let _ = Wire::try_connect(port_of(&file), &who, "clinic", &[]).unwrap();
    for path in ["/metrics", "/status", "/healthz", "/readyz"] {
        let answer = http::get(&admin_of(&file), path).unwrap();
        let text = answer.body.to_lowercase();
        assert_eq!(answer.code, 200, "{text}");
        for word in [canary, "zebra", "mcp-agent", "patients"] {
            assert!(!text.contains(word), "{path} has {word}: {text}");
        }
    }
}

#[test]
fn an_unreachable_database_is_counted_and_the_process_is_ready_all_the_same() {
    let (_folder, file) =
        configured(&STAND, |text| text.replace(&format!("@127.0.0.1:{}/", STAND.value("PG_PORT")), "@127.0.0.1:1/"));
    let _server = Server::try_start(&file).unwrap();
    let refused = Wire::try_connect(port_of(&file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().err().unwrap();
    assert_eq!(refused.field(b'C').as_deref(), Some("08001"));
    let admin = admin_of(&file);
    let faults = Numbers::of(&admin).sum("pgveil_upstream_errors_total", &[("database", "clinic"), ("kind", "unreachable")]);
    assert!((faults - 1.0).abs() < 0.1, "{faults}");
    assert_eq!((http::get(&admin, "/healthz").unwrap().code, http::get(&admin, "/readyz").unwrap().code), (200, 200));
}

#[test]
fn a_log_that_cannot_be_written_is_neither_alive_nor_ready() {
    let (_folder, file) = configured(&STAND, |text| text);
    // no file of this process may grow beyond 2 MB: writing the log fails as it does on a full disk
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" serve --config \"$1\"", &binary(), &file]);
    let _server = Server::spawn(command).unwrap();
    let admin = admin_of(&file);
    assert_eq!(http::get(&admin, "/healthz").unwrap().code, 200);
    let mut agent = login(&file, "AGENT");
    for number in 0..2000 {
        // bytes that do not compress
        let filler = (0..2000_u64).map(|n| format!("{:016x}", (n + number * 2000).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        agent.ask(&format!("select 1 /* {} */", filler.collect::<String>()));
        if agent.reply().of(b'C').count() == 0 {
            break;
        }
    }
    eventually("it is not alive", || (http::get(&admin, "/healthz").unwrap().code == 503).then_some(()));
    assert_eq!(http::get(&admin, "/readyz").unwrap().code, 503);
    assert!(Numbers::of(&admin).sum("pgveil_log_failed", &[]) > 0.5);
    let status = pgveil(&["status", "--admin", &admin]);
    assert_eq!(status.code, 1);
    assert!(status.out.starts_with("log-failed") && status.out.contains("CANNOT BE WRITTEN"), "{}", status.out);
}

#[test]
fn status_is_told_on_the_command_line() {
    let (_folder, file) = configured(&STAND, |text| text);
    assert_eq!(pgveil(&["status", "--config", &file]).code, 3, "nobody is there");
    let mut server = Server::try_start(&file).unwrap();
    let mut agent = login(&file, "AGENT");
    assert_eq!(agent.query("select ssn from clinical.patients limit 4").rows().len(), 4);
    let status = pgveil(&["status", "--config", &file, "--json"]).json();
    assert_eq!((&status["state"], &status["configuration"]["file"]), (&"serving".into(), &file.as_str().into()));
    assert_eq!(status["configuration"]["digest"].as_str().unwrap().len(), 64);
    let clinic = &status["databases"][0];
    assert_eq!((&clinic["name"], &clinic["sessions"], &clinic["masked_cells"]), (&"clinic".into(), &1.into(), &4.into()));
    let shown = pgveil(&["status", "--admin", &admin_of(&file)]).ok();
    assert!(shown.starts_with("serving, version "), "{shown}");
    assert!(shown.contains("database clinic: 1 sessions; 1 statements forwarded"), "{shown}");
    assert_eq!(server.stop(), 0);
}

/// The lines of a log in JSON.
fn lines(server: &Server) -> Vec<Value> {
    let said = server.said();
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn the_log_is_structured_and_says_which_session_but_nothing_of_it() {
    let (_folder, file) = configured(&STAND, |text| text + "\n[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    let mut server = Server::try_start(&file).unwrap();
    let agent = STAND.identity("AGENT");
    let mut wire = login(&file, "AGENT");
    let id = wire.query("select ssn from clinical.patients limit 1").rows()[0][0].clone().unwrap();
    wire.query("select 'zebrafinch' from zebrafinch");
    wire.query("insert into clinical.patients (ssn) values ('zebrafinch')");
    wire.pipeline(|p| {
        p.parse("", "select $1::text").bind("", "", &[Some("zebrafinch")], 0).execute("", 0).sync();
    });
    let _ = wire.reply();
    drop(wire);
    let closed =
        eventually("the session's end is logged", || lines(&server).into_iter().find(|line| line["message"] == "session closed"));
    let opened = lines(&server).into_iter().find(|line| line["message"] == "session opened").unwrap();
    for line in [&opened, &closed] {
        let span = &line["span"];
        assert_eq!(
            (&span["name"], &span["database"], &span["identity"]),
            (&"session".into(), &"clinic".into(), &"mcp-agent".into())
        );
        assert_eq!(span["id"].as_str().unwrap().len(), 32, "{line}");
    }
    assert_eq!(opened["span"]["id"], closed["span"]["id"]);
    assert_eq!(server.stop(), 0);
    let said = server.said();
    let raw = STAND.owner("select string_agg(ssn, ' ') from clinical.patients");
    for word in raw.split(' ').chain(["zebrafinch", id.as_str(), agent.password.as_str(), "patients", "select"]) {
        assert!(!said.contains(word), "the log has {word}: {said}");
    }
}

#[test]
fn the_command_line_outdoes_the_configured_log() {
    let (_folder, file) = configured(&STAND, |text| text + "\n[log]\nformat = \"json\"\nlevel = \"error\"\n");
    let mut command = Command::new(binary());
    command.args(["serve", "--config", &file, "--logs", "plain", "--level", "info"]);
    let server = Server::spawn(command).unwrap();
    drop(login(&file, "AGENT"));
    eventually("a plain line is logged", || server.said().contains(" INFO session{id=").then_some(()));
}

#[test]
fn systemd_is_told_and_its_watchdog_kept_quiet() {
    let (folder, file) = configured(&STAND, |text| text);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(proto_tests::PATIENCE)).unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--config", &file]).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let mut server = Server::spawn(command).unwrap();
    let told = || {
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    let until = |word: &str| {
        let mut all = String::new();
        while !all.contains(word) {
            all += &told();
        }
        all
    };
    let first = until("READY=1");
    assert!(!first.contains("STOPPING"), "{first}");
    let _ = until("WATCHDOG=1");
    let _ = until("WATCHDOG=1");
    server.signal("HUP");
    let reload = until("RELOADING=1");
    assert!(reload.contains("MONOTONIC_USEC="), "{reload}");
    let _ = until("READY=1");
    server.signal("TERM");
    let _ = until("STOPPING=1");
    assert_eq!(server.ended(), 0);
}
