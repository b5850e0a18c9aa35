//! What goes into the log for one session, in the order in which it happens.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::plan::Plan;
use super::ruling::Ruling;
use crate::flow::Ended;
use crate::ledger::{COLUMNS_KNOWN_MAX, ColumnSeen, Event, ExecutionEvent, Parameter, PassedEvent, ReplyEvent, StatementEvent};
use crate::mask::Masked;
use crate::policy::Outcome;
use crate::store::{LogFailed, Recorder};
use crate::wire::{self, Format, Frame, RowDescription, server_tag};

/// A reply is recorded in parts of about this many bytes.
const PART_BYTES: usize = 64 * 1024;
/// Statements whose description is kept for the replies to their executions.
const DESCRIPTIONS_MAX: usize = 1024;

/// Writes one session's entries.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    /// False: decisions are recorded, replies are not.
    replies: bool,
    number: u64,
    position: u64,
    /// The position after the last flush.
    flushed: u64,
    reply: Reply,
    running: VecDeque<(u64, Instant)>,
    /// RowDescriptions that a client has asked for, by the number of the statement.
    descriptions: HashMap<u64, Bytes>,
    /// Columns that stand in the log, each with the number of the entry that has them; the latest last.
    known: VecDeque<(Source, u64)>,
}

/// Where columns come from: the same source, the same columns.
#[derive(Debug, Clone)]
enum Source {
    Plan(Arc<Plan>),
    Description(Bytes, Vec<Format>),
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Each is held, so that no other can come to lie at its address.
            (Self::Plan(one), Self::Plan(other)) => Arc::ptr_eq(one, other),
            (Self::Description(one, formats), Self::Description(other, others)) => one == other && formats == others,
            _ => false,
        }
    }
}

/// What kind of bytes go to the client.
#[derive(Debug, Clone, Copy)]
pub(super) enum Released {
    /// One whole message.
    Message,
    /// Rows or COPY data: whole messages, or a part of one. So many rows begin in it.
    Bulk {
        /// Rows.
        rows: u64,
    },
}

#[derive(Debug, Default)]
struct Reply {
    number: u64,
    frames: Vec<Bytes>,
    columns: Vec<ColumnSeen>,
    columns_of: u64,
    /// It is nothing yet but the answer to a Describe.
    describes: bool,
    /// Where the columns come from, if they are not in the log yet.
    source: Option<Source>,
    bytes: usize,
    rows: u64,
    described: bool,
}

impl Recording {
    pub(super) fn new(recorder: Recorder, replies: bool) -> Self {
        Self {
            recorder,
            replies,
            number: 0,
            position: 0,
            flushed: 0,
            reply: Reply::default(),
            running: VecDeque::new(),
            descriptions: HashMap::new(),
            known: VecDeque::new(),
        }
    }

    /// Position of the last entry.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Position up to which the log has this session's entries.
    pub(super) fn durable(&self) -> u64 {
        self.recorder.durable().0
    }

    /// The recorder, to wait on.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Adds an entry; the next flush writes it.
    ///
    /// # Errors
    /// The log has failed: nothing may run any more.
    pub(super) fn append(&mut self, event: Event) -> Result<(), LogFailed> {
        self.position = self.recorder.stage(event, now_us())?.0;
        Ok(())
    }

    /// Records a text and the decision on it; gives the exchange its number.
    pub(super) fn statement(&mut self, ruling: &super::ruling::Verdict, name: &Bytes, prepared: bool) -> Result<u64, LogFailed> {
        self.number += 1;
        let number = self.number;
        self.append(Event::Statement(StatementEvent {
            number,
            prepared,
            name: Bytes::copy_from_slice(name),
            text: ruling.text.clone(),
            verbs: ruling.verbs.clone(),
            relations: ruling.relations.clone(),
            decision: decision(&ruling.decision.outcome).into(),
            rules: ruling.decision.rules.clone(),
            reasons: ruling.decision.reasons.clone(),
            touches_masked: ruling.decision.touches_masked,
        }))?;
        Ok(number)
    }

    /// Records that a portal is run; gives the exchange its number.
    pub(super) fn execution(
        &mut self,
        ruling: &Ruling,
        portal: &Bytes,
        rows_max: i32,
        outcome: &Outcome,
    ) -> Result<u64, LogFailed> {
        self.number += 1;
        let parameters = ruling.bind().map(parameters).unwrap_or_default();
        self.append(Event::Execution(ExecutionEvent {
            number: self.number,
            statement: ruling.number(),
            portal: Bytes::copy_from_slice(portal),
            rows_max: u32::try_from(rows_max).unwrap_or(0),
            parameters,
            decision: decision(outcome).into(),
        }))?;
        Ok(self.number)
    }

