//! What an operator gets wrong: each gives one clear message, and nothing runs unrecorded.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use proto_tests::cli::{binary, pgveil};
use proto_tests::server::{self, Server, port_of};
use proto_tests::{Stand, Wire};

static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil"]));

/// The stand's configuration with a change made to it.
fn configured(change: impl FnOnce(String) -> String) -> (tempfile::TempDir, String) {
    server::configured(&STAND, change)
}

fn fails(file: &str) -> String {
    match Server::try_start(file) {
        Ok(_) => panic!("it serves on a faulty configuration"),
        Err(told) => {
            assert!(!told.contains("panicked"), "{told}");
            assert!(told.contains("exit status"), "{told}");
            told
        }
    }
}

#[test]
fn a_right_configuration_is_checked_and_serves() {
    let (_folder, file) = configured(|text| text);
    let _ = pgveil(&["check", "--config", &file]).ok();
    let mut server = Server::try_start(&file).unwrap();
    let mut wire = Wire::try_connect(port_of(&file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().unwrap();
    assert_eq!(wire.query("select 1").tags(), "TDCZ");
    assert_eq!(server.stop(), 0, "a stop that was asked for is no failure");
}

#[test]
fn every_fault_of_a_configuration_is_named_at_once() {
    let (_folder, file) = configured(|text| {
        text.replace("durability = \"process\"", "durability = \"hope\"")
            .replace("[admin]", "[admin]\ncolour = \"blue\"")
            .replace("password_file = \"upstream.password\"", "password_file = \"nowhere.password\"")
    });
    let checked = pgveil(&["check", "--config", &file]);
    assert_eq!(checked.code, 1);
    let told = checked.out + &checked.err;
    for word in ["hope", "colour", "nowhere.password"] {
        assert!(told.contains(word), "{word} is not named: {told}");
    }
    assert!(told.contains("pgveil.toml:"), "no place is named: {told}");
    let served = fails(&file);
    for word in ["hope", "colour", "nowhere.password"] {
        assert!(served.contains(word), "{word} is not named: {served}");
    }
}

#[test]
fn every_fault_of_a_policy_is_named_with_its_line() {
    let faulty = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies/five-faults.toml");
    let policy = STAND.value("CONFIG").to_owned();
    let old = std::fs::read_to_string(policy).unwrap();
    let line = old.lines().find(|l| l.starts_with("policy = ")).unwrap().to_owned();
    let (_folder, file) = configured(|text| text.replace(&line, &format!("policy = \"{}\"", faulty.display())));
    let checked = pgveil(&["check", "--config", &file]);
    assert_eq!(checked.code, 1);
    let told = checked.out + &checked.err;
    for word in ["alow", "unknown", "clinical.patients", "redakt", "deleet"] {
        assert!(told.contains(word), "{word} is not named: {told}");
    }
    let places = told.matches("five-faults.toml:").count();
    assert!(places >= 5, "{places} places named: {told}");
    fails(&file);
}

#[test]
fn a_missing_certificate_is_named() {
    let (_folder, file) =
        configured(|text| text.replace("[admin]", "tls = { certificate = \"none.crt\", key = \"none.key\" }\n\n[admin]"));
    let told = fails(&file);
    assert!(told.contains("none.crt"), "{told}");
}

#[test]
fn a_listener_in_clear_is_for_loopback_only() {
    let (_folder, file) = configured(|text| text.replacen("address = \"127.0.0.1:", "address = \"0.0.0.0:", 1));
    let told = fails(&file);
    assert!(told.contains("tls") || told.contains("allow_plaintext"), "{told}");
}

#[test]
fn an_unreachable_database_refuses_sessions_and_says_so() {
    let (_folder, file) = configured(|text| text.replace(&format!("@127.0.0.1:{}/", STAND.value("PG_PORT")), "@127.0.0.1:1/"));
    let Ok(_server) = Server::try_start(&file) else { return };
    let refusal = Wire::try_connect(port_of(&file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().err().unwrap();
    let code = refusal.field(b'C').unwrap();
    assert!(code.starts_with("08") || code.starts_with("57"), "{code}");
    assert_eq!(refusal.field(b'S').as_deref(), Some("FATAL"));
}

#[test]
fn a_wrong_password_upstream_tells_the_client_nothing() {
    let (folder, file) = configured(|text| text);
    std::fs::write(folder.path().join("upstream.password"), "not-the-password").unwrap();
    let Ok(_server) = Server::try_start(&file) else { return };
    let refusal = Wire::try_connect(port_of(&file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().err().unwrap();
    let told = format!("{:?}", String::from_utf8_lossy(&refusal.body));
    assert!(!told.contains("not-the-password") && !told.contains("clinic_app"), "{told}");
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let (folder, file) = configured(|text| text);
    let _first = Server::try_start(&file).unwrap();
    let second = folder.path().join("second.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // the same folder, on ports of its own
    let address =
        |line: &str| if line.starts_with("address = ") { "address = \"127.0.0.1:0\"".to_owned() } else { line.to_owned() };
    let other: Vec<_> = text.lines().map(address).collect();
    std::fs::write(&second, other.join("\n")).unwrap();
    let told = fails(second.to_str().unwrap());
    assert!(told.contains("data"), "{told}");
    let mut wire = Wire::try_connect(port_of(&file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().unwrap();
    assert_eq!(wire.query("select 1").tags(), "TDCZ", "the first one suffered");
}

#[test]
fn when_the_log_cannot_be_written_nothing_runs() {
    STAND.owner("create table if not exists tests.unrecorded (n int)");
    let (_folder, file) = configured(|text| text);
    // no file of this process may grow beyond 6 MB: writing the log fails as it does on a full disk
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 6144; exec \"$0\" serve --config \"$1\"", &binary(), &file]);
    let _server = Server::spawn(command).unwrap();
    let agent = STAND.identity("AGENT");
    let mut refused = false;
    let mut ran = 0;
    'filling: for _ in 0..40 {
        let Ok(Ok(mut wire)) = Wire::try_connect(port_of(&file), &agent, "clinic", &[]) else {
            refused = true;
            break;
        };
        for _ in 0..40 {
            let filler: String = (0..4000).map(|_| format!("{:08x}", rand())).collect();
            let reply = wire.query(&format!("insert into tests.unrecorded values (1) /* {filler} */"));
            if reply.of(b'C').count() == 0 {
                refused = true;
                break 'filling;
            }
            ran += 1;
        }
    }
    assert!(refused, "{ran} statements ran and the log had no room for them");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let before = STAND.owner("select count(*) from tests.unrecorded");
    for _ in 0..5 {
        if let Ok(Ok(mut wire)) = Wire::try_connect(port_of(&file), &agent, "clinic", &[]) {
            assert_eq!(wire.query("insert into tests.unrecorded values (2)").of(b'C').count(), 0, "it runs unrecorded");
        }
    }
    assert_eq!(STAND.owner("select count(*) from tests.unrecorded"), before);
    assert_eq!(before, ran.to_string(), "what ran and what was answered differ");
}

/// Bytes that do not compress.
fn rand() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let hash = RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap()
}
