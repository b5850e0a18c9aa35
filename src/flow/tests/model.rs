//! A server that knows just the order of messages, and a conversation held with it, through `Flow` and without.
//!
//! The fuzz target of this room includes this file as well.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::script::{Said, frames};
use crate::flow::{Asked, Flow, Next, Output, Ruling, ToClient};
use crate::wire::{Frame, RowDescription, Run};

/// A text's number says what it does: every fifth is refused, some are denied amid their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text(pub(super) u32);

impl Text {
    pub(super) fn refused(self) -> bool {
        self.0.is_multiple_of(5)
    }

    /// Refused because it could not be read: the server may parse it, but not run it.
    pub(super) fn unread(self) -> bool {
        self.0.is_multiple_of(10)
    }

    /// How many rows are sent before it is denied.
    pub(super) fn denied_after(self) -> Option<u32> {
        match self.what() {
            "rows" if self.0 % 3 == 1 => Some(1),
            "copy-out" if self.0 % 3 == 1 => Some(0),
            _ => None,
        }
    }

    /// Whether the server is cancelled before it has said everything of what is denied.
    pub(super) fn cancelled(self) -> bool {
        self.0.is_multiple_of(2)
    }

    pub(super) fn what(self) -> &'static str {
        match self.0 % 11 {
            3 => "fail",
            4 => "empty",
            5 => "begin",
            6 => "commit",
            7 => "copy-out",
            8 => "copy-in",
            _ => "rows",
        }
    }
}

impl Ruling for Text {
    fn veiled(&self) -> bool {
        self.0 % 2 == 1
    }

    fn bars(&self) -> bool {
        self.what() == "copy-in" || self.denied_after().is_some()
    }

    fn only_reads(&self) -> bool {
        self.denied_after().is_some() && !self.0.is_multiple_of(4)
    }

    fn renames(&self, _: &[u8]) -> bool {
        false
    }

    /// Every other COPY OUT copies the rows of another text.
    fn copied(&self) -> Option<Bytes> {
        (self.what() == "copy-out" && self.veiled()).then(|| Bytes::from(COPIED.to_string()))
    }
}

pub(super) fn frame(tag: u8, body: &[u8]) -> Frame {
    let mut bytes = BytesMut::new();
    bytes.put_u8(tag);
    bytes.put_u32(u32::try_from(body.len() + 4).unwrap());
    bytes.put_slice(body);
    Frame::new(bytes.freeze()).unwrap()
}

pub(super) fn description(text: Text) -> Frame {
    let mut body = BytesMut::new();
    body.put_u16(1);
    body.put_slice(format!("{}\0", text.0).as_bytes());
    body.put_u32(0);
    body.put_u16(0);
    body.put_u32(25);
    body.put_i16(-1);
    body.put_i32(-1);
    body.put_u16(0);
    frame(b'T', &body)
}

pub(super) fn row(text: Text) -> Frame {
    let value = text.0.to_string();
    let mut body = BytesMut::new();
    body.put_u16(1);
    body.put_u32(u32::try_from(value.len()).unwrap());
    body.put_slice(value.as_bytes());
    frame(b'D', &body)
}

/// A server that knows just the order of messages. With `refuses` it refuses and denies what the proxy would.
#[derive(Default)]
struct Model {
    refuses: bool,
    statements: HashMap<Vec<u8>, Text>,
    portals: HashMap<Vec<u8>, (Text, u32)>,
    skipping: bool,
    copying: Option<bool>,
    block: Option<bool>,
    out: VecDeque<Frame>,
    heard: Vec<Text>,
}

const ROWS: u32 = 3;
/// The text whose rows are copied.
const COPIED: u32 = 12;

impl Model {
    fn say(&mut self, tag: u8, body: &[u8]) {
        self.out.push_back(frame(tag, body));
    }

