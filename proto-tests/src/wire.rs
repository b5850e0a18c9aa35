//! A raw client of the protocol: sends what it is told, shows every message that comes.

mod reply;

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use crate::socket::{Socket, Way, is_end, is_timeout};
use crate::{Identity, Stand};
pub use reply::{Column, Message, Reply};

/// Protocol 3.0.
pub const VERSION_3_0: u32 = 3 << 16;
const READ_BYTES: usize = 64 * 1024;

/// A connection, logged in.
pub struct Wire {
    way: Way,
    socket: Socket,
    /// What has been read and not been looked at.
    inbox: BytesMut,
    out: BytesMut,
    /// Process id of `BackendKeyData`, and the first four bytes of its secret.
    pub key: (i32, i32),
    /// The secret, whole.
    pub secret: Vec<u8>,
    /// What was said at login: all but the authentication.
    pub opening: Vec<Message>,
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
        Self::try_start(&Way::port(port), VERSION_3_0, who, database, parameters)
    }

    /// The same by any way, asking for this version of the protocol.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn try_start(
        way: &Way,
        version: u32,
        who: &Identity,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> io::Result<Result<Self, Message>> {
        let mut wire = Self::open(way)?;
        wire.start(version, who, database, parameters)?;
        match wire.log_in(&who.password)? {
            Some(refusal) => Ok(Err(refusal)),
            None => Ok(Ok(wire)),
        }
    }

    /// Connects, and says nothing yet.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn open(way: &Way) -> io::Result<Self> {
        let socket = way.dial()?;
        socket.set_timeout(crate::PATIENCE)?;
        let (inbox, out) = (BytesMut::new(), BytesMut::new());
        Ok(Self { way: way.clone(), socket, inbox, out, key: (0, 0), secret: Vec::new(), opening: Vec::new() })
    }

    /// Sends a startup packet.
    ///
    /// # Errors
    /// Those of the socket.
    ///
    /// # Panics
    /// If it would be too long.
    pub fn start(&mut self, version: u32, who: &Identity, database: &str, parameters: &[(&str, &str)]) -> io::Result<()> {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in [("user", who.user.as_str()), ("database", database)].iter().chain(parameters) {
            for part in [name, value] {
                body.extend_from_slice(part.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).unwrap();
        self.send(&[&length.to_be_bytes()[..], &body].concat())
    }

    /// Answers what the server asks for, up to its first `ReadyForQuery`; its error if it says no.
    ///
    /// # Errors
    /// Those of the socket.
    ///
    /// # Panics
    /// If the server cannot be trusted.
    pub fn log_in(&mut self, password: &str) -> io::Result<Option<Message>> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let message = self.read()?;
            if message.tag != b'R' {
                self.opening.push(message.clone());
            }
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
                    self.secret = message.body[4..].to_vec();
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
        self.socket.write_all(bytes)?;
        self.socket.flush()
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn shut(&mut self) {
        self.socket.shut().unwrap();
    }

    /// How long a write may wait from now on.
    ///
    /// # Panics
    /// If it is no time at all.
    pub fn patience_to_send(&mut self, wait: Duration) {
        self.socket.set_write_timeout(wait).unwrap();
    }

    /// From here on, a read gives up when nothing has come for this long.
    ///
    /// # Panics
    /// For no time at all.
    pub fn patience(&mut self, wait: Duration) {
        self.socket.set_read_timeout(wait).unwrap();
    }

    fn flush(&mut self) -> io::Result<()> {
        let out = self.out.split();
        self.send(&out)
    }

    /// The next message.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` when the server has closed.
    pub fn read(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.heard()? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// The next message, if it has been read already.
    fn heard(&mut self) -> io::Result<Option<Message>> {
        let Some(&[tag, a, b, c, d]) = self.inbox.first_chunk::<5>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let body_bytes = length.checked_sub(4).ok_or(io::ErrorKind::InvalidData)?;
        if self.inbox.len() < 5 + body_bytes {
            return Ok(None);
        }
        self.inbox.advance(5);
        Ok(Some(Message { tag, body: self.inbox.split_to(body_bytes).to_vec() }))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut read = vec![0; READ_BYTES];
        match self.socket.read(&mut read)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.inbox.extend_from_slice(&read[..bytes]);
                Ok(())
            }
        }
    }

    /// Waits until something has come, and reads none of it.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn arrival(&mut self) -> io::Result<()> {
        if self.inbox.is_empty() { self.fill() } else { Ok(()) }
    }

    /// Whatever comes up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        self.inbox.split().to_vec()
    }

    /// One byte that is no message: the answer to a request for encryption.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn byte(&mut self) -> io::Result<u8> {
        if self.inbox.is_empty() {
            self.fill()?;
        }
        Ok(self.inbox.get_u8())
    }

    /// Sends these bytes again and again until nothing is taken for a while, reading nothing; how many were taken.
    ///
    /// # Panics
    /// If the socket fails, or takes more than `bytes_max`.
    pub fn send_until_blocked(&mut self, bytes: &[u8], bytes_max: usize) -> usize {
        self.socket.set_timeout(Duration::from_secs(2)).unwrap();
        let (mut taken, mut at) = (0, 0);
        while let Some(rest) = bytes.get(at..) {
            match self.socket.write(rest) {
                Ok(written) => {
                    taken += written;
                    at = (at + written) % bytes.len();
                }
                Err(error) if is_timeout(&error) => break,
                Err(error) => panic!("{error} after {taken} bytes"),
            }
            assert!(taken <= bytes_max, "{taken} bytes were taken");
        }
        self.socket.set_timeout(crate::PATIENCE).unwrap();
        taken
    }

    /// Sends bytes and reads what comes meanwhile, as a client must that has more to say than all buffers hold.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send_and_read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.socket.set_timeout(Duration::from_millis(20))?;
        while !bytes.is_empty() {
            match self.socket.write(&bytes[..bytes.len().min(READ_BYTES)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_timeout(&error) => match self.fill() {
                    Err(error) if !is_timeout(&error) => return Err(error),
                    _ => {}
                },
                Err(error) => return Err(error),
            }
        }
        self.socket.set_timeout(crate::PATIENCE)?;
        self.socket.flush()
    }

    /// What comes within this time, or nothing.
    ///
    /// # Panics
    /// If the socket fails otherwise.
    pub fn read_within(&mut self, wait: Duration) -> Option<Message> {
        self.socket.set_timeout(wait).unwrap();
        let something = if self.inbox.is_empty() { self.fill() } else { Ok(()) };
        self.socket.set_timeout(crate::PATIENCE).unwrap();
        match something {
            Ok(()) => Some(self.read().unwrap()),
            Err(e) if is_timeout(&e) || is_end(&e) => None,
            Err(e) => panic!("{e}"),
        }
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
                Err(e) if is_end(&e) => return reply,
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

    /// The same, if the connection still takes it.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn try_ask(&mut self, sql: &str) -> io::Result<()> {
        frontend::query(sql, &mut self.out)?;
        self.flush()
    }

    /// As `reply`, but whatever ends the connection ends the reply.
    pub fn reply_so_far(&mut self) -> Reply {
        let mut reply = Reply::default();
        while let Ok(message) = self.read() {
            let end = message.tag == b'Z';
            reply.messages.push(message);
            if end {
                break;
            }
        }
        reply
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
        let mut socket = self.request_cancel(self.key.0, &self.secret);
        assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0, "nothing is said to a CancelRequest");
    }

    /// The same, and hangs up at once.
    ///
    /// # Panics
    /// If the socket fails.
    pub fn cancel_and_hang_up(&self) {
        drop(self.request_cancel(self.key.0, &self.secret));
    }

    /// Sends a `CancelRequest` with this key, by a connection of its own like this one's.
    ///
    /// # Panics
    /// If the socket fails.
    #[must_use]
    pub fn request_cancel(&self, pid: i32, secret: &[u8]) -> Socket {
        self.request_cancel_by(self.way.dial().unwrap(), pid, secret)
    }

    /// The same by a connection that is there already.
    ///
    /// # Panics
    /// If the socket fails.
    #[must_use]
    pub fn request_cancel_by(&self, mut socket: Socket, pid: i32, secret: &[u8]) -> Socket {
        let length = u32::try_from(12 + secret.len()).unwrap();
        let packet = [&length.to_be_bytes()[..], &[4, 0xd2, 0x16, 0x2e], &pid.to_be_bytes(), secret].concat();
        socket.set_timeout(crate::PATIENCE).unwrap();
        socket.write_all(&packet).unwrap();
        socket.flush().unwrap();
        socket
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

    /// Parse with the types of its first parameters.
    pub fn parse_typed(&mut self, name: &str, sql: &str, types: &[u32]) -> &mut Self {
        frontend::parse(name, sql, types.iter().copied(), self.out).unwrap();
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

    /// Close of a statement (`S`) or portal (`P`).
    pub fn close(&mut self, kind: u8, name: &str) -> &mut Self {
        frontend::close(kind, name, self.out).unwrap();
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
