//! Both doors: who comes in, who does not, and what they are told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proto_tests::clients::{ALL, Client, python, query, rows, script};
use proto_tests::wire::VERSION_3_0;
use proto_tests::{Identity, Stand, Way, Wire};

static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &[]));
static TLS: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--tls"]));

fn refused(stand: &Stand, who: &Identity, database: &str, parameters: &[(&str, &str)]) -> (String, String) {
    match Wire::try_connect(stand.port(), who, database, parameters).unwrap() {
        Ok(_) => panic!("{} came in to {database} {parameters:?}", who.user),
        Err(error) => {
            assert_eq!(error.field(b'S').as_deref(), Some("FATAL"));
            (error.field(b'C').unwrap(), error.field(b'M').unwrap())
        }
    }
}

#[test]
fn the_right_credential_comes_in() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    assert_eq!(wire.query("select 1").rows(), [[Some("1".to_owned())]]);
}

#[test]
fn the_pid_is_the_backends() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    let pid = wire.query("select pg_backend_pid()").rows()[0][0].clone().unwrap();
    assert_eq!(pid, wire.key.0.to_string());
}

#[test]
fn a_wrong_password_an_unknown_name_and_an_empty_one_are_refused_alike() {
    let mut who = STAND.identity("AGENT");
    who.password = "wrong".into();
    let wrong = refused(&STAND, &who, "clinic", &[]);
    who.user = "nobody".into();
    let unknown = refused(&STAND, &who, "clinic", &[]);
    assert_eq!(wrong.0, "28P01");
    assert_eq!(wrong.1.replace("mcp-agent", "X"), unknown.1.replace("nobody", "X"), "an answer tells which names exist");
}

#[test]
fn an_expired_credential_is_refused_and_told_so() {
    let (code, message) = refused(&STAND, &STAND.identity("LAPSED"), "clinic", &[]);
    assert!(code.starts_with("28"), "{code}");
    assert!(message.contains("expired"), "{message}");
}

#[test]
fn an_unknown_database_is_refused() {
    assert_eq!(refused(&STAND, &STAND.identity("AGENT"), "elsewhere", &[]).0, "3D000");
}

#[test]
fn replication_is_refused() {
    for value in ["true", "database", "1", "on"] {
        refused(&STAND, &STAND.identity("AGENT"), "clinic", &[("replication", value)]);
    }
}

#[test]
fn startup_parameters_reach_the_database_and_reset_comes_back_to_them() {
    let who = STAND.identity("CLINICIAN");
    let parameters = [("application_name", "tested"), ("search_path", "clinical"), ("options", "-c statement_timeout=12345")];
    let mut wire = Wire::try_connect(STAND.port(), &who, "clinic", &parameters).unwrap().unwrap();
    let shown = |wire: &mut Wire, name: &str| wire.query(&format!("show {name}")).rows()[0][0].clone().unwrap();
    assert_eq!(shown(&mut wire, "application_name"), "tested");
    assert_eq!(shown(&mut wire, "search_path"), "clinical");
    assert_eq!(shown(&mut wire, "statement_timeout"), "12345ms");
    wire.query("set search_path = billing; reset search_path");
    assert_eq!(shown(&mut wire, "search_path"), "clinical");
}

#[test]
fn a_function_call_is_refused_and_the_session_goes_on() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    // FunctionCall of now() (oid 1299): no formats, no arguments, text result
    wire.send(&[b'F', 0, 0, 0, 14, 0, 0, 0x05, 0x13, 0, 0, 0, 0, 0, 0]).unwrap();
    let reply = wire.reply();
    assert_eq!(reply.tags(), "EZ", "{reply:?}");
    assert_eq!(wire.query("select 2").rows(), [[Some("2".to_owned())]]);
}

#[test]
fn encryption_requests_without_a_certificate_are_answered_n() {
    for code in [[4_u8, 0xd2, 0x16, 0x2f], [4, 0xd2, 0x16, 0x30]] {
        let mut socket = TcpStream::connect(("127.0.0.1", STAND.port())).unwrap();
        socket.write_all(&[&[0, 0, 0, 8], &code[..]].concat()).unwrap();
        let mut answer = [0; 1];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
    }
}

