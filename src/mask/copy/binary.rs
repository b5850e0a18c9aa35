//! Rows of PostgreSQL's own binary format: a header, rows of counted values, an end mark.

use bytes::{BufMut, BytesMut};

use super::{CannotStream, CopyPlan};

/// What the data begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, and the length of the header's extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 4 + 4;
/// What stands in place of the number of values behind the last row.
const END: i16 = -1;
/// What stands in place of a value's length if it is NULL.
const NULL: i32 = -1;

/// How far the rows have been read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Nothing has.
    #[default]
    Header,
    /// The header has.
    Row,
    /// All have.
    End,
}

impl Rows {
    pub(super) fn take(&mut self, plan: &CopyPlan, data: &[u8], out: &mut BytesMut) -> Result<usize, CannotStream> {
        let mut at = 0;
        while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
            let length = match self {
                Self::Header => header(rest)?,
                Self::Row => length(plan, rest)?,
                Self::End => return Err(CannotStream),
            };
            let Some(unit) = length.and_then(|length| rest.get(..length)) else { break };
            match (*self, unit) {
                (Self::Row, [_, _]) if i16::from_be_bytes(chunk(unit)?) == END => {
                    out.extend_from_slice(unit);
                    *self = Self::End;
                }
                (Self::Row, _) => row(plan, unit, out)?,
                _ => {
                    out.extend_from_slice(unit);
                    *self = Self::Row;
                }
            }
            at += unit.len();
        }
        Ok(at)
    }
}

fn chunk<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CannotStream> {
    bytes.first_chunk::<N>().copied().ok_or(CannotStream)
}

/// How long the header is, if that has come. Its flags must say nothing and its extension must be empty, as no version of the
/// server has ever written anything else.
fn header(data: &[u8]) -> Result<Option<usize>, CannotStream> {
    let known = data.len().min(SIGNATURE.len());
    if data.get(..known) != SIGNATURE.get(..known) {
        return Err(CannotStream);
    }
    match data.get(SIGNATURE.len()..HEADER_BYTES) {
        None => Ok(None),
        Some(zeros) if zeros.iter().all(|byte| *byte == 0) => Ok(Some(HEADER_BYTES)),
        Some(_) => Err(CannotStream),
    }
}

/// How long the row is that `data` begins with, if its lengths have come.
fn length(plan: &CopyPlan, data: &[u8]) -> Result<Option<usize>, CannotStream> {
    let Some(count) = data.first_chunk() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == END {
        return Ok(Some(size_of::<i16>()));
    }
    if usize::try_from(count) != Ok(plan.columns.len()) {
        return Err(CannotStream);
    }
    let mut at = size_of::<i16>();
    for _ in &plan.columns {
        let Some(length) = data.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        at += size_of::<i32>();
        match i32::from_be_bytes(*length) {
            NULL => {}
            length => at += usize::try_from(length).map_err(|_| CannotStream)?,
        }
    }
    if at > super::COPY_ROW_BYTES_MAX { Err(CannotStream) } else { Ok(Some(at)) }
}

fn row(plan: &CopyPlan, unit: &[u8], out: &mut BytesMut) -> Result<(), CannotStream> {
    let keys = plan.keys.as_ref().ok_or(CannotStream)?;
    let (count, mut rest) = unit.split_at_checked(size_of::<i16>()).ok_or(CannotStream)?;
    out.extend_from_slice(count);
    for column in &plan.columns {
        let (length, behind) = rest.split_first_chunk().ok_or(CannotStream)?;
        let length = match i32::from_be_bytes(*length) {
            NULL => {
                out.put_i32(NULL);
                rest = behind;
                continue;
            }
            length => usize::try_from(length).map_err(|_| CannotStream)?,
        };
        let (value, behind) = behind.split_at_checked(length).ok_or(CannotStream)?;
        match &column.mask {
            Some(mask) => mask.write(value, keys, out),
            None => {
                out.put_i32(i32::try_from(length).map_err(|_| CannotStream)?);
                out.extend_from_slice(value);
            }
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(CannotStream) }
}
