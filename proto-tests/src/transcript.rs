//! A conversation with a server, written down message by message so that two of them can be compared.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::socket::is_end;
use crate::wire::{Message, VERSION_3_0};
use crate::{Identity, Stand, Way, Wire};

/// Longer bodies are written down by their length and a hash.
const BODY_SHOWN_MAX: usize = 300;

/// A server, and who comes to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// How it is reached.
    pub way: Way,
    /// Who logs in.
    pub who: Identity,
    /// The database.
    pub database: String,
}

/// What a scenario is played on.
pub struct Stage<'a> {
    target: &'a Target,
    direct: &'a Target,
    log: Vec<String>,
}

/// A scenario: plays, and leaves a transcript.
pub type Scenario = (&'static str, fn(&mut Stage<'_>));

impl Target {
    /// The database itself (`DIRECT`) or pgveil (`PROXY`), on a stand where both take the same login.
    #[must_use]
    pub fn of(stand: &Stand, side: &str) -> Self {
        let value = |key: &str| stand.value(&format!("{side}_{key}"));
        let port = value("PORT").parse().unwrap_or_default();
        let way = stand.find("CA").map_or(Way::port(port), |authority| Way::Tls(port, authority.into()));
        let who = Identity { user: value("USER").into(), password: value("PASSWORD").into(), dsn: String::new() };
        Self { way, who, database: value("DB").into() }
    }
}

/// Plays a scenario; what was written down.
#[must_use]
pub fn play(scenario: &Scenario, target: &Target, direct: &Target) -> Vec<String> {
    let mut stage = Stage { target, direct, log: Vec::new() };
    scenario.1(&mut stage);
    stage.log
}

impl Stage<'_> {
    /// Writes something down.
    pub fn note(&mut self, what: impl std::fmt::Display) {
        self.log.push(what.to_string());
    }

    /// The server that is played on.
    #[must_use]
    pub fn target(&self) -> &Target {
        self.target
    }

    /// A connection on which nothing has been said.
    ///
    /// # Panics
    /// If there is none to be had.
    #[must_use]
    pub fn open(&self) -> Wire {
        Wire::open(&self.target.way).unwrap()
    }

    /// The same in clear, whatever the way.
    ///
    /// # Panics
    /// If there is none to be had.
    #[must_use]
    pub fn open_in_clear(&self) -> Wire {
        Wire::open(&self.target.way.in_clear()).unwrap()
    }

    /// Logs in.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn connect(&mut self) -> Wire {
        self.connect_with(VERSION_3_0, &[]).unwrap()
    }

    /// Logs in with a version and parameters of one's own. What was said is written down if the server says no.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn connect_with(&mut self, version: u32, parameters: &[(&str, &str)]) -> Option<Wire> {
        let target = self.target;
        match Wire::try_start(&target.way, version, &target.who, &target.database, parameters).unwrap() {
            Ok(wire) => Some(wire),
            Err(refusal) => {
                self.note(shown(&refusal, 0));
                None
            }
        }
    }

    /// Runs SQL past the proxy; its first value.
    ///
    /// # Panics
    /// If the server objects.
    pub fn owner(&self, sql: &str) -> String {
        let direct = self.direct;
        let wire = Wire::try_start(&direct.way, VERSION_3_0, &direct.who, &direct.database, &[]).unwrap();
        let reply = wire.unwrap_or_else(|refusal| panic!("{refusal:?}")).query(sql);
        assert_eq!(reply.sqlstate(), None, "{sql}");
        reply.rows().last().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
    }

    /// Waits until SQL, run past the proxy, gives this value.
    pub fn owner_until(&self, sql: &str, value: &str) {
        crate::eventually(sql, || (self.owner(sql) == value).then_some(()));
    }

    /// Writes down everything up to the n-th message of these types, or up to the end of the connection.
    ///
    /// # Panics
    /// If the socket fails otherwise.
    pub fn until(&mut self, wire: &mut Wire, tags: &[u8], mut n: usize) {
        while n > 0 {
            match wire.read() {
                Ok(message) => {
                    self.note(shown(&message, wire.key.0));
                    n -= usize::from(tags.contains(&message.tag));
                }
                Err(e) if is_end(&e) => return self.note("closed"),
                Err(e) => panic!("{e} after {:#?}", self.log),
            }
        }
    }

    /// The same up to the n-th `ReadyForQuery`.
    pub fn ready(&mut self, wire: &mut Wire, n: usize) {
        self.until(wire, b"Z", n);
    }

    /// Writes down whatever comes up to the end of the connection.
    pub fn end(&mut self, wire: &mut Wire) {
        self.until(wire, &[], 1);
    }

    /// Writes down what comes within a while, or that nothing does.
    pub fn silence(&mut self, wire: &mut Wire) {
        match wire.read_within(Duration::from_millis(300)) {
            Some(message) => self.note(shown(&message, wire.key.0)),
            None => self.note("silence"),
        }
    }

    /// Simple queries, one after the other, and their replies.
    pub fn ask(&mut self, wire: &mut Wire, queries: &[&str]) {
        for sql in queries {
            wire.ask(sql);
            self.ready(wire, 1);
        }
    }

    /// Sends bytes; one `ReadyForQuery` more is expected for each of `readies`.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn send(&mut self, wire: &mut Wire, bytes: &[u8], readies: usize) {
        wire.send_and_read(bytes).unwrap();
        self.ready(wire, readies);
    }

    /// Counts what comes up to `ReadyForQuery`, and hashes it.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn digest(&mut self, wire: &mut Wire) {
        let (mut hash, mut messages) = (DefaultHasher::new(), 0_u64);
        loop {
            let message = wire.read().unwrap();
            (message.tag, &message.body).hash(&mut hash);
            messages += 1;
            if message.tag == b'Z' {
                break;
            }
        }
        self.note(format!("{messages} messages, {:x}", hash.finish()));
    }
}

