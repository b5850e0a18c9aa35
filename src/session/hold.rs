//! A statement that waits for a person, on its own connection.

use std::sync::Arc;

use aws_lc_rs::digest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::End;
use super::cancels::Done;
use super::fault::{self, Fault};
use super::meter::{Count, Stopped};
use super::relay::Relay;
use super::ruling::Ruling;
use crate::approval::{HoldRequest, Shown, Verdict, Waiting};
use crate::backend;
use crate::mask;
use crate::policy::HoldTerms;
use crate::tally::UpstreamFault;
use crate::wire::{Bind, Format};

/// Longest text and parameter that an approver is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// A statement that is held: first until all that stands before it is answered, then until a person answers.
pub(super) struct Hold {
    ruling: Ruling,
    number: u64,
    terms: HoldTerms,
    rules: Vec<String>,
    reasons: Vec<String>,
    /// Held amid its rows: the counts of which one has come to the line.
    counts: Vec<Arc<Count>>,
    waiting: Option<Waiting>,
}

impl Hold {
    /// A hold that waits for the answers to what stands before it.
    pub(super) fn settling(ruling: Ruling, number: u64, terms: HoldTerms) -> Self {
        let decision = &ruling.verdict().decision;
        let (rules, reasons) = (decision.rules.clone(), decision.reasons.clone());
        Self { ruling, number, terms, rules, reasons, counts: Vec::new(), waiting: None }
    }

    /// A hold of a statement that has sent as many rows as it may.
    fn amid_rows(stopped: Stopped) -> Self {
        let Stopped { number, ruling, limit, counts } = stopped;
        let mut reasons = vec![format!("{} rows have been sent, and more follow", limit.rows)];
        reasons.extend(limit.reasons);
        Self { ruling, number, terms: limit.terms, rules: limit.rules, reasons, counts, waiting: None }
    }

    /// True if a person has been asked.
    pub(super) fn is_asked(&self) -> bool {
        self.waiting.is_some()
    }

    /// True if rows of the statement have been sent.
    pub(super) fn is_amid_rows(&self) -> bool {
        !self.counts.is_empty()
    }