    /// Records a part of a message that goes to the server unread.
    pub(super) fn passed(&mut self, number: u64, at: u64, bytes: Bytes, last: bool) -> Result<(), LogFailed> {
        self.append(Event::Passed(PassedEvent { number, at, last, bytes }))
    }

    /// Exchange `number` goes to the server.
    pub(super) fn forwarded(&mut self, number: u64) {
        self.running.push_back((number, Instant::now()));
    }

    /// A RowDescription that the client has asked for: it belongs to the executions to come. False if it is known.
    fn described(&mut self, statement: u64, description: &Bytes) -> bool {
        if self.descriptions.get(&statement) == Some(description) {
            return false;
        }
        if self.descriptions.len() >= DESCRIPTIONS_MAX {
            self.descriptions.clear();
        }
        // A copy: the message shares memory with everything that was read along with it.
        self.descriptions.insert(statement, Bytes::copy_from_slice(description));
        true
    }

    /// Records something that goes to the client in answer to exchange `number`.
    pub(super) fn released(
        &mut self,
        number: u64,
        ruling: Option<&Ruling>,
        masked: &Masked<Bytes>,
        what: Released,
    ) -> Result<(), LogFailed> {
        let bytes = masked.get();
        let tag = match what {
            Released::Message => bytes.first().copied().unwrap_or_default(),
            Released::Bulk { .. } => server_tag::DATA_ROW,
        };
        if !self.replies || number == 0 || !is_recorded(tag) {
            return Ok(());
        }
        // The answer to a Describe, and not that to a Query.
        let describes = tag == server_tag::ROW_DESCRIPTION && ruling.is_none_or(|ruling| ruling.bind().is_some());
        if tag == server_tag::ROW_DESCRIPTION {
            let statement = ruling.map_or(number, Ruling::number);
            let known = (describes || statement == number) && !self.described(statement, bytes);
            if known && describes {
                // It stands in the log already.
                return Ok(());
            }
        }
        self.turn_to(number, ruling)?;
        self.reply.describes = describes && self.reply.frames.is_empty();
        self.reply.described |= tag == server_tag::ROW_DESCRIPTION;
        self.reply.bytes += bytes.len();
        if let Released::Bulk { rows } = what {
            self.reply.rows += rows;
        }
        self.reply.frames.push(bytes.clone());
        if self.reply.bytes >= PART_BYTES { self.part(false, ReplyEnd::default()) } else { Ok(()) }
    }

    /// Before the description of rows, or the first of them: what they are, and how each column was judged.
    pub(super) fn rows_begin(&mut self, number: u64, ruling: Option<&Ruling>, plan: Option<&Arc<Plan>>) -> Result<(), LogFailed> {
        if !self.replies || (self.reply.number == number && self.reply.described) {
            return Ok(());
        }
        self.turn_to(number, ruling)?;
        self.reply.described = true;
        let source = match (plan, ruling) {
            (Some(plan), _) => Source::Plan(Arc::clone(plan)),
            (None, Some(ruling)) => {
                let Some(description) = self.descriptions.get(&ruling.number()) else { return Ok(()) };
                Source::Description(
                    description.clone(),
                    ruling.bind().map(|bind| bind.result_formats.clone()).unwrap_or_default(),
                )
            }
            (None, None) => return Ok(()),
        };
        match self.known.iter().find(|(known, _)| *known == source) {
            Some((_, entry)) => self.reply.columns_of = *entry,
            None => {
                self.reply.columns = columns(&source);
                self.reply.source = Some(source);
            }
        }
        Ok(())
    }

    /// The columns of a reply stand in the log, in the last entry.
    fn keep(&mut self, source: Source) {
        if self.known.len() >= COLUMNS_KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back((source, self.position));
    }

    /// What comes next answers this exchange. The description of a portal is recorded with the rows that follow it.
    fn turn_to(&mut self, number: u64, ruling: Option<&Ruling>) -> Result<(), LogFailed> {
        if self.reply.number == number {
            return Ok(());
        }
        if self.reply.describes && ruling.is_some_and(|ruling| ruling.number() == self.reply.number) {
            (self.reply.describes, self.reply.described) = (false, false);
        } else {
            self.part(false, ReplyEnd::default())?;
        }
        self.reply.number = number;
        Ok(())
    }

    /// Exchange `number` is answered.
    pub(super) fn ended(&mut self, number: u64, how: &Ended) -> Result<(), LogFailed> {
        let mut end = ReplyEnd::default();
        match how {
            Ended::Complete(tag) => end.tag = String::from_utf8_lossy(tag).into_owned(),
            Ended::Suspended => end.tag = "suspended".into(),
            Ended::Failed(state) => end.sqlstate = String::from_utf8_lossy(state).into_owned(),
            Ended::Empty | Ended::Returned => {}
        }
        while let Some((running, since)) = self.running.front() {
            if *running > number {
                break;
            }
            if *running == number {
                end.duration_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                break;
            }
            self.running.pop_front();
        }
        self.turn_to(number, None)?;
        self.part(true, end)
    }