    fn fail(&mut self, extended: bool) {
        self.say(b'E', b"SERROR\0C22000\0Mmodel\0\0");
        self.block = self.block.map(|_| false);
        self.copying = None;
        if extended {
            self.skipping = true;
        } else {
            self.ready();
        }
    }

    fn ready(&mut self) {
        let status = match self.block {
            None => b'I',
            Some(true) => b'T',
            Some(false) => b'E',
        };
        if self.block.is_none() {
            self.portals.clear();
        }
        self.say(b'Z', &[status]);
    }

    fn run(&mut self, text: Text, left: u32, rows_max: u32, extended: bool) -> Option<u32> {
        if self.block == Some(false) && text.what() != "commit" {
            self.fail(extended);
            return None;
        }
        if !extended && text.what() == "rows" {
            self.out.push_back(description(text));
        }
        match text.what() {
            "fail" => {
                self.fail(extended);
                return None;
            }
            "empty" => self.say(b'I', b""),
            "begin" => {
                self.block = self.block.or(Some(true));
                self.say(b'C', b"BEGIN\0");
            }
            "commit" => {
                self.block = None;
                self.say(b'C', b"COMMIT\0");
            }
            "copy-out" => {
                self.say(b'H', &[0, 0, 0]);
                if self.refuses && text.denied_after().is_some() {
                    self.fail(extended);
                    return None;
                }
                self.say(b'd', b"line");
                self.say(b'c', b"");
                self.say(b'C', b"COPY 1\0");
            }
            "copy-in" => {
                self.say(b'G', &[0, 0, 0]);
                self.copying = Some(extended);
                return None;
            }
            _ => {
                let sent = if rows_max == 0 { left } else { left.min(rows_max) };
                let allowed = text.denied_after().filter(|_| self.refuses).map_or(ROWS, |rows| rows.saturating_sub(ROWS - left));
                for _ in 0..sent.min(allowed) {
                    self.out.push_back(row(text));
                }
                if sent > allowed {
                    self.fail(extended);
                    return None;
                }
                if rows_max != 0 && sent == rows_max {
                    self.say(b's', b"");
                    return Some(left - sent);
                }
                self.say(b'C', b"SELECT\0");
                return Some(0);
            }
        }
        Some(0)
    }

    fn hear(&mut self, message: &Frame) {
        if let Some(extended) = self.copying {
            match message.tag() {
                b'c' => {
                    self.copying = None;
                    self.say(b'C', b"COPY 1\0");
                    if !extended {
                        self.ready();
                    }
                }
                b'f' => self.fail(extended),
                b'd' | b'H' | b'S' => {}
                other => panic!("the server hears {other} in COPY IN"),
            }
            return;
        }
        match message.tag() {
            b'S' => {
                self.skipping = false;
                self.ready();
            }
            b'd' | b'c' | b'f' | b'H' => {}
            _ if self.skipping => {}
            b'Q' => self.query(&Query::read(message)),
            b'P' => self.parse(message),
            b'B' => self.bind(message),
            b'D' => self.describe(message),
            b'E' => self.execute(message),
            b'C' => {
                if let crate::wire::Target::Statement(name) = crate::wire::Close::read(message).unwrap().target {
                    self.statements.remove(&name.to_vec());
                } else if let crate::wire::Target::Portal(name) = crate::wire::Close::read(message).unwrap().target {
                    self.portals.remove(&name.to_vec());
                }
                self.say(b'3', b"");
            }
            other => panic!("the server hears {other}"),
        }
    }

    /// A CancelRequest, of which nothing is to be heard once the statement has ended.
    fn cancel(&mut self, extended: bool) {
        if !self.out.is_empty() {
            let synced = self.out.iter().any(|message| message.tag() == b'Z');
            self.out.clear();
            self.fail(extended && !synced);
        }
    }

