//! COPY TO STDOUT of a query: the query is described behind the client's back before the COPY runs, so that its rows have a plan.
//!
//! ```text
//!   Query:   Parse "" · Describe · Sync · Query                    up to its ReadyForQuery nothing of the answer is the client's
//!   Execute: Close · Parse · Describe · Close · Execute             an error of the Parse is the error of the Execute
//! ```

use std::sync::Arc;

use super::exchange::{Item, Output, Portal, Ruling, ToClient, Violation};
use super::{Copying, Flow};
use crate::mask::Unmasked;
use crate::wire::{self, Frame, server_tag};

/// The prepared statement that describes a query ahead of an Execute.
const STATEMENT: &[u8] = b"pgveil copy";

type Outputs<R, P> = Vec<Output<R, P>>;

/// The description that a COPY waits for.
#[derive(Debug)]
pub(super) struct Witness<R, P> {
    pub(super) ruling: R,
    pub(super) number: u64,
    /// The portal that will be run; none for a Query, whose description ends with a Sync of its own.
    pub(super) portal: Option<Arc<Portal<R, P>>>,
    /// The description has come.
    described: bool,
    /// The error that came in its place. The COPY fails as well: the transaction has failed, or it meets the same error.
    fault: Option<Frame>,
}

impl<R: Ruling, P> Flow<R, P> {
    /// Asks for the description of the query of a COPY that is about to go out as a Query.
    pub(super) fn witness_query(&mut self, ruling: &R, number: u64, out: &mut Outputs<R, P>) {
        let Some(text) = ruling.copied() else { return };
        for message in [wire::parse(b"", &text), wire::describe_statement(b""), wire::sync()] {
            out.push(Output::ToServer(message));
        }
        self.witness(ruling, number, None);
    }

    /// Asks for the description of the query of a COPY that is about to be run by an Execute.
    pub(super) fn witness_execute(&mut self, portal: &Arc<Portal<R, P>>, ruling: &R, number: u64, out: &mut Outputs<R, P>) {
        let Some(text) = ruling.copied() else { return };
        let close = wire::close_statement(STATEMENT);
        for message in [close.clone(), wire::parse(STATEMENT, &text), wire::describe_statement(STATEMENT), close] {
            out.push(Output::ToServer(message));
        }
        self.witness(ruling, number, Some(Arc::clone(portal)));
    }

    fn witness(&mut self, ruling: &R, number: u64, portal: Option<Arc<Portal<R, P>>>) {
        let witness = Witness { ruling: ruling.clone(), number, portal, described: false, fault: None };
        self.owed.push_back(Item::Witness(witness));
    }

    /// Takes what the server says of a description that nobody but us has asked for; gives back what is not of it.
    ///
    /// # Errors
    /// A description that cannot be read.
    pub(super) fn witnessed(
        &mut self,
        frame: Frame,
        plan: impl FnOnce(&Frame, &R) -> Result<Arc<P>, Violation>,
    ) -> Result<Option<Frame>, Violation> {
        let Some(Item::Witness(witness)) = self.owed.front_mut() else { return Ok(Some(frame)) };
        let synced = witness.portal.is_none();
        match frame.tag() {
            server_tag::PARSE_COMPLETE | server_tag::PARAMETER_DESCRIPTION if !witness.described => {}
            server_tag::NO_DATA if !witness.described => witness.described = true,
            server_tag::ROW_DESCRIPTION if !witness.described => {
                witness.described = true;
                let plan = plan(&frame, &witness.ruling)?;
                match &witness.portal {
                    Some(portal) => super::server::keep_plan(portal, plan),
                    None => self.plan = Some(plan),
                }
            }
            server_tag::CLOSE_COMPLETE if !synced => {
                if witness.described {
                    self.owed.pop_front();
                }
            }
            server_tag::ERROR_RESPONSE if synced => witness.fault = Some(frame),
            server_tag::READY_FOR_QUERY if synced => {
                self.copy_fault = witness.fault.take();
                self.owed.pop_front();
            }
            _ => return Ok(Some(frame)),
        }
        Ok(None)
    }

    /// COPY OUT begins, with the plan for its rows if its query was described.
    pub(super) fn copy_begins(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let plan = match self.owed.front() {
            Some(Item::Query { .. }) => self.plan.clone(),
            Some(Item::Execute { portal, .. }) => portal.plan.get().cloned(),
            _ => return Err(Violation::OutOfPlace(frame.tag())),
        };
        self.copying = Copying::Out;
        let (number, ruling) = self.speaker();
        out.push(Output::ToClient { number, ruling, what: ToClient::CopyBegins(Unmasked::new(frame), plan) });
        Ok(())
    }

    /// COPY OUT has come to its end.
    pub(super) fn copy_ends(&mut self, frame: Frame, out: &mut Outputs<R, P>) {
        self.copying = Copying::No;
        let (number, ruling) = self.speaker();
        out.push(Output::ToClient { number, ruling, what: ToClient::CopyEnds(Unmasked::new(frame)) });
    }
}