#[test]
fn nonsense_instead_of_a_startup_packet_ends_the_connection() {
    for packet in [&[0, 0, 0, 3, 0, 0, 0, 0][..], b"\x7f\xff\xff\xffGET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\0\x02\0\0"] {
        let mut socket = TcpStream::connect(("127.0.0.1", STAND.port())).unwrap();
        socket.set_read_timeout(Some(proto_tests::PATIENCE)).unwrap();
        socket.write_all(packet).unwrap();
        let mut rest = Vec::new();
        match socket.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty() || rest[0] == b'E', "{rest:?}"),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    assert_eq!(Wire::connect(&STAND, &STAND.identity("AGENT")).query("select 3").tags(), "TDCZ");
}

#[test]
fn every_client_comes_in_over_verified_tls() {
    let agent = TLS.identity("AGENT");
    for client in ALL {
        let dsn = match client {
            // node-postgres reads its own spelling of the same
            Client::Node => agent.dsn.clone(),
            _ => agent.dsn.clone(),
        };
        let answer = &client.run(&dsn, &[query("select 40 + 2")])[0];
        assert_eq!(rows(answer)[0][0].as_deref(), Some("42"), "{client:?}: {answer}");
    }
}

#[test]
fn channel_binding_can_be_required() {
    let agent = TLS.identity("AGENT");
    let shown = TLS.psql(&format!("{}&channel_binding=require", agent.dsn), &["-tAc", "select 'bound'"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "bound\n", "{}", String::from_utf8_lossy(&shown.stderr));
}

#[test]
fn a_listener_with_a_certificate_takes_nobody_in_clear() {
    let agent = TLS.identity("AGENT");
    let clear = format!("{}?sslmode=disable", agent.dsn.split('?').next().unwrap());
    let shown = TLS.psql(&clear, &["-tAc", "select 1"]);
    assert!(!shown.status.success());
    assert!(shown.stdout.is_empty());
}

#[test]
fn bytes_sent_before_the_tls_handshake_are_not_taken_as_the_clients() {
    let mut socket = TcpStream::connect(("127.0.0.1", TLS.port())).unwrap();
    socket.set_read_timeout(Some(proto_tests::PATIENCE)).unwrap();
    let startup = b"\0\0\0\x26\0\x03\0\0user\0mcp-agent\0database\0clinic\0\0";
    socket.write_all(&[&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], &startup[..]].concat()).unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    assert!(rest.iter().all(|b| *b != b'R'), "a startup packet in clear was answered: {rest:?}");
}

#[test]
fn direct_tls_needs_its_alpn() {
    let run = |protocol: &[&str]| {
        let arguments = ["127.0.0.1", TLS.value("PORT"), TLS.value("CA")];
        let done = Command::new(python())
            .arg(script("direct_tls.py"))
            .args(arguments)
            .args(protocol)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    assert_eq!(run(&["postgresql"]), "postgresql R");
    assert!(!run(&["http/1.1"]).ends_with('R'), "another protocol was let in");
}

#[test]
fn no_secret_is_in_the_log_or_on_a_command_line() {
    let agent = STAND.identity("AGENT");
    let _ = Wire::connect(&STAND, &agent);
    let mut wrong = agent.clone();
    wrong.password = "a-secret-that-failed".into();
    let _ = Wire::try_connect(STAND.port(), &wrong, "clinic", &[]);
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", STAND.value("PID"))).unwrap();
    let upstream = std::fs::read_to_string(format!("{}/upstream.password", STAND.value("DIR"))).unwrap();
    for secret in [agent.password.as_str(), "a-secret-that-failed"] {
        assert!(!STAND.log().contains(secret) && !line.contains(secret));
    }
    assert!(!line.contains(&format!(":{upstream}@")));
}

/// A listener without a certificate: after as many answers of N as there are requests, the same connection takes a login in clear.
#[test]
fn who_was_answered_n_may_log_in_in_clear() {
    let agent = STAND.identity("AGENT");
    let (tls, gss) = ([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30]);
    for requests in [&[tls][..], &[gss], &[tls, gss], &[gss, tls]] {
        let mut wire = Wire::open(&Way::port(STAND.port())).unwrap();
        for request in requests {
            wire.send(request).unwrap();
            assert_eq!(wire.byte().unwrap(), b'N');
        }
        wire.start(VERSION_3_0, &agent, "clinic", &[]).unwrap();
        assert_eq!(wire.log_in(&agent.password).unwrap(), None, "{requests:?}");
        assert_eq!(wire.query("select 1").tags(), "TDCZ");
    }
}
