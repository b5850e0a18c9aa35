//! One session's conversation: the only place that knows in which order the rooms are visited.
//!
//! ```text
//! client bytes -> wire -> flow -> sql -> policy -> log -> database
//! database -> wire -> flow -> mask -> log -> client bytes
//! ```

mod wait;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::copy::{Copying, Data};
use super::door::SMALL_READ_BYTES;
use super::ground::{Ground, Mark, Stir, View};
use super::hold::Hold;
use super::lag::Lag;
use super::long::Passing;
use super::meter::Meter;
use super::names::Names;
use super::notice::Noticed;
use super::outbox::Outbox;
use super::plan::Plan;
use super::recording::{Recording, Released};
use super::ruling::{Ruling, Verdict};
use super::share::Share;
use super::tenure::{Doing, Tenure};
use super::tidings::Circle;
use super::{Bounds, End, House};
use crate::flow::{self, Flow, Next, Output, ToClient, Violation};
use crate::identity::Identity;
use crate::ledger::SessionId;
use crate::mask::{self, Exposure, Masked, RowPlan, Unmasked};
use crate::tally::Tallied;
use crate::wire::{
    CancelKey, ErrorFields, Frame, Limits, Malformed, ParameterStatus, Piece, Place, Splitter, TransactionStatus, client_tag,
    server_tag,
};

