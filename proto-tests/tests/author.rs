//! What the author of a policy works with: explanations, snapshots, cases and proposals, each against a real database.

use std::sync::LazyLock;

use proto_tests::cli::pgveil;
use proto_tests::stand::root;
use proto_tests::{Canaries, Stand};
use serde_json::Value;

static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &[]));

fn explained(arguments: &[&str]) -> Value {
    let mut all = vec!["explain", "--config", STAND.value("CONFIG"), "--database", "clinic", "--json"];
    all.extend(arguments);
    pgveil(&all).json()
}

/// `name verdict lineage` of each column of the first statement.
fn columns(answer: &Value) -> Vec<String> {
    let word = |column: &Value, key: &str| column[key].as_str().unwrap_or("-").to_owned();
    let columns = answer["statements"][0]["columns"].as_array().unwrap();
    columns
        .iter()
        .map(|column| format!("{} {} {}", word(column, "name"), word(column, "verdict"), word(column, "type")))
        .collect()
}

#[test]
fn a_statement_is_explained_with_the_servers_types() {
    let sql = "select ssn, state, birth_date as born, lat from clinical.patients where mrn = 'x'";
    let answer = explained(&["--group", "agents", sql]);
    assert_eq!(columns(&answer), ["ssn masked text", "state clear bpchar", "born masked date", "lat null numeric"], "{answer}");
    let statement = &answer["statements"][0];
    assert_eq!(
        (&statement["verb"], &statement["where"], &statement["decision"]),
        (&"select".into(), &"none".into(), &"forward".into())
    );
    assert_eq!(statement["reads"][0], "clinical.patients");
    let clear = explained(&["--group", "clinicians", sql]);
    assert!(columns(&clear).iter().all(|column| column.contains(" clear ")), "{clear}");
    let by_name = explained(&["--identity", "mcp-agent", sql]);
    assert_eq!(columns(&by_name), columns(&answer), "an identity has the groups of its credential");
}

#[test]
fn nothing_is_run() {
    let before = STAND.owner("select count(*) from clinical.medications");
    let answer = explained(&["--group", "agents", "delete from clinical.medications returning id"]);
    assert_eq!((&answer["decision"], &answer["rules"][0]), (&"hold".into(), &"delete-without-where".into()), "{answer}");
    assert_eq!(answer["hold"]["approvers"][0], "compliance");
    assert_eq!(STAND.owner("select count(*) from clinical.medications"), before);
}

