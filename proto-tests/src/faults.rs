//! Sessions by chance, to be played through relays that break: what is said, and what may be heard.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use crate::random::Dice;
use crate::{Identity, Message, Wire};

/// What stands before the number of a statement in its text.
pub const MARK: &str = "mark-";

/// One turn of a client: what it sends at once, and how many times it is then told that the server is ready.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The messages.
    pub bytes: Vec<u8>,
    /// ReadyForQuery that answer them.
    pub readies: usize,
}

/// A session: turns one after the other, or all at once.
#[derive(Debug, Clone)]
pub struct Session {
    /// In this order.
    pub turns: Vec<Turn>,
    /// Nothing waits for an answer.
    pub at_once: bool,
}

/// What a client has heard, and how it ended.
#[derive(Debug, Default)]
pub struct Heard {
    /// Whole messages after login.
    pub messages: Vec<Message>,
    /// All answers have come.
    pub whole: bool,
    /// Nothing has come for too long, on an open connection.
    pub silent: bool,
}

/// Builds the messages of one turn.
struct Said<'d> {
    out: BytesMut,
    dice: &'d mut Dice,
    name: String,
    count: usize,
}

impl Session {
    /// The session of this seed; `name` goes into every statement's mark. `masked` may ask for columns that are masked.
    #[must_use]
    pub fn random(seed: u64, name: &str, masked: bool) -> Self {
        let mut dice = Dice::new(seed);
        let (at_once, count) = (dice.chance(40), 1 + dice.below(6));
        let mut said = Said { out: BytesMut::new(), dice: &mut dice, name: name.to_owned(), count: 0 };
        let turns = (0..count)
            .map(|_| {
                let readies = said.turn(masked);
                Turn { bytes: said.out.split().to_vec(), readies }
            })
            .collect();
        Self { turns, at_once }
    }

    /// Plays it on a connection that is logged in, up to its end or the connection's, or until nothing has come for this long.
    pub fn play(&self, wire: &mut Wire, patience: Duration) -> Heard {
        let mut heard = Heard::default();
        wire.patience(patience);
        let all: usize = self.turns.iter().map(|turn| turn.readies).sum();
        if self.at_once {
            let bytes = self.turns.iter().flat_map(|turn| turn.bytes.iter().copied()).collect::<Vec<_>>();
            // What cannot be sent has been cut; what came before may still be heard.
            let _ = wire.send(&bytes);
            heard.whole = heard.listen(wire, all);
            return heard;
        }
        for turn in &self.turns {
            let sent = wire.send(&turn.bytes).is_ok();
            heard.whole = heard.listen(wire, turn.readies) && sent;
            if !heard.whole {
                break;
            }
        }
        heard
    }
}

impl Heard {
    /// Reads so many ReadyForQuery; false if they do not come.
    fn listen(&mut self, wire: &mut Wire, readies: usize) -> bool {
        let mut left = readies;
        while left > 0 {
            match wire.read() {
                Ok(message) => {
                    left -= usize::from(message.tag == b'Z');
                    self.messages.push(message);
                }
                Err(error) => {
                    self.silent = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                    return false;
                }
            }
        }
        true
    }

    /// What is wrong with it beside what should have been heard: it must be the beginning of that, and may then be broken off by
    /// one error that ends a session.
    #[must_use]
    pub fn departs_from(&self, expected: &[Message]) -> Option<String> {
        let same = self.messages.iter().zip(expected).take_while(|(one, other)| one == other).count();
        let rest = &self.messages[same..];
        match rest {
            [] if self.whole && same < expected.len() => Some(format!("{same} of {} messages, and then no more", expected.len())),
            [] => None,
            [error] if error.tag == b'E' && !self.whole && ends(error) => None,
            _ => Some(format!("message {same} is {:?} and should be {:?}", rest.first(), expected.get(same))),
        }
    }
}

/// True for errors that end a session, as the server or the proxy say them.
fn ends(error: &Message) -> bool {
    let state = error.field(b'C').unwrap_or_default();
    let fatal = error.field(b'S').is_some_and(|severity| severity == "FATAL");
    fatal && matches!(state.as_str(), "08006" | "08P01" | "57P01" | "57P02" | "57P03" | "58000")
}

