//! What the server says.

use std::sync::Arc;

use bytes::Bytes;

use super::exchange::{Ended, Item, Output, Portal, Ruling, ToClient, Violation};
use super::{Copying, Flow};
use crate::mask::Unmasked;
use crate::wire::{ErrorFields, Frame, Part, Place, Run, TransactionStatus, command_tag, server_tag};

/// SQLSTATE of a text that the server cannot parse.
const SYNTAX_ERROR: &str = "42601";

type Outputs<R, P> = Vec<Output<R, P>>;

impl<R: Ruling, P> Flow<R, P> {
    /// Takes one whole message of the server; rows and COPY data come through `rows` and `row_part`. `plan` makes the plan for
    /// rows from a RowDescription and the ruling of their statement.
    ///
    /// # Errors
    /// A message that does not belong here: the session ends, since nobody could say whose rows would come next.
    pub fn server(
        &mut self,
        frame: Frame,
        plan: impl FnOnce(&Frame, &R) -> Result<Arc<P>, Violation>,
        out: &mut Outputs<R, P>,
    ) -> Result<(), Violation> {
        match frame.tag() {
            tag if self.is_denied() && !is_aside(tag) => self.drop_denied(frame, out),
            tag if is_aside(tag) => {
                self.pass(frame, out);
                Ok(())
            }
            _ if matches!(self.owed.front(), Some(Item::Witness(_))) => match self.witnessed(frame, plan)? {
                Some(frame) if frame.tag() == server_tag::ERROR_RESPONSE => self.error(frame, out),
                Some(frame) => Err(Violation::OutOfPlace(frame.tag())),
                None => Ok(()),
            },
            server_tag::ERROR_RESPONSE => self.error(frame, out),
            server_tag::READY_FOR_QUERY => self.ready(frame, out),
            server_tag::ROW_DESCRIPTION => self.row_description(frame, plan, out),
            server_tag::COMMAND_COMPLETE => {
                let tag = command_tag(&frame).map_err(Violation::Server)?;
                let tag = frame.bytes().slice_ref(tag);
                self.complete(frame, Ended::Complete(tag), out)
            }
            server_tag::EMPTY_QUERY_RESPONSE => self.complete(frame, Ended::Empty, out),
            server_tag::PORTAL_SUSPENDED => self.complete(frame, Ended::Suspended, out),
            server_tag::COPY_IN_RESPONSE => self.copy_in(frame, out),
            server_tag::COPY_OUT_RESPONSE => self.copy_begins(frame, out),
            server_tag::COPY_DONE if self.copying == Copying::Out => {
                self.copy_ends(frame, out);
                Ok(())
            }
            _ => self.acknowledge(frame, out),
        }
    }

    /// Takes whole DataRows or CopyData of the server.
    ///
    /// # Errors
    /// Rows where none belong, or for which no plan was made though they are veiled.
    pub fn rows(&mut self, run: Run, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        if self.is_denied() {
            return Ok(());
        }
        let (number, ruling) = self.speaker();
        let what = if run.tag == server_tag::DATA_ROW {
            let plan = self.plan_of_rows()?;
            self.rows += u64::try_from(run.count).unwrap_or(u64::MAX);
            ToClient::Rows(Unmasked::new(run), plan)
        } else {
            self.copy_out()?;
            ToClient::Copy(Unmasked::new(run))
        };
        out.push(Output::ToClient { number, ruling, what });
        Ok(())
    }

    /// Takes a part of a long DataRow or CopyData of the server.
    ///
    /// # Errors
    /// As `rows`.
    pub fn row_part(&mut self, part: Part, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        if self.is_denied() {
            return Ok(());
        }
        let (number, ruling) = self.speaker();
        let what = if part.tag == server_tag::DATA_ROW {
            let plan = self.plan_of_rows()?;
            if part.place == Place::First {
                self.rows += 1;
            }
            ToClient::RowPart(Unmasked::new(part), plan)
        } else {
            self.copy_out()?;
            ToClient::CopyPart(Unmasked::new(part))
        };
        out.push(Output::ToClient { number, ruling, what });
        Ok(())
    }

    fn plan_of_rows(&self) -> Result<Option<Arc<P>>, Violation> {
        let (plan, ruling) = match self.owed.front() {
            Some(Item::Query { ruling, .. }) => (self.plan.as_ref(), ruling),
            Some(Item::Execute { portal, ruling, .. }) => (portal.plan.get(), ruling),
            _ => return Err(Violation::OutOfPlace(server_tag::DATA_ROW)),
        };
        match plan {
            None if ruling.veiled() => Err(Violation::Undescribed),
            plan => Ok(plan.map(Arc::clone)),
        }
    }

