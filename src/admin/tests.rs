use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::approval::{Bounds, Desk, HoldRequest, Person, Verdict, Waiting};
use crate::ledger::SessionId;
use crate::policy::HoldTerms;
use crate::secret::Secret;

async fn start() -> (SocketAddr, Desk) {
    let desk = Desk::new(Bounds { holds_max: 9, holds_identity_max: 9 }, Arc::new(|_, _| ()));
    let check = |name: &str, password: &Secret| {
        let group = match name {
            "alice" | "bob" => "compliance",
            "agent" => "agents",
            _ => return None,
        };
        let person = Person { name: name.to_owned(), groups: vec![group.to_owned()] };
        (password.reveal() == b"pass:word").then_some(person)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let admin = Admin::new(desk.clone(), Arc::new(check));
    tokio::spawn(serve(listener, router(admin), std::future::pending()));
    (address, desk)
}

fn hold(desk: &Desk) -> Waiting {
    let request = HoldRequest {
        identity: "agent".to_owned(),
        groups: vec!["agents".to_owned()],
        database: "clinic".to_owned(),
        session: SessionId([1; 16]),
        number: 1,
        text: "delete from t".to_owned(),
        parameters: Vec::new(),
        digest: [0; 32],
        rules: vec!["mass".to_owned()],
        reasons: Vec::new(),
        terms: HoldTerms { approvers: vec!["compliance".to_owned()], approvals: 1, within_ms: 60_000 },
    };
    desk.open(request).unwrap()
}

/// One request, and the status and body of its answer.
async fn ask(address: SocketAddr, request: &str, login: Option<(&str, &str)>, body: &str) -> (u16, Value) {
    let login =
        login.map(|(name, password)| format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}"))));
    let text = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        login.unwrap_or_default(),
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
}

const ALICE: Option<(&str, &str)> = Some(("alice", "pass:word"));
const AGENT: Option<(&str, &str)> = Some(("agent", "pass:word"));

#[tokio::test(flavor = "multi_thread")]
async fn holds_need_a_login() {
    let (address, _) = start().await;
    for request in ["GET /holds", "GET /holds/h-1", "POST /holds/h-1/approve", "POST /holds/h-1/deny"] {
        let (status, body) = ask(address, request, None, "{}").await;
        assert_eq!(status, 401, "{request}");
        assert!(body["error"].is_string());
    }
    assert_eq!(ask(address, "GET /holds", Some(("alice", "wrong")), "").await.0, 401);
    assert_eq!(ask(address, "GET /nothing", ALICE, "").await.0, 404);
    assert_eq!(ask(address, "DELETE /holds", ALICE, "").await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_listed_shown_and_approved() {
    let (address, desk) = start().await;
    let mut waiting = hold(&desk);
    let id = waiting.id().to_owned();
    let (_, list) = ask(address, "GET /holds", ALICE, "").await;
    assert_eq!(list["holds"][0]["id"], id);
    let (_, detail) = ask(address, &format!("GET /holds/{id}"), ALICE, "").await;
    assert_eq!((&detail["text"], &detail["identity"]), (&"delete from t".into(), &"agent".into()));
    let own = ask(address, &format!("POST /holds/{id}/approve"), AGENT, "{}").await;
    assert_eq!(own.0, 403, "{own:?}");
    let done = ask(address, &format!("POST /holds/{id}/approve"), ALICE, "{\"reason\":\"fine\"}").await;
    assert_eq!((done.0, &done.1["state"]), (200, &"approved".into()));
    assert_eq!(waiting.answer().await, Verdict::Approved { by: vec!["alice".to_owned()] });
    assert_eq!(ask(address, &format!("POST /holds/{id}/deny"), ALICE, "{}").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_and_checked() {
    let (address, desk) = start().await;
    let waiting = hold(&desk);
    let path = format!("POST /holds/{}/deny", waiting.id());
    for body in ["", "3", "{\"reason\": 1}", "{\"other\": \"\"}"] {
        let (status, answer) = ask(address, &path, ALICE, body).await;
        assert!((400..500).contains(&status), "{body}");
        assert!(answer["error"].is_string());
    }
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    assert_eq!(ask(address, &path, ALICE, &long).await.0, 413);
    assert_eq!(desk.waiting(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_tried_forever() {
    let (address, _) = start().await;
    for _ in 0..FAILURES_MAX {
        assert_eq!(ask(address, "GET /holds", Some(("bob", "guess")), "").await.0, 401);
    }
    assert_eq!(ask(address, "GET /holds", Some(("bob", "pass:word")), "").await.0, 429);
    assert_eq!(ask(address, "GET /holds", ALICE, "").await.0, 200);
}
