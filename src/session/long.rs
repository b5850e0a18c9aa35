//! Messages that cannot be read, being too long or malformed. They are refused, unless nothing is masked for the session and the policy
//! lets what cannot be analysed pass: then they go to the database, and into the log, as they come.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::End;
use super::fault::Fault;
use super::relay::{Relay, violated};
use super::ruling::Ruling;
use crate::flow::{Asked, Next, Violation};
use crate::policy::Outcome;
use crate::sql::{Analysis, Facts, UnknownReason};
use crate::wire::{Frame, Malformed, Piece, client_tag};

/// A message that is being passed on unread.
#[derive(Debug, Default)]
pub(super) struct Passing {
    number: u64,
    passed_bytes: u64,
}

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// A message is too long to be collected: `head` is its beginning. What follows of it is dropped, unless it is passed on.
    pub(super) async fn long(&mut self, head: Bytes, frame_bytes: usize) -> Result<(), End> {
        let tag = head.first().copied().unwrap_or_default();
        let fault = Fault::Oversize(frame_bytes);
        if !self.view.sight.masks.is_empty() || self.flow.is_copying_in() {
            return self.unreadable(tag, &fault);
        }
        if !self.flow.is_quiet() {
            self.flow.settle(&mut self.out);
            self.waiting = Some(Piece::Oversize { tag, frame_bytes, head });
            return Ok(());
        }
        match self.flow.long(&head) {
            Ok(Next::Ask(asked)) => self.rule_long(asked, &head, &fault).await,
            Ok(Next::Go | Next::Quiet(_) | Next::Terminate) => Ok(()),
            Err(Violation::Client(_)) => self.unreadable(tag, &fault),
            Err(violation) => Err(violated(&violation)),
        }
    }

    async fn rule_long(&mut self, asked: Asked<Ruling>, head: &Bytes, fault: &Fault) -> Result<(), End> {
        if !self.look(&asked).await? {
            return Ok(());
        }
        let runs = matches!(asked, Asked::Query(_));
        let (ruling, number) = match asked {
            Asked::Query(query) => self.unread_text(&query.text, &Bytes::new(), false)?,
            Asked::Parse(parse) => self.unread_text(&parse.text, &parse.name, true)?,
            Asked::Bind(bind, Some(ruling)) => {
                let verdict = self.current(ruling.verdict());
                (Ruling::portal(verdict, ruling.number(), bind, (false, 0), self.mark), ruling.number())
            }
            Asked::Bind(bind, None) => {
                let (verdict, number) = self.by_name(&bind.statement, true)?;
                (Ruling::portal(verdict, number, bind, (false, 0), self.mark), number)
            }
            Asked::Execute(..) | Asked::FunctionCall => return Ok(()),
        };
        let verdict = ruling.verdict();
        if verdict.decision.outcome != Outcome::Forward || !verdict.sight.masks.is_empty() {
            self.tell(verdict, &Outcome::Block);
            self.flow.refuse(fault.error(), number, &mut self.out);
            return Ok(());
        }
        if runs {
            self.tell(verdict, &Outcome::Forward);
        }
        self.passing = Passing { number, passed_bytes: 0 };
        self.record_passed(head.clone(), false)?;
        self.from_client.pass();
        self.forward(ruling, number);
        Ok(())
    }

    /// A malformed message: an error of the server's where it may see the message, else one of ours.
    pub(super) fn malformed(&mut self, frame: Frame, fault: &Malformed) -> Result<(), End> {
        let tag = frame.tag();
        if !self.lets_unread_pass() {
            return self.unreadable(tag, &Fault::Protocol(format!("protocol violation: {fault}")));
        }
        let (ruling, number) = self.unread_text(&frame.body_bytes(), &Bytes::new(), tag != client_tag::QUERY)?;
        self.recording.forwarded(number);
        self.flow.invalid(frame, ruling, number, &mut self.out).map_err(|violation| violated(&violation))
    }

    /// The ruling on a text of which only the beginning is known.
    fn unread_text(&mut self, text: &Bytes, name: &Bytes, prepared: bool) -> Result<(Ruling, u64), End> {
        let analysis = Analysis { statements: vec![Facts::unknown(UnknownReason::Bytes)] };
        let verdict = Arc::new(self.view.decide(Bytes::copy_from_slice(text), analysis, &self.identity));
        if !name.is_empty() {
            self.names.parsed(name);
        }
        let number = self.recording.statement(&verdict, name, prepared).map_err(|_| End::LogFailed)?;
        let ruling = Ruling::statement(verdict, number, false, self.mark);
        if !prepared {
            self.meter.begin(number, &ruling, None);
        }
        Ok((ruling, number))
    }

    /// A part of a message that is passed on unread.
    pub(super) fn pass_on(&mut self, bytes: Bytes, last: bool) -> Result<(), End> {
        self.record_passed(bytes.clone(), last)?;
        self.to_server.push(bytes);
        Ok(())
    }

    fn record_passed(&mut self, bytes: Bytes, last: bool) -> Result<(), End> {
        let Passing { number, passed_bytes } = self.passing;
        self.passing.passed_bytes = passed_bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.recording.passed(number, passed_bytes, bytes, last).map_err(|_| End::LogFailed)
    }
}
