//! What the client says.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::exchange::{Item, Output, Portal, Ruling, Statement, Violation};
use super::names::Meaning;
use super::{Copying, Flow, OWED_MAX};
use crate::wire::{self, Frame, Malformed, client_tag};

/// A frame that waits for a ruling; of a Query, Parse or Bind it may be the beginning alone.
#[derive(Debug)]
pub(super) enum Waiting<R, P> {
    Query(Bytes),
    Parse { bytes: Bytes, name: Bytes },
    Bind { bytes: Bytes, portal: Bytes, statement: Option<Arc<Statement<R>>> },
    Execute { frame: Frame, portal: Option<Arc<Portal<R, P>>>, name: Bytes },
    FunctionCall(Frame),
}

/// What has to be ruled upon.
#[derive(Debug, Clone)]
pub enum Asked<R> {
    /// A text of any number of statements, to be run at once.
    Query(wire::Query),
    /// A text to be prepared.
    Parse(wire::Parse),
    /// A statement gets its parameters. `None`: the name is not one that the protocol has defined.
    Bind(wire::Bind, Option<R>),
    /// A portal is run. `None`: the name is not one that the protocol has defined.
    Execute(wire::Execute, Option<R>),
    /// The protocol's FunctionCall.
    FunctionCall,
}

/// What to do next for the client's side.
#[derive(Debug)]
pub enum Next<R> {
    /// Take the next frame.
    Go,
    /// Rule on this, then call `forward` or `refuse`.
    Ask(Asked<R>),
    /// The same frame again when everything owed is answered (`is_quiet`), or when a COPY IN has begun (`is_copying_in`).
    Quiet(Frame),
    /// The client has said goodbye: what stands before is carried out, then the session ends.
    Terminate,
}

type Outputs<R, P> = Vec<Output<R, P>>;

