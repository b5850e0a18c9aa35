//! A client of the admin address, one request on one connection.

use std::io::{Read, Write};
use std::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The header lines.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Asks for a path of `http://HOST:PORT`.
///
/// # Errors
/// If nobody answers there.
///
/// # Panics
/// If what answers does not speak HTTP.
pub fn get(base: &str, path: &str) -> std::io::Result<Answer> {
    let authority = base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(authority)?;
    socket.set_read_timeout(Some(crate::PATIENCE))?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text}"));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"));
    Ok(Answer { code, head: head.to_lowercase(), body: body.to_owned() })
}
