//! COPY TO STDOUT, masked as it streams: text, CSV and PostgreSQL's own binary format.
//!
//! PostgreSQL sends one row in one message, but nothing here relies on it: rows may be split and joined. What cannot be read as the
//! statement's options say ends the stream: nothing of it has left.

mod binary;
mod csv;
mod text;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::cell::CellMask;
use super::plan::RowPlan;
use super::{CannotStream, Keys, Masked, Unmasked};
use crate::sql::{CopyFormat, CopyLayout};
use crate::wire::{Format, Frame, HEADER_BYTES, Part, Run, copy_format, server_tag};

/// Longest row that is collected to be masked.
pub const COPY_ROW_BYTES_MAX: usize = 64 << 20;
/// Longest NULL string without digits that is taken for one even if a value could look the same.
const NULL_TOLD_BYTES_MAX: usize = 4;
/// Encodings of clients whose characters may hold bytes that look like ASCII.
const SHIFTING: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "GBK", "BIG5", "UHC", "GB18030", "JOHAB"];

/// What is done with the columns of one COPY TO STDOUT.
#[derive(Debug, Clone)]
pub struct CopyPlan {
    format: CopyFormat,
    columns: Vec<Column>,
    /// `None` if nothing is masked.
    keys: Option<Keys>,
}

/// One column.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// `None` if it passes as it is.
    mask: Option<CellMask>,
}

/// One COPY TO STDOUT on its way.
#[derive(Debug)]
pub struct CopyStream {
    plan: Arc<CopyPlan>,
    /// What has come of a row that is not whole.
    pending: BytesMut,
    rows: Rows,
    begun: bool,
    out: BytesMut,
}

/// How far the rows have been read, by their layout.
#[derive(Debug)]
enum Rows {
    Text(text::Rows),
    Csv(csv::Rows),
    Binary(binary::Rows),
}

impl CopyPlan {
    /// The plan for rows that a plan of DataRows with the same columns masks, made from a description in the format of the COPY.
    ///
    /// # Errors
    /// `CannotStream` if its options leave in doubt what is a value and what is not, or if the plan has no columns of its own.
    pub fn new(rows: &RowPlan, format: &CopyFormat) -> Result<Self, CannotStream> {
        let mut columns: Vec<Column> =
            rows.columns().iter().map(|column| Column { name: column.name.clone(), mask: None }).collect();
        if columns.len() != rows.count {
            return Err(CannotStream);
        }
        let mut at = 0;
        for step in &rows.steps {
            at += step.skip;
            columns.get_mut(at).ok_or(CannotStream)?.mask = Some(step.mask.clone());
            at += 1;
        }
        let masks = columns.iter().any(|column| column.mask.is_some());
        if masks && !is_plain(format) {
            return Err(CannotStream);
        }
        Ok(Self { format: format.clone(), columns, keys: rows.keys.clone().filter(|_| masks) })
    }

    /// True if it passes all rows as they are.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.keys.is_none()
    }

    /// How many columns are masked.
    #[must_use]
    pub fn masked(&self) -> usize {
        self.columns.iter().filter(|column| column.mask.is_some()).count()
    }

    /// True if the delimiters of a COPY can be told from the text in a client's encoding.
    #[must_use]
    pub fn reads(client_encoding: &str) -> bool {
        !SHIFTING.iter().any(|shifting| shifting.eq_ignore_ascii_case(client_encoding))
    }

    /// True if a COPY with these options can be followed.
    #[must_use]
    pub fn follows(format: &CopyFormat) -> bool {
        is_plain(format)
    }

    fn column(&self, index: usize) -> Result<&Column, CannotStream> {
        self.columns.get(index).ok_or(CannotStream)
    }
}

impl CopyStream {
    /// A stream that has not begun.
    #[must_use]
    pub fn new(plan: Arc<CopyPlan>) -> Self {
        let rows = match plan.format.layout {
            CopyLayout::Text => Rows::Text(text::Rows::new(plan.format.header)),
            CopyLayout::Csv => Rows::Csv(csv::Rows::new(plan.format.header, plan.columns.len())),
            CopyLayout::Binary => Rows::Binary(binary::Rows::default()),
        };
        Self { plan, pending: BytesMut::new(), rows, begun: false, out: BytesMut::new() }
    }

    /// Takes CopyOutResponse: the columns and the format must be those of the plan.
    ///
    /// # Errors
    /// `CannotStream` if they are not.
    pub fn begin(&mut self, response: &Unmasked<Frame>) -> Result<(), CannotStream> {
        let told = copy_format(&response.clone().into_raw()).map_err(|_| CannotStream)?;
        let binary = self.plan.format.layout == CopyLayout::Binary;
        self.begun =
            self.plan.is_clear() || told.columns.len() == self.plan.columns.len() && (told.overall == Format::Binary) == binary;
        if self.begun { Ok(()) } else { Err(CannotStream) }
    }

