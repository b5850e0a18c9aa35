//! Which statement of its text the server is answering.

use super::*;

/// What a statement of a Query makes the server say.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// Nothing but that it is done.
    Done,
    /// So many descriptions, each with rows: more than one where a rule has put queries beside it.
    Rows(usize),
    Copy,
    Fail,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => Just(Said::Done),
        4 => (1..3_usize).prop_map(Said::Rows),
        1 => Just(Said::Copy),
        1 => Just(Said::Fail),
    ]
}

struct Talk {
    flow: Flow<Text, u32>,
    out: Vec<Output<Text, u32>>,
}

impl Talk {
    fn says(&mut self, tag: u8, body: &[u8]) {
        self.flow.server(frame(tag, body), |_, _| Ok(Arc::new(0)), &mut self.out).unwrap();
    }

    fn describes(&mut self) -> Option<usize> {
        let place = self.flow.place();
        self.flow.server(description(Text(1)), |_, _| Ok(Arc::new(0)), &mut self.out).unwrap();
        place
    }

    /// The places of the descriptions of one statement; none if it fails.
    fn answer(&mut self, said: Said) -> Option<Vec<Option<usize>>> {
        let mut places = Vec::new();
        match said {
            Said::Done => {}
            Said::Rows(count) => places.extend((0..count).map(|_| self.describes())),
            Said::Copy => {
                self.says(b'H', &[0, 0, 0]);
                self.says(b'c', b"");
            }
            Said::Fail => {
                self.says(b'E', b"SERROR\0C22000\0Mmodel\0\0");
                return None;
            }
        }
        self.says(b'C', b"DONE\0");
        Some(places)
    }
}

proptest! {
    #[test]
    fn a_description_is_of_the_statement_that_is_answered(queries in prop::collection::vec(prop::collection::vec(said(), 0..6), 1..5)) {
        let mut talk = Talk { flow: Flow::new(), out: Vec::new() };
        for (query, number) in queries.iter().zip(1..) {
            prop_assert!(matches!(talk.flow.client(frame(b'Q', b"1\0"), &mut talk.out), Ok(Next::Ask(Asked::Query(_)))));
            talk.flow.forward(Text(1), number, &mut talk.out);
            if query.is_empty() {
                talk.says(b'I', b"");
            }
            for (statement, said) in query.iter().enumerate() {
                let Some(places) = talk.answer(*said) else { break };
                for (nth, place) in places.iter().enumerate() {
                    prop_assert_eq!(*place, (nth == 0).then_some(statement));
                }
            }
            talk.says(b'Z', b"I");
        }
    }
}

#[test]
fn a_portal_has_one_statement() {
    let mut talk = Talk { flow: Flow::new(), out: Vec::new() };
    let parse = frame(b'P', b"\x001\0\0\0");
    assert!(matches!(talk.flow.client(parse, &mut talk.out), Ok(Next::Ask(_))));
    talk.flow.forward(Text(1), 1, &mut talk.out);
    let bind = frame(b'B', b"\0\0\0\0\0\0\0\0");
    assert!(matches!(talk.flow.client(bind, &mut talk.out), Ok(Next::Ask(_))));
    talk.flow.forward(Text(1), 2, &mut talk.out);
    talk.says(b'1', b"");
    talk.says(b'2', b"");
    assert_eq!(talk.describes(), Some(0));
}