impl Said<'_> {
    fn mark(&mut self) -> String {
        self.count += 1;
        format!("{MARK}{}-{}", self.name, self.count)
    }

    fn query(&mut self, sql: &str) {
        frontend::query(sql, &mut self.out).unwrap();
    }

    /// One turn; how many ReadyForQuery it brings.
    fn turn(&mut self, masked: bool) -> usize {
        let mark = self.mark();
        match self.dice.below(if masked { 16 } else { 13 }) {
            0 | 1 => self.query(&format!("insert into tests.marks values ('{mark}')")),
            2 => {
                let rows = self.dice.below(300);
                self.query(&format!("select g, '{mark}' as mark, repeat('x', g) from generate_series(1, {rows}) g"));
            }
            3 => {
                let (second, third) = (self.mark(), self.mark());
                self.query(&format!(
                    "insert into tests.marks values ('{mark}'); select '{second}'; insert into tests.marks values ('{third}')"
                ));
            }
            4 => self.query(&format!("select 1 / (length('{mark}') - length('{mark}'))")),
            5 => self.query(&format!("begin; insert into tests.marks values ('{mark}')")),
            6 => {
                let end = *self.dice.pick(&["commit", "rollback"]);
                self.query(&format!("{end} /* {mark} */"));
            }
            7 => self.executed(&mark),
            8 => self.portal(&mark),
            9 => self.copy_in(&mark),
            10 => {
                let rows = self.dice.below(300);
                self.query(&format!("copy (select g, '{mark}' from generate_series(1, {rows}) g) to stdout"));
            }
            11 => {
                let times = 1 + self.dice.below(20_000);
                self.query(&format!("select repeat('{mark} ', {times})"));
            }
            12 => self.broken_pipeline(&mark),
            13 => {
                let rows = 1 + self.dice.below(40);
                self.query(&format!("select id, ssn, last_name, '{mark}' from clinical.patients order by id limit {rows}"));
            }
            14 => {
                let rows = 1 + self.dice.below(40);
                self.query(&format!("copy (select ssn, id, '{mark}' from clinical.patients order by id limit {rows}) to stdout"));
            }
            _ => {
                self.query(&format!("select left(ssn, 3), count(*) over (), '{mark}' from clinical.patients order by id limit 5"))
            }
        }
        1
    }

    fn parse_bind(&mut self, sql: &str, values: &[&str]) {
        frontend::parse("", sql, [], &mut self.out).unwrap();
        let put = |value: &&str, out: &mut BytesMut| {
            out.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        if frontend::bind("", "", [], values, put, [0], &mut self.out).is_err() {
            panic!("a Bind that cannot be written");
        }
    }

    fn executed(&mut self, mark: &str) {
        self.parse_bind("insert into tests.marks values ($1)", &[mark]);
        frontend::describe(b'P', "", &mut self.out).unwrap();
        frontend::execute("", 0, &mut self.out).unwrap();
        frontend::sync(&mut self.out);
    }

    fn portal(&mut self, mark: &str) {
        self.parse_bind("select g, $1::text from generate_series(1, 20) g", &[mark]);
        for rows in [5, 7, 0] {
            frontend::execute("", rows, &mut self.out).unwrap();
        }
        frontend::sync(&mut self.out);
    }

    fn copy_in(&mut self, mark: &str) {
        self.query("copy tests.marks from stdin");
        for row in 0..self.dice.below(5) {
            let line = format!("{mark}-row{row}\n");
            frontend::CopyData::new(bytes::Bytes::from(line)).unwrap().write(&mut self.out);
        }
        if self.dice.chance(80) {
            frontend::copy_done(&mut self.out);
        } else {
            frontend::copy_fail("no more of it", &mut self.out).unwrap();
        }
    }

    fn broken_pipeline(&mut self, mark: &str) {
        self.executed_once(&format!("insert into tests.marks values ('{mark}')"));
        let second = self.mark();
        self.executed_once(&format!("select no_such_column /* {second} */"));
        let third = self.mark();
        self.executed_once(&format!("insert into tests.marks values ('{third}')"));
        frontend::sync(&mut self.out);
    }

    fn executed_once(&mut self, sql: &str) {
        self.parse_bind(sql, &[]);
        frontend::execute("", 0, &mut self.out).unwrap();
    }
}

/// The expected messages of a run whose marks have this name, from a run whose marks have that one. Both are of the same length.
#[must_use]
pub fn renamed(messages: &[Message], from: &str, to: &str) -> Vec<Message> {
    let (from, to) = (format!("{MARK}{from}-"), format!("{MARK}{to}-"));
    let rename = |message: &Message| {
        let mut body = message.body.clone();
        let mut at = 0;
        while let Some(found) = body[at..].windows(from.len()).position(|part| part == from.as_bytes()) {
            at += found;
            body[at..at + to.len()].copy_from_slice(to.as_bytes());
            at += to.len();
        }
        Message { tag: message.tag, body }
    };
    messages.iter().map(rename).collect()
}

/// Logs in under an application's name; none if that is broken off or refused.
#[must_use]
pub fn log_in(port: u16, who: &Identity, application: &str) -> Option<Wire> {
    Wire::try_connect(port, who, "clinic", &[("application_name", application)]).ok()?.ok()
}

/// The application's name in a startup packet.
#[must_use]
pub fn application(packet: &[u8]) -> Option<String> {
    let mut strings = packet.get(8..)?.split(|byte| *byte == 0);
    strings.find(|name| *name == b"application_name")?;
    strings.next().map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Cancels by a key through a port, and waits for the close.
pub fn cancel(port: u16, (process, secret): (i32, i32)) {
    let mut out = BytesMut::new();
    frontend::cancel_request(process, secret, &mut out);
    if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
        let _ = socket.write_all(&out).and_then(|()| socket.read(&mut [0]));
    }
}
