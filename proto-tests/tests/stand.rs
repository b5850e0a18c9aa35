//! The stand itself: what it prints, and that nothing of it is left behind.

use std::path::Path;
use std::process::{Command, Stdio};

use proto_tests::{Stand, eventually, stand::root};

fn alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|l| l.starts_with("State:") && !l.contains('Z'))
}

fn stand() -> Command {
    let mut command = Command::new(root().join("proto-tests/stand"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_prints_what_harnesses_ask_for() {
    for (name, keys) in [
        ("clinic", &["AGENT", "CLINICIAN", "COMPLIANCE", "COMPLIANCE2", "OWNER", "APP"][..]),
        ("corpus", &["MASKED", "OWNER", "APP"]),
        ("risk", &["CLIENT", "OWNER", "APP"]),
        (
            "plain",
            &[
                "DIRECT_HOST",
                "DIRECT_PORT",
                "DIRECT_USER",
                "DIRECT_PASSWORD",
                "DIRECT_DB",
                "PROXY_HOST",
                "PROXY_PORT",
                "PROXY_USER",
            ],
        ),
    ] {
        let stand = Stand::start(name, &[]);
        for key in keys.iter().chain(&["HOST", "PORT", "ADMIN", "PID", "DATA", "CONFIG"]) {
            assert!(!stand.value(key).is_empty(), "{name}: {key}");
        }
        if name == "plain" {
            assert_eq!(stand.value("PROXY_USER"), stand.value("DIRECT_USER"));
            let dsn = format!(
                "postgresql://{}:{}@{}:{}/{}",
                stand.value("PROXY_USER"),
                stand.value("PROXY_PASSWORD"),
                stand.value("PROXY_HOST"),
                stand.value("PROXY_PORT"),
                stand.value("PROXY_DB")
            );
            let shown =
                stand.psql(&dsn, &["-tA", "-c", "create database another", "-c", "delete from pg_description where false"]);
            assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
            let shown = stand.psql(&dsn.replace("/fidelity", "/another"), &["-tAc", "select current_database(), current_user"]);
            assert_eq!(String::from_utf8_lossy(&shown.stdout), "another|postgres\n");
        }
    }
}

#[test]
fn it_is_gone_when_its_input_closes() {
    let stand = Stand::start("clinic", &[]);
    let (pid, server, folder) = (stand.value("PID").to_owned(), stand.value("PG_PID").to_owned(), stand.value("DIR").to_owned());
    assert!(alive(&pid) && alive(&server) && Path::new(&folder).exists());
    drop(stand);
    assert!(!alive(&pid) && !alive(&server) && !Path::new(&folder).exists());
}

#[test]
fn it_is_gone_when_it_is_terminated_or_killed() {
    use std::io::{BufRead, BufReader};
    for signal in ["-TERM", "-INT", "-KILL"] {
        let mut child = stand().arg("clinic").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said: Vec<_> = lines.take_while(|l| l != "ready").collect();
        let value = |key: &str| said.iter().find_map(|l| l.strip_prefix(key)).unwrap().to_owned();
        let (pid, server, folder) = (value("PID="), value("PG_PID="), value("DIR="));
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        eventually("its children end", || (!alive(&pid) && !alive(&server)).then_some(()));
        if signal == "-KILL" {
            std::fs::remove_dir_all(folder).unwrap();
        } else {
            assert_eq!(status.code(), Some(0), "{signal}");
            assert!(!Path::new(&folder).exists());
        }
    }
}

#[test]
fn it_says_why_it_cannot_stand() {
    let why = |command: &mut Command| {
        // a pipe that closes, so that a stand that stands after all ends by itself
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        std::thread::spawn(move || {
            std::thread::sleep(proto_tests::PATIENCE);
            drop(input);
        });
        let done = child.wait_with_output().unwrap();
        assert!(!done.status.success());
        assert!(!String::from_utf8_lossy(&done.stdout).contains("ready"));
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    assert!(why(stand().args(["clinic", "--postgres-bin", "/nowhere"])).contains("/nowhere"));
    assert!(why(stand().arg("circus")).contains("circus"));
    assert!(why(stand().args(["clinic", "--policy", "/nowhere.toml"])).contains("/nowhere.toml"));
    assert!(why(stand().arg("clinic").env("PGVEIL_BIN", "/nowhere/pgveil")).contains("/nowhere/pgveil"));
    assert!(why(stand().arg("clinic").env("PGVEIL_BIN", "/bin/false")).contains("pgveil ended"));
}