/// A message as it is written down. `pid` is that of the connection it came by.
#[must_use]
pub fn shown(message: &Message, pid: i32) -> String {
    let tag = char::from(message.tag);
    match message.tag {
        b'E' | b'N' => format!("{tag} {}", fields(&message.body)),
        // the relations of a scenario are new each time
        b'T' => {
            let columns = message.columns();
            let all = columns.iter().map(|c| format!("{} {} {} {}", c.name, c.attribute, c.type_oid, c.binary));
            format!("T {}", all.collect::<Vec<_>>().join(", "))
        }
        b'K' => {
            let own = message.body.starts_with(&pid.to_be_bytes());
            format!("K {} {} bytes of secret", if own { "own" } else { "another" }, message.body.len() - 4)
        }
        b'A' => {
            let own = message.body.starts_with(&pid.to_be_bytes());
            format!("A {} {}", if own { "own" } else { "another" }, message.body[4..].escape_ascii())
        }
        _ if message.body.len() > BODY_SHOWN_MAX => {
            let mut hash = DefaultHasher::new();
            message.body.hash(&mut hash);
            format!("{tag} {} bytes, {:x}", message.body.len(), hash.finish())
        }
        _ => format!("{tag} {}", message.body.escape_ascii()),
    }
}

fn fields(body: &[u8]) -> String {
    let each = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let text = each.map(|field| field.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ");
    // the number of a temporary schema is nobody's concern
    let mut parts = text.split("pg_temp_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "pg_temp" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A message with its header.
///
/// # Panics
/// If it would be too long.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// Query.
#[must_use]
pub fn query(sql: impl AsRef<[u8]>) -> Vec<u8> {
    message(b'Q', &[sql.as_ref(), b"\0"].concat())
}

/// Parse.
#[must_use]
pub fn parse(name: &str, sql: impl AsRef<[u8]>) -> Vec<u8> {
    parse_typed(name, sql, &[])
}

/// Parse that says types of parameters.
///
/// # Panics
/// If there are too many of them.
#[must_use]
pub fn parse_typed(name: &str, sql: impl AsRef<[u8]>, types: &[u32]) -> Vec<u8> {
    let count = u16::try_from(types.len()).unwrap().to_be_bytes();
    let types: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'P', &[name.as_bytes(), b"\0", sql.as_ref(), b"\0", &count, &types].concat())
}

/// Bind: formats of the parameters, the parameters, formats of the results.
///
/// # Panics
/// If there are too many of anything.
#[must_use]
pub fn bind(portal: &str, statement: &str, formats: &[i16], values: &[Option<&[u8]>], results: &[i16]) -> Vec<u8> {
    let codes = |codes: &[i16]| {
        let count = u16::try_from(codes.len()).unwrap().to_be_bytes().to_vec();
        count.into_iter().chain(codes.iter().flat_map(|code| code.to_be_bytes())).collect::<Vec<u8>>()
    };
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0", &codes(formats)].concat();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend_from_slice(value);
            }
        }
    }
    body.extend(codes(results));
    message(b'B', &body)
}

/// Describe of a statement (`S`) or portal (`P`).
#[must_use]
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind][..], name.as_bytes(), b"\0"].concat())
}

/// Close of a statement (`S`) or portal (`P`).
#[must_use]
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind][..], name.as_bytes(), b"\0"].concat())
}

/// Execute.
#[must_use]
pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows_max.to_be_bytes()].concat())
}

/// Parse, Bind and Execute, all unnamed and without parameters.
#[must_use]
pub fn run(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[], &[], &[]), execute("", 0)].concat()
}

/// `CopyData`.
#[must_use]
pub fn copy_data(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    message(b'd', bytes.as_ref())
}

/// Sync.
pub const SYNC: &[u8] = b"S\0\0\0\x04";
/// Flush.
pub const FLUSH: &[u8] = b"H\0\0\0\x04";
/// `CopyDone`.
pub const COPY_DONE: &[u8] = b"c\0\0\0\x04";
/// Terminate.
pub const TERMINATE: &[u8] = b"X\0\0\0\x04";