/// A socket is not read from while so many bytes wait for the other one.
const BACKLOG_BYTES_MAX: u64 = 1 << 20;
/// Longest message of the database that is collected, rows apart.
const SERVER_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Longest row that is collected to be masked.
pub(super) const VEILED_ROW_BYTES_MAX: usize = 64 << 20;
/// Longer rows that need no masking, and longer COPY data, stream in parts.
const PASSED_ROW_BYTES_MAX: usize = 32 * 1024;

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
    pub(super) who: Arc<Identity>,
    pub(super) session: SessionId,
    /// What this session's lines in the log on standard error belong to.
    pub(super) span: tracing::Span,
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
    /// Something that changes the catalog is under way.
    pub(super) stir: Option<Stir>,
    /// Now, as of the message that is ruled upon.
    pub(super) mark: Mark,
    /// Until ReadyForQuery the server may speak of more than was thought.
    strict: bool,
    /// The verdict as of now on the text whose rows are being described, if it may mean something else by now.
    anew: Option<Arc<Verdict>>,
    /// The client has said goodbye, or nothing more is to be done for one that is silent; what was asked for before is answered.
    pub(super) leaving: Option<End>,
    /// The client's side is shut. What it sent before is carried out, as the server would, and answered as far as somebody reads.
    pub(super) silent: bool,
    /// Every message of the client's that has come whole was taken.
    heard: bool,
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
    /// The process is to end: so is this session, when nothing is under way.
    pub(super) draining: bool,
    pub(super) tallied: Tallied,
    lag: Lag,
    pub(super) share: Share,
    pub(super) bounds: Bounds,
    client_read_bytes: usize,
    server_read_bytes: usize,
    pub(super) out: Vec<Output<Ruling, Plan>>,
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
        (who, session, span): (Arc<Identity>, SessionId, tracing::Span),
        upstream_key: Option<CancelKey>,
        tenure: Tenure,
    ) -> Self {
        let veiled = !view.sight.masks.is_empty();
        let mark = ground.mark();
        let (bounds, tallied) = (house.bounds(), ground.counts.session());
        let whole_bytes_max = bounds.statement_bytes_max;
        let mut from_client = Splitter::new(Limits { whole_bytes_max, bulk: b"d", bulk_bytes_max: PASSED_ROW_BYTES_MAX });
        let mut from_server = Splitter::new(Limits {
            whole_bytes_max: SERVER_MESSAGE_BYTES_MAX,
            bulk: b"Dd",
            bulk_bytes_max: if veiled { VEILED_ROW_BYTES_MAX } else { PASSED_ROW_BYTES_MAX },
        });
        from_client.buffer().unsplit(ahead);
        from_server.buffer().unsplit(behind);
        Self {
            draining: false,
            lag: Lag::new(tallied.clone()),
            tallied,
            share: Share::new(house.queued.clone()),
            bounds,
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
            identity: who.name.clone(),
            groups: who.groups.clone(),
            who,
            session,
            span,
            upstream_key,
            tenure,
            in_transaction: false,
            waiting: None,
            passing: Passing::default(),
            hold: None,
            meter: Meter::default(),
            withheld: None,
            cancelling: false,
            stir: None,
            mark,
            anew: None,
            strict: false,
            leaving: None,
            silent: false,
            heard: false,
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

    /// Takes what both sides have said as far as it goes, and gives the gates their positions in the log.
    async fn turn(&mut self) -> Result<(), End> {
        self.server_pieces().await?;
        while std::mem::take(&mut self.cancelling) {
            self.cancel_denied().await;
            self.server_pieces().await?;
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
        self.lag.gated(position);
        self.weigh()?;
        self.recording.recorder().room().await.map_err(|_| End::LogFailed)
    }

    fn doing(&self) -> Doing {
        Doing { quiet: self.flow.is_quiet() && self.hold.is_none(), in_transaction: self.in_transaction }
    }

    fn has_said_everything(&self) -> bool {
        let answered = self.to_client.waiting_bytes() == 0;
        match self.leaving {
            Some(End::Terminated) => {
                self.flow.is_copying_in() || (self.flow.is_quiet() && self.to_server.waiting_bytes() == 0 && answered)
            }
            Some(End::ClientGone) => answered,
            _ => true,
        }
    }

    /// What becomes of a session whose client says nothing more. Where something is under way the server is told as much, and
    /// does what it does: it goes on, or waits no longer for data or a Sync. Nobody is asked for somebody who has left.
    fn silence(&mut self) -> Result<(), End> {
        if self.hold.as_ref().is_some_and(Hold::is_asked) {
            return Err(End::ClientGone);
        }
        if self.hold.is_some() || self.leaving.is_some() || !self.heard || self.waiting.is_some() || self.cancel_sent.is_some() {
            return Ok(());
        }
        if !self.flow.is_quiet() || self.flow.is_copying_in() {
            self.to_server.end();
        } else if self.to_server.waiting_bytes() == 0 && self.to_client.waiting_bytes() == 0 {
            return Err(End::ClientGone);
        }
        Ok(())
    }

    // ---- client -> flow -> sql -> policy -> log -> database

    async fn client_pieces(&mut self) -> Result<(), End> {
        self.heard = false;
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
                None => {
                    self.heard = self.waiting.is_none();
                    break;
                }
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

    async fn server_pieces(&mut self) -> Result<(), End> {
        while !self.is_stopped() && !self.cancelling {
            let piece = match self.withheld.take() {
                Some(piece) => piece,
                None => match self.from_server.next().map_err(|_| End::ServerGone)? {
                    Some(piece) => piece,
                    None => break,
                },
            };
            self.anew = match &piece {
                Piece::Frame(frame) if frame.tag() == server_tag::ROW_DESCRIPTION => self.judged_anew(frame).await?,
                _ => None,
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

    /// The verdict on the text that a description answers, as of now, where it leans on what the text says and may mean something
    /// else than when it was ruled upon. From the description on the statement holds the locks that keep its relations as they
    /// are, so a look at the catalog now shows what it means.
    async fn judged_anew(&mut self, frame: &Frame) -> Result<Option<Arc<Verdict>>, End> {
        let Some(ruling) = self.flow.ruling().filter(|ruling| flow::Ruling::veiled(*ruling)) else { return Ok(None) };
        let leans = || ruling.plan(frame, self.flow.place(), None).is_ok_and(|plan| plan.rows.leans_on_text());
        if !(self.ground.may_have_moved(ruling.since()) || ruling.touched() && leans()) {
            return Ok(None);
        }
        let ruling = ruling.clone();
        let verdict = ruling.verdict();
        let view = self.ground.view_now(&self.groups, &self.view).await.map_err(|_| End::Unmaskable)?;
        self.adopt(view)?;
        if Arc::ptr_eq(&verdict.sight, &self.view.sight) {
            return Ok(None);
        }
        let anew = self.current(verdict);
        if ruling.is_stricter(&anew) {
            self.strict = true;
            // What it stores by now may be read again.
            if anew.analysis.statements.iter().any(|facts| !facts.stores.is_empty()) {
                return Err(End::Unmaskable);
            }
        }
        Ok(Some(anew))
    }

    fn server_piece(&mut self, piece: Piece) -> Result<(), End> {
        let taken = match piece {
            Piece::Frame(frame) => {
                self.heed(&frame);
                let (statement, anew) = (self.flow.place(), self.anew.take());
                let plan =
                    |frame: &Frame, ruling: &Ruling| ruling.plan(frame, statement, anew.as_ref()).map_err(Violation::Server);
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
            (None, Some(_)) if self.strict => Exposure::Touched,
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
            ToClient::Rows(run, plan) => return self.show_rows(number, ruling, run, plan.as_ref()),
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
        plan: Option<&Arc<Plan>>,
    ) -> Result<(), End> {
        let rows = run.rows();
        self.notice(number, ruling, plan.map(Arc::as_ref))?;
        self.recording.rows_begin(number, ruling, plan).map_err(|_| End::LogFailed)?;
        self.tallied.rows(rows, plan.map_or(0, |plan| plan.rows.masked()));
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
        if ruling.verdict().moves_catalog() {
            self.ground.mark_stale();
        }
    }

    fn ready(&mut self, status: TransactionStatus) {
        self.names.ready();
        self.strict = false;
        self.in_transaction = status != TransactionStatus::Idle;
        self.tenure.active(Instant::now());
        if status == TransactionStatus::Idle {
            self.names.settled();
            self.meter.settled();
            if self.flow.is_quiet() {
                self.stir = None;
            }
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
