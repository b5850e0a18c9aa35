use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::ledger::{Event, SessionId};
use crate::policy::HoldTerms;

type Log = Arc<Mutex<Vec<String>>>;

fn desk(holds_max: usize, holds_identity_max: usize) -> (Desk, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let record: Record = Arc::new(move |_, event| {
        let line = match event {
            Event::HoldOpened(opened) => format!("opened {}", opened.number),
            Event::HoldAnswered(answered) => format!("{:?} {}", answered.answer, answered.by).trim().to_owned(),
            other => panic!("{other:?}"),
        };
        kept.lock().unwrap().push(line);
    });
    (Desk::new(Bounds { holds_max, holds_identity_max }, record), log)
}

fn request(identity: &str, approvals: u32) -> HoldRequest {
    HoldRequest {
        identity: identity.to_owned(),
        groups: vec!["agents".to_owned()],
        database: "clinic".to_owned(),
        session: SessionId([7; 16]),
        number: 3,
        text: "delete from t\nwhere true".to_owned(),
        parameters: vec![Shown::Null, Shown::Text("x".repeat(5000)), Shown::Hex("00ff".to_owned())],
        digest: [0xab; 32],
        rules: vec!["mass".to_owned()],
        reasons: vec!["every row".to_owned()],
        terms: HoldTerms { approvers: vec!["compliance".to_owned()], approvals, within_ms: 60_000 },
    }
}

/// A request that waits so many milliseconds.
fn brief(within_ms: u64) -> HoldRequest {
    let mut request = request("agent", 1);
    request.terms.within_ms = within_ms;
    request
}

fn person(name: &str, group: &str) -> Person {
    Person { name: name.to_owned(), groups: vec![group.to_owned()] }
}

#[tokio::test]
async fn another_person_approves() {
    let (desk, log) = desk(9, 9);
    let mut waiting = desk.open(request("agent", 1)).unwrap();
    let id = waiting.id().to_owned();
    assert!(id.starts_with("h-") && id.len() == 8, "{id}");
    let progress = desk.answer(&id, &person("alice", "compliance"), true, "fine").unwrap();
    assert_eq!(progress.state, "approved");
    assert_eq!(waiting.answer().await, Verdict::Approved { by: vec!["alice".to_owned()] });
    assert_eq!(waiting.answer().await, Verdict::Approved { by: vec!["alice".to_owned()] });
    drop(waiting);
    assert_eq!(*log.lock().unwrap(), ["opened 3", "Approved alice"]);
    assert_eq!(desk.waiting(), 0);
}

#[tokio::test]
async fn nobody_approves_their_own() {
    let (desk, log) = desk(9, 9);
    let waiting = desk.open(request("alice", 1)).unwrap();
    assert_eq!(desk.answer(waiting.id(), &person("alice", "compliance"), true, ""), Err(AnswerFault::Own));
    assert_eq!(desk.answer(waiting.id(), &person("alice", "compliance"), false, ""), Err(AnswerFault::Own));
    assert_eq!(log.lock().unwrap().len(), 1, "an answer that does not count leaves no entry");
}

#[tokio::test]
async fn only_approvers_answer_and_strangers_see_nothing() {
    let (desk, _) = desk(9, 9);
    let waiting = desk.open(request("agent", 1)).unwrap();
    let stranger = person("mallory", "agents");
    assert_eq!(desk.answer(waiting.id(), &stranger, true, ""), Err(AnswerFault::NotWaiting));
    assert!(desk.list(&stranger).is_empty() && desk.show(waiting.id(), &stranger).is_none());
    assert_eq!(desk.answer("h-000000", &person("alice", "compliance"), true, ""), Err(AnswerFault::NotWaiting));
    assert_eq!(desk.list(&person("agent", "agents")).len(), 1, "who asks sees that it waits");
}

