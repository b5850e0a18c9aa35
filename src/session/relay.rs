//! One session's conversation: the only place that knows in which order the rooms are visited.
//!
//! ```text
//! client bytes -> wire -> flow -> sql -> policy -> log -> database
//! database -> wire -> flow -> mask -> log -> client bytes
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::cancels::Done;
use super::copy::{self, Copying, Data};
use super::door::{Moved, READ_BYTES, SMALL_READ_BYTES, door, gone, next_read_bytes};
use super::ground::{Ground, View};
use super::hold::Hold;
use super::long::Passing;
use super::meter::Meter;
use super::names::Names;
use super::notice::Noticed;
use super::outbox::Outbox;
use super::plan::Plan;
use super::recording::{Recording, Released};
use super::ruling::Ruling;
use super::tenure::{Doing, Tenure};
use super::tidings::Circle;
use super::{End, House, Signal};
use crate::flow::{self, Flow, Next, Output, ToClient, Violation};
use crate::ledger::SessionId;
use crate::mask::{self, Exposure, Masked, RowPlan, Unmasked};
use crate::store::Position;
use crate::wire::{
    CancelKey, ErrorFields, Frame, Limits, Malformed, ParameterStatus, Piece, Place, Splitter, TransactionStatus, client_tag,
    server_tag,
};

/// A socket is not read from while so many bytes wait for the other one.
const BACKLOG_BYTES_MAX: u64 = 1 << 20;
/// Longest Query, Parse or Bind that is read; longer ones are refused, or passed on unread.
const CLIENT_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Longest message of the database that is collected, rows apart.
const SERVER_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Longest row that is collected to be masked.
const VEILED_ROW_BYTES_MAX: usize = 64 << 20;
/// Longer rows that need no masking, and longer COPY data, stream in parts.
const PASSED_ROW_BYTES_MAX: usize = 32 * 1024;
/// Most bytes that a client may send ahead while its statement is held.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// The state of one session after login.
pub(super) struct Relay<C, S> {
    pub(super) client: C,
    pub(super) server: S,
    pub(super) from_client: Splitter,
    pub(super) from_server: Splitter,
    pub(super) to_client: Outbox,
    pub(super) to_server: Outbox,
    pub(super) flow: Flow<Ruling, Plan>,
    pub(super) recording: Recording,
    pub(super) names: Names,
    pub(super) view: Arc<View>,
    pub(super) ground: Arc<Ground>,
    pub(super) house: Arc<House>,
    pub(super) identity: String,
    pub(super) groups: Vec<String>,
    pub(super) session: SessionId,
    pub(super) upstream_key: Option<CancelKey>,
    tenure: Tenure,
    in_transaction: bool,
    /// What the conversation could not take yet.
    pub(super) waiting: Option<Piece>,
    /// The exchange whose message is passed on unread, and how much of it has been.
    pub(super) passing: Passing,
    pub(super) hold: Option<Hold>,
    pub(super) meter: Meter,
    /// Rows past the line that a rule draws: they wait for a person.
    withheld: Option<Piece>,
    /// The database is to be told that a statement was denied amid its rows, before anything else is said.
    pub(super) cancelling: bool,
    /// DDL has run in the transaction that is open.
    ddl_open: bool,
    /// The client has said goodbye, or has gone; what it asked for before is carried out if it said so.
    leaving: Option<End>,
    /// The server has said something fatal: it will close, and no word of ours is to follow.
    last_word: bool,
    /// The plan that the RowDescription on its way to the client stands for.
    described: Option<Arc<Plan>>,
    /// The notification on its way to the client, and whether this process knows its sender and payload.
    tiding: Option<bool>,
    pub(super) noticed: Noticed,
    /// Dropped by the task that asks the server to cancel, when it has.
    pub(super) cancel_sent: Option<oneshot::Receiver<()>>,
    masked_rows: BytesMut,
    pub(super) copying: Copying,
    /// The COPY that is being answered cannot be masked: it is broken off.
    pub(super) unfollowed: bool,
    client_read_bytes: usize,
    server_read_bytes: usize,
    pub(super) out: Vec<Output<Ruling, Plan>>,
}

