//! A registered credential gets a successor, and both serve for a while.

use std::io::Write as _;
use std::process::Command;

use proto_tests::{Ran, Stand, cli, eventually};

fn come_in(stand: &Stand, password: &str) -> Ran {
    let dsn = format!("postgresql://rota:{password}@127.0.0.1:{}/clinic", stand.port());
    let done = stand.psql(&dsn, &["-w", "-tAc", "select 'in'"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code().unwrap_or(-1), out: text(&done.stdout), err: text(&done.stderr) }
}

/// Writes the configuration anew and has it read.
fn configure(stand: &Stand, change: impl Fn(&str) -> String) {
    let file = stand.value("CONFIG");
    let changed = change(&std::fs::read_to_string(file).unwrap());
    std::fs::write(file, changed).unwrap();
    assert!(Command::new("kill").args(["-HUP", stand.value("PID")]).status().unwrap().success());
}

#[test]
fn both_passwords_serve_until_the_former_ends() {
    let first = cli::pgveil(&["credential", "new", "rota", "--group", "agents", "--ttl", "1h", "--json"]).json();
    let text = |made: &serde_json::Value, key: &str| made[key].as_str().unwrap().to_owned();
    let (old, block) = (text(&first, "password"), text(&first, "toml"));
    let mut also = tempfile::NamedTempFile::new().unwrap();
    writeln!(also, "{block}").unwrap();
    let stand = Stand::start("clinic", &["--also", also.path().to_str().unwrap()]);
    assert_eq!(come_in(&stand, &old).ok().trim(), "in");
    let rotate = ["credential", "new", "rota", "--rotate", stand.value("CONFIG"), "--ttl", "2h", "--overlap", "30m", "--json"];
    let second = cli::pgveil(&rotate).json();
    let (new, successor) = (text(&second, "password"), text(&second, "toml"));
    assert_eq!(second["groups"], first["groups"]);
    assert_ne!(come_in(&stand, &new).code, 0, "not yet");
    configure(&stand, |config| config.replace(&block, &successor));
    eventually("the new password serves", || (come_in(&stand, &new).code == 0).then_some(()));
    assert_eq!(come_in(&stand, &old).ok().trim(), "in", "and the former beside it");
    for wrong in [&new[1..], &old[1..], "x"] {
        assert!(come_in(&stand, wrong).err.contains("password authentication failed"), "{wrong}");
    }
    let listed = || cli::pgveil(&["credential", "list", "--config", stand.value("CONFIG"), "--json"]).json();
    let of =
        |list: &serde_json::Value, name: &str| list.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap();
    let rota = of(&listed(), "rota");
    assert_eq!((&rota["groups"], rota["former_expires"].is_string()), (&first["groups"], true), "{rota}");
    assert!(rota["last_used"].as_str().is_some_and(|used| used.ends_with('Z')), "{rota}");
    assert!(of(&listed(), "other-agent")["last_used"].is_null(), "who never came in");
    // The former's end comes.
    let (head, until) = successor.rsplit_once("expires = ").unwrap();
    assert!(until.ends_with(" }"), "{until}");
    configure(&stand, |config| config.replace(&successor, &format!("{head}expires = 2020-01-01T00:00:00Z }}")));
    let ran = eventually("the former ends", || Some(come_in(&stand, &old)).filter(|ran| ran.code != 0));
    assert!(ran.err.contains("expired"), "{}", ran.err);
    assert_eq!(come_in(&stand, &new).ok().trim(), "in");
    // One that was made apart cannot serve beside it.
    let apart = text(&cli::pgveil(&["credential", "new", "rota", "--group", "agents", "--json"]).json(), "verifier");
    let config = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let (before, former) = config.rsplit_once("former = ").unwrap();
    let (_, rest) = former.split_once(", expires").unwrap();
    let mut wrong = tempfile::NamedTempFile::new_in(stand.value("DIR")).unwrap();
    write!(wrong, "{before}former = {{ verifier = \"{apart}\", expires{rest}").unwrap();
    let ran = cli::pgveil(&["check", "--config", wrong.path().to_str().unwrap()]);
    assert!(ran.code != 0 && format!("{}{}", ran.out, ran.err).contains("another salt"), "{}{}", ran.out, ran.err);
}
