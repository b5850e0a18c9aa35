//! Rows of the text format (`CopyAttributeOutText`): a raw newline always ends a row.

use bytes::{BufMut, BytesMut};

use super::{CannotStream, CopyPlan, NULL_TOLD_BYTES_MAX};

/// The line that ends the data in older protocols.
const END: &[u8] = b"\\.";

/// How far the rows have been read.
#[derive(Debug)]
pub(super) struct Rows {
    /// The next line names the columns.
    header: bool,
    /// Bytes of the row that is not whole in which no end was found.
    looked: usize,
    value: BytesMut,
    masked: BytesMut,
}

impl Rows {
    pub(super) fn new(header: bool) -> Self {
        Self { header, looked: 0, value: BytesMut::new(), masked: BytesMut::new() }
    }

    pub(super) fn take(&mut self, plan: &CopyPlan, data: &[u8], out: &mut BytesMut) -> Result<usize, CannotStream> {
        let mut at = 0;
        while let Some(rest) = data.get(at..) {
            let Some(found) = rest.get(self.looked..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) else {
                self.looked = rest.len();
                break;
            };
            let length = self.looked + found;
            self.looked = 0;
            let line = rest.get(..length).ok_or(CannotStream)?;
            if std::mem::take(&mut self.header) {
                self.names(plan, line)?;
                out.extend_from_slice(line);
            } else {
                self.row(plan, line, out)?;
            }
            out.put_u8(b'\n');
            at += length + 1;
        }
        Ok(at)
    }

    /// The first line must name the columns of the plan, so that no row can be taken for it.
    fn names(&mut self, plan: &CopyPlan, line: &[u8]) -> Result<(), CannotStream> {
        let mut fields = Fields { rest: Some(line), delimiter: plan.format.delimiter };
        for column in &plan.columns {
            self.decode(fields.next().ok_or(CannotStream)?, plan.format.delimiter)?;
            if String::from_utf8_lossy(&self.value) != column.name {
                return Err(CannotStream);
            }
        }
        fields.end()
    }

    fn row(&mut self, plan: &CopyPlan, line: &[u8], out: &mut BytesMut) -> Result<(), CannotStream> {
        if line == END {
            out.extend_from_slice(line);
            return Ok(());
        }
        if plan.columns.is_empty() {
            return if line.is_empty() { Ok(()) } else { Err(CannotStream) };
        }
        let keys = plan.keys.as_ref().ok_or(CannotStream)?;
        let delimiter = plan.format.delimiter;
        let mut fields = Fields { rest: Some(line), delimiter };
        for (index, column) in plan.columns.iter().enumerate() {
            let field = fields.next().ok_or(CannotStream)?;
            if index > 0 {
                out.put_u8(delimiter);
            }
            match &column.mask {
                Some(mask) if field != plan.format.null.as_bytes() => {
                    self.decode(field, delimiter)?;
                    self.masked.clear();
                    if mask.value(&self.value, keys, &mut self.masked) {
                        encode(&self.masked, delimiter, out);
                    } else {
                        out.extend_from_slice(plan.format.null.as_bytes());
                    }
                }
                Some(_) | None => out.extend_from_slice(field),
            }
        }
        fields.end()
    }

    /// The value of a field, into `value`. The server writes no other escapes than these.
    fn decode(&mut self, field: &[u8], delimiter: u8) -> Result<(), CannotStream> {
        self.value.clear();
        let mut bytes = field.iter();
        while let Some(byte) = bytes.next() {
            let plain = match byte {
                b'\\' => match bytes.next().ok_or(CannotStream)? {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    other if *other == b'\\' || *other == delimiter => *other,
                    _ => return Err(CannotStream),
                },
                other => *other,
            };
            self.value.put_u8(plain);
        }
        Ok(())
    }
}

/// The fields of a line.
struct Fields<'a> {
    /// `None` behind the last.
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Fields<'a> {
    fn end(&self) -> Result<(), CannotStream> {
        if self.rest.is_none() { Ok(()) } else { Err(CannotStream) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut escaped = false;
        let end = rest.iter().position(|byte| {
            let end = !escaped && *byte == self.delimiter;
            escaped = !escaped && *byte == b'\\';
            end
        });
        let Some((field, behind)) = end.and_then(|end| rest.split_at_checked(end)) else {
            self.rest = None;
            return Some(rest);
        };
        self.rest = behind.get(1..);
        Some(field)
    }
}

/// Writes a value as the server would.
fn encode(value: &[u8], delimiter: u8, out: &mut BytesMut) {
    for byte in value {
        let escaped = match byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            other if *other == b'\\' || *other == delimiter => *other,
            other => {
                out.put_u8(*other);
                continue;
            }
        };
        out.put_u8(b'\\');
        out.put_u8(escaped);
    }
}

/// True if a field that looks like this NULL string tells nothing of a value: no value is written so, or it is too common to ask
/// for one.
pub(super) fn null_is_told(null: &[u8], delimiter: u8) -> bool {
    let mut bytes = null.iter();
    let mut never_value = false;
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' {
            let Some(next) = bytes.next() else { return false };
            never_value |= !b"bfnrtv\\".contains(next) && *next != delimiter;
        }
    }
    let word: Vec<u8> = null.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let short = null.len() <= NULL_TOLD_BYTES_MAX && !null.iter().any(u8::is_ascii_digit);
    never_value || short || word.eq_ignore_ascii_case(b"null")
}
