//! Messages that go to the server unread.

use super::*;
use crate::wire::client_tag;

type Out = Vec<Output<Text, u32>>;

/// The beginning of a message that is much longer.
fn head(tag: u8, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(tag);
    bytes.put_u32(100 << 20);
    bytes.put_slice(body);
    bytes.freeze()
}

fn to_server(out: &mut Out) -> Vec<Bytes> {
    let sent = out.drain(..).filter_map(|output| match output {
        Output::ToServer(bytes) => Some(bytes),
        _ => None,
    });
    sent.collect()
}

fn says(flow: &mut Flow<Text, u32>, tag: u8, body: &[u8]) -> Result<(), Violation> {
    flow.server(frame(tag, body), |_, _| Ok(Arc::new(0)), &mut Vec::new())
}

#[test]
fn a_long_message_is_ruled_upon_by_its_beginning() {
    let (mut flow, mut out) = (Flow::<Text, u32>::new(), Out::new());
    let query = head(b'Q', b"select 'xxx");
    assert!(matches!(flow.long(&query).unwrap(), Next::Ask(Asked::Query(asked)) if asked.text == "select 'xxx"));
    flow.forward(Text(1), 1, &mut out);
    assert_eq!(to_server(&mut out), [query]);
    assert!(flow.long(&head(b'Q', b"")).is_err(), "not before the first is answered");
    says(&mut flow, b'C', b"SELECT 0\0").unwrap();
    says(&mut flow, b'Z', b"I").unwrap();

    let parse = head(b'P', b"name\0select 1");
    assert!(matches!(flow.long(&parse).unwrap(), Next::Ask(Asked::Parse(asked)) if asked.name == "name"));
    flow.forward(Text(1), 2, &mut out);
    says(&mut flow, b'1', b"").unwrap();
    let bind = head(b'B', b"portal\0name\0\0\0\0\x01\x06");
    assert!(matches!(flow.long(&bind).unwrap(), Next::Ask(Asked::Bind(asked, Some(Text(1)))) if asked.portal == "portal"));
    flow.forward(Text(2), 2, &mut out);
    assert_eq!(to_server(&mut out), [parse, bind]);
    says(&mut flow, b'2', b"").unwrap();
    let execute = flow.client(frame(b'E', b"portal\0\0\0\0\0"), &mut out).unwrap();
    assert!(matches!(execute, Next::Ask(Asked::Execute(_, Some(Text(2))))));
}

#[test]
fn a_long_message_that_is_refused_or_skipped_does_not_come_out() {
    let (mut flow, mut out) = (Flow::<Text, u32>::new(), Out::new());
    assert!(matches!(flow.long(&head(b'P', b"\0select 1")).unwrap(), Next::Ask(_)));
    flow.refuse(crate::wire::error(&[(b'C', b"54000")]), 1, &mut out);
    assert_eq!(to_server(&mut out), [crate::wire::describe_nothing()]);
    says(&mut flow, b'E', b"SERROR\0C08P01\0\0").unwrap();
    assert!(flow.is_skipping() && flow.is_quiet());
    assert!(matches!(flow.long(&head(b'B', b"\0\0")).unwrap(), Next::Go));
    assert_eq!(to_server(&mut out), Vec::<Bytes>::new());
    for tag in [client_tag::DESCRIBE, client_tag::EXECUTE, client_tag::SYNC, b'y'] {
        assert!(Flow::<Text, u32>::new().long(&head(tag, b"\0\0\0\0\0\0\0")).is_err(), "{}", char::from(tag));
    }
    for (tag, body) in [(b'P', &b"no end of the name"[..]), (b'B', b"portal\0no end"), (b'B', b"")] {
        assert!(Flow::<Text, u32>::new().long(&head(tag, body)).is_err());
    }
}

#[test]
fn a_malformed_message_may_be_the_servers_to_refuse() {
    for tag in [b'P', b'B', b'D', b'E', b'C'] {
        let (mut flow, mut out) = (Flow::<Text, u32>::new(), Out::new());
        let malformed = frame(tag, b"");
        flow.invalid(malformed.clone(), Text(1), 1, &mut out).unwrap();
        assert_eq!(to_server(&mut out), [malformed.into_bytes()]);
        // should the server take it after all, nobody knows what it has taken
        let mut other = Flow::<Text, u32>::new();
        other.invalid(frame(tag, b""), Text(1), 1, &mut out).unwrap();
        assert!(says(&mut other, b'1', b"").is_err() && says(&mut other, b'D', b"\0\0").is_err());
        says(&mut flow, b'E', b"SERROR\0C08P01\0\0").unwrap();
        assert!(flow.is_skipping());
    }
    let (mut flow, mut out) = (Flow::<Text, u32>::new(), Out::new());
    flow.invalid(frame(b'Q', b"no end"), Text(1), 1, &mut out).unwrap();
    says(&mut flow, b'E', b"SERROR\0C08P01\0\0").unwrap();
    says(&mut flow, b'Z', b"I").unwrap();
    assert!(flow.is_quiet() && !flow.is_skipping());
    assert!(flow.invalid(frame(b'F', b""), Text(1), 1, &mut out).is_err());
}