#[tokio::test]
async fn two_approvals_are_two_people() {
    let (desk, log) = desk(9, 9);
    let mut waiting = desk.open(request("agent", 2)).unwrap();
    let id = waiting.id().to_owned();
    assert_eq!(desk.answer(&id, &person("alice", "compliance"), true, "").unwrap().state, "waiting");
    assert_eq!(desk.answer(&id, &person("alice", "compliance"), true, ""), Err(AnswerFault::Twice));
    assert_eq!(desk.list(&person("bob", "compliance"))[0].approved_by, ["alice"]);
    assert_eq!(desk.answer(&id, &person("bob", "compliance"), true, "").unwrap().state, "approved");
    assert_eq!(waiting.answer().await, Verdict::Approved { by: vec!["alice".to_owned(), "bob".to_owned()] });
    assert_eq!(log.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn one_no_ends_it() {
    let (desk, _) = desk(9, 9);
    let mut waiting = desk.open(request("agent", 2)).unwrap();
    let id = waiting.id().to_owned();
    desk.answer(&id, &person("alice", "compliance"), true, "").unwrap();
    let progress = desk.answer(&id, &person("bob", "compliance"), false, "not today").unwrap();
    assert_eq!(progress.state, "denied");
    let denied = Verdict::Denied { by: "bob".to_owned(), reason: "not today".to_owned() };
    assert_eq!(waiting.answer().await, denied);
    assert_eq!(desk.answer(&id, &person("carol", "compliance"), true, ""), Err(AnswerFault::NotWaiting));
}

#[tokio::test]
async fn silence_is_denial() {
    let (desk, log) = desk(9, 9);
    let before = tokio::time::Instant::now();
    let mut waiting = desk.open(brief(20)).unwrap();
    assert_eq!(waiting.answer().await, Verdict::TimedOut);
    assert!(before.elapsed() >= Duration::from_millis(20));
    drop(waiting);
    assert_eq!(*log.lock().unwrap(), ["opened 3", "TimedOut"]);
}

#[tokio::test]
async fn an_answer_after_the_deadline_does_not_count() {
    let (desk, _) = desk(9, 9);
    let mut waiting = desk.open(brief(0)).unwrap();
    let alice = person("alice", "compliance");
    assert_eq!(desk.answer(waiting.id(), &alice, true, ""), Err(AnswerFault::Expired));
    assert!(desk.list(&alice).is_empty() && desk.show(waiting.id(), &alice).is_none());
    assert_eq!(waiting.answer().await, Verdict::TimedOut);
}

#[tokio::test]
async fn waiting_can_be_interrupted_and_taken_up_again() {
    let (desk, log) = desk(9, 9);
    let mut waiting = desk.open(request("agent", 1)).unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, waiting.answer()).await.is_err());
    desk.answer(waiting.id(), &person("alice", "compliance"), true, "").unwrap();
    assert!(matches!(waiting.answer().await, Verdict::Approved { .. }));
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_goes_withdraws() {
    let (desk, log) = desk(9, 9);
    drop(desk.open(request("agent", 1)).unwrap());
    assert_eq!(desk.waiting(), 0);
    assert_eq!(*log.lock().unwrap(), ["opened 3", "Withdrawn"]);
}

#[tokio::test]
async fn closing_withdraws_all_and_takes_no_more() {
    let (desk, log) = desk(9, 9);
    let mut waiting = desk.open(request("agent", 1)).unwrap();
    desk.close();
    assert_eq!(waiting.answer().await, Verdict::Withdrawn);
    assert_eq!(desk.open(request("agent", 1)).err(), Some(OpenFault::Closed));
    assert_eq!(*log.lock().unwrap(), ["opened 3", "Withdrawn"]);
}

#[tokio::test]
async fn holds_are_bounded() {
    let (desk, _) = desk(3, 2);
    let _kept: Vec<Waiting> = (0..2).map(|_| desk.open(request("agent", 1)).unwrap()).collect();
    assert_eq!(desk.open(request("agent", 1)).err(), Some(OpenFault::FullForIdentity));
    let _third = desk.open(request("other", 1)).unwrap();
    assert_eq!(desk.open(request("third", 1)).err(), Some(OpenFault::Full));
    let long = HoldRequest { text: "x".repeat(HELD_BYTES_MAX), ..request("fourth", 1) };
    let (empty, _) = self::desk(9, 9);
    assert_eq!(empty.open(long).err(), Some(OpenFault::Bytes));
}

#[tokio::test]
async fn what_is_shown_is_whole_but_bounded() {
    let (desk, _) = desk(9, 9);
    let waiting = desk.open(request("agent", 1)).unwrap();
    let detail = desk.show(waiting.id(), &person("alice", "compliance")).unwrap();
    assert_eq!(detail.text, "delete from t\nwhere true");
    assert_eq!(detail.summary.summary, "delete from t where true");
    assert_eq!(detail.digest, "ab".repeat(32));
    let Shown::Text(text) = &detail.parameters[1] else { panic!() };
    assert_eq!(text.len(), PARAMETER_CHARS_MAX + 3);
    assert!((1..=60_000).contains(&detail.summary.left_ms));
}
