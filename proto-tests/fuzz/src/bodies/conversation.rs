//! The conversation: honest ones against the room's own model of a server, and any frames of both sides in any order.

#[path = "../../../../src/flow/tests/model.rs"]
mod model;
#[path = "../../../../src/flow/tests/script.rs"]
mod script;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pgveil::flow::{Asked, Flow, Next, Output, Ruling, ToClient, Violation};
use pgveil::wire::{self, Frame, HEADER_BYTES, Parse, Query, Run};

use super::input::Input;
use script::Said;

const STEPS_MAX: usize = 200;
/// Frames that servers send, with bodies that can be read.
const SERVER: [(u8, &[u8]); 21] = [
    (b'1', b""),
    (b'2', b""),
    (b'3', b""),
    (b'C', b"SELECT 1\0"),
    (b'E', b"SERROR\0C22000\0Mmodel\0\0"),
    (b'G', b"\0\0\0"),
    (b'H', b"\0\0\0"),
    (b'I', b""),
    (b'N', b"SNOTICE\0C00000\0Mmodel\0\0"),
    (b'S', b"name\0value\0"),
    (b'T', b"\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"),
    (b'V', b"\xff\xff\xff\xff"),
    (b'Z', b"I"),
    (b'Z', b"T"),
    (b'Z', b"E"),
    (b'c', b""),
    (b'n', b""),
    (b's', b""),
    (b't', b"\0\0"),
    (b'A', b"\0\0\0\x01channel\0payload\0"),
    (b'E', b"SERROR\0C42601\0P3\0Mmodel\0\0"),
];

/// A script, or a scuffle.
pub fn flow(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { script(&mut input) } else { scuffle(&mut input) }
}

/// What a client hears through the conversation is what it would hear without.
fn script(input: &mut Input<'_>) {
    let mut said = Vec::new();
    for _ in 0..input.below(24) {
        let (kind, of, other) = (input.below(8), input.byte() % 3, input.byte());
        said.push(match kind {
            0 => Said::Query(1 + u32::from(other) % 59),
            1 => Said::Parse(of, 1 + u32::from(other) % 59),
            2 => Said::Bind(of, other % 3),
            3 => Said::Describe(other % 2 == 1, of),
            4 => Said::Execute(of, other % 3),
            5 => Said::Close(other % 2 == 1, of),
            6 => Said::Flush,
            _ => Said::Sync,
        });
    }
    let turns: Vec<u8> = input.rest().iter().map(|turn| turn % 3).collect();
    model::agree(&said, &turns);
}

/// What is decided about a text is told by its first byte.
#[derive(Debug, Clone, PartialEq)]
struct Decided(Bytes);

impl Decided {
    fn first(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    fn refused(&self) -> bool {
        self.first() % 4 == 3
    }
}

impl Ruling for Decided {
    fn veiled(&self) -> bool {
        self.first().is_multiple_of(2)
    }

    fn bars(&self) -> bool {
        self.first() & 8 != 0
    }

    fn only_reads(&self) -> bool {
        self.first() & 24 == 24
    }

    fn renames(&self, name: &[u8]) -> bool {
        self.first() & 32 != 0 && name.len().is_multiple_of(2)
    }

    fn copied(&self) -> Option<Bytes> {
        (self.first() & 192 == 192 && self.veiled()).then(|| self.0.slice(1..))
    }
}

/// A plan holds the text that it was made for.
type Plan = Bytes;

struct Sides {
    flow: Flow<Decided, Plan>,
    number: u64,
    /// What each number was given for, if it was let through.
    forwarded: HashMap<u64, Decided>,
    /// Texts that were let through, and queries of copies that were.
    texts: Vec<Bytes>,
    /// Texts that were refused, and may be parsed.
    parsed: Vec<Bytes>,
    /// Malformed messages that were let through.
    broken: Vec<Bytes>,
    held: Option<Frame>,
}

/// Frames of both sides, neither of which keeps to the protocol.
fn scuffle(input: &mut Input<'_>) {
    let mut sides = Sides {
        flow: Flow::new(),
        number: 0,
        forwarded: HashMap::new(),
        texts: Vec::new(),
        parsed: Vec::new(),
        broken: Vec::new(),
        held: None,
    };
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let mut out = Vec::new();
        let done = if input.flag() { sides.client(input, &mut out) } else { sides.server(input, &mut out) };
        sides.look(out);
        if done.is_err() {
            return;
        }
    }
}