impl<R: Ruling, P> Flow<R, P> {
    /// Takes one whole frame of the client. CopyData may also come through `copy_data`.
    ///
    /// # Errors
    /// `Client` for a malformed or unknown message: the session ends.
    pub fn client(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<Next<R>, Violation> {
        let tag = frame.tag();
        match tag {
            client_tag::TERMINATE => return Ok(Next::Terminate),
            client_tag::COPY_DATA => {
                self.copy_data(frame.into_bytes(), out);
                return Ok(Next::Go);
            }
            client_tag::COPY_DONE | client_tag::COPY_FAIL => {
                // What comes next the server reads as a message again, once it has answered the COPY.
                if self.copying == Copying::In {
                    self.barred = true;
                    self.copying = Copying::No;
                } else if self.barred {
                    self.ends_ahead += 1;
                }
                out.push(Output::ToServer(frame.into_bytes()));
                return Ok(Next::Go);
            }
            _ if self.copying == Copying::In => return self.astray(frame, out),
            _ => {}
        }
        if self.barred && self.is_quiet() {
            self.barred = false;
            self.ends_ahead = 0;
        }
        if tag == client_tag::SYNC && self.may_sync_ahead() {
            self.sync(frame, out);
            return Ok(Next::Go);
        }
        if self.barred || self.owed.len() >= OWED_MAX {
            self.settle(out);
            return Ok(Next::Quiet(frame));
        }
        match tag {
            client_tag::SYNC => self.sync(frame, out),
            client_tag::QUERY | client_tag::FUNCTION_CALL if !self.skipping && self.unsynced() => {
                self.settle(out);
                return Ok(Next::Quiet(frame));
            }
            _ if self.skipping => return known(tag).map(|()| Next::Go),
            client_tag::QUERY => return self.ask_query(frame),
            client_tag::PARSE => return self.ask_parse(frame),
            client_tag::BIND => return self.ask_bind(frame, out),
            client_tag::EXECUTE => return self.ask_execute(frame, out),
            client_tag::FUNCTION_CALL => {
                self.asked = Some(Waiting::FunctionCall(frame));
                return Ok(Next::Ask(Asked::FunctionCall));
            }
            client_tag::DESCRIBE => self.describe(frame, out)?,
            client_tag::CLOSE => self.close(frame, out)?,
            client_tag::FLUSH => out.push(Output::ToServer(frame.into_bytes())),
            other => return known(other).map(|()| Next::Go),
        }
        Ok(Next::Go)
    }

    /// Takes CopyData, whole or a part of one. The server drops it by itself when no COPY is under way.
    pub fn copy_data(&mut self, bytes: Bytes, out: &mut Outputs<R, P>) {
        out.push(Output::ToServer(bytes));
    }

    /// Makes the server answer what it owes: a Flush, unless something that ends in ReadyForQuery stands last.
    pub fn settle(&mut self, out: &mut Outputs<R, P>) {
        if self.unsynced() {
            out.push(Output::ToServer(wire::flush()));
        }
    }

    /// True if extended messages have gone out since the last Sync or Query.
    pub(super) fn unsynced(&self) -> bool {
        self.owed.back().is_some_and(|item| !item.ends_with_ready())
    }

    /// The frame asked about may go to the server. `number` names the exchange in everything that answers it.
    /// If an error has come in the meantime, the frame is dropped, as the server would drop it.
    pub fn forward(&mut self, ruling: R, number: u64, out: &mut Outputs<R, P>) {
        let Some(waiting) = self.asked.take() else { return };
        if self.skipping {
            return;
        }
        match waiting {
            Waiting::Query(bytes) => {
                self.barred = ruling.bars();
                self.executed = 0;
                self.witness_query(&ruling, number, out);
                out.push(Output::ToServer(bytes));
                self.owed.push_back(Item::Query { ruling, number });
            }
            Waiting::Parse { bytes, name } => {
                out.push(Output::ToServer(bytes));
                self.owed.push_back(Item::Parse { name, statement: Arc::new(Statement { ruling, number }) });
            }
            Waiting::Bind { bytes, portal, statement } => {
                let number = statement.map_or(number, |statement| statement.number);
                out.push(Output::ToServer(bytes));
                let portal = Arc::new(Portal { name: portal, ruling, number, plan: OnceLock::new() });
                self.owed.push_back(Item::Bind { portal: Arc::clone(&portal) });
                self.describe_veiled(&portal, out);
            }
            Waiting::Execute { frame, portal, name } => {
                self.barred = ruling.bars();
                self.executed = self.executed.saturating_add(1);
                let portal = portal.unwrap_or_else(|| {
                    let portal = Arc::new(Portal { name, ruling: ruling.clone(), number, plan: OnceLock::new() });
                    self.describe_veiled(&portal, out);
                    portal
                });
                self.witness_execute(&portal, &ruling, number, out);
                out.push(Output::ToServer(frame.into_bytes()));
                self.owed.push_back(Item::Execute { portal, ruling, number });
            }
            Waiting::FunctionCall(frame) => {
                out.push(Output::ToServer(frame.into_bytes()));
                self.owed.push_back(Item::FunctionCall { ruling, number });
            }
        }
    }

    /// The frame asked about does not go to the server; the server is made to fail its transaction instead, and the client gets
    /// `fault`, an ErrorResponse, in the server's place.
    pub fn refuse(&mut self, fault: Bytes, number: u64, out: &mut Outputs<R, P>) {
        self.refuse_text(fault, number, false, out);
    }

    /// As `refuse`, for a text that could not be read: the server parses it, which runs nothing, and if it finds a syntax error
    /// the client gets that. What the server makes of the text is closed again at once.
    pub fn refuse_unread(&mut self, fault: Bytes, number: u64, out: &mut Outputs<R, P>) {
        self.refuse_text(fault, number, true, out);
    }

    fn refuse_text(&mut self, fault: Bytes, number: u64, unread: bool, out: &mut Outputs<R, P>) {
        let Some(waiting) = self.asked.take() else { return };
        if self.skipping {
            return;
        }
        let parse = match &waiting {
            Waiting::Query(bytes) if unread => {
                let query = Frame::new(bytes.clone()).and_then(|frame| wire::Query::read(&frame));
                query.ok().map(|query| (wire::parse(b"", &query.text), Bytes::new()))
            }
            // Of a long one only the beginning is here: what follows would be taken for the rest of it.
            Waiting::Parse { bytes, name } if unread && Frame::new(bytes.clone()).is_ok() => Some((bytes.clone(), name.clone())),
            _ => None,
        };
        let parsed = parse.map(|(parse, name)| {
            out.push(Output::ToServer(parse));
            out.push(Output::ToServer(wire::close_statement(&name)));
            name
        });
        out.push(Output::ToServer(wire::describe_nothing()));
        match waiting {
            Waiting::Query(_) | Waiting::FunctionCall(_) => {
                out.push(Output::ToServer(wire::sync()));
                self.owed.push_back(Item::RefusedQuery { fault, number, parsed });
            }
            Waiting::Parse { .. } | Waiting::Bind { .. } | Waiting::Execute { .. } => {
                self.skipping = true;
                self.owed.push_back(Item::Refused { fault, number, parsed });
            }
        }
    }

    /// A message that cannot be read, being too long or malformed, is refused as a statement would be.
    ///
    /// # Errors
    /// A message that is no statement, or one amid others that are not answered yet: the session ends.
    pub fn unreadable(&mut self, tag: u8, fault: Bytes, number: u64, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        self.asked = None;
        if self.skipping {
            return known(tag);
        }
        match tag {
            client_tag::QUERY | client_tag::FUNCTION_CALL if !self.unsynced() && self.copying != Copying::In => {
                out.push(Output::ToServer(wire::describe_nothing()));
                out.push(Output::ToServer(wire::sync()));
                self.owed.push_back(Item::RefusedQuery { fault, number, parsed: None });
            }
            client_tag::PARSE | client_tag::BIND | client_tag::DESCRIBE | client_tag::EXECUTE | client_tag::CLOSE
                if self.copying != Copying::In =>
            {
                out.push(Output::ToServer(wire::describe_nothing()));
                self.skipping = true;
                self.owed.push_back(Item::Refused { fault, number, parsed: None });
            }
            other => return Err(Violation::Client(Malformed::Tag(other))),
        }
        Ok(())
    }

    /// In COPY IN the server takes nothing but copy messages, Flush and Sync, which it ignores. Any other message is an error of
    /// the server's to give: it gets one of the same type without content, since nobody has decided upon the content.
    fn astray(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<Next<R>, Violation> {
        known(frame.tag())?;
        let bytes = match frame.tag() {
            client_tag::FLUSH | client_tag::SYNC => frame.into_bytes(),
            tag => wire::empty(tag),
        };
        out.push(Output::ToServer(bytes));
        Ok(Next::Go)
    }

    /// True if the frame that bars is the only Execute since the last Sync, and leaves nothing to undo.
    fn may_sync_ahead(&self) -> bool {
        self.executed == 1
            && self.owed.len() < OWED_MAX
            && matches!(self.owed.back(), Some(Item::Execute { ruling, .. }) if ruling.only_reads())
    }

    fn sync(&mut self, frame: Frame, out: &mut Outputs<R, P>) {
        self.skipping = false;
        self.executed = 0;
        out.push(Output::ToServer(frame.into_bytes()));
        self.owed.push_back(Item::Sync);
    }

    fn ask_query(&mut self, frame: Frame) -> Result<Next<R>, Violation> {
        let query = wire::Query::read(&frame).map_err(Violation::Client)?;
        self.asked = Some(Waiting::Query(frame.into_bytes()));
        Ok(Next::Ask(Asked::Query(query)))
    }

    fn ask_parse(&mut self, frame: Frame) -> Result<Next<R>, Violation> {
        let parse = wire::Parse::read(&frame).map_err(Violation::Client)?;
        self.asked = Some(Waiting::Parse { bytes: frame.into_bytes(), name: parse.name.clone() });
        Ok(Next::Ask(Asked::Parse(parse)))
    }

    fn ask_bind(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<Next<R>, Violation> {
        let bind = wire::Bind::read(&frame).map_err(Violation::Client)?;
        let Meaning::Known(statement) = self.statement(&bind.statement) else {
            self.settle(out);
            return Ok(Next::Quiet(frame));
        };
        let ruling = statement.as_ref().map(|statement| statement.ruling.clone());
        self.asked = Some(Waiting::Bind { bytes: frame.into_bytes(), portal: bind.portal.clone(), statement });
        Ok(Next::Ask(Asked::Bind(bind, ruling)))
    }

    fn ask_execute(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<Next<R>, Violation> {
        let execute = wire::Execute::read(&frame).map_err(Violation::Client)?;
        let Meaning::Known(portal) = self.portal(&execute.portal) else {
            self.settle(out);
            return Ok(Next::Quiet(frame));
        };
        let ruling = portal.as_ref().map(|portal| portal.ruling.clone());
        self.asked = Some(Waiting::Execute { frame, portal, name: execute.portal.clone() });
        Ok(Next::Ask(Asked::Execute(execute, ruling)))
    }

    fn describe(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let describe = wire::Describe::read(&frame).map_err(Violation::Client)?;
        let item = match describe.target {
            wire::Target::Statement(name) => {
                Item::DescribeStatement { number: self.statement(&name).known().map_or(0, |statement| statement.number) }
            }
            wire::Target::Portal(name) => Item::DescribePortal { portal: self.portal(&name).known(), ours: false },
            wire::Target::Invalid(_) => Item::Invalid,
        };
        out.push(Output::ToServer(frame.into_bytes()));
        self.owed.push_back(item);
        Ok(())
    }

    fn close(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let close = wire::Close::read(&frame).map_err(Violation::Client)?;
        let item = match close.target {
            wire::Target::Statement(name) => Item::CloseStatement { name },
            wire::Target::Portal(name) => Item::ClosePortal { name },
            wire::Target::Invalid(_) => Item::Invalid,
        };
        out.push(Output::ToServer(frame.into_bytes()));
        self.owed.push_back(item);
        Ok(())
    }

    /// A veiled portal is described behind the client's back, so that its rows have a plan whatever the client asks for.
    fn describe_veiled(&mut self, portal: &Arc<Portal<R, P>>, out: &mut Outputs<R, P>) {
        if portal.ruling.veiled() {
            out.push(Output::ToServer(wire::describe_portal(&portal.name)));
            self.owed.push_back(Item::DescribePortal { portal: Some(Arc::clone(portal)), ours: true });
        }
    }
}

/// A message type that clients may send after login.
pub(super) fn known(tag: u8) -> Result<(), Violation> {
    match tag {
        client_tag::BIND
        | client_tag::CLOSE
        | client_tag::COPY_DATA
        | client_tag::COPY_DONE
        | client_tag::COPY_FAIL
        | client_tag::DESCRIBE
        | client_tag::EXECUTE
        | client_tag::FLUSH
        | client_tag::FUNCTION_CALL
        | client_tag::PARSE
        | client_tag::QUERY
        | client_tag::SYNC
        | client_tag::TERMINATE => Ok(()),
        other => Err(Violation::Client(Malformed::Tag(other))),
    }
}