    fn query(&mut self, text: &Text) {
        self.heard.push(*text);
        // A refused Query does not reach the server: it leaves the unnamed statement and portal as they are.
        if self.refuses && text.refused() {
            if text.unread() {
                self.statements.remove(b"".as_slice());
            }
            return self.fail(false);
        }
        self.statements.remove(b"".as_slice());
        self.portals.remove(b"".as_slice());
        if self.run(*text, ROWS, 0, false).is_some() {
            self.ready();
        }
    }

    fn parse(&mut self, message: &Frame) {
        let parse = crate::wire::Parse::read(message).unwrap();
        let text = number(&parse.text);
        if !text.unread() {
            self.heard.push(text);
        }
        let taken = !parse.name.is_empty() && self.statements.contains_key(&parse.name.to_vec());
        if taken || (self.refuses && text.refused()) {
            if text.unread() && parse.name.is_empty() {
                self.statements.remove(b"".as_slice());
            }
            return self.fail(true);
        }
        self.statements.insert(parse.name.to_vec(), text);
        self.say(b'1', b"");
    }

    fn bind(&mut self, message: &Frame) {
        let bind = crate::wire::Bind::read(message).unwrap();
        let Some(text) = self.statements.get(&bind.statement.to_vec()).copied() else { return self.fail(true) };
        let taken = !bind.portal.is_empty() && self.portals.contains_key(&bind.portal.to_vec());
        if taken || (self.block == Some(false) && text.what() != "commit") {
            return self.fail(true);
        }
        self.portals.insert(bind.portal.to_vec(), (text, ROWS));
        self.say(b'2', b"");
    }

    fn describe(&mut self, message: &Frame) {
        let text = match crate::wire::Describe::read(message).unwrap().target {
            crate::wire::Target::Statement(name) => {
                let found = self.statements.get(&name.to_vec()).copied();
                if found.is_some() {
                    self.say(b't', &[0, 0]);
                }
                found
            }
            crate::wire::Target::Portal(name) => self.portals.get(&name.to_vec()).map(|(text, _)| *text),
            crate::wire::Target::Invalid(_) => None,
        };
        match text {
            None => self.fail(true),
            Some(text) if text.what() == "rows" => self.out.push_back(description(text)),
            Some(_) => self.say(b'n', b""),
        }
    }

    fn execute(&mut self, message: &Frame) {
        let execute = crate::wire::Execute::read(message).unwrap();
        let name = execute.portal.to_vec();
        let Some((text, left)) = self.portals.get(&name).copied() else { return self.fail(true) };
        self.heard.push(text);
        if let Some(left) = self.run(text, left, u32::try_from(execute.rows_max).unwrap(), true) {
            self.portals.insert(name, (text, left));
        }
    }
}

struct Query;
impl Query {
    fn read(message: &Frame) -> Text {
        number(&crate::wire::Query::read(message).unwrap().text)
    }
}

fn number(text: &Bytes) -> Text {
    Text(std::str::from_utf8(text).unwrap().parse().unwrap())
}

/// What a client hears: type, and for rows and refusals what they hold.
type Heard = Vec<(u8, Vec<u8>)>;

fn direct(client: &[Frame]) -> Heard {
    let mut model = Model { refuses: true, ..Model::default() };
    client.iter().for_each(|message| model.hear(message));
    model.out.iter().map(|message| (message.tag(), message.body().to_vec())).collect()
}

const FAULT: &[u8] = b"E\0\0\0\x1dSERROR\0C22000\0Mmodel\0\0";

struct Proxied {
    flow: Flow<Text, u32>,
    model: Model,
    to_server: VecDeque<Frame>,
    heard: Heard,
    numbers: HashMap<u64, Text>,
    next: u64,
    /// Rows that each portal, or a Query, has sent under a ruling that denies.
    sent: HashMap<u64, u32>,
    /// How the statement that is being answered was asked for: its number, its counter, and whether by Execute.
    running: HashMap<u64, (u64, bool)>,
    /// The counter of each portal.
    bound: HashMap<Vec<u8>, u64>,
}