impl Sides {
    fn client(&mut self, input: &mut Input<'_>, out: &mut Vec<Output<Decided, Plan>>) -> Result<(), Violation> {
        let frame = match self.held.take() {
            Some(frame) if self.flow.is_quiet() || self.flow.is_copying_in() => frame,
            Some(frame) => {
                self.held = Some(frame);
                return Ok(());
            }
            None => frame(*input.one_of(b"QPBEDCSHFdcfX!"), input),
        };
        if self.flow.is_quiet() && !self.flow.is_copying_in() && input.below(8) == 0 {
            return self.long(&frame, input, out);
        }
        match self.flow.client(frame.clone(), out) {
            Ok(Next::Go | Next::Terminate) => {}
            Ok(Next::Quiet(frame)) => self.held = Some(frame),
            Ok(Next::Ask(asked)) => self.rule(asked, input, out),
            Err(Violation::Client(_)) if input.flag() => {
                // The server may say itself what is wrong with it.
                self.number += 1;
                let ruling = Decided(Bytes::from_static(b"\0"));
                self.forwarded.insert(self.number, ruling.clone());
                self.broken.push(frame.bytes().clone());
                self.flow.invalid(frame, ruling, self.number, out)?;
            }
            Err(violation) => return Err(violation),
        }
        Ok(())
    }

    /// A message of which only the beginning is there.
    fn long(&mut self, frame: &Frame, input: &mut Input<'_>, out: &mut Vec<Output<Decided, Plan>>) -> Result<(), Violation> {
        let bytes = frame.bytes();
        let head = bytes.slice(..bytes.len().saturating_sub(1 + input.below(4)).max(HEADER_BYTES));
        if let Next::Ask(asked) = self.flow.long(&head)? {
            self.rule(asked, input, out);
        }
        Ok(())
    }

    fn rule(&mut self, asked: Asked<Decided>, input: &mut Input<'_>, out: &mut Vec<Output<Decided, Plan>>) {
        self.number += 1;
        let (ruling, text) = match asked {
            Asked::Query(query) => (Decided(query.text.clone()), Some(query.text)),
            Asked::Parse(parse) => (Decided(parse.text.clone()), Some(parse.text)),
            Asked::Bind(_, known) | Asked::Execute(_, known) => (known.unwrap_or(Decided(Bytes::from_static(b"\0"))), None),
            Asked::FunctionCall => (Decided(Bytes::from_static(b"\x03")), None),
        };
        let fault = wire::error(&[(b'S', b"ERROR"), (b'C', b"42501"), (b'M', b"refused")]);
        if !ruling.refused() {
            self.forwarded.insert(self.number, ruling.clone());
            self.texts.extend(text);
            self.texts.extend(ruling.copied());
            return self.flow.forward(ruling, self.number, out);
        }
        if input.flag() {
            // It could not be read: the server may parse it, which runs nothing.
            self.parsed.extend(text);
            return self.flow.refuse_unread(fault, self.number, out);
        }
        self.flow.refuse(fault, self.number, out);
    }

