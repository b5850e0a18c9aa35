//! Rows of the CSV format (`CopyAttributeOutCSV`): a newline outside quotes ends a row; only what is not quoted can be NULL.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{CannotStream, CopyPlan};
use crate::sql::CopyFormat;

/// How far the rows have been read.
#[derive(Debug)]
pub(super) struct Rows {
    /// The next line names the columns.
    header: bool,
    /// The row that is not whole.
    line: Line,
    /// Columns that are seen to be quoted where nothing in them asks for it.
    forced: Vec<bool>,
    value: BytesMut,
    masked: BytesMut,
}

/// A row that is being read.
#[derive(Debug, Default)]
struct Line {
    fields: Vec<Field>,
    state: State,
    /// Where the field began that is being read.
    start: usize,
    /// Bytes that have been read.
    at: usize,
}

#[derive(Debug)]
struct Field {
    place: Range<usize>,
    quoted: bool,
}

/// What the next byte can be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first of a field.
    #[default]
    Start,
    /// Of a field without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// What an escape stands before.
    Escaped,
    /// Behind a quote that ends the field, unless another follows.
    Closed,
}

impl Line {
    /// Reads on; true if the row is whole, then `at` stands at its newline.
    fn read(&mut self, data: &[u8], format: &CopyFormat, fields_max: usize) -> Result<bool, CannotStream> {
        let CopyFormat { delimiter, quote, escape, .. } = *format;
        while let Some(&byte) = data.get(self.at) {
            self.state = match self.state {
                State::Start if byte == quote => State::Quoted,
                State::Start | State::Bare | State::Closed if byte == b'\n' || byte == delimiter => {
                    if self.fields.len() >= fields_max {
                        return Err(CannotStream);
                    }
                    self.fields.push(Field { place: self.start..self.at, quoted: self.state == State::Closed });
                    if byte == b'\n' {
                        return Ok(true);
                    }
                    self.start = self.at + 1;
                    State::Start
                }
                State::Start | State::Bare if byte != quote => State::Bare,
                State::Quoted if byte == quote => State::Closed,
                State::Quoted if byte == escape => State::Escaped,
                State::Quoted => State::Quoted,
                State::Escaped if byte == quote || byte == escape => State::Quoted,
                State::Closed if byte == quote && escape == quote => State::Quoted,
                State::Start | State::Bare | State::Escaped | State::Closed => return Err(CannotStream),
            };
            self.at += 1;
        }
        Ok(false)
    }
}

impl Rows {
    pub(super) fn new(header: bool, columns: usize) -> Self {
        Self { header, line: Line::default(), forced: vec![false; columns], value: BytesMut::new(), masked: BytesMut::new() }
    }

    pub(super) fn take(&mut self, plan: &CopyPlan, data: &[u8], out: &mut BytesMut) -> Result<usize, CannotStream> {
        let mut taken = 0;
        while let Some(rest) = data.get(taken..) {
            if !self.line.read(rest, &plan.format, plan.columns.len().max(1))? {
                break;
            }
            let mut line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.header) {
                self.names(plan, rest, &line.fields)?;
                out.extend_from_slice(rest.get(..line.at).ok_or(CannotStream)?);
            } else {
                self.row(plan, rest, &line.fields, out)?;
            }
            out.put_u8(b'\n');
            taken += line.at + 1;
            line.fields.clear();
            self.line.fields = line.fields;
        }
        Ok(taken)
    }

    /// The first line must name the columns of the plan, so that no row can be taken for it.
    fn names(&mut self, plan: &CopyPlan, data: &[u8], fields: &[Field]) -> Result<(), CannotStream> {
        if plan.columns.is_empty() {
            return is_empty(fields);
        }
        if fields.len() != plan.columns.len() {
            return Err(CannotStream);
        }
        for (column, field) in plan.columns.iter().zip(fields) {
            self.decode(data, field, &plan.format)?;
            if String::from_utf8_lossy(&self.value) != column.name {
                return Err(CannotStream);
            }
        }
        Ok(())
    }

    fn row(&mut self, plan: &CopyPlan, data: &[u8], fields: &[Field], out: &mut BytesMut) -> Result<(), CannotStream> {
        if plan.columns.is_empty() {
            return is_empty(fields);
        }
        let keys = plan.keys.as_ref().ok_or(CannotStream)?;
        let single = fields.len() == 1;
        if fields.len() != plan.columns.len() {
            return Err(CannotStream);
        }
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                out.put_u8(plan.format.delimiter);
            }
            let raw = data.get(field.place.clone()).ok_or(CannotStream)?;
            let mask = plan.column(index)?.mask.as_ref();
            let Some(mask) = mask.filter(|_| field.quoted || raw != plan.format.null.as_bytes()) else {
                out.extend_from_slice(raw);
                continue;
            };
            self.decode(data, field, &plan.format)?;
            let forced = self.forced.get_mut(index).ok_or(CannotStream)?;
            *forced |= field.quoted && !needs_quotes(&self.value, &plan.format, single);
            self.masked.clear();
            if mask.value(&self.value, keys, &mut self.masked) {
                let quoted = *forced || needs_quotes(&self.masked, &plan.format, single);
                encode(&self.masked, quoted, &plan.format, out);
            } else {
                out.extend_from_slice(plan.format.null.as_bytes());
            }
        }
        Ok(())
    }

    /// The value of a field, into `value`.
    fn decode(&mut self, data: &[u8], field: &Field, format: &CopyFormat) -> Result<(), CannotStream> {
        let raw = data.get(field.place.clone()).ok_or(CannotStream)?;
        self.value.clear();
        if !field.quoted {
            self.value.extend_from_slice(raw);
            return Ok(());
        }
        let inside = raw.get(1..raw.len().saturating_sub(1)).ok_or(CannotStream)?;
        let mut bytes = inside.iter();
        while let Some(byte) = bytes.next() {
            let plain = if *byte == format.escape { bytes.next().ok_or(CannotStream)? } else { byte };
            self.value.put_u8(*plain);
        }
        Ok(())
    }
}

/// A row without columns is an empty line.
fn is_empty(fields: &[Field]) -> Result<(), CannotStream> {
    match fields {
        [field] if !field.quoted && field.place.is_empty() => Ok(()),
        _ => Err(CannotStream),
    }
}

fn needs_quotes(value: &[u8], format: &CopyFormat, single: bool) -> bool {
    let mark = |byte: &u8| *byte == format.delimiter || *byte == format.quote || matches!(byte, b'\n' | b'\r');
    value == format.null.as_bytes() || (single && value == b"\\.") || value.iter().any(mark)
}

/// Writes a value as the server would.
fn encode(value: &[u8], quoted: bool, format: &CopyFormat, out: &mut BytesMut) {
    if !quoted {
        out.extend_from_slice(value);
        return;
    }
    out.put_u8(format.quote);
    for byte in value {
        if *byte == format.quote || *byte == format.escape {
            out.put_u8(format.escape);
        }
        out.put_u8(*byte);
    }
    out.put_u8(format.quote);
}