    /// Records what has been released so far, so that it may leave; false if it is held back, as `held_back` says.
    ///
    /// While the log is busy with what came before, a little more waits for more to come: a stream becomes few large entries.
    pub(super) fn flush_unless_busy(&mut self) -> Result<bool, LogFailed> {
        let busy = self.position == self.flushed && self.durable() < self.position;
        if busy && self.held_back().is_some() {
            self.recorder.commit()?;
            return Ok(false);
        }
        self.flush().map(|()| true)
    }

    /// The position of the log that must be durable before what has been held back is recorded.
    pub(super) fn held_back(&self) -> Option<u64> {
        (!self.reply.frames.is_empty()).then_some(self.position)
    }

    /// Records what has been released so far, so that it may leave.
    pub(super) fn flush(&mut self) -> Result<(), LogFailed> {
        self.part(false, ReplyEnd::default())?;
        self.recorder.commit()?;
        self.flushed = self.position;
        Ok(())
    }

    fn part(&mut self, last: bool, end: ReplyEnd) -> Result<(), LogFailed> {
        if self.reply.number == 0 || (!last && self.reply.frames.is_empty()) {
            return Ok(());
        }
        if !self.replies && end.sqlstate.is_empty() && end.tag.is_empty() {
            self.reply = Reply::default();
            return Ok(());
        }
        let described = self.reply.described && !last;
        let number = self.reply.number;
        let mut reply = std::mem::take(&mut self.reply);
        let source = reply.source.take();
        // The next statement of the same Query has a description of its own.
        self.reply = Reply { number: if last { 0 } else { number }, described, ..Reply::default() };
        self.append(Event::Reply(ReplyEvent {
            number,
            last,
            columns: reply.columns,
            columns_of: reply.columns_of,
            frames: reply.frames,
            rows: reply.rows,
            tag: end.tag,
            sqlstate: end.sqlstate,
            duration_us: end.duration_us,
        }))?;
        source.into_iter().for_each(|source| self.keep(source));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct ReplyEnd {
    tag: String,
    sqlstate: String,
    duration_us: u64,
}

/// Messages that are part of what a person would see; the others only acknowledge.
fn is_recorded(tag: u8) -> bool {
    matches!(
        tag,
        server_tag::ROW_DESCRIPTION
            | server_tag::DATA_ROW
            | server_tag::COMMAND_COMPLETE
            | server_tag::EMPTY_QUERY_RESPONSE
            | server_tag::PORTAL_SUSPENDED
            | server_tag::ERROR_RESPONSE
            | server_tag::NOTICE_RESPONSE
            | server_tag::NOTIFICATION_RESPONSE
            | server_tag::COPY_IN_RESPONSE
            | server_tag::COPY_OUT_RESPONSE
            | server_tag::COPY_DATA
            | server_tag::COPY_DONE
            | server_tag::FUNCTION_CALL_RESPONSE
    )
}

/// The word for an outcome in the log.
pub(super) fn decision(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Forward => "forward",
        Outcome::Hold(_) => "hold",
        Outcome::Block => "block",
    }
}

fn parameters(bind: &wire::Bind) -> Vec<Parameter> {
    let each = bind.parameters.iter().enumerate();
    each.map(|(index, value)| Parameter { binary: bind.parameter_format(index) == Format::Binary, value: value.clone() })
        .collect()
}

/// The columns of a RowDescription as they are seen: by their verdicts, clear without, in the formats that Bind asked for.
fn columns(source: &Source) -> Vec<ColumnSeen> {
    let (description, verdicts, formats) = match source {
        Source::Plan(plan) => (&plan.description, plan.rows.columns(), [].as_slice()),
        Source::Description(description, formats) => (description, [].as_slice(), formats.as_slice()),
    };
    let Ok(frame) = Frame::new(description.clone()) else { return Vec::new() };
    let fields = RowDescription::read(&frame).map(|description| description.columns).unwrap_or_default();
    let each = fields.iter().enumerate().map(|(index, field)| {
        let verdict = verdicts.get(index);
        let format = match formats {
            [] => field.format,
            [one] => *one,
            each => each.get(index).copied().unwrap_or(Format::Text),
        };
        ColumnSeen {
            name: String::from_utf8_lossy(&field.name).into_owned(),
            type_oid: field.type_oid,
            binary: format == Format::Binary,
            verdict: verdict.map_or("clear", |column| column.verdict.as_str()).into(),
            reason: verdict.map(|column| column.reason.clone()).unwrap_or_default(),
        }
    });
    each.collect()
}

/// The time now, in microseconds since 1970.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_micros()).ok()).unwrap_or(0)
}
