//! Messages of the login, and of our own connections to a server.

use bytes::{BufMut, Bytes, BytesMut};

use super::encode::message;
use super::startup::{CANCEL_REQUEST, SSL_REQUEST, STARTUP_BYTES_MAX};
use super::{Body, CancelKey, Frame, Malformed, client_tag, server_tag};

/// Most mechanisms or options that are read from one list.
const LIST_MAX: usize = 64;

fn string(frame: &Frame, part: &[u8]) -> Bytes {
    frame.bytes().slice_ref(part)
}

/// A packet without a type byte.
fn packet(parts: &[&[u8]]) -> Bytes {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(4 + bytes);
    out.put_u32(u32::try_from(bytes + 4).unwrap_or(u32::MAX));
    parts.iter().for_each(|part| out.put_slice(part));
    out.freeze()
}

/// SSLRequest.
#[must_use]
pub fn ssl_request() -> Bytes {
    packet(&[&SSL_REQUEST.to_be_bytes()])
}

/// CancelRequest.
#[must_use]
pub fn cancel_request(key: &CancelKey) -> Bytes {
    packet(&[&CANCEL_REQUEST.to_be_bytes(), &key.process.to_be_bytes(), &key.secret])
}

/// StartupMessage with the parameters in the order given.
///
/// # Errors
/// `Length` above 10,004 bytes, `Value` for a name that is empty or a name or value with a zero byte in it.
pub fn startup_message(version: u32, parameters: &[(&[u8], &[u8])]) -> Result<Bytes, Malformed> {
    let mut body = BytesMut::new();
    for (name, value) in parameters {
        if name.is_empty() || name.contains(&0) || value.contains(&0) {
            return Err(Malformed::Value { tag: b'?' });
        }
        body.put_slice(name);
        body.put_u8(0);
        body.put_slice(value);
        body.put_u8(0);
    }
    let whole = packet(&[&version.to_be_bytes(), &body, &[0]]);
    if whole.len() > STARTUP_BYTES_MAX {
        return Err(Malformed::Length(i64::try_from(whole.len()).unwrap_or(i64::MAX)));
    }
    Ok(whole)
}

/// PasswordMessage or SASLResponse: both are bytes behind one type byte. A password needs its own zero byte.
#[must_use]
pub fn password(bytes: &[u8]) -> Bytes {
    message(client_tag::PASSWORD, &[bytes])
}

/// SASLInitialResponse.
#[must_use]
pub fn sasl_initial_response(mechanism: &str, response: &[u8]) -> Bytes {
    let length = i32::try_from(response.len()).unwrap_or(i32::MAX).to_be_bytes();
    message(client_tag::PASSWORD, &[mechanism.as_bytes(), &[0], &length, response])
}

/// AuthenticationSASL: the mechanisms on offer.
#[must_use]
pub fn sasl_mechanisms(names: &[&str]) -> Bytes {
    let mut list = Vec::new();
    for name in names {
        list.extend(name.as_bytes());
        list.push(0);
    }
    list.push(0);
    super::authentication(10, &list)
}

/// NegotiateProtocolVersion: the newest version spoken here, and the options that are not understood.
#[must_use]
pub fn negotiate_protocol_version(version: u32, options: &[Bytes]) -> Bytes {
    let count = u32::try_from(options.len()).unwrap_or(u32::MAX);
    let mut body = BytesMut::new();
    for option in options {
        body.put_slice(option);
        body.put_u8(0);
    }
    message(server_tag::NEGOTIATE_PROTOCOL_VERSION, &[&version.to_be_bytes(), &count.to_be_bytes(), &body])
}

/// Parse of a statement, with all parameter types left open.
#[must_use]
pub fn parse(statement: &[u8], text: &[u8]) -> Bytes {
    message(client_tag::PARSE, &[statement, &[0], text, &[0, 0, 0]])
}

/// Describe of a statement.
#[must_use]
pub fn describe_statement(statement: &[u8]) -> Bytes {
    message(client_tag::DESCRIBE, &[b"S", statement, &[0]])
}

/// SASLInitialResponse: the mechanism that the client picked, and the first message of the exchange if it sent one.
#[derive(Clone)]
pub struct SaslInitialResponse {
    /// Name of the mechanism.
    pub mechanism: Bytes,
    /// The first message, `None` for the length -1.
    pub response: Option<Bytes>,
}

impl SaslInitialResponse {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let (mechanism, response) = (body.string()?, body.value()?);
        body.end()?;
        Ok(Self { mechanism: string(frame, mechanism), response: response.map(|response| string(frame, response)) })
    }
}

/// Shows the mechanism's length only: the rest may be a token.
impl std::fmt::Debug for SaslInitialResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaslInitialResponse(..)")
    }
}

/// What a server asks for, or says, while a client logs in.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthenticationRequest {
    /// The client is in.
    Ok,
    /// The password as it is.
    CleartextPassword,
    /// The password hashed with user and salt.
    Md5Password {
        /// The salt.
        salt: [u8; 4],
    },
    /// SASL by one of these mechanisms.
    Sasl {
        /// Their names, in the server's order.
        mechanisms: Vec<Bytes>,
    },
    /// The next message of the SASL exchange.
    SaslContinue(Bytes),
    /// The last message of the SASL exchange.
    SaslFinal(Bytes),
    /// Kerberos, GSSAPI, SSPI, or a code that is not known.
    Other(i32),
}

impl AuthenticationRequest {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let request = match body.i32()? {
            0 => Self::Ok,
            3 => Self::CleartextPassword,
            5 => Self::Md5Password { salt: [body.byte()?, body.byte()?, body.byte()?, body.byte()?] },
            10 => Self::Sasl { mechanisms: mechanisms(frame, &mut body)? },
            11 => return Ok(Self::SaslContinue(string(frame, body.rest()))),
            12 => return Ok(Self::SaslFinal(string(frame, body.rest()))),
            other => return Ok(Self::Other(other)),
        };
        body.end().map(|()| request)
    }
}

fn mechanisms(frame: &Frame, body: &mut Body<'_>) -> Result<Vec<Bytes>, Malformed> {
    let mut names = Vec::new();
    loop {
        let name = body.string()?;
        if name.is_empty() {
            return Ok(names);
        }
        if names.len() == LIST_MAX {
            return Err(body.unknown());
        }
        names.push(string(frame, name));
    }
}

/// NegotiateProtocolVersion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion {
    /// The version that the server goes on with, major and minor as in the startup packet.
    pub version: u32,
    /// Options that it does not understand.
    pub options: Vec<Bytes>,
}

impl NegotiateProtocolVersion {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over, or a list that is too long.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let (version, count) = (body.oid()?, body.i32()?);
        if !usize::try_from(count).is_ok_and(|count| count <= LIST_MAX) {
            return Err(body.unknown());
        }
        let options = (0..count).map(|_| body.string().map(|option| string(frame, option))).collect::<Result<_, _>>()?;
        body.end()?;
        Ok(Self { version, options })
    }
}

/// Names the kind of request; a salt or a message of the exchange is not shown.
impl std::fmt::Debug for AuthenticationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "Ok",
            Self::CleartextPassword => "CleartextPassword",
            Self::Md5Password { .. } => "Md5Password",
            Self::Sasl { .. } => "Sasl",
            Self::SaslContinue(_) => "SaslContinue",
            Self::SaslFinal(_) => "SaslFinal",
            Self::Other(_) => "Other",
        })
    }
}