impl Proxied {
    fn drain(&mut self, out: &mut Vec<Output<Text, u32>>) {
        for output in out.drain(..) {
            match output {
                Output::ToServer(bytes) => self.to_server.push_back(Frame::new(bytes).unwrap()),
                Output::ToClient { ruling, what, .. } => self.show(ruling, what),
                Output::End { number, ruling: Some(ruling), .. } => assert_eq!(self.numbers.get(&number), Some(&ruling)),
                Output::End { .. } | Output::Ready(_) => {}
            }
        }
    }

    fn show(&mut self, ruling: Option<Text>, what: ToClient<u32>) {
        match what {
            ToClient::CopyBegins(message, plan) => {
                let wanted = ruling.unwrap().copied().map(|_| COPIED);
                assert_eq!(plan.as_deref().copied(), wanted, "a copy begins with another plan");
                let masked = crate::mask::message(message, crate::mask::Exposure::Clear).into_inner();
                self.heard.push((b'H', masked[5..].to_vec()));
            }
            ToClient::Message(message) | ToClient::CopyEnds(message) => {
                let masked = crate::mask::message(message, crate::mask::Exposure::Clear);
                let message = Frame::new(masked.into_inner()).unwrap();
                self.heard.push((message.tag(), message.body().to_vec()));
            }
            ToClient::Rows(run, plan) => {
                let masked = crate::mask::RowPlan::clear().rows(run, &mut BytesMut::new()).unwrap();
                let run = Run { tag: b'D', count: 1, bytes: masked.into_inner() };
                for body in run.bodies() {
                    let text = number(&Bytes::copy_from_slice(&body[6..]));
                    assert_eq!(ruling, Some(text), "a row is shown under another statement's ruling");
                    assert_eq!(plan.as_deref().copied(), text.veiled().then_some(text.0), "a row is shown with another plan");
                    self.heard.push((b'D', body.to_vec()));
                }
            }
            ToClient::Copy(run) => {
                let masked = crate::mask::copy(run, crate::mask::Exposure::Clear).unwrap();
                self.heard.push((b'd', masked.get()[5..].to_vec()));
            }
            ToClient::Own(bytes) => self.heard.push((b'E', bytes[5..].to_vec())),
            ToClient::RowPart(..) | ToClient::CopyPart(_) => panic!("nothing here is long"),
        }
    }

    fn client(&mut self, message: Frame) -> Option<Frame> {
        let mut out = Vec::new();
        let next = self.flow.client(message, &mut out).unwrap();
        let held = match next {
            Next::Go => None,
            Next::Quiet(message) => Some(message),
            Next::Terminate => panic!("nobody said goodbye"),
            Next::Ask(asked) => {
                self.next += 1;
                self.answer(asked, &mut out);
                None
            }
        };
        self.drain(&mut out);
        held
    }

    fn answer(&mut self, asked: Asked<Text>, out: &mut Vec<Output<Text, u32>>) {
        let fault = Bytes::from_static(FAULT);
        let next = self.next;
        match &asked {
            Asked::Query(_) => {
                self.running.insert(next, (next, false));
            }
            Asked::Bind(bind, _) => {
                self.bound.insert(bind.portal.to_vec(), next);
            }
            Asked::Execute(execute, _) => {
                let counter = self.bound.get(&execute.portal.to_vec()).copied().unwrap_or(next);
                self.running.insert(next, (counter, true));
            }
            Asked::Parse(_) | Asked::FunctionCall => {}
        }
        let text = match asked {
            Asked::Query(query) => number(&query.text),
            Asked::Parse(parse) => number(&parse.text),
            // A name that is not known: the server will say so.
            Asked::Bind(_, known) | Asked::Execute(_, known) => known.unwrap_or(Text(1)),
            Asked::FunctionCall => panic!("nobody calls functions"),
        };
        self.numbers.insert(self.next, text);
        if text.refused() {
            // A text that could not be read is parsed by the server first, to the same end.
            if text.unread() {
                self.flow.refuse_unread(fault, self.next, out);
            } else {
                self.flow.refuse(fault, self.next, out);
            }
        } else {
            self.flow.forward(text, self.next, out);
        }
    }

