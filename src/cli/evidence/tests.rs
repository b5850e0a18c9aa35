use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::ledger::{Answer, Content, Entry, Event, ExecutionEvent, HoldAnswered, HoldOpened, Parameter, Place};
use crate::replay::tests::whole;

fn played(json: bool, events: impl IntoIterator<Item = Event>) -> String {
    let mut player = Player::new(Vec::new(), json);
    for (index, event) in (0..).zip(events) {
        let place = Place { index, time_us: 1_760_000_000_000_000, session: Some((SessionId([1; 16]), index + 1)) };
        player.entry(&Entry { place, event, content: Content::Open }).unwrap();
    }
    String::from_utf8(player.out).unwrap()
}

fn session_events(settings: &Settings) -> Vec<Event> {
    let archive = Archive::open(&settings.path).unwrap();
    let Found::One(session, _) = archive.find("03").unwrap() else { panic!("session 3") };
    let key = archive.key(session, &master_key(settings).unwrap()).unwrap();
    archive.entries(session, key.as_ref()).unwrap().map(|entry| entry.unwrap().event).take(3).collect()
}

#[test]
fn a_session_is_shown_as_it_was_seen() {
    let folder = TempDir::new().unwrap();
    let text = played(false, session_events(&whole(&folder)));
    let expected = "
2025-10-09T08:53:20.000Z  opened, as `app` on the database

2025-10-09T08:53:20.000Z  #1 query (select, touches masked columns)
    select ssn, n, d from clinical.patients
    decision: forward by default: nothing forbids it
    column `ssn` masked: policy
    | ssn [masked] | n | d    |
    |--------------|---|------|
    | ***-**-1234  | 7 | NULL |
    #1 SELECT 1 in 300 us
";
    assert_eq!(text, expected);
}

#[test]
fn a_hold_shows_who_answered_and_parameters_their_values() {
    let hold = HoldOpened { hold: "h7".into(), number: 2, approvers: vec!["compliance".into()], approvals: 1, digest: [0; 32] };
    let answered =
        HoldAnswered { hold: "h7".into(), answer: Answer::Approved, by: "carol".into(), reason: "asked\u{1b}[2J".into() };
    let parameters = vec![
        Parameter { binary: false, value: Some(Bytes::from_static(b"seven")) },
        Parameter { binary: true, value: Some(Bytes::from_static(&[0, 7])) },
        Parameter { binary: false, value: None },
    ];
    let execution =
        ExecutionEvent { number: 2, statement: 1, portal: Bytes::new(), rows_max: 0, parameters, decision: "hold".into() };
    let text = played(false, [Event::Execution(execution), Event::HoldOpened(hold), Event::HoldAnswered(answered)]);
    for line in [
        "#2 execution of #1: hold",
        "    $1 = seven\n    $2 = \\x0007\n    $3 = NULL\n",
        "#2 held as h7: needs 1 of compliance",
        "hold h7 approved by carol: asked\\u{1b}[2J",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn json_has_one_object_per_entry() {
    let folder = TempDir::new().unwrap();
    let text = played(true, session_events(&whole(&folder)));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["text"], "select ssn, n, d from clinical.patients");
    assert_eq!(lines[2]["rows"], json!([["***-**-1234", "7", null]]));
    assert_eq!(lines[2]["columns"][0], json!({"name": "ssn", "verdict": "masked", "reason": "policy"}));
}

#[test]
fn verify_says_it_in_a_sentence_and_in_its_exit_code() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let args = VerifyArgs { store: None, public_key: None, checkpoint: Vec::new(), json: false };
    assert_eq!(verify(&args, Some(&settings)).unwrap(), ExitCode::SUCCESS);
    assert!(matches!(verify(&args, None), Err(EvidenceError::NoStore)));
    let report = crate::replay::verify(&settings.path, &Evidence::default(), &mut |_, _| {}).unwrap();
    let text = sentences(&report);
    assert!(text.starts_with("log whole: 62 entries, 7 sessions, checkpoint 62 signed 20"), "{text}");
    assert!(text.contains(" by pgveil/"), "{text}");
    let current = settings.path.join("CURRENT");
    std::fs::write(&current, "MANIFEST-999999\n").unwrap();
    assert_eq!(verify(&args, Some(&settings)).unwrap(), ExitCode::from(1));
    let missing = VerifyArgs { store: Some(folder.path().join("nowhere")), ..args };
    assert!(matches!(verify(&missing, None), Err(EvidenceError::Store(StoreError::Absent(_)))));
    let wrong = VerifyArgs { public_key: Some("nonsense".into()), ..missing };
    assert!(matches!(verify(&wrong, None), Err(EvidenceError::PublicKey(_))));
}

#[test]
fn a_session_that_is_not_there_is_a_finding() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let args = |id: &str| ReplayArgs { id: id.into(), json: false, timing: false };
    assert_eq!(replay(&args("ff"), &settings).unwrap(), ExitCode::from(1));
    assert!(matches!(replay(&args("0"), &settings), Err(EvidenceError::Several(_))));
    assert_eq!(replay(&args("03"), &settings).unwrap(), ExitCode::SUCCESS);
    let list = SessionsArgs { identity: None, since: None, until: None, database: None, limit: 5, json: false };
    assert_eq!(sessions(&list, &settings).unwrap(), ExitCode::SUCCESS);
}

#[test]
fn times_are_read_in_three_shapes() {
    assert_eq!(time("1970-01-02"), Ok(86_400_000_000));
    assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000_000));
    assert!(time("1h").unwrap() < time("1m").unwrap());
    for wrong in ["", "h", "yesterday", "5y", "é", "99999999999999999999d", "1960-01-01"] {
        assert!(time(wrong).is_err(), "{wrong}");
    }
    assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
}
