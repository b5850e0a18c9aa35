//! Random conversations, held against a model of the server: what the client hears through the conversation must be what it
//! would hear from the model itself, and no row may come out with another portal's plan.

mod long;
mod model;
mod place;
mod script;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::wire::Run;
use model::{Text, description, frame, row};
use script::Said;

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => (1u32..60).prop_map(Said::Query),
        4 => (0u8..3, 1u32..60).prop_map(|(statement, text)| Said::Parse(statement, text)),
        4 => (0u8..3, 0u8..3).prop_map(|(portal, statement)| Said::Bind(portal, statement)),
        2 => (any::<bool>(), 0u8..3).prop_map(|(statement, of)| Said::Describe(statement, of)),
        4 => (0u8..3, 0u8..3).prop_map(|(portal, rows)| Said::Execute(portal, rows)),
        1 => (any::<bool>(), 0u8..3).prop_map(|(statement, of)| Said::Close(statement, of)),
        1 => Just(Said::Flush),
        3 => Just(Said::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PGVEIL_FLOW_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_client_hears_what_the_server_would_say(
        script in prop::collection::vec(said(), 0..24),
        turns in prop::collection::vec(0u8..3, 0..200),
    ) {
        model::agree(&script, &turns);
    }
}

#[test]
fn rows_without_a_description_end_the_session() {
    let mut flow: Flow<Text, u32> = Flow::new();
    let mut out = Vec::new();
    let query = frame(b'Q', b"1\0");
    assert!(matches!(flow.client(query, &mut out), Ok(Next::Ask(Asked::Query(_)))));
    flow.forward(Text(1), 1, &mut out);
    let rows = Run { tag: b'D', count: 1, bytes: row(Text(1)).into_bytes() };
    assert_eq!(flow.rows(rows, &mut out), Err(Violation::Undescribed));
}

#[test]
fn messages_out_of_place_end_the_session() {
    for tag in *b"123CDGHTVWntsIdcRKv" {
        let mut flow: Flow<Text, u32> = Flow::new();
        let mut out = Vec::new();
        let result = if matches!(tag, b'D' | b'd') {
            flow.rows(Run { tag, count: 1, bytes: frame(tag, b"").into_bytes() }, &mut out)
        } else {
            flow.server(frame(tag, b"\0"), |_, _| Ok(Arc::new(0)), &mut out)
        };
        assert!(result.is_err(), "{} is taken out of place", char::from(tag));
    }
}