    fn server(&mut self, input: &mut Input<'_>, out: &mut Vec<Output<Decided, Plan>>) -> Result<(), Violation> {
        match input.below(SERVER.len() + 3) {
            at if at < SERVER.len() => {
                let (tag, body) = SERVER[at];
                let plan = |_: &Frame, ruling: &Decided| Ok(Arc::new(ruling.0.clone()));
                self.flow.server(message(tag, body), plan, out)
            }
            at if at == SERVER.len() => {
                let tag = *input.one_of(b"Dd");
                self.flow.rows(Run { tag, count: 1, bytes: message(tag, b"\0\0").into_bytes() }, out)
            }
            at if at == SERVER.len() + 1 => {
                if self.flow.ruling().is_some_and(Ruling::bars) {
                    self.flow.deny(wire::error(&[(b'S', b"ERROR"), (b'C', b"42501"), (b'M', b"denied")]), out);
                }
                Ok(())
            }
            _ => self.flow.server(frame(input.byte(), input), |_, ruling| Ok(Arc::new(ruling.0.clone())), out),
        }
    }

    /// Looks at all that comes out.
    fn look(&mut self, out: Vec<Output<Decided, Plan>>) {
        for output in out {
            match output {
                Output::ToServer(bytes) => self.outward(&bytes),
                Output::ToClient { ruling, what: ToClient::Rows(_, plan) | ToClient::RowPart(_, plan), .. } => {
                    let ruling = ruling.expect("rows belong to a statement");
                    assert!(!ruling.refused(), "rows of a statement that was refused");
                    match plan {
                        Some(plan) => assert_eq!(plan.as_ref(), &ruling.0, "rows with the plan of another statement"),
                        None => assert!(!ruling.veiled(), "veiled rows without a plan"),
                    }
                }
                Output::End { number, ruling: Some(ruling), .. } => {
                    assert_eq!(self.forwarded.get(&number), Some(&ruling), "an end of something else");
                }
                Output::ToClient { .. } | Output::End { .. } | Output::Ready(_) => {}
            }
        }
    }

    /// A frame for the server: its text has been let through.
    fn outward(&self, bytes: &Bytes) {
        if self.broken.contains(bytes) {
            return;
        }
        let Ok(frame) = Frame::new(bytes.clone()) else { return self.outward_beginning(bytes) };
        // In COPY IN a frame that does not belong there goes out without its content.
        let text = match frame.tag() {
            b'Q' | b'P' if frame.body().is_empty() => return,
            b'Q' => Query::read(&frame).expect("a Query that can be read").text,
            b'P' => Parse::read(&frame).expect("a Parse that can be read").text,
            _ => return,
        };
        let parsed = frame.tag() == b'P' && self.parsed.contains(&text);
        assert!(parsed || self.texts.contains(&text), "a text goes out that nobody has let through");
    }

    /// The beginning of a long message for the server.
    fn outward_beginning(&self, bytes: &Bytes) {
        let text = match bytes.first() {
            Some(b'Q') => Query::begun(bytes).expect("a Query that can be read").text,
            Some(b'P') => Parse::begun(bytes).expect("a Parse that can be read").text,
            _ => return,
        };
        assert!(self.texts.contains(&text), "the beginning of a text goes out that nobody has let through");
    }
}

/// A frame of a client, or of nobody, its body by the input.
fn frame(tag: u8, input: &mut Input<'_>) -> Frame {
    let name = |input: &mut Input<'_>| *input.one_of(&[&b"\0"[..], b"a\0", b"bb\0"]);
    let body = match tag {
        b'Q' => [&[input.byte().max(1)], &b"text\0"[..]].concat(),
        b'P' => [name(input), &[input.byte().max(1)], b"text\0\0\0"].concat(),
        b'B' => [name(input), name(input), &[0; 6]].concat(),
        b'E' => [name(input), &[0, 0, 0, input.byte() % 3]].concat(),
        b'D' | b'C' => [&[*input.one_of(b"SPx")], name(input)].concat(),
        b'S' | b'H' | b'c' | b'X' => Vec::new(),
        _ => input.bytes().to_vec(),
    };
    message(tag, &body)
}

fn message(tag: u8, body: &[u8]) -> Frame {
    let length = u32::try_from(body.len() + 4).expect("a short body").to_be_bytes();
    Frame::new(Bytes::from([&[tag], &length[..], body].concat())).expect("a frame")
}
