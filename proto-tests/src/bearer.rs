//! A login by SASL OAUTHBEARER, message by message.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::{Message, PATIENCE, Stand};

/// What came of it.
#[derive(Debug, Default)]
pub struct Told {
    /// The mechanisms on offer.
    pub mechanisms: String,
    /// Where to get a token, if that was said.
    pub challenge: Option<String>,
    /// SQLSTATE and message of the refusal.
    pub error: Option<(String, String)>,
    /// Whether the client was let in.
    pub let_in: bool,
}

/// Asks for OAUTHBEARER and logs in with a token, or with none if it is empty.
///
/// # Panics
/// If the socket fails, or the server says what a client would not understand.
#[must_use]
pub fn log_in(stand: &Stand, user: &str, token: &str) -> Told {
    let mut socket = TcpStream::connect(("127.0.0.1", stand.port())).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut out = BytesMut::new();
    let startup = [("user", user), ("database", "clinic"), ("options", "-c pgveil.login=oauthbearer")];
    frontend::startup_message(startup, &mut out).unwrap();
    let auth = if token.is_empty() { String::new() } else { format!("Bearer {token}") };
    let mut told = Told::default();
    loop {
        socket.write_all(&out.split()).unwrap();
        let Ok(message) = read(&mut socket) else { return told };
        match (message.tag, message.body.get(3)) {
            (b'R', Some(0)) => told.let_in = true,
            (b'R', Some(10)) => {
                told.mechanisms = String::from_utf8_lossy(&message.body[4..]).trim_end_matches('\0').replace('\0', " ");
                let first = format!("n,,\u{1}auth={auth}\u{1}\u{1}");
                frontend::sasl_initial_response("OAUTHBEARER", first.as_bytes(), &mut out).unwrap();
            }
            (b'R', Some(11)) => {
                told.challenge = Some(String::from_utf8(message.body[4..].to_vec()).unwrap());
                frontend::sasl_response(b"\x01", &mut out).unwrap();
            }
            (b'E', _) => told.error = Some((message.field(b'C').unwrap(), message.field(b'M').unwrap())),
            (b'Z', _) => return told,
            _ => {}
        }
    }
}

fn read(socket: &mut TcpStream) -> io::Result<Message> {
    let mut head = [0; 5];
    socket.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; length.checked_sub(4).ok_or(io::ErrorKind::InvalidData)?];
    socket.read_exact(&mut body)?;
    Ok(Message { tag: head[0], body })
}
