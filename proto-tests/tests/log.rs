//! The log: everything is in it, as the client saw it, and whoever changes it is found out.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proto_tests::journal::{everything, id, replay, sessions, verify};
use proto_tests::{Canaries, Stand, Wire, eventually};

static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &[]));

#[test]
fn every_statement_and_every_execution_is_recorded() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.query("select 'first-7316', 1");
    wire.query("select 'second-7316'; select 'third-7316'");
    wire.query("select no_such_column_7316 from clinical.patients");
    wire.pipeline(|p| {
        p.parse("s", "select 'prepared-7316', $1::text");
        for value in ["one-7316", "two-7316", "three-7316"] {
            p.bind("", "s", &[Some(value)], 0).execute("", 0);
        }
        p.bind("", "s", &[None], 0).execute("", 0).sync();
    });
    assert_eq!(wire.reply().of(b'D').count(), 4);
    drop(wire);
    let told = eventually("the replay", || {
        let told = everything(&STAND, &["--identity", "mcp-agent"]);
        told.contains("three-7316").then_some(told)
    });
    for text in
        ["first-7316", "second-7316", "third-7316", "no_such_column_7316", "42703", "prepared-7316", "one-7316", "two-7316"]
    {
        assert!(told.contains(text), "{text} is not on record");
    }
}

#[test]
fn the_replay_is_what_the_client_saw() {
    let raw = Canaries::of(&STAND);
    let mut wire = Wire::connect(&STAND, &STAND.identity("OTHER"));
    let seen = wire.query("select id, ssn, last_name, birth_date, state from clinical.patients order by id limit 5").rows();
    drop(wire);
    let told = eventually("the session", || sessions(&STAND, &["--identity", "other-agent"]).first().map(id));
    let told = replay(&STAND, &told);
    for cell in seen.iter().flatten().flatten() {
        let quoted = serde_json::to_string(cell).unwrap();
        assert!(told.contains(quoted.trim_matches('"')), "{cell} was seen and is not in the replay");
    }
    raw.assert_clean("the replay", told.as_bytes());
    assert!(seen.iter().flatten().flatten().all(|cell| raw.found_in(cell.as_bytes()).is_none()));
}

#[test]
fn a_session_is_found_by_who_when_and_where() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.query("select 1");
    drop(wire);
    let found = eventually("the session", || {
        let found = sessions(&STAND, &["--identity", "dr-gray", "--database", "clinic"]);
        (!found.is_empty()).then_some(found)
    });
    assert!(found.iter().all(|s| s.to_string().contains("dr-gray")));
    assert!(sessions(&STAND, &["--identity", "nobody"]).is_empty());
    assert!(sessions(&STAND, &["--database", "elsewhere"]).is_empty());
    assert!(sessions(&STAND, &["--until", "2020-01-01T00:00:00Z"]).is_empty());
    assert!(!sessions(&STAND, &["--since", "2020-01-01T00:00:00Z"]).is_empty());
}

#[test]
fn no_raw_value_and_no_secret_is_anywhere_in_the_data_folder() {
    let stand = Stand::start("clinic", &[]);
    let raw = Canaries::of(&stand);
    let agent = stand.identity("AGENT");
    let mut wire = Wire::connect(&stand, &agent);
    wire.query("select * from clinical.patients order by id limit 300");
    // what a clinician sees is recorded as seen, and sealed
    let mut clinician = Wire::connect(&stand, &stand.identity("CLINICIAN"));
    clinician.query("select * from clinical.patients order by id limit 300");
    drop((wire, clinician));
    eventually("both sessions are closed", || (sessions(&stand, &[]).len() >= 2).then_some(()));
    for file in files(Path::new(stand.value("DATA"))) {
        let bytes = std::fs::read(&file).unwrap();
        raw.assert_clean(&file.display().to_string(), &bytes);
        assert!(!contains(&bytes, agent.password.as_bytes()), "{}", file.display());
    }
    raw.assert_clean("pgveil's log", stand.log().as_bytes());
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

/// A stopped log with some sessions in it: what keeps it, and its folder.
fn stopped() -> (Stand, PathBuf) {
    let stand = Stand::start("clinic", &["--without-pgveil"]);
    let mut serving = proto_tests::server::Server::start(&stand);
    for n in 0..20 {
        let mut wire = Wire::connect(&stand, &stand.identity("AGENT"));
        for m in 0..10 {
            wire.query(&format!("select 'statement {n} {m}', id, ssn from clinical.patients limit 20"));
        }
    }
    serving.stop();
    let data = PathBuf::from(stand.value("DATA"));
    (stand, data)
}

#[test]
fn a_log_is_whole_until_somebody_changes_a_byte() {
    let (stand, data) = stopped();
    let whole = verify(&data, Some(stand.value("WITNESS")));
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
    let mut tried = 0;
    for file in files(&data) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let ext = file.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let length = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
        if !matches!(ext.as_str(), "log" | "sst" | "blob" | "seg") || length < 64 {
            continue;
        }
        for part in [7, 23, 50, 71, 93] {
            let bytes = std::fs::read(&file).unwrap();
            let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
            let at = used * part / 100;
            let scratch = tempfile::tempdir().unwrap();
            copy(&data, scratch.path());
            let mut changed = bytes;
            changed[at] ^= 1;
            std::fs::write(scratch.path().join(file.strip_prefix(&data).unwrap()), changed).unwrap();
            let found = verify(scratch.path(), Some(stand.value("WITNESS")));
            assert_ne!(found.code, 0, "byte {at} of {name} is changed and verify says: {}", found.out);
            assert!(found.code > 0 && !(found.out.clone() + &found.err).trim().is_empty(), "{name}: no word of what is wrong");
            tried += 1;
        }
    }
    assert!(tried >= 5, "nothing was tampered with");
}

#[test]
fn a_log_that_lost_its_end_is_found_by_the_witness() {
    let (stand, data) = stopped();
    let early = tempfile::tempdir().unwrap();
    copy(&data, early.path());
    let mut serving = proto_tests::server::Server::start(&stand);
    Wire::connect(&stand, &stand.identity("AGENT")).query("select 'what somebody wants forgotten'");
    serving.stop();
    assert_eq!(verify(&data, Some(stand.value("WITNESS"))).code, 0);
    let rolled_back = verify(early.path(), Some(stand.value("WITNESS")));
    assert_ne!(rolled_back.code, 0, "an older copy passes for the log: {}", rolled_back.out);
}

#[test]
fn a_missing_file_is_found() {
    let (stand, data) = stopped();
    let scratch = tempfile::tempdir().unwrap();
    copy(&data, scratch.path());
    let victim = files(scratch.path()).into_iter().find(|f| f.extension().is_some_and(|e| e == "log" || e == "sst")).unwrap();
    std::fs::remove_file(victim).unwrap();
    assert_ne!(verify(scratch.path(), Some(stand.value("WITNESS"))).code, 0);
    let nothing = tempfile::tempdir().unwrap();
    assert_ne!(verify(nothing.path(), None).code, 0);
}