#[test]
fn several_statements_and_what_cannot_be_read() {
    let answer = explained(&["--group", "engineers", "select 1; truncate clinical.observations"]);
    let decisions: Vec<&str> = answer["statements"].as_array().unwrap().iter().filter_map(|s| s["decision"].as_str()).collect();
    assert_eq!((decisions[0], &answer["decision"] == "forward"), ("forward", false), "{answer}");
    let unread = explained(&["selec 1"]);
    assert_eq!(unread["statements"][0]["verb"], "unknown");
    assert!(unread["statements"][0]["unknown"].is_string() && unread["note"].is_string(), "{unread}");
    let told =
        pgveil(&["explain", "--config", STAND.value("CONFIG"), "--group", "agents", "select ssn from clinical.patients"]).ok();
    for word in ["decision", "forward", "masked (redact)", "clinical.patients"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_fault_names_its_place_and_the_way_out() {
    let config = STAND.value("CONFIG");
    for (arguments, code, word) in [
        (vec!["explain", "--config", config, "--database", "clinc", "select 1"], 2, "`clinic`"),
        (vec!["explain", "--config", config, "--identity", "nobody", "select 1"], 2, "--group"),
        (vec!["explain", "--policy", "no-such-folder", "select 1"], 2, "no-such-folder"),
        (vec!["explain", "--config", "nowhere.toml", "select 1"], 2, "nowhere.toml"),
        (vec!["policy", "test", "fixtures"], 2, "policy.toml"),
        (vec!["discover", "--config", config, "--sample", "99999999"], 2, "--sample"),
    ] {
        let ran = pgveil(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(word) && !ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_snapshot_stands_for_the_database() {
    let snapshot = pgveil(&["catalog", "--config", STAND.value("CONFIG"), "--database", "clinic"]).ok();
    let again = pgveil(&["catalog", "--config", STAND.value("CONFIG"), "--database", "clinic"]).ok();
    assert!(snapshot == again, "the same catalog gives the same text");
    Canaries::of(&STAND).assert_clean("a snapshot", snapshot.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.json").display().to_string();
    std::fs::write(&file, &snapshot).unwrap();
    let policy = root().join("policies/hipaa-safe-harbor").display().to_string();
    let sql = "delete from clinical.medications";
    let offline = pgveil(&["explain", "--policy", &policy, "--catalog", &file, "--group", "agents", "--json", sql]).json();
    let online = explained(&["--group", "agents", sql]);
    for key in ["decision", "rules", "reasons", "hold"] {
        assert_eq!(offline[key], online[key], "{key}");
    }
    assert_eq!(offline["statements"][0]["writes"], online["statements"][0]["writes"]);
}

#[test]
fn policies_pass_their_cases_and_fail_when_broken() {
    for name in ["hipaa-safe-harbor", "limited-data-set", "agent-read-only"] {
        let folder = root().join("policies").join(name).display().to_string();
        let ran = pgveil(&["policy", "test", &folder]);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.out, ran.err);
        let count: usize = ran.out.lines().last().and_then(|line| line.split(' ').next()).and_then(|n| n.parse().ok()).unwrap();
        assert!(count >= 20, "{name} has {count} cases");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("cases")).unwrap();
    let policy = std::fs::read_to_string(root().join("policies/hipaa-safe-harbor/policy.toml")).unwrap();
    std::fs::write(at("policy.toml"), policy).unwrap();
    std::fs::copy(root().join("fixtures/clinic/catalog.json"), at("catalog.json")).unwrap();
    let case = "[[case]]\nname = \"waits\"\nsql = \"delete from clinical.medications\"\ndecision = \"forward\"\n";
    std::fs::write(at("cases/one.toml"), case).unwrap();
    let ran = pgveil(&["policy", "test", &folder.path().display().to_string()]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("one.toml:2: waits: decision: expected forward, actual hold"), "{}", ran.out);
    assert!(ran.out.ends_with("0 passed, 1 failed\n"), "{}", ran.out);
    std::fs::write(at("cases/two.toml"), "[[case]]\nname = \"n\"\nsql = \"select 1\"\ndecision = \"forwad\"\n").unwrap();
    let ran = pgveil(&["policy", "test", &folder.path().display().to_string()]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("two.toml:4:"), "{}", ran.err);
}

#[test]
fn a_proposal_is_a_policy_without_values() {
    let ran = pgveil(&["discover", "--config", STAND.value("CONFIG"), "--database", "clinic"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    Canaries::of(&STAND).assert_clean("a proposal", ran.out.as_bytes());
    for column in [
        "clinical.patients.ssn",
        "clinical.patients.last_name",
        "clinical.patients.birth_date",
        "clinical.patients.phone",
        "clinical.patients.email",
        "clinical.patients.zip",
        "clinical.patients.mrn",
        "clinical.patients.photo",
        "clinical.patients.lat",
        "clinical.patients.address",
        "clinical.clinical_notes.body",
        "billing.claims.member_id",
        "billing.payments.card_number",
        "billing.payments.card_holder",
        "research.subjects.subject_name",
        "clinical.contacts.phone",
        "clinical.encounters.companion_name",
    ] {
        assert!(ran.out.contains(&format!("\"{column}\"")), "{column} is not proposed: {}", ran.out);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, &ran.out).unwrap();
    let policy = file.display().to_string();
    let checked = pgveil(&[
        "explain",
        "--config",
        STAND.value("CONFIG"),
        "--policy",
        &policy,
        "--json",
        "select ssn from clinical.patients",
    ]);
    assert_eq!(checked.json()["statements"][0]["columns"][0]["verdict"], "masked");
    let json = pgveil(&["discover", "--config", STAND.value("CONFIG"), "--sample", "0", "--json"]).json();
    assert!(json["proposals"].as_array().unwrap().len() >= 15);
}