    /// Masks whole CopyData messages. A plan that masks nothing hands back the same bytes. Else every message that ends rows
    /// becomes one that holds them.
    ///
    /// # Errors
    /// `CannotStream` if these are not the rows that the plan is for.
    pub fn data(&mut self, run: Unmasked<Run>) -> Result<Masked<Bytes>, CannotStream> {
        let run = run.into_raw();
        if run.tag != server_tag::COPY_DATA || !self.begun {
            return Err(CannotStream);
        }
        if self.plan.is_clear() {
            return Ok(Masked::new(run.bytes));
        }
        self.out.reserve(run.bytes.len());
        let mut rest: &[u8] = &run.bytes;
        while !rest.is_empty() {
            let (payload, behind) = split(rest)?;
            self.message(payload)?;
            rest = behind;
        }
        Ok(Masked::new(self.out.split().freeze()))
    }

    /// A part of a long CopyData message: only a plan that masks nothing lets it pass.
    ///
    /// # Errors
    /// `CannotStream` if a column is masked, or if this is no CopyData.
    pub fn part(&mut self, part: Unmasked<Part>) -> Result<Masked<Bytes>, CannotStream> {
        let part = part.into_raw();
        let passes = self.begun && self.plan.is_clear() && part.tag == server_tag::COPY_DATA;
        if passes { Ok(Masked::new(part.bytes)) } else { Err(CannotStream) }
    }

    /// Takes CopyDone.
    ///
    /// # Errors
    /// `CannotStream` if a row is not whole.
    pub fn done(&mut self) -> Result<(), CannotStream> {
        if self.begun && self.pending.is_empty() { Ok(()) } else { Err(CannotStream) }
    }

    fn message(&mut self, payload: &[u8]) -> Result<(), CannotStream> {
        let start = self.out.len();
        self.out.put_u8(server_tag::COPY_DATA);
        self.out.put_u32(0);
        if self.pending.is_empty() {
            let taken = self.rows.take(&self.plan, payload, &mut self.out)?;
            self.pending.extend_from_slice(payload.get(taken..).ok_or(CannotStream)?);
        } else {
            if self.pending.len().saturating_add(payload.len()) > COPY_ROW_BYTES_MAX {
                return Err(CannotStream);
            }
            self.pending.extend_from_slice(payload);
            let taken = self.rows.take(&self.plan, &self.pending, &mut self.out)?;
            bytes::Buf::advance(&mut self.pending, taken);
        }
        let length = self.out.len() - start - 1;
        if length == HEADER_BYTES - 1 && !payload.is_empty() {
            self.out.truncate(start);
            return Ok(());
        }
        let length = i32::try_from(length).map_err(|_| CannotStream)?;
        *self.out.get_mut(start + 1..).and_then(|rest| rest.first_chunk_mut()).ok_or(CannotStream)? = length.to_be_bytes();
        Ok(())
    }
}

impl Rows {
    /// Takes the whole rows that `data` begins with; how many bytes they are.
    fn take(&mut self, plan: &CopyPlan, data: &[u8], out: &mut BytesMut) -> Result<usize, CannotStream> {
        match self {
            Self::Text(rows) => rows.take(plan, data, out),
            Self::Csv(rows) => rows.take(plan, data, out),
            Self::Binary(rows) => rows.take(plan, data, out),
        }
    }
}

/// The payload of the first CopyData message, and what is behind it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), CannotStream> {
    let (&[tag, a, b, c, d], _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(CannotStream)?;
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).ok().and_then(|length| length.checked_add(1));
    let (frame, behind) = length.and_then(|length| bytes.split_at_checked(length)).ok_or(CannotStream)?;
    match frame.get(HEADER_BYTES..) {
        Some(payload) if tag == server_tag::COPY_DATA => Ok((payload, behind)),
        _ => Err(CannotStream),
    }
}

/// True if values, delimiters and NULL can be told apart for certain.
fn is_plain(format: &CopyFormat) -> bool {
    let CopyFormat { layout, delimiter, null, quote, escape, other, .. } = format;
    let line = |byte: u8| matches!(byte, b'\n' | b'\r' | 0) || !byte.is_ascii();
    let null = null.as_bytes();
    if *other {
        return false;
    }
    let nulls = !null.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) && !null.contains(delimiter);
    match layout {
        CopyLayout::Binary => true,
        CopyLayout::Text => {
            let reserved =
                line(*delimiter) || b"\\.".contains(delimiter) || delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit();
            nulls && !reserved && text::null_is_told(null, *delimiter)
        }
        CopyLayout::Csv => {
            let marks = !line(*delimiter) && !line(*quote) && !line(*escape) && delimiter != quote;
            nulls && marks && !null.contains(quote)
        }
    }
}