/// What woke the session up.
enum Woken {
    ClientRead(usize),
    ServerRead(usize),
    Wrote,
    ServerDeaf,
    Logged,
    Answered(crate::approval::Verdict),
    Cancel(Done),
    CancelSent,
    Shutdown,
    Ended(End),
    Due,
}

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// Starts behind the first ReadyForQuery. `ahead` holds what the client has sent already.
    #[allow(clippy::too_many_arguments, reason = "one session is made of this many things")]
    pub(super) fn new(
        (client, ahead): (C, BytesMut),
        (server, behind): (S, BytesMut),
        recording: Recording,
        names: Names,
        (ground, view): (Arc<Ground>, Arc<View>),
        house: Arc<House>,
        (identity, groups, session): (String, Vec<String>, SessionId),
        upstream_key: Option<CancelKey>,
        tenure: Tenure,
    ) -> Self {
        let veiled = !view.sight.masks.is_empty();
        let mut from_client =
            Splitter::new(Limits { whole_bytes_max: CLIENT_MESSAGE_BYTES_MAX, bulk: b"d", bulk_bytes_max: PASSED_ROW_BYTES_MAX });
        let mut from_server = Splitter::new(Limits {
            whole_bytes_max: SERVER_MESSAGE_BYTES_MAX,
            bulk: b"Dd",
            bulk_bytes_max: if veiled { VEILED_ROW_BYTES_MAX } else { PASSED_ROW_BYTES_MAX },
        });
        from_client.buffer().unsplit(ahead);
        from_server.buffer().unsplit(behind);
        Self {
            client,
            server,
            from_client,
            from_server,
            to_client: Outbox::default(),
            to_server: Outbox::default(),
            flow: Flow::new(),
            recording,
            names,
            view,
            ground,
            house,
            identity,
            groups,
            session,
            upstream_key,
            tenure,
            in_transaction: false,
            waiting: None,
            passing: Passing::default(),
            hold: None,
            meter: Meter::default(),
            withheld: None,
            cancelling: false,
            ddl_open: false,
            leaving: None,
            last_word: false,
            described: None,
            tiding: None,
            noticed: Noticed::default(),
            cancel_sent: None,
            masked_rows: BytesMut::new(),
            copying: Copying::default(),
            unfollowed: false,
            client_read_bytes: SMALL_READ_BYTES,
            server_read_bytes: SMALL_READ_BYTES,
            out: Vec::new(),
        }
    }

    /// Runs the session to its end.
    pub(super) async fn run(&mut self, signals: &mut super::Signals) -> End {
        loop {
            if let Err(end) = self.turn().await {
                return end;
            }
            if let Some(end) = &self.leaving
                && self.has_said_everything()
            {
                return end.clone();
            }
            if let Some(end) = self.tenure.over(Instant::now(), self.doing()) {
                return end;
            }
            match self.wake(signals).await {
                Ok(Woken::Shutdown) => return End::Shutdown,
                Ok(Woken::Ended(end)) => return end,
                Ok(Woken::Due) => signals.look_again_at(self.tenure.next(Instant::now(), self.doing())),
                Ok(woken) => {
                    if let Err(end) = self.woken(woken).await {
                        return end;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    /// Takes what both sides have said as far as it goes, and gives the gates their positions in the log.
    async fn turn(&mut self) -> Result<(), End> {
        self.server_pieces()?;
        while std::mem::take(&mut self.cancelling) {
            self.cancel_denied().await;
            self.server_pieces()?;
        }
        if self.hold.is_some() {
            self.ask_when_quiet()?;
        }
        self.client_pieces().await?;
        let recorded = self.recording.flush_unless_busy().map_err(|_| End::LogFailed)?;
        let position = self.recording.position();
        self.to_server.gate(position);
        if recorded {
            self.to_client.gate(position);
        }
        self.recording.recorder().room().await.map_err(|_| End::LogFailed)
    }

    fn doing(&self) -> Doing {
        Doing { quiet: self.flow.is_quiet() && self.hold.is_none(), in_transaction: self.in_transaction }
    }

    fn has_said_everything(&self) -> bool {
        self.leaving != Some(End::Terminated)
            || self.flow.is_copying_in()
            || (self.flow.is_quiet() && self.to_server.waiting_bytes() == 0 && self.to_client.waiting_bytes() == 0)
    }

    // ---- client -> flow -> sql -> policy -> log -> database

    async fn client_pieces(&mut self) -> Result<(), End> {
        // A cancel request on its way hits whatever runs when it arrives: nothing new may run before.
        while self.hold.is_none()
            && self.leaving.is_none()
            && self.cancel_sent.is_none()
            && self.to_server.waiting_bytes() < BACKLOG_BYTES_MAX
        {
            let piece = match self.waiting.take() {
                Some(piece) if self.flow.is_quiet() || self.flow.is_copying_in() => Some(piece),
                Some(piece) => {
                    self.waiting = Some(piece);
                    None
                }
                None => self.from_client.next().map_err(|fault| End::protocol(&fault))?,
            };
            match piece {
                Some(Piece::Frame(frame)) => self.client_frame(frame).await?,
                Some(Piece::Run(run)) => self.flow.copy_data(run.bytes, &mut self.out),
                Some(Piece::Part(part)) if part.tag == client_tag::COPY_DATA => self.flow.copy_data(part.bytes, &mut self.out),
                Some(Piece::Part(part)) => self.pass_on(part.bytes, part.place == Place::Last)?,
                Some(Piece::Oversize { frame_bytes, head, .. }) => self.long(head, frame_bytes).await?,
                None => break,
            }
            self.dispatch()?;
        }
        Ok(())
    }

    async fn client_frame(&mut self, frame: Frame) -> Result<(), End> {
        let next = match self.flow.client(frame.clone(), &mut self.out) {
            // A malformed statement is an error, as it is to the server; nothing of it has been forwarded.
            Err(Violation::Client(fault)) if !matches!(fault, Malformed::Tag(_)) => return self.malformed(frame, &fault),
            next => next.map_err(|violation| violated(&violation))?,
        };
        match next {
            Next::Go => {}
            Next::Quiet(frame) => self.waiting = Some(Piece::Frame(frame)),
            Next::Terminate => self.leaving = Some(End::Terminated),
            Next::Ask(asked) => self.rule(asked).await?,
        }
        Ok(())
    }

    // ---- database -> flow -> mask -> log -> client

    fn server_pieces(&mut self) -> Result<(), End> {
        while !self.is_stopped() && !self.cancelling {
            let piece = match self.withheld.take() {
                Some(piece) => piece,
                None => match self.from_server.next().map_err(|_| End::ServerGone)? {
                    Some(piece) => piece,
                    None => break,
                },
            };
            let (piece, past) = self.meter.admit(self.flow.answering(), piece);
            if let Some(piece) = piece {
                self.server_piece(piece)?;
            }
            if past.is_some() {
                self.withheld = past;
                self.hold_rows()?;
            }
        }
        Ok(())
    }

    fn server_piece(&mut self, piece: Piece) -> Result<(), End> {
        let taken = match piece {
            Piece::Frame(frame) => {
                self.heed(&frame);
                let statement = self.flow.place();
                let plan = |frame: &Frame, ruling: &Ruling| {
                    let plan = copy::plan(frame, ruling).unwrap_or_else(|| ruling.plan(frame, statement));
                    plan.map_err(Violation::Server)
                };
                let describes = frame.tag() == server_tag::ROW_DESCRIPTION;
                let taken = self.flow.server(frame, plan, &mut self.out);
                // The rows of a Query are described by the message that the client gets.
                let shown = describes && matches!(self.out.last(), Some(Output::ToClient { what: ToClient::Message(_), .. }));
                self.described = if shown { self.flow.plan().map(Arc::clone) } else { None };
                taken
            }
            Piece::Run(run) => self.flow.rows(run, &mut self.out),
            Piece::Part(part) => self.flow.row_part(part, &mut self.out),
            Piece::Oversize { tag, .. } => Err(Violation::OutOfPlace(tag)),
        };
        taken.map_err(|violation| violated(&violation))?;
        self.dispatch()?;
        if std::mem::take(&mut self.unfollowed) { self.break_off() } else { Ok(()) }
    }

    /// True while a person is asked amid rows: nothing more is taken from the database.
    fn is_stopped(&self) -> bool {
        self.hold.as_ref().is_some_and(Hold::is_amid_rows)
    }

    /// What the server reports of its settings matters to the next text; a fatal error is its last word; a notification may be one
    /// that this process knows.
    fn heed(&mut self, frame: &Frame) {
        self.tiding = None;
        match frame.tag() {
            server_tag::PARAMETER_STATUS => {
                if let Ok(status) = ParameterStatus::read(frame) {
                    self.names.parameter(&status.name, &status.value);
                }
            }
            server_tag::NOTIFICATION_RESPONSE => self.tiding = Some(self.house.tidings.knows(self.circle(), frame)),
            // A crash, or an immediate shutdown, is told as a warning.
            server_tag::NOTICE_RESPONSE => {
                self.last_word |= matches!(ErrorFields::find(frame, b'C'), Some(b"57P01" | b"57P02"));
            }
            server_tag::ERROR_RESPONSE => {
                let severity = ErrorFields::find(frame, b'V').or_else(|| ErrorFields::find(frame, b'S'));
                self.last_word |= matches!(severity, Some(b"FATAL" | b"PANIC"));
            }
            _ => {}
        }
    }

    /// Who may see what this session sends to listeners, and the other way round.
    pub(super) fn circle(&self) -> Circle<'_> {
        Circle { database: &self.ground.name, groups: &self.groups }
    }

    /// Sends what the conversation gave out on its way.
    pub(super) fn dispatch(&mut self) -> Result<(), End> {
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            match output {
                Output::ToServer(bytes) => self.to_server.push(bytes),
                Output::ToClient { number, ruling, what } => self.show(number, ruling.as_ref(), what)?,
                Output::End { number, ruling, statement, how, .. } => {
                    self.recording.ended(number, &how).map_err(|_| End::LogFailed)?;
                    self.meter.ended(number, &how);
                    self.copying.ended();
                    self.ended(ruling.as_ref(), statement, &how);
                }
                Output::Ready(status) => self.ready(status),
            }
        }
        self.out = out;
        Ok(())
    }

    /// What the server may say where it speaks for a ruling, or for none. A notification is of whoever sent it.
    fn exposure(&mut self, ruling: Option<&Ruling>) -> Exposure {
        let veiled = !self.view.sight.masks.is_empty();
        match (self.tiding.take(), ruling) {
            (Some(known), _) if veiled && !known => Exposure::Touched,
            (Some(_), _) => Exposure::Clear,
            (None, Some(ruling)) => ruling.exposure(),
            (None, None) if veiled => Exposure::Touched,
            (None, None) => Exposure::Clear,
        }
    }

    fn show(&mut self, number: u64, ruling: Option<&Ruling>, what: ToClient<Plan>) -> Result<(), End> {
        let exposure = self.exposure(ruling);
        let unmaskable = |_| End::Unmaskable;
        if let Some(plan) = self.described.take() {
            self.recording.rows_begin(number, ruling, Some(&plan)).map_err(|_| End::LogFailed)?;
        }
        let (masked, released) = match what {
            ToClient::Message(frame) => (mask::message(frame, exposure), Released::Message),
            ToClient::Own(bytes) => (mask::own(bytes), Released::Message),
            ToClient::Rows(run, plan) => return self.show_rows(number, ruling, run, plan.as_deref()),
            ToClient::RowPart(part, plan) => {
                self.notice(number, ruling, plan.as_deref())?;
                let clear = RowPlan::clear();
                let plan = plan.as_ref().map_or(&clear, |plan| &plan.rows);
                (plan.part(part).map_err(unmaskable)?, Released::Bulk { rows: 0 })
            }
            ToClient::CopyBegins(frame, plan) => {
                self.unfollowed |= self.copying.begin(number, ruling, plan.as_deref(), &frame).is_err();
                (mask::message(frame, exposure), Released::Message)
            }
            ToClient::CopyEnds(frame) => {
                self.unfollowed |= self.copying.end().is_err();
                (mask::message(frame, exposure), Released::Message)
            }
            ToClient::Copy(run) => (self.copied(Data::Run(run), exposure), Released::Bulk { rows: 0 }),
            ToClient::CopyPart(part) => (self.copied(Data::Part(part), exposure), Released::Bulk { rows: 0 }),
        };
        if self.unfollowed {
            return Ok(());
        }
        self.release(number, ruling, masked, released)
    }

    fn show_rows(
        &mut self,
        number: u64,
        ruling: Option<&Ruling>,
        run: Unmasked<crate::wire::Run>,
        plan: Option<&Plan>,
    ) -> Result<(), End> {
        let rows = run.rows();
        self.notice(number, ruling, plan)?;
        self.recording.rows_begin(number, ruling, plan).map_err(|_| End::LogFailed)?;
        let masked = match plan {
            Some(plan) => plan.rows.rows(run, &mut self.masked_rows),
            None => RowPlan::clear().rows(run, &mut self.masked_rows),
        };
        let masked = masked.map_err(|_| End::Unmaskable)?;
        self.release(number, ruling, masked, Released::Bulk { rows })
    }

    /// The log first, then the client.
    pub(super) fn release(
        &mut self,
        number: u64,
        ruling: Option<&Ruling>,
        masked: Masked<Bytes>,
        what: Released,
    ) -> Result<(), End> {
        if masked.get().is_empty() {
            return Ok(());
        }
        self.recording.released(number, ruling, &masked, what).map_err(|_| End::LogFailed)?;
        self.to_client.push(masked.into_inner());
        Ok(())
    }

    fn ended(&mut self, ruling: Option<&Ruling>, statement: usize, how: &flow::Ended) {
        let failed = matches!(how, flow::Ended::Failed(_));
        if failed || matches!(how, flow::Ended::Complete(tag) if tag.starts_with(b"ROLLBACK")) {
            self.names.undone();
        }
        let Some(ruling) = ruling else { return };
        if !failed && let Some(facts) = ruling.verdict().analysis.statements.get(statement) {
            self.names.completed(facts);
        }
        for facts in &ruling.verdict().analysis.statements {
            if facts.shifts.iter().any(|shift| matches!(shift, crate::sql::Shift::Catalog | crate::sql::Shift::Anything)) {
                self.ground.mark_stale();
                self.ddl_open = true;
            }
        }
    }

    fn ready(&mut self, status: TransactionStatus) {
        self.names.ready();
        self.in_transaction = status != TransactionStatus::Idle;
        self.tenure.active(Instant::now());
        if status == TransactionStatus::Idle {
            self.names.settled();
            self.meter.settled();
            if std::mem::take(&mut self.ddl_open) {
                self.ground.mark_stale();
            }
        }
    }

    // ---- waiting

    /// Waits until something moves. Every branch is cancel safe: sockets are polled, not awaited.
    async fn wake(&mut self, signals: &mut super::Signals) -> Result<Woken, End> {
        let durable = self.recording.durable();
        let read_client = self.leaving.is_none()
            && self.to_server.waiting_bytes() < BACKLOG_BYTES_MAX
            && (self.hold.is_none() && self.waiting.is_none() && self.cancel_sent.is_none()
                || self.from_client.buffer().len() < AHEAD_BYTES_MAX);
        let read_server = self.to_client.waiting_bytes() < BACKLOG_BYTES_MAX && !self.is_stopped();
        let awaited = [self.to_client.awaited(durable), self.to_server.awaited(durable), self.recording.held_back()];
        let awaited = awaited.into_iter().flatten().min();
        // What is written then changes nothing that is waited for here.
        let flowing = self.leaving.is_none()
            && self.to_server.waiting_bytes() < BACKLOG_BYTES_MAX
            && self.to_client.waiting_bytes() < BACKLOG_BYTES_MAX;
        let Self { client, server, from_client, from_server, to_client, to_server, recording, hold, cancel_sent, .. } = self;
        let ask = from_client.lacking_bytes().clamp(self.client_read_bytes, READ_BYTES * 16);
        let serve = from_server.lacking_bytes().clamp(self.server_read_bytes, READ_BYTES * 16);
        tokio::select! {
            moved = door(client, read_client.then_some((from_client.buffer(), ask)), to_client, durable, flowing) => match moved {
                Ok(Moved::Read(bytes)) => Ok(Woken::ClientRead(bytes)),
                Ok(Moved::Wrote) => Ok(Woken::Wrote),
                Ok(Moved::Deaf) | Err(_) => Err(End::ClientGone),
            },
            moved = door(server, read_server.then_some((from_server.buffer(), serve)), to_server, durable, flowing) => match moved {
                Ok(Moved::Read(bytes)) => Ok(Woken::ServerRead(bytes)),
                Ok(Moved::Wrote) => Ok(Woken::Wrote),
                Ok(Moved::Deaf) => Ok(Woken::ServerDeaf),
                Err(_) => Ok(Woken::ServerRead(0)),
            },
            logged = recording.recorder().wait(Position(awaited.unwrap_or(u64::MAX))), if awaited.is_some() => match logged {
                Ok(()) => Ok(Woken::Logged),
                Err(_) => Err(End::LogFailed),
            },
            verdict = Hold::answer(hold), if hold.as_ref().is_some_and(Hold::is_asked) => Ok(Woken::Answered(verdict)),
            () = gone(cancel_sent) => Ok(Woken::CancelSent),
            signal = signals.next() => Ok(match signal {
                Signal::Cancel(done) => Woken::Cancel(done),
                Signal::Shutdown => Woken::Shutdown,
                Signal::End(end) => Woken::Ended(end),
                Signal::Due => Woken::Due,
            }),
        }
    }

    async fn woken(&mut self, woken: Woken) -> Result<(), End> {
        match woken {
            Woken::ClientRead(bytes) => {
                self.client_read_bytes = next_read_bytes(bytes);
                self.tenure.active(Instant::now());
            }
            Woken::ServerRead(bytes) => self.server_read_bytes = next_read_bytes(bytes),
            _ => {}
        }
        match woken {
            Woken::ClientRead(0) => Err(End::ClientGone),
            Woken::ServerRead(0) => {
                // Its last words may stand in the buffer.
                self.server_pieces()?;
                Err(match self.leaving {
                    Some(_) => End::Terminated,
                    None if self.last_word => End::ServerClosed,
                    None => End::ServerGone,
                })
            }
            Woken::ServerDeaf => {
                self.to_server.close();
                Ok(())
            }
            Woken::ClientRead(_) | Woken::ServerRead(_) | Woken::Wrote | Woken::Logged => Ok(()),
            Woken::Answered(verdict) => self.answered(verdict),
            Woken::Cancel(done) => self.cancel(done),
            Woken::CancelSent => {
                self.cancel_sent = None;
                Ok(())
            }
            Woken::Shutdown | Woken::Ended(_) | Woken::Due => Ok(()),
        }
    }
}

pub(super) fn violated(violation: &Violation) -> End {
    match violation {
        Violation::Client(fault) => End::protocol(fault),
        Violation::Names => End::Protocol("protocol violation: too many prepared statements or portals".into()),
        Violation::Server(_) | Violation::OutOfPlace(_) | Violation::Undescribed => End::Unmaskable,
    }
}