    /// The answer. Waits for ever where nobody has been asked. Cancel safe.
    pub(super) async fn answer(hold: &mut Option<Self>) -> Verdict {
        match hold.as_mut().and_then(|hold| hold.waiting.as_mut()) {
            Some(waiting) => waiting.answer().await,
            None => std::future::pending().await,
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// Asks a person, once everything before the held statement is answered.
    pub(super) fn ask_when_quiet(&mut self) -> Result<(), End> {
        let Some(hold) = self.hold.take() else { return Ok(()) };
        if hold.is_asked() || !self.flow.is_quiet() {
            self.hold = Some(hold);
            return Ok(());
        }
        if self.flow.is_skipping() {
            // What stands before has failed: the conversation drops the statement, nobody need be asked.
            self.flow.forward(hold.ruling, hold.number, &mut self.out);
            return self.dispatch();
        }
        self.ask(hold)
    }

    /// The statement that is being answered has sent as many rows as it may: asks a person about the rest.
    pub(super) fn hold_rows(&mut self) -> Result<(), End> {
        match self.meter.stopped() {
            Some(stopped) => self.ask(Hold::amid_rows(stopped)),
            None => Ok(()),
        }
    }

    fn ask(&mut self, mut hold: Hold) -> Result<(), End> {
        if self.silent {
            // Nobody is asked for a client that has left: what stands before was all.
            self.hold = Some(hold);
            self.leaving = Some(End::ClientGone);
            return Ok(());
        }
        let request = HoldRequest {
            identity: self.identity.clone(),
            groups: self.groups.clone(),
            database: self.ground.name.clone(),
            session: self.session,
            number: hold.number,
            text: text(&hold.ruling.verdict().text),
            parameters: hold.ruling.bind().map(parameters).unwrap_or_default(),
            digest: self.digest(&hold.ruling),
            rules: hold.rules.clone(),
            reasons: hold.reasons.clone(),
            terms: hold.terms.clone(),
        };
        let opened = self.house.desk.open(request);
        self.record_minutes()?;
        match opened {
            Ok(waiting) => {
                let notice = fault::held(waiting.id(), &hold.terms.approvers, &hold.rules, &hold.reasons);
                self.to_client.push(mask::own(notice).into_inner());
                hold.waiting = Some(waiting);
                self.hold = Some(hold);
                Ok(())
            }
            Err(fault) => self.turn_down(&hold, &Fault::NotHeld(fault.to_string())),
        }
    }

    /// A held statement does not run, or sends no more.
    fn turn_down(&mut self, hold: &Hold, fault: &Fault) -> Result<(), End> {
        if hold.is_amid_rows() {
            self.flow.deny(fault.error(), &mut self.out);
            self.cancelling = true;
        } else {
            self.flow.refuse(fault.error(), hold.number, &mut self.out);
        }
        self.dispatch()
    }

    /// A person, or the deadline, has answered.
    pub(super) fn answered(&mut self, verdict: Verdict) -> Result<(), End> {
        let Some(hold) = self.hold.take() else { return Ok(()) };
        self.record_minutes()?;
        let id = hold.waiting.as_ref().map(|waiting| waiting.id().to_owned()).unwrap_or_default();
        let fault = match verdict {
            Verdict::Approved { .. } if hold.is_amid_rows() => {
                hold.counts.iter().for_each(|count| count.permit());
                return Ok(());
            }
            // What was approved is not what would run: another policy would decide upon it.
            Verdict::Approved { .. } if self.is_superseded(&hold.ruling) => Fault::Superseded(id),
            Verdict::Approved { .. } => {
                hold.ruling.permit();
                self.forget_questions(&hold.ruling);
                self.forward(hold.ruling, hold.number);
                return self.dispatch();
            }
            Verdict::Denied { reason, .. } => Fault::Denied(id, reason),
            Verdict::TimedOut => Fault::Unanswered(id),
            Verdict::Withdrawn => Fault::Shutdown,
        };
        self.turn_down(&hold, &fault)
    }

    /// The client has sent a CancelRequest: a held statement is withdrawn, any other is the server's to cancel.
    pub(super) fn cancel(&mut self, done: Done) -> Result<(), End> {
        match self.withdraw()? {
            Some(hold) => self.turn_down(&hold, &Fault::Cancelled),
            // Nothing runs that could be cancelled.
            None if self.flow.is_quiet() => Ok(()),
            None => {
                let (sending, sent) = oneshot::channel();
                self.cancel_sent = Some(sent);
                self.house.cancel_upstream(&self.ground, self.upstream_key.clone(), (done, sending));
                Ok(())
            }
        }
    }

    /// Nobody is to answer any more. Gives the hold that was.
    pub(super) fn withdraw(&mut self) -> Result<Option<Hold>, End> {
        let Some(mut hold) = self.hold.take() else { return Ok(None) };
        drop(hold.waiting.take());
        self.record_minutes()?;
        Ok(Some(hold))
    }

    /// Makes the database stop what was denied amid its rows. Waits until the signal has been sent, so that it cannot meet the
    /// statement that comes next.
    pub(super) async fn cancel_denied(&self) {
        let Some(key) = &self.upstream_key else { return };
        if let Err(fault) = Box::pin(backend::cancel(&self.ground.route(), key)).await {
            self.ground.counts.upstream_failed(UpstreamFault::Cancel);
            tracing::warn!(parent: &self.span, %fault, "cancel request failed");
        }
    }

    /// Records what has happened at the desk to this session's holds.
    fn record_minutes(&mut self) -> Result<(), End> {
        for event in self.house.minutes.take(&self.session) {
            self.recording.append(event).map_err(|_| End::LogFailed)?;
        }
        Ok(())
    }

    /// What is approved: SQL text, parameters with their formats, database, identity and policy. SHA-256 over each with its
    /// length in front.
    fn digest(&self, ruling: &Ruling) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |part: &[u8]| {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        };
        add(&ruling.verdict().text);
        if let Some(bind) = ruling.bind() {
            for (index, value) in bind.parameters.iter().enumerate() {
                add(&[u8::from(bind.parameter_format(index) == Format::Binary), u8::from(value.is_none())]);
                add(value.as_deref().unwrap_or_default());
            }
        }
        add(self.ground.name.as_bytes());
        add(self.identity.as_bytes());
        add(&ruling.verdict().sight.charter.policy.version());
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

fn parameters(bind: &Bind) -> Vec<Shown> {
    let each = bind.parameters.iter().enumerate();
    each.map(|(index, value)| match value {
        None => Shown::Null,
        Some(value) if bind.parameter_format(index) == Format::Text => Shown::Text(text(value)),
        Some(value) => Shown::Hex(value.iter().take(SHOWN_BYTES_MAX).map(|byte| format!("{byte:02x}")).collect()),
    })
    .collect()
}

fn text(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN_BYTES_MAX) {
        Some(head) if bytes.len() > SHOWN_BYTES_MAX => {
            format!("{}... ({} bytes in all)", String::from_utf8_lossy(head), bytes.len())
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
