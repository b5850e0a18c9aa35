//! A raw client of the protocol: sends what it is told, shows every message that comes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use crate::{Identity, Stand};

/// One message from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its type byte.
    pub tag: u8,
    /// What follows type and length.
    pub body: Vec<u8>,
}

/// One column of a `RowDescription`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The relation it comes from, or 0.
    pub relation: u32,
    /// Its number there, or 0.
    pub attribute: u16,
    /// Its type.
    pub type_oid: u32,
    /// Whether its values come in binary.
    pub binary: bool,
}

/// A connection, logged in.
pub struct Wire {
    socket: TcpStream,
    out: BytesMut,
    /// Process id and secret of `BackendKeyData`.
    pub key: (i32, i32),
}

/// What the messages up to `ReadyForQuery` amount to.
#[derive(Debug, Default)]
pub struct Reply {
    /// All of them.
    pub messages: Vec<Message>,
}

impl Message {
    /// A field of an error or a notice, by its letter.
    #[must_use]
    pub fn field(&self, letter: u8) -> Option<String> {
        let mut rest = self.body.as_slice();
        while let Some((&kind, tail)) = rest.split_first() {
            let end = tail.iter().position(|b| *b == 0)?;
            if kind == letter {
                return Some(String::from_utf8_lossy(&tail[..end]).into_owned());
            }
            rest = &tail[end + 1..];
        }
        None
    }

    /// The columns of a `RowDescription`.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        assert_eq!(self.tag, b'T');
        let mut rest = &self.body[2..];
        let mut columns = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == 0).unwrap();
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            let numbers = &rest[end + 1..end + 19];
            let word = |at: usize| u32::from_be_bytes(numbers[at..at + 4].try_into().unwrap());
            let attribute = u16::from_be_bytes([numbers[4], numbers[5]]);
            columns.push(Column { name, relation: word(0), attribute, type_oid: word(6), binary: numbers[17] == 1 });
            rest = &rest[end + 19..];
        }
        columns
    }

    /// The cells of a `DataRow`.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn cells(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, b'D');
        let mut at = 2;
        let mut cells = Vec::new();
        for _ in 0..u16::from_be_bytes([self.body[0], self.body[1]]) {
            let length = i32::from_be_bytes(self.body[at..at + 4].try_into().unwrap());
            at += 4;
            cells.push(usize::try_from(length).ok().map(|n| {
                at += n;
                self.body[at - n..at].to_vec()
            }));
        }
        assert_eq!(at, self.body.len(), "bytes left over in a DataRow");
        cells
    }
}

impl Reply {
    /// The first error's SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        self.of(b'E').next().and_then(|m| m.field(b'C'))
    }

    /// Messages of a type.
    pub fn of(&self, tag: u8) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |m| m.tag == tag)
    }

    /// The rows, cells as text.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        let text = |cell: Option<Vec<u8>>| cell.map(|b| String::from_utf8_lossy(&b).into_owned());
        self.of(b'D').map(|m| m.cells().into_iter().map(text).collect()).collect()
    }

    /// The type bytes in order.
    #[must_use]
    pub fn tags(&self) -> String {
        self.messages.iter().map(|m| char::from(m.tag)).collect()
    }

    /// Every byte of it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.messages.iter().flat_map(|m| m.body.iter().copied()).collect()
    }
}

