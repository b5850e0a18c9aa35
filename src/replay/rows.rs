//! The messages of an answer turned back into columns, rows and notes.

use bytes::Bytes;

use super::value::text;
use crate::ledger::ColumnSeen;
use crate::wire::{
    Body, ErrorFields, Format, Frame, Limits, MESSAGE_BYTES_MAX, Malformed, Piece, RowDescription, Splitter, command_tag,
    server_tag,
};

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `clear`, `masked`, `placeholder`, `null` or `refused`; empty if none was recorded.
    pub verdict: String,
    /// Why.
    pub reason: String,
    type_oid: u32,
    binary: bool,
}

/// One thing the client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The columns of the rows that follow.
    Columns(Vec<Column>),
    /// A row; `None` for NULL.
    Row(Vec<Option<String>>),
    /// A piece of a COPY.
    Copy(String),
    /// A command is done: its tag.
    Done(String),
    /// An error: severity, SQLSTATE and message, and the detail if there is one.
    Error(String),
    /// A notice, in the same shape.
    Notice(String),
    /// A notification: channel and payload.
    Notification(String, String),
    /// The portal has more rows.
    Suspended,
    /// The text was empty.
    Empty,
    /// A message that is not what its type says.
    Malformed(u8),
}

/// Reads the messages of one answer, part by part.
#[derive(Debug)]
pub struct Reader {
    splitter: Splitter,
    columns: Vec<Column>,
    verdicts: Vec<ColumnSeen>,
}

impl Default for Reader {
    fn default() -> Self {
        let limits = Limits { whole_bytes_max: MESSAGE_BYTES_MAX, bulk: &[], bulk_bytes_max: 0 };
        Self { splitter: Splitter::new(limits), columns: Vec::new(), verdicts: Vec::new() }
    }
}

impl Reader {
    /// The columns of the rows that were read last.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes the next part in: its columns, if it names any, and its messages, which may be cut anywhere.
    pub fn read(&mut self, columns: &[ColumnSeen], frames: &[Bytes]) -> Vec<Seen> {
        let mut seen = Vec::new();
        if !columns.is_empty() {
            self.verdicts = columns.to_vec();
            self.columns = columns.iter().map(column).collect();
            seen.push(Seen::Columns(self.columns.clone()));
        }
        for bytes in frames {
            self.splitter.buffer().extend_from_slice(bytes);
            loop {
                match self.splitter.next() {
                    Ok(Some(Piece::Frame(frame))) => self.frame(&frame, &mut seen),
                    Ok(Some(Piece::Run(_) | Piece::Part(_) | Piece::Oversize { .. })) => seen.push(Seen::Malformed(b'?')),
                    Ok(None) => break,
                    Err(_) => {
                        self.splitter.buffer().clear();
                        seen.push(Seen::Malformed(b'?'));
                        break;
                    }
                }
            }
        }
        seen
    }

    fn frame(&mut self, frame: &Frame, seen: &mut Vec<Seen>) {
        let read = match frame.tag() {
            server_tag::ROW_DESCRIPTION => self.description(frame),
            server_tag::DATA_ROW => self.row(frame).map(|row| Some(Seen::Row(row))),
            server_tag::COPY_DATA => Ok(Some(Seen::Copy(text(0, false, frame.body())))),
            server_tag::COMMAND_COMPLETE => command_tag(frame).map(|tag| Some(Seen::Done(lossy(tag)))),
            server_tag::ERROR_RESPONSE => Ok(Some(Seen::Error(complaint(frame)))),
            server_tag::NOTICE_RESPONSE => Ok(Some(Seen::Notice(complaint(frame)))),
            server_tag::NOTIFICATION_RESPONSE => notification(frame).map(Some),
            server_tag::PORTAL_SUSPENDED => Ok(Some(Seen::Suspended)),
            server_tag::EMPTY_QUERY_RESPONSE => Ok(Some(Seen::Empty)),
            // The rest of the conversation says nothing that a reader of the session needs.
            _ => Ok(None),
        };
        match read {
            Ok(Some(one)) => seen.push(one),
            Ok(None) => {}
            Err(_) => seen.push(Seen::Malformed(frame.tag())),
        }
    }

    /// A RowDescription; `None` if it only repeats the columns that are known.
    fn description(&mut self, frame: &Frame) -> Result<Option<Seen>, Malformed> {
        let fields = RowDescription::read(frame)?.columns;
        let agree = fields.len() == self.verdicts.len()
            && fields.iter().zip(&self.verdicts).all(|(field, verdict)| field.name == verdict.name.as_bytes());
        if agree && !self.columns.is_empty() {
            for (column, field) in self.columns.iter_mut().zip(&fields) {
                (column.type_oid, column.binary) = (field.type_oid, field.format == Format::Binary);
            }
            return Ok(None);
        }
        let columns = fields.iter().map(|field| Column {
            name: lossy(&field.name),
            verdict: String::new(),
            reason: String::new(),
            type_oid: field.type_oid,
            binary: field.format == Format::Binary,
        });
        self.columns = columns.collect();
        self.verdicts.clear();
        Ok(Some(Seen::Columns(self.columns.clone())))
    }

    fn row(&self, frame: &Frame) -> Result<Vec<Option<String>>, Malformed> {
        let mut body = Body::new(frame.tag(), frame.body());
        let count = body.count()?;
        let mut row = Vec::with_capacity(count);
        for place in 0..count {
            let value = body.value()?;
            let known = self.columns.get(place);
            let (type_oid, binary) = known.map_or((0, false), |column| (column.type_oid, column.binary));
            row.push(value.map(|value| text(type_oid, binary, value)));
        }
        body.end().map(|()| row)
    }
}

fn column(seen: &ColumnSeen) -> Column {
    Column {
        name: seen.name.clone(),
        verdict: seen.verdict.clone(),
        reason: seen.reason.clone(),
        type_oid: seen.type_oid,
        binary: seen.binary,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn complaint(frame: &Frame) -> String {
    let field = |kind| ErrorFields::find(frame, kind).map(lossy).unwrap_or_default();
    let mut text = format!("{} {}: {}", field(b'S'), field(b'C'), field(b'M'));
    for (kind, name) in [(b'D', "detail"), (b'H', "hint")] {
        if let Some(value) = ErrorFields::find(frame, kind) {
            text.push_str(&format!("\n{name}: {}", lossy(value)));
        }
    }
    text
}

fn notification(frame: &Frame) -> Result<Seen, Malformed> {
    let mut body = Body::new(frame.tag(), frame.body());
    body.i32()?;
    let (channel, payload) = (lossy(body.string()?), lossy(body.string()?));
    body.end().map(|()| Seen::Notification(channel, payload))
}