    fn copy_out(&self) -> Result<(), Violation> {
        match (self.copying, self.owed.front()) {
            (Copying::Out, Some(Item::Query { .. } | Item::Execute { .. })) => Ok(()),
            _ => Err(Violation::OutOfPlace(server_tag::COPY_DATA)),
        }
    }

    /// Number and ruling of what the server is answering.
    pub(super) fn speaker(&self) -> (u64, Option<R>) {
        (self.answering(), self.ruling().cloned())
    }

    fn pass(&self, frame: Frame, out: &mut Outputs<R, P>) {
        let (number, ruling) = self.speaker();
        out.push(Output::ToClient { number, ruling, what: ToClient::Message(Unmasked::new(frame)) });
    }

    /// The answers that are a single message.
    fn acknowledge(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let tag = frame.tag();
        let owed = match (tag, self.owed.front()) {
            (server_tag::PARSE_COMPLETE, Some(Item::Parse { .. }))
            | (server_tag::BIND_COMPLETE, Some(Item::Bind { .. }))
            | (server_tag::CLOSE_COMPLETE, Some(Item::CloseStatement { .. } | Item::ClosePortal { .. }))
            | (server_tag::NO_DATA, Some(Item::DescribeStatement { .. } | Item::DescribePortal { ours: false, .. })) => {
                self.pass(frame, out);
                self.owed.pop_front()
            }
            (server_tag::NO_DATA, Some(Item::DescribePortal { ours: true, .. })) => self.owed.pop_front(),
            (server_tag::PARSE_COMPLETE | server_tag::CLOSE_COMPLETE, Some(item)) if item.parsed().is_some() => None,
            (server_tag::PARAMETER_DESCRIPTION, Some(Item::DescribeStatement { .. })) => {
                self.pass(frame, out);
                None
            }
            (server_tag::FUNCTION_CALL_RESPONSE, Some(Item::FunctionCall { ruling, number })) => {
                let end =
                    Output::End { number: *number, ruling: Some(ruling.clone()), statement: 0, how: Ended::Returned, rows: 0 };
                self.pass(frame, out);
                out.push(end);
                None
            }
            _ => return Err(Violation::OutOfPlace(tag)),
        };
        match owed {
            Some(Item::Parse { name, statement }) => self.keep_statement(name, statement),
            Some(Item::Bind { portal }) => self.keep_portal(portal),
            Some(Item::CloseStatement { name }) => {
                self.close_statement(&name);
                Ok(())
            }
            Some(Item::ClosePortal { name }) => {
                self.close_portal(&name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn row_description(
        &mut self,
        frame: Frame,
        plan: impl FnOnce(&Frame, &R) -> Result<Arc<P>, Violation>,
        out: &mut Outputs<R, P>,
    ) -> Result<(), Violation> {
        match self.owed.front() {
            Some(Item::Query { ruling, .. }) => {
                self.plan = if ruling.veiled() { Some(plan(&frame, ruling)?) } else { None };
                self.described = true;
                self.pass(frame, out);
            }
            Some(Item::DescribeStatement { .. }) => {
                self.pass(frame, out);
                self.owed.pop_front();
            }
            Some(Item::DescribePortal { portal, ours }) => {
                if *ours
                    && let Some(portal) = portal
                    && portal.ruling.veiled()
                    && portal.plan.get().is_none()
                {
                    keep_plan(portal, plan(&frame, &portal.ruling)?);
                }
                if !ours {
                    self.pass(frame, out);
                }
                self.owed.pop_front();
            }
            _ => return Err(Violation::OutOfPlace(server_tag::ROW_DESCRIPTION)),
        }
        Ok(())
    }

    fn complete(&mut self, frame: Frame, how: Ended, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let (number, ruling) = match self.owed.front() {
            Some(Item::Query { ruling, number }) if how != Ended::Suspended => (*number, ruling.clone()),
            Some(Item::Execute { ruling, number, .. }) => (*number, ruling.clone()),
            _ => return Err(Violation::OutOfPlace(frame.tag())),
        };
        self.pass(frame, out);
        let execute = matches!(self.owed.front(), Some(Item::Execute { .. }));
        if execute {
            self.owed.pop_front();
        }
        self.answered(number, Some(ruling), how, out);
        if !execute {
            self.statement = self.statement.saturating_add(1);
            self.described = false;
        }
        Ok(())
    }

    /// One statement is answered, well or not.
    pub(super) fn answered(&mut self, number: u64, ruling: Option<R>, how: Ended, out: &mut Outputs<R, P>) {
        self.copying = Copying::No;
        self.plan = None;
        self.copy_fault = None;
        if let Some(ruling) = &ruling {
            self.forget_renamed(ruling);
        }
        let rows = std::mem::take(&mut self.rows);
        out.push(Output::End { number, ruling, statement: self.statement, how, rows });
    }

    fn copy_in(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        match self.owed.front() {
            Some(Item::Query { .. } | Item::Execute { .. }) => {
                if self.ends_ahead > 0 {
                    self.ends_ahead -= 1;
                } else {
                    self.copying = Copying::In;
                }
                self.pass(frame, out);
                Ok(())
            }
            _ => Err(Violation::OutOfPlace(frame.tag())),
        }
    }

    /// An error drops everything owed up to the next Sync; without one, the client's frames up to Sync will be dropped.
    fn error(&mut self, mut frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        if matches!(self.owed.front(), Some(Item::Query { .. }))
            && let Some(first) = self.copy_fault.take()
        {
            frame = first;
        }
        let state = ErrorFields::find(&frame, b'C').map(|state| frame.bytes().slice_ref(state)).unwrap_or_default();
        let fault = match self.owed.front() {
            // An error at a place in the text comes from parsing it: it tells of the client's own words alone.
            Some(item) if item.parsed().is_some() && state == SYNTAX_ERROR && ErrorFields::find(&frame, b'P').is_some() => None,
            Some(Item::RefusedQuery { fault, .. } | Item::Refused { fault, .. }) => Some(fault.clone()),
            _ => None,
        };
        if self.owed.front().and_then(Item::parsed).is_some_and(Bytes::is_empty) {
            // Parsing has taken the unnamed statement's place, or would have.
            self.close_statement(&Bytes::new());
        }
        let (number, ruling) = self.speaker();
        match fault {
            Some(fault) => {
                let state = state_of(&fault).unwrap_or(state);
                out.push(Output::ToClient { number, ruling: None, what: ToClient::Own(fault) });
                self.failed(number, None, state, out);
            }
            None => {
                self.pass(frame, out);
                self.failed(number, ruling, state, out);
            }
        }
        Ok(())
    }

    fn failed(&mut self, number: u64, ruling: Option<R>, state: Bytes, out: &mut Outputs<R, P>) {
        match self.owed.front() {
            None | Some(Item::Sync) => return,
            Some(Item::Query { .. } | Item::RefusedQuery { .. } | Item::FunctionCall { .. }) => {}
            Some(_) => {
                while self.owed.front().is_some_and(|item| !matches!(item, Item::Sync)) {
                    self.owed.pop_front();
                }
                self.skipping = self.owed.is_empty();
            }
        }
        self.answered(number, ruling, Ended::Failed(state), out);
    }

    pub(super) fn ready(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let status = TransactionStatus::read(&frame).map_err(Violation::Server)?;
        match self.owed.front() {
            Some(item) if item.ends_with_ready() => {}
            // A Sync that the server was thought to ignore in COPY IN came after the COPY had failed: it is read again.
            None => self.skipping = false,
            Some(_) => return Err(Violation::OutOfPlace(server_tag::READY_FOR_QUERY)),
        }
        self.pass(frame, out);
        if let Some(Item::Query { .. }) = self.owed.pop_front() {
            self.end_unnamed();
        }
        if status == TransactionStatus::Idle {
            self.end_portals();
        }
        self.status = status;
        self.copying = Copying::No;
        self.plan = None;
        self.statement = 0;
        self.described = false;
        out.push(Output::Ready(status));
        Ok(())
    }
}

/// What the server may say at any time, whatever it is answering.
fn is_aside(tag: u8) -> bool {
    matches!(tag, server_tag::NOTICE_RESPONSE | server_tag::NOTIFICATION_RESPONSE | server_tag::PARAMETER_STATUS)
}

pub(super) fn keep_plan<R, P>(portal: &Portal<R, P>, plan: Arc<P>) {
    // INVARIANT: a portal is described before its first row, so nobody else can have set the plan in between.
    let _ = portal.plan.set(plan);
}

/// The SQLSTATE in an ErrorResponse of our own making.
pub(super) fn state_of(fault: &Bytes) -> Option<Bytes> {
    let frame = Frame::new(fault.clone()).ok()?;
    ErrorFields::find(&frame, b'C').map(Bytes::copy_from_slice)
}