    fn server(&mut self, message: Frame) {
        let mut out = Vec::new();
        if matches!(message.tag(), b'D' | b'd') {
            self.count(&mut out);
            let run = Run { tag: message.tag(), count: 1, bytes: message.into_bytes() };
            self.flow.rows(run, &mut out).unwrap();
        } else {
            let plan = |frame: &Frame, ruling: &Text| {
                let name = RowDescription::read(frame).unwrap().columns[0].name.clone();
                let meant = if ruling.copied().is_some() { Text(COPIED) } else { *ruling };
                assert_eq!(number(&name), meant, "a description meets another statement's ruling");
                Ok(Arc::new(number(&name).0))
            };
            self.flow.server(message, plan, &mut out).unwrap();
        }
        self.drain(&mut out);
    }
}

impl Proxied {
    /// A row has come: one too many is denied.
    fn count(&mut self, out: &mut Vec<Output<Text, u32>>) {
        let Some((counter, extended)) = self.running.get(&self.flow.answering()).copied() else { return };
        let Some(text) = self.flow.ruling().copied() else { return };
        let sent = self.sent.entry(counter).or_default();
        *sent += 1;
        if text.denied_after().is_some_and(|rows| *sent == rows + 1) {
            if text.cancelled() {
                self.model.cancel(extended);
            }
            self.flow.deny(Bytes::from_static(FAULT), out);
        }
    }
}

/// Plays a script through the conversation; `turns` says who moves.
fn proxied(client: &[Frame], turns: &[u8]) -> (Heard, Vec<Text>) {
    let mut sides = Proxied {
        flow: Flow::new(),
        model: Model::default(),
        to_server: VecDeque::new(),
        heard: Vec::new(),
        numbers: HashMap::new(),
        next: 0,
        sent: HashMap::new(),
        running: HashMap::new(),
        bound: HashMap::new(),
    };
    let mut client: VecDeque<Frame> = client.iter().cloned().collect();
    let mut held: Option<Frame> = None;
    let mut idle = 0;
    for turn in turns.iter().copied().chain((0..).map(|n: u64| u8::try_from(n % 3).unwrap())) {
        let moved = match turn % 3 {
            0 => {
                let may = held.is_none() || sides.flow.is_quiet() || sides.flow.is_copying_in();
                match if may { held.take().or_else(|| client.pop_front()) } else { None } {
                    Some(message) => {
                        held = sides.client(message);
                        true
                    }
                    None => false,
                }
            }
            1 => sides.to_server.pop_front().is_some_and(|message| {
                sides.model.hear(&message);
                true
            }),
            _ => sides.model.out.pop_front().is_some_and(|message| {
                sides.server(message);
                true
            }),
        };
        idle = if moved { 0 } else { idle + 1 };
        // the script of turns may let one side wait all along
        if idle > turns.len() + 600 {
            break;
        }
    }
    assert!(client.is_empty() && held.is_none(), "the conversation hangs with {} frames left", client.len());
    (sides.heard, sides.model.heard)
}

/// Plays a script both ways.
///
/// # Panics
/// If the client hears anything else through the conversation, or the server hears of a text that was refused.
pub(super) fn agree(script: &[Said], turns: &[u8]) {
    let client = frames(script);
    let (heard, texts) = proxied(&client, turns);
    assert!(texts.iter().all(|text| !text.refused()), "a refused text has reached the server");
    let say = |heard: &Heard| heard.iter().map(|(tag, body)| (char::from(*tag), body.clone())).collect::<Vec<_>>();
    assert_eq!(say(&heard), say(&direct(&client)));
}