impl Wire {
    /// Logs in.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn connect(stand: &Stand, who: &Identity) -> Self {
        Self::try_connect(stand.port(), who, stand.value("DB"), &[]).unwrap().unwrap()
    }

    /// Logs in to PostgreSQL itself, as the superuser.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn owner(stand: &Stand) -> Self {
        let who = Identity { user: "clinic_owner".into(), password: "owner".into(), dsn: String::new() };
        Self::try_connect(stand.value("PG_PORT").parse().unwrap(), &who, stand.value("DB"), &[]).unwrap().unwrap()
    }

    /// Logs in with startup parameters of one's own; the server's error if it says no.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn try_connect(
        port: u16,
        who: &Identity,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> io::Result<Result<Self, Message>> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut wire = Self { socket, out: BytesMut::new(), key: (0, 0) };
        let mut startup = vec![("user", who.user.as_str()), ("database", database)];
        startup.extend(parameters);
        frontend::startup_message(startup, &mut wire.out)?;
        wire.flush()?;
        match wire.log_in(&who.password)? {
            Some(refusal) => Ok(Err(refusal)),
            None => Ok(Ok(wire)),
        }
    }

    fn log_in(&mut self, password: &str) -> io::Result<Option<Message>> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let message = self.read()?;
            match (message.tag, message.body.get(3)) {
                (b'E', _) => return Ok(Some(message)),
                (b'R', Some(3)) => frontend::password_message(password.as_bytes(), &mut self.out)?,
                (b'R', Some(10)) => frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut self.out)?,
                (b'R', Some(11)) => {
                    scram.update(&message.body[4..])?;
                    frontend::sasl_response(scram.message(), &mut self.out)?;
                }
                (b'R', Some(12)) => scram.finish(&message.body[4..])?,
                (b'K', _) => {
                    let number = |at: usize| i32::from_be_bytes(message.body[at..at + 4].try_into().unwrap());
                    self.key = (number(0), number(4));
                }
                (b'Z', _) => return Ok(None),
                _ => {}
            }
            self.flush()?;
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let out = self.out.split();
        self.socket.write_all(&out)
    }

    /// The next message.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` when the server has closed.
    pub fn read(&mut self) -> io::Result<Message> {
        let mut head = [0; 5];
        self.socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length.checked_sub(4).ok_or(io::ErrorKind::InvalidData)?];
        self.socket.read_exact(&mut body)?;
        Ok(Message { tag: head[0], body })
    }

    /// What comes within this time, or nothing.
    ///
    /// # Panics
    /// If the socket fails otherwise.
    pub fn read_within(&mut self, wait: Duration) -> Option<Message> {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut peeked = [0; 1];
        let got = match self.socket.peek(&mut peeked) {
            Ok(0) => None,
            Ok(_) => {
                self.socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
                Some(self.read().unwrap())
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
            Err(e) => panic!("{e}"),
        };
        self.socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        got
    }

    /// Everything up to and with `ReadyForQuery`, or up to where the server closes.
    ///
    /// # Panics
    /// If it takes too long.
    pub fn reply(&mut self) -> Reply {
        let mut reply = Reply::default();
        loop {
            match self.read() {
                Ok(message) => {
                    let end = message.tag == b'Z';
                    reply.messages.push(message);
                    if end {
                        return reply;
                    }
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => return reply,
                Err(e) => panic!("{e} after {}", reply.tags()),
            }
        }
    }

    /// A simple query and its reply.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn query(&mut self, sql: &str) -> Reply {
        self.ask(sql);
        self.reply()
    }

    /// A simple query; the reply is left for later.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn ask(&mut self, sql: &str) {
        frontend::query(sql, &mut self.out).unwrap();
        self.flush().unwrap();
    }

    /// Sends a pipeline.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn pipeline(&mut self, build: impl FnOnce(&mut Pipeline<'_>)) {
        build(&mut Pipeline { out: &mut self.out });
        self.flush().unwrap();
    }

    /// Cancels what this connection runs, by a connection of its own, and waits for the close that says it had its effect: one that
    /// does not wait may hit the next statement, with a server alone as well.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn cancel(&self) {
        let mut out = BytesMut::new();
        frontend::cancel_request(self.key.0, self.key.1, &mut out);
        let mut socket = TcpStream::connect(self.socket.peer_addr().unwrap()).unwrap();
        socket.write_all(&out).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 0, "nothing is said to a CancelRequest");
    }
}

/// Messages of the extended protocol, one after the other.
pub struct Pipeline<'a> {
    out: &'a mut BytesMut,
}

impl Pipeline<'_> {
    /// Parse.
    pub fn parse(&mut self, name: &str, sql: &str) -> &mut Self {
        frontend::parse(name, sql, [], self.out).unwrap();
        self
    }

    /// Bind with text parameters; `result` is the format of all columns.
    pub fn bind(&mut self, portal: &str, statement: &str, values: &[Option<&str>], result: i16) -> &mut Self {
        let put = |value: &Option<&str>, out: &mut BytesMut| {
            Ok(match value {
                None => postgres_protocol::IsNull::Yes,
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    postgres_protocol::IsNull::No
                }
            })
        };
        if frontend::bind(portal, statement, [], values, put, [result], self.out).is_err() {
            panic!("a Bind that cannot be written");
        }
        self
    }

    /// Bind of one parameter in binary, all results as text.
    pub fn bind_binary(&mut self, value: &[u8]) -> &mut Self {
        let put = |bytes: &[u8], out: &mut BytesMut| {
            out.extend_from_slice(bytes);
            Ok(postgres_protocol::IsNull::No)
        };
        if frontend::bind("", "", [1], [value], put, [0], self.out).is_err() {
            panic!("a Bind that cannot be written");
        }
        self
    }

    /// Describe of a statement (`S`) or portal (`P`).
    pub fn describe(&mut self, kind: u8, name: &str) -> &mut Self {
        frontend::describe(kind, name, self.out).unwrap();
        self
    }

    /// Execute.
    pub fn execute(&mut self, portal: &str, rows_max: i32) -> &mut Self {
        frontend::execute(portal, rows_max, self.out).unwrap();
        self
    }

    /// Flush.
    pub fn flush(&mut self) -> &mut Self {
        frontend::flush(self.out);
        self
    }

    /// Sync.
    pub fn sync(&mut self) -> &mut Self {
        frontend::sync(self.out);
        self
    }
}
