//! Messages that clients send, read lazily.

use bytes::Bytes;

use super::{Body, Format, Frame, HEADER_BYTES, Malformed};

/// Type bytes of client messages.
pub mod client_tag {
    /// Bind.
    pub const BIND: u8 = b'B';
    /// Close.
    pub const CLOSE: u8 = b'C';
    /// CopyData, in both directions.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone, in both directions.
    pub const COPY_DONE: u8 = b'c';
    /// CopyFail.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe.
    pub const DESCRIBE: u8 = b'D';
    /// Execute.
    pub const EXECUTE: u8 = b'E';
    /// Flush.
    pub const FLUSH: u8 = b'H';
    /// FunctionCall.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Parse.
    pub const PARSE: u8 = b'P';
    /// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share one byte.
    pub const PASSWORD: u8 = b'p';
    /// Query.
    pub const QUERY: u8 = b'Q';
    /// Sync.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';
}

fn slice(frame: &Frame, part: &[u8]) -> Bytes {
    frame.bytes().slice_ref(part)
}

/// The body of a message of which only the beginning is there.
fn begun(head: &Bytes) -> Body<'_> {
    Body::new(head.first().copied().unwrap_or_default(), head.get(HEADER_BYTES..).unwrap_or_default())
}

/// What is there of a text: up to its final zero byte, if that is there.
fn text_begun<'a>(body: &Body<'a>) -> &'a [u8] {
    body.rest().split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Query: one text, any number of statements.
#[derive(Debug, Clone)]
pub struct Query {
    /// The text in the client's encoding, without the final zero byte.
    pub text: Bytes,
}

impl Query {
    /// Reads the message.
    ///
    /// # Errors
    /// A zero byte missing, or bytes behind it.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let text = body.string()?;
        body.end()?;
        Ok(Self { text: slice(frame, text) })
    }

    /// Reads what there is of a message of which only the beginning is there.
    ///
    /// # Errors
    /// A field missing that should be there.
    pub fn begun(head: &Bytes) -> Result<Self, Malformed> {
        let body = begun(head);
        Ok(Self { text: head.slice_ref(text_begun(&body)) })
    }
}

/// Parse: a text becomes a prepared statement.
#[derive(Debug, Clone)]
pub struct Parse {
    /// Name of the statement, empty for the unnamed one.
    pub name: Bytes,
    /// The text in the client's encoding.
    pub text: Bytes,
    /// Parameter types the client insists on; 0 leaves one open.
    pub parameter_oids: Vec<u32>,
}

impl Parse {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let (name, text) = (body.string()?, body.string()?);
        let count = body.count()?;
        let parameter_oids = (0..count).map(|_| body.oid()).collect::<Result<_, _>>()?;
        body.end()?;
        Ok(Self { name: slice(frame, name), text: slice(frame, text), parameter_oids })
    }

    /// Reads what there is of a message of which only the beginning is there.
    ///
    /// # Errors
    /// A field missing that should be there.
    pub fn begun(head: &Bytes) -> Result<Self, Malformed> {
        let mut body = begun(head);
        let name = head.slice_ref(body.string()?);
        Ok(Self { name, text: head.slice_ref(text_begun(&body)), parameter_oids: Vec::new() })
    }
}

/// Bind: a statement and its parameters become a portal.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Name of the portal, empty for the unnamed one.
    pub portal: Bytes,
    /// Name of the statement.
    pub statement: Bytes,
    /// Formats of the parameters: none, one for all, or one each.
    pub parameter_formats: Vec<Format>,
    /// The values, `None` for NULL.
    pub parameters: Vec<Option<Bytes>>,
    /// Formats of the result columns: none, one for all, or one each.
    pub result_formats: Vec<Format>,
}

impl Bind {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over, or an unknown format code.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let (portal, statement) = (body.string()?, body.string()?);
        let parameter_formats = formats(&mut body)?;
        let count = body.count()?;
        let parameters =
            (0..count).map(|_| Ok(body.value()?.map(|value| slice(frame, value)))).collect::<Result<_, Malformed>>()?;
        let result_formats = formats(&mut body)?;
        body.end()?;
        Ok(Self {
            portal: slice(frame, portal),
            statement: slice(frame, statement),
            parameter_formats,
            parameters,
            result_formats,
        })
    }

    /// Reads the names in a message of which only the beginning is there.
    ///
    /// # Errors
    /// A field missing that should be there.
    pub fn begun(head: &Bytes) -> Result<Self, Malformed> {
        let mut body = begun(head);
        let (portal, statement) = (head.slice_ref(body.string()?), head.slice_ref(body.string()?));
        Ok(Self { portal, statement, parameter_formats: Vec::new(), parameters: Vec::new(), result_formats: Vec::new() })
    }

    /// The format of parameter `index`, counted from 0.
    #[must_use]
    pub fn parameter_format(&self, index: usize) -> Format {
        match self.parameter_formats.as_slice() {
            [] => Format::Text,
            [one] => *one,
            each => each.get(index).copied().unwrap_or(Format::Text),
        }
    }
}

fn formats(body: &mut Body<'_>) -> Result<Vec<Format>, Malformed> {
    let count = body.count()?;
    (0..count).map(|_| body.i16().and_then(|code| Format::from_code(code).ok_or(body.unknown()))).collect()
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A prepared statement, by name.
    Statement(Bytes),
    /// A portal, by name.
    Portal(Bytes),
    /// Neither: the server answers with an error.
    Invalid(u8),
}

impl Target {
    fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let kind = body.byte()?;
        let name = slice(frame, body.string()?);
        body.end()?;
        Ok(match kind {
            b'S' => Self::Statement(name),
            b'P' => Self::Portal(name),
            other => Self::Invalid(other),
        })
    }
}

/// Describe.
#[derive(Debug, Clone)]
pub struct Describe {
    /// What to describe.
    pub target: Target,
}

impl Describe {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        Target::read(frame).map(|target| Self { target })
    }
}

/// Close.
#[derive(Debug, Clone)]
pub struct Close {
    /// What to close.
    pub target: Target,
}

impl Close {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        Target::read(frame).map(|target| Self { target })
    }
}

/// Execute.
#[derive(Debug, Clone)]
pub struct Execute {
    /// Name of the portal.
    pub portal: Bytes,
    /// Most rows to return; 0 or less means all.
    pub rows_max: i32,
}

impl Execute {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let portal = slice(frame, body.string()?);
        let rows_max = body.i32()?;
        body.end()?;
        Ok(Self { portal, rows_max })
    }
}
