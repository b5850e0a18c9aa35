//! Messages that servers send, read lazily.

use bytes::Bytes;

use super::{Body, Frame, Malformed};

/// Type bytes of server messages.
pub mod server_tag {
    /// Authentication request of any kind.
    pub const AUTHENTICATION: u8 = b'R';
    /// BackendKeyData.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// BindComplete.
    pub const BIND_COMPLETE: u8 = b'2';
    /// CloseComplete.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// CommandComplete.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// CopyBothResponse: replication only.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyInResponse.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// CopyOutResponse.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// EmptyQueryResponse.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// ErrorResponse.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// FunctionCallResponse.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// NoData.
    pub const NO_DATA: u8 = b'n';
    /// NoticeResponse.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// NotificationResponse.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// ParameterDescription.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// ParameterStatus.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// ParseComplete.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// PortalSuspended.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// ReadyForQuery.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// Format of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The type's text output.
    Text,
    /// The type's `send` output.
    Binary,
}

impl Format {
    /// Reads a format code.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::Text),
            1 => Some(Self::Binary),
            _ => None,
        }
    }
}

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnField {
    /// Name, in the client's encoding.
    pub name: Bytes,
    /// The relation the column comes from, 0 if the server gives none.
    pub table_oid: u32,
    /// Its attribute number there, 0 if none (or a whole row).
    pub attribute: i16,
    /// Its data type.
    pub type_oid: u32,
    /// `pg_type.typlen`.
    pub type_length: i16,
    /// The type modifier.
    pub type_modifier: i32,
    /// The format the rows will have. Text in the answer to Describe of a statement, whatever Bind will say.
    pub format: Format,
}

/// RowDescription: the columns of the rows that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDescription {
    /// The columns, left to right.
    pub columns: Vec<ColumnField>,
}

impl RowDescription {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let count = body.count()?;
        let columns = (0..count).map(|_| column(frame, &mut body)).collect::<Result<_, _>>()?;
        body.end()?;
        Ok(Self { columns })
    }
}

fn column(frame: &Frame, body: &mut Body<'_>) -> Result<ColumnField, Malformed> {
    Ok(ColumnField {
        name: frame.bytes().slice_ref(body.string()?),
        table_oid: body.oid()?,
        attribute: body.i16()?,
        type_oid: body.oid()?,
        type_length: body.i16()?,
        type_modifier: body.i32()?,
        format: body.i16().and_then(|code| Format::from_code(code).ok_or(body.unknown()))?,
    })
}

/// State of the server's transaction, as ReadyForQuery tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    Open,
    /// In a failed transaction block.
    Failed,
}

impl TransactionStatus {
    /// Reads ReadyForQuery.
    ///
    /// # Errors
    /// A length or status that the protocol does not know.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let status = match body.byte()? {
            b'I' => Self::Idle,
            b'T' => Self::Open,
            b'E' => Self::Failed,
            _ => return Err(body.unknown()),
        };
        body.end().map(|()| status)
    }

    /// The byte that stands for it in ReadyForQuery.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Reads CommandComplete: the command tag without its zero byte.
///
/// # Errors
/// No zero byte, or bytes behind it.
pub fn command_tag(frame: &Frame) -> Result<&[u8], Malformed> {
    let mut body = Body::new(frame.tag(), frame.body());
    let tag = body.string()?;
    body.end().map(|()| tag)
}

/// The fields of an ErrorResponse or NoticeResponse, in order: (field type, value).
#[derive(Debug, Clone)]
pub struct ErrorFields<'a> {
    body: Body<'a>,
    done: bool,
}

impl<'a> ErrorFields<'a> {
    /// Starts to read the message.
    #[must_use]
    pub fn read(frame: &'a Frame) -> Self {
        Self { body: Body::new(frame.tag(), frame.body()), done: false }
    }

    /// The value of the first field of type `field` (`C` is the SQLSTATE, `M` the message, `S` the severity).
    #[must_use]
    pub fn find(frame: &'a Frame, field: u8) -> Option<&'a [u8]> {
        Self::read(frame).map_while(Result::ok).find(|(kind, _)| *kind == field).map(|(_, value)| value)
    }
}

impl<'a> Iterator for ErrorFields<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let field = match self.body.byte() {
            Ok(0) => self.body.end().err().map(Err),
            Ok(kind) => Some(self.body.string().map(|value| (kind, value))),
            Err(error) => Some(Err(error)),
        };
        self.done = !matches!(field, Some(Ok(_)));
        field
    }
}

/// ParameterStatus: a setting the server reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterStatus {
    /// The setting's name in the server's spelling.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
}

impl ParameterStatus {
    /// Reads the message.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let (name, value) = (body.string()?, body.string()?);
        body.end()?;
        Ok(Self { name: frame.bytes().slice_ref(name), value: frame.bytes().slice_ref(value) })
    }
}

/// BackendKeyData, and what a CancelRequest must name: process and secret key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The backend's process.
    pub process: i32,
    /// The key: 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: Bytes,
}

impl CancelKey {
    /// Reads BackendKeyData.
    ///
    /// # Errors
    /// A key that is empty or longer than 256 bytes.
    pub fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let process = body.i32()?;
        let secret = body.rest();
        if secret.is_empty() || secret.len() > 256 {
            return Err(body.unknown());
        }
        Ok(Self { process, secret: frame.bytes().slice_ref(secret) })
    }
}

/// Shows the process only: whoever has the key can cancel.
impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelKey({})", self.process)
    }
}

/// CopyInResponse or CopyOutResponse: the formats of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    /// Format of the copy as a whole.
    pub overall: Format,
    /// Formats of the columns.
    pub columns: Vec<Format>,
}

/// Reads CopyInResponse or CopyOutResponse.
///
/// # Errors
/// Fields missing, left over or unknown.
pub fn copy_format(frame: &Frame) -> Result<CopyFormat, Malformed> {
    let mut body = Body::new(frame.tag(), frame.body());
    let overall = Format::from_code(body.byte()?.into()).ok_or(body.unknown())?;
    let count = body.count()?;
    let columns = (0..count)
        .map(|_| body.i16().and_then(|code| Format::from_code(code).ok_or(body.unknown())))
        .collect::<Result<_, _>>()?;
    body.end()?;
    Ok(CopyFormat { overall, columns })
}
