//! Rows on their way: each is walked once, and only masked cells are written anew.

use bytes::{Bytes, BytesMut};

use super::plan::RowPlan;
use super::stream::CannotStream;
use super::{Keys, Masked, Unmasked};
use crate::wire::{HEADER_BYTES, MESSAGE_BYTES_MAX, Malformed, Part, Run, server_tag};

/// Bytes in front of the first cell: the header and the number of cells.
const ROW_HEAD_BYTES: usize = HEADER_BYTES + 2;
/// Bytes in front of a cell's value.
const LENGTH_BYTES: usize = 4;

const SHORT: Malformed = Malformed::Short { tag: server_tag::DATA_ROW };

impl RowPlan {
    /// Masks whole DataRow messages. A plan that masks nothing hands back the same bytes. Else the masked rows are written to
    /// `out` and split off it; `out` holds nothing of anybody else's, and is handed in again for the next run, so that its
    /// memory is used again.
    ///
    /// # Errors
    /// `Tag` for other messages; a row that is not well-formed, or has another number of columns than the plan.
    pub fn rows(&self, run: Unmasked<Run>, out: &mut BytesMut) -> Result<Masked<Bytes>, Malformed> {
        let run = run.into_raw();
        if run.tag != server_tag::DATA_ROW {
            return Err(Malformed::Tag(run.tag));
        }
        let Some(keys) = self.keys.as_ref().filter(|_| !self.is_clear()) else { return Ok(Masked::new(run.bytes)) };
        out.clear();
        out.reserve(run.bytes.len());
        let mut rest: &[u8] = &run.bytes;
        while !rest.is_empty() {
            let (frame, behind) = split_frame(rest)?;
            self.row(frame, keys, out)?;
            rest = behind;
        }
        Ok(Masked::new(out.split().freeze()))
    }

    /// A part of a long DataRow message: only a plan that masks nothing lets it pass.
    ///
    /// # Errors
    /// `CannotStream` if a column is masked, or if this is no DataRow.
    pub fn part(&self, part: Unmasked<Part>) -> Result<Masked<Bytes>, CannotStream> {
        let part = part.into_raw();
        if self.is_clear() && part.tag == server_tag::DATA_ROW { Ok(Masked::new(part.bytes)) } else { Err(CannotStream) }
    }

    fn row(&self, frame: &[u8], keys: &Keys, out: &mut BytesMut) -> Result<(), Malformed> {
        let start = out.len();
        let head: &[u8; ROW_HEAD_BYTES] = frame.first_chunk().ok_or(SHORT)?;
        let &[.., high, low] = head;
        if usize::from(u16::from_be_bytes([high, low])) != self.count {
            return Err(Malformed::Value { tag: server_tag::DATA_ROW });
        }
        // What is not masked stays in one stretch, from `kept` to `at`, until a masked cell cuts it.
        let (mut kept, mut at) = (0, ROW_HEAD_BYTES);
        for step in &self.steps {
            at = skip(frame, at, step.skip)?;
            let (value, behind) = cell(frame, at)?;
            if let Some(value) = value {
                out.extend_from_slice(frame.get(kept..at).ok_or(SHORT)?);
                step.mask.write(value, keys, out);
                kept = behind;
            }
            at = behind;
        }
        if skip(frame, at, self.trailing)? != frame.len() {
            return Err(Malformed::LeftOver { tag: server_tag::DATA_ROW });
        }
        out.extend_from_slice(frame.get(kept..).ok_or(SHORT)?);
        set_length(start, out)
    }
}

fn split_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let &[tag, a, b, c, d] = bytes.first_chunk::<HEADER_BYTES>().ok_or(SHORT)?;
    if tag != server_tag::DATA_ROW {
        return Err(Malformed::Tag(tag));
    }
    let length = i32::from_be_bytes([a, b, c, d]);
    let frame_bytes = usize::try_from(length).ok().and_then(|length| length.checked_add(1));
    frame_bytes.and_then(|frame_bytes| bytes.split_at_checked(frame_bytes)).ok_or(Malformed::Length(length.into()))
}

/// The cell at `at`: its value, `None` for NULL, and where it ends.
fn cell(frame: &[u8], at: usize) -> Result<(Option<&[u8]>, usize), Malformed> {
    let rest = frame.get(at..).ok_or(SHORT)?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(SHORT)?;
    match i32::from_be_bytes(*length) {
        -1 => Ok((None, at + LENGTH_BYTES)),
        length => {
            let length = usize::try_from(length).map_err(|_| Malformed::Length(length.into()))?;
            let value = rest.get(..length).ok_or(SHORT)?;
            Ok((Some(value), at + LENGTH_BYTES + length))
        }
    }
}

/// Where the cell behind the next `count` begins.
fn skip(frame: &[u8], mut at: usize, count: usize) -> Result<usize, Malformed> {
    for _ in 0..count {
        let length = frame.get(at..).and_then(|rest| rest.first_chunk::<LENGTH_BYTES>()).ok_or(SHORT)?;
        at += LENGTH_BYTES;
        match i32::from_be_bytes(*length) {
            -1 => {}
            // Beyond the frame the next look finds nothing, and neither does whoever asked.
            length => at += usize::try_from(length).map_err(|_| Malformed::Length(length.into()))?,
        }
    }
    Ok(at)
}

fn set_length(start: usize, out: &mut BytesMut) -> Result<(), Malformed> {
    let length = out.len() - start - 1;
    let field = i32::try_from(length).ok().filter(|_| length <= MESSAGE_BYTES_MAX);
    let field = field.ok_or(Malformed::Length(i64::try_from(length).unwrap_or(i64::MAX)))?;
    let place = out.get_mut(start + 1..).and_then(|rest| rest.first_chunk_mut()).ok_or(SHORT)?;
    *place = field.to_be_bytes();
    Ok(())
}
