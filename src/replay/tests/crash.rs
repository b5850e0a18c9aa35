//! A process that is killed, or that finds the disk full.

use super::*;

/// The log that a process which a test has started is to write.
fn given() -> Option<Settings> {
    let folder = PathBuf::from(std::env::var_os("PGVEIL_TEST_FOLDER")?);
    let (key_file, path) = (folder.join("master.key"), folder.join("data"));
    Some(Settings { key_file, path, witness: None, ..settings(&TempDir::new().unwrap()) })
}

/// Not a test of its own: the process that the test below kills. Says each statement once it is durable.
#[test]
#[ignore = "started by another test"]
fn child_that_is_killed() {
    use std::io::Write as _;
    let Some(settings) = given() else { return };
    let round = std::env::var("PGVEIL_TEST_ROUND").unwrap().parse::<u8>().unwrap();
    let log = Log::open(&settings, NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut recorder = log.session(session_id(round)).unwrap();
    recorder.append(opened("killed"), NOW).unwrap();
    for number in 1..1_000_000u64 {
        let position = recorder.append(statement(number, &"select ssn from clinical.patients ".repeat(20)), NOW).unwrap();
        runtime.block_on(recorder.wait(position)).unwrap();
        writeln!(std::io::stdout(), "durable {number}").unwrap();
        recorder.append(reply(number), NOW).unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let folder = TempDir::new().unwrap();
    let mut settings = settings(&folder);
    settings.witness = None;
    for round in 1..=12u8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "replay::tests::crash::child_that_is_killed", "--ignored", "--nocapture"])
            .env("PGVEIL_TEST_FOLDER", folder.path())
            .env("PGVEIL_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut durable = 0;
        let mut read = |line: String| {
            if let Some(number) = line.strip_prefix("durable ") {
                durable = number.parse::<u64>().unwrap_or(durable);
            }
            durable
        };
        while read(lines.next().unwrap().unwrap()) < u64::from(round) * 97 {}
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            read(line);
        });
        drop(Log::open(&settings, NOW).unwrap());
        let report = check(&settings.path, &Evidence::default());
        assert_eq!(sentences(&report), "");
        let archive = Archive::open(&settings.path).unwrap();
        let Found::One(session, row) = archive.find(&session_id(round).to_string()).unwrap() else { panic!("round {round}") };
        assert!(row.statements >= durable, "{} of {durable}", row.statements);
        assert_eq!(row.closed.unwrap().1, "crash");
        let key = archive.key(session, &master_key(&settings).unwrap()).unwrap();
        assert!(archive.entries(session, key.as_ref()).unwrap().all(|entry| entry.is_ok()));
    }
}

/// Not a test of its own: the process that may write two megabytes to a file and no more.
#[test]
#[ignore = "started by another test"]
fn child_that_runs_out_of_space() {
    use crate::store::LogFailed;
    let Some(settings) = given() else { return };
    let log = Log::open(&settings, NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    recorder.append(opened("full"), NOW).unwrap();
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for number in 1.. {
        let text: String = (0..20_000).map(|_| char::from(b' ' + noise() % 90)).collect();
        let position = recorder.append(statement(number, &text), NOW).unwrap();
        if let Err(failure) = runtime.block_on(recorder.wait(position)) {
            assert!(matches!(failure, LogFailed::Write(_)), "{failure}");
            assert_eq!(recorder.append(statement(number, "select 1"), NOW), Err(failure.clone()));
            assert_eq!(runtime.block_on(recorder.room()), Err(failure.clone()));
            assert_eq!(log.failed(), Some(failure.to_string()));
            assert_eq!(log.close(), Err(failure));
            println!("durable {}", number - 1);
            return;
        }
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_it_acknowledged() {
    use std::process::Command;
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let limited = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" --exact replay::tests::crash::child_that_runs_out_of_space --ignored --nocapture";
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env("PGVEIL_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let durable = said.lines().find_map(|line| line.split_once("durable ")?.1.parse::<u64>().ok());
    let durable = durable.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(durable > 10, "{said}");
    drop(Log::open(&settings, NOW).unwrap());
    assert_eq!(sentences(&check(&settings.path, &Evidence::default())), "");
    let archive = Archive::open(&settings.path).unwrap();
    let Found::One(_, row) = archive.find("0101").unwrap() else { panic!("the session") };
    assert!(row.statements >= durable, "{} of {durable}", row.statements);
}
