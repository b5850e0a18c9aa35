//! A statement that is stopped amid its rows.

use bytes::Bytes;

use super::Flow;
use super::exchange::{Ended, Item, Output, Ruling, ToClient, Violation};
use super::server::state_of;
use crate::wire::{self, Frame, TransactionStatus, client_tag, server_tag};

type Outputs<R, P> = Vec<Output<R, P>>;

impl<R: Ruling, P> Flow<R, P> {
    /// The statement that is being answered fails here: the client gets `fault`, an ErrorResponse, in place of the rest, and the
    /// server's transaction fails with it. The statement's ruling must be one that bars, so that nothing but
    /// its Sync stands behind it.
    /// Cancelling what the server is still doing for it is the caller's.
    pub fn deny(&mut self, fault: Bytes, out: &mut Outputs<R, P>) {
        let (ruling, number, query) = match self.owed.front() {
            Some(Item::Query { ruling, number }) => (ruling.clone(), *number, true),
            Some(Item::Execute { ruling, number, .. }) => (ruling.clone(), *number, false),
            _ => return,
        };
        self.owed.pop_front();
        let synced = query || matches!(self.owed.pop_front(), Some(Item::Sync));
        let state = state_of(&fault).unwrap_or_default();
        out.push(Output::ToClient { number, ruling: None, what: ToClient::Own(fault) });
        if query {
            self.end_unnamed();
        }
        if !synced {
            // If the server has failed by then, being cancelled, it drops this; so it gives one error, whatever it has done.
            out.push(Output::ToServer(wire::describe_nothing()));
            self.skipping = true;
        }
        self.answered(number, Some(ruling.clone()), Ended::Failed(state), out);
        self.owed.push_front(Item::Denied { ruling, number, synced, failing: false });
    }

    /// True while what the server says is of a statement that was denied amid its rows.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.owed.front(), Some(Item::Denied { .. }))
    }

    /// What the server still says of a denied statement.
    pub(super) fn drop_denied(&mut self, frame: Frame, out: &mut Outputs<R, P>) -> Result<(), Violation> {
        let tag = frame.tag();
        let Some(Item::Denied { synced, failing, .. }) = self.owed.front_mut() else {
            return Err(Violation::OutOfPlace(tag));
        };
        match tag {
            server_tag::ROW_DESCRIPTION
            | server_tag::COMMAND_COMPLETE
            | server_tag::EMPTY_QUERY_RESPONSE
            | server_tag::PORTAL_SUSPENDED
            | server_tag::COPY_OUT_RESPONSE
            | server_tag::COPY_DONE => {}
            // The client hears nothing of the Query's later statements, so it will not send data for one.
            server_tag::COPY_IN_RESPONSE => out.push(Output::ToServer(wire::empty(client_tag::COPY_FAIL))),
            server_tag::ERROR_RESPONSE if *synced => {}
            server_tag::ERROR_RESPONSE => {
                self.owed.pop_front();
            }
            server_tag::READY_FOR_QUERY if *synced => {
                let status = TransactionStatus::read(&frame).map_err(Violation::Server)?;
                if status != TransactionStatus::Open || *failing {
                    return self.ready(frame, out);
                }
                *failing = true;
                out.push(Output::ToServer(wire::describe_nothing()));
                out.push(Output::ToServer(wire::sync()));
            }
            other => return Err(Violation::OutOfPlace(other)),
        }
        Ok(())
    }
}
